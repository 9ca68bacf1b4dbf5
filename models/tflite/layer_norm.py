"""Finds layer normalisation where TensorFlow Lite has written it out in nine small steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from facewire.models.tflite.reader import Operator
from facewire.models.tflite.values import Values


@dataclass(frozen=True, slots=True)
class LayerNorm:
    """(source − mean) / √(variance + epsilon) · scale, over the last axis."""

    source: int
    scale: np.ndarray[Any, Any]
    epsilon: float

    def apply(self, values: Values, name: str) -> str:
        inputs = [name, values.graph.constant(self.scale)]
        return values.graph.add("LayerNormalization", inputs, axis=-1, epsilon=self.epsilon)


def match_layer_norm(values: Values, op: Operator) -> LayerNorm | None:
    """Match the normalisation that ends in this ADD: source·g + (−mean)·g with g = rsqrt(variance + epsilon)·scale."""
    try:
        scaled, shifted = (_producer(values, index, "MUL") for index in op.inputs)
        source, gain = scaled.inputs
        negated, same_gain = shifted.inputs
        inverse, scale = _producer(values, gain, "MUL").inputs
        variance, epsilon = _producer(values, _producer(values, inverse, "RSQRT").inputs[0], "ADD").inputs
        spread = _producer(values, _producer(values, variance, "MEAN").inputs[0], "SQUARED_DIFFERENCE")
        mean = _producer(values, negated, "NEG").inputs[0]
        centred = _producer(values, mean, "MEAN").inputs[0]
    except LookupError:
        return None
    if same_gain != gain or centred != source or spread.inputs != [source, mean]:
        return None
    if epsilon not in values.known or scale not in values.known or values.known[scale].ndim != 1:
        return None
    return LayerNorm(source, values.known[scale], float(values.known[epsilon]))


def _producer(values: Values, index: int, code: str) -> Operator:
    op = values.producers.get(index)
    if op is None or op.code != code:
        raise LookupError(index)
    return op
