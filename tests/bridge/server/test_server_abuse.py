"""What clients get that break the rules, are not welcome, or do not read: and the stream goes on for everybody else."""

from __future__ import annotations

import json
import logging
import os
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from support.busy import slowness
from support.paths import GOLDEN
from support.servers import Serve
from support.waiting import wait_until

from facewire.bridge.server.server import LiveServer, allow_open_files
from facewire.bridge.shared.errors import ServeError
from facewire.bridge.wire.codec import decode_message

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


@pytest.fixture
def onlooker(serve: Serve, raw: Any) -> Iterator[tuple[LiveServer, Any]]:
    """Start a server and a well-behaved subscriber, whose stream must not have suffered in the end."""
    server = serve(handshake_timeout_s=3.0)
    client = raw(server)
    seqs(client, 1)
    yield server, client
    before = server.counts.published
    while seqs(client, 1)[0] < before:  # Catch up with what was published meanwhile.
        pass
    assert missing(seqs(client, 30)) <= server.counts.overtaken


def seqs(client: Any, count: int) -> list[int]:
    """Return the ``seq`` of the next ``count`` frames."""
    found: list[int] = []
    while len(found) < count:
        opcode, payload = client.read_message()
        assert opcode == BINARY
        message = decode_message(payload)
        if message["type"] == "frame":
            found.append(message["seq"])
    return found


def missing(received: list[int]) -> int:
    """Return how many frames are missing between the first and the last; a loaded machine overtakes some."""
    assert received == sorted(set(received))
    return received[-1] - received[0] + 1 - len(received)


def errors_until_closed(client: Any) -> tuple[list[str], int]:
    """Return the codes of the error messages and the close code."""
    codes: list[str] = []
    while (frame := client.read_message())[0] not in (-1, CLOSE):
        message = decode_message(frame[1])
        if message["type"] == "error":
            codes.append(message["code"])
    return codes, int.from_bytes(frame[1][:2], "big") if frame[0] == CLOSE else 1006


def next_error(client: Any) -> str:
    """Return the code of the next error message."""
    while True:
        opcode, payload = client.read_message()
        if opcode == BINARY and (message := decode_message(payload))["type"] == "error":
            return str(message["code"])
        assert opcode in (BINARY, PONG)


@pytest.mark.parametrize(
    ("opcode", "payload"),
    [
        (BINARY, b"\xc1"),
        (BINARY, b""),
        (BINARY, os.urandom(1000)),
        (BINARY, b"\x93\x01\x02\x03"),
        (BINARY, b"\x91" * 60_000),
        (TEXT, b"hello"),
        (TEXT, b"[" * 60_000),
        (TEXT, b'{"type":null}'),
    ],
)
def test_garbage_is_answered_and_closed_with_1007(onlooker: Any, raw: Any, opcode: int, payload: bytes) -> None:
    client = raw(onlooker[0])
    client.send_frame(opcode, payload)
    assert errors_until_closed(client) == (["malformed"], 1007)


def test_text_that_is_not_utf8_is_closed_with_1007(onlooker: Any, raw: Any) -> None:
    client = raw(onlooker[0])
    client.send_frame(TEXT, b'{"type":"\xff"}')
    assert client.close_code() == 1007


def test_unknown_types_and_wrong_keys_are_answered_and_nothing_is_closed(onlooker: Any, raw: Any) -> None:
    client = raw(onlooker[0])
    for message in ({"type": "wave"}, {"type": "subscribe", "streams": 1}, {"type": "ping"}, {"type": "hello"}):
        client.send_frame(TEXT, json.dumps(message).encode())
    assert [next_error(client) for _ in range(4)] == ["unknown_type", "bad_message", "bad_message", "unknown_type"]
    client.send_frame(CLOSE, (1000).to_bytes(2, "big"))
    assert client.close_code() == 1000


def test_a_message_in_fragments_is_read_as_one(onlooker: Any, raw: Any) -> None:
    client = raw(onlooker[0])
    text = b'{"type":"wave"}'
    client.send_frame(TEXT, text[:1], fin=False)
    for i in range(1, len(text)):
        client.send_frame(PING, b"between")  # A ping may come between fragments (RFC 6455, 5.4).
        client.send_frame(CONTINUATION, text[i : i + 1], fin=i == len(text) - 1)
    assert next_error(client) == "unknown_type"


@pytest.mark.parametrize("pieces", [1, 3, 200])
def test_an_oversized_message_is_closed_with_1009(onlooker: Any, raw: Any, pieces: int) -> None:
    client = raw(onlooker[0])
    size = 65_536 // pieces + 1
    for i in range(pieces):
        client.send_frame(BINARY if i == 0 else CONTINUATION, b"x" * size, fin=i == pieces - 1)
    assert client.close_code() == 1009


def test_the_largest_message_that_is_allowed_is_read(onlooker: Any, raw: Any) -> None:
    client = raw(onlooker[0])
    message = b'{"type":"ping","client_ns":1,"pad":"' + b"x" * (65_536 - 38) + b'"}'
    assert len(message) == 65_536
    client.send_frame(TEXT, message)
    while decode_message(client.read_message()[1])["type"] != "pong":
        pass


