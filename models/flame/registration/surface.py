"""What can be asked of a triangle mesh's surface: its parts, what is seen of it, the point of it nearest to another.

Lengths are in the mesh's own unit, metres everywhere in this package; nothing here knows a face.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from facewire.bridge.shared.arrays import Float64Array
from facewire.models.jit import kernel

Int32Array = npt.NDArray[np.int32]
IndexArray = npt.NDArray[np.intp]
BoolArray = npt.NDArray[np.bool_]

UNSEEN = -1


@dataclass(frozen=True, slots=True)
class View:
    """A mesh as a camera far away sees it; pixel [row, column] looks along the view's -z."""

    triangle: Int32Array
    """[rows, columns], which triangle is foremost, UNSEEN if there is none."""
    depth: Float64Array
    """[rows, columns], z of that point in the view's space, -inf if there is none."""
    left: float
    top: float
    """x and y of the middle of pixel [0, 0]."""
    pixel: float
    """Side of a pixel in the mesh's unit."""

    def column(self, x: float) -> int:
        """Return the nearest column to an x."""
        return round((x - self.left) / self.pixel)

    def row(self, y: float) -> int:
        """Return the nearest row to a y."""
        return round((self.top - y) / self.pixel)

    def place(self, row: int, column: int) -> Float64Array:
        """Return the point [3] that a pixel shows, in the view's space."""
        return np.array([self.left + column * self.pixel, self.top - row * self.pixel, self.depth[row, column]])


def corners_of(vertices: Float64Array, triangles: Int32Array) -> Float64Array:
    """Return the corners [t, 3, 3] of all triangles."""
    return np.ascontiguousarray(vertices[triangles], np.float64)


def normals_of(vertices: Float64Array, triangles: Int32Array) -> Float64Array:
    """Return unit normals [t, 3]; zero for a triangle without area."""
    corners = corners_of(vertices, triangles)
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    unit: Float64Array = normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-30)
    return unit


def vertex_normals_of(vertices: Float64Array, triangles: Int32Array) -> Float64Array:
    """Return unit normals [n, 3], the triangles' weighted by their areas."""
    corners = corners_of(vertices, triangles)
    twice_areas = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.zeros_like(vertices)
    np.add.at(normals, triangles, twice_areas[:, None, :])
    unit: Float64Array = normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-30)
    return unit


def vertex_areas_of(vertices: Float64Array, triangles: Int32Array) -> Float64Array:
    """Area [n] that belongs to each vertex: a third of its triangles'."""
    corners = corners_of(vertices, triangles)
    areas = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1) / 2
    shares: Float64Array = np.bincount(triangles.ravel(), np.repeat(areas / 3, 3), len(vertices)).astype(np.float64)
    return shares


def edges_of(triangles: Int32Array) -> Int32Array:
    """Every edge once, [e, 2], the smaller vertex first."""
    edges = np.sort(np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]), axis=1)
    return np.unique(edges, axis=0).astype(np.int32)


def components_of(triangles: Int32Array, count: int) -> Int32Array:
    """For each of ``count`` vertices the smallest vertex number of the connected part that it belongs to, [n]."""
    edges = edges_of(triangles)
    label = np.arange(count, dtype=np.int32)
    while True:
        least = np.minimum(label[edges[:, 0]], label[edges[:, 1]])
        following = label.copy()
        np.minimum.at(following, edges[:, 0], least)
        np.minimum.at(following, edges[:, 1], least)
        following = following[following]
        if (following == label).all():
            return label
        label = following


def look_at(vertices: Float64Array, triangles: Int32Array, pixel: float) -> View:
    """Return what a camera far along +z sees of the triangles that face it."""
    used = vertices[triangles.ravel()]
    left, top = float(used[:, 0].min()), float(used[:, 1].max())
    shape = (int((top - used[:, 1].min()) / pixel) + 2, int((used[:, 0].max() - left) / pixel) + 2)
    triangle, depth = np.full(shape, UNSEEN, np.int32), np.full(shape, -np.inf)
    places = np.stack([(vertices[:, 0] - left) / pixel, (top - vertices[:, 1]) / pixel, vertices[:, 2]], 1)
    _draw(places, triangles, depth, triangle)
    return View(triangle, depth, left, top, pixel)


@kernel
def _draw(places: Float64Array, triangles: Int32Array, depth: Float64Array, shown: Int32Array) -> None:
    """Write depth and number of the foremost triangle of each pixel; ``places`` [n, 3] are column, row, depth."""
    rows, columns = depth.shape
    for t in range(triangles.shape[0]):
        a, b, c = triangles[t]
        ax, ay, bx, by = places[a, 0], places[a, 1], places[b, 0] - places[a, 0], places[b, 1] - places[a, 1]
        cx, cy = places[c, 0] - ax, places[c, 1] - ay
        area = by * cx - bx * cy  # Rows count downwards, so a triangle that faces the camera has it above zero.
        if area <= 1e-12:
            continue
        low_x, high_x = min(0.0, bx, cx) + ax, max(0.0, bx, cx) + ax
        low_y, high_y = min(0.0, by, cy) + ay, max(0.0, by, cy) + ay
        for row in range(max(0, math.ceil(low_y)), min(rows - 1, math.floor(high_y)) + 1):
            for column in range(max(0, math.ceil(low_x)), min(columns - 1, math.floor(high_x)) + 1):
                x, y = column - ax, row - ay
                of_b, of_c = (y * cx - x * cy) / area, (x * by - y * bx) / area
                if of_b < 0.0 or of_c < 0.0 or of_b + of_c > 1.0:
                    continue
                z = places[a, 2] + of_b * (places[b, 2] - places[a, 2]) + of_c * (places[c, 2] - places[a, 2])
                if z > depth[row, column]:
                    depth[row, column] = z
                    shown[row, column] = t


