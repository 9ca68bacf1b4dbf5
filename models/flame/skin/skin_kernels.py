"""The arithmetic of skinning a FLAME head, compiled: no allocation, one thread, sums always in the same order.

Equation numbers are those of Li et al. 2017, section 3.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from facewire.bridge.shared.arrays import Float32Array, Float64Array
from facewire.models.flame.skin.skin_state import BLOCK, Head, Int32Array, Int64Array, Person, Posed, Template, Work
from facewire.models.jit import kernel


@kernel
def same(a: Float32Array, b: Float32Array) -> bool:
    """Return whether both are equal."""
    for i in range(b.shape[0]):  # noqa: SIM110 - generators are not compiled
        if a[i] != b[i]:
            return False
    return True


@kernel
def identify(shape: Float32Array, template: Template, person: Person) -> None:
    """B_S(β; S) = Σ β_n S_n (equation 3), added to the template; J(β) = 𝒥 (T̄ + B_S) (section 3)."""
    sums, joints = template.sums, person.joints
    sums[:] = template.rest
    flat = sums.reshape(-1)
    for k in range(shape.shape[0]):
        if shape[k] != 0.0:
            coefficient, row = float(shape[k]), template.basis[k]
            for i in range(flat.shape[0]):
                flat[i] += coefficient * row[i]
    joints[:] = 0.0
    for v in range(sums.shape[0]):
        for d in range(3):
            template.shaped[v, d] = sums[v, d]
            person.blocked[v // BLOCK, d, v % BLOCK] = sums[v, d]
            for j in range(joints.shape[0]):
                joints[j, d] += template.regressor[j, v] * sums[v, d]


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
def _chain(parents: Int32Array, rest: Float64Array, work: Work, posed: Posed) -> None:
    """World transforms of the joints along the tree, and R(θ) - R(θ*) of all but the root (equations 2 and 4).

    A joint's transform is its parent's, then a turn about the joint; G'_k takes the joint's rest place out again.
    """
    world = work.world
    for k in range(rest.shape[0]):
        rotation(work.pose[3 * k : 3 * k + 3], work.turn)
        _turn_joint(k, parents[k], work)
        for i in range(3):
            place = _place(k, i, parents[k], rest, work)
            world[k, i, 3] = place
            posed.joints[k, i] = place
        for i in range(3):
            place = world[k, i, 3]
            for j in range(3):
                posed.transforms[k, i, j] = world[k, i, j]
                place -= world[k, i, j] * rest[k, j]
            posed.transforms[k, i, 3] = place


@kernel
def _turn_joint(k: int, parent: int, work: Work) -> None:
    """Write the pose features of joint ``k`` and its rotation in the world."""
    turn, world = work.turn, work.world
    for i in range(3):
        for j in range(3):
            if k > 0:
                work.features[9 * (k - 1) + 3 * i + j] = turn[i, j] - (1.0 if i == j else 0.0)
            total = turn[i, j]
            if parent >= 0:
                total = 0.0
                for n in range(3):
                    total += world[parent, i, n] * turn[n, j]
            world[k, i, j] = total


@kernel
def _place(k: int, i: int, parent: int, rest: Float64Array, work: Work) -> float:
    """Return coordinate ``i`` of joint ``k``."""
    if parent < 0:
        return float(rest[k, i] + work.translation[i])
    place = work.world[parent, i, 3]
    for n in range(3):
        place += work.world[parent, i, n] * (rest[k, n] - rest[parent, n])
    return float(place)


@kernel
def skin_frame(head: Head, person: Person, work: Work, posed: Posed) -> None:
    """T_P = T̄ + B_S + B_P + B_E, then linear blend skinning (equations 2 to 5), one block of vertices at a time."""
    _chain(head.parents, person.joints, work, posed)
    coefficients, vertices = work.coefficients, posed.vertices
    count = coefficients.shape[0] - head.moving.shape[0]
    for i in range(head.moving.shape[0]):
        coefficients[count + i] = work.features[head.moving[i]]
    used = 0
    for k in range(coefficients.shape[0]):
        if coefficients[k] != 0.0:
            work.active[used] = k
            used += 1
    for block in range(person.blocked.shape[0]):
        _add_blend_shapes(person.blocked[block], head.bases[block], coefficients, work.active, used, work.sums)
        first = block * BLOCK
        part = vertices[first : min(first + BLOCK, vertices.shape[0])]
        _pose_block(work.sums, head.weights[block], posed.transforms, work.blend, part)


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
