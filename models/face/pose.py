"""Head pose: where the canonical face must stand in front of a camera to be seen as the landmarks are.

The way from screen to metres is MediaPipe's (google-ai-edge/mediapipe, ``geometry_pipeline.cc``): a pinhole camera,
one rough fit for the scale, a second one after unprojecting with it. The fit is a weighted similarity Procrustes
problem; its rotation is found as the greatest eigenvector of Horn's quaternion matrix (Horn 1987, J. Opt. Soc. Am. A
4(4), section 4), which never yields a reflection.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from facewire.bridge.shared.arrays import Float32Array, Float64Array
from facewire.models.face.landmarks import MESH_COUNT
from facewire.models.jit import kernel

Int32Array = npt.NDArray[np.int32]

VERTICAL_FIELD_OF_VIEW_RAD = math.radians(63.0)
"""MediaPipe's assumption about the camera; a real one differs, and the distance with it, in proportion."""
METRES_PER_UNIT = 0.01
"""The canonical mesh is in centimetres."""


class HeadPose:
    """Fits the canonical face to landmarks. Holds buffers only; a fit depends on nothing but its arguments."""

    def __init__(self, vertices_cm: Float32Array, ids: Int32Array, weights: Float32Array) -> None:
        """Take the canonical mesh [468, 3] and the landmarks (with their weights) that the fit looks at."""
        self._ids = np.ascontiguousarray(ids, np.int32)
        self._source = np.ascontiguousarray(vertices_cm[self._ids], np.float64)
        self._weights = np.ascontiguousarray(weights, np.float64)
        self._target = np.empty_like(self._source)
        self._scratch = np.empty((4, 4, 4), np.float64)
        self.matrix = np.eye(4)
        """Last fit: canonical face to camera, centimetres, rotation times scale."""

    def fit(self, landmarks: Float32Array, width: int, height: int, head: Float32Array) -> None:
        """Write quaternion x, y, z, w and translation in metres to head [7].

        landmarks [478, 3] are in pixels of a width × height image.
        """
        _fit(
            landmarks,
            width,
            height,
            self._source,
            self._ids,
            self._weights,
            self._target,
            self._scratch,
            self.matrix,
            head,
        )


@kernel
def _fit(
    landmarks: Float32Array,
    width: int,
    height: int,
    source: Float64Array,
    ids: Int32Array,
    weights: Float64Array,
    target: Float64Array,
    scratch: Float64Array,
    matrix: Float64Array,
    head: Float32Array,
) -> None:
    unit = 2.0 * math.tan(0.5 * VERTICAL_FIELD_OF_VIEW_RAD) / height  # of the near plane at distance 1, per pixel
    mean_depth = 0.0
    for i in range(MESH_COUNT):
        mean_depth += unit * landmarks[i, 2] / MESH_COUNT
    for i in range(ids.shape[0]):
        target[i, 0] = unit * (landmarks[ids[i], 0] - 0.5 * width)
        target[i, 1] = unit * (0.5 * height - landmarks[ids[i], 1])
        target[i, 2] = -unit * landmarks[ids[i], 2]
    scale = procrustes(source, target, weights, scratch, matrix, head)
    for _ in range(2):
        # Depth is only relative in the landmarks: the scale so far says how far away, and how far apart, they are.
        for i in range(ids.shape[0]):
            depth = (unit * landmarks[ids[i], 2] - mean_depth + 1.0) / scale
            target[i, 0] = unit * (landmarks[ids[i], 0] - 0.5 * width) * depth
            target[i, 1] = unit * (0.5 * height - landmarks[ids[i], 1]) * depth
            target[i, 2] = -depth
        scale *= procrustes(source, target, weights, scratch, matrix, head)
    for i in range(3):
        head[4 + i] = METRES_PER_UNIT * matrix[i, 3]


