"""What makes a tracked face look like its own: the numbers of one person's face, and the arithmetic that applies them.

Three steps, all pure and compiled: shapes that are dead in the network are derived from the face's geometry, each
shape's rest and range are mapped to 0..1, and the lids are treated by themselves.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from facewire.bridge.shared.arkit import BLENDSHAPE_INDEX, BLENDSHAPES
from facewire.bridge.shared.arrays import Float32Array, FloatArray
from facewire.models.jit import kernel
from facewire.runtime.face.geometry import (
    BONE_LEFT,
    CHEEK_LEFT,
    CHEEK_RIGHT,
    JAW_SIDE,
    LID_LEFT,
    MOUTH_GAP,
    NOSE_LEFT,
    TYPICAL,
)

LEAST_SPAN = 0.08
"""A shape's range is never taken for less: noise would become motion."""
KNEE = 0.25
"""Share of a range within which motion sets in gently."""
LID_SHUT_AT = 0.35
"""A lid's opening, as a share of the neutral one, at which the eye counts as closed: at 30 frames a second a blink is
rarely seen at its very end."""
LID_OPEN_AT = 0.84
"""And at which it is still open: lids tremble and follow the gaze."""
BLINK_REST, BLINK_TOP = 0.12, 0.50
"""The network's own blink at open and at closed eyes, for people who have not been calibrated."""
SIDES = ("Left", "Right")


def indices(*stems: str) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return the positions of these shapes in a frame; a stem without a side stands for both."""
    names = [name for stem in stems for name in BLENDSHAPES if name in (stem, *(stem + side for side in SIDES))]
    return np.array([BLENDSHAPE_INDEX[name] for name in names])


BLINK = indices("eyeBlink")
DERIVED = indices("eyeWide", "noseSneer", "cheekSquint", "cheekPuff", "jawLeft", "jawRight")
"""Shapes that come from geometry: the network's are nearly dead."""

_BLINK_LEFT, _BLINK_RIGHT = (int(i) for i in BLINK)
_WIDE_LEFT, _WIDE_RIGHT = (int(i) for i in indices("eyeWide"))
_SNEER_LEFT, _SNEER_RIGHT = (int(i) for i in indices("noseSneer"))
_CHEEK_SQUINT_LEFT, _CHEEK_SQUINT_RIGHT = (int(i) for i in indices("cheekSquint"))
_SMILE_LEFT, _SMILE_RIGHT = (int(i) for i in indices("mouthSmile"))
_PUFF, _JAW_LEFT, _JAW_RIGHT = (BLENDSHAPE_INDEX[name] for name in ("cheekPuff", "jawLeft", "jawRight"))

# How far a measure goes from neutral until its shape counts as full, and how far it strays by itself (eye distances).
# A full smile lifts the wings of the nose by 0.035, the cheeks by 0.026 and spreads them by 0.035 (slopes on filmed
# people, benchmarks/calibration.py): what it explains is neither sneer nor puff. The mesh follows only a part of what a
# face does there: of cheeks that were bulged in the picture a fifth, of a lifted nose an eighth.
_WIDE_DEAD, _WIDE_FULL = 0.03, 0.20  # of the neutral opening
_SNEER_DEAD, _SNEER_FULL, _SNEER_SMILE = 0.010, 0.025, 0.035
_BONE_DEAD, _BONE_FULL = 0.008, 0.030
_PUFF_DEAD, _PUFF_FULL, _PUFF_SMILE, _PUFF_GAP = 0.012, 0.030, 0.035, 0.06
_SIDE_DEAD, _SIDE_FULL = 0.018, 0.050


def _zeros() -> Float32Array:
    return np.zeros(len(BLENDSHAPES), np.float32)


def _ones() -> Float32Array:
    return np.ones(len(BLENDSHAPES), np.float32)


class OwnArrays(NamedTuple):
    """A calibration's arrays, as the kernels take them: see ``Calibration``."""

    neutral: Float32Array
    spread: Float32Array
    top: Float32Array
    gain: Float32Array
    measures: Float32Array
    lid_shut: Float32Array


@dataclass(slots=True)
class Calibration:
    """One face's own numbers. Arrays are [52] in a frame's order unless said otherwise; they are written into, never
    replaced."""

    neutral: Float32Array = field(default_factory=_zeros)
    """Each shape's raw value at rest."""
    spread: Float32Array = field(default_factory=_zeros)
    """How far it strays there; so much is not motion."""
    top: Float32Array = field(default_factory=_ones)
    """Its raw value at the person's own extreme."""
    gain: Float32Array = field(default_factory=_ones)
    """The user's own factor, on top of all that."""
    measures: Float32Array = field(default_factory=TYPICAL.copy)
    """[10], the geometry of rest, as in ``MEASURES``."""
    lid_shut: Float32Array = field(default_factory=lambda: np.full(2, LID_SHUT_AT, np.float32))
    """[2], left and right: share of the neutral opening at which the eye is closed."""
    gaze: Float32Array = field(default_factory=lambda: np.zeros(4, np.float32))
    """[4], where the eyes seem to look, in radians, when they look straight on."""
    measures_known: bool = False
    """Whether ``measures`` are this person's; until then shapes that rest on them are the network's, nearly dead."""
    neutral_known: bool = False
    """Whether rest was shown; what is learned while streaming then only widens ranges."""

    def __post_init__(self) -> None:
        if not self.neutral_known:
            self.neutral[BLINK], self.top[BLINK] = BLINK_REST, BLINK_TOP

    def arrays(self) -> OwnArrays:
        """Return the arrays for the kernels; get them once, because that takes as long as a small kernel."""
        return OwnArrays(self.neutral, self.spread, self.top, self.gain, self.measures, self.lid_shut)

    def copy(self) -> Calibration:
        """Return one that shares nothing with this."""
        flags = ("measures_known", "neutral_known")
        arrays = {name: np.array(getattr(self, name)) for name in self.__slots__ if name not in flags}
        copied = Calibration(**arrays, measures_known=self.measures_known, neutral_known=True)
        copied.neutral_known = self.neutral_known
        return copied


