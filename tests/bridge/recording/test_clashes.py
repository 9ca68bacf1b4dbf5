"""Recordings that meet others at their names: whatever else writes there, every one keeps all that it was given."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.takes import Frames

from facewire.bridge.recording.errors import PathTakenError
from facewire.bridge.recording.layout import SessionMetadata
from facewire.bridge.recording.partfile import PartFile, free_path, part_path
from facewire.bridge.recording.reader import open_session
from facewire.bridge.recording.writer import SessionWriter
from facewire.bridge.wire.codec import Encoder
from facewire.bridge.wire.frame import FaceFrame

METADATA = SessionMetadata(0, 0)
POSIX = pytest.mark.skipif(os.name == "nt", reason="an open file cannot be deleted there")


def add(writer: SessionWriter, frames: Iterator[FaceFrame]) -> None:
    """Write and commit frames."""
    for frame in frames:
        writer.add_frame(Encoder().frame(frame), frame.seq, frame.publish_ns)
    writer.commit()


def numbers(path: Path) -> list[int]:
    with open_session(path) as session:
        return [frame.seq for _, frame in session.frames()]


def test_two_cannot_make_the_same_file(tmp_path: Path, frames: Frames, monkeypatch: pytest.MonkeyPatch) -> None:
    """As two servers do that look for a free name at the same moment: neither sees the other's file."""
    monkeypatch.setattr("facewire.bridge.recording.partfile.check_output", lambda *_, **__: None)
    first = SessionWriter(tmp_path / "a.mcap", METADATA)
    add(first, frames(30))
    monkeypatch.setattr(Path, "exists", lambda _: False)
    with pytest.raises(PathTakenError):
        SessionWriter(tmp_path / "a.mcap", METADATA)
    monkeypatch.undo()
    assert numbers(first.finish()) == list(range(30))


def test_a_name_that_was_taken_meanwhile_is_left_alone(tmp_path: Path, frames: Frames) -> None:
    writer = SessionWriter(tmp_path / "a.mcap", METADATA)
    add(writer, frames(10))
    (tmp_path / "a.mcap").write_text("somebody's")
    part_path(tmp_path / "a-2.mcap").write_text("another recording")
    assert writer.finish() == tmp_path / "a-3.mcap"
    assert (tmp_path / "a.mcap").read_text() == "somebody's"
    assert numbers(tmp_path / "a-3.mcap") == list(range(10))


@POSIX
def test_a_deleted_take_does_not_come_back_over_another(tmp_path: Path, frames: Frames) -> None:
    first = SessionWriter(tmp_path / "a.mcap", METADATA)
    add(first, frames(10))
    part_path(tmp_path / "a.mcap").unlink()
    second = SessionWriter(tmp_path / "a.mcap", METADATA)
    add(second, frames(20))
    for frame in list(frames(15))[10:]:
        first.add_frame(Encoder().frame(frame), frame.seq, frame.publish_ns)
    first.commit()
    assert numbers(second.finish()) == list(range(20))
    assert first.finish() == tmp_path / "a-2.mcap"
    assert numbers(tmp_path / "a-2.mcap") == list(range(15))


@POSIX
def test_two_deleted_takes_that_come_back_at_once_take_two_names(
    tmp_path: Path, frames: Frames, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, other = SessionWriter(tmp_path / "a.mcap", METADATA), tmp_path / "a-2.mcap"
    part_path(tmp_path / "a.mcap").unlink()
    for taken in (tmp_path / "a.mcap", other):
        part_path(taken).write_text("others'")
    found = iter([other, tmp_path / "a-3.mcap"])  # the other one was made after the name was looked for
    monkeypatch.setattr("facewire.bridge.recording.partfile.free_path", lambda _: next(found))
    add(first, frames(10))
    assert numbers(first.finish()) == list(range(10))
    assert [part_path(taken).read_text() for taken in (tmp_path / "a.mcap", other)] == ["others'"] * 2


@POSIX
def test_force_replaces_a_name_and_not_what_is_still_written(tmp_path: Path, frames: Frames) -> None:
    first = SessionWriter(tmp_path / "a.mcap", METADATA)
    add(first, frames(10))
    second = SessionWriter(tmp_path / "a.mcap", METADATA, force=True)
    add(second, frames(20))
    assert numbers(first.finish()) == list(range(10))
    assert numbers(second.finish()) == list(range(20))


class Halves:
    """A raw file that takes half of what it is given, as write(2) may."""

    def __init__(self, file: object) -> None:
        self._file = file

    def __getattr__(self, name: str) -> object:
        return getattr(self._file, name)

    def write(self, data: memoryview) -> int:
        return self._file.write(data[: (len(data) + 1) // 2])  # type: ignore[attr-defined, no-any-return]


@POSIX
def test_a_deleted_file_comes_back_whole_where_writes_are_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, data = PartFile(tmp_path / "a.mcap"), os.urandom(3 << 20)
    file.write(data)
    file.flush()
    file.part.unlink()
    really = Path.open
    monkeypatch.setattr(Path, "open", lambda self, *args, **keys: Halves(really(self, *args, **keys)))
    file.write(b"end")
    file.flush()
    monkeypatch.undo()
    assert file.finish().read_bytes() == data + b"end"


@POSIX
def test_a_folder_that_goes_while_the_end_is_synced_comes_back(
    tmp_path: Path, frames: Frames, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "takes"
    folder.mkdir()
    writer = SessionWriter(folder / "a.mcap", METADATA)
    add(writer, frames(10))
    monkeypatch.setattr(os, "fsync", lambda _: shutil.rmtree(folder))
    assert numbers(writer.finish()) == list(range(10))


@POSIX
def test_another_take_that_got_the_name_while_the_end_was_synced_keeps_it(
    tmp_path: Path, frames: Frames, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = SessionWriter(tmp_path / "a.mcap", METADATA)
    add(first, frames(10))
    others: list[SessionWriter] = []

    def sync(_: int) -> None:
        if not others:
            first.file.part.unlink()
            others.append(SessionWriter(tmp_path / "a.mcap", METADATA))
            add(others[0], frames(20))

    monkeypatch.setattr(os, "fsync", sync)
    assert numbers(first.finish()) == list(range(10))
    assert numbers(others[0].finish()) == list(range(20))


@POSIX
def test_a_folder_that_goes_just_before_the_take_is_named_comes_back(
    tmp_path: Path, frames: Frames, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, really, calls = tmp_path / "takes", Path.replace, [0]
    folder.mkdir()
    writer = SessionWriter(folder / "a.mcap", METADATA)
    add(writer, frames(10))

    def replace(path: Path, target: Path) -> Path:
        calls[0] += 1
        if calls[0] == 1:
            shutil.rmtree(folder)
        return really(path, target)

    monkeypatch.setattr(Path, "replace", replace)
    assert numbers(writer.finish()) == list(range(10))
    assert calls == [2]


def test_free_names_count_on(tmp_path: Path) -> None:
    assert free_path(tmp_path / "a b.mcap") == tmp_path / "a b.mcap"
    (tmp_path / "a b.mcap").touch()
    part_path(tmp_path / "a b-2.mcap").touch()
    assert free_path(tmp_path / "a b.mcap") == tmp_path / "a b-3.mcap"
