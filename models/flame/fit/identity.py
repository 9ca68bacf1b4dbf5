"""Who is in front of the camera: identity from many frames, without keeping any of them.

Each frame that is taken says something about identity. What its own unknowns (pose, jaw, expression) could explain as
well is taken out of that by the Schur complement of its normal matrix, and the rest is added up: recursive least
squares with the frame's unknowns marginalised. So a smile that lasts does not become a wide mouth as long as other
frames disagree. Views from new directions say something new; from where many frames were taken one more counts little.

How far the evidence is to be believed is told by the fit's own misfit. Errors that come and go average out; what stays
in the mean over the frames is what neither identity nor expression can make: that mean's square is taken as the
variance of a landmark over all frames together (empirical Bayes, with the prior of the model's own: standard
deviations). So a face that the model can make is found as closely as the noise allows, and a real one, whose landmarks
are off by a millimetre for good, is not bent to an unlikely person to explain that.

Personal offsets: the network puts some landmarks elsewhere on a person's skin than the registration does, the same in
every frame. Their mean along the skin, as far as it is more than what noise leaves and at most ``MOST_OFFSET_M``, is
kept beside the identity; across the skin nothing is taken, for that would be the shape of a face.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from facewire.bridge.shared.arrays import Float32Array, Float64Array
from facewire.models.face.landmarks import MESH_COUNT
from facewire.models.flame.fit.column_kernels import linearise, weigh
from facewire.models.flame.fit.fit_kernels import damp, distance_of, evaluate, take_identity
from facewire.models.flame.fit.linear_kernels import cholesky, copy_row, solve_lower, solve_upper
from facewire.models.flame.fit.points import Bases, FlamePoints
from facewire.models.flame.fit.state import LANDMARK_STD_M, Setup, State, Work
from facewire.models.jit import kernel

FRAME_WEIGHT = 0.5
"""Of one frame's evidence: errors of neighbouring frames are alike, and so prove less than independent ones."""
VIEWS, VIEW_RAD = 7, 0.17
"""Directions of the head, to the sides and up, that are told apart."""
VIEW_FRAMES = 8.0
"""After so many frames from one direction the next counts half."""
OFFSET_FRAMES = 6.0
"""Offsets are drawn towards none as by so many frames without any."""
MOST_OFFSET_M = 0.006
MOST_SHAPE = 5.0
"""Standard deviations."""
LEAST_BELIEF, MOST_BELIEF = 0.1, 30.0
"""Of the evidence: at 1, as if a landmark's errors were ``LANDMARK_STD_M`` in every frame."""
LEAST_GAIN = 0.03
"""Of a frame in the mean misfit: later ones count more, as those before were fitted with less known of the person."""
FRAMES, SPREAD, TOTAL, LASTING, EVIDENCE = range(5)
"""In ``Identity.misfit``."""


class Identity(NamedTuple):
    """What is known of a person."""

    shape: Float64Array
    """[s], the identity that frames are fitted with: the model's, then asymmetry (``points.with_asymmetries``)."""
    best: Float64Array
    """[s], what the evidence says."""
    information: Float64Array
    """[s, s]."""
    evidence: Float64Array
    """[s]."""
    factor: Float64Array
    """[s, s], a buffer."""
    offsets: Float32Array
    """[3, 468], metres, in the model's space, in the order of ``points.Bases``."""
    left: Float32Array
    """[3, 468], metres: mean of the errors that the model without offsets leaves; likewise."""
    misfit: Float64Array
    """[5]: frames; sum of the squares of their shares in the mean; mean square of a landmark's error in a frame, and of
    its mean error, square metres; sum of the frames' weights as evidence."""
    views: Float64Array
    """[VIEWS, VIEWS], frames taken from each direction."""


def unknown_identity(points: FlamePoints) -> Identity:
    """Return what is known at first."""
    s = len(points.bases.a_shape)
    return Identity(
        np.zeros(s),
        np.zeros(s),
        np.zeros((s, s)),
        np.zeros(s),
        np.zeros((s, s)),
        np.zeros((3, MESH_COUNT), np.float32),
        np.zeros((3, MESH_COUNT), np.float32),
        np.zeros(5),
        np.zeros((VIEWS, VIEWS)),
    )


def forget(identity: Identity) -> None:
    """Make a person nobody again."""
    for array in identity:
        array[:] = 0.0


@kernel
def view_weight(turn: Float64Array, identity: Identity) -> float:
    """Return how much a frame from the state's direction counts, 0 to 1, and count it."""
    yaw, pitch = math.atan2(turn[0, 2], turn[2, 2]), math.asin(min(max(turn[1, 2], -1.0), 1.0))
    half = VIEWS // 2
    column = min(max(round(yaw / VIEW_RAD) + half, 0), VIEWS - 1)
    row = min(max(round(pitch / VIEW_RAD) + half, 0), VIEWS - 1)
    weight: float = 1.0 / (1.0 + identity.views[row, column] / VIEW_FRAMES)
    identity.views[row, column] += 1.0
    return weight


