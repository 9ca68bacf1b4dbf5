"""Gaze: where each eye points, from its iris, as seen from the head.

An eyeball is a sphere that stands still in the head, its centre ``CENTRE_FROM_CORNERS_CM`` from the middle of the
eye's two corners, and the centre of the iris moves on a sphere of ``IRIS_RADIUS_CM`` around it. Placed in front of
the camera by the head's pose, the ray through the iris's pixel meets that sphere in one near point; the line to it
from the centre is the gaze. The corners' pixels, not the fitted mesh, give the eye's place, so an error of the fit
cancels out.

Lengths: the canonical mesh has the lids' front 0.36 cm before the corners' middle (z 3.83 against 3.47 cm) and an
adult's eyeball a radius of 1.2 cm, so its centre lies 0.84 cm behind them; the iris is about 1.0 cm before it
(Gullstrand's schematic eye: 3.6 mm behind the cornea's front, the centre of rotation 13.5 mm). The pupil stands above
and outside of the corners' middle, as the inner corner reaches under and past the eyeball: 0.22 and 0.10 cm make the
gaze of four filmed people who look about the camera (their eyeLook shapes near zero) straight on average. A person's
own offset remains.
"""

from __future__ import annotations

import math

import numpy as np

from facewire.bridge.shared.arrays import Float32Array, Float64Array
from facewire.models.face.landmarks import (
    LEFT_EYE_INNER,
    LEFT_EYE_OUTER,
    LEFT_IRIS,
    RIGHT_EYE_INNER,
    RIGHT_EYE_OUTER,
    RIGHT_IRIS,
)
from facewire.models.face.pose import VERTICAL_FIELD_OF_VIEW_RAD
from facewire.models.jit import kernel

IRIS_RADIUS_CM = 1.0
CENTRE_FROM_CORNERS_CM = (0.10, 0.22, -0.84)
"""Outwards, up and towards the front of the head."""
LIMIT_RAD = 0.9
"""An eye turns no further; irises found in closed lids may seem to."""


class Gaze:
    """Measures gaze. It keeps the canonical eyes, nothing from frame to frame."""

    def __init__(self, vertices_cm: Float32Array) -> None:
        """Take the canonical mesh [468, 3]."""
        corners = ((LEFT_EYE_OUTER, LEFT_EYE_INNER), (RIGHT_EYE_OUTER, RIGHT_EYE_INNER))
        self._corners = np.array([vertices_cm[list(pair)] for pair in corners], np.float64)
        outwards, up, front = CENTRE_FROM_CORNERS_CM
        self._centres = np.array([(outwards, up, front), (-outwards, up, front)], np.float64)

    def measure(
        self, landmarks: Float32Array, width: int, height: int, matrix: Float64Array, gaze: Float32Array
    ) -> None:
        """Write left yaw, left pitch, right yaw, right pitch [4] in radians (+yaw to the subject's left, +pitch up).

        landmarks [478, 3] in pixels of a width × height image; matrix [4, 4] is ``HeadPose.matrix`` for the same
        landmarks.
        """
        look(landmarks, width, height, matrix, self._corners, self._centres, gaze)


@kernel
def look(
    landmarks: Float32Array,
    width: int,
    height: int,
    matrix: Float64Array,
    corners: Float64Array,
    centres: Float64Array,
    gaze: Float32Array,
) -> None:
    """See ``Gaze.measure``; corners [2, 2, 3] are canonical, centres [2, 3] the eyeballs' from their middles."""
    unit = 2.0 * math.tan(0.5 * VERTICAL_FIELD_OF_VIEW_RAD) / height
    scale = math.sqrt(matrix[0, 0] ** 2 + matrix[1, 0] ** 2 + matrix[2, 0] ** 2)
    for side in range(2):
        outer, inner, iris = (
            (LEFT_EYE_OUTER, LEFT_EYE_INNER, LEFT_IRIS) if side == 0 else (RIGHT_EYE_OUTER, RIGHT_EYE_INNER, RIGHT_IRIS)
        )
        ox, oy, oz = centres[side, 0], centres[side, 1], centres[side, 2]
        cx = matrix[0, 0] * ox + matrix[0, 1] * oy + matrix[0, 2] * oz
        cy = matrix[1, 0] * ox + matrix[1, 1] * oy + matrix[1, 2] * oz
        cz = matrix[2, 0] * ox + matrix[2, 1] * oy + matrix[2, 2] * oz
        for k in range(2):
            corner = outer if k == 0 else inner
            x, y, z = corners[side, k, 0], corners[side, k, 1], corners[side, k, 2]
            half_depth = -0.5 * (matrix[2, 0] * x + matrix[2, 1] * y + matrix[2, 2] * z + matrix[2, 3])
            cx += unit * (landmarks[corner, 0] - 0.5 * width) * half_depth
            cy += unit * (0.5 * height - landmarks[corner, 1]) * half_depth
            cz -= half_depth
        rx, ry, rz = unit * (landmarks[iris, 0] - 0.5 * width), unit * (0.5 * height - landmarks[iris, 1]), -1.0
        square = rx * rx + ry * ry + rz * rz
        along = (rx * cx + ry * cy + rz * cz) / square
        radius = scale * IRIS_RADIUS_CM
        # Negative if the ray misses the sphere: then the point of the ray nearest to it has the nearest direction.
        inside = radius * radius - (cx * cx + cy * cy + cz * cz - along * along * square)
        along -= math.sqrt(max(inside, 0.0) / square)
        dx, dy, dz = along * rx - cx, along * ry - cy, along * rz - cz
        x = matrix[0, 0] * dx + matrix[1, 0] * dy + matrix[2, 0] * dz
        y = matrix[0, 1] * dx + matrix[1, 1] * dy + matrix[2, 1] * dz
        z = matrix[0, 2] * dx + matrix[1, 2] * dy + matrix[2, 2] * dz
        gaze[2 * side] = min(max(math.atan2(x, z), -LIMIT_RAD), LIMIT_RAD)
        gaze[2 * side + 1] = min(max(math.atan2(y, math.sqrt(x * x + z * z)), -LIMIT_RAD), LIMIT_RAD)
