"""The protocol's pure core on both sides, fed with literal bytes."""

from __future__ import annotations

import pytest
from support.paths import GOLDEN

from facewire.bridge.client.client_protocol import ClientProtocol, ping_message, subscribe_message
from facewire.bridge.server.server_protocol import Close, Command, Reply, ServerProtocol, Subscribe, Subscription
from facewire.bridge.shared.errors import ConnectError, WireError
from facewire.bridge.wire.codec import Encoder, decode_frame, decode_message
from facewire.bridge.wire.frame import FaceFrame
from facewire.bridge.wire.messages import Greeting, result_message


def golden(name: str) -> bytes:
    return (GOLDEN / f"{name}.msgpack").read_bytes()


def only(actions: list[object]) -> object:
    assert len(actions) == 1
    return actions[0]


def test_ping_is_answered_with_the_session_clock() -> None:
    ping = b"\x82\xa4type\xa4ping\xa9client_ns\xce\x3a\xde\x68\xb1"
    actions = ServerProtocol().receive(ping, now_ns=1_234_000_500_000)
    assert actions == [Reply(decode_message(golden("pong")))]


@pytest.mark.parametrize("value", ["-1", "9223372036854775808", "1.0", "true", "null", '"1"'])
def test_a_ping_without_an_integer_is_an_error(value: str) -> None:
    action = only(ServerProtocol().receive('{"type":"ping","client_ns":' + value + "}", 0))
    assert isinstance(action, Reply)
    assert action.message["code"] == "bad_message"


def test_an_integer_may_have_any_width() -> None:
    wide = b"\x82\xa4type\xa4ping\xa9client_ns\xcf" + bytes(7) + b"\x05"
    assert only(ServerProtocol().receive(wide, 1)) == Reply({"type": "pong", "client_ns": 5, "server_ns": 1})


def test_text_is_json() -> None:
    actions = ServerProtocol().receive('{"type":"ping","client_ns":3}', now_ns=4)
    assert actions == [Reply({"type": "pong", "client_ns": 3, "server_ns": 4})]


def test_subscribe_replaces_the_subscription_as_a_whole() -> None:
    protocol = ServerProtocol()
    everything = Subscription(frozenset({"blendshapes", "head", "gaze", "landmarks", "flame"}), "json", 30)
    assert protocol.receive(golden("subscribe_all"), 0) == [Subscribe(everything)]
    assert protocol.subscription == everything
    assert protocol.receive(b"\x81\xa4type\xa9subscribe", 0) == [Subscribe(Subscription())]


def test_subscribe_skips_streams_that_it_does_not_know() -> None:
    action = only(ServerProtocol().receive('{"type":"subscribe","streams":["head","smell"]}', 0))
    assert action == Subscribe(Subscription(frozenset({"head"})))


@pytest.mark.parametrize(
    "keys",
    [
        '"streams":"head"',
        '"streams":[1]',
        '"format":"xml"',
        '"format":[]',
        '"max_rate":0',
        '"max_rate":true',
        '"max_rate":"9"',
    ],
)
def test_a_wrong_subscribe_is_an_error_and_changes_nothing(keys: str) -> None:
    protocol = ServerProtocol()
    protocol.receive('{"type":"subscribe","streams":["head"]}', 0)
    action = only(protocol.receive('{"type":"subscribe",' + keys + "}", 0))
    assert isinstance(action, Reply)
    assert action.message["code"] == "bad_message"
    assert protocol.subscription.streams == {"head"}


def test_commands_are_handed_on() -> None:
    protocol = ServerProtocol()
    assert protocol.receive(golden("command"), 0) == [Command(7, "set", {"mirror": True})]
    assert protocol.receive(golden("command_text_id"), 0) == [Command("b1946ac9", "calibrate", {})]
    longest = '"id":"' + 64 * "i" + '","name":"' + 64 * "n" + '"'
    assert protocol.receive('{"type":"command",' + longest + "}", 0) == [Command(64 * "i", 64 * "n", {})]


