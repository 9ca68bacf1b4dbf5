"""Every command of every server: what it does not know is refused, and nil is absent (wire.md, 2 and 3.6)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from typing import Any

import msgpack
import pytest
from support.paths import ROOT
from support.servers import RawClient
from support.takes import MakeTake
from support.talk import next_message

from facewire.bridge.recording.cut import TimeRange
from facewire.bridge.server.config import ServerConfig
from facewire.runtime.face.filter_config import REGIONS, SMOOTHING_LEVELS
from facewire.runtime.face.guided import NEUTRAL_S, POSE_S, POSES
from facewire.runtime.face.sampling import PATIENCE_S
from facewire.runtime.flame.blend import RESET
from facewire.runtime.fusion.modes import MODES
from facewire.runtime.panel.commands import NEUTRAL
from facewire.runtime.session.options import InputOptions, LiveOptions, ServeOptions
from facewire.runtime.session.replaying import ReplayOptions, ReplaySession
from facewire.runtime.session.serving import ServeSession
from facewire.runtime.settings.profiles import MAX_GAIN
from facewire.runtime.sound.mic_gate import LEAST_DB, MOST_DB

SET = ("smoothing", "mirror", "sync", "silent", "mode", "gain", "mic_gate")
OPTIONAL: Mapping[str, tuple[str, ...]] = {
    "state": (),
    "set": SET,
    "devices": (),
    "choose": ("video", "audio", "mesh", "speech"),
    "calibrate": ("pose",),
    "calibrate_reset": (),
    "flame_reset": (),
    "profile_save": ("name",),
    "profile_load": ("name",),
    "profile_delete": ("name",),
    "record_start": ("name",),
    "record_stop": (),
    "takes": (),
    "replay_start": ("loop",),
    "replay_stop": (),
    "pause": (),
    "resume": (),
    "seek": (),
    "step": ("frames",),
    "speed": (),
    "outputs": (),
    "output_start": (),
    "output_stop": (),
}
"""By command: the arguments that may be left out."""
STEERING = {"pause", "resume", "seek", "step", "speed"}
NEEDS: Mapping[str, Mapping[str, Any]] = {
    "replay_start": {"file": "take.mcap"},
    "seek": {"time_s": 0.5},
    "speed": {"speed": 1.0},
    "output_start": {"output": "vmc:127.0.0.1:39539"},
    "output_stop": {"output": "vmc:127.0.0.1:39539"},
}
"""By command: what it cannot do without."""

Ask = Callable[..., dict[str, Any]]
FORMS = {"json": (1, lambda message: json.dumps(message).encode()), "msgpack": (2, msgpack.packb)}


@pytest.fixture(autouse=True)
def own_profiles(tmp_path, monkeypatch):
    monkeypatch.setenv("FACEWIRE_CONFIG", str(tmp_path / "config"))


@pytest.fixture(params=["serve", "replay"])
def session(request, make_take: MakeTake, tmp_path) -> Iterator[ServeSession | ReplaySession]:
    """Run a real server of each kind."""
    config = ServerConfig(port=0)
    take = make_take("take.mcap", seconds=2)
    if request.param == "serve":
        inputs = LiveOptions(inputs=InputOptions(video="none", audio="none"))
        made: Any = ServeSession(ServeOptions(inputs, config, record=tmp_path), [].append)
    else:
        made = ReplaySession(ReplayOptions(take, config, TimeRange(), loop=True), [].append)
    with made:
        if request.param == "serve":
            made.takes.stop()  # it records from the start
        yield made


@pytest.fixture(params=list(FORMS))
def ask(request, session) -> Iterator[Ask]:
    """Return what runs a command over the wire, in each form."""
    opcode, pack = FORMS[request.param]
    with ExitStack() as ends:
        client = ends.enter_context(closing(RawClient(("127.0.0.1", session.server.address[1]))))
        assert " 101 " in client.handshake().splitlines()[0]

        def run(name: str, args: Any) -> dict[str, Any]:
            client.send_frame(opcode, pack({"type": "command", "id": name, "name": name, "args": args}))
            return next_message(client, "result", "error")

        yield run


def commands_of(session: ServeSession | ReplaySession) -> set[str]:
    if isinstance(session, ReplaySession):
        return STEERING | {"outputs", "output_start", "output_stop"}
    return set(session.commands)


def test_the_commands_are_those_that_the_protocol_lists(session):
    page = (ROOT / "docs" / "wire.md").read_text("utf-8").partition("### 3.6")[2].partition("### 3.7")[0]
    rows = page.partition("| name | args |")[2].splitlines()[2:]
    listed = {name for row in rows if row.startswith("|") for name in re.findall(r"`(\w+)`", row.split("|")[1])}
    assert listed == set(OPTIONAL)
    if isinstance(session, ServeSession):
        assert set(session.commands) | {"flame_reset"} == listed
    assert commands_of(session) <= listed


def test_what_the_protocol_says_of_arguments_is_what_they_are():
    page = (ROOT / "docs" / "wire.md").read_text("utf-8").partition("### 3.6")[2].partition("### 3.7")[0]
    rows = {row.split("|")[1]: row for row in page.splitlines() if row.startswith("| `")}
    for name in OPTIONAL:
        row = next(text for first, text in rows.items() if f"`{name}`" in first)
        for argument in (*OPTIONAL[name], *NEEDS.get(name, {})) if name not in STEERING else ():
            assert f"`{argument}`" in row, (name, argument)
    said = {first.strip(" `"): set(re.findall(r"`([\w-]+)`", row)) for first, row in rows.items()}
    assert {NEUTRAL, *POSES} <= said["calibrate"]
    assert {*SMOOTHING_LEVELS, *REGIONS, *MODES} <= said["set"]
    assert f"of 0 to {MAX_GAIN:g} by shape" in page
    assert f"{NEUTRAL_S:g} s at rest and {POSE_S:g} s at a pose, up to {PATIENCE_S:g} s more" in page
    assert f"{LEAST_DB:g} to {MOST_DB:g} dB" in page


def test_the_status_of_an_output_is_what_is_listed(ask):
    page = (ROOT / "docs" / "wire.md").read_text("utf-8")
    row = next(line for line in page.splitlines() if line.startswith("| `outputs` | list of maps"))
    words = set(re.findall(r"`(\w+)`", row)) - {"outputs", "opening", "on", "waiting", "failing", "ended", "closing"}
    (output,) = ask("output_start", NEEDS["output_start"])["value"]["outputs"]
    assert set(output) == words


@pytest.mark.parametrize("value", [None, 1, {"x": 1}])
def test_every_command_refuses_what_it_does_not_know_in_one_line(session, ask, value):
    for name in sorted(commands_of(session)):
        for args in ({"bogus": value}, {**NEEDS.get(name, {}), "bogus": value, "a\nb": value}):
            result = ask(name, args)
            assert result["ok"] is False, (name, args)
            assert "code" not in result
            assert re.fullmatch(rf"{name} accepts .*, not .*'bogus'", result["error"]), (name, result)
            assert "\n" not in result["error"]
    assert session.status()["outputs"] == []
    with pytest.raises(Exception, match="flame_reset accepts no arguments, not 'bogus'"):
        RESET.read({"bogus": value})


def test_nil_for_every_optional_argument_is_absent(session, ask):
    for name in sorted(commands_of(session)):
        least = NEEDS.get(name, {})
        assert outcome(ask, name, least) == outcome(ask, name, least or None)
        for nil in OPTIONAL[name]:
            assert outcome(ask, name, {**least, nil: None}) == outcome(ask, name, least), (name, nil)
        for needed in least:
            assert outcome(ask, name, {needed: None}) == outcome(ask, name, {}), (name, needed)


def test_a_value_has_the_keys_that_are_listed(session, ask):
    page = (ROOT / "docs" / "wire.md").read_text("utf-8").partition("### 3.6")[2].partition("### 3.7")[0]
    cells = [[cell.strip() for cell in row.split("|")[1:-1]] for row in page.splitlines() if row.startswith("| `")]
    told = {
        name: set(re.findall(r"`(\w+)`", value)) for names, _, value in cells for name in re.findall(r"`(\w+)`", names)
    }
    got = {name: outcome(ask, name, NEEDS.get(name, {}))[3] for name in sorted(commands_of(session) - STEERING)}
    answered = {name: keys for name, keys in got.items() if keys is not None}
    assert {"outputs", "output_start"} <= set(answered)
    if isinstance(session, ServeSession):
        assert {"takes", "record_start", "record_stop", "replay_start", "devices"} <= set(answered)
    for name, keys in answered.items():
        assert set(keys) <= told[name], name


def outcome(ask: Ask, name: str, args: Any) -> tuple[Any, ...]:
    """Return what became of a command, without what changes from one time to the next; then undo it."""
    if (before := name.replace("stop", "start")) != name:
        ask(before, NEEDS.get(before, {}))
    result = ask(name, args)
    if (after := name.replace("start", "stop")) != name:
        ask(after, NEEDS.get(after, {}))
    value = result.get("value")
    return result["ok"], result.get("error"), result.get("code"), None if value is None else sorted(value)
