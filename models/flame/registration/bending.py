"""The canonical face drawn onto a template's skin: a thin plate's stiffness against the pull of closest points."""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np

from facewire.bridge.shared.arrays import Float64Array
from facewire.models.face.landmarks import LIPS
from facewire.models.flame.model import FlameModel
from facewire.models.flame.registration.openings import Front
from facewire.models.flame.registration.surface import (
    UNSEEN,
    BoolArray,
    IndexArray,
    Int32Array,
    corners_of,
    edges_of,
    look_at,
    nearest,
    normals_of,
    vertex_normals_of,
)

RING = 20
"""``LIPS`` is four rings, each along the lower lip from the right corner to the left, then along the upper lip."""
RING_LOWER = 11
"""How many of a ring's points belong to the lower lip, both corners among them."""
STIFFNESS = (100.0, 30.0, 10.0, 3.0, 1.0, 0.3, 0.1)
ROUNDS = 3
"""Closest points at each stiffness."""
ANCHOR = 20.0
"""Weight of the rims, against 1 of a closest point."""
TURNING = 0.1
"""What a difference of one between normals counts for, in distances between the eyes: 6 mm."""
REACH = 0.25
"""A closest point further away than this, in distances between the eyes, does not count."""
VIEWS_RAD = ((0.0, 0.0), (0.9, 0.0), (-0.9, 0.0), (0.0, 0.6), (0.0, -0.5))
"""Yaw and pitch from which a landmark's place must be seen: it lies neither in the nose nor behind the lips."""

Nearest: TypeAlias = tuple[Int32Array, Float64Array, Float64Array]


class Skin:
    """The part of a template's skin that landmarks may lie on."""

    def __init__(self, model: FlameModel, front: Front) -> None:
        template = model.template.astype(np.float64)
        self.between = float(np.linalg.norm(front.eye_centres[0] - front.eye_centres[1]))
        self.numbers = seen_from_around(template, model.triangles, front.skin, self.between / 100)
        triangles = model.triangles[self.numbers]
        self._corners, self._faces = corners_of(template, triangles), normals_of(template, triangles)
        self._turning = TURNING * self.between
        above = front.mouth.above(self._corners.mean(1))
        self._lips = [(_lip_points(upper=upper), np.nonzero(above == upper)[0]) for upper in (True, False)]

    def bend(
        self, placed: Float64Array, triangles: Int32Array, anchors: Int32Array, targets: Float64Array
    ) -> Float64Array:
        """Return the placed face [468, 3] drawn onto the surface."""
        bending = _bending(placed, triangles, self.between)
        bent = placed
        for stiffness in STIFFNESS:
            for _ in range(ROUNDS):
                number, barycentric, distance = self.closest(bent, vertex_normals_of(bent, triangles))
                pull = (distance < REACH * self.between).astype(np.float64)
                to = np.einsum("pc,pcx->px", barycentric, self._corners[number])
                pull[anchors], to[anchors] = ANCHOR, targets
                system = stiffness * bending + np.diag(pull)
                bent = placed + np.linalg.solve(system, pull[:, None] * (to - placed))
        return bent

    def closest(self, points: Float64Array, normals: Float64Array, anchors: Int32Array | None = None) -> Nearest:
        """As ``nearest`` among this surface's triangles, for a lip's landmarks among those on its side of the slit.

        ``anchors`` are where they should be: for them the nearest triangle counts, however it is turned.
        """
        everywhere = np.arange(len(self._corners))
        found = nearest(points, normals, self._corners, self._faces, self._turning)
        if anchors is not None:
            self._again(found, anchors, points, normals, 0.0, everywhere)
        for landmarks, side in self._lips:
            self._again(found, landmarks, points, normals, self._turning, side)
            if anchors is not None:
                self._again(found, np.intersect1d(landmarks, anchors), points, normals, 0.0, side)
        return found

    def _again(
        self,
        found: Nearest,
        landmarks: Int32Array,
        points: Float64Array,
        normals: Float64Array,
        turning: float,
        among: IndexArray,
    ) -> None:
        """Look again for some landmarks, among some triangles, and write what is found over ``found``."""
        corners, faces = self._corners[among], self._faces[among]
        number, found[1][landmarks], found[2][landmarks] = nearest(
            points[landmarks], normals[landmarks], corners, faces, turning
        )
        found[0][landmarks] = np.where(number == UNSEEN, UNSEEN, among[number])


def _lip_points(*, upper: bool) -> Int32Array:
    rings = LIPS.reshape(-1, RING)
    return (rings[:, RING_LOWER:] if upper else rings[:, 1 : RING_LOWER - 1]).ravel()


def _bending(placed: Float64Array, triangles: Int32Array, between: float) -> Float64Array:
    """[n, n]: the energy of bending a displacement, as squares of its difference from the neighbours' mean."""
    edges = edges_of(triangles)
    length = np.linalg.norm(placed[edges[:, 0]] - placed[edges[:, 1]], axis=1)
    adjacency = np.zeros((len(placed), len(placed)))
    adjacency[edges[:, 0], edges[:, 1]] = adjacency[edges[:, 1], edges[:, 0]] = 0.1 * between / length
    laplacian = np.eye(len(placed)) - adjacency / adjacency.sum(1, keepdims=True)
    energy: Float64Array = laplacian.T @ laplacian
    return energy


def seen_from_around(template: Float64Array, triangles: Int32Array, among: IndexArray, pixel: float) -> IndexArray:
    """Which of some triangles, [t], are seen from the front or from beside, above or below it."""
    seen: BoolArray = np.zeros(len(among), bool)
    for yaw, pitch in VIEWS_RAD:
        turned = template @ _turn(yaw, pitch).T
        shown = look_at(turned, triangles[among], pixel).triangle
        seen[shown[shown != UNSEEN]] = True
    return among[seen]


def _turn(yaw: float, pitch: float) -> Float64Array:
    """[3, 3]: about y, then about x."""
    y, x = (math.cos(yaw), math.sin(yaw)), (math.cos(pitch), math.sin(pitch))
    about_y = np.array([[y[0], 0, y[1]], [0, 1, 0], [-y[1], 0, y[0]]])
    turn: Float64Array = np.array([[1, 0, 0], [0, x[0], -x[1]], [0, x[1], x[0]]]) @ about_y
    return turn
