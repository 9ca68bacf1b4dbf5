"""One tick of our causal network as compiled code: no allocation, one thread, sums always in the same order."""

from __future__ import annotations

import math

import numpy as np

from facewire.bridge.shared.arrays import Float32Array
from facewire.models.jit import kernel
from facewire.models.speech.causal_state import State, Weights, Work
from facewire.models.speech.features import level_step, normalise


@kernel
def tick(weights: Weights, state: State, work: Work) -> None:
    """Take the samples of ``work.frames`` to ``state.motion`` [52] and ``work.speaking`` [1]."""
    append_features(weights, state, work)
    memory, feature = state.memory.shape[0], work.feature
    x, middle = work.both[memory:], work.middle
    affine(state.heard, weights.input, weights.input_bias, x)
    relu(x)
    affine(x, weights.middle, weights.middle_bias, middle)
    for i in range(x.shape[0]):
        x[i] += max(middle[i], np.float32(0))
    recur(weights, x, state.memory, work)
    work.both[:memory] = state.memory
    affine(work.both, weights.hidden, weights.hidden_bias, feature)
    for i in range(feature.shape[0]):
        feature[i] = max(feature[i] + weights.head_style[i], np.float32(0))
    decode(weights, state, work)
    speak(weights, state, work)
    state.ticks[0] += 1


@kernel
def speak(weights: Weights, state: State, work: Work) -> None:
    """Write shapes and how likely it is that somebody speaks, from the head's feature."""
    speaking, motion, phones = work.speaking, state.motion, work.phones
    affine(work.feature, weights.speaking, weights.speaking_bias, speaking)
    speaking[0] = sigmoid(speaking[0])
    affine(work.feature, weights.shapes, weights.shapes_bias, motion)
    affine(work.feature, weights.phones, weights.phones_bias, phones)
    softmax(phones)
    add_product(phones, weights.from_phones, motion)
    for i in range(motion.shape[0]):
        motion[i] = sigmoid(motion[i]) * speaking[0]


@kernel
def append_features(weights: Weights, state: State, work: Work) -> None:
    """Append the features of two frames of samples to those of the last ticks, and forget the oldest tick's."""
    bands, size = weights.mel.shape[1], state.heard.shape[0]
    step = 2 * bands
    for i in range(size - step):
        state.heard[i] = state.heard[i + step]
    for number in range(2):
        at = size - step + number * bands
        extract_features(weights, work.frames[number], state.level, state.heard[at : at + bands], work)


@kernel
def extract_features(weights: Weights, frame: Float32Array, level: Float32Array, out: Float32Array, work: Work) -> None:
    """Turn a frame of samples [400] into features [80], and move the running level on."""
    bins, spectrum, bands = weights.mel.shape[0], work.spectrum, work.bands
    for i in range(frame.shape[0]):
        if not math.isfinite(frame[i]):
            frame[i] = 0
        frame[i] = min(max(frame[i], np.float32(-1)), np.float32(1))
    spectrum[:] = 0
    add_product(frame, weights.fourier, spectrum)
    for i in range(bins):
        spectrum[i] = spectrum[i] * spectrum[i] + spectrum[bins + i] * spectrum[bins + i]
    bands[:] = 0
    add_product(spectrum[:bins], weights.mel, bands)
    level[0] = level_step(level[0], bands)
    normalise(level[0], bands, out)


@kernel
def recur(weights: Weights, x: Float32Array, h: Float32Array, work: Work) -> None:
    """Move h [memory] on by x, in place: a gated recurrent unit (Cho et al. 2014)."""
    size, given, kept = h.shape[0], work.given, work.kept
    affine(x, weights.gru, weights.gru_bias, given)
    affine(h, weights.gru_hidden, weights.gru_hidden_bias, kept)
    for i in range(size):
        reset = sigmoid(given[i] + kept[i])
        update = sigmoid(given[size + i] + kept[size + i])
        new = math.tanh(given[2 * size + i] + reset * kept[2 * size + i])
        h[i] = (1 - update) * new + update * h[i]


