"""Sound from files, and from videos: at its own pace as if it were live, or as fast as it can be read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from facewire.bridge.shared.arrays import Float32Array
from facewire.bridge.shared.clock import Clock, now_ns
from facewire.bridge.shared.errors import FacewireError
from facewire.runtime.capture.sound.sound_source import PacedSound
from facewire.runtime.capture.video.meeting import Meeting
from facewire.runtime.capture.video.source import CaptureError
from facewire.runtime.sound.blocks import BLOCK_S, SoundRing
from facewire.runtime.sound.media_sound import MediaSound, one_channel


class SoundReader:
    """A file's sound as speech is heard in it: one channel, in runs of any length; see ``MediaSound``."""

    def __init__(self, path: Path) -> None:
        """Raise CaptureError if it cannot be read, has no sound, or needs PyAV, which is not installed."""
        try:
            self._sound = MediaSound(path)
        except FacewireError as error:
            raise CaptureError(str(error)) from None
        self.rate, self.length_s = self._sound.rate, self._sound.length_s

    @property
    def problem(self) -> str | None:
        """What was wrong with the sound read so far, to go after the file's name; None if it was whole."""
        return self._sound.problem

    def blocks(self) -> Iterator[Float32Array]:
        """Yield samples [n], one run after the other.

        Raises:
            CaptureError: the file holds none that can be read.
        """
        try:
            yield from one_channel(self._sound)
        except FacewireError as error:
            raise CaptureError(str(error)) from None

    def close(self) -> None:
        """Close the file; safe to call twice."""
        self._sound.close()


def in_blocks(runs: Iterator[Float32Array], size: int) -> Iterator[Float32Array]:
    """Cut runs into blocks of ``size``, the last one shorter. A block is valid until the next."""
    block, filled = np.zeros(size, np.float32), 0
    for run in runs:
        start = 0
        while start < len(run):
            count = min(size - filled, len(run) - start)
            block[filled : filled + count] = run[start : start + count]
            start, filled = start + count, filled + count
            if filled == size:
                yield block
                filled = 0
    if filled:
        yield block[:filled]


class SoundFile(PacedSound):
    """A file at its own pace, in blocks of 10 ms."""

    kind = "file"

    def __init__(self, path: Path, *, loop: bool = False, clock: Clock = now_ns) -> None:
        super().__init__(clock)
        self.name, self._path, self._loop = path.name, path, loop
        self._reader: SoundReader | None = None
        self.meeting: Meeting | None = None
        """Where it waits for the pictures that are played beside it."""

    def open(self, ring: SoundRing) -> None:
        """Raise CaptureError if the file does not exist or is not a sound file."""
        self._reader = SoundReader(self._path)
        self.rate = self._reader.rate
        self._begin(ring)
        if self.meeting is not None:
            self._start_ns = self.meeting.meet(self._interrupted, self._clock)
        self._blocks = in_blocks(self._reader.blocks(), max(1, round(BLOCK_S * self.rate)))

    @property
    def path(self) -> Path:
        """The file."""
        return self._path

    def pump(self) -> bool:
        """Write the next block when it is due."""
        block = next(self._blocks, None)
        return self._again() if block is None else self._write_when_due(block)

    def _again(self) -> bool:
        problem = None if self._reader is None else self._reader.problem
        self._close_reader()
        if self._interrupted.is_set():
            return False
        damage = None if problem is None else f"the sound of {self._path} {problem}"
        if not self._loop:
            if damage is not None:
                raise CaptureError(damage)
            return False
        self.damage = self.damage or damage
        self._reader = SoundReader(self._path)
        if self.meeting is not None and self.meeting.each_round:
            self._start_ns, self._written = self.meeting.meet(self._interrupted, self._clock), 0
        self._blocks = in_blocks(self._reader.blocks(), max(1, round(BLOCK_S * self.rate)))
        return True

    def close(self) -> None:
        """Close the file; safe to call twice."""
        self._close_reader()
        if self.meeting is not None:
            self.meeting.leave()
            self.meeting = None

    def _close_reader(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None
