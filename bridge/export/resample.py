"""Other rates. The signal is taken to run straight between its frames, whenever those came.

At a rate that is no lower than the signal's own each new frame is the signal at its time. At a lower one each new
frame is the signal's mean over one new frame's time (the exact integral, not a mean of samples): a low-pass that keeps
motion faster than the new rate can show from turning into jitter.
"""

from __future__ import annotations

import numpy as np

from facewire.bridge.shared.arrays import Float32Array, Float64Array

USUAL_RATES = (24.0, 25.0, 30.0, 48.0, 50.0, 60.0, 90.0, 100.0, 120.0)
MOST_UNEVEN = 0.02
"""Of a stream that is called even: how far its mean rate may be from that at which most of its frames follow."""
SAME_RATE = 0.95
"""A rate this close to the signal's own, or above it, needs no low-pass."""


def own_rates(times_s: Float64Array) -> tuple[float, float]:
    """Return the rate of frames at ``times_s``, and one for formats that need an even one.

    Of an even stream both are that at which most frames follow each other. Of an uneven one, as fusion of a camera with
    speech publishes it, the first is the mean, and the second the least usual rate that shows nearly all of it.
    """
    gaps_s = np.diff(times_s)
    if not len(gaps_s):
        return 0.0, 0.0
    usual, mean = 1 / max(float(np.median(gaps_s)), 1e-9), 1 / max(float(np.mean(gaps_s)), 1e-9)
    if abs(usual - mean) <= MOST_UNEVEN * mean:
        return usual, usual
    return mean, next((rate for rate in USUAL_RATES if rate >= SAME_RATE * usual), USUAL_RATES[-1])


def uniform_times(times_s: Float64Array, rate: float) -> Float64Array:
    """Return the times of frames at ``rate`` from the first of ``times_s`` to no later than the last, shape [m]."""
    length_s = float(times_s[-1] - times_s[0])
    return np.asarray(times_s[0] + np.arange(int(length_s * rate + 1e-6) + 1) / rate, np.float64)


def resample(times_s: Float64Array, values: Float32Array, new_s: Float64Array, rate: float) -> Float32Array:
    """Return ``values`` [n, k] at ``times_s`` [n] (rising) for the times ``new_s`` [m] of ``rate``, shape [m, k]."""
    if times_s[0] == times_s[-1]:
        return np.repeat(values[-1:], len(new_s), axis=0)
    if rate * float(np.median(np.diff(times_s))) >= SAME_RATE:
        return np.stack([np.interp(new_s, times_s, column) for column in values.T], axis=1).astype(np.float32)
    begin_s = np.clip(new_s - 0.5 / rate, times_s[0], times_s[-1])
    end_s = np.clip(new_s + 0.5 / rate, times_s[0], times_s[-1])
    width_s = np.maximum(end_s - begin_s, 1e-12)[:, None]
    integral = _integral(times_s, values.astype(np.float64))
    means = (
        _integral_at(times_s, values, integral, end_s) - _integral_at(times_s, values, integral, begin_s)
    ) / width_s
    return np.asarray(means, np.float32)


def resample_rotations(
    times_s: Float64Array, rotations: Float32Array, new_s: Float64Array, rate: float
) -> Float32Array:
    """Return unit quaternions [n, 4] likewise: made to lie on one side, resampled as numbers, and made unit again.

    Between frames a sixtieth of a second apart that differs from the arc by less than a float32 can tell.
    """
    dots = np.sum(rotations[1:] * rotations[:-1], axis=1)
    signs = np.concatenate(([1.0], np.cumprod(np.where(dots < 0, -1.0, 1.0)))).astype(np.float32)
    values = resample(times_s, rotations * signs[:, None], new_s, rate)
    return np.asarray(values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-9), np.float32)


def _integral(times_s: Float64Array, values: Float64Array) -> Float64Array:
    """Integral of the straight-line signal from the first time to each of ``times_s``, shape [n, k]."""
    steps = np.diff(times_s)[:, None] * (values[1:] + values[:-1]) / 2
    return np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(steps, axis=0)])


def _integral_at(
    times_s: Float64Array, values: Float32Array, integral: Float64Array, at_s: Float64Array
) -> Float64Array:
    """Return the same integral to any time, shape [m, k]."""
    left = np.clip(np.searchsorted(times_s, at_s, side="right") - 1, 0, len(times_s) - 2)
    gap_s = np.maximum(times_s[left + 1] - times_s[left], 1e-12)
    into_s = at_s - times_s[left]
    slope = (values[left + 1].astype(np.float64) - values[left]) / gap_s[:, None]
    return np.asarray(integral[left] + values[left] * into_s[:, None] + slope * (into_s**2)[:, None] / 2, np.float64)
