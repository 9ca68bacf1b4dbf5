"""Learns each shape's rest and range from what is seen while streaming, without asking for anything."""

from __future__ import annotations

import numpy as np

from facewire.bridge.shared.arkit import BLENDSHAPES
from facewire.bridge.shared.arrays import Float32Array, FloatArray
from facewire.models.jit import kernel
from facewire.runtime.face.calibration import BLINK, BLINK_TOP, LEAST_SPAN, Calibration, indices
from facewire.runtime.face.geometry import BONE_LEFT, BONE_RIGHT, LID_LEFT, LID_RIGHT, MEASURES

HISTORY = 5
"""Frames whose median is looked at: two bad ones in a row change nothing."""
REST_STEP_PER_S = 0.04
"""How fast the estimate of rest walks towards its quantile."""
MEASURE_STEP_PER_S = 0.006
"""The same in eye distances."""
RISE_S = 0.2
"""Time constant with which a range follows a greater extreme than any before."""
FORGET_S = (40.0, 900.0)
"""Time constants with which an extreme is forgotten: at first, and once a face has been seen for long."""
GRACE_S = 3.0
"""For this long after the first sight of a face nothing is learned: it may still be coming into view."""
MEASURED_S = 15.0
"""After this long the geometry of rest is known well enough to tell a sneer from a nose."""
LEAST_RANGE = 0.35
"""No range shrinks below this share of ``PRIOR_TOP`` above rest, however still a face keeps."""
MOST_REST = 0.6
REST_SPREAD = 0.03
"""So much is not motion if rest was never shown."""

PRIOR_TOP: Float32Array = np.full(len(BLENDSHAPES), 0.6, np.float32)
"""Raw extremes of people who were filmed, for a start (rounded, benchmarks/calibration.py)."""
PRIOR_TOP[indices("mouthSmile", "eyeLookDown", "eyeLookIn", "eyeLookOut", "browInnerUp")] = 0.9
PRIOR_TOP[indices("mouthUpperUp", "browOuterUp")] = 0.8
PRIOR_TOP[indices("eyeWide", "noseSneer", "cheekSquint", "cheekPuff", "jawLeft", "jawRight")] = 0.9
PRIOR_TOP[indices("mouthFunnel", "mouthPucker", "browDown", "mouthFrown")] = 0.5

_QUANTILE: Float32Array = np.full(len(BLENDSHAPES), 0.25, np.float32)
_QUANTILE[indices("eyeLookDown", "eyeLookIn", "eyeLookOut", "eyeLookUp")] = 0.5
_MEASURE_QUANTILE: Float32Array = np.full(len(MEASURES), 0.5, np.float32)
# Eyes are open most of the time; a smile lifts the cheeks and is not rest.
_MEASURE_QUANTILE[[LID_LEFT, LID_RIGHT, BONE_LEFT, BONE_RIGHT]] = 0.65


@kernel
def _walk(value: FloatArray, quantile: FloatArray, estimate: FloatArray, step: float) -> None:
    """Move each estimate a step towards the quantile of its values (stochastic approximation of a quantile)."""
    for i in range(value.shape[0]):
        if value[i] > estimate[i]:
            estimate[i] += min(step * quantile[i], value[i] - estimate[i])
        else:
            estimate[i] -= min(step * (1.0 - quantile[i]), estimate[i] - value[i])


@kernel
def _follow(
    value: FloatArray, neutral: FloatArray, prior: FloatArray, top: FloatArray, rise: float, forget: float
) -> None:
    """Raise each extreme towards a value beyond it, and let it sink slowly to the least range."""
    for i in range(value.shape[0]):
        least = neutral[i] + max(LEAST_SPAN, LEAST_RANGE * prior[i])
        if value[i] > top[i]:
            top[i] += rise * (value[i] - top[i])
        else:
            top[i] += forget * (max(least, value[i]) - top[i])
        top[i] = max(top[i], least)


class SilentLearner:
    """Learns a face's ranges. State: the last five frames, and for how long a face has been seen."""

    def __init__(self) -> None:
        self._recent = np.zeros((HISTORY, len(BLENDSHAPES)), np.float32)
        self._recent_measures = np.zeros((HISTORY, len(MEASURES)), np.float32)
        self._next, self._seen_s, self._first = 0, 0.0, True
        self._last_ns: int | None = None
        self._median = np.zeros(len(BLENDSHAPES), np.float32)
        self._median_measures = np.zeros(len(MEASURES), np.float32)

    def step(self, raw: Float32Array, measures: Float32Array, own: Calibration, now_ns: int) -> None:
        """Take one frame's raw shapes [52] and measures [10], and change ``own``'s ranges (and rest, if it was never
        shown)."""
        self._recent[self._next], self._recent_measures[self._next] = raw, measures
        self._next = (self._next + 1) % HISTORY
        passed_s = 0.0 if self._last_ns is None else min(max(now_ns - self._last_ns, 0) * 1e-9, 0.1)
        if self._last_ns is None and not own.neutral_known:
            own.spread[:] = np.maximum(own.spread, REST_SPREAD)
            own.top[:] = np.where(own.top < 1.0, own.top, PRIOR_TOP)
            own.top[BLINK] = BLINK_TOP
        self._last_ns, self._seen_s = now_ns, self._seen_s + passed_s
        if self._seen_s > GRACE_S:
            self._learn(own, passed_s)
        if self._seen_s > MEASURED_S:
            own.measures_known = True

    def _learn(self, own: Calibration, passed_s: float) -> None:
        middle(self._recent, self._median)
        middle(self._recent_measures, self._median_measures)
        if not own.measures_known and self._first:
            self._first = False
            others = np.arange(len(MEASURES)) > LID_RIGHT  # lids may be in a blink, and people differ little there
            own.measures[others] = self._median_measures[others]
        lids = own.neutral[BLINK], own.top[BLINK]
        if not own.neutral_known:
            _walk(self._median, _QUANTILE, own.neutral, REST_STEP_PER_S * passed_s)
            np.minimum(own.neutral, MOST_REST, out=own.neutral)
            _walk(self._median_measures, _MEASURE_QUANTILE, own.measures, MEASURE_STEP_PER_S * passed_s)
        forget_s = min(max(self._seen_s, FORGET_S[0]), FORGET_S[1])
        _follow(self._median, own.neutral, PRIOR_TOP, own.top, 1 - np.exp(-passed_s / RISE_S), passed_s / forget_s)
        own.neutral[BLINK], own.top[BLINK] = lids  # blinks are too short to be learned like this


@kernel
def middle(rows: FloatArray, out: FloatArray) -> None:
    """Write the medians of five ``rows`` [5, n] to ``out`` [n], by insertion: five are few."""
    for i in range(rows.shape[1]):
        ordered = [rows[0, i], rows[1, i], rows[2, i], rows[3, i], rows[4, i]]
        ordered.sort()
        out[i] = ordered[2]
