"""The arithmetic of skinning a FLAME head, compiled: no allocation, one thread, sums always in the same order.

Equation numbers are those of Li et al. 2017, section 3.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from facewire.bridge.shared.arrays import Float32Array, Float64Array
from facewire.models.jit import kernel

Int32Array = npt.NDArray[np.int32]
Int64Array = npt.NDArray[np.int64]

BLOCK = 64
"""Vertices that are worked on at a time: their sums stay in the nearest cache while the bases stream past once."""


@kernel
def same(a: Float32Array, b: Float32Array) -> bool:
    for i in range(b.shape[0]):  # noqa: SIM110 - generators are not compiled
        if a[i] != b[i]:
            return False
    return True


@kernel
def identify(
    template: Float64Array,
    basis: Float32Array,
    shape: Float32Array,
    regressor: Float64Array,
    sums: Float64Array,
    shaped: Float32Array,
    blocked: Float32Array,
    joints: Float64Array,
) -> None:
    """B_S(β; S) = Σ β_n S_n (equation 3), added to the template; J(β) = 𝒥 (T̄ + B_S) (section 3)."""
    sums[:] = template
    flat = sums.reshape(-1)
    for k in range(shape.shape[0]):
        if shape[k] != 0.0:
            coefficient, row = float(shape[k]), basis[k]
            for i in range(flat.shape[0]):
                flat[i] += coefficient * row[i]
    joints[:] = 0.0
    for v in range(sums.shape[0]):
        for d in range(3):
            shaped[v, d] = sums[v, d]
            blocked[v // BLOCK, d, v % BLOCK] = sums[v, d]
            for j in range(joints.shape[0]):
                joints[j, d] += regressor[j, v] * sums[v, d]


@kernel
def rotation(axis_angle: npt.NDArray[np.floating[Any]], out: Float64Array) -> None:
    """Rodrigues' formula: axis times angle in radians [3] to a matrix [3, 3]."""
    x, y, z = float(axis_angle[0]), float(axis_angle[1]), float(axis_angle[2])
    angle = math.sqrt(x * x + y * y + z * z)
    # sin(a)/a and (1 - cos a)/a², by their series where the quotients lose their digits.
    if angle < 1e-4:
        s, c = 1.0 - angle * angle / 6.0, 0.5 - angle * angle / 24.0
    else:
        s, c = math.sin(angle) / angle, (1.0 - math.cos(angle)) / (angle * angle)
    out[0, 0], out[0, 1], out[0, 2] = 1.0 - c * (y * y + z * z), c * x * y - s * z, c * x * z + s * y
    out[1, 0], out[1, 1], out[1, 2] = c * x * y + s * z, 1.0 - c * (x * x + z * z), c * y * z - s * x
    out[2, 0], out[2, 1], out[2, 2] = c * x * z - s * y, c * y * z + s * x, 1.0 - c * (x * x + y * y)


@kernel
def _chain(
    pose: Float32Array,
    translation: Float32Array,
    parents: Int32Array,
    rest: Float64Array,
    world: Float64Array,
    turn: Float64Array,
    features: Float32Array,
    joints: Float32Array,
    transforms: Float32Array,
) -> None:
    """World transforms of the joints along the tree, and R(θ) - R(θ*) of all but the root (equations 2 and 4).

    A joint's transform is its parent's, then a turn about the joint; G'_k takes the joint's rest place out again.
    """
    for k in range(rest.shape[0]):
        rotation(pose[3 * k : 3 * k + 3], turn)
        parent = parents[k]
        for i in range(3):
            for j in range(3):
                if k > 0:
                    features[9 * (k - 1) + 3 * i + j] = turn[i, j] - (1.0 if i == j else 0.0)
                total = turn[i, j]
                if parent >= 0:
                    total = 0.0
                    for n in range(3):
                        total += world[parent, i, n] * turn[n, j]
                world[k, i, j] = total
            place = rest[k, i] + translation[i]
            if parent >= 0:
                place = world[parent, i, 3]
                for n in range(3):
                    place += world[parent, i, n] * (rest[k, n] - rest[parent, n])
            world[k, i, 3] = place
            joints[k, i] = place
        for i in range(3):
            place = world[k, i, 3]
            for j in range(3):
                transforms[k, i, j] = world[k, i, j]
                place -= world[k, i, j] * rest[k, j]
            transforms[k, i, 3] = place