def nearest(
    points: Float64Array, normals: Float64Array, corners: Float64Array, faces: Float64Array, turning: float = 0.0
) -> tuple[Int32Array, Float64Array, Float64Array]:
    """For each point [p, 3] the nearest triangle, the barycentric point on it, and how far that is.

    corners [t, 3, 3] and faces [t, 3] are the triangles' corners and normals. With ``turning``, a length, triangles
    that face away from the point's normal [p, 3] do not count, and others the less, the more they turn from it: the
    square of ``turning`` times the difference of the normals is added to that of the distance. Returns triangle [p]
    (UNSEEN where none faces so), barycentric [p, 3] and distance [p] (inf).
    """
    triangle, barycentric = np.full(len(points), UNSEEN, np.int32), np.zeros((len(points), 3))
    distance = np.full(len(points), np.inf)
    middles = corners.mean(1)
    reach = np.linalg.norm(corners - middles[:, None], axis=2).max(1)
    _nearest(points, normals, corners, faces, middles, reach, turning, triangle, barycentric, distance)
    return triangle, barycentric, distance


@kernel
def _nearest(
    points: Float64Array,
    normals: Float64Array,
    corners: Float64Array,
    faces: Float64Array,
    middles: Float64Array,
    reach: Float64Array,
    turning: float,
    triangle: Int32Array,
    barycentric: Float64Array,
    distance: Float64Array,
) -> None:
    weights = np.empty(3)
    for p in range(points.shape[0]):
        best = np.inf
        for t in range(corners.shape[0]):
            cosine, away = 0.0, 0.0
            for k in range(3):
                cosine += normals[p, k] * faces[t, k]
                away += (points[p, k] - middles[t, k]) ** 2
            penalty = 2.0 * turning * turning * (1.0 - cosine)
            closer = max(math.sqrt(away) - reach[t], 0.0)  # No point of the triangle is nearer than this.
            if penalty + closer * closer >= best or (turning > 0.0 and cosine <= 0.0):
                continue
            square = _onto_triangle(points[p], corners[t], weights)
            if square + penalty < best:
                best = square + penalty
                triangle[p] = t
                barycentric[p] = weights
                distance[p] = math.sqrt(square)


@kernel
def _onto_triangle(point: Float64Array, corners: Float64Array, weights: Float64Array) -> float:
    """Write the barycentric nearest point of a triangle and return its squared distance.

    Ericson 2005, Real-Time Collision Detection, section 5.1.5: by which corner's, edge's or face's region it lies in.
    """
    d1 = d2 = d3 = d4 = d5 = d6 = 0.0
    for k in range(3):
        ab, ac = corners[1, k] - corners[0, k], corners[2, k] - corners[0, k]
        ap, bp, cp = point[k] - corners[0, k], point[k] - corners[1, k], point[k] - corners[2, k]
        d1, d2, d3, d4 = d1 + ab * ap, d2 + ac * ap, d3 + ab * bp, d4 + ac * bp
        d5, d6 = d5 + ab * cp, d6 + ac * cp
    va, vb, vc = d3 * d6 - d5 * d4, d5 * d2 - d1 * d6, d1 * d4 - d3 * d2
    if d1 <= 0.0 and d2 <= 0.0:
        v, w = 0.0, 0.0
    elif d3 >= 0.0 and d4 <= d3:
        v, w = 1.0, 0.0
    elif d6 >= 0.0 and d5 <= d6:
        v, w = 0.0, 1.0
    elif vc <= 0.0 and d1 >= 0.0 and d3 <= 0.0:
        v, w = d1 / (d1 - d3), 0.0
    elif vb <= 0.0 and d2 >= 0.0 and d6 <= 0.0:
        v, w = 0.0, d2 / (d2 - d6)
    elif va <= 0.0 and d4 >= d3 and d5 >= d6:
        w = (d4 - d3) / ((d4 - d3) + (d5 - d6))
        v = 1.0 - w
    else:
        total = va + vb + vc
        v, w = (vb / total, vc / total) if total > 0.0 else (0.0, 0.0)
    weights[0], weights[1], weights[2] = 1.0 - v - w, v, w
    square = 0.0
    for k in range(3):
        here = weights[0] * corners[0, k] + v * corners[1, k] + w * corners[2, k] - point[k]
        square += here * here
    return square
