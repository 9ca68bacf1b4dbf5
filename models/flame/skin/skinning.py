"""FLAME for live use: identity, expression and pose to vertices, compiled, without garbage.

Equation numbers are those of Li et al. 2017, section 3. The joints depend on identity only, as J(β) there; the authors'
later code also adds the expression to them.
"""

from __future__ import annotations

import numpy as np

from facewire.bridge.shared.arrays import Float32Array, Float64Array
from facewire.models.errors import ModelError
from facewire.models.flame.model import FlameModel
from facewire.models.flame.skin.skin_kernels import identify, rotation, same, skin_frame
from facewire.models.flame.skin.skin_state import (
    POSE_SIZE,
    make_head,
    make_person,
    make_posed,
    make_template,
    make_work,
)
from facewire.models.jit import resolved

__all__ = ["Skinner", "rotation"]


class Skinner:
    """Skins one head. Holds the bases in the order in which they are read, and buffers; a frame allocates nothing.

    Identity rarely changes: its part is kept until ``set_shape`` is given another one.
    """

    def __init__(self, model: FlameModel, expressions: int | None = None, shapes: int | None = None) -> None:
        """Use the first components of each basis, all where no number is given.

        Raises:
            ModelError: the model has fewer.
        """
        self.expressions = _count("expression", expressions, model.expressions)
        self.shapes = _count("shape", shapes, model.shapes)
        self._template, self._head = make_template(model, self.shapes), make_head(model, self.expressions)
        self._person, self._work = make_person(self._head), make_work(self._head)
        self._posed = make_posed(len(model.template))
        self._skin = resolved(skin_frame, self._head, self._person, self._work, self._posed)
        self._shape = np.full(self.shapes, np.nan, np.float32)
        self._identify = resolved(identify, self._shape, self._template, self._person)
        self.shaped = self._template.shaped
        """[v, 3], metres: the template with this identity, T̄ + B_S(β)."""
        self.joints, self.transforms, self.vertices = self._posed
        """[5, 3], metres: the joints as posed; [5, 3, 4]: what each joint does to a point of the unposed head, G'_k,
        rotation, and translation in metres; [v, 3], metres: what ``skin`` returned last."""
        self.set_shape(np.zeros(self.shapes, np.float32))

    @property
    def rest_joints(self) -> Float64Array:
        """J(β), [5, 3], metres: the joints of this identity, unposed."""
        return self._person.joints

    def set_shape(self, shape: Float32Array) -> None:
        """Take an identity, float32 [shapes] in standard deviations; nothing is done if it is the same."""
        if same(shape, self._shape):
            return
        self._shape[:] = shape
        self._identify(self._shape, self._template, self._person)

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
        work = self._work
        work.coefficients[: self.expressions], work.pose[:], work.translation[:] = expression, pose, translation
        self._skin(self._head, self._person, work, self._posed)
        return self.vertices


def _count(what: str, asked: int | None, there: int) -> int:
    if asked is None:
        return there
    if not 0 < asked <= there:
        raise ModelError(f"{asked} {what} components are asked for and this model has {there}")
    return asked
