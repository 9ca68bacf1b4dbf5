"""The head of a request as pure logic, fed with literal bytes."""

from __future__ import annotations

import pytest

from facewire.bridge.server.arrival.request import (
    MAX_FIELDS,
    MAX_LINE_BYTES,
    Refusal,
    Request,
    check_method,
    doubt,
    parse_head,
    websocket_key,
)

UPGRADE = (
    b"GET /v1/live?token=a HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Upgrade\r\nUPGRADE: WebSocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


def test_a_request_is_read() -> None:
    request = parse_head(b"GET /a?b=%20c HTTP/1.1\r\nHost:  x:1 \r\nA: 1\r\na: 2, 3,\r\n\r\n")
    assert isinstance(request, Request)
    assert (request.method, request.path, request.target) == ("GET", "/a", "/a?b=%20c")
    assert request.values("host") == ["x:1"]
    assert request.words("a") == ["1", "2", "3"]


def test_the_key_is_answered_as_in_the_rfcs_example() -> None:
    request = parse_head(UPGRADE)
    assert isinstance(request, Request)
    assert websocket_key(request) == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # RFC 6455, 1.3


@pytest.mark.parametrize(
    ("change", "to", "status"),
    [
        (b"UPGRADE: WebSocket", b"UPGRADE: h2c", 426),
        (b"keep-alive, Upgrade", b"keep-alive", 426),
        (b"-Version: 13", b"-Version: 8", 426),
        (b"dGhlIHNhbXBsZSBub25jZQ==", b"short", 400),
        (b"dGhlIHNhbXBsZSBub25jZQ==", b"dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", 400),
        (b"dGhlIHNhbXBsZSBub25jZQ==", "ü".encode("latin-1") * 24, 400),
        (b"GET", b"HEAD", 426),
    ],
)
def test_a_handshake_that_is_none(change: bytes, to: bytes, status: int) -> None:
    request = parse_head(UPGRADE.replace(change, to))
    assert isinstance(request, Request)
    refusal = websocket_key(request)
    assert isinstance(refusal, Refusal)
    assert refusal.status == status


@pytest.mark.parametrize(
    "data",
    [
        b"GET /\r\n\r\n",
        b"GET  / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1 \r\n\r\n",
        b"GET / HTTP/11\r\n\r\n",
        b"GET / HTTP/0.9\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\n",
        b"GET /\xc3\xa4 HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nA : b\r\n\r\n",
        b"GET / HTTP/1.1\r\nA: b\r\n folded\r\n\r\n",
        b"GET / HTTP/1.1\r\nA: b\x00c\r\n\r\n",
        b"GET / HTTP/1.1\r\nA: b\nc\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * (MAX_FIELDS + 1) + b"\r\n",
    ],
)
def test_a_malformed_request_is_a_400(data: bytes) -> None:
    refusal = parse_head(data)
    assert isinstance(refusal, Refusal)
    assert refusal.status == 400


@pytest.mark.parametrize("begun", [b"", b"G", b"GET ", b"GET /a?b HT", b"\r\nGET /", b"GET / HTTP/1.1\r\nA: \xff\x00"])
def test_what_may_become_a_request_is_waited_for(begun: bytes) -> None:
    assert doubt(begun) is None


@pytest.mark.parametrize(
    "begun",
    [
        b"\x16\x03\x01",
        b"\x00",
        b"GET\n",
        b"G\xffT",
        b"\r\n\r\n",
        b"{}",
        b"GET /" + b"a" * MAX_LINE_BYTES,
        b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 6000,
    ],
)
def test_what_can_be_no_request_is_refused_before_its_end(begun: bytes) -> None:
    refusal = doubt(begun)
    assert refusal is not None
    assert refusal.status == 400


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "get", "X"])
def test_everything_can_only_be_read(method: str) -> None:
    refusal = check_method(Request(method, "/any"))
    assert refusal is not None
    assert refusal.status == 405


def test_a_target_as_to_a_proxy_names_the_host() -> None:
    request = parse_head(b"GET HTTP://evil.example:1/a HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert isinstance(request, Request)
    assert (request.target, request.values("host")) == ("/a", ["evil.example:1"])
    assert check_method(Request("GET", "*")) is not None
