"""Texts and numbers that no message can carry: what cannot be written is left out, and nothing else is."""

from __future__ import annotations

import math
from typing import Any

import msgpack
import pytest
from support.servers import Serve
from support.talk import ask, next_message, tell

from facewire.bridge.server.server_protocol import Command, Reply, ServerProtocol
from facewire.bridge.shared.errors import CommandError, WireError
from facewire.bridge.shared.text import as_line, is_plain
from facewire.bridge.wire.codec import MAX_DEPTH, Encoder, decode_message
from facewire.bridge.wire.messages import Greeting

HALF = "\ud800"
"""Half a surrogate pair: JSON can write it, UTF-8 cannot."""


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


BAD: dict[str, Any] = {
    "half a pair": HALF,
    "a file's name": b"caf\xe9".decode("utf-8", "surrogateescape"),
    "an object": object(),
    "no number": math.nan,
    "infinite": math.inf,
    "too large": 1 << 80,
    "complex": 1j,
    "too deep": nested(5000),
    "a set": {1},
}


@pytest.mark.parametrize("form", ["msgpack", "json"])
@pytest.mark.parametrize("bad", BAD)
def test_one_part_that_cannot_be_written_does_not_take_the_others_with_it(form: Any, bad: str) -> None:
    message = {"type": "status", "devices": {"video": {"name": BAD[bad], "state": "running"}}, "rates": {"track": 60.0}}
    data, lost = Encoder().lenient(message, form)
    decoded = decode_message(data.decode() if form == "json" else data)
    assert decoded["rates"] == {"track": 60.0}
    assert decoded["devices"]["video"]["state"] == "running"
    assert "\ufffd" in str(decoded["devices"]["video"]["name"]) or bad not in ("half a pair", "a file's name")
    assert lost == ["devices.video.name"]


@pytest.mark.parametrize("form", ["msgpack", "json"])
def test_a_key_that_cannot_be_written_is_replaced_and_one_that_is_no_text_left_out(form: Any) -> None:
    data, lost = Encoder().lenient({"type": "status", "drops": {f"a{HALF}": 1, 7: 2, "b": 3}}, form)
    assert decode_message(data.decode() if form == "json" else data)["drops"] == {"a\ufffd": 1, "b": 3}
    assert lost


def test_what_is_right_goes_out_as_it_is() -> None:
    message = {"type": "status", "a": [1, 2.5, None, True, "é", (1, 2)], "jpeg": b"\xff", "m": {"x": nested(20)}}
    data, lost = Encoder().lenient(message)
    assert (data, lost) == (msgpack.packb(message), [])
    assert nested(MAX_DEPTH) is not None


@pytest.mark.parametrize("bad", BAD)
def test_every_subscriber_gets_the_rest_of_a_status(serve: Serve, raw: Any, bad: str) -> None:
    server = serve(rate=0, status=lambda: {"outputs": [{"id": BAD[bad], "state": "on"}], "rates": {"track": 1.0}})
    for form in ("msgpack", "json"):
        client = raw(server)
        tell(client, {"type": "subscribe", "format": form})
        status = next_message(client, "status")
        assert status["rates"] == {"track": 1.0}
        assert status["outputs"][0]["state"] == "on"


def test_hello_and_results_are_sent_whatever_is_in_them(serve: Serve, raw: Any) -> None:
    def fail(_: Any) -> None:
        raise CommandError(f"there is no file {HALF}")

    flame = {"model": b"caf\xe9.npz".decode("utf-8", "surrogateescape"), "digest": "0", "expressions": 1, "shapes": 1}
    commands = {"give": lambda _: {"file": HALF, "frames": 3}, "fail": fail}
    server = serve(rate=0, greeting=Greeting(flame=flame), commands=commands)
    for form in ("msgpack", "json"):
        client = raw(server)
        hello = next_message(client, "hello")
        assert (hello["flame"]["model"], hello["flame"]["digest"]) == ("caf\ufffd.npz", "0")
        tell(client, {"type": "subscribe", "format": form})
        assert ask(client, "give")["value"] == {"file": "\ufffd", "frames": 3}
        assert ask(client, "fail")["error"] == "there is no file \ufffd"


def test_a_status_that_hangs_or_fails_is_sent_without_what_the_run_says(
    serve: Serve, raw: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    from facewire.bridge.server import status

    monkeypatch.setattr(status, "LATE_S", 0.2)
    free = threading.Event()
    asked: list[int] = []

    def hang() -> dict[str, Any]:
        asked.append(1)
        free.wait(60)
        return {"rates": {"track": 2.0}}

    client = raw(serve(rate=0, status=hang))
    for _ in range(3):
        message = next_message(client, "status")
        assert message["subscribers"] == 1
        assert message["problems"] == [status.LATE]
    assert len(asked) == 1  # No thread more for each second.
    free.set()
    while "rates" not in next_message(client, "status"):
        pass


def receive(text: str) -> Any:
    (action,) = ServerProtocol().receive(text, 0)
    return action


def test_a_command_with_such_a_text_gets_a_result_and_one_with_such_an_id_an_error() -> None:
    for text in (
        r'{"type":"command","id":"b","name":"x\ud800"}',
        r'{"type":"command","id":"b","name":"x","args":{"\udfff":1}}',
        r'{"type":"command","id":"b","name":"x","args":{"a":[{"b":["\ud800x"]}]}}',
        r'{"type":"command","id":"b","name":"x","args":{"a":' + "[" * 900 + r'"\ud800"' + "]" * 900 + "}}",
    ):
        action = receive(text)
        assert isinstance(action, Reply)
        assert (action.message["type"], action.message["id"], action.message["ok"]) == ("result", "b", False)
        Encoder().message(action.message, "json")
    action = receive(r'{"type":"command","id":"\ud800","name":"x"}')
    assert isinstance(action, Reply)
    assert (action.message["type"], action.message["code"]) == ("error", "bad_message")
    whole = receive(r'{"type":"command","id":"\ud83d\ude00","name":"x","args":{"a":"\ud83d\ude00","skipped":null}}')
    assert whole == Command("😀", "x", {"a": "😀", "skipped": None})
    for text in (
        r'{"type":"\ud800"}',
        r'{"type":"subscribe","format":"\ud800"}',
        r'{"type":"ping","client_ns":"\ud800"}',
    ):
        Encoder().message(receive(text).message, "json")


@pytest.mark.parametrize(
    "data",
    [
        b"\x82\xa4type\xa4ping\xa9client_ns\xa1\xff",  # A text that is no UTF-8.
        b"\x82\xa4type\xa4ping\xc4\x01a\x01",  # A key of bytes.
        b"\x82\xa4type\xa1\xed\xa0",
    ],
)
def test_msgpack_that_is_no_utf8_or_has_other_keys_is_no_message(data: bytes) -> None:
    with pytest.raises(WireError):
        decode_message(data)


def test_a_line_for_people_shows_what_it_holds_and_moves_no_cursor() -> None:
    assert as_line("a\x1b]0;title\x07b\r\nc \u202egnp.exe " + HALF) == r"a\x1b]0;title\x07b c \u202egnp.exe \ud800"
    assert as_line("Kamera für 'カメラ' 😀") == "Kamera für 'カメラ' 😀"
    assert is_plain("vmc:[fe80::1%eth0]:1")
    assert not is_plain("a\nb")
    assert not is_plain(HALF)
