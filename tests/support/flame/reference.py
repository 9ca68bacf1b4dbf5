"""FLAME written down from the paper, slowly and in float64: what the fast paths are held against.

Li, Bolkart, Black, Li and Romero 2017, section 3. One vertex at a time, with 4 × 4 matrices.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from facewire.models.flame import FlameModel

Array = npt.NDArray[np.float64]


def rodrigues(axis_angle: Array) -> Array:
    """Rotation about an axis by the vector's length in radians, by the exponential series of its skew matrix."""
    x, y, z = axis_angle
    skew = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    total, term = np.eye(3), np.eye(3)
    for n in range(1, 40):
        term = term @ skew / n
        total = total + term
    return total


def skin_slowly(
    model: FlameModel, shape: npt.ArrayLike, expression: npt.ArrayLike, pose: npt.ArrayLike, translation: npt.ArrayLike
) -> tuple[Array, Array]:
    """Return vertices [v, 3] and posed joints [5, 3]: M(β, θ, ψ) = W(T_P(β, θ, ψ), J(β), θ, 𝒲)."""
    beta, psi = np.asarray(shape, np.float64), np.asarray(expression, np.float64)
    turns = [rodrigues(np.asarray(pose, np.float64)[3 * k : 3 * k + 3]) for k in range(5)]
    shaped = model.template.astype(np.float64)
    for n, coefficient in enumerate(beta):  # B_S, equation 3
        shaped = shaped + coefficient * model.shape_basis[:, :, n]
    joints = model.joint_regressor.astype(np.float64) @ shaped
    posed = shaped.copy()
    features = np.concatenate([(turn - np.eye(3)).reshape(9) for turn in turns[1:]])
    for n, feature in enumerate(features):  # B_P, equation 4
        posed = posed + feature * model.pose_basis[:, :, n]
    for n, coefficient in enumerate(psi):  # B_E, equation 5
        posed = posed + coefficient * model.expression_basis[:, :, n]
    world: list[Array] = []
    for k, parent in enumerate(model.parents):
        local = np.eye(4)
        local[:3, :3] = turns[k]
        local[:3, 3] = joints[k] - (joints[parent] if parent >= 0 else 0)
        world.append(world[parent] @ local if parent >= 0 else local)
    out = np.zeros_like(posed)
    for i, place in enumerate(posed):
        for k, matrix in enumerate(world):
            out[i] += float(model.weights[i, k]) * (matrix @ np.array([*(place - joints[k]), 1.0]))[:3]
    return out + translation, np.stack([matrix[:3, 3] for matrix in world]) + translation
