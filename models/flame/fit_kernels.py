"""The arithmetic of the fit, compiled, without garbage: damped Gauss-Newton (Levenberg, Marquardt).

Unknowns, in order: turn of the head about the model's origin [3], in the model's axes; its shift [3], in the camera's,
metres; turn of the jaw [3], in the model's axes; expression [e]; where identity is learned, shape [s].

Per frame the normal matrix is made once: it costs most, and the steps of a warm start are small. Gradients are exact at
each step, so the way is shortened and the goal is not. A step that makes things worse is taken back and damped.
Arrays of landmarks are [3, 468], in the order of ``points.Bases``: what the jaw moves comes first.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt

from facewire.models.face.jit import kernel
from facewire.models.face.landmarks import MESH_COUNT
from facewire.models.face.pose import VERTICAL_FIELD_OF_VIEW_RAD
from facewire.models.flame.points import Bases
from facewire.models.flame.skinning import rotation

Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]
Function = TypeVar("Function", bound=Callable[..., Any])

TURN, SHIFT, JAW, EXPRESSION = 0, 3, 6, 9
"""Where the unknowns begin."""
MOST_EXPRESSION = 6.0
"""Standard deviations; no face that was scanned is farther out."""
JAW_LIMITS_RAD = ((-0.05, 0.65), (-0.2, 0.2), (-0.12, 0.12))
"""Opening, turn to the side, roll: what a jaw can do."""
NEAREST_M, FARTHEST_M = 0.05, 50.0
LEAST_GAIN = 1e-3
"""A step that lowers the cost by less than this share is the last one."""
SLOW_GAIN = 0.3
"""A step that lowers it by more was far: then the normal matrix is made anew."""
FIRST_DAMPING, LEAST_DAMPING = 1e-3, 1e-7
TILE = 4


def summing(function: Function) -> Function:
    """As ``kernel``, for loops that sum: in any order, so that several terms are added at a time."""
    options: Any = {"reassoc", "contract", "nsz"}
    return cast(Function, numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=options)(function))


class Setup(NamedTuple):
    """What does not change."""

    weights: Float32Array
    """[468], of the landmarks."""
    roots: Float32Array
    """[3, 468], square roots of weight / variance of what is seen of each, across and in depth, 1 / m."""
    prior: Float64Array
    """[9 + e], 1 / variance of each unknown; 0 where nothing is known."""
    middle: Float64Array
    """[3], metres: the middle of the template's landmarks."""


class State(NamedTuple):
    """What a frame takes over from the one before."""

    turn: Float64Array
    """[3, 3], the head in the camera's space."""
    shift: Float64Array
    """[3], metres: where the model's origin is."""
    jaw: Float64Array
    """[3], axis-angle."""
    expression: Float64Array
    """[e]."""


class Work(NamedTuple):
    """Buffers."""

    a: Float32Array
    """[3, 468], what the jaw does not turn, with this identity."""
    b: Float32Array
    """[3, n], what it turns."""
    bent_a: Float32Array
    bent_b: Float32Array
    seen: Float32Array
    """[3, 468]: the landmarks on the plane at distance 1, and relative depth on that scale from their middle."""
    model: Float32Array
    """[3, 468], the landmarks of the model as bent, in its space."""
    error: Float32Array
    """[1404], in standard deviations: seen minus model, across the line of sight and in depth."""
    lens: Float32Array
    """[3, 468]: x / d, y / d and D / d of each landmark, by which motion in space becomes motion that is seen."""
    field_a: Float32Array
    """[3, 468], a motion of the landmarks in the model's space."""
    field_b: Float32Array
    columns: Float32Array
    """[9 + e + s, 1404], as ``error``: what is seen as each unknown grows."""
    jaw_turn: Float64Array
    """[3, 3]."""
    spare: Float64Array
    """[3, 3]."""
    gradient: Float64Array
    """[9 + e + s], minus half the cost's."""
    normal: Float64Array
    """[9 + e + s, …], the lower half."""
    factor: Float64Array
    """[9 + e, …]."""
    step: Float64Array
    """[9 + e]."""


