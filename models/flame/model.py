"""The record of a FLAME model, and what must be true of one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from facewire.bridge.shared.arrays import Float32Array
from facewire.models.errors import ModelError

Int32Array: TypeAlias = npt.NDArray[np.int32]

JOINTS = ("root", "neck", "jaw", "left_eye", "right_eye")
"""In the order of poses, weights and regressor; the root turns the whole head about its own joint."""
PARENTS = (-1, 0, 1, 1, 1)
POSE_FEATURES = 9 * (len(JOINTS) - 1)
"""Entries of the rotation matrices of all joints but the root (Li et al. 2017, equation 4)."""
MOST_VERTICES = 100_000
MOST_COMPONENTS = 1_000
LARGEST_M = 10.0


@dataclass(frozen=True, slots=True, eq=False)
class FlameModel:
    """A head as a function of identity, expression and pose (Li et al. 2017, section 3).

    Space: metres, x to the subject's left, y up, z out of the face.
    """

    template: Float32Array
    """T̄, [v, 3]: the mean face with a closed mouth, metres."""
    triangles: Int32Array
    """[f, 3], counter-clockwise seen from outside."""
    shape_basis: Float32Array
    """S, [v, 3, s]: metres for each coefficient of identity; a coefficient is in standard deviations."""
    expression_basis: Float32Array
    """E, [v, 3, e]: metres for each coefficient of expression, in standard deviations."""
    pose_basis: Float32Array
    """P, [v, 3, 36]: metres for each entry of R(θ) - R(θ*), rows of neck, jaw, left eye, right eye."""
    joint_regressor: Float32Array
    """𝒥, [5, v]: where the joints are, as weighted sums of the shaped template's vertices."""
    parents: Int32Array
    """[5], -1 for the root."""
    weights: Float32Array
    """𝒲, [v, 5]: how much each joint moves each vertex; every row sums to 1."""
    name: str
    digest: str
    """SHA-256 of the file in hexadecimal: a key for whatever is computed from this model and kept."""

    def __post_init__(self) -> None:
        """Check the arrays.

        Raises:
            ModelError: they are not a FLAME model's; the message lacks the file's name.
        """
        v = len(self.template)
        if not 100 <= v <= MOST_VERTICES:
            raise ModelError(f"it has {v} vertices, not between 100 and {MOST_VERTICES}")
        joints = len(JOINTS)
        for what, array, shape in (
            ("template", self.template, (v, 3)),
            ("shape basis", self.shape_basis, (v, 3, self.shapes)),
            ("expression basis", self.expression_basis, (v, 3, self.expressions)),
            ("pose basis", self.pose_basis, (v, 3, POSE_FEATURES)),
            ("joint regressor", self.joint_regressor, (joints, v)),
            ("weights", self.weights, (v, joints)),
        ):
            if array.shape != shape or array.dtype != np.float32:
                raise ModelError(f"its {what} is {array.dtype} {list(array.shape)}, not float32 {list(shape)}")
            if not np.isfinite(array).all():
                raise ModelError(f"its {what} has values that are not numbers")
            if np.abs(array).max(initial=0.0) > LARGEST_M:
                raise ModelError(f"its {what} has values over {LARGEST_M:g}: FLAME is in metres")
        if max(self.shapes, self.expressions) > MOST_COMPONENTS or min(self.shapes, self.expressions) < 1:
            raise ModelError(f"it has {self.shapes} shape and {self.expressions} expression components")
        if tuple(self.parents) != PARENTS:
            raise ModelError(f"its joints are connected as {self.parents.tolist()}, not as {list(PARENTS)}")
        if self.triangles.ndim != 2 or self.triangles.shape[1] != 3 or self.triangles.dtype != np.int32:
            raise ModelError(f"its triangles are {self.triangles.dtype} {list(self.triangles.shape)}, not int32 [f, 3]")
        if not len(self.triangles) or self.triangles.min() < 0 or self.triangles.max() >= v:
            raise ModelError("its triangles name vertices that it does not have")
        for what, sums in (("weights", self.weights.sum(1)), ("joint regressor", self.joint_regressor.sum(1))):
            if np.abs(sums - 1).max() > 1e-2:
                raise ModelError(f"the rows of its {what} do not sum to 1")

    @property
    def shapes(self) -> int:
        """Number of identity components."""
        return int(self.shape_basis.shape[-1])

    @property
    def expressions(self) -> int:
        """Number of expression components."""
        return int(self.expression_basis.shape[-1])

    @property
    def size_m(self) -> float:
        """The template's largest extent: what errors are measured against."""
        return float(np.ptp(self.template, axis=0).max())
