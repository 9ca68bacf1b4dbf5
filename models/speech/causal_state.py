"""What a step of our causal network reads and writes: its weights, what a stream keeps, and buffers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from facewire.bridge.shared.arkit import BLENDSHAPES
from facewire.bridge.shared.arrays import Float32Array
from facewire.models.speech import features


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

    def misfit(self) -> str | None:
        """Return the name of the first array that does not fit the others; kernels check no index."""
        wanted = self._shapes()
        return next((name for name in wanted if getattr(self, name).shape != wanted[name]), None)

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes that the sizes of a few of the arrays ask of all."""
        step, shapes, bins = features.FRAMES_PER_TICK * features.BANDS, len(BLENDSHAPES), features.BINS
        kernel, width, memory = max(len(self.input) // step, 1), len(self.input_bias), len(self.gru_hidden)
        head, phones, d = len(self.hidden_bias), len(self.phones_bias), len(self.query_bias)
        # As many whole heads of attention as there are slopes.
        slopes = next(count for count in (len(self.slopes), 1) if count and d % count == 0)
        layers: dict[str, tuple[int, ...]] = {
            "input": (kernel * step, width), "middle": (width, width), "gru": (width, 3 * memory),
            "gru_hidden": (memory, 3 * memory), "hidden": (memory + width, head), "shapes": (head, shapes),
            "phones": (head, phones), "speaking": (head, 1), "motion_encoder": (shapes, d), "query": (d, d),
            "key": (d, d), "value": (d, d), "mixed": (d, d), "across": (head, d), "up": (d, 2 * d),
            "down": (2 * d, d), "out": (d, head),
        }  # fmt: skip
        biases = {f"{name}_bias": shape[1:] for name, shape in layers.items()}
        return layers | biases | {
            "fourier": (features.WINDOW, 2 * bins), "mel": (bins, features.BANDS), "head_style": (head,),
            "from_phones": (phones, shapes), "decoder_style": (d,), "norm_scale": (3, d), "norm_shift": (3, d),
            "slopes": (slopes,), "history": (1,), "scaled": (shapes,),
        }  # fmt: skip


class State(NamedTuple):
    """Everything that a stream keeps from one step to the next; all arrays are written in place."""

    level: Float32Array  # [1] the running gain's
    heard: Float32Array  # [kernel x 160] features of the last ticks, oldest first
    memory: Float32Array  # [memory] of the recurrent layer
    motion: Float32Array  # [52] that came out last, before expressiveness
    keys: Float32Array  # [history, d] a ring
    values: Float32Array  # [history, d]
    ticks: NDArray[np.int64]  # [1] so far

    @classmethod
    def of(cls, weights: Weights) -> State:
        """Return the state of a stream that has heard nothing."""
        ring = (int(weights.history[0]), len(weights.query_bias))
        state = cls(
            level=np.zeros(1, np.float32),
            heard=np.zeros(len(weights.input), np.float32),
            memory=np.zeros(len(weights.gru_hidden), np.float32),
            motion=np.zeros(len(weights.shapes_bias), np.float32),
            keys=np.zeros(ring, np.float32),
            values=np.zeros(ring, np.float32),
            ticks=np.zeros(1, np.int64),
        )
        state.clear()
        return state

    def clear(self) -> None:
        """Forget the stream."""
        for array in self:
            array.fill(0)
        self.level[0] = features.LEVEL_START
        self.heard.fill(features.LOWEST_FEATURE)


class Work(NamedTuple):
    """Buffers of a step; ``frames`` is what goes in, ``speaking`` comes out beside the state's motion."""

    frames: Float32Array  # [2, 400] samples
    speaking: Float32Array  # [1] 0..1
    spectrum: Float32Array  # [514] real parts, then imaginary parts
    bands: Float32Array  # [80]
    both: Float32Array  # [memory + width] for the heads: the recurrent layer's, then the convolution's
    middle: Float32Array  # [width]
    given: Float32Array  # [3 x memory] gates of the recurrent layer, from its input
    kept: Float32Array  # [3 x memory] from what it remembers
    feature: Float32Array  # [head]
    phones: Float32Array  # [40]
    x: Float32Array  # [d] what goes through the decoder
    y: Float32Array  # [d]
    query: Float32Array  # [d]
    wide: Float32Array  # [2 d]
    scores: Float32Array  # [history]
    added: Float32Array  # [head] what the decoder adds to the feature

    @classmethod
    def of(cls, weights: Weights) -> Work:
        """Return buffers of the sizes that these weights have."""
        memory, width, head = len(weights.gru_hidden), len(weights.input_bias), len(weights.hidden_bias)
        d = len(weights.query_bias)
        sizes = {
            "speaking": 1, "spectrum": 2 * features.BINS, "bands": features.BANDS, "both": memory + width,
            "middle": width, "given": 3 * memory, "kept": 3 * memory, "feature": head,
            "phones": len(weights.phones_bias), "x": d, "y": d, "query": d, "wide": 2 * d,
            "scores": int(weights.history[0]), "added": head,
        }  # fmt: skip
        arrays = {name: np.zeros(size, np.float32) for name, size in sizes.items()}
        return cls(frames=np.zeros((features.FRAMES_PER_TICK, features.WINDOW), np.float32), **arrays)