@kernel
def skin_frame(
    expression: Float32Array,
    pose: Float32Array,
    translation: Float32Array,
    moving: Int64Array,
    parents: Int32Array,
    rest: Float64Array,
    world: Float64Array,
    turn: Float64Array,
    features: Float32Array,
    coefficients: Float32Array,
    active: Int64Array,
    shaped: Float32Array,
    bases: Float32Array,
    weights: Float32Array,
    sums: Float32Array,
    blend: Float32Array,
    joints: Float32Array,
    transforms: Float32Array,
    vertices: Float32Array,
) -> None:
    """T_P = T̄ + B_S + B_P + B_E, then linear blend skinning (equations 2 to 5), one block of vertices at a time."""
    _chain(pose, translation, parents, rest, world, turn, features, joints, transforms)
    count = expression.shape[0]
    coefficients[:count] = expression
    for i in range(moving.shape[0]):
        coefficients[count + i] = features[moving[i]]
    used = 0
    for k in range(coefficients.shape[0]):
        if coefficients[k] != 0.0:
            active[used] = k
            used += 1
    for block in range(shaped.shape[0]):
        _add_blend_shapes(shaped[block], bases[block], coefficients, active, used, sums)
        first = block * BLOCK
        _pose_block(sums, weights[block], transforms, blend, vertices[first : min(first + BLOCK, vertices.shape[0])])


@kernel
def _add_blend_shapes(
    shaped: Float32Array,
    bases: Float32Array,
    coefficients: Float32Array,
    active: Int64Array,
    used: int,
    sums: Float32Array,
) -> None:
    """B_E(ψ; E) = Σ ψ_n E_n (equation 5) and B_P(θ; P) = Σ (R_n(θ) - R_n(θ*)) P_n (equation 4), of one block.

    The sum of the small numbers is made before they meet the large ones of the template.
    """
    flat, whole = sums.reshape(-1), shaped.reshape(-1)
    rows = bases.reshape((bases.shape[0], -1))
    flat[:] = 0
    k = 0
    while k + 4 <= used:  # Four at a time: the sums are read and written a quarter as often.
        a, b, c, d = rows[active[k]], rows[active[k + 1]], rows[active[k + 2]], rows[active[k + 3]]
        ca, cb, cc, cd = (
            coefficients[active[k]],
            coefficients[active[k + 1]],
            coefficients[active[k + 2]],
            coefficients[active[k + 3]],
        )
        for i in range(3 * BLOCK):
            flat[i] += (ca * a[i] + cb * b[i]) + (cc * c[i] + cd * d[i])
        k += 4
    while k < used:
        a, ca = rows[active[k]], coefficients[active[k]]
        for i in range(3 * BLOCK):
            flat[i] += ca * a[i]
        k += 1
    for i in range(3 * BLOCK):
        flat[i] += whole[i]


@kernel
def _pose_block(
    points: Float32Array, weights: Float32Array, transforms: Float32Array, blend: Float32Array, vertices: Float32Array
) -> None:
    """t'_i = Σ_k w_ki G'_k t_i: linear blend skinning of one block (equation 2)."""
    for row in range(3):
        for column in range(4):
            out = blend[4 * row + column]
            t = transforms[:, row, column]
            for i in range(BLOCK):
                out[i] = (
                    weights[0, 0, i] * t[0]
                    + weights[1, 0, i] * t[1]
                    + weights[2, 0, i] * t[2]
                    + weights[3, 0, i] * t[3]
                    + weights[4, 0, i] * t[4]
                )
        m = blend[4 * row : 4 * row + 4]
        for i in range(vertices.shape[0]):
            vertices[i, row] = m[0, i] * points[0, i] + m[1, i] * points[1, i] + m[2, i] * points[2, i] + m[3, i]
