"""A face as in a mirror: left and right swapped."""

from __future__ import annotations

import numpy as np

from facewire.bridge.shared.arkit import BLENDSHAPE_INDEX, BLENDSHAPES
from facewire.bridge.shared.arrays import Float32Array


def other_side(name: str) -> str:
    """Returns the shape that is ``name`` on the other side of the face; ``name`` itself where it has no side."""
    for side, other in (("Left", "Right"), ("Right", "Left")):
        if name.endswith(side):
            return name.removesuffix(side) + other
    return name


_COLUMNS = np.array([BLENDSHAPE_INDEX[other_side(name)] for name in BLENDSHAPES], np.intp)
_HEAD = np.array([1, -1, -1, 1, -1, 1, 1], np.float32)
_EYES, _GAZE = np.array([2, 3, 0, 1], np.intp), np.array([-1, 1, -1, 1], np.float32)


def mirrored(
    blendshapes: Float32Array, head: Float32Array, gaze: Float32Array
) -> tuple[Float32Array, Float32Array, Float32Array]:
    """Returns shapes [..., 52], head [..., 7] and gaze [..., 4] of the mirrored face, in new arrays."""
    return blendshapes[..., _COLUMNS], head * _HEAD, gaze[..., _EYES] * _GAZE
