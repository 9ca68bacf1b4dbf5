"""What a face does, measured on its landmarks in the head's own space: lids, nose, cheeks and jaw.

Landmarks are turned back by the head's pose and divided by the distance of the eyes' outer corners, so neither the
head's turn, nor its place, nor the camera changes a measure. Lids measured so keep their opening when the head nods
(correlation with pitch 0.1 to 0.2 where the network's own blink reaches 0.9, benchmarks/calibration.py), which is why
blinks rest on them. The points are those of MediaPipe's canonical face mesh.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from facewire.bridge.shared.arrays import Float32Array, FloatArray
from facewire.models.jit import kernel

MEASURES: tuple[str, ...] = (
    "lid_left", "lid_right", "nose_left", "nose_right", "cheek_left", "cheek_right", "cheekbone_left",
    "cheekbone_right", "jaw_side", "mouth_gap",
)  # fmt: skip
"""In eye distances. lid: opening. nose: how far the wing lies below the eyes' inner corners. cheek: how far the cheek
beside the mouth stands out from the middle. cheekbone: how far the skin under the eye lies below the inner corners.
jaw_side: chin from the middle, + to the subject's left. mouth_gap: between the lips' inner rims."""

TYPICAL: Float32Array = np.array([0.098, 0.097, 0.435, 0.435, 0.478, 0.478, 0.225, 0.225, 0.0, 0.01], np.float32)
"""Medians of a few filmed people; what is taken for neutral until a face's own is known."""

LID_LEFT, LID_RIGHT, NOSE_LEFT, NOSE_RIGHT, CHEEK_LEFT, CHEEK_RIGHT, BONE_LEFT, BONE_RIGHT, JAW_SIDE, MOUTH_GAP = range(
    len(MEASURES)
)

_OUTER_LEFT, _OUTER_RIGHT = 263, 33
_POINTS = np.array([
    386, 385, 387, 374, 380, 373, 159, 158, 160, 145, 153, 144,  # 0-11: lids, left upper and lower, right likewise
    278, 294, 327, 48, 64, 98,  # 12-17: wings of the nose
    425, 411, 427, 436, 205, 187, 207, 216,  # 18-25: cheeks beside the mouth
    347, 348, 330, 118, 119, 101,  # 26-31: under the eyes
    133, 362, 6, 197, 195,  # 32-36: inner corners, ridge of the nose
    152, 377, 148, 13, 14,  # 37-41: chin, lips' inner rims
], np.int32)  # fmt: skip


@kernel
def measure_face(
    landmarks: FloatArray, head: FloatArray, points: npt.NDArray[np.int32], scratch: FloatArray, measures: FloatArray
) -> bool:
    """Write ``measures`` [10] of ``landmarks`` [478, 3] (pixels) seen with ``head`` [7]; False if they are no face.

    ``points`` are the landmarks to look at; ``scratch`` [n, 3] takes them in head space.
    """
    x, y, z, w = head[0], head[1], head[2], head[3]
    dx = landmarks[_OUTER_LEFT, 0] - landmarks[_OUTER_RIGHT, 0]
    dy = landmarks[_OUTER_LEFT, 1] - landmarks[_OUTER_RIGHT, 1]
    dz = landmarks[_OUTER_LEFT, 2] - landmarks[_OUTER_RIGHT, 2]
    size = math.sqrt(dx * dx + dy * dy + dz * dz)
    if not (1.0 < size < 1e5):
        return False
    for i in range(points.shape[0]):
        a, b, c = landmarks[points[i], 0] / size, -landmarks[points[i], 1] / size, -landmarks[points[i], 2] / size
        scratch[i, 0] = (1 - 2 * (y * y + z * z)) * a + 2 * (x * y + z * w) * b + 2 * (x * z - y * w) * c
        scratch[i, 1] = 2 * (x * y - z * w) * a + (1 - 2 * (x * x + z * z)) * b + 2 * (y * z + x * w) * c
        scratch[i, 2] = 2 * (x * z + y * w) * a + 2 * (y * z - x * w) * b + (1 - 2 * (x * x + y * y)) * c
    middle = (scratch[34, 0] + scratch[35, 0] + scratch[36, 0]) / 3
    corners = (scratch[32, 1] + scratch[33, 1]) / 2
    for side in range(2):
        lid = 0.0
        for k in range(3):
            lid += (scratch[6 * side + k, 1] - scratch[6 * side + 3 + k, 1]) / 3
        measures[side] = lid
        wing = (scratch[12 + 3 * side, 1] + scratch[13 + 3 * side, 1] + scratch[14 + 3 * side, 1]) / 3
        measures[2 + side] = corners - wing
        cheek = 0.0
        for k in range(4):
            cheek += scratch[18 + 4 * side + k, 0] / 4
        measures[4 + side] = cheek - middle if side == 0 else middle - cheek
        bone = (scratch[26 + 3 * side, 1] + scratch[27 + 3 * side, 1] + scratch[28 + 3 * side, 1]) / 3
        measures[6 + side] = corners - bone
    measures[8] = (scratch[37, 0] + scratch[38, 0] + scratch[39, 0]) / 3 - middle
    measures[9] = scratch[40, 1] - scratch[41, 1]
    for i in range(measures.shape[0]):  # noqa: SIM110, compiled
        if not abs(measures[i]) < 10.0:
            return False
    return True


class FaceMeasures:
    """Measures faces into ``values`` [10], in the order of ``MEASURES``. Keeps buffers only."""

    def __init__(self) -> None:
        self._scratch = np.empty((len(_POINTS), 3))
        self.values: Float32Array = TYPICAL.copy()

    def step(self, landmarks: Float32Array, head: Float32Array) -> bool:
        """Measure one face; False, and ``values`` are worth nothing, if the landmarks cannot be one."""
        return bool(measure_face(landmarks, head, _POINTS, self._scratch, self.values))
