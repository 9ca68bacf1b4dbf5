"""WAV files: a session's sound out, and sound for an imported take in."""

from __future__ import annotations

import wave
from pathlib import Path
from typing import BinaryIO

import numpy as np

from facewire.bridge.export.wav_reader import WavReader
from facewire.bridge.recording.errors import SessionError
from facewire.bridge.recording.layout import AudioFormat
from facewire.bridge.recording.reader import Session
from facewire.bridge.recording.sound import Int16Array, sound_pieces
from facewire.bridge.shared.arrays import Float32Array

MAX_WAV_BYTES = 2**32 - 1024


def write_wav(session: Session, start_ns: int, end_ns: int, file: BinaryIO) -> None:
    """Write the sound of a part of a session as 16-bit PCM.

    Raises:
        SessionError: the session has no sound, or more than a WAV file can hold.
        OSError: the disk does not take it.
    """
    if session.audio is None:
        raise SessionError(f"{session.path}: this session has no sound to export")
    audio = session.audio
    if (end_ns - start_ns) / 1e9 * audio.rate * audio.block_bytes > MAX_WAV_BYTES:
        raise SessionError(f"{session.path}: a WAV file holds 4 GB at most: export a part with --start and --end")
    with wave.open(file, "wb") as wav:
        wav.setparams((audio.channels, 2, audio.rate, 0, "NONE", ""))
        for piece in sound_pieces(session, start_ns, end_ns):
            wav.writeframesraw(piece.astype("<i2", copy=False).tobytes())


def read_wav(path: Path) -> tuple[AudioFormat, Int16Array]:
    """Return a WAV file's format and samples [n, channels]; stereo stays stereo, more channels become one.

    Raises:
        SessionError: it cannot be opened, or is not a WAV file of a kind that ``WavReader`` knows.
    """
    reader = WavReader(path)
    try:
        pieces = [for_take(run) for run in reader.runs(reader.rate)]
    finally:
        reader.close()
    channels = reader.channels if reader.channels <= 2 else 1
    audio = AudioFormat(reader.rate, channels)
    return audio, np.concatenate(pieces) if pieces else np.zeros((0, channels), np.int16)


def for_take(samples: Float32Array) -> Int16Array:
    """Return samples [n, channels] of full scale 1 as a take holds them: 16 bits, one or two channels."""
    if samples.shape[1] > 2:
        samples = samples.mean(axis=1, dtype=np.float32, keepdims=True)
    return np.asarray(np.clip(np.round(samples * np.float32(2**15)), -(2**15), 2**15 - 1), np.int16)
