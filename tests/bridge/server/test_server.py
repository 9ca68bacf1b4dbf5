"""The live server on loopback: what subscribers get."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from support.busy import assert_within
from support.servers import Serve
from support.waiting import wait_until

from facewire.bridge.shared.errors import CommandError, ServeError
from facewire.bridge.wire.codec import decode_frame, decode_message
from facewire.bridge.wire.messages import Greeting


def next_message(client: Any, kind: str) -> dict[str, Any]:
    """Return the next message of a type, skipping others."""
    while True:
        opcode, payload = client.read_message()
        assert opcode in (1, 2), (opcode, payload)
        message = decode_message(payload.decode() if opcode == 1 else payload)
        if message["type"] == kind:
            return message


def tell(client: Any, message: dict[str, Any]) -> None:
    client.send_frame(1, json.dumps(message).encode())


def test_hello_comes_first_then_frames(serve: Serve, raw: Any) -> None:
    server = serve(greeting=Greeting(rate=30))
    client = raw(server, handshake=False)
    head = client.handshake()
    assert "Sec-WebSocket-Protocol: facewire.v1" in head
    assert "Extensions" not in head
    opcode, payload = client.read_frame()
    hello = decode_message(payload)
    assert (opcode, hello["type"], hello["protocol"], hello["rate"]) == (2, "hello", 1, 30.0)
    assert abs(hello["clock_ns"] - time.monotonic_ns()) < 5e9
    frames = [decode_frame(next_message(client, "frame")) for _ in range(10)]
    assert sum(b.seq - a.seq - 1 for a, b in pairwise(frames)) <= server.counts.overtaken
    assert frames[0].blendshapes[51] == 1


def test_offered_extension_and_further_subprotocols_are_fine(serve: Serve, raw: Any) -> None:
    client = raw(serve(), handshake=False)
    head = client.handshake(
        Sec_WebSocket_Protocol="facewire.v9, facewire.v1", Sec_WebSocket_Extensions="permessage-deflate"
    )
    assert "101" in head
    assert "Sec-WebSocket-Protocol: facewire.v1\r\n" in head
    assert "Extensions" not in head


def test_streams_and_json_are_sent_as_asked(serve: Serve, raw: Any) -> None:
    client = raw(serve())
    tell(client, {"type": "subscribe", "streams": ["head", "landmarks"], "format": "json"})
    opcode, message = 2, {"type": ""}
    while opcode == 2 or message["type"] != "frame":
        opcode, payload = client.read_message()
        message = decode_message(payload) if opcode == 2 else json.loads(payload)
    assert set(message) == {"type", "seq", "capture_ns", "publish_ns", "sources", "confidence", "head", "landmarks"}
    assert next_message(client, "status")["subscribers"] == 1


def test_ping_is_answered_at_once(serve: Serve, raw: Any) -> None:
    client = raw(serve(rate=0))
    tell(client, {"type": "ping", "client_ns": 11})
    pong = next_message(client, "pong")
    assert pong["client_ns"] == 11
    assert abs(pong["server_ns"] - time.monotonic_ns()) < 5e9


def test_max_rate_thins_the_stream(serve: Serve, raw: Any) -> None:
    client = raw(serve(rate=100))
    tell(client, {"type": "subscribe", "max_rate": 20})
    for _ in range(5):
        next_message(client, "frame")
    first = decode_frame(next_message(client, "frame"))
    for _ in range(20):
        last = decode_frame(next_message(client, "frame"))
    assert last.publish_ns - first.publish_ns > 0.9e9  # At 100 a second it would be 0.2 s.


def test_a_frame_that_breaks_the_format_is_left_out_and_the_stream_goes_on(
    serve: Serve, raw: Any, caplog: pytest.LogCaptureFixture
) -> None:
    server = serve(rate=0)
    client = raw(server)
    wait_until(lambda: server.subscribers == 1)
    good = example_frame()
    for seq in range(6):
        bad = seq in (2, 4)
        shapes = np.full(52, np.nan, np.float32) if bad else good.blendshapes
        server.publish(replace(good, seq=seq, blendshapes=shapes))
        done = seq + 1
        wait_until(lambda: server.counts.sent + server.counts.refused == done)  # noqa: B023
    assert [next_message(client, "frame")["seq"] for _ in range(4)] == [0, 1, 3, 5]
    assert server.counts.refused == 2
    assert len([record for record in caplog.records if "not finite" in record.message]) == 1


def example_frame() -> Any:
    from facewire.bridge.wire.frame import FaceFrame

    return FaceFrame(0, 1, 2, "video", 1.0, np.zeros(52, np.float32), np.zeros(7, np.float32), np.zeros(4, np.float32))


def test_commands_answer_and_never_stall_the_stream(serve: Serve, raw: Any) -> None:
    release = threading.Event()

    def refuse(_: Any) -> None:
        raise CommandError("no take is running")

    def crash(_: Any) -> None:
        raise ZeroDivisionError("secret detail")

    def wait(args: Any) -> dict[str, Any]:
        release.wait(10)
        return {"got": args["x"]}

    server = serve(commands={"wait": wait, "refuse": refuse, "crash": crash, "none": lambda _: None})
    client = raw(server)
    for command_id, name in enumerate(["wait", "refuse", "crash", "none", "dance"]):
        tell(client, {"type": "command", "id": command_id, "name": name, "args": {"x": [1]}})
    unknown = next_message(client, "result")  # Needs no handler, so it does not wait for its turn.
    assert (unknown["id"], unknown["ok"]) == (4, False)
    before = next_message(client, "frame")["seq"]
    for _ in range(20):
        after = next_message(client, "frame")["seq"]
    assert after >= before + 20
    release.set()
    results = [next_message(client, "result") for _ in range(4)]
    assert results[0] == {"type": "result", "id": 0, "ok": True, "value": {"got": [1]}}
    assert results[1] == {"type": "result", "id": 1, "ok": False, "error": "no take is running"}
    assert results[2]["ok"] is False
    assert "secret" not in results[2]["error"]
    assert results[3] == {"type": "result", "id": 3, "ok": True}


def test_status_carries_what_the_runtime_says_and_the_servers_own_counts(serve: Serve, raw: Any) -> None:
    client = raw(serve(status=lambda: {"rates": {"publish": 59.5}, "subscribers": "not yours to say"}))
    status = next_message(client, "status")
    assert status["rates"] == {"publish": 59.5}
    assert status["subscribers"] == 1
    while status["fanout"]["sent"] <= 10:  # A busy machine publishes slowly.
        status = next_message(client, "status")
    assert status["fanout"]["sent"] <= status["fanout"]["published"]


@pytest.mark.parametrize("bad", [lambda: 1 / 0, lambda: {"devices": object()}, lambda: None])
def test_a_broken_status_call_stops_nothing(serve: Serve, raw: Any, bad: Any) -> None:
    client = raw(serve(status=bad))
    for _ in range(80):
        next_message(client, "frame")


def test_stop_closes_everybody_with_1001_within_a_second(serve: Serve, raw: Any) -> None:
    assert_within(1.0, lambda: stop_among_many(serve, raw))


def stop_among_many(serve: Serve, raw: Any) -> float:
    """Return how long it took to stop, in s."""
    server = serve(rate=200)
    polite = [raw(server) for _ in range(20)]
    stalled = raw(server, receive_buffer=4096)
    tell(stalled, {"type": "subscribe", "streams": ["landmarks"]})
    silent = raw(server, handshake=False)  # Connected, never shook hands.
    wait_until(lambda: server.counts.replaced > 0)
    codes: list[int] = []
    readers = [threading.Thread(target=lambda c=c: codes.append(answer_close(c)), daemon=True) for c in polite]
    for reader in readers:
        reader.start()
    began = time.monotonic()
    server.stop()
    took_s = time.monotonic() - began
    for reader in readers:
        reader.join()
    assert codes == [1001] * 20
    assert silent.close_code() == 1006
    server.publish(example_frame())
    server.stop()
    return took_s


def answer_close(client: Any) -> int:
    code = client.close_code()
    client.send_frame(8, code.to_bytes(2, "big"))
    return int(code)


def test_restart_on_the_same_port_works_at_once(serve: Serve, raw: Any) -> None:
    first = serve()
    client = raw(first)
    next_message(client, "frame")
    first.stop()
    second = serve(port=first.address[1])
    next_message(raw(second), "frame")


def test_a_taken_port_and_a_foreign_address_are_one_clear_line(serve: Serve) -> None:
    taken = serve(rate=0).address[1]
    with pytest.raises(ServeError, match=rf"cannot listen on 127\.0\.0\.1 port {taken}"):
        serve(port=taken)
    with pytest.raises(ServeError, match=r"cannot listen on 203\.0\.113\.7"):
        serve(host="203.0.113.7")
    with pytest.raises(ServeError, match=r"cannot listen on no\.such\.host\.invalid"):
        serve(host="no.such.host.invalid")
    with pytest.raises(ServeError, match=r"cannot listen on no\.\.host"):
        serve(host="no..host")
    with pytest.raises(ServeError, match=r"port 70000"):
        serve(port=70_000)


def test_only_other_addresses_than_loopback_get_a_token(serve: Serve) -> None:
    assert serve(rate=0).token is None
    everywhere = serve(rate=0, host="0.0.0.0")
    assert everywhere.token is not None
    assert len(everywhere.token) >= 32
    assert everywhere.url == f"ws://127.0.0.1:{everywhere.address[1]}/v1/live?token={everywhere.token}"
    assert serve(rate=0, token="given").token == "given"


def test_publish_costs_the_caller_nothing_that_grows(serve: Serve) -> None:
    server = serve(rate=0)
    frame = example_frame()
    for _ in range(20_000):
        server.publish(frame)
    assert server.counts.published == 20_000
    assert server.counts.overtaken > 10_000  # One slot: the newest wins.
