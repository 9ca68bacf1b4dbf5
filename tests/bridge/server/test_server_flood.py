"""Floods from loopback, bounded in count and time: what the server holds, whom it still lets in, what it answers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from support.servers import RawClient, Serve
from support.waiting import wait_until

from facewire.bridge.server.hub import FanoutCounts, Subscriber
from facewire.bridge.server.pages import load_pages
from facewire.bridge.server.server import LiveServer, allow_open_files

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
OWED_BYTES = 128 * 1024


def owed(server: LiveServer) -> int:
    """Return the most that any client is owed, in bytes."""
    assert server._endpoint is not None
    found = [0]
    for connection in list(server._endpoint.connections):
        with contextlib.suppress(NotImplementedError):  # It is not connected yet.
            found.append(connection.transport.get_write_buffer_size())
    return max(found)


def flood(client: RawClient, data: bytes, server: LiveServer, *, per_s: int, limit_s: float) -> int:
    """Send ``data`` again and again without ever reading, until the server hangs up; return the most that it owed."""
    client.socket.settimeout(0.05)
    most, began, sent = 0, time.monotonic(), 0
    while (spent := time.monotonic() - began) < limit_s:
        try:
            if sent < spent * per_s:
                client.socket.sendall(data)
                sent += 1
            else:
                time.sleep(0.001)
        except TimeoutError:  # It does not read any more: what it should do.
            pass
        except OSError:
            return most
        most = max(most, owed(server))
    raise AssertionError(f"it was not hung up on in {limit_s} s")


def masked(opcode: int, payload: bytes) -> bytes:
    return bytes([0x80 | opcode, 0x80 | len(payload)]) + bytes(4) + payload


@pytest.mark.parametrize(
    "data",
    [
        masked(PING, b"x" * 125),
        masked(TEXT, b'{"type":"nothing of the kind"}'),
        masked(TEXT, b'{"type":"command","id":1,"name":"long","args":{}}'),
    ],
    ids=["pings", "errors", "results"],
)
def test_a_client_that_sends_and_never_reads_is_owed_little_and_hung_up_on(serve: Serve, raw: Any, data: bytes) -> None:
    server = serve(rate=100, stall_timeout_s=1.0, commands={"long": lambda _: {"text": "x" * 5000}})
    good = raw(server)
    hostile = raw(server, receive_buffer=4096)
    assert flood(hostile, data, server, per_s=190, limit_s=90) < OWED_BYTES
    wait_until(lambda: server.subscribers == 1)
    assert server.counts.stalled == 1
    next_seqs(good, 20)


def test_a_flood_of_pings_is_closed_with_1008(serve: Serve, raw: Any) -> None:
    client = raw(serve())
    sender = threading.Thread(target=lambda: [client.send_frame(PING, b"") for _ in range(15_000)], daemon=True)
    sender.start()
    assert client.close_code() in (1008, 1006)  # A reset may overtake it where the flood still fills the socket.
    sender.join()


def test_a_ping_is_answered_and_the_answers_are_in_order(serve: Serve, raw: Any) -> None:
    client = raw(serve(rate=0))
    for i in range(300):
        client.send_frame(PING, str(i).encode())
    pongs: list[bytes] = []
    while len(pongs) < 300:
        opcode, payload = client.read_frame()
        if opcode == PONG:
            pongs.append(payload)
    assert pongs == [str(i).encode() for i in range(300)]


class SlowTransport(asyncio.Transport):
    """Holds what is written until somebody takes it."""

    waiting = 0

    def write(self, data: Any) -> None:
        self.waiting += len(data)

    def get_write_buffer_size(self) -> int:
        return self.waiting


def test_what_a_client_takes_counts_and_not_what_it_is_sent_meanwhile() -> None:
    subscriber = Subscriber(FanoutCounts())
    assert not subscriber.overdue(0, 10)  # It has no transport yet.
    subscriber.transport = transport = SlowTransport()
    subscriber.write(b"x" * 100)
    subscriber.paused = True
    assert not subscriber.overdue(0, 10)
    subscriber.write(b"x" * 50)  # A pong: more is owed now, and nothing was taken.
    assert not subscriber.overdue(9, 10)
    assert subscriber.overdue(10, 10)
    transport.waiting -= 1
    assert not subscriber.overdue(11, 10)
    transport.waiting -= 1
    assert not subscriber.overdue(20, 10)
    transport.waiting -= 1
    assert not subscriber.overdue(29, 10)
    transport.waiting -= 1
    assert subscriber.overdue(30, 10)  # In drops, for three times as long.
    subscriber.send_waiting()  # It has drained meanwhile.
    assert not subscriber.overdue(31, 10)


def test_whoever_asks_for_a_page_and_does_not_read_it_is_hung_up_on(serve: Serve, raw: Any) -> None:
    server = serve(rate=0, stall_timeout_s=0.5)
    assert server._endpoint is not None
    for _ in range(20):
        client = raw(server, handshake=False, receive_buffer=4096)
        client.socket.sendall(b"GET /head.bin HTTP/1.1\r\nHost: localhost\r\n\r\n")
        raw(server, handshake=False)
    wait_until(lambda: server.counts.stalled == 20)
    assert owed(server) == 0


def test_a_client_whose_commands_take_long_is_still_there(serve: Serve, raw: Any) -> None:
    """While its commands are in work nothing is read from it, its answers to pings neither: that is not its fault."""
    release = threading.Event()
    server = serve(rate=0, keepalive_s=0.2, stall_timeout_s=0.4, commands={"wait": lambda _: release.wait(60) and None})
    client = raw(server)
    for i in range(20):
        client.send_frame(TEXT, json.dumps({"type": "command", "id": i, "name": "wait"}).encode())
    time.sleep(1.5)
    release.set()
    answered = 0
    while answered < 20:
        opcode, payload = client.read_message()
        assert opcode == BINARY
        answered += b"result" in payload
    assert client.close_code() == 1011  # Now it does not answer: this reads, and never writes.


def next_seqs(client: Any, count: int) -> list[int]:
    """Return the ``seq`` of the next ``count`` frames, in msgpack."""
    from facewire.bridge.wire.codec import decode_message

    found: list[int] = []
    while len(found) < count:
        _, payload = client.read_message()
        message = decode_message(payload)
        if message["type"] == "frame":
            found.append(message["seq"])
    return found


@pytest.fixture
def idle() -> Iterator[list[socket.socket]]:
    allow_open_files()
    connections: list[socket.socket] = []
    yield connections
    for connection in connections:
        connection.close()


@pytest.mark.parametrize("begun", [b"", b"GET / HTTP/1.1\r\nX: ", b"GET /v1/live HTTP/1.1\r\n"])
def test_idle_connections_shut_nobody_out(serve: Serve, raw: Any, idle: list[socket.socket], begun: bytes) -> None:
    """The next client gets in at once, not when the idle ones have met their deadline, which here is never."""
    server = serve(handshake_timeout_s=3600.0)
    subscriber = raw(server)
    for _ in range(1300):
        connection = socket.create_connection(("127.0.0.1", server.address[1]), timeout=60)
        idle.append(connection)
        with contextlib.suppress(OSError):
            connection.sendall(begun)
    assert raw(server, handshake=False).handshake().startswith("HTTP/1.1 101")
    assert server._endpoint is not None
    assert len(server._endpoint.connections) <= 1024
    wait_until(lambda: server.subscribers == 2)
    next_seqs(subscriber, 10)


def test_five_hundred_that_connect_first_and_shake_hands_later_are_let_in(
    serve: Serve, raw: Any, idle: list[socket.socket]
) -> None:
    del idle  # It raises the limit of open files.
    server = serve(rate=0, handshake_timeout_s=60.0)
    clients = [raw(server, handshake=False) for _ in range(500)]
    assert all(client.handshake().startswith("HTTP/1.1 101") for client in clients)
    wait_until(lambda: server.subscribers == 500)


def test_a_trickling_request_has_one_deadline(serve: Serve, raw: Any) -> None:
    client = raw(serve(handshake_timeout_s=1.0), handshake=False)
    client.socket.settimeout(0.05)
    ended = False
    for byte in b"GET / HTTP/1.1\r\nX: " + b"a" * 1000:
        try:
            client.socket.sendall(bytes([byte]))
            ended = client.socket.recv(1) == b""
        except TimeoutError:
            continue
        except OSError:
            ended = True
        if ended:
            break
    assert ended


def test_a_rush_of_connects_keeps_nobody_from_getting_frames(serve: Serve, raw: Any) -> None:
    """Bounded: 2000 connects, half of them with a handshake. What counts is that none is lost and frames flow on."""
    server = serve(rate=60)
    subscriber = raw(server)
    first = next_seqs(subscriber, 1)[0]
    done = threading.Event()

    def rush() -> None:
        for i in range(2000):
            with contextlib.suppress(OSError):
                client = RawClient(("127.0.0.1", server.address[1]))
                if i % 2:
                    client.handshake()
                client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                client.close()
        done.set()

    threading.Thread(target=rush, daemon=True).start()
    seqs: list[int] = []
    while not done.is_set():
        seqs += next_seqs(subscriber, 5)
    lost = sum(b - a - 1 for a, b in pairwise([first, *seqs]))
    assert lost <= server.counts.overtaken + server.counts.replaced
    wait_until(lambda: server.subscribers == 1)
    assert server._endpoint is not None
    wait_until(lambda: len(server._endpoint.connections) == 1)  # type: ignore[union-attr]


def test_half_closed_connections_are_let_go(serve: Serve, raw: Any) -> None:
    server = serve()
    clients = [raw(server) for _ in range(20)] + [raw(server, handshake=False) for _ in range(20)]
    for client in clients:
        client.socket.shutdown(socket.SHUT_WR)
    assert server._endpoint is not None
    wait_until(lambda: not server._endpoint.connections)  # type: ignore[union-attr]


def ask(server: LiveServer, request: bytes) -> bytes:
    """Return all that is answered, with the sending side closed after the request, as netcat does."""
    with socket.create_connection(("127.0.0.1", server.address[1]), timeout=60) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        data = b""
        while part := connection.recv(65536):
            data += part
        return data


PATHS = sorted({*load_pages(), "/v1/live", "/flame.bin", "/nothing"})


@pytest.mark.parametrize("path", PATHS)
def test_every_path_answers_whatever_is_asked(serve: Serve, path: str) -> None:
    server = serve(rate=0)
    for request, statuses in (
        ("POST {} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc", {405}),
        ("PUT {} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", {405}),
        ("OPTIONS {} HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example\r\n\r\n", {405}),
        ("GET {} HTTP/2.0\r\nHost: localhost\r\n\r\n", {400}),
        ("GET {} HTTP/1.1\r\n\r\n", {400}),
        ("GET {}\r\n\r\n", {400}),
        ("GET {} HTTP/1.1\nHost: localhost\n\n", {400}),
        ("GET {} HTTP/1.1\r\nHost: localhost\r\nbad header\r\n\r\n", {400}),
        ("HEAD {} HTTP/1.1\r\nHost: localhost\r\n\r\n", {200, 404, 426}),
        ("GET {} HTTP/1.0\r\nHost: localhost\r\n\r\n", {200, 404, 426}),
    ):
        answer = ask(server, request.format(path).encode())
        head, end, body = answer.partition(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 "), request
        assert end, request
        assert int(answer.split()[1]) in statuses, request
        assert b"Allow: GET, HEAD" in head or b" 405 " not in head
        assert not body or not request.startswith("HEAD")


def test_the_preface_of_http2_and_of_tls_get_400(serve: Serve) -> None:
    server = serve(rate=0)
    for data in (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"):
        assert ask(server, data).startswith(b"HTTP/1.1 400 ")


def test_a_long_body_does_not_take_the_answer_away(serve: Serve) -> None:
    """Closing while a client still sends resets the connection, and the answer with it."""
    server = serve(rate=0)
    head = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3000000\r\n\r\n"
    assert ask(server, head + b"x" * 3_000_000).startswith(b"HTTP/1.1 405 ")


def test_a_client_without_subprotocol_gets_json_from_hello_on(serve: Serve, raw: Any) -> None:
    client = raw(serve(), handshake=False)
    head = client.handshake(Sec_WebSocket_Protocol=None)
    assert head.startswith("HTTP/1.1 101")
    assert "Sec-WebSocket-Protocol" not in head
    opcode, payload = client.read_frame()
    assert (opcode, json.loads(payload)["type"]) == (TEXT, "hello")
    assert json.loads(client.read_message()[1])["type"] == "frame"
    client.send_frame(TEXT, b'{"type":"subscribe","streams":["head"]}')  # Names no format: JSON stays.
    for _ in range(30):
        assert client.read_message()[0] == TEXT
    client.send_frame(TEXT, b'{"type":"subscribe","format":"msgpack"}')
    while client.read_message()[0] != BINARY:
        pass


def guess(server: LiveServer, token: str) -> str:
    client = RawClient(("127.0.0.1", server.address[1]), path=f"/v1/live?token={token}")
    try:
        return client.handshake().split()[1]
    finally:
        client.close()


def test_wrong_tokens_are_slowed_and_the_right_one_is_not(serve: Serve) -> None:
    server = serve(host="0.0.0.0", token="right", rate=0)
    stop = threading.Event()
    tried = [0] * 8

    def attack(number: int) -> None:
        while not stop.is_set():
            assert guess(server, f"wrong{number}") == "401"
            tried[number] += 1

    threads = [threading.Thread(target=attack, args=(number,), daemon=True) for number in range(8)]
    for thread in threads:
        thread.start()
    wait_until(lambda: server._endpoint._guesses._wrong["127.0.0.1"][0] >= 20)  # type: ignore[union-attr]
    before, began = sum(tried), time.monotonic()
    for _ in range(20):
        assert guess(server, "right") == "101"
    right_s = time.monotonic() - began
    assert sum(tried) - before <= 8 * (1 + right_s)  # Each waits for more than a second.
    stop.set()
    for thread in threads:
        thread.join()
    assert guess(server, "right") == "101"


def test_a_missing_token_is_no_guess(serve: Serve, raw: Any) -> None:
    server = serve(host="0.0.0.0", token="right", rate=0)
    for _ in range(50):
        assert raw(server, handshake=False).handshake().split()[1] == "401"
    assert server._endpoint is not None
    assert not server._endpoint._guesses._wrong
