"""Blendshapes for Attention Mesh: MediaPipe's blendshape network, corrected by what the mesh network saw.

The blendshape network was trained on FaceMesh V2's landmarks and reads Attention Mesh's with an error of its own for
each face. A small network that we trained takes away a part of that: it reads the codes of which Attention Mesh makes
the landmarks and the shapes that the blendshape network makes of these, and moves each shape's logit.
docs/attention-blendshapes.md says how it was trained and what it reaches.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from facewire.models.errors import ModelError
from facewire.models.face.blendshapes import ARKIT_NAMES, BlendshapeNetwork
from facewire.models.face.jit import kernel
from facewire.models.face.region import Float32Array

WEIGHTS = Path(__file__).with_name("attention_blendshapes.npz")
SHAPES = len(ARKIT_NAMES) - 1
"""All but tongueOut, which no network here knows."""
LEAST = 1e-4
"""Shapes are kept this far from 0 and 1 before their logit is taken."""


class CorrectedBlendshapes:
    """A ``BlendshapeStage`` for Attention Mesh. Carries nothing over; no delay."""

    def __init__(self, plain: BlendshapeNetwork, codes: Sequence[Float32Array], weights: Path = WEIGHTS) -> None:
        """Correct ``plain`` by the codes: arrays that the mesh network fills before each ``infer``.

        Raises ModelError where the weights cannot be read or do not fit the codes.
        """
        self._plain = plain
        self._codes = tuple(code.reshape(-1) for code in codes)
        inputs = SHAPES + sum(code.size for code in self._codes)
        self._first, self._second = _read(weights, inputs)
        self._inputs = np.ones(inputs + 1, np.float32)
        self._outputs = np.zeros(self._first.shape[1], np.float32)

    def infer(self, landmarks: Float32Array, head: Float32Array, blendshapes: Float32Array) -> None:
        """See ``BlendshapeStage``."""
        self._plain.infer(landmarks, head, blendshapes)
        start = SHAPES
        for code in self._codes:
            self._inputs[start : start + code.size] = code
            start += code.size
        correct(self._inputs, self._first, self._second, self._outputs, blendshapes)


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
def correct(
    inputs: Float32Array, first: Float32Array, second: Float32Array, outputs: Float32Array, blendshapes: Float32Array
) -> None:
    """Correct blendshapes [52] in place.

    ``inputs`` has room for their logits, then the codes, then a one; ``outputs`` has room for what the first matrix
    gives: what is added to the logits directly, then the hidden layer.
    """
    shapes = second.shape[1]
    for j in range(shapes):
        value = min(max(blendshapes[j], np.float32(LEAST)), np.float32(1.0 - LEAST))
        inputs[j] = math.log(value / (np.float32(1) - value))
    outputs[:] = 0
    multiply(inputs, first, outputs)
    hidden = outputs[shapes:]
    for j in range(hidden.shape[0]):
        hidden[j] *= np.float32(0.5) * (np.float32(1) + math.erf(hidden[j] * np.float32(math.sqrt(0.5))))  # GELU
    multiply(hidden, second, outputs[:shapes])
    for j in range(shapes):
        logit = inputs[j] + outputs[j] + second[hidden.shape[0], j]
        blendshapes[j] = np.float32(1) / (np.float32(1) + math.exp(-min(max(logit, np.float32(-60)), np.float32(60))))


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
