"""A step of the decoder, compiled: a post-norm layer (FaceFormer, section 3.3) on what is kept of the past."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from facewire.bridge.shared.arrays import Float32Array
from facewire.models.jit import summing_kernel
from facewire.models.speech.decode.step_weights import StepWeights

HEADS = 4


class StepState(NamedTuple):
    """What a stream keeps. Its size never changes; all arrays are written in place."""

    keys: Float32Array
    """[d, window], a ring of columns."""
    values: Float32Array
    hidden: Float32Array
    """[d]: what the last motion was decoded from."""
    frame: npt.NDArray[np.int64]
    """[1]: how many frames there were."""
    feature: Float32Array
    """[features_per_frame, a]: the last audio that was all numbers."""


class Work(NamedTuple):
    """Buffers, and the bias of the attention."""

    slopes: Float32Array
    """[heads]: how much each head's bias falls with a period."""
    scores: Float32Array
    """[heads, columns attended to at most]."""
    x: Float32Array
    """[d]: what goes through the layer."""
    query: Float32Array
    mixed: Float32Array
    added: Float32Array
    wide: Float32Array
    """[2 d]."""
    heard: Float32Array
    """[d]: one audio feature, mapped."""
    heard_keys: Float32Array
    """[d, features_per_frame]."""
    heard_values: Float32Array
    motion: Float32Array
    """[n]: what comes out."""


def slopes(heads: int = HEADS) -> Float32Array:
    """Return how much each head's bias falls with a period: 2^-2, 2^-4, 2^-6, 2^-8 for four heads (section 3.3.1)."""
    return (2.0 ** (-8.0 * np.arange(1, heads + 1) / heads)).astype(np.float32)


def make_work(window: int, weights: StepWeights) -> Work:
    """Return buffers for one decoder."""
    width, features_per_frame = len(weights.self_out), weights.features_per_frame
    x, query, mixed, added, heard = (np.zeros(width, np.float32) for _ in range(5))
    wide = np.zeros(2 * width, np.float32)
    heard_keys, heard_values = (np.zeros((width, features_per_frame), np.float32) for _ in range(2))
    scores = np.zeros((HEADS, max(window, features_per_frame)), np.float32)
    return Work(
        slopes(),
        scores,
        x,
        query,
        mixed,
        added,
        wide,
        heard,
        heard_keys,
        heard_values,
        np.zeros_like(weights.motion_bias),
    )


@summing_kernel
def step(style: int, weights: StepWeights, state: StepState, work: Work) -> None:
    """Decode one frame to ``work.motion``; ``state.hidden`` becomes what that was decoded from."""
    enter(style, weights, state, work.x)
    attend_to_motion(weights, state, work)
    attend_to_audio(weights, state.feature, work)
    feed_forward(weights, work)
    for i in range(work.x.shape[0]):
        state.hidden[i] = work.x[i]
    state.frame[0] += 1
    affine(weights.motion, weights.motion_bias, state.hidden, work.motion)


@summing_kernel
def enter(style: int, weights: StepWeights, state: StepState, x: Float32Array) -> None:
    """Write what goes in: style, the last motion encoded, and where in the period this is (section 3.2)."""
    t = state.frame[0]
    if t > 0:
        affine(weights.feedback, weights.feedback_bias, state.hidden, x)
    position = weights.position[t % weights.position.shape[0]]
    for i in range(x.shape[0]):
        x[i] = (x[i] if t > 0 else np.float32(0.0)) + weights.styles[style, i] + position[i]


@summing_kernel
def attend_to_motion(weights: StepWeights, state: StepState, work: Work) -> None:
    """Biased causal self-attention (section 3.3.1)."""
    d, window = state.keys.shape
    matrix, bias, mixed = weights.self_in, weights.self_in_bias, work.mixed
    newest = state.frame[0] % window
    affine(matrix[:d], bias[:d], work.x, work.query)
    affine(matrix[d : 2 * d], bias[d : 2 * d], work.x, mixed)
    state.keys[:, newest] = mixed
    affine(matrix[2 * d :], bias[2 * d :], work.x, mixed)
    state.values[:, newest] = mixed
    count = min(state.frame[0] + 1, window)
    attend(state.keys, state.values, count, newest, weights.position.shape[0], work)
    affine(weights.self_out, weights.self_out_bias, mixed, work.added)
    add_and_normalise(work.x, work.added, weights.norms[0])


