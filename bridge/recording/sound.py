"""A session's audio as one run of samples, each at its place on the time line."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from facewire.bridge.recording.errors import SessionError
from facewire.bridge.recording.layout import AudioFormat
from facewire.bridge.recording.reader import Session

Int16Array = npt.NDArray[np.int16]

LEAD_NS = 1_000_000_000
"""Blocks that begin this long before a part may still reach into it; ours are much shorter."""
MAX_DRIFT_S = 0.04
"""A sound card's clock is not the session's: if a block is this far from its time it is put there. Less would cut
at the jitter of capture times, and more can be seen (ITU-R BT.1359: sound that is 45 ms early)."""


class SoundStream:
    """Reads samples one after the other from a place of the time line on.

    A block whose ``first_sample`` goes on from the one before follows it without a seam, for capture times jitter and
    sound must not; after a gap, where another part begins, and where it has drifted, a block goes where its time says.
    What is missing is silence. State: the block in progress and where the next is expected.
    """

    def __init__(self, session: Session, start_ns: int, end_ns: int) -> None:
        """Begin at ``start_ns``.

        Raises:
            SessionError: the session has no audio.
        """
        if session.audio is None:
            raise SessionError(f"{session.path}: this session has no sound")
        self.audio: AudioFormat = session.audio
        self._session, self._start_ns = session, start_ns
        self._blocks = session.audio_blocks(max(0, start_ns - LEAD_NS), end_ns)
        self._next_sample: int | None = None
        self._next_place = 0
        self._read = 0
        self._block: tuple[int, Int16Array] | None = None

    def read(self, count: int) -> Int16Array:
        """Return the next ``count`` samples, shape [count, channels].

        Raises:
            SessionError: the file is damaged.
        """
        samples = np.zeros((count, self.audio.channels), np.int16)
        first, last = self._read, self._read + count
        while True:
            if self._block is None:
                self._block = self._next_block()
            if self._block is None or self._block[0] >= last:
                break
            place, data = self._block
            begin, end = max(place, first), min(place + len(data), last)
            if begin < end:
                samples[begin - first : end - first] = data[begin - place : end - place]
            if place + len(data) > last:
                break
            self._block = None
        self._read = last
        return samples

    def _next_block(self) -> tuple[int, Int16Array] | None:
        block = next(self._blocks, None)
        if block is None:
            return None
        if len(block.samples) % self.audio.block_bytes:
            raise SessionError(f"{self._session.path}: an audio block ends within a sample: the file is damaged")
        data = np.frombuffer(block.samples, "<i2").reshape(-1, self.audio.channels)
        place = round((block.log_ns - self._start_ns) * self.audio.rate / 1e9)
        drifted = abs(place - self._next_place) > MAX_DRIFT_S * self.audio.rate
        if block.first_sample == self._next_sample and not drifted:
            place = self._next_place
        self._next_sample, self._next_place = block.first_sample + len(data), place + len(data)
        return place, data


def sample_count(audio: AudioFormat, start_ns: int, end_ns: int) -> int:
    """Return how many samples of a channel a stretch of time holds."""
    return (end_ns - start_ns) * audio.rate // 1_000_000_000


def load_sound(session: Session, start_ns: int, end_ns: int) -> tuple[AudioFormat, Int16Array] | None:
    """Return the samples from ``start_ns`` to ``end_ns``, shape [samples, channels]; None if there is no audio.

    Raises:
        SessionError: the file is damaged.
    """
    if session.audio is None:
        return None
    return session.audio, SoundStream(session, start_ns, end_ns).read(sample_count(session.audio, start_ns, end_ns))


def sound_pieces(session: Session, start_ns: int, end_ns: int, piece_s: float = 1.0) -> Iterator[Int16Array]:
    """Yield the same samples a second at a time, which is all that is held in memory.

    Raises:
        SessionError: the session has no audio, or the file is damaged.
    """
    stream = SoundStream(session, start_ns, end_ns)
    left = sample_count(stream.audio, start_ns, end_ns)
    while left > 0:
        count = min(left, max(1, round(piece_s * stream.audio.rate)))
        yield stream.read(count)
        left -= count