@kernel
def decode(weights: Weights, state: State, work: Work) -> None:
    """Add to the head's feature [head], in place, what the last motions say: FaceFormer's decoder."""
    x, y, query, feature, added = work.x, work.y, work.query, work.feature, work.added
    affine(state.motion, weights.motion_encoder, weights.motion_encoder_bias, x)
    for i in range(x.shape[0]):
        x[i] += weights.decoder_style[i]
    slot = state.ticks[0] % state.keys.shape[0]
    affine(x, weights.key, weights.key_bias, state.keys[slot])
    affine(x, weights.value, weights.value_bias, state.values[slot])
    affine(x, weights.query, weights.query_bias, query)
    attend(weights.slopes, slot, state, work)
    affine(y, weights.mixed, weights.mixed_bias, query)
    add_and_norm(x, query, weights.norm_scale[0], weights.norm_shift[0])
    affine(feature, weights.across, weights.across_bias, y)
    add_and_norm(x, y, weights.norm_scale[1], weights.norm_shift[1])
    affine(x, weights.up, weights.up_bias, work.wide)
    relu(work.wide)
    affine(work.wide, weights.down, weights.down_bias, y)
    add_and_norm(x, y, weights.norm_scale[2], weights.norm_shift[2])
    affine(x, weights.out, weights.out_bias, added)
    for i in range(feature.shape[0]):
        feature[i] = max(feature[i] + added[i], np.float32(0))


@kernel
def attend(slopes: Float32Array, slot: int, state: State, work: Work) -> None:
    """Write to ``work.y`` the attention of ``work.query`` over the ring, whose newest row is ``slot``.

    The bias falls with distance in time.
    """
    keys, values, query, scores, out = state.keys, state.values, work.query, work.scores, work.y
    size, history, filled = query.shape[0] // slopes.shape[0], keys.shape[0], min(state.ticks[0] + 1, keys.shape[0])
    scale = 1.0 / math.sqrt(size)
    for head in range(slopes.shape[0]):
        part = slice(head * size, (head + 1) * size)
        highest = -1e30
        for ago in range(filled):
            total = 0.0
            row = keys[(slot - ago) % history, part]
            for i in range(size):
                total += query[head * size + i] * row[i]
            scores[ago] = total * scale - slopes[head] * ago
            highest = max(highest, scores[ago])
        weight = 0.0
        for ago in range(filled):
            scores[ago] = math.exp(scores[ago] - highest)
            weight += scores[ago]
        out[part] = 0
        for ago in range(filled):
            share, row = scores[ago] / weight, values[(slot - ago) % history, part]
            for i in range(size):
                out[head * size + i] += share * row[i]


@kernel
def add_and_norm(x: Float32Array, y: Float32Array, scale: Float32Array, shift: Float32Array) -> None:
    """x + y with mean 0 and variance 1, scaled and shifted, into x."""
    mean, square = 0.0, 0.0
    for i in range(x.shape[0]):
        x[i] += y[i]
        mean += x[i]
    mean /= x.shape[0]
    for i in range(x.shape[0]):
        square += (x[i] - mean) * (x[i] - mean)
    inverse = 1.0 / math.sqrt(square / x.shape[0] + 1e-5)
    for i in range(x.shape[0]):
        x[i] = (x[i] - mean) * inverse * scale[i] + shift[i]


@kernel
def affine(x: Float32Array, w: Float32Array, b: Float32Array, out: Float32Array) -> None:
    """out [n] = x [m] w [m, n] + b."""
    out[:] = b
    add_product(x, w, out)


@kernel
def add_product(x: Float32Array, w: Float32Array, out: Float32Array) -> None:
    """out [n] += x [m] w [m, n]. Goes row by row, so that the inner loop becomes vector instructions."""
    for i in range(x.shape[0]):
        factor = x[i]
        if factor != 0:
            row = w[i]
            for j in range(out.shape[0]):
                out[j] += factor * row[j]


@kernel
def softmax(x: Float32Array) -> None:
    """e^x, divided so that the sum is one, in place."""
    highest, total = x.max(), 0.0
    for i in range(x.shape[0]):
        x[i] = math.exp(x[i] - highest)
        total += x[i]
    for i in range(x.shape[0]):
        x[i] /= total


@kernel
def relu(x: Float32Array) -> None:
    """Negative numbers become zero, in place."""
    for i in range(x.shape[0]):
        x[i] = max(x[i], np.float32(0))


@kernel
def sigmoid(x: float) -> float:
    """1 / (1 + e^-x), without overflow."""
    return 1.0 / (1.0 + math.exp(-max(min(x, 60.0), -60.0)))
