"""The arithmetic of the fit, compiled, without garbage: damped Gauss-Newton (Levenberg, Marquardt).

Per frame the normal matrix is made once: it costs most, and the steps of a warm start are small. Gradients are exact at
each step, so the way is shortened and the goal is not. A step that makes things worse is taken back and damped.
"""

from __future__ import annotations

import math

import numpy as np

from facewire.bridge.shared.arrays import Float32Array, Float64Array
from facewire.models.face.landmarks import MESH_COUNT
from facewire.models.face.pose import VERTICAL_FIELD_OF_VIEW_RAD
from facewire.models.flame.fit.column_kernels import assemble, linearise, weigh
from facewire.models.flame.fit.linear_kernels import add, cholesky, copy_row, copy_rows, dot, solve_lower, solve_upper
from facewire.models.flame.fit.points import Bases
from facewire.models.flame.fit.state import EXPRESSION, JAW, SHIFT, TURN, Setup, State, Work
from facewire.models.flame.skin.skinning import rotation
from facewire.models.jit import kernel

MOST_EXPRESSION = 6.0
"""Standard deviations; no face that was scanned is farther out."""
JAW_LIMITS_RAD = ((-0.05, 0.65), (-0.2, 0.2), (-0.12, 0.12))
"""Opening, turn to the side, roll: what a jaw can do."""
NEAREST_M, FARTHEST_M = 0.05, 50.0
LEAST_GAIN = 1e-3
"""A step that lowers the cost by less than this share is the last one."""
SLOW_GAIN = 0.3
"""A step that lowers it by more was far: then the normal matrix is made again."""
FIRST_DAMPING, LEAST_DAMPING = 1e-3, 1e-7


@kernel
def observe(landmarks: Float32Array, width: int, height: int, bases: Bases, setup: Setup, work: Work) -> bool:
    """Bring landmarks [478, 3] in pixels to the plane at distance 1; False if they are not numbers or one point."""
    unit = 2.0 * math.tan(0.5 * VERTICAL_FIELD_OF_VIEW_RAD) / height
    middle = total = 0.0
    left = top = math.inf
    right = bottom = -math.inf
    for i in range(MESH_COUNT):
        at = bases.order[i]
        x, y = unit * (landmarks[at, 0] - 0.5 * width), unit * (0.5 * height - landmarks[at, 1])
        z = -unit * landmarks[at, 2]
        if not (abs(x) < 1e3 and abs(y) < 1e3 and abs(z) < 1e3):  # also if one is not a number
            return False
        work.seen[0, i], work.seen[1, i], work.seen[2, i] = x, y, z
        left, right, top, bottom = min(left, x), max(right, x), min(top, y), max(bottom, y)
        middle += setup.weights[i] * z
        total += setup.weights[i]
    for i in range(MESH_COUNT):
        work.seen[2, i] -= middle / total
    return min(right - left, bottom - top) > 4.0 * unit


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
    """Return the cost of a state, in variances; infinite if the head would be behind the camera.

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
def distance_of(setup: Setup, state: State) -> float:
    """Return how far the middle of the face is, metres, roughly."""
    distance_m = -state.shift[2]
    for k in range(3):
        distance_m -= state.turn[2, k] * setup.middle[k]
    return float(min(max(distance_m, NEAREST_M), FARTHEST_M))


@kernel
def minimise(most: int, bases: Bases, setup: Setup, state: State, kept: State, work: Work) -> float:
    """Move the state to the least cost in at most ``most`` steps.

    Returns the mean distance of the landmarks from the model's on the plane at distance 1, infinite if the head
    would be behind the camera.
    """
    distance_m = distance_of(setup, state)
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
