"""ARKit's shapes for a template that has none: carried over from the open head by the two correspondences.

A thin plate (Bookstein 1989, Principal warps, IEEE PAMI 11(6); in space the kernel is the distance itself) bends the
template's landmarks onto the open head's, and with them its skin, so that each vertex finds its place on the open
head. What moves there is bent back: the end of a motion goes through the plate as its start does, so that lids that
meet on the open head meet on the template too, whatever its size and features. The tongue has no skin to lie on, and
what lies far from the landmarks (neck, skull, ears) is left out.
"""

from __future__ import annotations

import numpy as np

from facewire.bridge.shared.arrays import Float64Array
from facewire.models.face.landmarks import MESH_COUNT
from facewire.models.flame.model import FlameModel
from facewire.models.flame.registration.correspondence import Correspondence
from facewire.models.flame.registration.openings import JAW, Front, look
from facewire.models.flame.registration.surface import (
    UNSEEN,
    BoolArray,
    IndexArray,
    corners_of,
    nearest,
    normals_of,
    vertex_normals_of,
)

ROUGHNESS = 1e-4
"""How much the plate rather stays smooth than meets each landmark, as a share of the landmarks' spread."""
TURNING = 0.1
"""What a difference of one between normals counts for, in distances between the eyes."""
NEAR, FAR = 0.03, 0.08
"""In distances between the eyes: a bent vertex so near the open head's skin counts fully, so far not at all."""
AROUND_MOUTH = 0.4
"""How far around the mouth upper and lower lip are kept apart, in distances between the eyes."""
BETWEEN_LIPS = 0.15
"""How far from a half the jaw's weight may be at the corners of the mouth, where a vertex may lie on either lip."""
SMALLEST_M = 1e-5
BATCH = 512


class ThinPlate:
    """A smooth bending of space that takes points onto others."""

    def __init__(self, source: Float64Array, target: Float64Array) -> None:
        """Take source [n, 3] onto target [n, 3], almost."""
        count = len(source)
        self._source = source
        kernel = _distances(source, source)
        system = np.zeros((count + 4, count + 4))
        system[:count, :count] = kernel - ROUGHNESS * kernel.mean() * np.eye(count)
        system[:count, count:] = np.column_stack([source, np.ones(count)])
        system[count:, :count] = system[:count, count:].T
        self._weights = np.linalg.solve(system, np.concatenate([target, np.zeros((4, 3))]))

    def bend(self, points: Float64Array) -> Float64Array:
        """Where points [p, 3] come to lie."""
        bent = np.empty_like(points)
        for first in range(0, len(points), BATCH):
            part = points[first : first + BATCH]
            kernel = _distances(part, self._source)
            bent[first : first + BATCH] = np.concatenate([kernel, part, np.ones((len(part), 1))], 1) @ self._weights
        return bent


def _distances(one: Float64Array, other: Float64Array) -> Float64Array:
    """[p, n] between points [p, 3] and [n, 3], to about a nanometre."""
    squares = (one**2).sum(1)[:, None] + (other**2).sum(1)[None] - 2 * one @ other.T
    distances: Float64Array = np.sqrt(np.maximum(squares, 0))
    return distances


def carry(
    model: FlameModel, on_model: Correspondence, head: FlameModel, on_head: Correspondence, shapes: Float64Array
) -> tuple[Float64Array, Float64Array]:
    """Return the shapes [k, w, 3] of ``head`` (w vertices) as motions [k, v, 3] of ``model`` (metres), and weights [v].

    The weight of a vertex, 0..1, says how surely it was found on the open head; what has none is given no motion.

    Raises:
        ModelError: a correspondence is another model's, or a template is not a face.
    """
    on_model.require(model)
    on_head.require(head)
    here = on_model.landmarks(model.template)[:MESH_COUNT].astype(np.float64)
    there = on_head.landmarks(head.template)[:MESH_COUNT].astype(np.float64)
    front, head_front = look(model), look(head)
    skin = np.unique(model.triangles[front.skin]).astype(np.intp)
    bent = ThinPlate(here, there).bend(model.template[skin].astype(np.float64))
    corners, barycentric, distance = _place(model, front, skin, bent, head, head_front)
    between = float(np.linalg.norm(head_front.eye_centres[0] - head_front.eye_centres[1]))
    weights = np.zeros(len(model.template))
    weights[skin] = np.clip((FAR - distance / between) / (FAR - NEAR), 0, 1)
    back = ThinPlate(there, here)
    starts = np.einsum("pc,pcx->px", barycentric, head.template[corners].astype(np.float64))
    rest = back.bend(starts)
    carried = np.zeros((len(shapes), len(model.template), 3))
    for number, shape in enumerate(shapes):
        motion = np.einsum("pc,pcx->px", barycentric, shape[corners])
        (moving,) = np.nonzero((np.abs(motion).max(1) > SMALLEST_M) & (weights[skin] > 0))
        carried[number, skin[moving]] = back.bend(starts[moving] + motion[moving]) - rest[moving]
    return carried, weights


def _place(
    model: FlameModel, front: Front, skin: IndexArray, bent: Float64Array, head: FlameModel, head_front: Front
) -> tuple[IndexArray, Float64Array, Float64Array]:
    """Corners [p, 3], barycentric [p, 3] and distance [p] of the head's skin nearest to each bent vertex of the skin.

    Around the mouth, what the jaw carries lies on what the jaw carries: lips touch, but are not each other's.
    """
    template, rest = model.template.astype(np.float64), head.template.astype(np.float64)
    normals = vertex_normals_of(template, model.triangles[front.skin])[skin]
    turning = TURNING * float(np.linalg.norm(head_front.eye_centres[0] - head_front.eye_centres[1]))
    triangles = head.triangles[head_front.skin]
    middles = corners_of(rest, triangles).mean(1)
    number = np.full(len(skin), UNSEEN, np.intp)
    barycentric, distance = np.zeros((len(skin), 3)), np.full(len(skin), np.inf)
    mouth, head_mouth = _around(front, template[skin]), _around(head_front, middles)
    jaw, head_jaw = model.weights[skin, JAW], head.weights[triangles, JAW].mean(1)
    parts = (
        (~mouth, np.ones(len(triangles), bool)),
        (mouth & (jaw < 0.5), head_mouth & (head_jaw < 0.5 + BETWEEN_LIPS)),
        (mouth & (jaw >= 0.5), head_mouth & (head_jaw > 0.5 - BETWEEN_LIPS)),
    )
    for part in parts:
        mine, theirs = (np.nonzero(mask)[0] for mask in part)
        own = triangles[theirs]
        found, barycentric[mine], distance[mine] = nearest(
            bent[mine], normals[mine], corners_of(rest, own), normals_of(rest, own), turning
        )
        number[mine] = np.where(found == UNSEEN, UNSEEN, theirs[found])
    return triangles[number].astype(np.intp), barycentric, distance


def _around(front: Front, points: Float64Array) -> BoolArray:
    """Which points [p, 3] are around the mouth."""
    right, left = front.mouth.ends
    reach = AROUND_MOUTH * np.linalg.norm(front.eye_centres[0] - front.eye_centres[1])
    box = np.array([(left[0] - right[0]) / 2, reach, 2 * reach])
    near: BoolArray = np.all(np.abs(points - (right + left) / 2) < box, axis=1)
    return near
