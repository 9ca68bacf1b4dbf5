"""The sound of a file on its way into a take: the same samples at the same times that speech is heard in."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np

from facewire.bridge.export.wav import for_take
from facewire.bridge.recording.errors import SessionError
from facewire.bridge.recording.layout import AudioBlock, AudioFormat
from facewire.bridge.recording.sound import Int16Array
from facewire.bridge.shared.arrays import Float32Array
from facewire.runtime.sound.media_sound import MediaSound, NoReaderError, NoSoundError, at_most_stereo

BLOCK_S = 0.02


class TakeSound:
    """A file's sound in blocks, the first sample at ``start_ns``; it may be none, and then says why."""

    def __init__(self, path: Path, start_ns: int) -> None:
        self._path, self._start_ns = path, start_ns
        self.format: AudioFormat | None = None
        """None if the take gets no sound."""
        self.fault: str | None = None
        """One line about sound that is left out or damaged; for damage, complete once all blocks are read."""
        self.missing_reader = False
        """Whether nothing is wrong with the file: what reads it is not installed."""
        self._sound: MediaSound | None = None
        self._runs = self._open()

    def _open(self) -> Iterator[Float32Array]:
        try:
            self._sound = MediaSound(self._path)
            runs = at_most_stereo(self._sound)
            first = next(runs)
        except NoSoundError:
            return iter(())
        except SessionError as error:
            self.fault, self.missing_reader = f"the take has no sound: {error}", isinstance(error, NoReaderError)
            return iter(())
        self.format = AudioFormat(self._sound.rate, for_take(first).shape[1])
        return chain((first,), runs)

    def blocks(self) -> Iterator[AudioBlock]:
        """Yield blocks of 20 ms."""
        if self.format is None or self._sound is None:
            return
        rate, size, first = self.format.rate, max(1, round(BLOCK_S * self.format.rate)), 0
        left = np.zeros((0, self.format.channels), np.int16)
        for run in self._runs:
            left = np.concatenate([left, for_take(run)])
            whole = len(left) - len(left) % size
            for at in range(0, whole, size):
                yield self._block(first + at, left[at : at + size], rate)
            first, left = first + whole, left[whole:]
        if len(left):
            yield self._block(first, left, rate)

    def _block(self, first: int, samples: Int16Array, rate: int) -> AudioBlock:
        log_ns = self._start_ns + first * 1_000_000_000 // rate
        return AudioBlock(log_ns, first, samples.astype("<i2", copy=False).tobytes())

    def close(self) -> None:
        """Close the file; safe to call twice."""
        if self._sound is not None:
            if self._sound.problem is not None and self.fault is None:
                self.fault = f"the sound of {self._path} {self._sound.problem}"
            self._sound.close()
