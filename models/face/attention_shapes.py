"""Blendshapes for Attention Mesh, straight from what the mesh network saw.

MediaPipe's blendshape network was trained on FaceMesh V2's landmarks and reads Attention Mesh's with an error of its
own for each face, at a third of Attention Mesh's own cost. A small network that we trained takes its place: it reads
the codes of which Attention Mesh makes its landmarks, and gives what the blendshape network would make of V2's.
docs/attention-blendshapes.md says how it was trained and what it reaches.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from facewire.bridge.shared.arkit import BLENDSHAPES
from facewire.bridge.shared.arrays import Float32Array
from facewire.models.errors import ModelError
from facewire.models.jit import kernel

WEIGHTS = Path(__file__).with_name("attention_blendshapes.npz")
SHAPES = len(BLENDSHAPES) - 1
"""All but tongueOut, which no network here knows."""


class AttentionBlendshapes:
    """A ``BlendshapeStage`` for Attention Mesh. Carries nothing over; no delay."""

    def __init__(self, codes: Sequence[Float32Array], weights: Path = WEIGHTS) -> None:
        """Read the codes: arrays that the mesh network fills before each ``infer``.

        Raises:
            ModelError: the weights cannot be read or do not fit the codes.
        """
        self._codes = tuple(code.reshape(-1) for code in codes)
        self._places, start = [], 0
        for code in self._codes:
            self._places.append(slice(start, start + code.size))
            start += code.size
        self._first, self._second = _read(weights, start)
        self._inputs = np.ones(start + 1, np.float32)
        self._outputs = np.zeros(self._first.shape[1], np.float32)

    def infer(self, landmarks: Float32Array, head: Float32Array, blendshapes: Float32Array) -> None:  # noqa: ARG002
        """See ``BlendshapeStage``; the landmarks are not looked at."""
        for place, code in zip(self._places, self._codes, strict=True):
            self._inputs[place] = code
        shapes_of(self._inputs, self._first, self._second, self._outputs, blendshapes)


def _read(path: Path, inputs: int) -> tuple[Float32Array, Float32Array]:
    """Return the matrices [inputs + 1, shapes + hidden] and [hidden + 1, shapes]; their last rows are biases."""
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            direct, hidden, second = (file[name].astype(np.float32) for name in ("direct", "first", "second"))
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise ModelError(f"cannot read {path}: install facewire again") from error
    rows = inputs + 1
    if direct.shape != (rows, SHAPES) or len(hidden) != rows or second.shape != (hidden.shape[1] + 1, SHAPES):
        raise ModelError(f"{path} does not fit this version's mesh network: install facewire again")
    return np.hstack([direct, hidden]), second


@kernel
def shapes_of(
    inputs: Float32Array, first: Float32Array, second: Float32Array, outputs: Float32Array, blendshapes: Float32Array
) -> None:
    """Write blendshapes [52] from the codes and a one behind them; tongueOut is 0.

    ``outputs`` has room for what the first matrix gives: the logits' direct part, then the hidden layer.
    """
    shapes = second.shape[1]
    outputs[:] = 0
    multiply(inputs, first, outputs)
    hidden = outputs[shapes:]
    for j in range(hidden.shape[0]):
        hidden[j] *= np.float32(0.5) * (np.float32(1) + math.erf(hidden[j] * np.float32(math.sqrt(0.5))))  # GELU
    multiply(hidden, second, outputs[:shapes])
    for j in range(shapes):
        logit = outputs[j] + second[hidden.shape[0], j]
        blendshapes[j] = np.float32(1) / (np.float32(1) + math.exp(-min(max(logit, np.float32(-60)), np.float32(60))))
    blendshapes[shapes:] = 0


@kernel
def multiply(vector: Float32Array, matrix: Float32Array, result: Float32Array) -> None:
    """Add the product of a row vector and a matrix's first rows, four at a time: the result is fetched less often."""
    whole = vector.shape[0] // 4 * 4
    for i in range(0, whole, 4):
        a, b, c, d = vector[i], vector[i + 1], vector[i + 2], vector[i + 3]
        for j in range(result.shape[0]):
            result[j] += a * matrix[i, j] + b * matrix[i + 1, j] + c * matrix[i + 2, j] + d * matrix[i + 3, j]
    for i in range(whole, vector.shape[0]):
        for j in range(result.shape[0]):
            result[j] += vector[i] * matrix[i, j]
