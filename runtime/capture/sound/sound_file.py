"""Sound from files, and from videos: at its own pace as if it were live, or as fast as it can be read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from facewire.bridge.shared.arrays import Float32Array
from facewire.bridge.shared.clock import Clock, now_ns
from facewire.bridge.shared.install import install_extra
from facewire.runtime.capture.sound.sound_source import PacedSound
from facewire.runtime.capture.video.source import CaptureError
from facewire.runtime.sound.blocks import BLOCK_S, SoundRing
from facewire.runtime.sound.channels import ChannelPicker
from facewire.runtime.sound.resampler import HIGHEST_RATE, LOWEST_RATE


class SoundReader:
    """The first sound track of a file, one channel, in runs of any length. Reads as it goes: an hour takes no room."""

    def __init__(self, path: Path) -> None:
        """Raise CaptureError if it cannot be read, has no sound, or needs PyAV, which is not installed."""
        if not path.is_file():
            raise CaptureError(f"{path} does not exist: check the name")
        try:
            import av
        except ImportError:
            raise CaptureError(f"sound files need PyAV: {install_extra('media')}") from None
        self._av, self._path = av, path
        try:
            self._container: Any = av.open(str(path.absolute()))  # FFmpeg takes "12:30.wav" for an address
        except (av.error.FFmpegError, ValueError, MemoryError):
            raise CaptureError(f"{path} is not a sound or video file that can be read") from None
        try:
            if not self._container.streams.audio:
                raise CaptureError(f"{path} has no sound")
            self._track = self._container.streams.audio[0]
            self.rate = int(self._track.rate or 0)
            if not LOWEST_RATE <= self.rate <= HIGHEST_RATE:
                raise CaptureError(f"{path} has {self.rate} samples a second: 4,000 to 384,000 can be used")
            # Where in the file's time the sound begins: a video's may be a little after its pictures.
            self.start_s = float((self._track.start_time or 0) * (self._track.time_base or 0))
            length = self._container.duration
            self.length_s = length / 1e6 if length else 0.0
        except BaseException:
            self.close()
            raise

    def blocks(self) -> Iterator[Float32Array]:
        """Yield samples [n], one run after the other.

        Raises:
            CaptureError: the file holds none that can be read.
        """
        # Packed, not planar: PyAV 18 reads one plane too many if there are eight and more, and crashes.
        any_read, picker, resampler = False, ChannelPicker(), self._av.AudioResampler(format="flt", rate=self.rate)
        frames = self._container.decode(self._track)
        while True:
            try:
                frame = next(frames, None)
                converted = resampler.resample(frame) if frame is not None else []
            except self._av.error.InvalidDataError:
                continue  # A damaged packet; the next may be whole.
            except (self._av.error.FFmpegError, ValueError, MemoryError):
                break
            if frame is None:
                break
            for piece in converted:
                any_read = True
                one = np.empty(piece.samples, np.float32)
                picker.push(
                    piece.to_ndarray().reshape(piece.samples, -1).astype(np.float32, copy=False), self.rate, one
                )
                yield one
        if not any_read:
            raise CaptureError(f"{self._path} has no sound that can be read")

    def close(self) -> None:
        """Close the file; safe to call twice."""
        self._container.close()


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

    def open(self, ring: SoundRing) -> None:
        """Raise CaptureError if the file does not exist or is not a sound file."""
        self._reader = SoundReader(self._path)
        self.rate = self._reader.rate
        self._begin(ring)
        self._blocks = in_blocks(self._reader.blocks(), max(1, round(BLOCK_S * self.rate)))

    def pump(self) -> bool:
        """Write the next block when it is due."""
        block = next(self._blocks, None)
        return self._again() if block is None else self._write_when_due(block)

    def _again(self) -> bool:
        if not self._loop or self._interrupted.is_set():
            return False
        self.close()
        self._reader = SoundReader(self._path)
        self._blocks = in_blocks(self._reader.blocks(), max(1, round(BLOCK_S * self.rate)))
        return True

    def close(self) -> None:
        """Close the file; safe to call twice."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None
