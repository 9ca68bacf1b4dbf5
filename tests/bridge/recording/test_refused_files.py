"""What the system refuses is told as the docstrings promise, and never as a bare OSError."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.refusals import WAYS, as_nobody
from support.takes import MakeTake

from facewire.bridge.export.formats import ExportOptions, export
from facewire.bridge.export.livelink_import import import_take
from facewire.bridge.export.output import replacing
from facewire.bridge.export.wav import read_wav
from facewire.bridge.recording.check import check_session, is_checked, is_whole
from facewire.bridge.recording.cut import TimeRange, cut
from facewire.bridge.recording.errors import RecordingError, SessionError
from facewire.bridge.recording.info import describe
from facewire.bridge.recording.layout import SessionMetadata
from facewire.bridge.recording.partfile import PartFile
from facewire.bridge.recording.reader import open_session
from facewire.bridge.recording.repair import repair
from facewire.bridge.recording.writer import SessionWriter

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="links and names are others there")

READERS: dict[str, Callable[[Path, Path], Any]] = {
    "open_session": lambda path, _take: open_session(path),
    "is_whole": lambda path, _take: is_whole(path),
    "is_checked": lambda path, _take: is_checked(path),
    "repair": lambda path, take: repair(path, take.with_name("out.mcap")),
    "cut": lambda path, take: cut([path], take.with_name("out.mcap"), TimeRange()),
    "import_take": lambda path, take: import_take(path, take.with_name("out.mcap")),
    "read_wav": lambda path, _take: read_wav(path),
}
WRITERS: dict[str, Callable[[Path, Path], Any]] = {
    "SessionWriter": lambda path, _take: SessionWriter(path, SessionMetadata(0, 0, {})),
    "PartFile": lambda path, _take: PartFile(path),
    "replacing": lambda path, _take: replacing(path).__enter__(),
    "repair": lambda path, take: repair(take, path),
    "cut": lambda path, take: cut([take], path, TimeRange()),
    "export": lambda path, take: export_to(path.with_suffix(".csv"), take),
}


def export_to(path: Path, take: Path) -> None:
    with open_session(take) as session:
        export(session, path, ExportOptions())


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("call", [*READERS.values(), *WRITERS.values()], ids=[*READERS, *(f"{n} to" for n in WRITERS)])
def test_a_refused_name_is_one_line(
    tmp_path: Path, make_take: MakeTake, way: Callable[[Path], Path], call: Callable[[Path, Path], Any]
) -> None:
    take, path = make_take(), way(tmp_path)
    tmp_path.chmod(0o755)
    if way.__name__ == "a_folder" and call is WRITERS["export"]:
        path = path.rename(path.with_suffix(".csv"))
    with as_nobody(tmp_path, way), pytest.raises((SessionError, RecordingError)) as caught:
        call(path, take)
    assert "\n" not in str(caught.value)
    assert path.name[:9] in str(caught.value) or path.parent.name in str(caught.value) or "take" in str(caught.value)
    assert not [file for file in take.parent.iterdir() if file.name.startswith("out")]


def test_a_take_that_vanishes_while_it_is_open_is_still_read(make_take: MakeTake) -> None:
    take = make_take()
    with open_session(take) as session:
        take.unlink()
        assert len(list(session.frames())) == session.frame_count
        with pytest.raises(SessionError, match=r"cannot read .*No such file"):
            check_session(session)
        with pytest.raises(SessionError, match=r"cannot read .*No such file"):
            describe(session)


def test_a_take_that_vanishes_after_its_check_is_described(
    make_take: MakeTake, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = make_take()
    size = take.stat().st_size
    monkeypatch.setattr("facewire.bridge.recording.info.check_session", lambda _: take.unlink() or True)
    with open_session(take) as session:
        assert describe(session)[0].size_bytes == size


@pytest.mark.parametrize("call", [is_whole, open_session], ids=["is_whole", "open_session"])
def test_a_name_with_a_zero_byte_is_one_line(call: Callable[[Path], Any]) -> None:
    with pytest.raises(SessionError):
        call(Path("a\0b"))


def test_a_part_that_cannot_be_deleted_hides_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    part = PartFile(tmp_path / "x.mcap")

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "unlink", refuse)
    part.discard()