@summing_kernel
def attend_to_audio(weights: StepWeights, feature: Float32Array, work: Work) -> None:
    """Biased cross-modal attention (section 3.3.2): only to this frame's own audio [features_per_frame, a]."""
    d, count = work.x.shape[0], feature.shape[0]
    matrix, bias, mixed = weights.cross_in, weights.cross_in_bias, work.mixed
    for k in range(count):
        affine(weights.audio, weights.audio_bias, feature[k], work.heard)
        affine(matrix[d : 2 * d], bias[d : 2 * d], work.heard, mixed)
        work.heard_keys[:, k] = mixed
        affine(matrix[2 * d :], bias[2 * d :], work.heard, mixed)
        work.heard_values[:, k] = mixed
    affine(matrix[:d], bias[:d], work.x, work.query)
    attend(work.heard_keys, work.heard_values, count, count - 1, 0, work)
    affine(weights.cross_out, weights.cross_out_bias, mixed, work.added)
    add_and_normalise(work.x, work.added, weights.norms[1])


@summing_kernel
def feed_forward(weights: StepWeights, work: Work) -> None:
    """Two linear layers with a rectifier between."""
    wide = work.wide
    affine(weights.up, weights.up_bias, work.x, wide)
    for i in range(wide.shape[0]):
        wide[i] = max(wide[i], np.float32(0.0))
    affine(weights.down, weights.down_bias, wide, work.added)
    add_and_normalise(work.x, work.added, weights.norms[2])


@summing_kernel
def attend(keys: Float32Array, values: Float32Array, count: int, newest: int, period: int, work: Work) -> None:
    """Attention of ``work.query`` [d] to the first ``count`` columns of keys and values [d, window].

    They are a ring in time, its newest column ``newest``. Head h's bias falls by ``slopes[h]`` for each whole
    ``period`` that a key is back; a period of 0 means no bias. The inner loops run along time.
    """
    (d, window), slopes, query, out = keys.shape, work.slopes, work.query, work.mixed
    size = d // slopes.shape[0]
    scale = np.float32(1.0) / np.sqrt(np.float32(size))
    for head in range(slopes.shape[0]):
        row = work.scores[head, :count]
        for place in range(count):
            back = newest - place if place <= newest else newest - place + window
            row[place] = -slopes[head] * np.float32(back // period) if period > 0 else np.float32(0.0)
        for i in range(head * size, (head + 1) * size):
            weight = query[i] * scale
            for place in range(count):
                row[place] += weight * keys[i, place]
        total = exponentials(row)
        for i in range(head * size, (head + 1) * size):
            mean = np.float32(0.0)
            for place in range(count):
                mean += row[place] * values[i, place]
            out[i] = mean / total


@summing_kernel
def exponentials(row: Float32Array) -> float:
    """Replace numbers by their exponentials, relative to the highest; return the sum."""
    highest = row[0]
    for place in range(row.shape[0]):
        highest = max(highest, row[place])
    total = np.float32(0.0)
    for place in range(row.shape[0]):
        row[place] = np.exp(row[place] - highest)
        total += row[place]
    return total


@summing_kernel
def take_audio(feature: Float32Array, kept: Float32Array) -> None:
    """Copy a frame's audio, unless some of it is not a number."""
    for i in range(feature.shape[0]):
        for j in range(feature.shape[1]):
            if not abs(feature[i, j]) < 1e6:
                return
    for i in range(feature.shape[0]):
        for j in range(feature.shape[1]):
            kept[i, j] = feature[i, j]


@summing_kernel
def affine(matrix: Float32Array, bias: Float32Array, x: Float32Array, out: Float32Array) -> None:
    """``out = matrix x + bias``; four rows at once, which halves the time at these sizes."""
    rows, columns = matrix.shape
    whole = rows - rows % 4
    for i in range(0, whole, 4):
        a, b, c, e = bias[i], bias[i + 1], bias[i + 2], bias[i + 3]
        for j in range(columns):
            a += matrix[i, j] * x[j]
            b += matrix[i + 1, j] * x[j]
            c += matrix[i + 2, j] * x[j]
            e += matrix[i + 3, j] * x[j]
        out[i], out[i + 1], out[i + 2], out[i + 3] = a, b, c, e
    for i in range(whole, rows):
        a = bias[i]
        for j in range(columns):
            a += matrix[i, j] * x[j]
        out[i] = a


@summing_kernel
def add_and_normalise(x: Float32Array, y: Float32Array, norm: Float32Array) -> None:
    """``x`` becomes the layer norm of ``x + y``."""
    d = x.shape[0]
    mean = np.float32(0.0)
    for i in range(d):
        x[i] += y[i]
        mean += x[i]
    mean /= np.float32(d)
    variance = np.float32(0.0)
    for i in range(d):
        variance += (x[i] - mean) * (x[i] - mean)
    scale = np.float32(1.0) / np.sqrt(variance / np.float32(d) + np.float32(1e-5))
    for i in range(d):
        x[i] = (x[i] - mean) * scale * norm[0, i] + norm[1, i]