@kernel
def clip01(value: float) -> float:
    return min(max(value, 0.0), 1.0)


@kernel
def math_finite(value: float) -> bool:
    return abs(value) < 1e6


@kernel
def take_network(network: FloatArray, raw: FloatArray) -> None:
    """Write ``raw`` [52]: the network's values within 0..1, and 0 for what is not a number."""
    for i in range(raw.shape[0]):
        raw[i] = clip01(network[i]) if math_finite(network[i]) else 0.0


@kernel
def derive_shapes(network: FloatArray, measures: FloatArray, rest: FloatArray, raw: FloatArray) -> None:
    """Write ``raw`` [52]: the network's values with the dead shapes from ``measures`` against ``rest`` (both [10])."""
    take_network(network, raw)
    for side in range(2):
        smile = raw[_SMILE_LEFT if side == 0 else _SMILE_RIGHT]
        wide = measures[LID_LEFT + side] / max(rest[LID_LEFT + side], 0.02) - 1.0
        raw[_WIDE_LEFT if side == 0 else _WIDE_RIGHT] = clip01((wide - _WIDE_DEAD) / _WIDE_FULL)
        risen = rest[NOSE_LEFT + side] - measures[NOSE_LEFT + side] - _SNEER_SMILE * smile
        raw[_SNEER_LEFT if side == 0 else _SNEER_RIGHT] = clip01((risen - _SNEER_DEAD) / _SNEER_FULL)
        risen = rest[BONE_LEFT + side] - measures[BONE_LEFT + side]
        raw[_CHEEK_SQUINT_LEFT if side == 0 else _CHEEK_SQUINT_RIGHT] = clip01((risen - _BONE_DEAD) / _BONE_FULL)
    out = min(measures[CHEEK_LEFT] - rest[CHEEK_LEFT], measures[CHEEK_RIGHT] - rest[CHEEK_RIGHT])
    out -= _PUFF_SMILE * max(raw[_SMILE_LEFT], raw[_SMILE_RIGHT])
    shut = 1.0 - clip01((measures[MOUTH_GAP] - rest[MOUTH_GAP]) / _PUFF_GAP)
    raw[_PUFF] = clip01((out - _PUFF_DEAD) / _PUFF_FULL) * shut
    moved = measures[JAW_SIDE] - rest[JAW_SIDE]
    raw[_JAW_LEFT] = max(raw[_JAW_LEFT], clip01((moved - _SIDE_DEAD) / _SIDE_FULL))
    raw[_JAW_RIGHT] = max(raw[_JAW_RIGHT], clip01((-moved - _SIDE_DEAD) / _SIDE_FULL))


@kernel
def map_ranges(raw: FloatArray, own: OwnArrays, shapes: FloatArray) -> None:
    """Write ``shapes`` [52]: 0 at rest, 1 at the person's own extreme, times the user's gain, within 0..1.

    If rest has a spread, the way out of it begins gently (a cubic that meets the line at ``KNEE``), so that what is
    a little beyond it does not show.
    """
    for i in range(shapes.shape[0]):
        start = own.neutral[i] + own.spread[i]
        span = max(own.top[i] - start, LEAST_SPAN)
        share = clip01((raw[i] - start) / span)
        if own.spread[i] > 0.0 and share < KNEE:
            share *= share * (2.0 * KNEE - share) / (KNEE * KNEE)
        shapes[i] = clip01(own.gain[i] * share)


@kernel
def ramp(value: float, low: float, high: float) -> float:
    """Smoothstep from 0 at ``low`` to 1 at ``high``."""
    share = clip01((value - low) / (high - low))
    return share * share * (3.0 - 2.0 * share)


@kernel
def close_lids(blink: FloatArray, measures: FloatArray, yaw_rad: float, own: OwnArrays, shapes: FloatArray) -> None:
    """Write both eyeBlinks: closed only as far as the lids' opening and the network (``blink`` [2], 0..1) agree.

    The network alone closes eyes that look down or belong to a nodding head, the opening alone those of a laughing
    face. The eye that is turned away is seen badly and follows the other; two that close together close alike, and
    only a clear difference is a wink.
    """
    left = right = 0.0
    for side in range(2):
        opening = measures[LID_LEFT + side] / max(own.measures[LID_LEFT + side], 0.02)
        closed = min(clip01((LID_OPEN_AT - opening) / (LID_OPEN_AT - own.lid_shut[side])), clip01(blink[side]))
        if side == 0:
            left = closed
        else:
            right = closed
    # +yaw is towards the subject's left: it hides the left eye.
    see_left, see_right = 1.0 - ramp(yaw_rad, 0.35, 0.7), 1.0 - ramp(-yaw_rad, 0.35, 0.7)
    joint = (see_left * left + see_right * right) / max(see_left + see_right, 1e-3)
    joint += (max(left, right) - joint) * ramp(min(left, right), 0.3, 0.6) * min(see_left, see_right)
    wink = ramp(abs(left - right), 0.35, 0.6) * min(see_left, see_right)
    shapes[_BLINK_LEFT] = clip01(own.gain[_BLINK_LEFT] * (joint + wink * (left - joint)))
    shapes[_BLINK_RIGHT] = clip01(own.gain[_BLINK_RIGHT] * (joint + wink * (right - joint)))
