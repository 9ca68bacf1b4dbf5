"""One tick of our causal network as compiled code: no allocation, one thread, sums always in the same order."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from facewire.bridge.shared.arrays import Float32Array
from facewire.models.jit import kernel
from facewire.models.speech.features import level_step, normalise

if TYPE_CHECKING:
    from facewire.models.speech.causal import State


class Weights(NamedTuple):
    """For one look-ahead and style. Matrices are [inputs, outputs], so that each input adds one row to the outputs."""

    fourier: Float32Array  # [400, 514]
    mel: Float32Array  # [257, 80]
    input: Float32Array  # [kernel x 160, width], oldest tick first
    input_bias: Float32Array
    middle: Float32Array  # [width, width]
    middle_bias: Float32Array
    gru: Float32Array  # [width, 3 x memory]: reset, update, new
    gru_bias: Float32Array
    gru_hidden: Float32Array  # [memory, 3 x memory]
    gru_hidden_bias: Float32Array
    hidden: Float32Array  # [memory + width, head]
    hidden_bias: Float32Array
    head_style: Float32Array  # [head]
    shapes: Float32Array  # [head, 52]
    shapes_bias: Float32Array
    phones: Float32Array  # [head, 40]
    phones_bias: Float32Array
    from_phones: Float32Array  # [40, 52]
    speaking: Float32Array  # [head, 1]
    speaking_bias: Float32Array
    motion_encoder: Float32Array  # [52, d]
    motion_encoder_bias: Float32Array
    decoder_style: Float32Array  # [d]
    query: Float32Array  # [d, d]
    query_bias: Float32Array
    key: Float32Array
    key_bias: Float32Array
    value: Float32Array
    value_bias: Float32Array
    mixed: Float32Array
    mixed_bias: Float32Array
    across: Float32Array  # [head, d], the audio's projection folded in
    across_bias: Float32Array
    norm_scale: Float32Array  # [3, d]
    norm_shift: Float32Array
    up: Float32Array  # [d, 2 d]
    up_bias: Float32Array
    down: Float32Array
    down_bias: Float32Array
    out: Float32Array  # [d, head], the gate folded in
    out_bias: Float32Array
    slopes: Float32Array  # [attention heads]
    history: Float32Array  # [1] past motions attended to
    scaled: Float32Array  # [52] 1 where expressiveness scales


@kernel
def tick(weights: Weights, state: State, frames: Float32Array, scratch: Float32Array, speaking: Float32Array) -> None:
    """Two frames of samples [2, 400] to ``state.motion`` [52] and ``speaking`` [1]. ``scratch`` holds 8192 numbers."""
    width, memory, head = weights.input_bias.shape[0], state.memory.shape[0], weights.hidden_bias.shape[0]
    hear(weights, frames, state, scratch)
    both, rest = scratch[: memory + width], scratch[memory + width :]
    x = both[memory:]
    affine(state.heard, weights.input, weights.input_bias, x)
    relu(x)
    affine(x, weights.middle, weights.middle_bias, rest[:width])
    for i in range(width):
        x[i] += max(rest[i], np.float32(0))
    recur(x, weights.gru, weights.gru_bias, weights.gru_hidden, weights.gru_hidden_bias, state.memory, rest)
    both[:memory] = state.memory
    feature, rest = rest[:head], rest[head:]
    affine(both, weights.hidden, weights.hidden_bias, feature)
    for i in range(head):
        feature[i] = max(feature[i] + weights.head_style[i], np.float32(0))
    decode(weights, state, feature, rest)
    affine(feature, weights.speaking, weights.speaking_bias, speaking)
    speaking[0] = sigmoid(speaking[0])
    affine(feature, weights.shapes, weights.shapes_bias, state.motion)
    phones = rest[: weights.phones_bias.shape[0]]
    affine(feature, weights.phones, weights.phones_bias, phones)
    softmax(phones)
    add_product(phones, weights.from_phones, state.motion)
    for i in range(state.motion.shape[0]):
        state.motion[i] = sigmoid(state.motion[i]) * speaking[0]
    state.ticks[0] += 1


@kernel
def hear(weights: Weights, frames: Float32Array, state: State, scratch: Float32Array) -> None:
    """The features of two frames of samples, appended to those of the last ticks; the oldest tick's are forgotten."""
    bands, size = weights.mel.shape[1], state.heard.shape[0]
    step = 2 * bands
    for i in range(size - step):
        state.heard[i] = state.heard[i + step]
    for number in range(2):
        at = size - step + number * bands
        listen(weights, frames[number], state.level, state.heard[at : at + bands], scratch)