@kernel
def learn(
    with_offsets: bool, share: float, bases: Bases, setup: Setup, state: State, work: Work, identity: Identity
) -> None:
    """Take the frame that was fitted last, and go ``share`` of the way from the identity to what the evidence says."""
    weight = view_weight(state.turn, identity)
    distance_m = distance_of(setup, state)
    if with_offsets:  # they are noise to identity, which must not be learned from what they leave
        identity.offsets[:] = 0.0
        take_identity(identity.shape, identity.offsets, bases, work)
        evaluate(distance_m, bases, setup, state, work)
    learn_misfit(distance_m, setup.weights, state, work, identity)
    take_evidence(weight, bases, setup, state, work, identity)
    move_identity(share, identity)
    if with_offsets:
        learn_offsets(setup.normals, identity)
    take_identity(identity.shape, identity.offsets, bases, work)


@kernel
def take_evidence(weight: float, bases: Bases, setup: Setup, state: State, work: Work, identity: Identity) -> None:
    """Add what the frame says of identity, its own unknowns marginalised."""
    count, s = work.step.shape[0], identity.shape.shape[0]
    linearise(s, bases, setup, state, work)
    weigh(0, count + s, work)
    if damp(0.0, setup, work):
        copy_row(work.gradient, work.step)
        solve_lower(work.factor, work.step, count)
        for i in range(s):
            solve_lower(work.factor, work.normal[count + i], count)
        add_evidence(FRAME_WEIGHT * weight, count, work, identity)


@kernel
def move_identity(share: float, identity: Identity) -> None:
    """Go ``share`` of the way to what all evidence so far says, as far as it is to be believed."""
    s, belief = identity.shape.shape[0], believe(identity)
    for i in range(s):
        for j in range(i + 1):
            identity.factor[i, j] = belief * identity.information[i, j] + (1.0 if i == j else 0.0)
        identity.best[i] = belief * identity.evidence[i]
    if cholesky(identity.factor, s):
        solve_lower(identity.factor, identity.best, s)
        solve_upper(identity.factor, identity.best, s)
        for i in range(s):
            goal = min(max(identity.best[i], -MOST_SHAPE), MOST_SHAPE)
            identity.shape[i] += share * (goal - identity.shape[i])


@kernel
def add_evidence(weight: float, count: int, work: Work, identity: Identity) -> None:
    """Add a frame's information on identity: the Schur complement, H_ss - X Xᵀ with X = H_sp L⁻ᵀ, and its gradient."""
    s = identity.shape.shape[0]
    identity.misfit[EVIDENCE] += weight
    for i in range(s):
        x = work.normal[count + i]
        pulled = work.gradient[count + i]
        for k in range(count):
            pulled -= x[k] * work.step[k]
        identity.evidence[i] += weight * pulled
        for j in range(i + 1):
            y = work.normal[count + j]
            total = x[count + j]
            for k in range(count):
                total -= x[k] * y[k]
            total *= weight
            identity.information[i, j] += total
            identity.evidence[i] += total * identity.shape[j]
            if i != j:
                identity.evidence[j] += total * identity.shape[i]


@kernel
def learn_misfit(distance_m: float, weights: Float32Array, state: State, work: Work, identity: Identity) -> None:
    """Take the frame's errors across the line of sight into the running mean of each landmark."""
    turn, left, misfit = state.turn, identity.left, identity.misfit
    misfit[FRAMES] += 1.0
    gain = max(2.0 / (misfit[FRAMES] + 1.0), LEAST_GAIN)
    now = lasting = 0.0
    for i in range(MESH_COUNT):
        ex = distance_m * (work.seen[0, i] - work.lens[0, i])
        ey = distance_m * (work.seen[1, i] - work.lens[1, i])
        for k in range(3):
            off = turn[0, k] * ex + turn[1, k] * ey
            left[k, i] += gain * (off - left[k, i])
            now += weights[i] * off * off
            lasting += weights[i] * left[k, i] ** 2
    misfit[SPREAD] = (1.0 - gain) ** 2 * misfit[SPREAD] + gain**2
    misfit[TOTAL] += gain * (now / MESH_COUNT - misfit[TOTAL])
    misfit[LASTING] = lasting / MESH_COUNT


@kernel
def believe(identity: Identity) -> float:
    """Return the factor by which the evidence's variances come to what the mean misfit is, across and up."""
    misfit = identity.misfit
    belief = LANDMARK_STD_M**2 / max(misfit[EVIDENCE] * 0.5 * misfit[LASTING], 1e-12)
    return float(min(max(belief, LEAST_BELIEF), MOST_BELIEF))


@kernel
def learn_offsets(normals: Float64Array, identity: Identity) -> None:
    """Take the mean misfit along the skin for offsets, as far as it is more than noise would leave of itself."""
    misfit, left, offsets = identity.misfit, identity.left, identity.offsets
    noise = misfit[SPREAD] * (misfit[TOTAL] - misfit[LASTING]) / max(1.0 - misfit[SPREAD], 1e-9)
    share = max(1.0 - noise / max(misfit[LASTING], 1e-12), 0.0) * misfit[FRAMES] / (misfit[FRAMES] + OFFSET_FRAMES)
    for i in range(MESH_COUNT):
        outward = size = 0.0
        for k in range(3):
            outward += left[k, i] * normals[i, k]
        for k in range(3):
            offsets[k, i] = share * (left[k, i] - outward * normals[i, k])
            size += offsets[k, i] ** 2
        if size > MOST_OFFSET_M**2:
            for k in range(3):
                offsets[k, i] *= MOST_OFFSET_M / math.sqrt(size)
