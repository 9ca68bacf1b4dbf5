"""A session's audio as one run of samples, each at its place on the time line."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from facewire.bridge.recording.errors import SessionError
from facewire.bridge.recording.layout import AudioFormat
from facewire.bridge.recording.reader import Session

Int16Array = npt.NDArray[np.int16]

LEAD_NS = 1_000_000_000
"""Blocks that begin this long before a part may still reach into it; ours are much shorter."""
MAX_SAMPLES = 1 << 31


def load_sound(session: Session, start_ns: int, end_ns: int) -> tuple[AudioFormat, Int16Array] | None:
    """Return the samples from ``start_ns`` to ``end_ns``, shape [samples, channels]; None where there is no audio.

    A block whose ``first_sample`` goes on from the one before follows it without a seam, for capture times jitter and
    sound must not; after a gap, or where another part begins, a block goes where its time says. What is missing is
    silence.

    Raises:
        SessionError: the file is damaged.
    """
    audio = session.audio
    if audio is None:
        return None
    count = (end_ns - start_ns) * audio.rate // 1_000_000_000
    if not 0 <= count * audio.channels < MAX_SAMPLES:
        raise SessionError(f"{session.path}: the audio is too long to be held at once: export a part of it")
    samples = np.zeros((count, audio.channels), np.int16)
    expected, place = None, 0
    for block in session.audio_blocks(max(0, start_ns - LEAD_NS), end_ns):
        if len(block.samples) % audio.block_bytes:
            raise SessionError(f"{session.path}: an audio block ends within a sample: the file is damaged")
        data = np.frombuffer(block.samples, "<i2").reshape(-1, audio.channels)
        if block.first_sample != expected:
            place = round((block.log_ns - start_ns) * audio.rate / 1e9)
        first, last = max(place, 0), min(place + len(data), count)
        if first < last:
            samples[first:last] = data[first - place : last - place]
        expected, place = block.first_sample + len(data), place + len(data)
    return audio, samples
