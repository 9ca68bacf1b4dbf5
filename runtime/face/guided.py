"""The guided minute: half a second of rest, then one pose after the other, each a few seconds (``POSES``).

It looks at medians, so that one bad frame changes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from facewire.bridge.shared.arkit import BLENDSHAPES
from facewire.bridge.shared.arrays import Float32Array
from facewire.bridge.shared.errors import FacewireError
from facewire.runtime.face.calibrate import Sample
from facewire.runtime.face.calibration import (
    BLINK,
    LID_OPEN_AT,
    LID_SHUT_AT,
    Calibration,
    derive_shapes,
    indices,
    take_network,
)
from facewire.runtime.face.geometry import LID_LEFT, MEASURES

NEUTRAL_S = 0.5
POSE_S = 2.5
LEAST_FRAMES = 5
LEAST_SEEN = 0.7
"""Share of a capture's pictures in which a face must be."""
MOST_TURN_RAD = math.radians(6.0)
MOST_MOVE_M = 0.03
MOST_RESTLESS = 0.12
"""How far a shape may stray within the half second of rest."""
LEAST_SPREAD: Float32Array = np.full(len(BLENDSHAPES), 0.04, np.float32)
LEAST_SPREAD[indices("eyeSquint", "mouthPress")] = 0.08
"""Half a second shows too little of how shapes stray in a face at rest; these two stray most (cap12 and cap13 of
benchmarks/calibration.py's clips, wherever their landmarks are at rest)."""
MOST_SPREAD = 0.10
LEAST_VISIBLE = 0.06
"""A pose must take its shape so far from rest, or it was not made or cannot be seen."""
REACH = 0.95
"""The extreme counts as full a little before it: people show it less strongly the next time."""

POSES: Mapping[str, tuple[str, ...]] = MappingProxyType({
    "smile": ("mouthSmile",),
    "frown": ("mouthFrown",),
    "brows_up": ("browInnerUp", "browOuterUp"),
    "brows_down": ("browDown",),
    "eyes_wide": ("eyeWide",),
    "eyes_closed": ("eyeBlink",),
    "mouth_open": ("jawOpen",),
    "pucker": ("mouthPucker", "mouthFunnel"),
    "puff": ("cheekPuff",),
    "sneer": ("noseSneer",),
    "jaw_left": ("jawLeft",),
    "jaw_right": ("jawRight",),
})  # fmt: skip
"""The guided minute: what to show, and which shapes' ranges it gives (a name without a side means both)."""


class CalibrationError(FacewireError):
    """What was seen cannot calibrate anything; the old calibration stays."""


def calibrate_neutral(samples: list[Sample], pictures: int, own: Calibration) -> Calibration:
    """Return ``own`` with the rest that ``samples`` show; ranges stay, but where they would have become too small.

    Raises:
        CalibrationError: no face in enough of the ``pictures``, a moving head, or a moving face.
    """
    _check_seen(samples, pictures)
    _check_still(samples)
    network = np.array([sample.network for sample in samples])
    new = own.copy()
    measures = [sample.measures for sample in samples if sample.measures is not None]
    if measures:
        new.measures[:] = np.median(measures, axis=0)
    elif not own.neutral_known:
        new.top[:] = 1.0  # a phone's blink has its full range
    raw = _derived(samples, new.measures)
    rest = np.median(raw, axis=0)
    stray = np.percentile(np.abs(raw - rest), 80, axis=0)
    if (np.percentile(np.abs(network - np.median(network, axis=0)), 80, axis=0) > MOST_RESTLESS).any():
        raise CalibrationError("the face moved: keep it at rest for half a second, then try again")
    new.neutral[:] = rest
    new.spread[:] = np.clip(2 * stray, LEAST_SPREAD, MOST_SPREAD)
    new.neutral[BLINK] = np.minimum(new.neutral[BLINK], 0.35)
    new.top[BLINK] = np.maximum(new.top[BLINK], new.neutral[BLINK] + 0.3)
    new.gaze[:] = np.median([sample.gaze for sample in samples], axis=0)
    new.measures_known, new.neutral_known = bool(measures), True
    return new