def test_broken_websocket_frames_are_closed_with_1002(onlooker: Any, raw: Any) -> None:
    for opcode, options in ((BINARY, {"mask": False}), (3, {}), (0x42, {}), (CONTINUATION, {}), (PING, {"fin": False})):
        client = raw(onlooker[0])
        client.send_frame(opcode, b"x", **options)
        assert client.close_code() == 1002, opcode


def test_a_flood_is_closed_with_1008(onlooker: Any, raw: Any) -> None:
    client = raw(onlooker[0])
    for _ in range(1000):
        client.send_frame(TEXT, b'{"type":"ping","client_ns":1}')
    codes, close_code = errors_until_closed(client)
    assert codes in (["too_fast"], [])  # A reset may overtake them where the flood still fills the socket.
    assert close_code in (1008, 1006)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Host": "evil.example:8787"}, 403),
        ({"Host": None}, 400),
        ({"Sec_WebSocket_Protocol": None}, 101),
        ({"Sec_WebSocket_Protocol": None, "Origin": "http://evil.example"}, 403),
        ({"Sec_WebSocket_Protocol": "facewire.v2"}, 400),
        ({"Sec_WebSocket_Protocol": ""}, 101),
        ({"Sec_WebSocket_Key": "short"}, 400),
        ({"Upgrade": None}, 426),
        ({"Origin": "http://localhost:3000"}, 101),
    ],
)
def test_handshakes(onlooker: Any, raw: Any, headers: dict[str, str | None], status: int) -> None:
    client = raw(onlooker[0], handshake=False)
    assert client.handshake(**headers).splitlines()[0].split()[1] == str(status)


def test_every_address_but_loopback_needs_the_token(serve: Serve, raw: Any) -> None:
    server = serve(host="0.0.0.0", token="s3cret")
    for path, headers, status in (
        ("/v1/live", {}, 401),
        ("/v1/live?token=wrong", {}, 401),
        ("/v1/live", {"Authorization": "Bearer wrong"}, 401),
        ("/v1/live?token=s3cret", {}, 101),
        ("/v1/live", {"Authorization": "Bearer s3cret"}, 101),
        ("/v1/live?token=s3cret", {"Origin": "http://evil.example"}, 403),
        ("/v1/live?token=s3cret", {"Host": "evil.example"}, 403),
    ):
        client = raw(server, handshake=False, path=path)
        assert client.handshake(**headers).splitlines()[0].split()[1] == str(status), (path, headers)


def http(server: LiveServer, request: bytes) -> bytes:
    """Return everything that the server answers to these bytes until it hangs up."""
    with socket.create_connection(("127.0.0.1", server.address[1]), timeout=10) as connection:
        connection.sendall(request)
        data = b""
        try:
            while part := connection.recv(65536):
                data += part
        except ConnectionResetError:
            pass
        return data


