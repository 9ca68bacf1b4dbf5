"""FaceFormer's decoder, one frame at a time and without end: what a live run computes, without torch.

The published decoder (Fan et al., "FaceFormer", 2022, section 3.3) computes the whole prefix again for each frame.
None of that is needed. Under a causal mask a past frame's key and value never change, so they are kept; attention to
audio is aligned (section 3.3.2), so a frame's own features suffice; and the way of the last motion back in, the motion
encoder after the motion decoder, is one linear map after another, so it folds into one matrix [d, d].

The cache is a ring: the newest ``window`` frames are attended to. While the stream is not longer than the window the
result is the full prefix's; docs/speech.md has what a finite window costs after that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from facewire.bridge.shared.arrays import Float32Array
from facewire.models.errors import ModelError
from facewire.models.jit import summing_kernel

HEADS = 4
WINDOW = 600
"""As many frames as the published decoder can take: 20 s at 30 a second."""
FORMAT = 1


@dataclass(frozen=True, slots=True)
class StepWeights:
    """All that a step needs, float32. d is the width, n the outputs; matrices are [out, in]."""

    audio: Float32Array
    """[d, a]: ``audio_feature_map``."""
    audio_bias: Float32Array
    styles: Float32Array
    """[subjects, d]"""
    position: Float32Array
    """[period, d]: the periodic positional encoding."""
    feedback: Float32Array
    """[d, d]: ``vertice_map`` after ``vertice_map_r``."""
    feedback_bias: Float32Array
    self_in: Float32Array
    """[3 d, d]: query, key and value of the attention to past motion."""
    self_in_bias: Float32Array
    self_out: Float32Array
    self_out_bias: Float32Array
    cross_in: Float32Array
    """[3 d, d]: query of the motion, key and value of the audio."""
    cross_in_bias: Float32Array
    cross_out: Float32Array
    cross_out_bias: Float32Array
    up: Float32Array
    """[2 d, d]"""
    up_bias: Float32Array
    down: Float32Array
    down_bias: Float32Array
    norms: Float32Array
    """[3, 2, d]: weight and bias of each layer norm."""
    motion: Float32Array
    """[n, d]: ``vertice_map_r``."""
    motion_bias: Float32Array
    features_per_frame: int = 1

    @property
    def period(self) -> int:
        """Frames after which the positional encoding repeats and the bias falls by one slope."""
        return len(self.position)

    def save(self, path: Path) -> None:
        """Writes an .npz, which is read again without torch."""
        np.savez(path, format=FORMAT, **{field.name: getattr(self, field.name) for field in fields(self)})

    @classmethod
    def read(cls, path: Path) -> StepWeights:
        """Reads what ``save`` wrote. Raises ModelError where it is anything else."""
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as data:
                if int(data["format"]) != FORMAT:
                    raise ValueError("another format")
                arrays = {f.name: data[f.name] for f in fields(cls) if f.name != "features_per_frame"}
                return cls(**arrays, features_per_frame=int(data["features_per_frame"]))
        except (OSError, EOFError, KeyError, ValueError, TypeError, BadZipFile) as error:
            raise ModelError(f"{path} holds no decoder of this version: convert the checkpoint again") from error


def fold(state: Mapping[str, Float32Array], *, period: int, features_per_frame: int = 1) -> StepWeights:
    """Step weights from a decoder's arrays under the published names. Raises ModelError for a wrong shape or period."""
    layer = "transformer_decoder.layers.0."

    def get(name: str) -> Float32Array:
        # Always a copy in NumPy's own memory: it asks for huge pages, without which BIWI's 36 MB take far longer.
        return np.array(state[name], np.float32, order="C")

    motion, motion_bias = get("vertice_map_r.weight"), get("vertice_map_r.bias")
    encoder, encoder_bias = get("vertice_map.weight"), get("vertice_map.bias")
    wide = encoder.astype(np.float64)
    norms = [np.stack([get(f"{layer}norm{i}.weight"), get(f"{layer}norm{i}.bias")]) for i in (1, 2, 3)]
    return StepWeights(
        audio=get("audio_feature_map.weight"),
        audio_bias=get("audio_feature_map.bias"),
        styles=np.ascontiguousarray(get("obj_vector.weight").T),
        position=one_period(get("PPE.pe"), period),
        feedback=(wide @ motion.astype(np.float64)).astype(np.float32),
        feedback_bias=(wide @ motion_bias.astype(np.float64) + encoder_bias).astype(np.float32),
        self_in=get(f"{layer}self_attn.in_proj_weight"),
        self_in_bias=get(f"{layer}self_attn.in_proj_bias"),
        self_out=get(f"{layer}self_attn.out_proj.weight"),
        self_out_bias=get(f"{layer}self_attn.out_proj.bias"),
        cross_in=get(f"{layer}multihead_attn.in_proj_weight"),
        cross_in_bias=get(f"{layer}multihead_attn.in_proj_bias"),
        cross_out=get(f"{layer}multihead_attn.out_proj.weight"),
        cross_out_bias=get(f"{layer}multihead_attn.out_proj.bias"),
        up=get(f"{layer}linear1.weight"),
        up_bias=get(f"{layer}linear1.bias"),
        down=get(f"{layer}linear2.weight"),
        down_bias=get(f"{layer}linear2.bias"),
        norms=np.stack(norms),
        motion=motion,
        motion_bias=motion_bias,
        features_per_frame=features_per_frame,
    )


