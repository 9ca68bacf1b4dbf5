"""From the motion of FLAME's own mesh to FLAME's parameters by one matrix: what lets a FaceFormer stream FLAME frames.

VOCASET's vertices are FLAME's, so what a published FaceFormer moves is what FLAME's skinning would give for some
expression and some turn of the jaw. Near rest that is linear (Li et al. 2017, section 3, equations 1 to 3): a vertex v
that the jaw carries with weight w moves by

    d = E psi + w M (v - j) + P vec(M),    M = R(jaw) - I,

with the expression basis E, the jaw's joint j and the jaw's pose correctives P. The nine numbers of M are what it is
linear in; the rotation's own three are its antisymmetric part, sin(angle) times the axis. The other six, of the order
of the angle squared, are solved for too and thrown away: so a wide open jaw is not taken for an expression.

Regularised least squares inverts it once. A linear map after the motion decoder folds into it, so that a step of the
decoder costs a few rows more and no product of the mesh's size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from facewire.bridge.shared.arrays import Float32Array, Float64Array
from facewire.models.errors import ModelError

if TYPE_CHECKING:
    from facewire.models.flame import FlameModel


VOCASET_VERTICES = 5023
NOISE_M = 5e-4
"""How far a vertex of a published FaceFormer lies from anything that FLAME can do."""
EXPRESSION_STD = 1.0
"""Of a coefficient: FLAME's are in units of their own deviation."""
TURN_STD, BEND_STD = 0.2, 0.05
"""Of the antisymmetric and of the symmetric entries of M: a jaw of 11 degrees, and of 18."""
JAW, JAW_CORRECTIVES = 2, slice(9, 18)
"""The jaw among the joints, and its columns of the pose correctives, those of the neck being first."""
MOST_EXPRESSION, MOST_SINE = 6.0, 0.98

_AXES: tuple[tuple[int, int, float], ...] = ((2, 1, 1.0), (0, 2, 1.0), (1, 0, 1.0))
"""Where the antisymmetric matrix of each axis has +1; its mirror place has -1."""


def turns() -> Float64Array:
    """[9, 3, 3]: the matrices that M is a sum of: [e_x], [e_y], [e_z] antisymmetric, then six symmetric ones."""
    basis = np.zeros((9, 3, 3))
    for axis, (row, column, sign) in enumerate(_AXES):
        basis[axis, row, column], basis[axis, column, row] = sign, -sign
    for number, (row, column) in enumerate(((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2)), start=3):
        basis[number, row, column] = basis[number, column, row] = 1.0
    return basis


def tangent(model: FlameModel) -> Float64Array:
    """[3 V, E + 9]: how the vertices move, in metres, with each expression coefficient and each entry of M at rest.

    The jaw's joint is where the regressor has it at rest; that it moves with an expression is of second order.
    """
    template = np.asarray(model.template, np.float64)
    joint = np.asarray(model.joint_regressor, np.float64)[JAW] @ template
    carried = np.asarray(model.weights, np.float64)[:, JAW, None] * (template - joint)
    basis = turns()
    moved = np.einsum("vj,kaj->vak", carried, basis)
    moved += np.asarray(model.pose_basis, np.float64)[:, :, JAW_CORRECTIVES] @ basis.reshape(9, 9).T
    expression = np.asarray(model.expression_basis, np.float64)
    return np.concatenate([expression, moved], axis=2).reshape(3 * len(template), -1)


def invert(model: FlameModel, noise_m: float = NOISE_M) -> Float32Array:
    """[E + 3, 3 V]: displacements of the mesh in metres (x, y, z of each vertex in turn) to expression and jaw.

    The most probable parameters under normal priors and noise of ``noise_m`` at each coordinate. The jaw comes as
    sin(angle) times its axis; ``limit`` makes an axis-angle of it.

    Raises:
        ModelError: the mesh is not VOCASET's.
    """
    if len(model.template) != VOCASET_VERTICES:
        raise ModelError(
            f"FLAME frames from a published FaceFormer need a FLAME of its {VOCASET_VERTICES} vertices, and "
            f"{model.name} has {len(model.template)}: name your own FLAME file with --flame"
        )
    a = tangent(model)
    expressions = a.shape[1] - 9
    deviation = np.concatenate([np.full(expressions, EXPRESSION_STD), np.full(3, TURN_STD), np.full(6, BEND_STD)])
    normal = a.T @ a + np.diag((noise_m / deviation) ** 2)
    return np.ascontiguousarray(np.linalg.solve(normal, a.T)[: expressions + 3], np.float32)


def fold_flame(motion: Float32Array, bias: Float32Array, inverse: Float32Array) -> tuple[Float32Array, Float32Array]:
    """Fold a motion decoder [3 V, d], [3 V] to one of raw parameters [E + 3, d], [E + 3]; ``limit`` comes after."""
    wide = inverse.astype(np.float64)
    return (wide @ motion.astype(np.float64)).astype(np.float32), (wide @ bias.astype(np.float64)).astype(np.float32)


def limit(parameters: Float32Array) -> None:
    """Make FLAME's parameters of raw ones [E + 3], in place: the jaw an axis-angle in radians, all within reason."""
    expression, jaw = parameters[:-3], parameters[-3:]
    np.clip(expression, -MOST_EXPRESSION, MOST_EXPRESSION, out=expression)
    sine = float(np.sqrt(jaw @ jaw))
    if sine > 1e-6:
        jaw *= np.arcsin(min(sine, MOST_SINE)) / sine
