"""Files that the system refuses are told as the docstrings promise, and never as a bare OSError."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.refusals import WAYS, as_nobody

from facewire.bridge.recording.errors import SessionError
from facewire.runtime.bake.take_sound import TakeSound
from facewire.runtime.capture.choose import choose_source
from facewire.runtime.capture.sound.choose_sound import choose_sound
from facewire.runtime.capture.sound.sound_file import SoundFile, SoundReader
from facewire.runtime.capture.video.file import FileSource
from facewire.runtime.capture.video.source import CaptureError
from facewire.runtime.session.inputs import keep_together, open_inputs
from facewire.runtime.session.options import InputOptions
from facewire.runtime.sound.blocks import SoundRing
from facewire.runtime.sound.media_sound import MediaSound, read_sound

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="links and names are others there")


def choose_and_open(path: Path) -> None:
    source = choose_source(str(path), rate=30.0, loop=False, demo_photo=Path, notify=lambda _: None)
    assert source is not None
    source.open()


CALLS: dict[str, Callable[[Path], Any]] = {
    "choose_source": choose_and_open,
    "FileSource": lambda path: FileSource(path, paced=False).open(),
    "choose_sound": lambda path: choose_sound(str(path), loop=False, demo_speech=Path),
    "SoundReader": SoundReader,
    "SoundFile": lambda path: SoundFile(path).open(SoundRing()),
    "MediaSound": MediaSound,
    "read_sound": read_sound,
    "open_inputs, pictures": lambda path: open_inputs(InputOptions(str(path), "none"), lambda _: None),
    "open_inputs, sound": lambda path: open_inputs(InputOptions("none", str(path)), lambda _: None),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_refused_file_is_one_line(tmp_path: Path, way: Callable[[Path], Path], call: Callable[[Path], Any]) -> None:
    path = way(tmp_path)
    with as_nobody(tmp_path, way), pytest.raises((CaptureError, SessionError)) as caught:
        call(path)
    assert "\n" not in str(caught.value)
    assert path.name[:9] in str(caught.value)
    assert ("Permission denied" in str(caught.value)) == (way.__name__ == "shut")


@pytest.mark.parametrize("way", WAYS)
def test_sound_that_is_refused_is_a_fault_of_the_take(tmp_path: Path, way: Callable[[Path], Path]) -> None:
    path = way(tmp_path)
    with as_nobody(tmp_path, way):
        sound = TakeSound(path, 0)
    assert sound.fault is not None
    assert sound.fault.startswith("the take has no sound: ")


def test_files_that_vanish_are_not_kept_together(tmp_path: Path) -> None:
    source, sound = FileSource(tmp_path / "x.mp4", paced=True), SoundFile(tmp_path / "x.wav")
    keep_together(source, sound)
    assert source.meeting is sound.meeting is not None
