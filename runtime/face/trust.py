"""How far the camera's mouth can be trusted now: hidden by a hand or a microphone, turned away, blurred, or lost.

A landmark network goes on inventing a mouth under whatever covers it, and stays sure of the face (measured: its face
flag does not move). What gives a cover away is its looks: lips are redder and darker than the skin around them, that
skin is of one colour with the cheeks and the nose, and the lower face looks as it did a moment ago. Each is compared
with what is usual for this face under this light.
"""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np

from facewire.bridge.shared.arrays import Float32Array, Float64Array, Image

PATCH_PX = 32
_OUTER_LEFT, _OUTER_RIGHT, _CHIN = 263, 33, 152
_PATCH_POINTS = np.array([[2, -22], [30, -22], [16, 30]], np.float32)
"""Where the eyes' outer corners and the chin go: the patch holds what lies between nose and chin."""
_LIPS_OUTER = np.array([61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 146, 91, 181, 84, 17, 314, 405, 321, 375])
_LIPS_INNER = np.array([78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 95, 88, 178, 87, 14, 317, 402, 318, 324])
_AROUND = np.array([205, 425, 200, 164, 43, 273, 92, 322, 18, 165, 391, 106, 335, 182, 406])
_ABOVE = np.array([50, 280, 4, 117, 346, 151, 9, 108, 337, 101, 330])

LEAST_STRAY = np.array([0.05, 0.09, 0.05, 0.08, 0.12, 0.08])
"""How far each look strays at least in a face that nothing covers: lips' redness and darkness against the skin around
them, that skin's redness, blueness and brightness against the cheeks', and likeness with the usual lower face."""
ODD_AT, STRANGE_AT = 2.2, 4.5
"""A look so many usual strays away begins to count against the mouth, and counts fully."""
DOUBT = (0.25, 0.75)
"""Sum of what counts at which trust begins to fall, and has gone."""
DOUBT_RISE_S, DOUBT_FALL_S = 0.03, 0.40
"""Doubt is quick to come and slow to go: a mesh that jitters on a hand looks right for a picture or two."""
LEARN_S, RELEARN_S = 4.0, 30.0
"""Time constants of what is usual, while the mouth is trusted and while it is not (the light may have changed)."""
GOOD_S = 1.0
"""What is usual is learned from a mouth that has been beyond doubt for this long."""
FIRST_S = 1.0
"""At first it is learned within about this time."""
SETTLE_S = 0.08
"""Trust itself is smoothed a little: one odd picture does not count."""
TURN_RAD = (0.60, 0.95)
"""From where to where a turned head loses trust."""
SHARPNESS = (0.08, 0.25)
"""Share of the usual contrast at which a blurred mouth is worth nothing, and at which it is worth all."""


class MouthTrust:
    """Judges the camera's mouth. Delay: about ``SETTLE_S``.

    State: what is usual for this face, for how long it has been seen, the doubt and the trust.
    """

    def __init__(self) -> None:
        self.value = 0.0
        """0..1, after each step."""
        self.covered = 0.0
        """0..1: how sure it is that something hides the mouth."""
        self._usual: Float64Array = np.zeros(len(LEAST_STRAY))
        self._stray: Float64Array = LEAST_STRAY.copy()
        self._patch: Float64Array = np.zeros((PATCH_PX, PATCH_PX))
        self._sharpness = 0.0
        self._seen_s = self._good_s = self._doubt = 0.0
        self._last_ns: int | None = None

    def forget(self) -> None:
        """Forget the camera and the person, and learn from the start."""
        self.__init__()  # type: ignore[misc]

    def follow(self, now_ns: int) -> None:
        """Take note that a phone sees the face at ``now_ns``: there is no picture to judge by."""
        self.covered = self._doubt = 0.0
        self._settle(1.0, self._passed_s(now_ns))

    def lose(self, now_ns: int) -> None:
        """Take note that no face is seen at ``now_ns``."""
        self._settle(0.0, self._passed_s(now_ns))

    def step(self, image_bgr: Image, landmarks: Float32Array, head: Float32Array, now_ns: int) -> None:
        """Judge the mouth in ``image_bgr`` at ``landmarks`` [478, 3] with the head's pose [7]."""
        passed_s = self._passed_s(now_ns)
        looks, patch, sharpness = observe(image_bgr, landmarks, self._patch if self._seen_s > 0 else None)
        if self._seen_s == 0.0:
            self._usual[:], self._patch[:], self._sharpness = looks, patch, sharpness
        odd = np.abs(looks - self._usual) / np.maximum(self._stray, LEAST_STRAY)
        odd[5] *= looks[5] < self._usual[5]  # more alike than usual is fine
        counted = np.clip((odd - ODD_AT) / (STRANGE_AT - ODD_AT), 0.0, 1.0)
        doubt = min(float(counted.sum()), 1.0)
        constant_s = DOUBT_RISE_S if doubt > self._doubt else DOUBT_FALL_S
        self._doubt += (1.0 - math.exp(-passed_s / constant_s)) * (doubt - self._doubt)
        self.covered = _ramp(self._doubt, *DOUBT)
        sharp = _ramp(sharpness / max(self._sharpness, 1e-6), *SHARPNESS)
        self._settle((1.0 - self.covered) * sharp * facing(head), passed_s)
        self._learn(looks, patch, sharpness, passed_s)

    def _learn(self, looks: Float64Array, patch: Float64Array, sharpness: float, passed_s: float) -> None:
        self._seen_s += max(passed_s, 1e-3)
        self._good_s = self._good_s + passed_s if self.covered < 0.3 else 0.0
        trusted = self._good_s > GOOD_S
        constant_s = min(LEARN_S, max(self._seen_s, FIRST_S / 4)) if trusted or self._seen_s < FIRST_S else RELEARN_S
        share = 1.0 - math.exp(-passed_s / constant_s)
        if trusted:
            self._stray += 0.3 * share * (2.0 * np.abs(looks - self._usual) - self._stray)
        self._usual += share * (looks - self._usual)
        self._patch += share * (patch - self._patch)
        self._sharpness += share * (sharpness - self._sharpness)

    def _settle(self, target: float, passed_s: float) -> None:
        self.value += (1.0 - math.exp(-passed_s / SETTLE_S)) * (target - self.value)

    def _passed_s(self, now_ns: int) -> float:
        passed_s = 1 / 30 if self._last_ns is None else min(max(now_ns - self._last_ns, 0) * 1e-9, 0.2)
        self._last_ns = now_ns
        return passed_s