@pytest.mark.parametrize(
    "keys",
    [
        '"name":"x"',
        '"id":-1,"name":"x"',
        '"id":1',
        '"id":true,"name":"x"',
        '"id":1,"name":""',
        '"id":1,"name":"x","args":[]',
        '"id":9223372036854775808,"name":"x"',
        '"id":1.5,"name":"x"',
        '"id":null,"name":"x"',
        '"id":"' + 65 * "i" + '","name":"x"',
        '"id":1,"name":"' + 65 * "n" + '"',
    ],
)
def test_a_wrong_command_is_an_error(keys: str) -> None:
    action = only(ServerProtocol().receive('{"type":"command",' + keys + "}", 0))
    assert isinstance(action, Reply)
    assert action.message["code"] == "bad_message"


def test_unknown_keys_are_skipped_and_unknown_types_answered() -> None:
    assert ServerProtocol().receive(golden("unknown_key"), 5) == [
        Reply({"type": "pong", "client_ns": 1, "server_ns": 5})
    ]
    action = only(ServerProtocol().receive(golden("unknown_type"), 0))
    assert action == Reply({"type": "error", "code": "unknown_type", "message": "unknown message type 'wave'"})


@pytest.mark.parametrize("data", [b"\xc1", b"", b"\x01", b"\x81\xa4type", "no json", "[]", b"\x81\x01\x02"])
def test_garbage_is_answered_and_closed_with_1007(data: bytes | str) -> None:
    reply, close = ServerProtocol().receive(data, 0)
    assert isinstance(reply, Reply)
    assert reply.message["code"] == "malformed"
    assert isinstance(close, Close)
    assert close.code == 1007
    assert len(close.reason.encode()) <= 123  # RFC 6455, 5.5: a control frame holds 125 bytes, two of them the code.


def test_a_flood_is_closed_with_1008() -> None:
    protocol = ServerProtocol()
    for i in range(400):
        assert len(protocol.receive(golden("ping"), i)) == 1
    _, close = protocol.receive(golden("ping"), 400)
    assert isinstance(close, Close)
    assert close.code == 1008


def test_hello_and_results_are_the_golden_ones() -> None:
    hello = decode_message(golden("hello"))
    greeting = Greeting(session=hello["session"], rate=60, streams=tuple(hello["streams"]))
    assert greeting.message(1_234_000_000_000) == {**hello, "server": greeting.message(0)["server"]}
    hello = decode_message(golden("hello_flame"))
    greeting = Greeting(hello["session"], 60, tuple(hello["streams"]), hello["flame"])
    assert greeting.message(1_234_000_000_000) == {**hello, "server": greeting.message(0)["server"]}
    assert result_message(7) == decode_message(golden("result"))
    assert result_message("b1946ac9", value={"path": "take-1.mcap"}) == decode_message(golden("result_value"))
    assert result_message(7, error="unknown command 'dance'") == decode_message(golden("result_error"))


def test_client_learns_from_every_message() -> None:
    client = ClientProtocol()
    assert client.receive(golden("hello"), 0) is None
    assert client.hello is not None
    assert client.hello["rate"] == 60.0
    client.receive(golden("status"), 0)
    assert client.status is not None
    client.receive(golden("error"), 0)
    assert client.error is not None
    assert client.receive(golden("unknown_type"), 0) is None
    assert client.receive(golden("result"), 0) == {"type": "result", "id": 7, "ok": True}


def test_nil_is_absent_to_the_client() -> None:
    client = ClientProtocol()
    client.receive(golden("nil_hello"), 0)
    assert client.hello is not None
    assert not {"flame", "extra"} & set(client.hello)
    client.receive(golden("nil_status"), 0)
    assert client.status == {"type": "status", "subscribers": 2}
    frame = client.receive(golden("nil_frame"), 0)
    bare = {key: value for key, value in decode_message(golden("nil_frame")).items() if value is not None}
    assert isinstance(frame, FaceFrame)
    assert (frame.video_ns, frame.audio_ns, frame.landmarks, frame.flame, frame.extra) == (None,) * 5
    assert frame.blendshapes is decode_frame(bare).blendshapes
    client.receive(
        '{"type":"hello","protocol":1,"session":"a","extra":{"brow":{"shape":[1],"names":null,"unit":null}}}', 0
    )
    extra = client.receive(
        '{"type":"frame","seq":1,"capture_ns":1,"publish_ns":1,"sources":"both","confidence":1,"brow":[3]}', 0
    )
    assert isinstance(extra, FaceFrame)
    assert extra.extra is not None
    assert extra.extra["brow"].tolist() == [3]


