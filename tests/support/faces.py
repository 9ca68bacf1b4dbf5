"""Faces as a tracker sees them: the one place in the tests that says what such a face is made of."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from facewire.bridge.shared.arkit import BLENDSHAPE_INDEX, BLENDSHAPES
from facewire.bridge.shared.face import FaceState


def shapes_of(**values: float) -> np.ndarray:
    """Return the blendshapes, float32 [52], of a face that rests but for these."""
    shapes = np.zeros(len(BLENDSHAPES), np.float32)
    for name, value in values.items():
        shapes[BLENDSHAPE_INDEX[name]] = value
    return shapes


def head_of(yaw_rad: float = 0.0, place_m: Iterable[float] = (0, 0, -0.5)) -> np.ndarray:
    """Return the pose, float32 [7], of a head that is turned to the side by ``yaw_rad``."""
    return np.array([0, math.sin(yaw_rad / 2), 0, math.cos(yaw_rad / 2), *place_m], np.float32)


def seen_face(
    confidence: float = 0.9,
    blendshapes: np.ndarray | None = None,
    head: np.ndarray | None = None,
    gaze: np.ndarray | None = None,
    landmarks: np.ndarray | None = None,
) -> FaceState:
    """Return a face that was tracked: at rest, straight ahead, half a metre away, unless a test says more.

    ``landmarks`` are None from a phone: its face comes without a picture.
    """
    return FaceState.of(
        shapes_of() if blendshapes is None else blendshapes,
        head_of() if head is None else head,
        np.zeros(4, np.float32) if gaze is None else gaze,
        confidence=confidence,
        landmarks=landmarks,
    )