def observe(
    image_bgr: Image, landmarks: Float32Array, usual: Float64Array | None
) -> tuple[Float64Array, Float64Array, float]:
    """Return the six looks of ``LEAST_STRAY``, the lower face as a patch [32, 32], and how sharp it is."""
    source = np.ascontiguousarray(landmarks[[_OUTER_RIGHT, _OUTER_LEFT, _CHIN], :2], np.float32)
    warp = cv2.getAffineTransform(source, _PATCH_POINTS)
    grey = cv2.cvtColor(cv2.warpAffine(image_bgr, warp, (PATCH_PX, PATCH_PX)), cv2.COLOR_BGR2GRAY)
    patch: Float64Array = grey.astype(np.float64)
    sharpness = float(cv2.Laplacian(patch, cv2.CV_64F).std())
    lips = _colours(image_bgr, (landmarks[_LIPS_OUTER] + landmarks[_LIPS_INNER]) / 2)
    around, above = _colours(image_bgr, landmarks[_AROUND]), _colours(image_bgr, landmarks[_ABOVE])
    likeness = 1.0 if usual is None else _correlation(patch, usual)
    looks = np.array([
        _median(lips[:, 2] - lips[:, 1]) - _median(around[:, 2] - around[:, 1]),
        lips[:, 1].mean() - around[:, 1].mean(),
        _median(around[:, 2] - around[:, 1]) - _median(above[:, 2] - above[:, 1]),
        _median(around[:, 0] - around[:, 1]) - _median(above[:, 0] - above[:, 1]),
        _median(around[:, 1]) - _median(above[:, 1]),
        likeness,
    ])  # fmt: skip
    return looks, patch, sharpness


def facing(head: Float32Array) -> float:
    """Return 1 for a head [7] that faces the camera, 0 for one that is turned away."""
    x, y, z, w = (float(v) for v in head[:4])
    forward = 1.0 - 2.0 * (x * x + y * y)  # how far the face's +z points to the camera
    del z, w
    return 1.0 - _ramp(math.acos(min(max(forward, -1.0), 1.0)), *TURN_RAD)


def _colours(image_bgr: Image, points: Float32Array) -> Float64Array:
    """Return the logarithms of blue, green and red [n, 3] at ``points`` in pixels, averaged over 3 × 3."""
    height, width = image_bgr.shape[:2]
    x = np.clip(points[:, 0], 1, width - 2).astype(np.intp)
    y = np.clip(points[:, 1], 1, height - 2).astype(np.intp)
    total = np.zeros((len(points), 3))
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            total += image_bgr[y + down, x + right]
    colours: Float64Array = np.log(total / 9 + 4.0)
    return colours


def _correlation(a: Float64Array, b: Float64Array) -> float:
    a, b = a - a.mean(), b - b.mean()
    return float((a * b).sum() / math.sqrt(float((a * a).sum() * (b * b).sum()) + 1e-6))


def _median(values: Any) -> float:
    return float(np.median(values))


def _ramp(value: float, low: float, high: float) -> float:
    share = min(max((value - low) / (high - low), 0.0), 1.0)
    return share * share * (3.0 - 2.0 * share)