def test_the_page_is_served_and_nothing_else(onlooker: Any) -> None:
    server = onlooker[0]
    page = http(server, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert page.startswith(b"HTTP/1.1 200")
    assert b"Content-Security-Policy: default-src 'none'" in page
    assert b"<!doctype html>" in page
    for path in (b"/../server.py", b"/%2e%2e/server.py", b"/page.py", b"//etc/passwd", b"/v1/live/x"):
        assert http(server, b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\n\r\n").startswith(b"HTTP/1.1 404"), path
    assert http(server, b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n").startswith(b"HTTP/1.1 403")
    # The library's older versions hang up on other methods without an answer.
    assert http(server, b"POST / HTTP/1.1\r\nHost: localhost\r\n\r\n")[:12] in (b"HTTP/1.1 405", b"HTTP/1.1 400", b"")


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # How TLS begins.
        os.urandom(5000),
        b"GET /\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 5000,
        b"\r\n\r\n",
    ],
)
def test_bytes_that_are_no_request_are_hung_up_on(onlooker: Any, data: bytes) -> None:
    assert not http(onlooker[0], data).startswith(b"HTTP/1.1 200")


def test_whoever_does_not_finish_the_handshake_is_hung_up_on(serve: Serve, raw: Any) -> None:
    client = raw(serve(handshake_timeout_s=1.0), handshake=False)
    client.socket.sendall(b"GET /v1/live HTTP/1.1\r\n")
    assert client.read_head() == ""


def test_a_subscriber_that_never_reads_is_dropped_and_holds_nobody_back(serve: Serve, raw: Any) -> None:
    server = serve(stall_timeout_s=0.5, rate=200)
    good = raw(server)
    stalled = raw(server, receive_buffer=4096)
    stalled.send_frame(TEXT, b'{"type":"subscribe","streams":["landmarks"]}')
    began, received = time.monotonic(), []
    while server.counts.stalled == 0:
        received += seqs(good, 1)
        assert time.monotonic() - began < 60
        for connection in list(server._endpoint.connections):  # type: ignore[union-attr]
            assert len(connection.pending) <= 2  # One frame, one status.
    assert server.counts.replaced > 10
    assert missing(received + seqs(good, 20)) <= server.counts.overtaken
    assert server.subscribers == 1


def test_a_subscriber_that_pauses_gets_the_newest_frame_next(serve: Serve, raw: Any) -> None:
    server = serve(rate=200)
    slow = raw(server, receive_buffer=4096)
    slow.send_frame(TEXT, b'{"type":"subscribe","streams":["landmarks"]}')
    seqs(slow, 5)
    before = server.counts.replaced
    wait_until(lambda: server.counts.replaced >= before + 200)
    newest = server.counts.published
    received = seqs(slow, 60)
    gaps = [b - a for a, b in pairwise(received)]
    straight = gaps.index(max(gaps)) + 1
    assert gaps[straight - 1] >= 100
    assert straight <= 20  # What waited in the network's buffers,
    assert received[straight] >= newest - 100  # then straight to the newest; a busy machine hands over late.
    assert received[-1] >= newest


def test_connections_over_the_limit_are_told_to_come_back(serve: Serve, raw: Any) -> None:
    server = serve(max_connections=3)
    clients = [raw(server) for _ in range(3)]
    refused = raw(server, handshake=False).handshake()
    assert refused.startswith("HTTP/1.1 503")
    assert "Retry-After" in refused
    clients[0].close()
    wait_until(lambda: raw(server, handshake=False).handshake().startswith("HTTP/1.1 101"), every_s=0.05)


def test_a_thousand_connections_get_the_same_frame(serve: Serve, raw: Any) -> None:
    allow_open_files(2500)  # Both ends are in this process.
    # Nobody answers pings while a busy machine opens the rest, which takes longer than a ping may.
    server = serve(rate=0, keepalive_s=3600.0)
    clients = [raw(server) for _ in range(1000)]
    wait_until(lambda: server.subscribers == 1000, timeout_s=120, every_s=0.02)
    from facewire.bridge.wire.codec import Encoder, decode_frame

    golden = GOLDEN / "frame.msgpack"
    frame = decode_frame(decode_message(golden.read_bytes()))
    server.publish(frame)
    for client in clients:
        while (got := client.read_message())[0] == BINARY and decode_message(got[1])["type"] != "frame":
            pass
        payload = got[1]
        assert payload == Encoder().frame(frame) == golden.read_bytes()
    began = time.monotonic()
    server.stop()
    assert time.monotonic() - began < 2.0 * slowness()


def test_each_kind_of_problem_is_logged_once(serve: Serve, raw: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    server = serve()
    for _ in range(5):
        raw(server, handshake=False).handshake(Origin="http://evil.example")
        client = raw(server)
        client.send_frame(BINARY, b"\xc1")
        client.close_code()
    lines = [record.getMessage() for record in caplog.records if record.name.startswith("facewire")]
    assert len(lines) == 2, lines
    assert all("\n" not in line for line in lines)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = f"openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout {key} -out {cert}"
    try:
        subprocess.run([*command.split(), "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("needs the openssl program to make a certificate")
    return cert, key


def test_tls_serves_the_same_stream(serve: Serve, raw: Any, certificate: tuple[Path, Path]) -> None:
    server = serve(certificate=certificate[0], key=certificate[1])
    assert server.url.startswith("wss://127.0.0.1:")
    client = raw(server, handshake=False)
    context = ssl.create_default_context(cafile=str(certificate[0]))
    client.socket = context.wrap_socket(client.socket, server_hostname="127.0.0.1")
    assert "101" in client.handshake()
    assert missing(seqs(client, 20)) <= server.counts.overtaken
    plain = raw(server, handshake=False)
    plain.socket.sendall(b"GET / HTTP/1.1\r\n\r\n")
    assert plain.close_code() == 1006
    seqs(client, 5)


def test_a_tls_subscriber_that_never_reads_is_dropped_too(
    serve: Serve, raw: Any, certificate: tuple[Path, Path]
) -> None:
    server = serve(certificate=certificate[0], key=certificate[1], stall_timeout_s=0.5, rate=200)
    context = ssl.create_default_context(cafile=str(certificate[0]))
    good, stalled = raw(server, handshake=False), raw(server, handshake=False, receive_buffer=4096)
    for client in (good, stalled):
        client.socket = context.wrap_socket(client.socket, server_hostname="127.0.0.1")
        assert "101" in client.handshake()
    stalled.send_frame(TEXT, b'{"type":"subscribe","streams":["landmarks"]}')
    began, received = time.monotonic(), []
    while server.counts.stalled == 0:
        received += seqs(good, 1)
        assert time.monotonic() - began < 60
    assert missing(received + seqs(good, 20)) <= server.counts.overtaken


def test_a_certificate_that_cannot_be_used_is_one_clear_line(serve: Serve, certificate: tuple[Path, Path]) -> None:
    for options in (
        {"certificate": certificate[0]},
        {"certificate": Path("/no/such/file"), "key": certificate[1]},
        {"certificate": Path(__file__), "key": certificate[1]},
    ):
        with pytest.raises(ServeError, match="certificate") as caught:
            serve(**options)
        assert "\n" not in str(caught.value)