@kernel
def observe(landmarks: Float32Array, width: int, height: int, bases: Bases, setup: Setup, work: Work) -> bool:
    """Bring landmarks [478, 3] in pixels to the plane at distance 1; False where they are not numbers or one point."""
    unit = 2.0 * math.tan(0.5 * VERTICAL_FIELD_OF_VIEW_RAD) / height
    middle = total = 0.0
    left = top = math.inf
    right = bottom = -math.inf
    for i in range(MESH_COUNT):
        at = bases.order[i]
        x, y = unit * (landmarks[at, 0] - 0.5 * width), unit * (0.5 * height - landmarks[at, 1])
        z = -unit * landmarks[at, 2]
        if not (abs(x) < 1e3 and abs(y) < 1e3 and abs(z) < 1e3):  # also where one is not a number
            return False
        work.seen[0, i], work.seen[1, i], work.seen[2, i] = x, y, z
        left, right, top, bottom = min(left, x), max(right, x), min(top, y), max(bottom, y)
        middle += setup.weights[i] * z
        total += setup.weights[i]
    for i in range(MESH_COUNT):
        work.seen[2, i] -= middle / total
    return min(right - left, bottom - top) > 4.0 * unit


@summing
def add(factor: float, source: Float32Array, target: Float32Array) -> None:
    """target += factor · source, both [3, n]."""
    c = np.float32(factor)
    for d in range(3):
        one, other = source[d], target[d]
        for j in range(one.shape[0]):
            other[j] += c * one[j]


@kernel
def copy_rows(source: npt.NDArray[np.floating[Any]], target: npt.NDArray[np.floating[Any]]) -> None:
    """Write one [n, m] over another. A slice's assignment would do, and take seven seconds to compile."""
    for i in range(source.shape[0]):
        for j in range(source.shape[1]):
            target[i, j] = source[i, j]


@kernel
def copy_row(source: Float64Array, target: Float64Array) -> None:
    """Write the first of [n] over all of another."""
    for i in range(target.shape[0]):
        target[i] = source[i]


@summing
def assemble(turn: Float64Array, a: Float32Array, b: Float32Array, out: Float32Array) -> None:
    """A + R(jaw) B."""
    copy_rows(a, out)
    for d in range(3):
        one, x, y, z = out[d], b[0], b[1], b[2]
        cx, cy, cz = np.float32(turn[d, 0]), np.float32(turn[d, 1]), np.float32(turn[d, 2])
        for j in range(x.shape[0]):
            one[j] += cx * x[j] + cy * y[j] + cz * z[j]


