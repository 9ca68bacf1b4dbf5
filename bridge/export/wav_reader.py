"""WAV files of all common kinds, a stretch at a time: PCM of 8 to 32 bits, float, A-law, µ-law; RIFF and RF64.

A header is not believed where the file contradicts it: recorders that stream write a length of 0 or of 4 GB, a crash
leaves one that is longer than the file, and a flipped bit may leave any. What is still ambiguous is refused.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

from facewire.bridge.recording.errors import SessionError
from facewire.bridge.recording.layout import MAX_SAMPLE_RATE
from facewire.bridge.recording.partfile import reason
from facewire.bridge.shared.arrays import Float32Array

PCM, FLOAT, A_LAW, MU_LAW, EXTENSIBLE = 1, 3, 6, 7, 0xFFFE
MOST_CHANNELS = 64
USUAL_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 88200, 96000, 176400, 192000, 384000)
STREAMED = (0, 0x7FFFF000, 0x7FFFFFFF, 0x80000000, 0xFFFFF000, 0xFFFFFFFF)
"""Lengths that mean "not known yet", by what writes them: most, SoX, ffmpeg and others."""
MOST_FORMAT_BYTES = 4096
LOOK_SAMPLES = 4096
"""So many are looked at, to tell whether 32 bits are float or whole numbers."""

Decode = Callable[[bytes], Float32Array]


class UnknownWavError(SessionError):
    """A WAV file of a kind that is not read here; another program may know it."""


def damaged(path: Path, why: str) -> SessionError:
    """Return the error for a header that cannot be right."""
    return SessionError(f"{path} is a damaged WAV file ({why}) and cannot be read: save it as 16-bit PCM")


class _Format(NamedTuple):
    kind: int
    channels: int
    rate: int
    frame_bytes: int
    """Of one sample of all channels."""


class _Chunk(NamedTuple):
    name: bytes
    start: int
    size: int


class WavReader:
    """An open WAV file: ``rate``, ``channels``, ``frames`` and its samples."""

    def __init__(self, path: Path) -> None:
        """Open it.

        Raises:
            UnknownWavError: it is of another kind, and may be whole.
            SessionError: it cannot be opened, is not a WAV file or its header is damaged.
        """
        try:
            self._file = path.open("rb")
        except OSError as error:
            raise SessionError(f"cannot open {path}: {reason(error)}") from None
        self._path = path
        try:
            form, self._start, end, self.cut = _read_header(self._file, path)
            self.rate, self.channels, self._frame_bytes = form.rate, form.channels, form.frame_bytes
            self.frames = (end - self._start) // form.frame_bytes
            self._decode = _decoder(form)
            if form.kind in (PCM, FLOAT) and form.frame_bytes // form.channels == 4:
                self._check_kind(form.kind)
        except OSError as error:
            self.close()
            raise SessionError(f"cannot read {path}: {reason(error)}") from None
        except BaseException:
            self.close()
            raise

    def runs(self, count: int) -> Iterator[Float32Array]:
        """Yield all samples [n, channels], full scale 1, ``count`` at a time.

        Raises:
            SessionError: the disk does not give them.
        """
        for first in range(0, self.frames, count):
            content = self._read(first, min(count, self.frames - first))
            yield self._decode(content).reshape(-1, self.channels)
            if len(content) < count * self._frame_bytes:
                return

    def close(self) -> None:
        """Close the file; safe to call twice."""
        self._file.close()

    def _read(self, first: int, count: int) -> bytes:
        try:
            self._file.seek(self._start + first * self._frame_bytes)
            content = self._file.read(count * self._frame_bytes)
        except OSError as error:
            raise SessionError(f"cannot read {self._path}: {reason(error)}") from None
        return content[: len(content) - len(content) % self._frame_bytes]

    def _check_kind(self, kind: int) -> None:
        """Refuse float that the header calls whole numbers, and the other way round: it would be loud noise."""
        words = np.frombuffer(self._read(0, LOOK_SAMPLES), "<u4")
        words = words[words != 0]
        exponents = (words >> 23) & 0xFF
        like_float = np.mean((exponents > 90) & (exponents < 135)) if len(words) else float(kind == FLOAT)
        if (kind == FLOAT and like_float < 0.5) or (kind == PCM and like_float > 0.98):
            raise damaged(self._path, "its header says another kind than its samples are")


def _read_header(file: BinaryIO, path: Path) -> tuple[_Format, int, int, bool]:
    """Return the format, where the samples begin and end, and whether the file ends before they should."""
    length = file.seek(0, 2)
    file.seek(0)
    head = file.read(12)
    if len(head) < 12 or head[:4] not in (b"RIFF", b"RF64", b"BW64") or head[8:] != b"WAVE":
        raise UnknownWavError(f"{path} is not a WAV file")
    chunks = _chunks(file, 12, length)
    form = next((chunk for chunk in chunks if chunk.name == b"fmt "), None)
    data = next((chunk for chunk in chunks if chunk.name == b"data"), None)
    if form is None or data is None:
        raise damaged(path, f"it has no {'format' if form is None else 'sound'}")
    size = data.size
    (riff,) = struct.unpack_from("<I", head, 4)
    wide = next((chunk for chunk in chunks if chunk.name == b"ds64" and chunk.size >= 16), None)
    if head[:4] != b"RIFF" and wide is not None:
        file.seek(wide.start)
        riff_wide, size_wide = struct.unpack("<QQ", file.read(16).ljust(16, b"\0"))
        size, riff = (size_wide, riff_wide) if size == 0xFFFFFFFF else (size, riff)
    end, cut = _end_of_sound(file, data, size, riff, length)
    return _read_format(file, form, path), data.start, end, cut


def _end_of_sound(file: BinaryIO, data: _Chunk, size: int, riff: int, length: int) -> tuple[int, bool]:
    """Return where the samples end, whatever the header says, and whether the file ends before."""
    end, riff_end = data.start + size, 8 + riff
    if end > length:
        return length, data.size not in STREAMED
    inside = min(riff_end, length) if riff not in STREAMED else length
    if end + end % 2 < inside and not _whole(_chunks(file, end + end % 2, inside), inside):
        return inside, False
    return end, False


def _chunks(file: BinaryIO, start: int, end: int) -> list[_Chunk]:
    """Return the chunks from ``start`` on; the last may reach beyond ``end``."""
    found: list[_Chunk] = []
    while start + 8 <= end and len(found) < 1000:
        file.seek(start)
        name, size = struct.unpack("<4sI", file.read(8).ljust(8, b"\0"))
        found.append(_Chunk(name, start + 8, size))
        if name == b"data" and size in (0, 0xFFFFFFFF):  # nothing after it can be found
            break
        start += 8 + size + size % 2
    return found


def _whole(chunks: list[_Chunk], end: int) -> bool:
    """Whether these are chunks that fill the file up to its end, and no samples."""
    names = all(all(32 <= byte < 127 for byte in chunk.name) for chunk in chunks)
    return bool(chunks) and names and abs(chunks[-1].start + chunks[-1].size - end) <= 1


def _read_format(file: BinaryIO, chunk: _Chunk, path: Path) -> _Format:
    file.seek(chunk.start)
    content = file.read(min(chunk.size, MOST_FORMAT_BYTES))
    if len(content) < 16:
        raise damaged(path, "its format is cut")
    kind, channels, rate, byte_rate, frame_bytes, bits = struct.unpack_from("<HHIIHH", content)
    if kind == EXTENSIBLE and len(content) >= 26:
        (kind,) = struct.unpack_from("<H", content, 24)
    if kind not in SAMPLE_BYTES:
        raise UnknownWavError(f"{path} is a WAV file of a kind that cannot be read: save it as 16-bit PCM")
    sample_bytes = (bits + 7) // 8
    if (
        not 0 < channels <= MOST_CHANNELS
        or sample_bytes not in SAMPLE_BYTES[kind]
        or (kind != PCM and bits % 8)
        or frame_bytes != channels * sample_bytes
    ):
        raise damaged(path, f"{channels} channels of {bits} bits are no {frame_bytes} bytes")
    if rate not in USUAL_RATES and byte_rate != rate * frame_bytes:  # one of the two is damaged
        rate = byte_rate // frame_bytes if byte_rate / frame_bytes in USUAL_RATES else 0
    if not 0 < rate <= MAX_SAMPLE_RATE:
        raise damaged(path, "its number of samples a second cannot be right")
    return _Format(kind, channels, rate, frame_bytes)


SAMPLE_BYTES = {PCM: (1, 2, 3, 4), FLOAT: (4, 8), A_LAW: (1,), MU_LAW: (1,)}


def _decoder(form: _Format) -> Decode:
    size = form.frame_bytes // form.channels
    if form.kind == PCM:
        return {1: _from_8_bits, 2: _from_16_bits, 3: _from_24_bits, 4: _from_32_bits}[size]
    if form.kind == FLOAT:
        return lambda content: _from_float(np.frombuffer(content, f"<f{size}"))
    table = (a_law if form.kind == A_LAW else mu_law)()
    return lambda content: table[np.frombuffer(content, np.uint8)]


def _from_8_bits(content: bytes) -> Float32Array:
    return np.asarray((np.frombuffer(content, np.uint8).astype(np.float32) - 128) / np.float32(128), np.float32)


def _from_16_bits(content: bytes) -> Float32Array:
    return np.asarray(np.frombuffer(content, "<i2").astype(np.float32) / np.float32(2**15), np.float32)


def _from_24_bits(content: bytes) -> Float32Array:
    wide = np.zeros((len(content) // 3, 4), np.uint8)
    wide[:, 1:] = np.frombuffer(content, np.uint8).reshape(-1, 3)
    return np.asarray(wide.view("<i4")[:, 0] / np.float32(2**31), np.float32)


def _from_32_bits(content: bytes) -> Float32Array:
    return np.asarray(np.frombuffer(content, "<i4").astype(np.float32) / np.float32(2**31), np.float32)


def _from_float(samples: npt.NDArray[np.floating]) -> Float32Array:
    whole = np.nan_to_num(samples.astype(np.float64), nan=0.0, posinf=1.0, neginf=-1.0)
    return np.asarray(np.clip(whole, -1.0, 1.0), np.float32)


def a_law() -> Float32Array:
    """Return what each byte of A-law stands for (ITU-T G.711)."""
    code = np.arange(256) ^ 0x55
    segment, step = (code >> 4) & 7, code & 15
    size = np.where(segment == 0, 2 * step + 1, (2 * step + 33) << np.maximum(segment - 1, 0))
    return (np.where(code & 0x80, size, -size) * 8 / 2**15).astype(np.float32)


def mu_law() -> Float32Array:
    """Return what each byte of µ-law stands for (ITU-T G.711)."""
    code = ~np.arange(256) & 0xFF
    segment, step = (code >> 4) & 7, code & 15
    size = ((2 * step + 33) << segment) - 33
    return (np.where(code & 0x80, -size, size) * 4 / 2**15).astype(np.float32)