def calibrate_pose(pose: str, samples: list[Sample], pictures: int, own: Calibration) -> tuple[Calibration, list[str]]:
    """Return ``own`` with the ranges that ``pose`` shows, and the shapes that it should have moved and did not.

    Raises:
        CalibrationError: an unknown pose, no neutral yet, or no face in enough of the ``pictures``.
    """
    if pose not in POSES:
        raise CalibrationError(f"unknown pose {pose!r}: use one of {', '.join(POSES)}")
    if not own.neutral_known:
        raise CalibrationError("show the neutral face first: ranges are measured from it")
    _check_seen(samples, pictures)
    new, unseen = own.copy(), []
    extreme = np.percentile(_steadied(_derived(samples, own.measures)), 85, axis=0)
    for i in indices(*POSES[pose]):
        start = own.neutral[i] + own.spread[i]
        if extreme[i] - start < max(LEAST_VISIBLE, 2 * own.spread[i]):
            unseen.append(BLENDSHAPES[i])
        else:
            new.top[i] = start + REACH * (extreme[i] - start)
    if pose == "eyes_closed":
        _close(new, samples, unseen)
    return new, unseen


def _close(new: Calibration, samples: list[Sample], unseen: list[str]) -> None:
    """Take the lids' closed opening; eyes that were never shut change nothing."""
    measures = [sample.measures[LID_LEFT : LID_LEFT + 2] for sample in samples if sample.measures is not None]
    if not measures:
        return  # a phone's blink is a shape like the others
    opening = np.array(measures) / new.measures[:2]
    shut = np.percentile(opening, 25, axis=0)
    for side, share in enumerate(shut):
        if share < LID_OPEN_AT - 0.3:
            new.lid_shut[side] = max(LID_SHUT_AT, share + 0.1)
        elif BLENDSHAPES[BLINK[side]] not in unseen:
            unseen.append(BLENDSHAPES[BLINK[side]])


def _check_seen(samples: list[Sample], pictures: int) -> None:
    if pictures == 0:
        raise CalibrationError("no pictures come: is the camera running?")
    if len(samples) < LEAST_SEEN * pictures:
        raise CalibrationError("no face is seen: look into the camera, uncover it, and check that there is light")
    if len(samples) < LEAST_FRAMES:
        raise CalibrationError("too few pictures came in that time: check that the camera gives at least 5 a second")


def _check_still(samples: list[Sample]) -> None:
    heads = np.array([sample.head for sample in samples], np.float64)
    cosine = np.abs(heads[:, :4] @ np.median(heads[:, :4], axis=0))
    turn_rad = 2 * float(np.percentile(np.arccos(np.clip(cosine, 0, 1)), 80))
    move_m = float(np.linalg.norm(np.percentile(heads[:, 4:], 90, axis=0) - np.percentile(heads[:, 4:], 10, axis=0)))
    if turn_rad > MOST_TURN_RAD or move_m > MOST_MOVE_M:
        raise CalibrationError("the head moved: keep it still for half a second, then try again")


def _derived(samples: list[Sample], rest: Float32Array) -> Float32Array:
    """Return raw shapes [n, 52] of samples against the measures of rest."""
    raw = np.zeros((len(samples), len(BLENDSHAPES)), np.float32)
    for sample, row in zip(samples, raw, strict=True):
        if sample.measures is None:
            take_network(sample.network, row)
        else:
            derive_shapes(sample.network, sample.measures, rest, row)
    return raw


def _steadied(raw: Float32Array) -> Float32Array:
    """Return medians of three neighbours in time [n - 2, 52]: one bad frame is gone."""
    return np.median(np.stack([raw[:-2], raw[1:-1], raw[2:]]), axis=0).astype(np.float32)


assert len(MEASURES) == len(Calibration().measures)
