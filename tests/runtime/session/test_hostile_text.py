"""Texts from outside in a real run: clients', file names, profiles. None silences it, and none is lost."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.servers import RawClient
from support.takes import MakeTake
from support.talk import ask, next_message, tell

from facewire.bridge.server.config import ServerConfig
from facewire.runtime.session.options import InputOptions, LiveOptions, ServeOptions
from facewire.runtime.session.serving import ServeSession

NOTHING = LiveOptions(inputs=InputOptions(video="none", audio="none"))
linux = pytest.mark.skipif(sys.platform != "linux", reason="only there a file's name may be any bytes")


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: list[str]) -> Iterator[ServeSession]:
    monkeypatch.setenv("FACEWIRE_CONFIG", str(tmp_path / "config"))
    with ServeSession(ServeOptions(NOTHING, ServerConfig(port=0), record=tmp_path), said.append) as session:
        session.start()
        yield session


@pytest.fixture
def connected(session: ServeSession) -> Iterator[Callable[..., RawClient]]:
    """Open clients that get no frames."""
    with contextlib.ExitStack() as stack:

        def client(form: str = "json") -> RawClient:
            client = RawClient(session.server.address)
            stack.callback(client.close)
            assert " 101 " in client.handshake().splitlines()[0]
            tell(client, {"type": "subscribe", "streams": [], "format": form})
            return client

        yield client


HALVES = [
    ("output_start", r'{"output":"vts:[fe80::1%\ud800]:19157"}'),
    ("output_start", r'{"output":"livelink:127.0.0.1:19158?subject=\ud800"}'),
    ("output_start", '{"output":"livelink:127.0.0.1:19158?subject=%00%0a"}'),
    ("output_start", '{"output":"livelink:127.0.0.1:19158?subject=a%1b]0;b"}'),
    ("output_start", '{"output":"vts:[fe80::1%a/b]:19157"}'),
    ("output_stop", r'{"output":"\ud800"}'),
    ("set", r'{"\ud800":1}'),
    ("set", r'{"gain":{"\ud800":1}}'),
    ("choose", r'{"video":"\ud800"}'),
    ("choose", '{"audio":"\u00b2"}'),
    ("replay_start", r'{"file":"\ud800"}'),
    ("record_start", r'{"name":"\ud800"}'),
    ("profile_save", r'{"name":"\ud800"}'),
    ("profile_load", r'{"name":"\ud800"}'),
    ("calibrate", r'{"pose":"\ud800"}'),
    ("seek", '{"time_s":1' + "0" * 400 + "}"),
    ("speed", '{"speed":1' + "0" * 400 + "}"),
    ("set", '{"gain":{"jawOpen":1e999}}'),
    (r"\ud800", "{}"),
]


def test_no_text_of_a_client_silences_the_status_of_another(connected: Callable[..., RawClient]) -> None:
    onlooker, attacker = connected("msgpack"), connected()
    for name, args in HALVES:
        tell(attacker, f'{{"type":"command","id":"c","name":"{name}","args":{args}}}')
        result = next_message(attacker, "result", "error")
        assert (result["id"], result["ok"]) == ("c", False), (name, args)
        assert "failed in the server" not in result["error"]
        assert "\n" not in result["error"]
    before = next_message(onlooker, "status")
    for _ in range(3):
        assert set(next_message(onlooker, "status")) == set(before)
    assert before["outputs"] == []


@linux
def test_files_whose_names_are_no_text_are_listed_and_played(
    session: ServeSession, connected: Callable[..., RawClient], make_take: MakeTake, tmp_path: Path
) -> None:
    odd = os.fsdecode(b"caf\xe9.mcap")
    make_take("take.mcap").rename(tmp_path / odd)
    session.takes.stop(keep_empty=False)
    profiles = tmp_path / "config" / "profiles" / "none"
    profiles.mkdir(parents=True)
    (profiles / "good.toml").write_text("version = 1")
    (profiles / os.fsdecode(b"caf\xe9.toml")).write_text("version = 1")
    for form in ("json", "msgpack"):
        client = connected(form)
        assert [take["file"] for take in ask(client, "takes")["value"]["takes"]] == ["caf\ufffd.mcap"]
        assert ask(client, "state")["value"]["profiles"] == ["good"]
        started = ask(client, "replay_start", {"file": "caf\ufffd.mcap", "loop": True})
        assert started["ok"], started
        while next_message(client, "status")["replay"] is None:
            pass
        assert ask(client, "replay_stop")["ok"]


def test_a_part_of_the_status_that_fails_leaves_the_others(
    session: ServeSession, connected: Callable[..., RawClient], monkeypatch: pytest.MonkeyPatch, said: list[str]
) -> None:
    def fail() -> dict[str, Any]:
        raise RuntimeError("no status\nfrom here")

    for part in (session.outputs, session.live, session.panel.state):
        monkeypatch.setattr(part, "status" if part is not session.outputs else "state", lambda *_: fail())
    client = connected()
    while "outputs" in (status := next_message(client, "status")):
        pass
    assert {"recording", "replay", "subscribers", "fanout"} <= set(status)
    for _ in range(2):
        next_message(client, "status")
    assert len([line for line in said if "goes on without a part of it" in line]) == 3
