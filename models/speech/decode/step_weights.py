"""The arrays of a published decoder, folded for steps, and the file that keeps them without torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from facewire.bridge.shared.arrays import Float32Array
from facewire.models.errors import ModelError
from facewire.models.npz import Npz

MOST_BYTES = 1 << 30
"""Of a decoder; BIWI's has some 80 MB."""

FORMAT = 1


class StepWeights(NamedTuple):
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
    """[n, d]: ``vertice_map_r``, or what was asked for in its place."""
    motion_bias: Float32Array
    features_per_frame: int = 1

    @property
    def period(self) -> int:
        """Frames after which the positional encoding repeats and the bias falls by one slope."""
        return len(self.position)

    def save(self, path: Path | BinaryIO) -> None:
        """Write an .npz, which is read again without torch."""
        np.savez(path, format=FORMAT, **self._asdict())

    @classmethod
    def read(cls, path: Path) -> StepWeights:
        """Read what ``save`` wrote.

        Raises:
            ModelError: it is anything else.
        """
        try:
            with Npz(path, MOST_BYTES) as data:
                if int(data["format"]) != FORMAT:
                    raise ValueError("another format")
                arrays = {name: data[name] for name in cls._fields if name != "features_per_frame"}
                return cls(**arrays, features_per_frame=int(data["features_per_frame"]))
        except (OSError, KeyError, ValueError, TypeError) as error:
            raise ModelError(f"{path} holds no decoder of this version: convert the checkpoint again") from error


def fold(state: Mapping[str, Float32Array], *, period: int, features_per_frame: int = 1) -> StepWeights:
    """Step weights from a decoder's arrays under the published names.

    Raises:
        ModelError: an array has a wrong shape, or the period is another.
    """
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
    """Return the first ``period`` rows of an encoding [1, frames, d].

    Raises:
        ModelError: it repeats at another period.
    """
    if period < 1 or smallest_period(encoding) != period:
        raise ModelError(
            f"the positional encoding does not repeat every {period} frames: give the period it was trained with"
        )
    return np.ascontiguousarray(encoding.reshape(-1, encoding.shape[-1])[:period], np.float32)


def smallest_period(encoding: Float32Array) -> int:
    """After how many frames an encoding [1, frames, d] repeats; 0 if it does not."""
    rows = encoding.reshape(-1, encoding.shape[-1])
    for period in range(1, len(rows)):
        if np.allclose(rows[period], rows[0], atol=1e-4) and np.allclose(rows[period:], rows[:-period], atol=1e-4):
            return period
    return 0
