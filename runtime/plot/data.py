"""What a plot of a session shows: shapes over time, what drove them, and the sound beneath as waveform and
spectrogram."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from facewire.bridge.recording.info import MAIN_SHAPES, SourceSpan, shape_curve, source_spans
from facewire.bridge.recording.reader import Progress, Session
from facewire.bridge.recording.sound import SoundStream, sample_count
from facewire.bridge.recording.track import load_track
from facewire.bridge.shared.arkit import BLENDSHAPES
from facewire.bridge.shared.arrays import Float32Array

WINDOW_S = 0.025
"""Long enough to tell vowels apart, short enough to show a plosive."""
SHORTEST_HOP_S = 0.001
MAX_HZ = 8000.0
RANGE_DB = 70.0
"""Between the loudest and the darkest that a spectrogram shows."""
MAX_COLUMNS = 3000
PIECE_COLUMNS = 500

UInt8Array = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class SoundPicture:
    """A session's sound as it is drawn; each column is the same stretch of time."""

    low: Float32Array
    """Shape [columns]: least sample of each column, -1..1."""
    high: Float32Array
    spectrogram: UInt8Array
    """Shape [bins, columns]: 0 is silent, 255 the loudest; the first row is 0 Hz."""
    top_hz: float
    """Frequency of the last row."""


@dataclass(frozen=True, slots=True)
class PlotData:
    """All that is drawn of a part of a session."""

    title: str
    duration_s: float
    times_s: npt.NDArray[np.float64]
    """Shape [n]: seconds from the part's first frame."""
    shapes: Float32Array
    """Shape [n, 52]."""
    main: dict[str, Float32Array]
    """What a person looks for first, [n] each."""
    sources: list[SourceSpan]
    sound: SoundPicture | None
    offset_s: float = 0.0
    """Where the part begins in the session."""
    names: tuple[str, ...] = BLENDSHAPES


def collect(session: Session, part_ns: tuple[int, int], progress: Progress | None = None) -> PlotData:
    """Return what a plot of ``part_ns`` shows.

    Raises:
        SessionError: the part has no frames, or the file is damaged.
    """
    track = load_track(session, *part_ns, progress)
    return PlotData(
        title=session.path.name,
        duration_s=max((part_ns[1] - part_ns[0]) / 1e9, 1e-3),
        times_s=(track.log_ns - part_ns[0]) / 1e9,
        shapes=track.blendshapes,
        main={name: shape_curve(track, name) for name in MAIN_SHAPES},
        sources=source_spans(track),
        sound=None if session.audio is None else picture_sound(session, part_ns),
        offset_s=(part_ns[0] - session.start_ns) / 1e9,
    )


def picture_sound(session: Session, part_ns: tuple[int, int]) -> SoundPicture | None:
    """Return the sound as it is drawn, at most ``MAX_COLUMNS`` wide; None if the part is too short for a column."""
    stream = SoundStream(session, *part_ns)
    rate, total = stream.audio.rate, sample_count(stream.audio, *part_ns)
    hop = max(1, round(SHORTEST_HOP_S * rate), -(-total // MAX_COLUMNS))
    columns = total // hop
    if columns == 0:
        return None
    half = max(1, round(WINDOW_S * rate / 2))
    window = 2 * half
    low, high, power = [], [], []
    before, ahead = np.zeros(half, np.float32), _mono(stream, half)
    for first in range(0, columns, PIECE_COLUMNS):
        size = min(PIECE_COLUMNS, columns - first) * hop
        samples = np.concatenate([before, ahead, _mono(stream, size)])
        blocks = samples[half : half + size].reshape(-1, hop)
        low.append(blocks.min(axis=1))
        high.append(blocks.max(axis=1))
        power.append(_power(samples, size // hop, hop, window))
        before, ahead = samples[size : size + half], samples[size + half :]
    bins = 1 + min(window // 2, int(MAX_HZ * window / rate))
    decibels = 10 * np.log10(np.concatenate(power)[:, :bins].T + 1e-10)
    shades = np.clip((decibels - decibels.max()) / RANGE_DB + 1, 0, 1)
    if decibels.max() < -80:  # Digital silence has no loudest place.
        shades = np.zeros_like(shades)
    picture = (255 * shades).astype(np.uint8)
    return SoundPicture(np.concatenate(low), np.concatenate(high), picture, (bins - 1) * rate / window)


def _mono(stream: SoundStream, count: int) -> Float32Array:
    """Return the next samples, -1..1, channels mixed."""
    return np.asarray(stream.read(count).mean(axis=1, dtype=np.float32) / 32768, np.float32)


def _power(samples: Float32Array, count: int, hop: int, window: int) -> npt.NDArray[np.float64]:
    """Power spectra [count, bins] of Hann windows about the beginning of each hop; ``samples`` begin half a
    window before the first."""
    starts = np.arange(count)[:, None] * hop + np.arange(window)[None, :]
    spectra = np.fft.rfft(samples[starts] * np.hanning(window), axis=1)
    return np.asarray(np.abs(spectra) ** 2 / window, np.float64)