def one_period(encoding: Float32Array, period: int) -> Float32Array:
    """The first ``period`` rows of an encoding [1, frames, d]. Raises ModelError where it repeats at another period."""
    if period < 1 or smallest_period(encoding) != period:
        raise ModelError(
            f"the positional encoding does not repeat every {period} frames: give the period it was trained with"
        )
    return np.ascontiguousarray(encoding.reshape(-1, encoding.shape[-1])[:period], np.float32)


def smallest_period(encoding: Float32Array) -> int:
    """After how many frames an encoding [1, frames, d] repeats; 0 where it does not."""
    rows = encoding.reshape(-1, encoding.shape[-1])
    for period in range(1, len(rows)):
        if np.allclose(rows[period], rows[0], atol=1e-4) and np.allclose(rows[period:], rows[:-period], atol=1e-4):
            return period
    return 0


def slopes(heads: int = HEADS) -> Float32Array:
    """How much each head's bias falls with a period: 2^-2, 2^-4, 2^-6, 2^-8 for four heads (section 3.3.1)."""
    return (2.0 ** (-8.0 * np.arange(1, heads + 1) / heads)).astype(np.float32)


@dataclass(slots=True)
class StepState:
    """What a stream carries over. Its size never changes."""

    keys: Float32Array
    """[d, window], a ring of columns."""
    values: Float32Array
    hidden: Float32Array
    """[d]: what the last motion was decoded from."""
    frame: npt.NDArray[np.int64]
    """[1]: how many frames there were."""
    feature: Float32Array
    """[features_per_frame, a]: the last audio that was all numbers."""


class StepDecoder:
    """Decodes a stream. Delay: none; a frame's motion needs the frame's own audio and the past.

    ``output`` replaces the motion decoder's [n, d] and [n], for whoever wants blendshapes or a few vertices instead of
    the whole mesh: any linear map of the motion folds into it.
    """

    def __init__(
        self,
        weights: StepWeights,
        *,
        window: int = WINDOW,
        output: tuple[Float32Array, Float32Array] | None = None,
    ) -> None:
        """Allocates all that steps use, and compiles."""
        if window < 1:
            raise ModelError(f"a window of {window} frames holds nothing: give 1 or more")
        self.weights, self.window = weights, window
        w = weights
        self._weights = tuple(getattr(w, field.name) for field in fields(w))[:-3]
        motion, bias = output if output is not None else (w.motion, w.motion_bias)
        self._output = np.ascontiguousarray(motion, np.float32), np.ascontiguousarray(bias, np.float32)
        d = self.width = w.self_out.shape[0]
        self._slopes = slopes()
        self._scratch = np.zeros((7, d), np.float32)
        self._heard = tuple(np.zeros((d, w.features_per_frame), np.float32) for _ in range(2))
        self._scores = np.zeros((HEADS, max(window, w.features_per_frame)), np.float32)
        self._motion = np.zeros(len(self._output[1]), np.float32)
        self.step(self.new_state(), np.zeros((w.features_per_frame, w.audio.shape[1]), np.float32), 0)

    def new_state(self) -> StepState:
        """The state before the first frame."""
        w = self.weights
        cache = (self.width, self.window)
        return StepState(
            np.zeros(cache, np.float32),
            np.zeros(cache, np.float32),
            np.zeros(self.width, np.float32),
            np.zeros(1, np.int64),
            np.zeros((w.features_per_frame, w.audio.shape[1]), np.float32),
        )

    def step(self, state: StepState, audio_feature: Float32Array, style: int) -> Float32Array:
        """The next frame's motion [n] from its audio [features_per_frame, a] (or [a]), as it leaves wav2vec 2.0.

        Returns this decoder's own array, valid until its next step. Audio that is not a number is taken for what came
        before it. Raises ModelError for a style that the checkpoint does not have, or audio of another shape.
        """
        if not 0 <= style < len(self.weights.styles):
            raise ModelError(missing_style(style, len(self.weights.styles)))
        if audio_feature.size != state.feature.size:
            raise ModelError(f"audio features of shape {audio_feature.shape} do not fit {state.feature.shape}")
        feature = audio_feature.reshape(state.feature.shape)
        hear(feature, state.feature)
        _step(
            state.keys,
            state.values,
            state.hidden,
            state.frame,
            state.feature,
            style,
            self._weights,
            self._slopes,
            self._scratch,
            self._scores,
            *self._heard,
        )
        affine(self._output[0], self._output[1], state.hidden, self._motion)
        return self._motion


