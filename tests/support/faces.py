"""Faces as a tracker sees them: the one place in the tests that says what such a face is made of."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from facewire.bridge.shared.arkit import BLENDSHAPE_INDEX, BLENDSHAPES


def shapes_of(**values: float) -> np.ndarray:
    """Return the blendshapes, float32 [52], of a face that rests but for these."""
    shapes = np.zeros(len(BLENDSHAPES), np.float32)
    for name, value in values.items():
        shapes[BLENDSHAPE_INDEX[name]] = value
    return shapes


def head_of(yaw_rad: float = 0.0, place_m: Iterable[float] = (0, 0, -0.5)) -> np.ndarray:
    """Return the pose, float32 [7], of a head that is turned to the side by ``yaw_rad``."""
    return np.array([0, math.sin(yaw_rad / 2), 0, math.cos(yaw_rad / 2), *place_m], np.float32)


@dataclass
class SeenFace:
    """A face that was tracked: at rest, straight ahead, half a metre away, unless a test says more."""

    confidence: float = 0.9
    blendshapes: np.ndarray = field(default_factory=shapes_of)
    head: np.ndarray = field(default_factory=head_of)
    gaze: np.ndarray = field(default_factory=lambda: np.zeros(4, np.float32))
    landmarks: np.ndarray | None = None
    """None from a phone: it comes without a picture."""
