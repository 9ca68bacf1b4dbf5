"""Turns in space, written out, to hold the kernels against."""

from __future__ import annotations

import numpy as np


def matrix_of(quaternion: np.ndarray) -> np.ndarray:
    """Return the rotation matrix [3, 3] of a unit quaternion x, y, z, w."""
    x, y, z, w = quaternion
    return np.array([
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ])  # fmt: skip