@kernel
def bend(bases: Bases, state: State, work: Work) -> None:
    """Write the landmarks of the model, ``work.model``, for the state's jaw and expression."""
    rotation(state.jaw, work.jaw_turn)
    copy_rows(work.a, work.bent_a)
    copy_rows(work.b, work.bent_b)
    for k in range(state.expression.shape[0]):
        add(state.expression[k], bases.a_expression[k], work.bent_a)
        add(state.expression[k], bases.b_expression[k], work.bent_b)
    for k in range(9):
        c = work.jaw_turn[k // 3, k % 3] - (1.0 if k % 4 == 0 else 0.0)
        add(c, bases.a_bend[k], work.bent_a)
        add(c, bases.b_bend[k], work.bent_b)
    assemble(work.jaw_turn, work.bent_a, work.bent_b, work.model)


@kernel
def evaluate(distance_m: float, bases: Bases, setup: Setup, state: State, work: Work) -> float:
    """Return the cost of a state, in variances; infinite where the head would be behind the camera.

    ``distance_m`` is a rough one: errors are measured there, so that no state looks good by being near.
    """
    bend(bases, state, work)
    turn, shift, lens, roots = state.turn, state.shift, work.lens, setup.roots
    error = work.error.reshape(3, MESH_COUNT)
    middle = total = 0.0
    for i in range(MESH_COUNT):
        x, y, z = work.model[0, i], work.model[1, i], work.model[2, i]
        px = turn[0, 0] * x + turn[0, 1] * y + turn[0, 2] * z + shift[0]
        py = turn[1, 0] * x + turn[1, 1] * y + turn[1, 2] * z + shift[1]
        pz = turn[2, 0] * x + turn[2, 1] * y + turn[2, 2] * z + shift[2]
        if not -pz > NEAREST_M:
            return math.inf
        lens[0, i], lens[1, i], lens[2, i] = -px / pz, -py / pz, -distance_m / pz
        error[0, i] = roots[0, i] * distance_m * (work.seen[0, i] - lens[0, i])
        error[1, i] = roots[1, i] * distance_m * (work.seen[1, i] - lens[1, i])
        error[2, i] = distance_m * work.seen[2, i] - pz
        middle += setup.weights[i] * error[2, i]
        total += setup.weights[i]
    for i in range(MESH_COUNT):
        error[2, i] = roots[2, i] * (error[2, i] - middle / total)
    cost = dot(work.error, work.error)
    for k in range(3):
        cost += setup.prior[JAW + k] * state.jaw[k] * state.jaw[k]
    for k in range(state.expression.shape[0]):
        cost += setup.prior[EXPRESSION + k] * state.expression[k] * state.expression[k]
    return cost


@summing
def dot(a: Float32Array, b: Float32Array) -> float:
    """a · b."""
    total = np.float32(0.0)
    for i in range(a.shape[0]):
        total += a[i] * b[i]
    return float(total)


@summing
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


@summing
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


@summing
def cholesky(matrix: Float64Array, count: int) -> bool:
    """Replace the lower half of matrix [count, count] by its factor L; False where it is not positive definite."""
    for i in range(count):
        row = matrix[i]
        for j in range(i + 1):
            other, total = matrix[j], row[j]
            for k in range(j):
                total -= row[k] * other[k]
            if i > j:
                row[j] = total / other[j]
            elif total > 1e-12:
                row[i] = math.sqrt(total)
            else:
                return False
    return True


@summing
def solve_lower(factor: Float64Array, x: Float64Array, count: int) -> None:
    """L⁻¹ x, in place."""
    for i in range(count):
        row, total = factor[i], x[i]
        for k in range(i):
            total -= row[k] * x[k]
        x[i] = total / row[i]


@kernel
def solve_upper(factor: Float64Array, x: Float64Array, count: int) -> None:
    """L⁻ᵀ x, in place."""
    for i in range(count - 1, -1, -1):
        row = factor[i]
        x[i] /= row[i]
        for k in range(i):
            x[k] -= row[k] * x[i]


@kernel
def damp(damping: float, setup: Setup, work: Work) -> bool:
    """Factor the normal matrix with priors, its diagonal raised by ``damping`` times itself."""
    for i in range(work.step.shape[0]):
        for j in range(i):
            work.factor[i, j] = work.normal[i, j]
        work.factor[i, i] = work.normal[i, i] * (1.0 + damping) + setup.prior[i]
    return cholesky(work.factor, work.step.shape[0])


@kernel
def move(state: State, work: Work) -> None:
    """Take the step that factor and gradient ask for, within the limits."""
    step, turn, axis_angle = work.step, state.turn, work.spare[0]
    copy_row(work.gradient, step)
    solve_lower(work.factor, step, step.shape[0])
    solve_upper(work.factor, step, step.shape[0])
    for k in range(3):
        state.shift[k] += step[SHIFT + k]
        axis_angle[k] = min(max(step[TURN + k], -0.7), 0.7)
    turned = work.jaw_turn  # free until the next ``bend``
    rotation(axis_angle, turned)
    for i in range(3):
        x, y, z = turn[i, 0], turn[i, 1], turn[i, 2]
        for j in range(3):
            turn[i, j] = x * turned[0, j] + y * turned[1, j] + z * turned[2, j]
    compose(state.jaw, step[JAW : JAW + 3], turned[0])
    for k in range(3):
        low, high = JAW_LIMITS_RAD[k]
        state.jaw[k] = min(max(state.jaw[k], low), high)
    for k in range(state.expression.shape[0]):
        value = state.expression[k] + step[EXPRESSION + k]
        state.expression[k] = min(max(value, -MOST_EXPRESSION), MOST_EXPRESSION)


@kernel
def compose(jaw: Float64Array, step: Float64Array, spare: Float64Array) -> None:
    """Turn the axis-angle ``jaw`` [3] by the axis-angle ``step`` [3] after it, by quaternions (Hamilton's product)."""
    angle = math.sqrt(jaw[0] ** 2 + jaw[1] ** 2 + jaw[2] ** 2)
    more = math.sqrt(step[0] ** 2 + step[1] ** 2 + step[2] ** 2)
    s, w = (math.sin(0.5 * angle) / angle if angle > 1e-9 else 0.5), math.cos(0.5 * angle)
    r, v = (math.sin(0.5 * more) / more if more > 1e-9 else 0.5), math.cos(0.5 * more)
    x, y, z = s * jaw[0], s * jaw[1], s * jaw[2]
    a, b, c = r * step[0], r * step[1], r * step[2]
    spare[0], spare[1], spare[2] = (
        v * x + a * w + b * z - c * y,
        v * y + b * w + c * x - a * z,
        v * z + c * w + a * y - b * x,
    )
    real = v * w - a * x - b * y - c * z
    length = math.sqrt(spare[0] ** 2 + spare[1] ** 2 + spare[2] ** 2)
    whole = 2.0 * math.atan2(length, real) / length if length > 1e-12 else 2.0
    for k in range(3):
        jaw[k] = whole * spare[k]


@kernel
def copy_state(source: State, target: State) -> None:
    """Write one state over another."""
    copy_rows(source.turn, target.turn)
    copy_row(source.shift, target.shift)
    copy_row(source.jaw, target.jaw)
    copy_row(source.expression, target.expression)


@kernel
def minimise(most: int, bases: Bases, setup: Setup, state: State, kept: State, work: Work) -> float:
    """Move the state to the least cost in at most ``most`` steps.

    Returns the mean distance of the landmarks from the model's on the plane at distance 1, infinite where the head
    would be behind the camera.
    """
    distance_m = -state.shift[2]
    for k in range(3):
        distance_m -= state.turn[2, k] * setup.middle[k]
    distance_m = min(max(distance_m, NEAREST_M), FARTHEST_M)
    cost, damping = evaluate(distance_m, bases, setup, state, work), FIRST_DAMPING
    if not cost < math.inf:
        return math.inf
    stale, factored, moved = True, False, True
    for _ in range(most):
        if moved:
            linearise(0, bases, setup, state, work)
        if stale:
            weigh(0, work.step.shape[0], work)
            stale = factored = False
        if not factored and not damp(damping, setup, work):
            damping *= 10.0
            continue
        factored = True
        copy_state(state, kept)
        move(state, work)
        after = evaluate(distance_m, bases, setup, state, work)
        moved = after < cost
        if moved:
            gain, cost = (cost - after) / cost, after
            if gain < LEAST_GAIN:
                break
            if gain > SLOW_GAIN:
                damping, stale = max(0.25 * damping, LEAST_DAMPING), True
        else:
            copy_state(kept, state)
            damping, factored = 8.0 * damping, False
    if not moved:  # the last step was taken back
        evaluate(distance_m, bases, setup, state, work)
    return distance_seen(work)


@kernel
def distance_seen(work: Work) -> float:
    """Mean distance between landmarks and model's on the plane at distance 1, after ``evaluate``."""
    total = 0.0
    for i in range(MESH_COUNT):
        total += math.hypot(work.seen[0, i] - work.lens[0, i], work.seen[1, i] - work.lens[1, i])
    return total / MESH_COUNT


@kernel
def take_identity(shape: Float64Array, offsets: Float32Array, bases: Bases, work: Work) -> None:
    """Write what an identity [s] and a person's offsets [3, 468] make of the landmarks."""
    n = bases.share.shape[0]
    for d in range(3):
        for i in range(MESH_COUNT):
            share = bases.share[i] if i < n else np.float32(0.0)
            work.a[d, i] = bases.a_rest[d, i] + (np.float32(1.0) - share) * offsets[d, i]
            if i < n:
                work.b[d, i] = bases.b_rest[d, i] + share * offsets[d, i]
    for k in range(shape.shape[0]):
        add(shape[k], bases.a_shape[k], work.a)
        add(shape[k], bases.b_shape[k], work.b)
