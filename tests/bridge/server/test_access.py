"""Host, origin and token checks, header by header."""

from __future__ import annotations

import socket

import pytest

from facewire.bridge.server.access import AccessPolicy, host_name

LOOPBACK = AccessPolicy("127.0.0.1")


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8787", "127.0.0.1:8787", "127.0.0.2", "[::1]:8787", "LOCALHOST:1"]
)
def test_loopback_answers_to_loopback_names(host: str) -> None:
    assert LOOPBACK.check_host([host]) is None


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8787", "localhost.evil.example", "8.8.8.8", "192.168.1.5:8787"]
)
def test_loopback_refuses_other_names(host: str) -> None:
    refusal = LOOPBACK.check_host([host])
    assert refusal is not None
    assert refusal.status == 403


@pytest.mark.parametrize(
    "hosts", [[], [""], ["a", "a"], ["localhost:x"], ["user@localhost"], ["localhost/x"], ["[::1"], ["localhost?x"]]
)
def test_a_missing_or_malformed_host_is_a_bad_request(hosts: list[str]) -> None:
    refusal = LOOPBACK.check_host(hosts)
    assert refusal is not None
    assert refusal.status == 400


def test_other_listeners_answer_to_their_own_address() -> None:
    one = AccessPolicy("192.168.1.5")
    assert one.check_host(["192.168.1.5:8787"]) is None
    assert one.check_host(["192.168.1.6:8787"]) is not None
    every = AccessPolicy("0.0.0.0", host_names=("face.example",))
    for host in ("192.168.1.5", "localhost", "[2001:db8::1]:8787", socket.gethostname(), "face.example"):
        assert every.check_host([host]) is None, host
    assert every.check_host(["evil.example"]) is not None


def test_a_program_without_origin_passes() -> None:
    assert LOOPBACK.check_origin([], ["127.0.0.1:8787"]) is None


@pytest.mark.parametrize(
    "origin", ["http://127.0.0.1:8787", "http://localhost:5173", "https://localhost", "http://[::1]:80"]
)
def test_loopback_pages_pass(origin: str) -> None:
    assert LOOPBACK.check_origin([origin], ["127.0.0.1:8787"]) is None


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "",
        "http://evil.example",
        "http://localhost.evil.example",
        "http://127.0.0.1.evil.example",
        "file://",
        "http://a:b",
    ],
)
def test_foreign_pages_are_refused(origin: str) -> None:
    refusal = LOOPBACK.check_origin([origin], ["127.0.0.1:8787"])
    assert refusal is not None
    assert refusal.status == 403


def test_origins_elsewhere_must_be_the_requests_host_or_listed() -> None:
    policy = AccessPolicy("0.0.0.0", origins=("https://overlay.example",))
    host = ["192.168.1.5:8787"]
    assert policy.check_origin(["http://192.168.1.5:8787"], host) is None
    assert policy.check_origin(["https://overlay.example"], host) is None
    assert policy.check_origin(["http://localhost:8787"], host) is not None
    assert policy.check_origin(["http://192.168.1.5", "http://192.168.1.5"], host) is not None


def test_token_is_asked_for_and_read_from_query_and_header() -> None:
    policy = AccessPolicy("0.0.0.0", token="s3cret-ä")
    assert policy.check_token("/v1/live?token=s3cret-%C3%A4", []) is None
    assert policy.check_token("/v1/live", ["Bearer s3cret-ä"]) is None
    assert policy.check_token("/v1/live", ["bearer  s3cret-ä"]) is None
    for target, headers in (
        ("/v1/live", []),
        ("/v1/live?token=", []),
        ("/v1/live?token=x", []),
        ("/v1/live", ["Basic s3cret-ä"]),
    ):
        refusal = policy.check_token(target, headers)
        assert refusal is not None
        assert refusal.status == 401
        assert "s3cret" not in refusal.text
    assert LOOPBACK.check_token("/v1/live", []) is None


def test_host_names_are_compared_without_case_and_final_dot() -> None:
    assert host_name("LocalHost.:80") == "localhost"


def test_a_refusal_names_the_option_that_lets_the_name_in() -> None:
    refusal = AccessPolicy("0.0.0.0").check_host(["mypc.tail1234.ts.net:8787"])
    assert refusal is not None
    assert refusal.text.endswith("--host-name mypc.tail1234.ts.net")
    refusal = AccessPolicy("0.0.0.0").check_origin(["https://overlay.example"], ["192.168.1.5"])
    assert refusal is not None
    assert refusal.text.endswith("--origin https://overlay.example")
    for odd in ("a;rm -rf ~", "$(id)", "a'b"):  # Nothing that a shell would read is offered to be typed.
        refusal = AccessPolicy("0.0.0.0").check_host([odd])
        assert refusal is not None
        assert "--host-name" not in refusal.text


@pytest.mark.parametrize("told", ["mypc.lan", "MyPC.LAN.", "mypc.lan:8787"])
@pytest.mark.parametrize("listen", ["127.0.0.1", "0.0.0.0", "192.168.1.5", "::"])
def test_a_name_that_the_server_was_told_of_is_its_own(told: str, listen: str) -> None:
    policy = AccessPolicy(listen, host_names=(told,))
    for host in ("mypc.lan", "mypc.lan:8787", "MYPC.lan."):
        assert policy.check_host([host]) is None
    assert policy.check_host(["mypc.lan.evil.example"]) is not None
    assert policy.check_host(["evil.example"]) is not None
    # A proxy that ends TLS may pass its own name on as Host, or the address that it reaches the server by.
    assert policy.check_origin(["https://mypc.lan"], ["mypc.lan"]) is None
    assert policy.check_origin(["https://mypc.lan"], ["127.0.0.1:8787"]) is None
    assert policy.check_origin(["https://evil.example"], ["mypc.lan"]) is not None


def test_a_name_in_another_script_is_compared_as_browsers_send_it() -> None:
    assert AccessPolicy("0.0.0.0", host_names=("bücher.example",)).check_host(["xn--bcher-kva.example:8787"]) is None


@pytest.mark.parametrize(
    ("listen", "addresses", "host"),
    [
        ("mypc.lan", ("192.168.1.5",), "192.168.1.5:8787"),
        ("mypc.lan", ("192.168.1.5",), "mypc.lan:8787"),
        ("fe80::1%eth0", ("fe80::1",), "[fe80::1]:8787"),
        ("fe80::1%eth0", ("fe80::1",), "[fe80::1%25eth0]:8787"),
        ("2001:DB8:0::5", ("2001:db8::5",), "[2001:db8::5]:8787"),
        ("::", ("::", "0.0.0.0"), "192.168.1.5:8787"),
        ("::0", ("::", "0.0.0.0"), "[2001:db8::5]:8787"),
        ("0", ("0.0.0.0",), "192.168.1.5"),
        ("127.1", ("127.0.0.1",), "127.0.0.1"),
        ("0:0:0:0:0:0:0:1", ("::1",), "localhost:8787"),
        ("::ffff:127.0.0.1", ("::ffff:127.0.0.1",), "127.0.0.1"),
    ],
)
def test_a_server_answers_to_what_it_listens_on_however_that_is_written(
    listen: str, addresses: tuple[str, ...], host: str
) -> None:
    policy = AccessPolicy(listen, addresses=addresses)
    assert policy.check_host([host]) is None
    assert policy.check_host(["evil.example"]) is not None


def test_the_machines_own_names_are_answered_to_on_every_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "MyPC.fritz.box")
    for host in ("mypc", "mypc.local", "mypc.fritz.box"):
        assert AccessPolicy("0.0.0.0").check_host([host]) is None
