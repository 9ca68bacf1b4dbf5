"""FLAME's parameters of one moment as one array with named parts, and the filter of such arrays."""

from __future__ import annotations

from typing import Final

import numpy as np

from facewire.bridge.shared.arrays import Float32Array
from facewire.bridge.wire.frame import FlameParameters
from facewire.runtime.face.filter_config import FilterConfig
from facewire.runtime.face.filters import FIRST_NOISE, MIN_STEP_S, LineState, smooth_lines
from facewire.runtime.tools.quantize import quantize

STD_UNIT, RAD_UNIT = 1.2, 0.25
"""What counts for the filter as much as a shape that goes from 0 to 1."""
MOST_UNITS = 4.0
TURNS = 9
"""Jaw [3] and eyes [6], which follow the expression in all arrays here."""


class FlameVector:
    """Parameters of one moment. The named arrays are views of ``values``: write into them, never replace them."""

    __slots__ = ("expression", "eyes", "jaw", "values")

    def __init__(self, expressions: int, values: Float32Array | None = None) -> None:
        """Begin with ``values`` [e + 9], or with zeros."""
        self.values: Final[Float32Array] = np.zeros(expressions + TURNS, np.float32) if values is None else values
        """[e + 9], the next three one after the other."""
        self.expression: Final[Float32Array] = self.values[:expressions]
        """[e], in standard deviations of the model."""
        self.jaw: Final[Float32Array] = self.values[expressions : expressions + 3]
        """[3], axis-angle in radians."""
        self.eyes: Final[Float32Array] = self.values[expressions + 3 :]
        """[6], left and right, axis-angle in radians."""

    def put(self, expression: Float32Array, jaw: Float32Array, eyes: Float32Array) -> None:
        """Take the parts; of an ``expression`` that is longer only the components that are streamed."""
        self.expression[:], self.jaw[:], self.eyes[:] = expression[: len(self.expression)], jaw, eyes

    def parameters(self) -> FlameParameters:
        """Return them as a frame has them, quantized, in new arrays."""
        own = FlameVector(len(self.expression), quantize(self.values))
        return FlameParameters(own.expression, own.jaw, np.zeros(3, np.float32), own.eyes)


class FlameFilter:
    """The mouth's One-Euro filter on FLAME's parameters, [e + 9]. State: that of ``smooth_lines``, and its time."""

    def __init__(self, expressions: int) -> None:
        count = expressions + TURNS
        self._units = np.full(count, RAD_UNIT, np.float32)
        self._units[:expressions] = STD_UNIT
        self._scaled = np.zeros(count, np.float32)
        self._state = LineState(np.zeros((count, 6)), *(np.zeros(count) for _ in range(4)))
        self._config: FilterConfig | None = None
        self._last_ns: int | None = None

    def step(self, raw: Float32Array, config: FilterConfig, now_ns: int, out: Float32Array) -> None:
        """Filter ``raw`` of ``now_ns`` into ``out``; the first goes through as it is."""
        state = self._state
        if config is not self._config:
            self._config = config
            state.parameters[:] = config.mouth.numbers
        np.divide(raw, self._units, out=self._scaled)
        if self._last_ns is None:
            state.value[:] = state.last[:] = np.clip(self._scaled, -MOST_UNITS, MOST_UNITS)
            state.noise[:] = FIRST_NOISE
        else:
            step_s = max((now_ns - self._last_ns) * 1e-9, MIN_STEP_S)
            smooth_lines(self._scaled, -MOST_UNITS, MOST_UNITS, step_s, state)
        self._last_ns = now_ns
        np.multiply(state.value, self._units, out=out, casting="same_kind")
