"""Outputs in a run: from the command line, from a profile, by commands; live and replayed frames."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from support.program import FACEWIRE, addresses_of
from support.takes import MakeTake
from support.waiting import wait_until

from facewire.bridge.client.blocking import connect_blocking
from facewire.bridge.formats.osc import decode
from facewire.bridge.outputs.base import OutputError
from facewire.bridge.outputs.choose import OUTPUTS
from facewire.bridge.shared.errors import CommandError, FacewireError
from facewire.runtime.cli import main
from facewire.runtime.panel.outputs import OutputSwitches
from facewire.runtime.settings.profiles import Profile, ProfileError, ProfileStore


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def switches(said: list[str]) -> Iterator[OutputSwitches]:
    switches = OutputSwitches(said.append)
    yield switches
    switches.stop()


def ids(switches: OutputSwitches) -> list[str]:
    return [output["id"] for output in switches.state()["outputs"]]


def test_commands_list_start_and_stop(switches: OutputSwitches) -> None:
    commands = switches.commands
    listed = commands["outputs"]({})
    assert [kind["name"] for kind in listed["kinds"]] == [
        name for name, kind in OUTPUTS.items() if kind.to == "address"
    ]
    vmc = next(kind for kind in listed["kinds"] if kind["name"] == "vmc")
    assert (vmc["target"], vmc["options"]["bones"]) == ("127.0.0.1:39539", ["on", "head", "off"])
    started = commands["output_start"]({"output": "vmc:127.0.0.1:40001"})
    assert [output["id"] for output in started["outputs"]] == ids(switches) == ["vmc:127.0.0.1:40001"]
    with pytest.raises(OutputError, match="is already running"):
        commands["output_start"]({"output": "vmc:40001"})  # the same place in other words
    assert commands["output_stop"]({"output": "vmc:127.0.0.1:40001"}) == {"outputs": []}


@pytest.mark.parametrize(
    "args",
    [{}, {"output": None}, {"output": ""}, {"output": ["vmc"]}, {"output": "csv:x.csv"}, {"output": "vmc", "x": 1}],
)
def test_a_bad_command_starts_nothing(
    switches: OutputSwitches, args: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FacewireError):
        switches.commands["output_start"](args)
    assert ids(switches) == []
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(CommandError):
        switches.commands["outputs"]({"all": True})


def test_a_profile_has_its_outputs_run_and_leaves_the_command_lines(
    switches: OutputSwitches, said: list[str], tmp_path: Path
) -> None:
    switches.start(["vmc:127.0.0.1:40001", f"csv:{tmp_path}/take.csv"])
    switches.commands["output_start"]({"output": "vmc:127.0.0.1:40002"})
    assert switches.kept() == ("vmc:127.0.0.1:40001", "vmc:127.0.0.1:40002")  # a profile names no files
    switches.use(None)  # an older profile
    assert len(ids(switches)) == 3
    switches.use(("vmc:127.0.0.1:40003", "vmc:127.0.0.1:40001"))
    assert ids(switches) == ["vmc:127.0.0.1:40001", f"csv:{tmp_path}/take.csv", "vmc:127.0.0.1:40003"]
    switches.use(("jsonl:-", "vmc:8.8.8.8", "vmc:127.0.0.1:40004"))
    assert ids(switches)[2:] == ["vmc:127.0.0.1:40004"]
    # Nobody is there on these ports, which may be said beside it.
    assert len([line for line in said if line.startswith("an output of the profile was not started: ")]) == 2


def test_a_profile_may_write_an_output_that_runs_in_another_way(switches: OutputSwitches, said: list[str]) -> None:
    switches.start(["vmc:127.0.0.1"])
    switches.commands["output_start"]({"output": "livelink"})
    switches.use(("vmc", "livelink:127.0.0.1:11111"))
    assert ids(switches) == ["vmc:127.0.0.1", "livelink"]
    assert [line for line in said if "profile" in line] == []


def test_a_profile_keeps_outputs_and_an_older_one_says_nothing_of_them(tmp_path: Path) -> None:
    store = ProfileStore(tmp_path)
    path = store.save(Profile("default", "cam", outputs=("vmc:192.168.1.5:39539?names=vrm",)))
    assert 'outputs = [\n    "vmc:192.168.1.5:39539?names=vrm",\n]' in path.read_text()
    assert store.load("cam").outputs == ("vmc:192.168.1.5:39539?names=vrm",)
    store.save(Profile("default", "cam"))
    assert store.load("cam").outputs is None
    store.save(Profile("default", "cam", outputs=()))
    assert store.load("cam").outputs == ()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('outputs = "vmc"', "a list of at most 16"),
        ("outputs = [3]", "a list of at most 16"),
        (f"outputs = {['vmc'] * 17}", "a list of at most 16"),
        ('outputs = ["vcm"]', "there is no output 'vcm'"),
        ('outputs = ["csv:/etc/passwd"]', "writes a file"),
        ('outputs = ["vmc:8.8.8.8"]', "its own network"),
    ],
)
def test_a_profile_with_broken_outputs_is_refused(tmp_path: Path, line: str, words: str) -> None:
    store = ProfileStore(tmp_path)
    path = store.save(Profile("default", "cam"))
    path.write_text(f"version = 1\n{line}\n")
    with pytest.raises(ProfileError, match=words) as caught:
        store.load("cam")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("output", "status", "words"),
    [
        ("nope", 2, "--output: there is no output 'nope': choose one of vmc"),
        ("vmc:1:2:3", 2, "--output: vmc: write an IPv6 address in brackets"),
        ("csv:/no/such/folder/x.csv", 1, "cannot write /no/such/folder/x.csv: No such file"),
        ("vmc:nowhere.invalid", 1, "cannot send to nowhere.invalid:39539"),
    ],
)
def test_an_output_that_cannot_be_is_one_line_at_the_start(
    make_take: MakeTake, capsys: pytest.CaptureFixture[str], output: str, status: int, words: str
) -> None:
    assert main(["replay", str(make_take()), "--listen", "127.0.0.1:0", "--output", output]) == status
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_a_replay_feeds_outputs_and_standard_output_is_theirs(make_take: MakeTake, tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(10)
        command = [*FACEWIRE, "replay", str(make_take(seconds=0.5)), "--once"]
        command += ["--listen", "127.0.0.1:0", "--output", "jsonl:-", "--output", f"csv:{tmp_path}/take.csv"]
        command += ["--output", f"vmc:{receiver.getsockname()[1]}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True)
        got = [json.loads(line) for line in done.stdout.splitlines()]
        assert [frame["seq"] for frame in got] == list(range(30))
        assert "Facewire replays" in done.stderr
        assert len((tmp_path / "take.csv").read_text().splitlines()) == 31
        receiver.setblocking(False)
        packets = []
        with suppress(BlockingIOError):
            while True:
                packets.append(receiver.recv(2000))
    addresses = [address for packet in packets for address, _ in decode(packet)]
    assert 2 <= addresses.count("/VMC/Ext/Blend/Apply") <= 30  # the newest wins, on a machine that is busy


@pytest.mark.models
def test_outputs_of_a_live_run_get_replayed_takes_too(make_take: MakeTake, tmp_path: Path) -> None:
    takes, lines = make_take(seconds=0.5).parent, tmp_path / "live.jsonl"
    command = [*FACEWIRE, "serve", "--video", "demo", "--audio", "none", "--mesh", "attention", "--device", "cpu"]
    command += ["--listen", "127.0.0.1:0", "--record", str(takes), "--output", f"jsonl:{lines}"]
    environment = {**os.environ, "FACEWIRE_CONFIG": str(tmp_path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        with connect_blocking(addresses_of(process)["stream"]) as client:
            next(iter(client))
            client.command("replay_start", {"file": "take.mcap", "loop": True})
            (output,) = client.command("outputs")["outputs"]
            assert (output["name"], output["target"], output["state"]) == ("jsonl", str(lines), "on")
            wait_until(lambda: [json.loads(line)["confidence"] for line in whole_lines(lines)][-1:] == [0.97])
            client.command("output_stop", {"output": f"jsonl:{lines}"})
        process.terminate()
        assert process.wait(60) == 0
    got = [json.loads(line) for line in lines.read_text().splitlines()]
    assert [frame["seq"] for frame in got] == sorted({frame["seq"] for frame in got})
    assert got[0]["confidence"] != 0.97


def whole_lines(path: Path) -> list[str]:
    """Of a file that is being written."""
    return path.read_text(encoding="utf-8").split("\n")[:-1] if path.exists() else []
