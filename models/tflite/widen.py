"""Pads layers that are narrower than the runtime's block of channels.

ONNX Runtime's blocked layout handles 16 channels at once on processors with AVX-512 and 8 with AVX2. A layer of 8
channels on the former leaves the layout and comes back, which costs more than computing 8 zeros along: FaceMesh V2 is
a tenth faster so. Where blocks are of 8 nothing is padded. The zeros end where a full convolution reads them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from facewire.models.tflite.reader import Network, Operator, Tensor

# What passes zero channels on as zeros, and the last axis of its constant inputs that has to grow with them.
_PASSING: dict[str, dict[int, int]] = {"PRELU": {1: 2}, "DEPTHWISE_CONV_2D": {1: 3, 2: 0}}


def widen(network: Network, block: int) -> Network:
    """Pad narrow layers to `block` channels in a copy of the network, where only convolutions read the result."""
    return _Widener(network, block).run()


@dataclass(slots=True)
class _Widener:
    network: Network
    block: int
    tensors: list[Tensor] = field(init=False)
    readers: dict[int, list[Operator]] = field(default_factory=dict)
    # Where the 16-bit numbers of a constant are.
    stored: dict[int, int] = field(default_factory=dict)
    wide: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.tensors = list(self.network.tensors)
        for op in self.network.operators:
            if op.code == "DEQUANTIZE":
                self.stored[op.outputs[0]] = op.inputs[0]
            for index in op.inputs:
                self.readers.setdefault(index, []).append(op)

    def run(self) -> Network:
        operators = [self._padded(op) for op in self.network.operators]
        return replace(self.network, tensors=self.tensors, operators=operators)

    def _padded(self, op: Operator) -> Operator:
        result = op.outputs[0]
        grows: list[tuple[int, int]] = []
        if op.code == "CONV_2D":
            if op.inputs[0] in self.wide:
                grows.append((1, 3))
            if self._is_narrow(result) and self._may_grow(result):
                grows += [(1, 0), (2, 0)]
                self.wide.add(result)
        elif op.code in _PASSING and op.inputs[0] in self.wide:
            grows = list(_PASSING[op.code].items())
            self.wide.add(result)
        if result in self.wide:
            shape = self.tensors[result].shape
            self.tensors[result] = replace(self.tensors[result], shape=(*shape[:3], self.block))
        return replace(op, inputs=self._grown(op.inputs, grows)) if grows else op

    def _is_narrow(self, index: int) -> bool:
        shape = self.tensors[index].shape
        return len(shape) == 4 and shape[1] > 1 and shape[3] < self.block and shape[3] % 8 == 0

    def _may_grow(self, index: int) -> bool:
        if index in self.network.outputs:
            return False
        return all(
            op.code == "CONV_2D" or (op.code in _PASSING and self._may_grow(op.outputs[0]))
            for op in self.readers.get(index, [])
        )

    def _grown(self, inputs: Sequence[int], grows: list[tuple[int, int]]) -> list[int]:
        """Return the inputs with the constants at these positions padded with zeros along these axes."""
        result = list(inputs)
        for position, axis in grows:
            data = self._numbers(result[position])
            padding = [(0, 0)] * data.ndim
            padding[axis] = (0, self.block - data.shape[axis])
            result[position] = self._constant(np.pad(data, padding))
        return result

    def _numbers(self, index: int) -> np.ndarray[Any, Any]:
        data = self.tensors[self.stored.get(index, index)].data
        assert data is not None  # A convolution's weights are constants in these files.
        return data.astype(np.float32)

    def _constant(self, data: np.ndarray[Any, Any]) -> int:
        self.tensors.append(Tensor("", data.shape, data.dtype, data))
        return len(self.tensors) - 1