def missing_style(style: object, count: int) -> str:
    """What to say of a style that is not there."""
    return f"there is no style {style}: this checkpoint has {count}, 0 to {count - 1}"


@summing_kernel
def hear(feature: Float32Array, kept: Float32Array) -> None:
    """Copies a frame's audio, unless some of it is not a number."""
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
def add_and_normalise(x: Float32Array, y: Float32Array, norm: Any) -> None:
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


@summing_kernel
def attend(
    query: Float32Array,
    keys: Float32Array,
    values: Float32Array,
    count: int,
    newest: int,
    period: int,
    slopes: Float32Array,
    scores: Float32Array,
    out: Float32Array,
) -> None:
    """Attention of one query [d] to the first ``count`` columns of keys and values [d, window].

    They are a ring in time, its newest column ``newest``. Head h's bias falls by ``slopes[h]`` for each whole
    ``period`` that a key is back; a period of 0 means no bias. The inner loops run along time.
    """
    d, window = keys.shape
    size = d // slopes.shape[0]
    scale = np.float32(1.0) / np.sqrt(np.float32(size))
    for head in range(slopes.shape[0]):
        row = scores[head, :count]
        for place in range(count):
            back = newest - place if place <= newest else newest - place + window
            row[place] = -slopes[head] * np.float32(back // period) if period > 0 else np.float32(0.0)
        for i in range(head * size, (head + 1) * size):
            weight = query[i] * scale
            for place in range(count):
                row[place] += weight * keys[i, place]
        highest = row[0]
        for place in range(count):
            highest = max(highest, row[place])
        total = np.float32(0.0)
        for place in range(count):
            row[place] = np.exp(row[place] - highest)
            total += row[place]
        for i in range(head * size, (head + 1) * size):
            mean = np.float32(0.0)
            for place in range(count):
                mean += row[place] * values[i, place]
            out[i] = mean / total


@summing_kernel
def _step(
    keys: Float32Array,
    values: Float32Array,
    hidden: Float32Array,
    frame: npt.NDArray[np.int64],
    feature: Float32Array,
    style: int,
    weights: Any,
    slopes: Float32Array,
    scratch: Float32Array,
    scores: Float32Array,
    heard_keys: Float32Array,
    heard_values: Float32Array,
) -> None:
    """One frame; ``hidden`` becomes what its motion is decoded from. The order is that of a post-norm decoder layer."""
    (audio, audio_bias, styles, position, feedback, feedback_bias, self_in, self_in_bias, self_out, self_out_bias) = (
        weights[:10]
    )
    (cross_in, cross_in_bias, cross_out, cross_out_bias, up, up_bias, down, down_bias, norms) = weights[10:]
    d, window, t = hidden.shape[0], keys.shape[1], frame[0]
    x, mixed, added, query, wide = scratch[0], scratch[1], scratch[2], scratch[3], scratch[4:6].reshape(-1)
    # What goes in: style, the last motion encoded, and where in the period this is (section 3.2).
    if t > 0:
        affine(feedback, feedback_bias, hidden, x)
    for i in range(d):
        x[i] = (x[i] if t > 0 else np.float32(0.0)) + styles[style, i] + position[t % position.shape[0], i]
    # Biased causal self-attention (section 3.3.1).
    newest = t % window
    affine(self_in[:d], self_in_bias[:d], x, query)
    affine(self_in[d : 2 * d], self_in_bias[d : 2 * d], x, mixed)
    keys[:, newest] = mixed
    affine(self_in[2 * d :], self_in_bias[2 * d :], x, mixed)
    values[:, newest] = mixed
    attend(query, keys, values, min(t + 1, window), newest, position.shape[0], slopes, scores, mixed)
    affine(self_out, self_out_bias, mixed, added)
    add_and_normalise(x, added, norms[0])
    # Biased cross-modal attention (section 3.3.2): only to this frame's own audio.
    count = feature.shape[0]
    heard = scratch[6]
    for k in range(count):
        affine(audio, audio_bias, feature[k], heard)
        affine(cross_in[d : 2 * d], cross_in_bias[d : 2 * d], heard, mixed)
        heard_keys[:, k] = mixed
        affine(cross_in[2 * d :], cross_in_bias[2 * d :], heard, mixed)
        heard_values[:, k] = mixed
    affine(cross_in[:d], cross_in_bias[:d], x, query)
    attend(query, heard_keys, heard_values, count, count - 1, 0, slopes, scores, mixed)
    affine(cross_out, cross_out_bias, mixed, added)
    add_and_normalise(x, added, norms[1])
    # Feed-forward.
    affine(up, up_bias, x, wide)
    for i in range(2 * d):
        wide[i] = max(wide[i], np.float32(0.0))
    affine(down, down_bias, wide, added)
    add_and_normalise(x, added, norms[2])
    for i in range(d):
        hidden[i] = x[i]
    frame[0] = t + 1
