"""Steadies landmarks as MediaPipe's FaceLandmarker does in video mode: a One-Euro filter for each coordinate.

Casiez et al. 2012 ("1€ filter", CHI), with MediaPipe's constants and its way of measuring speed in face sizes per
second (``landmarks_smoothing_calculator_utils.cc``). It costs 10 to 15 ms of delay on talking faces
(benchmarks/parity.py measures it).
"""

from __future__ import annotations

import math

import numpy as np

from facewire.bridge.shared.arrays import Float32Array, Float64Array
from facewire.models.jit import kernel

MIN_CUTOFF_HZ = 0.05
BETA = 80.0
"""Hz of cutoff for a speed of one face size per second."""
SPEED_CUTOFF_HZ = 1.0


class LandmarkSmoother:
    """State: each coordinate's last raw and smoothed value and smoothed speed. Its delay adapts to the speed."""

    def __init__(self, count: int) -> None:
        """Make state for ``count`` landmarks."""
        self._state = np.zeros((3, count, 3), np.float64)
        self._last_ns: int | None = None

    def reset(self) -> None:
        """Start again: the next landmarks pass unchanged."""
        self._last_ns = None

    def smooth(self, raw: Float32Array, now_ns: int, smoothed: Float32Array) -> None:
        """Write smoothed landmarks [n, 3] from raw ones in pixels; unchanged where time does not move on."""
        step_s = 0.0 if self._last_ns is None else max(now_ns - self._last_ns, 0) * 1e-9
        _smooth(raw, step_s, self._last_ns is None, self._state, smoothed)
        self._last_ns = now_ns


@kernel
def _smooth(raw: Float32Array, step_s: float, first: bool, state: Float64Array, smoothed: Float32Array) -> None:
    last, value, speed = state[0], state[1], state[2]
    if first:
        last[:], value[:], speed[:] = raw, raw, 0.0
    if step_s <= 0.0:
        smoothed[:] = raw
        return
    left = right = raw[0, 0]
    top = bottom = raw[0, 1]
    for i in range(raw.shape[0]):
        left, right = min(left, raw[i, 0]), max(right, raw[i, 0])
        top, bottom = min(top, raw[i, 1]), max(bottom, raw[i, 1])
    per_pixel = 2.0 / max(right - left + bottom - top, 1e-6)
    angular = 2.0 * math.pi * step_s
    speed_gain = angular * SPEED_CUTOFF_HZ / (1.0 + angular * SPEED_CUTOFF_HZ)
    for i in range(raw.shape[0]):
        for k in range(3):
            change = (raw[i, k] - last[i, k]) * per_pixel / step_s
            speed[i, k] += speed_gain * (change - speed[i, k])
            cutoff = angular * (MIN_CUTOFF_HZ + BETA * abs(speed[i, k]))
            value[i, k] += cutoff / (1.0 + cutoff) * (raw[i, k] - value[i, k])
            last[i, k] = raw[i, k]
            smoothed[i, k] = value[i, k]
