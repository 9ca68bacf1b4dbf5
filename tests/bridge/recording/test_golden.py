"""The conformance files of docs/recording.md."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.paths import GOLDEN, load_module

from facewire.bridge.recording.errors import CutSessionError, SessionError
from facewire.bridge.recording.reader import open_session
from facewire.bridge.recording.repair import repair

RECORDINGS = GOLDEN / "recording"
NAMES = sorted(path.stem for path in RECORDINGS.glob("*.mcap"))
INVALID = sorted(path.stem for path in (RECORDINGS / "invalid").glob("*.mcap"))

make = load_module(RECORDINGS / "make.py")


def test_the_files_are_there() -> None:
    assert len(NAMES) >= 9
    assert len(INVALID) >= 7
    assert {path.stem for path in RECORDINGS.glob("*.json")} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_reader_finds_what_is_described(name: str) -> None:
    assert make.describe(RECORDINGS / f"{name}.mcap") == json.loads((RECORDINGS / f"{name}.json").read_text())


@pytest.mark.parametrize("name", INVALID)
def test_a_reader_refuses(name: str) -> None:
    with pytest.raises(SessionError) as caught:
        open_session(RECORDINGS / "invalid" / f"{name}.mcap")
    assert isinstance(caught.value, CutSessionError) == (name == "cut")
    assert "\n" not in str(caught.value)


def test_the_writer_still_writes_what_is_described(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(make, "HERE", tmp_path)
    make.main()
    for name in NAMES:
        assert json.loads((tmp_path / f"{name}.json").read_text()) == json.loads(
            (RECORDINGS / f"{name}.json").read_text()
        )


def test_a_repair_finds_the_whole_chunks(tmp_path: Path) -> None:
    report = repair(RECORDINGS / "invalid" / "cut.mcap", tmp_path / "saved.mcap")
    assert report.frames == json.loads((RECORDINGS / "repaired.json").read_text())["frames"] > 0
