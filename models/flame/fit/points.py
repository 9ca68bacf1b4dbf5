"""A FLAME model as it is seen at the landmarks: all that a fit needs of it, some hundred times smaller.

A landmark is a point on a triangle, x = Σ b_c v_c. With the neck at rest only the jaw bends the face, and skinning
(Li et al. 2017, equations 1 and 2) then is

    x = A + R(jaw) B,   A = Σ b_c (1 - w_c) v_c + m j,   B = Σ b_c w_c (v_c - j),   m = Σ b_c w_c,

with the jaw's weight w_c of a corner and the jaw's joint j. A and B are linear in identity, expression and the jaw's
pose correctives, so each has a basis of its own, and the fit never sees a mesh.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from facewire.bridge.shared.arrays import Float32Array, Float64Array
from facewire.models.assets.store import asset_path
from facewire.models.face.landmarks import LEFT_EYE, LIPS, MESH_COUNT, RIGHT_EYE
from facewire.models.flame.model import JOINTS, FlameModel
from facewire.models.flame.registration.correspondence import Correspondence

Int32Array = npt.NDArray[np.int32]

MOST_SHAPES = MOST_EXPRESSIONS = 100
"""Of the user's model the first so many are fitted: landmarks see no finer."""
JAW = JOINTS.index("jaw")
LEAST_SHARE = 1e-6
JAW_FEATURES = slice(9 * (JAW - 1), 9 * JAW)
OUTLINE = np.array([
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176, 149, 150,
    136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
], np.int32)  # fmt: skip
"""Landmarks of the face's outline (MediaPipe's FACEMESH_FACE_OVAL)."""
OUTLINE_WEIGHT, LIDS_WEIGHT, CREASE_WEIGHT = 0.25, 8.0, 0.3
"""The outline slides over the skin as the head turns. A blink moves 16 landmarks of 468, those of the lids' rims; those
of the next ring lie in the lids' creases, which are each person's own."""
INNER_LIPS_WEIGHT, OUTER_LIPS_WEIGHT = 4.0, 2.5
"""The rims of the lips say whether a mouth is shut."""
LEAST_ASYMMETRY, ASYMMETRY_STD = 0.5, 0.7
"""An expression with at least this share of one-sidedness lends it to identity, with this standard deviation."""
RIM, RING = 16, 20
"""Landmarks of an eye's rim, the first rows of ``LEFT_EYE``, and of a ring of ``LIPS``: the outer, then the inner."""


class Bases(NamedTuple):
    """What bends the landmarks, metres. Those that the jaw moves come first, so that every loop runs straight.

    a_… are [k, 3, 468]; b_… are [k, 3, n] for the n landmarks that the jaw moves.
    """

    order: Int32Array
    """[468], the landmarks in the order of all arrays here."""
    share: Float32Array
    """[n], m: how much the jaw moves them."""
    a_rest: Float32Array
    """[3, 468]."""
    b_rest: Float32Array
    a_shape: Float32Array
    b_shape: Float32Array
    a_expression: Float32Array
    b_expression: Float32Array
    a_bend: Float32Array
    """[9, …], for each entry of R(jaw) - I."""
    b_bend: Float32Array


@dataclass(frozen=True, slots=True)
class FlamePoints:
    """A model at the landmarks."""

    bases: Bases
    weights: Float32Array
    """[468], how much each landmark counts, 1 on average; in the bases' order."""
    normals: Float64Array
    """[468, 3], of the template's surface there, unit length; in the bases' order."""
    root: Float64Array
    """[3], the root's joint for identity zero, metres."""
    root_shape: Float64Array
    """[s, 3], what a coefficient of identity adds to it."""
    shapes: int
    """Coefficients of identity that are the model's; those behind them are a person's asymmetry."""
    expressions: int

    @property
    def rest(self) -> Float64Array:
        """[468, 3], the landmarks of the template, metres; as MediaPipe numbers them."""
        points, bases = np.empty((MESH_COUNT, 3)), self.bases
        points[bases.order] = bases.a_rest.T
        points[bases.order[: len(bases.share)]] += bases.b_rest.T
        return points


@dataclass(frozen=True, slots=True)
class _Split:
    """How the landmarks divide what moves the mesh into what the jaw turns and what it does not."""

    corners: Int32Array
    """[468, 3], vertices."""
    still: Float64Array
    """[468, 3], b_c (1 - w_c)."""
    turning: Float64Array
    """[468, 3], b_c w_c."""
    share: Float64Array
    """[468], m."""
    order: Int32Array
    """[468], first those that the jaw moves."""
    moved: Int32Array
    """[n], these."""

    def both(self, field: npt.NDArray[np.floating], jaw: Float64Array) -> tuple[Float32Array, Float32Array]:
        """Return A and B of a field [v, 3, k] with the jaw's joint [3, k]."""
        at = field.astype(np.float64)[self.corners]
        still = np.einsum("lc,lcdk->ldk", self.still, at) + self.share[:, None, None] * jaw
        turning = np.einsum("lc,lcdk->ldk", self.turning, at) - self.share[:, None, None] * jaw
        return (
            np.ascontiguousarray(still[self.order].transpose(2, 1, 0), np.float32),
            np.ascontiguousarray(turning[self.moved].transpose(2, 1, 0), np.float32),
        )