def test_the_client_skips_keys_that_it_does_not_know() -> None:
    client = ClientProtocol()
    for name in ("hello", "status", "result", "pong", "error", "frame"):
        message = {**decode_message(golden(name)), "colour": {"any": [None, {"thing": 1.5}]}}
        client.receive(Encoder().message(message), 0)
    assert client.received == 1
    assert client.hello is not None


def test_nil_is_absent_to_the_server() -> None:
    protocol = ServerProtocol("json")
    assert only(protocol.receive(golden("nil_subscribe"), 0)) == Subscribe(Subscription(format="json"))
    assert only(protocol.receive(golden("nil_command"), 0)) == Command(7, "calibrate", {})


def test_client_estimates_clock_and_latency() -> None:
    client = ClientProtocol()
    assert client.latency_ns is None
    client.receive(golden("pong"), 987_654_321 + 1_000_000)
    assert client.clock.round_trip_ns == 1_000_000
    assert client.clock.offset_ns == 1_234_000_500_000 - 987_654_321 - 500_000
    arrived_ns = 1_234_575_890_456 + 2_000_000 - client.clock.offset_ns
    assert isinstance(client.receive(golden("frame"), arrived_ns), FaceFrame)
    assert client.latency_ns == 2_000_000


def test_client_counts_the_gaps_in_seq() -> None:
    client = ClientProtocol()
    frame = golden("frame")
    for seq in (10, 11, 15):
        client.receive(frame.replace(b"\xa3seq\xcd\x10\x92", b"\xa3seq\xcd\x00" + bytes([seq])), 0)
    assert (client.received, client.missed) == (3, 3)


def test_client_begins_anew_with_another_session() -> None:
    """A restarted server's clock and ``seq`` are others: the old ones would say odd latencies, and frames that were
    never there are not missing."""
    client = ClientProtocol()
    frame = golden("frame")
    for session, seq, clock_ns in (("a", 10, 5_000_000_000), ("b", 200, 1_000)):
        client.receive(f'{{"type":"hello","protocol":1,"session":"{session}"}}', 0)
        assert client.latency_ns is None
        client.receive(frame.replace(b"\xa3seq\xcd\x10\x92", b"\xa3seq\xcd\x00" + bytes([seq])), 0)
        client.receive(f'{{"type":"pong","client_ns":0,"server_ns":{clock_ns}}}', 0 if session == "a" else 10)
        assert client.clock.offset_ns == clock_ns - (0 if session == "a" else 5)
        client.receive(f'{{"type":"hello","protocol":1,"session":"{session}"}}', 0)
        assert client.clock.round_trip_ns is not None
        client.receive(frame.replace(b"\xa3seq\xcd\x10\x92", b"\xa3seq\xcd\x00" + bytes([seq + 1])), 0)
        assert client.latency_ns is not None
    assert client.missed == 0


def test_client_refuses_another_protocol_version_and_garbage() -> None:
    client = ClientProtocol()
    with pytest.raises(ConnectError, match="protocol 2"):
        client.receive('{"type":"hello","protocol":2}', 0)
    with pytest.raises(WireError):
        client.receive(b"\xc1", 0)
    with pytest.raises(WireError):
        client.receive('{"type":"pong","client_ns":"1","server_ns":2}', 0)
    with pytest.raises(WireError):
        client.receive('{"type":"result","id":[7],"ok":true}', 0)


def test_client_messages_are_read_by_the_server() -> None:
    assert subscribe_message(None, None) is None
    assert subscribe_message(["head"], 5) == {"type": "subscribe", "streams": ["head"], "max_rate": 5}
    assert ping_message(987_654_321) == decode_message(golden("ping"))
