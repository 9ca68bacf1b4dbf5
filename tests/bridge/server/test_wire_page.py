"""The numbers of docs/wire.md are the server's, and what it says of every message holds on a real connection."""

from __future__ import annotations

import re
import socket
import time
import uuid
from dataclasses import fields
from typing import Any

import pytest
from support.paths import ROOT
from support.servers import Serve
from support.talk import ask, next_message, tell

from facewire.bridge.server import commands, connection, endpoint, hub, server_protocol
from facewire.bridge.server.arrival.arrivals import Guesses
from facewire.bridge.server.config import DEFAULT_PORT, ServerConfig
from facewire.bridge.wire import messages

PAGE = (ROOT / "docs" / "wire.md").read_text("utf-8")


def rows(heading: str) -> dict[str, str]:
    """Return the rows of a section's tables by their first cell."""
    section = re.split(r"\n#{2,3} ", PAGE.partition(f"# {heading}\n")[2])[0]
    cells = [line.strip("| ").split(" | ", 1) for line in section.splitlines() if line.startswith("| ")]
    return {first: rest[0] for first, *rest in cells if rest}


def test_the_limits_that_are_told_are_the_servers() -> None:
    told, config = rows("4 Limits"), ServerConfig()
    for what, numbers in {
        "a client's message, all fragments together": [f"{messages.MAX_CLIENT_MESSAGE_BYTES:,} bytes"],
        "a client's messages": [
            f"{server_protocol.CLIENT_MESSAGES_PER_S:g} a second", f"{server_protocol.CLIENT_MESSAGE_BURST} at once",
        ],
        "a client's commands in work": [f"{connection.MAX_COMMANDS_PER_CONNECTION};"],
        "commands in work, of all clients": [f"{commands.MAX_WAITING} "],
        "time until a command has its answer": [f"{commands.DEADLINE_S:g} s"],
        "a client's websocket frames, pings and fragments included": [
            f"{connection.FRAMES_PER_S:g} a second", f"{connection.FRAME_BURST} at once",
        ],
        "handshake, TLS's included": [f"{config.handshake_timeout_s:g} s"],
        "connections that have not finished their handshake or shown their token": [
            f"{endpoint.MAX_ARRIVALS * 5 // 8} of one address", f"{endpoint.MAX_ARRIVALS} of all",
        ],
        "websockets": [f"{config.max_connections}, "],
        "a page, from the request to the end of reading it": [f"{endpoint.ANSWER_S:g} s"],
        "what a client is owed and does not take": [
            f"nothing taken for {config.stall_timeout_s:g} s", f"in {hub.SLOWEST * config.stall_timeout_s:g} s",
        ],
        "a server's message": [f"{messages.MAX_SERVER_MESSAGE_BYTES // 2**20} MiB"],
    }.items():  # fmt: skip
        for number in numbers:
            assert number in told[what] + " ", what
    assert f"{DEFAULT_PORT} unless told otherwise" in PAGE
    assert f"up to {Guesses.MOST_S:g} s" in PAGE
    assert "the same one runs for four clients at once" in PAGE
    assert commands.LOOKERS == 4
    assert f"keep-alive ping for {config.keepalive_s:g} s" in PAGE


@pytest.mark.skipif(not hasattr(socket, "TCP_NOTSENT_LOWAT"), reason="this system cannot limit what is unsent")
def test_what_the_system_holds_unsent_is_limited() -> None:
    with socket.socket() as plain:
        hub.limit_unsent(plain)
        assert plain.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT) <= 8 * 1024


def test_a_right_subscribe_has_no_answer_and_a_session_is_a_uuid(serve: Serve, raw: Any) -> None:
    client = raw(serve())
    assert uuid.UUID(next_message(client, "hello")["session"])
    tell(client, {"type": "subscribe", "streams": ["head", "nobody's"], "max_rate": 5})
    tell(client, {"type": "ping", "client_ns": 1})
    assert next_message(client, "pong", "error", "result")["type"] == "pong"


def test_a_status_comes_about_once_a_second_with_the_counts_that_are_listed(serve: Serve, raw: Any) -> None:
    client = raw(serve(rate=0))
    next_message(client, "status")
    began = time.monotonic()
    for _ in range(2):
        status = next_message(client, "status")
    assert time.monotonic() - began > 1.5  # a loaded machine may take longer
    listed = set(re.findall(r"`(\w+)`", rows("3.5 status")["`fanout`"]))
    assert set(status["fanout"]) == listed == {field.name for field in fields(hub.FanoutCounts)} | {"problems"}


def test_of_what_waits_the_newest_of_each_kind_is_kept_and_sent_when_there_is_room() -> None:
    slow, sent = hub.Subscriber(hub.FanoutCounts()), []
    slow.is_open = slow.paused = True
    slow.write = sent.append  # type: ignore[method-assign]
    for kind in ("frame", "status"):
        for data in (b"old", b"new"):
            assert slow.offer(kind, kind.encode() + data) is False
    slow.reply(b"pong")
    assert sent == []
    slow.paused = False
    slow.send_waiting()
    assert sent == [b"pong", b"framenew", b"statusnew"]
    assert slow.counts.replaced == 2


def test_an_internal_error_closes_with_1011(serve: Serve, raw: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    client = raw(serve(rate=0))

    def fail(*_: Any) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(server_protocol.ServerProtocol, "receive", fail)
    tell(client, {"type": "ping", "client_ns": 1})
    assert client.close_code() == 1011


def test_previews_go_to_whoever_wants_them_in_msgpack_alone(serve: Serve, raw: Any) -> None:
    server = serve(rate=0)
    wants, reads_json, other = raw(server), raw(server), raw(server)
    tell(wants, {"type": "subscribe", "streams": ["preview"]})
    tell(reads_json, {"type": "subscribe", "streams": ["preview"], "format": "json"})
    for client in (wants, reads_json, other):
        ask(client, "unknown")  # what was sent before has been read
    server.publish_preview({"type": "preview", "capture_ns": 1, "width": 2, "height": 2, "jpeg": b"\xff\xd8"})
    assert next_message(wants, "preview")["jpeg"] == b"\xff\xd8"
    for client in (reads_json, other):
        assert next_message(client, "preview", "status")["type"] == "status"


def test_a_refusal_is_one_line(serve: Serve, raw: Any) -> None:
    for change in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}, {"Upgrade": None}, {"Host": None}):
        client = raw(serve(rate=0), handshake=False)
        head = client.handshake(**change)
        size = int(re.search(r"Content-Length: (\d+)", head)[1])  # type: ignore[index]
        body = client._read(size + 1)  # and nothing after it: the connection is closed
        assert len(body) == size
        assert body.count(b"\n") == 1
        assert body.endswith(b"\n")
        assert "text/plain" in head
