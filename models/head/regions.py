"""Which of the body's faces are lips and the inside of the mouth; and brows, which it has not, laid onto its skin."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Quads = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

# All in the data's units, decimetres.
MOUTH_LOW, MOUTH_HIGH = (-0.45, 6.2, 0.2), (0.45, 6.95, 1.62)
CAVITY = (0.0, 6.58, 1.15)
LIP_LINE, CORNER, UPPER, LOWER = 6.603, 0.25, 0.082, 0.118
BROW_ENDS, BROW_HEIGHT, BROW_ARCH, BROW_THICKNESS, BROW_LIFT = (0.11, 0.52), 7.435, 0.085, 0.046, 0.02
BROW_STEPS = 16
BROW_CENTRE = (0.0, 7.3, 0.6)


def split_materials(body: Quads, vertices: Array) -> dict[str, Quads]:
    """Return the quads of each material; together they are ``body``."""
    corners = vertices[body]
    centres = corners.mean(1)
    normals = np.cross(corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1])
    in_box = ((centres > MOUTH_LOW) & (centres < MOUTH_HIGH)).all(1)
    # Skin looks away from the cavity of the mouth, its walls look into it.
    inside = in_box & (np.sum(normals * (centres - CAVITY), 1) < 0)
    lips = _is_lip(centres) & ~inside
    return {"skin": body[~lips & ~inside], "lips": body[lips], "mouth": body[inside]}


def _is_lip(centres: Array) -> Mask:
    taper = 1 - (centres[:, 0] / CORNER) ** 2
    above = centres[:, 1] - LIP_LINE
    return (taper > 0) & (above < UPPER * taper) & (above > -LOWER * taper) & (centres[:, 2] > 1.3)


def brow_points() -> tuple[Array, Quads]:
    """Return the outline of the left brow in the frontal plane, [2 n, 2], and its quads."""
    along = np.linspace(0, 1, BROW_STEPS + 1)
    x = BROW_ENDS[0] + (BROW_ENDS[1] - BROW_ENDS[0]) * along
    middle = BROW_HEIGHT + BROW_ARCH * np.sin(np.pi * along**0.8 * 0.8)
    half = BROW_THICKNESS / 2 * np.clip(1.25 - along, 0.2, 1)
    low, high = np.stack([x, middle - half], 1), np.stack([x, middle + half], 1)
    first = np.arange(BROW_STEPS)
    count = BROW_STEPS + 1
    return np.concatenate([low, high]), np.stack([first, first + 1, first + 1 + count, first + count], 1)


def lay_onto(points: Array, skin: Quads, vertices: Array) -> tuple[Quads, Array]:
    """Return for each point of the frontal plane, [p, 2], where it falls on the skin.

    That is the corners [p, 3] of the foremost triangle behind it, and its barycentric weights [p, 3].
    """
    triangles = np.concatenate([skin[:, [0, 1, 2]], skin[:, [0, 2, 3]]])
    a, b, c = (vertices[triangles[:, i]] for i in range(3))
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    facing = area > 1e-9
    triangles, a, b, c, area = triangles[facing], a[facing], b[facing], c[facing], area[facing]
    corners, weights = [], []
    for x, y in points:
        of_b = ((x - a[:, 0]) * (c[:, 1] - a[:, 1]) - (y - a[:, 1]) * (c[:, 0] - a[:, 0])) / area
        of_c = ((b[:, 0] - a[:, 0]) * (y - a[:, 1]) - (b[:, 1] - a[:, 1]) * (x - a[:, 0])) / area
        (hit,) = np.nonzero((of_b >= 0) & (of_c >= 0) & (of_b + of_c <= 1))
        depth = a[hit, 2] + of_b[hit] * (b[hit, 2] - a[hit, 2]) + of_c[hit] * (c[hit, 2] - a[hit, 2])
        best = hit[depth.argmax()]
        corners.append(triangles[best])
        weights.append([1 - of_b[best] - of_c[best], of_b[best], of_c[best]])
    return np.array(corners), np.array(weights)
