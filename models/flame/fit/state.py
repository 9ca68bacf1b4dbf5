"""What a fit keeps: what never changes, what goes from frame to frame, and buffers.

Unknowns, in order: turn of the head about the model's origin [3], in the model's axes; its shift [3], in the camera's,
metres; turn of the jaw [3], in the model's axes; expression [e]; where identity is learned, shape [s]. Arrays of
landmarks are [3, 468], in the order of ``points.Bases``: what the jaw moves comes first.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from facewire.bridge.shared.arrays import Float32Array, Float64Array
from facewire.models.flame.fit.points import FlamePoints

TURN, SHIFT, JAW, EXPRESSION = 0, 3, 6, 9
"""Where the unknowns begin."""
LANDMARK_STD_M = 0.0015
"""Of a landmark, as far as the model's 468 are independent: neighbours err together."""
DEPTH_WEIGHT = 0.05
JAW_STD_RAD = (0.25, 0.05, 0.03)
"""Opening, turn, roll."""


class Setup(NamedTuple):
    """What does not change."""

    weights: Float32Array
    """[468], of the landmarks."""
    roots: Float32Array
    """[3, 468], square roots of weight / variance of what is seen of each, across and in depth, 1 / m."""
    prior: Float64Array
    """[9 + e], 1 / variance of each unknown; 0 if nothing is known."""
    middle: Float64Array
    """[3], metres: the middle of the template's landmarks."""
    normals: Float64Array
    """[468, 3], of the template's surface at the landmarks, unit length."""


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


def make_setup(points: FlamePoints) -> Setup:
    """Return what does not change for a model."""
    prior = np.ones(EXPRESSION + points.expressions)
    prior[:JAW] = 0.0
    prior[JAW:EXPRESSION] = 1.0 / np.square(JAW_STD_RAD)
    roots = np.sqrt(points.weights) / LANDMARK_STD_M * np.sqrt([[1.0], [1.0], [DEPTH_WEIGHT]])
    return Setup(points.weights, roots.astype(np.float32), prior, points.rest.mean(0), points.normals)


def make_state(points: FlamePoints) -> State:
    """Return a state at rest, half a metre before the camera."""
    return State(np.eye(3), np.array([0.0, 0.0, -0.5]), np.zeros(3), np.zeros(points.expressions))


def make_work(points: FlamePoints) -> Work:
    """Return buffers."""
    count, wide = EXPRESSION + points.expressions, EXPRESSION + points.expressions + len(points.bases.a_shape)
    a, b, c, d, seen, model, lens, field = (np.zeros_like(points.bases.a_rest) for _ in range(8))
    b, d, field_b = (np.zeros_like(points.bases.b_rest) for _ in range(3))
    return Work(
        a, b, c, d, seen, model, np.zeros(a.size, np.float32), lens, field, field_b,
        np.zeros((wide, a.size), np.float32), np.eye(3), np.zeros((3, 3)),
        np.zeros(wide), np.zeros((wide, wide)), np.zeros((count, count)), np.zeros(count),
    )  # fmt: skip
