"""From what a user writes after ``--audio`` to a source of sound."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

from facewire.bridge.shared.named import file_named, is_address
from facewire.bridge.shared.regular_file import look_at
from facewire.runtime.capture.sound.demo_sound import DemoSound
from facewire.runtime.capture.sound.microphone import Microphone, find_microphone, list_microphones
from facewire.runtime.capture.sound.sound_file import SoundFile, SoundReader
from facewire.runtime.capture.sound.sound_source import SoundSource
from facewire.runtime.capture.video.source import CaptureError


def choose_sound(what: str, *, loop: bool, demo_speech: Callable[[], Path]) -> SoundSource | None:
    """Return the live source that ``what`` names; None for ``none``, and for ``auto`` if there is no microphone.

    ``demo_speech`` may fetch the demo's recording.

    Raises:
        CaptureError: no microphone or file has that name, the file is not a sound, or a library is not
            installed.
    """
    if what == "none":
        return None
    if what == "demo":
        return DemoSound(demo_speech())
    if is_address(what):
        raise CaptureError(f"{what.partition('://')[0]}://… is an address: name a microphone or a file of sound")
    path = file_named(what)
    named = not what.isdigit() and what != "auto"
    try:
        found = look_at(path) if named else None
    except OSError as error:
        raise CaptureError(f"cannot open {path}: {error.strerror or error}") from None
    if found is not None and not stat.S_ISDIR(found.st_mode):
        return _sound_file(path, loop=loop)
    try:
        find_microphone(what, list_microphones())
    except CaptureError as error:
        if what == "auto":
            return None
        if named and len(path.parts) > 1:
            return _sound_file(path, loop=loop)
        raise CaptureError(f"{what!r} is not a file here, and {error}" if named else str(error)) from None
    return Microphone(what)


def _sound_file(path: Path, *, loop: bool) -> SoundFile:
    SoundReader(path).close()  # A file that is not a sound is reported now, and not when the networks have been loaded.
    return SoundFile(path, loop=loop)