def _split(model: FlameModel, on: Correspondence) -> _Split:
    corners, b = on.corners[:MESH_COUNT], on.barycentric[:MESH_COUNT].astype(np.float64)
    skin = model.weights.astype(np.float64)[corners, JAW]
    share = (b * skin).sum(1)
    order = np.argsort(share <= LEAST_SHARE, kind="stable").astype(np.int32)
    return _Split(corners, b * (1.0 - skin), b * skin, share, order, order[: int((share > LEAST_SHARE).sum())])


def see(model: FlameModel, on: Correspondence) -> FlamePoints:
    """Return ``model`` at the landmarks that ``on`` places.

    Raises:
        ModelError: these are on another model.
    """
    on.require(model)
    split, joints = _split(model, on), model.joint_regressor.astype(np.float64)
    shapes, expressions = min(model.shapes, MOST_SHAPES), min(model.expressions, MOST_EXPRESSIONS)
    template = model.template.astype(np.float64)
    identity = model.shape_basis[:, :, :shapes]
    joint_shape = np.einsum("jv,vds->sjd", joints, identity)
    none = np.zeros((3, 1))
    a_rest, b_rest = split.both(template[:, :, None], (joints[JAW] @ template)[:, None])
    bases = Bases(
        split.order,
        split.share[split.moved].astype(np.float32),
        a_rest[0],
        b_rest[0],
        *split.both(identity, joint_shape[:, JAW].T),
        *split.both(model.expression_basis[:, :, :expressions], none),
        *split.both(model.pose_basis[:, :, JAW_FEATURES], none),
    )
    return FlamePoints(
        bases,
        _weights()[split.order],
        _normals(template[split.corners])[split.order],
        joints[0] @ template,
        joint_shape[:, 0],
        shapes,
        expressions,
    )


def with_asymmetries(points: FlamePoints) -> FlamePoints:
    """Return ``points`` with a person's asymmetry at rest among the coefficients of identity, behind the model's own.

    Nobody's face is symmetric, and an identity basis may be; expression would have to make up for it in every frame.
    So the one-sided part of each expression that has much of one is a direction in which a person may be made.
    """
    bases, mirror = points.bases, mirrored_landmarks()
    place = np.empty_like(bases.order)
    place[bases.order] = np.arange(MESH_COUNT)
    fields = bases.a_expression.copy()
    fields[:, :, : len(bases.share)] += bases.b_expression
    other = fields[:, :, place[mirror[bases.order]]] * np.array([-1, 1, 1], np.float32)[:, None]
    odd = 0.5 * (fields - other)
    strong = np.linalg.norm(odd, axis=(1, 2)) > LEAST_ASYMMETRY * np.linalg.norm(fields, axis=(1, 2))
    rows = ASYMMETRY_STD * odd[strong]
    turning = rows[:, :, : len(bases.share)] * bases.share
    rows[:, :, : len(bases.share)] -= turning
    a_shape, b_shape = (np.concatenate(pair) for pair in ((bases.a_shape, rows), (bases.b_shape, turning)))
    return replace(points, bases=bases._replace(a_shape=a_shape, b_shape=b_shape))


def mirrored_landmarks() -> Int32Array:
    """[468], for each landmark the one on the other side of the face.

    Raises:
        ModelError: it cannot be fetched.
    """
    with np.load(asset_path("face_geometry")) as geometry:
        vertices = geometry["vertices"]
    apart = np.linalg.norm(vertices[:, None] - vertices * [-1, 1, 1], axis=2)
    mirror: Int32Array = apart.argmin(0).astype(np.int32)
    return mirror


def _weights() -> Float32Array:
    weights = np.ones(MESH_COUNT, np.float32)
    weights[OUTLINE] = OUTLINE_WEIGHT
    for eye in (LEFT_EYE, RIGHT_EYE):
        weights[eye[:RIM]], weights[eye[RIM : 2 * RIM]] = LIDS_WEIGHT, CREASE_WEIGHT
    weights[LIPS[:RING]], weights[LIPS[RING : 2 * RING]] = OUTER_LIPS_WEIGHT, INNER_LIPS_WEIGHT
    weights *= MESH_COUNT / weights.sum()
    return weights


def _normals(corners: Float64Array) -> Float64Array:
    """Of triangles [n, 3, 3]; zero if one has no area."""
    normals: Float64Array = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    return normals
