"""FLAME for live use: identity, expression and pose to vertices, compiled, without garbage.

Equation numbers are those of Li et al. 2017, section 3. The joints depend on identity only, as J(β) there; the authors'
later code also adds the expression to them.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from facewire.bridge.shared.arrays import Float32Array, Float64Array
from facewire.models.errors import ModelError
from facewire.models.flame.model import JOINTS, POSE_FEATURES, FlameModel
from facewire.models.flame.skin.skin_kernels import BLOCK, identify, rotation, same, skin_frame

__all__ = ["Skinner", "rotation"]

Int64Array = npt.NDArray[np.int64]

POSE_SIZE = 3 * len(JOINTS)


class Skinner:
    """Skins one head. Holds the bases in the order in which they are read, and buffers; a frame allocates nothing.

    Identity rarely changes: its part is kept until ``set_shape`` is given another one.
    """

    def __init__(self, model: FlameModel, expressions: int | None = None, shapes: int | None = None) -> None:
        """Use the first components of each basis, all where no number is given.

        Raises ModelError where the model has fewer.
        """
        self.expressions = _count("expression", expressions, model.expressions)
        self.shapes = _count("shape", shapes, model.shapes)
        self._count = len(model.template)
        blocks = -(-self._count // BLOCK)
        self._template = model.template.astype(np.float64)
        flat = model.shape_basis.reshape(3 * self._count, -1)
        self._shape_basis = np.ascontiguousarray(flat[:, : self.shapes].T, np.float32)
        self._shape_sums = np.empty((self._count, 3))
        self._regressor = model.joint_regressor.astype(np.float64)
        moving = np.abs(model.pose_basis).max((0, 1)) > 0
        self._features: Int64Array = np.nonzero(moving)[0]
        bases = [model.expression_basis[:, :, : self.expressions], model.pose_basis[:, :, moving]]
        self._bases = _blocked(np.concatenate(bases, axis=2), blocks)
        self._weights = _blocked(model.weights[:, None, :], blocks)
        self._parents = model.parents
        self._shaped = np.zeros((blocks, 3, BLOCK), np.float32)
        self._sums = np.zeros((3, BLOCK), np.float32)
        self._pose_features = np.zeros(POSE_FEATURES, np.float32)
        self._coefficients = np.zeros(self._bases.shape[1], np.float32)
        self._active = np.zeros(self._bases.shape[1], np.int64)
        self._blend = np.zeros((12, BLOCK), np.float32)
        self._rest = np.zeros((len(JOINTS), 3))
        self._world = np.zeros((len(JOINTS), 3, 4))
        self._scratch = np.zeros((3, 3))
        self._shape = np.full(self.shapes, np.nan, np.float32)
        self.shaped = np.zeros((self._count, 3), np.float32)
        """[v, 3], metres: the template with this identity, T̄ + B_S(β)."""
        self.vertices = np.zeros((self._count, 3), np.float32)
        """[v, 3], metres: what ``skin`` returned last."""
        self.joints = np.zeros((len(JOINTS), 3), np.float32)
        """[5, 3], metres: the joints as posed."""
        self.transforms = np.zeros((len(JOINTS), 3, 4), np.float32)
        """[5, 3, 4]: what each joint does to a point of the unposed head, G'_k; rotation, and translation in metres."""
        self.set_shape(np.zeros(self.shapes, np.float32))

    @property
    def rest_joints(self) -> Float64Array:
        """J(β), [5, 3], metres: the joints of this identity, unposed."""
        return self._rest

    def set_shape(self, shape: Float32Array) -> None:
        """Take an identity, float32 [shapes] in standard deviations; nothing is done where it is the same."""
        if same(shape, self._shape):
            return
        self._shape[:] = shape
        identify(
            self._template,
            self._shape_basis,
            self._shape,
            self._regressor,
            self._shape_sums,
            self.shaped,
            self._shaped,
            self._rest,
        )

    def skin(
        self, shape: Float32Array, expression: Float32Array, pose: Float32Array, translation: Float32Array
    ) -> Float32Array:
        """Return the vertices, float32 [v, 3] in metres: a view that is valid until the next call.

        shape: float32 [shapes]; expression: float32 [expressions]; pose: float32 [15], the axis-angles in radians of
        root, neck, jaw, left and right eye; translation: float32 [3], metres.
        """
        if len(shape) != self.shapes or len(expression) != self.expressions or len(pose) != POSE_SIZE:
            given, wanted = (len(shape), len(expression), len(pose)), (self.shapes, self.expressions, POSE_SIZE)
            raise ValueError(f"shape, expression and pose have {given} values, not {wanted}")
        self.set_shape(shape)
        skin_frame(
            expression,
            pose,
            translation,
            self._features,
            self._parents,
            self._rest,
            self._world,
            self._scratch,
            self._pose_features,
            self._coefficients,
            self._active,
            self._shaped,
            self._bases,
            self._weights,
            self._sums,
            self._blend,
            self.joints,
            self.transforms,
            self.vertices,
        )
        return self.vertices


def _count(what: str, asked: int | None, there: int) -> int:
    if asked is None:
        return there
    if not 0 < asked <= there:
        raise ModelError(f"{asked} {what} components are asked for and this model has {there}")
    return asked


def _blocked(basis: Float32Array, blocks: int) -> Float32Array:
    """[v, d, k] to [blocks, k, d, BLOCK], zeros at the end: one stretch of memory for each block of vertices."""
    v, d, k = basis.shape
    padded = np.zeros((blocks * BLOCK, d, k), np.float32)
    padded[:v] = basis
    return np.ascontiguousarray(padded.reshape(blocks, BLOCK, d, k).transpose(0, 3, 2, 1))
