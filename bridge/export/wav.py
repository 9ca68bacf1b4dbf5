"""WAV files: a session's sound out, and sound for an imported take in."""

from __future__ import annotations

import struct
import wave
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from facewire.bridge.recording.errors import SessionError
from facewire.bridge.recording.layout import MAX_AUDIO_CHANNELS, MAX_SAMPLE_RATE, AudioFormat
from facewire.bridge.recording.partfile import reason
from facewire.bridge.recording.reader import Session
from facewire.bridge.recording.sound import Int16Array, sound_pieces

PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE
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
    """Return a WAV file's format and samples [n, channels], from 8, 16, 24 or 32-bit PCM or 32 or 64-bit float.

    Raises:
        SessionError: it cannot be opened, or is not a WAV file of these kinds.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SessionError(f"cannot open {path}: {reason(error)}") from None
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise SessionError(f"{path} is not a WAV file")
    try:
        return _parse(data)
    except (struct.error, ValueError, KeyError):
        raise SessionError(f"{path} is a WAV file of a kind that cannot be read: save it as 16-bit PCM") from None


def _parse(data: bytes) -> tuple[AudioFormat, Int16Array]:
    chunks: dict[bytes, bytes] = {}
    position = 12
    while position + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, position)
        chunks.setdefault(name, data[position + 8 : position + 8 + size])
        position += 8 + size + size % 2
    kind, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", chunks[b"fmt "])
    if kind == EXTENSIBLE:
        (kind,) = struct.unpack_from("<H", chunks[b"fmt "], 24)
    if not 0 < channels <= MAX_AUDIO_CHANNELS or not 0 < rate <= MAX_SAMPLE_RATE:
        raise ValueError
    content = chunks[b"data"]
    content = content[: len(content) - len(content) % max(1, channels * bits // 8)]  # ADPCM has half bytes
    samples = _to_int16(content, kind, bits)
    return AudioFormat(rate, channels), samples.reshape(-1, channels)


def _to_int16(content: bytes, kind: int, bits: int) -> Int16Array:
    if kind == PCM and bits == 16:
        return np.frombuffer(content, "<i2").astype(np.int16)
    if kind == PCM and bits == 8:
        return (np.frombuffer(content, np.uint8).astype(np.int16) - 128) * 256
    if kind == PCM and bits == 32:
        return (np.frombuffer(content, "<i4") >> 16).astype(np.int16)
    if kind == PCM and bits == 24:
        bytes_ = np.frombuffer(content, np.uint8).reshape(-1, 3)
        return np.ascontiguousarray(bytes_[:, 1:]).view("<i2")[:, 0].astype(np.int16)
    if kind == FLOAT and bits in (32, 64):
        return float_to_int16(np.frombuffer(content, f"<f{bits // 8}").astype(np.float64))
    raise ValueError


def float_to_int16(samples: npt.NDArray[np.float64]) -> Int16Array:
    """Return samples of -1..1 as 16-bit ones; what is louder is clipped, what is not a number is silence."""
    return np.asarray(np.clip(np.round(np.nan_to_num(samples) * 32767), -32768, 32767), np.int16)