@kernel
def listen(
    weights: Weights, frame: Float32Array, level: Float32Array, out: Float32Array, scratch: Float32Array
) -> None:
    """A frame of samples [400] to features [80], the running level moved on."""
    bins = weights.mel.shape[0]
    spectrum, bands = scratch[: 2 * bins], scratch[2 * bins : 2 * bins + weights.mel.shape[1]]
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
def recur(
    x: Float32Array,
    w: Float32Array,
    b: Float32Array,
    hidden: Float32Array,
    hidden_b: Float32Array,
    h: Float32Array,
    scratch: Float32Array,
) -> None:
    """A gated recurrent unit (Cho et al. 2014): h [memory] moved on by x, in place."""
    size = h.shape[0]
    given, kept = scratch[: 3 * size], scratch[3 * size : 6 * size]
    affine(x, w, b, given)
    affine(h, hidden, hidden_b, kept)
    for i in range(size):
        reset = sigmoid(given[i] + kept[i])
        update = sigmoid(given[size + i] + kept[size + i])
        new = math.tanh(given[2 * size + i] + reset * kept[2 * size + i])
        h[i] = (1 - update) * new + update * h[i]


@kernel
def decode(weights: Weights, state: State, feature: Float32Array, scratch: Float32Array) -> None:
    """FaceFormer's decoder: adds to the head's feature [head], in place, what the last motions say."""
    d, history = weights.query_bias.shape[0], state.keys.shape[0]
    x, y, query, wide = scratch[:d], scratch[d : 2 * d], scratch[2 * d : 3 * d], scratch[3 * d : 5 * d]
    scores, added = scratch[5 * d : 5 * d + history], scratch[5 * d + history : 5 * d + history + feature.shape[0]]
    affine(state.motion, weights.motion_encoder, weights.motion_encoder_bias, x)
    for i in range(d):
        x[i] += weights.decoder_style[i]
    slot, filled = state.ticks[0] % history, min(state.ticks[0] + 1, history)
    affine(x, weights.key, weights.key_bias, state.keys[slot])
    affine(x, weights.value, weights.value_bias, state.values[slot])
    affine(x, weights.query, weights.query_bias, query)
    attend(weights.slopes, state.keys, state.values, query, slot, filled, scores, y)
    affine(y, weights.mixed, weights.mixed_bias, query)
    add_and_norm(x, query, weights.norm_scale[0], weights.norm_shift[0])
    affine(feature, weights.across, weights.across_bias, y)
    add_and_norm(x, y, weights.norm_scale[1], weights.norm_shift[1])
    affine(x, weights.up, weights.up_bias, wide)
    relu(wide)
    affine(wide, weights.down, weights.down_bias, y)
    add_and_norm(x, y, weights.norm_scale[2], weights.norm_shift[2])
    affine(x, weights.out, weights.out_bias, added)
    for i in range(feature.shape[0]):
        feature[i] = max(feature[i] + added[i], np.float32(0))


@kernel
def attend(
    slopes: Float32Array,
    keys: Float32Array,
    values: Float32Array,
    query: Float32Array,
    slot: int,
    filled: int,
    scores: Float32Array,
    out: Float32Array,
) -> None:
    """Biased attention over the ring; ``slot`` is the newest, the bias falls with distance in time."""
    size, history = query.shape[0] // slopes.shape[0], keys.shape[0]
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