@kernel
def procrustes(
    source: Float64Array,
    target: Float64Array,
    weights: Float64Array,
    scratch: Float64Array,
    matrix: Float64Array,
    head: Float32Array,
) -> float:
    """Fit source [n, 3] to target [n, 3] by rotation, scale and translation (weights [n]); return the scale.

    Writes the transform to matrix [4, 4] and the rotation's quaternion x, y, z, w (w ≥ 0) to head [:4]. scratch is
    [4, 4, 4].
    """
    total = weights.sum()
    centre, goal, s = scratch[2, 0], scratch[2, 1], scratch[3, :3, :3]
    scratch[2:] = 0.0
    for i in range(source.shape[0]):
        for k in range(3):
            centre[k] += weights[i] * source[i, k] / total
            goal[k] += weights[i] * target[i, k] / total
    spread = 0.0
    for i in range(source.shape[0]):
        for j in range(3):
            d = source[i, j] - centre[j]
            spread += weights[i] * d * d
            for k in range(3):
                s[j, k] += weights[i] * d * (target[i, k] - goal[k])
    _rotation(s, scratch, head, matrix)
    trace = 0.0
    for j in range(3):
        for k in range(3):
            trace += matrix[k, j] * s[j, k]
    scale = max(trace / spread, 1e-9)
    for j in range(3):
        matrix[j, 3] = goal[j]
        for k in range(3):
            matrix[j, k] *= scale
            matrix[j, 3] -= matrix[j, k] * centre[k]
    return scale


@kernel
def _rotation(s: Float64Array, scratch: Float64Array, head: Float32Array, matrix: Float64Array) -> None:
    """Write the best rotation, as matrix and quaternion, for the sum s [3, 3] of products of source and target."""
    n = scratch[0]
    n[0, 0] = s[0, 0] + s[1, 1] + s[2, 2]
    n[1, 1] = s[0, 0] - s[1, 1] - s[2, 2]
    n[2, 2] = s[1, 1] - s[0, 0] - s[2, 2]
    n[3, 3] = s[2, 2] - s[0, 0] - s[1, 1]
    n[0, 1] = n[1, 0] = s[1, 2] - s[2, 1]
    n[0, 2] = n[2, 0] = s[2, 0] - s[0, 2]
    n[0, 3] = n[3, 0] = s[0, 1] - s[1, 0]
    n[1, 2] = n[2, 1] = s[0, 1] + s[1, 0]
    n[1, 3] = n[3, 1] = s[2, 0] + s[0, 2]
    n[2, 3] = n[3, 2] = s[1, 2] + s[2, 1]
    _jacobi(n, scratch[1])
    best = 0
    for i in range(1, 4):
        if n[i, i] > n[best, best]:
            best = i
    w, x, y, z = scratch[1, 0, best], scratch[1, 1, best], scratch[1, 2, best], scratch[1, 3, best]
    if w < 0:
        w, x, y, z = -w, -x, -y, -z
    head[0], head[1], head[2], head[3] = x, y, z, w
    matrix[0, 0], matrix[0, 1], matrix[0, 2] = 1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)
    matrix[1, 0], matrix[1, 1], matrix[1, 2] = 2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)
    matrix[2, 0], matrix[2, 1], matrix[2, 2] = 2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)


@kernel
def _jacobi(a: Float64Array, vectors: Float64Array) -> None:
    """Diagonalise the symmetric a [4, 4] by Jacobi rotations; the columns of vectors become its eigenvectors."""
    for i in range(4):
        for j in range(4):
            vectors[i, j] = 1.0 if i == j else 0.0
    for _ in range(12):
        off = 0.0
        size = 0.0
        for i in range(4):
            size += a[i, i] * a[i, i]
            for j in range(i):
                off += a[i, j] * a[i, j]
        if off <= 1e-26 * size:
            return
        for p in range(3):
            for q in range(p + 1, 4):
                if a[p, q] == 0.0:
                    continue
                theta = (a[q, q] - a[p, p]) / (2.0 * a[p, q])
                t = math.copysign(1.0, theta) / (abs(theta) + math.sqrt(theta * theta + 1.0))
                c = 1.0 / math.sqrt(t * t + 1.0)
                sine = t * c
                for k in range(4):
                    left, right = a[k, p], a[k, q]
                    a[k, p], a[k, q] = c * left - sine * right, sine * left + c * right
                for k in range(4):
                    left, right = a[p, k], a[q, k]
                    a[p, k], a[q, k] = c * left - sine * right, sine * left + c * right
                for k in range(4):
                    left, right = vectors[k, p], vectors[k, q]
                    vectors[k, p], vectors[k, q] = c * left - sine * right, sine * left + c * right
