"""What has been made of each tensor so far: constants, graph values in either layout, and affine maps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from facewire.models.errors import ModelError
from facewire.models.tflite.graph import GraphBuilder
from facewire.models.tflite.reader import Network, Operator

# One factor, 1 or −1, for each channel.
Signs = np.ndarray[Any, np.dtype[np.float32]]

TO_NCHW, TO_NHWC = (0, 3, 1, 2), (0, 2, 3, 1)


@dataclass(frozen=True, slots=True)
class Affine:
    """A 4×4 matrix of which MediaPipe's operators use the plane part alone: row vectors map as p·linear + offset.

    `linear` names a [lanes, 2, 2] value, `offset` a [lanes, 1, 2] one.
    """

    linear: str
    offset: str


class Values:
    """The tensors of one network while its graph is being built, by the file's tensor index."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.graph = GraphBuilder()
        self.known: dict[int, np.ndarray[Any, Any]] = {}
        self.affine: dict[int, Affine] = {}
        self.consumers: dict[int, list[Operator]] = {}
        for op in network.operators:
            for index in op.inputs:
                self.consumers.setdefault(index, []).append(op)
        self.producers = {index: op for op in network.operators for index in op.outputs}
        self._plain: dict[int, str] = {}
        self._nchw: dict[int, str] = {}
        self._signed: dict[int, tuple[str, Signs]] = {}
        self._turned: dict[int, str] = {}

    def shape(self, index: int) -> tuple[int, ...]:
        """Return the tensor's shape in TensorFlow Lite's layout."""
        return self.network.tensors[index].shape

    def numbers(self, index: int) -> np.ndarray[Any, Any]:
        """Return a constant tensor's numbers.

        Raises:
            ModelError: it is not a constant.
        """
        if index in self.known:
            return self.known[index]
        data = self.network.tensors[index].data
        if data is None:
            raise ModelError(f"tensor {index} of the network is computed where this converter needs a constant")
        return data

    def put(self, index: int, name: str) -> None:
        """Record a graph value in TensorFlow Lite's own layout; an image one row high as a matrix, see `held`."""
        self._plain[index] = name

    def put_nchw(self, index: int, name: str) -> None:
        """Record a graph value with the channels moved to the second place."""
        self._nchw[index] = name

    def put_signed(self, index: int, name: str, signs: Signs) -> None:
        """Record a value with channels first of which some channels are kept negated."""
        if (signs > 0).all():
            self.put_nchw(index, name)
        else:
            self._signed[index] = (name, signs)

    def signed(self, index: int) -> tuple[str, Signs]:
        """Return the value with channels first as it is kept, and which channels are negated."""
        if index in self._signed:
            return self._signed[index]
        return self.nchw(index), np.ones(self.shape(index)[-1], np.float32)

    def scaled(self, name: str, factors: np.ndarray[Any, Any]) -> str:
        """Each channel times a factor, by a depthwise convolution: ONNX Runtime keeps that in its blocked layout."""
        kernel = self.graph.constant(factors.astype(np.float32).reshape(-1, 1, 1, 1))
        return self.graph.add("Conv", [name, kernel], kernel_shape=(1, 1), group=factors.size)

    def put_turned(self, index: int, name: str) -> None:
        """Record a matrix [channels, columns] of an image one row high."""
        self._turned[index] = name

    def held(self, index: int) -> tuple[int, ...]:
        """Return the plain graph value's shape: [1, 1, columns, channels] is held as the matrix [columns, channels]."""
        shape = self.shape(index)
        return shape[2:] if len(shape) == 4 and shape[:2] == (1, 1) else shape

    def alias(self, index: int, source: int) -> None:
        """Make one tensor stand for another."""
        for store in (self._plain, self._nchw, self._turned):
            if source in store:
                store[index] = store[source]
        if source in self._signed:
            self._signed[index] = self._signed[source]

    def is_nchw(self, index: int) -> bool:
        """Whether the tensor's operator made it with channels first."""
        return (index in self._nchw or index in self._signed) and index not in self._plain

    def is_turned(self, index: int) -> bool:
        """Whether the tensor is held as a matrix [channels, columns]."""
        return index in self._turned and index not in self._plain

    def turned(self, index: int) -> str:
        """Return the matrix [channels, columns] of a tensor for which `is_turned` holds."""
        return self._turned[index]

    def plain(self, index: int) -> str:
        """Return the graph value in TensorFlow Lite's layout (`held`), turned where need be."""
        if index in self.affine:
            return self._matrix(self.affine[index])
        if index not in self._plain:
            if self.is_nchw(index):
                image = self.graph.add("Transpose", [self.nchw(index)], perm=TO_NHWC)
                self._plain[index] = self.reshaped(image, self.shape(index), self.held(index))
            elif index in self._turned:
                self._plain[index] = self.graph.add("Transpose", [self._turned[index]], perm=(1, 0))
            else:
                self._plain[index] = self.graph.constant(self.numbers(index).reshape(self.held(index)))
        return self._plain[index]

    def nchw(self, index: int) -> str:
        """Return the graph value with channels first, turned where need be; a constant gets its axes to match."""
        if index not in self._nchw:
            if index in self._signed:
                self._nchw[index] = self.scaled(*self._signed[index])
            elif index in self._plain:
                image = self.reshaped(self._plain[index], self.held(index), self.shape(index))
                self._nchw[index] = self.graph.add("Transpose", [image], perm=TO_NCHW)
            else:
                numbers = self.numbers(index)
                padded = numbers.reshape((1,) * (4 - numbers.ndim) + numbers.shape)
                self._nchw[index] = self.graph.constant(padded.transpose(TO_NCHW))
        return self._nchw[index]

    def reshaped(self, name: str, have: tuple[int, ...], want: tuple[int, ...]) -> str:
        """Return the same numbers in another shape; no node if it is the same."""
        return name if have == want else self.graph.add("Reshape", [name, self.graph.ints(*want)])

    def in_order(self, index: int) -> str:
        """Return the value in either layout, where only the order of its numbers counts: the same for a 1×1 image."""
        shape = self.shape(index)
        if self.is_nchw(index) and shape[1] == shape[2] == 1:
            return self.nchw(index)
        return self.plain(index)

    def computed(self) -> list[int]:
        """Return the tensors that the graph computes."""
        known = set(self.network.inputs) | set(self.known)
        made = self._plain.keys() | self._nchw.keys() | self._signed.keys() | self._turned.keys() | self.affine.keys()
        return sorted(index for index in made - known if self.network.tensors[index].data is None)

    def _matrix(self, affine: Affine) -> str:
        add, ints = self.graph.add, self.graph.ints
        linear = add("Transpose", [add("Reshape", [affine.linear, ints(2, 2)])], perm=(1, 0))
        zeros = self.graph.constant(np.zeros((2, 1), np.float32))
        offset = add("Reshape", [affine.offset, ints(2, 1)])
        top = add("Concat", [linear, zeros, offset], axis=1)
        bottom = self.graph.constant(np.eye(4, dtype=np.float32)[2:])
        return add("Reshape", [add("Concat", [top, bottom], axis=0), ints(1, 4, 4)])
