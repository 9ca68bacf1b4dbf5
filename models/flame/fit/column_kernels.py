"""What is seen of each unknown, compiled: the columns of the fit, their gradient and their normal matrix."""

from __future__ import annotations

import numpy as np

from facewire.bridge.shared.arrays import Float32Array, Float64Array
from facewire.models.face.landmarks import MESH_COUNT
from facewire.models.flame.fit.linear_kernels import add, copy_rows, dot
from facewire.models.flame.fit.points import Bases
from facewire.models.flame.fit.state import EXPRESSION, JAW, SHIFT, TURN, Setup, State, Work
from facewire.models.jit import kernel, summing_kernel

TILE = 4
"""Entries of the normal matrix that are summed at a time."""


@summing_kernel
def assemble(turn: Float64Array, a: Float32Array, b: Float32Array, out: Float32Array) -> None:
    """Write A + R(jaw) B."""
    copy_rows(a, out)
    for d in range(3):
        one, x, y, z = out[d], b[0], b[1], b[2]
        cx, cy, cz = np.float32(turn[d, 0]), np.float32(turn[d, 1]), np.float32(turn[d, 2])
        for j in range(x.shape[0]):
            one[j] += cx * x[j] + cy * y[j] + cz * z[j]


@summing_kernel
def see_motion(
    turn: Float64Array,
    field: Float32Array,
    lens: Float32Array,
    weights: Float32Array,
    roots: Float32Array,
    column: Float32Array,
) -> None:
    """Write what is seen, as ``error``, of a motion [3, 468] in space that ``turn`` brings to the camera's."""
    t00, t01, t02 = np.float32(turn[0, 0]), np.float32(turn[0, 1]), np.float32(turn[0, 2])
    t10, t11, t12 = np.float32(turn[1, 0]), np.float32(turn[1, 1]), np.float32(turn[1, 2])
    t20, t21, t22 = np.float32(turn[2, 0]), np.float32(turn[2, 1]), np.float32(turn[2, 2])
    fx, fy, fz = field[0], field[1], field[2]
    right, up, near = lens[0], lens[1], lens[2]
    out_x, out_y, out_z = column[:MESH_COUNT], column[MESH_COUNT : 2 * MESH_COUNT], column[2 * MESH_COUNT :]
    root, deep = roots[0], roots[2]
    middle, total = np.float32(0.0), np.float32(0.0)
    for i in range(MESH_COUNT):
        z = t20 * fx[i] + t21 * fy[i] + t22 * fz[i]
        c = root[i] * near[i]
        out_x[i] = c * (t00 * fx[i] + t01 * fy[i] + t02 * fz[i] + right[i] * z)
        out_y[i] = c * (t10 * fx[i] + t11 * fy[i] + t12 * fz[i] + up[i] * z)
        out_z[i] = z
        middle += weights[i] * z
        total += weights[i]
    middle /= total
    for i in range(MESH_COUNT):
        out_z[i] = deep[i] * (out_z[i] - middle)


@kernel
def linearise(shapes: int, bases: Bases, setup: Setup, state: State, work: Work) -> None:
    """Write the columns and the gradient, after ``evaluate``; with ``shapes``, those of identity, too."""
    e = state.expression.shape[0]
    for k in range(3):
        turn_head(k, work)
        see_motion(state.turn, work.field_a, work.lens, setup.weights, setup.roots, work.columns[TURN + k])
        shift_head(k, state, work)
        see_motion(state.turn, work.field_a, work.lens, setup.weights, setup.roots, work.columns[SHIFT + k])
        turn_jaw(k, bases, work)
        see_motion(state.turn, work.field_a, work.lens, setup.weights, setup.roots, work.columns[JAW + k])
    for k in range(e):
        assemble(work.jaw_turn, bases.a_expression[k], bases.b_expression[k], work.field_a)
        see_motion(state.turn, work.field_a, work.lens, setup.weights, setup.roots, work.columns[EXPRESSION + k])
    for k in range(shapes):
        assemble(work.jaw_turn, bases.a_shape[k], bases.b_shape[k], work.field_a)
        see_motion(state.turn, work.field_a, work.lens, setup.weights, setup.roots, work.columns[EXPRESSION + e + k])
    for i in range(EXPRESSION + e + shapes):
        work.gradient[i] = dot(work.columns[i], work.error)
    for k in range(3):
        work.gradient[JAW + k] -= setup.prior[JAW + k] * state.jaw[k]
    for k in range(e):
        work.gradient[EXPRESSION + k] -= setup.prior[EXPRESSION + k] * state.expression[k]


@kernel
def turn_head(k: int, work: Work) -> None:
    """Write the landmarks' motion as the head turns about axis k, e_k × x."""
    one, two = (k + 1) % 3, (k + 2) % 3
    for i in range(MESH_COUNT):
        work.field_a[k, i] = 0.0
        work.field_a[one, i] = -work.model[two, i]
        work.field_a[two, i] = work.model[one, i]


@kernel
def shift_head(k: int, state: State, work: Work) -> None:
    """Write their motion as the head moves along the camera's axis k."""
    for d in range(3):
        work.field_a[d] = np.float32(state.turn[k, d])


@kernel
def turn_jaw(k: int, bases: Bases, work: Work) -> None:
    """Write their motion as the jaw turns about axis k: e_k × R B, and its correctives, for which δR = [e_k]× R."""
    one, two = (k + 1) % 3, (k + 2) % 3
    work.field_a[:] = 0.0
    work.field_b[:] = 0.0
    for j in range(3):
        for row, entry in ((one, -work.jaw_turn[two, j]), (two, work.jaw_turn[one, j])):
            add(entry, bases.a_bend[3 * row + j], work.field_a)
            add(entry, bases.b_bend[3 * row + j], work.field_b)
    assemble(work.jaw_turn, work.field_a, work.field_b, work.field_a)
    turn, b = work.jaw_turn, work.bent_b
    for j in range(b.shape[1]):
        u = turn[one, 0] * b[0, j] + turn[one, 1] * b[1, j] + turn[one, 2] * b[2, j]
        v = turn[two, 0] * b[0, j] + turn[two, 1] * b[1, j] + turn[two, 2] * b[2, j]
        work.field_a[one, j] -= v
        work.field_a[two, j] += u


@summing_kernel
def weigh(first: int, count: int, work: Work) -> None:
    """Write rows ``first`` to ``count`` of the normal matrix from the columns, without priors."""
    columns, normal = work.columns, work.normal
    for i in range(first, count):
        row = columns[i]
        for tile in range(0, i + 1, TILE):
            if tile + TILE <= i + 1:
                c0, c1, c2, c3 = columns[tile], columns[tile + 1], columns[tile + 2], columns[tile + 3]
                s0 = s1 = s2 = s3 = np.float32(0.0)
                for j in range(row.shape[0]):
                    s0 += row[j] * c0[j]
                    s1 += row[j] * c1[j]
                    s2 += row[j] * c2[j]
                    s3 += row[j] * c3[j]
                normal[i, tile], normal[i, tile + 1] = s0, s1
                normal[i, tile + 2], normal[i, tile + 3] = s2, s3
            else:
                for k in range(tile, i + 1):
                    normal[i, k] = dot(row, columns[k])
