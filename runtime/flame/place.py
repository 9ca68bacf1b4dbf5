"""Where a frame's ``head`` is in a FLAME model, so that the streamed head pose places the model's head, too.

Both poses are of one head, one measured on MediaPipe's rigid canonical face and one fitted with the model. What they
differ by is nearly constant for a person: a turn Q, a shift b and a scale s, with s Q y + b for a point y of the head's
space. A head s times as large and s times as far away looks the same.
"""

from __future__ import annotations

import math

import numpy as np

from facewire.bridge.shared.arrays import Float32Array, Float64Array
from facewire.models.assets.store import asset_path
from facewire.models.face.pose import METRES_PER_UNIT, procrustes

EVERY = 5
"""One frame of so many is looked at."""
MOST_FRAMES = 300
"""A new one counts at least 1 / so many."""


class HeadInModel:
    """Learns where a frame's head is in the model. State: mean turn and shifts of the frames that it looked at."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget the person."""
        self._turn = np.zeros(4)
        self._head, self._model = np.zeros(3), np.zeros(3)
        self._seen = 0

    def look(self, head: Float32Array, rotation: Float32Array, translation: Float32Array, root: Float64Array) -> None:
        """Take one head as it was tracked, [7], and as FLAME's root was fitted to it: axis-angle, metres, its joint."""
        self._seen += 1
        if self._seen % EVERY != 1:
            return
        x, y, z, w = _quaternion(rotation)
        turn = _matrix(x, y, z, w)
        hx, hy, hz, hw = (float(value) for value in head[:4])
        relative = np.array([
            w * hx - x * hw - y * hz + z * hy,
            w * hy - y * hw - z * hx + x * hz,
            w * hz - z * hw - x * hy + y * hx,
            w * hw + x * hx + y * hy + z * hz,
        ])  # fmt: skip
        if relative @ self._turn < 0.0:
            relative = -relative
        share = 1.0 / min(self._seen // EVERY + 1, MOST_FRAMES)
        self._turn += share * (relative - self._turn)
        self._head += share * (turn.T @ head[4:] - self._head)
        self._model += share * (turn.T @ (translation + root) - root - self._model)

    def placed(self, rest: Float64Array) -> Float64Array:
        """Return [8]: Q as quaternion xyzw, b in metres, s; ``rest`` [468, 3] are the person's landmarks at rest."""
        fallback = head_in(rest)
        length = float(np.linalg.norm(self._turn))
        if length < 0.5:
            return fallback
        return np.concatenate([self._turn / length, fallback[7] * self._head - self._model, fallback[7:]])


def head_in(rest: Float64Array) -> Float64Array:
    """Return where the canonical face lies on landmarks [468, 3] of a model at rest, in metres: [8], as ``placed``."""
    with np.load(asset_path("face_geometry")) as geometry:
        canonical = METRES_PER_UNIT * geometry["vertices"].astype(np.float64)
    matrix, head = np.eye(4), np.zeros(7, np.float32)
    scale = procrustes(canonical, rest, np.ones(len(rest)), np.empty((4, 4, 4)), matrix, head)
    return np.concatenate([head[:4], matrix[:3, 3], [scale]])


def _quaternion(axis_angle: Float32Array) -> tuple[float, float, float, float]:
    x, y, z = (float(value) for value in axis_angle)
    angle = math.sqrt(x * x + y * y + z * z)
    share = math.sin(0.5 * angle) / angle if angle > 1e-9 else 0.5
    return share * x, share * y, share * z, math.cos(0.5 * angle)


def _matrix(x: float, y: float, z: float, w: float) -> Float64Array:
    return np.array([
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ])  # fmt: skip
