"""Calibration of one live face: applies a person's numbers to every frame, and learns their ranges while streaming."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from facewire.bridge.shared.arkit import BLENDSHAPES
from facewire.bridge.shared.arrays import Float32Array
from facewire.bridge.shared.face import FaceState
from facewire.runtime.face.calibration import (
    BLINK,
    Calibration,
    close_lids,
    derive_shapes,
    map_ranges,
    take_network,
)
from facewire.runtime.face.geometry import FaceMeasures
from facewire.runtime.face.silent import SilentLearner


@dataclass(frozen=True, slots=True)
class Sample:
    """What one picture shows, or a phone says, for a capture to judge."""

    network: Float32Array
    measures: Float32Array | None
    """None from a phone: there is no geometry to go by."""
    head: Float32Array
    gaze: Float32Array


class Calibrator:
    """Applies a person's numbers to each face. Delay: none.

    State: the calibration, and if ``silent`` what is learned of it while streaming.
    """

    def __init__(self, calibration: Calibration | None = None, *, silent: bool = False) -> None:
        self.silent = silent
        self.calibration = calibration or Calibration()
        self._measures = FaceMeasures()
        self._learner = SilentLearner()
        self._blink = np.zeros(2)
        self._raw: Float32Array = np.zeros(len(BLENDSHAPES), np.float32)
        self._face = FaceState()

    @property
    def calibration(self) -> Calibration:
        """What is applied."""
        return self._calibration

    @calibration.setter
    def calibration(self, calibration: Calibration) -> None:
        self._calibration, self._arrays = calibration, calibration.arrays()

    def use(self, calibration: Calibration) -> None:
        """Take other numbers from the next step on, and learn again from there."""
        self.calibration = calibration
        self._learner = SilentLearner()

    def step(self, face: FaceState, now_ns: int) -> FaceState:
        """Return the face of ``now_ns`` as its person means it: this calibrator's own until its next step.

        Its ``raw`` is what was seen before calibration, dead shapes from geometry included.
        """
        out, own = self._face, self._calibration
        out.copy_from(face)
        out.raw = self._raw
        if face.landmarks is None:
            self._pass(face, out)
        elif self._measures.step(face.landmarks, face.head):
            self._apply(face, out)
            if self.silent:
                self._learner.step(self._raw, self._measures.values, own, now_ns)
        else:  # no geometry to go by: the network's word
            take_network(face.blendshapes, self._raw)
            map_ranges(self._raw, self._arrays, out.blendshapes)
        np.subtract(face.gaze, own.gaze, out=out.gaze)
        return out

    def warm_up(self) -> None:
        """Compile the kernels, or load them from numba's cache, so that the first face does not wait for it."""
        face = FaceState()
        face.landmarks = np.zeros((478, 3), np.float32)
        face.landmarks[263, 0] = 100.0
        trial = Calibrator(Calibration(measures_known=True), silent=True)
        for i in range(60):  # beyond the learner's time of grace
            trial.step(face, i * 100_000_000)
        trial.calibration.measures_known = False
        trial.step(face, 6_000_000_000)

    def sample(self, face: FaceState) -> Sample | None:
        """Return what a capture needs of a face; None if its landmarks are worth nothing."""
        measures = None
        if face.landmarks is not None:
            if not self._measures.step(face.landmarks, face.head):
                return None
            measures = self._measures.values.copy()
        return Sample(face.blendshapes.copy(), measures, face.head.copy(), face.gaze.copy())

    def _pass(self, face: FaceState, out: FaceState) -> None:
        """Leave a phone's shapes as they are until rest is shown: they have their full range already."""
        take_network(face.blendshapes, self._raw)
        if self._calibration.neutral_known:
            map_ranges(self._raw, self._arrays, out.blendshapes)
        else:
            np.multiply(self._raw, self._calibration.gain, out=out.blendshapes)
            np.clip(out.blendshapes, 0.0, 1.0, out=out.blendshapes)

    def _apply(self, face: FaceState, out: FaceState) -> None:
        measures, own, raw = self._measures.values, self._calibration, self._raw
        if own.measures_known:
            derive_shapes(face.blendshapes, measures, own.measures, raw)
        else:
            take_network(face.blendshapes, raw)
        map_ranges(raw, self._arrays, out.blendshapes)
        start = own.neutral[BLINK] + own.spread[BLINK]
        np.divide(raw[BLINK] - start, np.maximum(own.top[BLINK] - start, 0.1), out=self._blink)
        close_lids(self._blink, measures, yaw(face.head), self._arrays, out.blendshapes)


def yaw(head: Float32Array) -> float:
    """Return the turn of a head [7] to its left in radians."""
    x, y, z, w = (float(v) for v in head[:4])
    return math.atan2(2 * (x * z + w * y), 1 - 2 * (x * x + y * y))


def with_gain(own: Calibration, gains: Mapping[str, float]) -> Calibration:
    """Return ``own`` with the user's factors for these shapes."""
    gain = own.gain.copy()
    for name, factor in gains.items():
        gain[BLENDSHAPES.index(name)] = factor
    return replace(own, gain=gain)
