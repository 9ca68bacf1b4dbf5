"""What the network hears: log-mel bands at 120 Hz with a running gain, computed from the past alone.

Two frames belong to each 60 Hz tick (as FaceFormer's BIWI model takes two audio features a frame). Frame k ends with
sample floor(400 k / 3) of the stream, so tick m sees every sample that came in its m / 60 seconds: no delay of its own.
"""

from __future__ import annotations

import math

import numpy as np

from facewire.bridge.shared.arrays import Float32Array
from facewire.models.jit import kernel

SAMPLE_RATE = 16000
TICK_HZ = 60
FRAMES_PER_TICK = 2
WINDOW = 400
"""Samples a frame looks at: 25 ms."""
SPECTRUM = 512
BINS = SPECTRUM // 2 + 1
BANDS = 80
LOWEST_HZ, HIGHEST_HZ = 60.0, 7600.0

LEVEL_START, LEVEL_FLOOR = math.log(2e-4), math.log(2e-6)
"""The running gain's level, natural logarithm of power, of ordinary speech at first, never under 20 dB less."""
FRAME_S = 1.0 / (TICK_HZ * FRAMES_PER_TICK)
ATTACK = 1.0 - math.exp(-FRAME_S / 0.12)
RELEASE = 1.0 - math.exp(-FRAME_S / 5.0)
SMALLEST = 1e-11
SCALE, SHIFT, LOWEST_FEATURE = 0.33, 2.6, -3.0
"""Speech then has about mean 0 and variance 1; what is 74 dB under the level, or less, counts as that."""


def frame_end(frame: int) -> int:
    """How many samples of the stream have come when frame number ``frame`` is complete."""
    return frame * SAMPLE_RATE // (TICK_HZ * FRAMES_PER_TICK)


def window() -> Float32Array:
    """Return the Hann window [400]."""
    return np.hanning(WINDOW + 1)[:-1].astype(np.float32)


def mel_filters(warp: float = 1.0) -> Float32Array:
    """Triangular mel filters [257 bins, 80 bands], each of area one, their centres multiplied by ``warp``.

    Training warps them to stand for longer and shorter vocal tracts; a live run does not.
    """
    low, high = _mel(LOWEST_HZ), _mel(HIGHEST_HZ)
    edges_hz = 700.0 * (10.0 ** (np.linspace(low, high, BANDS + 2) / 2595.0) - 1.0) * warp
    bins_hz = np.arange(BINS) * SAMPLE_RATE / SPECTRUM
    left, centre, right = edges_hz[:-2], edges_hz[1:-1], edges_hz[2:]
    # The lowest bands are narrower than a bin: widen them, so that none is empty.
    left, right = np.minimum(left, centre - 40.0), np.maximum(right, centre + 40.0)
    rising = (bins_hz[:, None] - left) / (centre - left)
    falling = (right - bins_hz[:, None]) / (right - centre)
    filters = np.maximum(0.0, np.minimum(rising, falling))
    return (filters / np.maximum(filters.sum(axis=0), 1e-3)).astype(np.float32)


def _mel(hz: float) -> float:
    return 2595.0 * math.log10(1.0 + hz / 700.0)


def fourier_matrix() -> Float32Array:
    """Return the windowed Fourier transform as a matrix [514, 400]: real parts, then imaginary parts.

    Each frame's mean is taken away first, so that a constant offset is not heard; divided so that a full-scale sine
    has a power near one. At this size a matrix costs less than calling a transform.
    """
    angle = -2.0 * np.pi * np.outer(np.arange(BINS), np.arange(WINDOW)) / SPECTRUM
    scale = 2.0 / float(window().sum())
    matrix = np.concatenate([np.cos(angle), np.sin(angle)]) * window() * scale
    return (matrix - matrix.mean(axis=1, keepdims=True)).astype(np.float32)


@kernel
def level_step(level: float, bands: Float32Array) -> float:
    """Return the running level after a frame's band powers [80]: quick to rise, slow to fall (in seconds), floored."""
    power = SMALLEST
    for band in range(bands.shape[0]):
        power += bands[band]
    heard = math.log(power / bands.shape[0] * 4.0)
    level += (ATTACK if heard > level else RELEASE) * (heard - level)
    return max(level, LEVEL_FLOOR)


@kernel
def normalise(level: float, bands: Float32Array, out: Float32Array) -> None:
    """Features [80] from band powers [80] under the running level."""
    for band in range(bands.shape[0]):
        out[band] = max((math.log(bands[band] + SMALLEST) - level) * SCALE + SHIFT, LOWEST_FEATURE)


@kernel
def normalise_all(powers: Float32Array, out: Float32Array) -> None:
    """Features [frames, 80] of a whole stream from band powers [frames, 80]: what a live run computes step by step."""
    level = LEVEL_START
    for frame in range(powers.shape[0]):
        level = level_step(level, powers[frame])
        normalise(level, powers[frame], out[frame])
