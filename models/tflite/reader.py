"""Reads TensorFlow Lite files into plain records.

The field numbers below are those of TensorFlow's public `tensorflow/compiler/mlir/lite/schema/schema.fbs`. Only the
fields that face networks use are read; a field that a file leaves out has the schema's default.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any

import flatbuffers.flexbuffers
import flatbuffers.number_types as flat
import numpy as np
from flatbuffers.table import Table

from facewire.models.errors import ModelError

FILE_IDENTIFIER = b"TFL3"
MOST_ENTRIES = 100_000
"""Of one list, whose entries may all be the same: the networks have some thousand tensors."""
MOST_LETTERS = 1_000
MOST_AXES = 8
MOST_OPTIONS = 32

# BuiltinOperator and TensorType of schema.fbs.
OPERATORS = {
    0: "ADD", 2: "CONCATENATION", 3: "CONV_2D", 4: "DEPTHWISE_CONV_2D", 6: "DEQUANTIZE", 14: "LOGISTIC",
    17: "MAX_POOL_2D", 18: "MUL", 19: "RELU", 22: "RESHAPE", 32: "CUSTOM", 34: "PAD", 39: "TRANSPOSE", 40: "MEAN",
    41: "SUB", 42: "DIV", 45: "STRIDED_SLICE", 54: "PRELU", 59: "NEG", 74: "SUM", 75: "SQRT", 76: "RSQRT",
    99: "SQUARED_DIFFERENCE",
}  # fmt: skip
DTYPES: dict[int, np.dtype[Any]] = {0: np.dtype("<f4"), 1: np.dtype("<f2"), 2: np.dtype("<i4"), 4: np.dtype("<i8")}

# Options of each operator: name -> (field number, flatbuffer type, default).
_BYTE, _INT, _BOOL = flat.Int8Flags, flat.Int32Flags, flat.BoolFlags
_ACTIVATION = (0, _BYTE, 0)
_OPTIONS: dict[str, dict[str, tuple[int, Any, int]]] = {
    "CONV_2D": {"padding": (0, _BYTE, 0), "stride_w": (1, _INT, 0), "stride_h": (2, _INT, 0),
                "activation": (3, _BYTE, 0), "dilation_w": (4, _INT, 1), "dilation_h": (5, _INT, 1)},
    "DEPTHWISE_CONV_2D": {"padding": (0, _BYTE, 0), "stride_w": (1, _INT, 0), "stride_h": (2, _INT, 0),
                          "multiplier": (3, _INT, 0), "activation": (4, _BYTE, 0),
                          "dilation_w": (5, _INT, 1), "dilation_h": (6, _INT, 1)},
    "MAX_POOL_2D": {"padding": (0, _BYTE, 0), "stride_w": (1, _INT, 0), "stride_h": (2, _INT, 0),
                    "filter_w": (3, _INT, 0), "filter_h": (4, _INT, 0), "activation": (5, _BYTE, 0)},
    "CONCATENATION": {"axis": (0, _INT, 0), "activation": (1, _BYTE, 0)},
    "ADD": {"activation": _ACTIVATION}, "SUB": {"activation": _ACTIVATION},
    "MUL": {"activation": _ACTIVATION}, "DIV": {"activation": _ACTIVATION},
    "MEAN": {"keep_dims": (0, _BOOL, 0)}, "SUM": {"keep_dims": (0, _BOOL, 0)},
    "STRIDED_SLICE": {"begin_mask": (0, _INT, 0), "end_mask": (1, _INT, 0), "ellipsis_mask": (2, _INT, 0),
                      "new_axis_mask": (3, _INT, 0), "shrink_axis_mask": (4, _INT, 0)},
}  # fmt: skip


@dataclass(slots=True)
class Tensor:
    """One value of the network: its name, its shape as the file gives it, and its numbers if it is a constant."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    data: np.ndarray[Any, Any] | None


@dataclass(slots=True)
class Operator:
    """One step: what it is (`code`, or `custom` for a CUSTOM one), tensor indices in and out, and its options."""

    code: str
    custom: str
    version: int
    inputs: list[int]
    outputs: list[int]
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Network:
    """The first (and for these networks only) subgraph of a file."""

    tensors: list[Tensor]
    operators: list[Operator]
    inputs: list[int]
    outputs: list[int]


class _View:
    """One flatbuffer table, read by field number."""

    def __init__(self, buffer: bytes, position: int) -> None:
        self.buffer = buffer
        self.table = Table(buffer, position)

    @classmethod
    def root(cls, buffer: bytes) -> _View:
        return cls(buffer, struct.unpack_from("<I", buffer, 0)[0])

    def _offset(self, number: int) -> int:
        return int(self.table.Offset(4 + 2 * number))

    def scalar(self, number: int, kind: Any, default: int) -> int:
        return int(self.table.GetSlot(4 + 2 * number, default, kind))

    def text(self, number: int) -> str:
        offset = self._offset(number)
        if not offset:
            return ""
        if self.table.VectorLen(offset) > MOST_LETTERS:
            raise ValueError("a name is too long")
        return bytes(self.table.String(offset + self.table.Pos)).decode()

    def table_at(self, number: int) -> _View | None:
        offset = self._offset(number)
        return _View(self.buffer, int(self.table.Indirect(offset + self.table.Pos))) if offset else None

    def tables(self, number: int) -> list[_View]:
        offset = self._offset(number)
        if not offset:
            return []
        start, count = self.table.Vector(offset), self.table.VectorLen(offset)
        if count > MOST_ENTRIES:
            raise ValueError("a list is too long")
        return [_View(self.buffer, int(self.table.Indirect(start + 4 * i))) for i in range(count)]

    def array(self, number: int, dtype: str) -> np.ndarray[Any, Any]:
        offset = self._offset(number)
        if not offset:
            return np.empty(0, dtype)
        return np.frombuffer(self.buffer, dtype, self.table.VectorLen(offset), self.table.Vector(offset))

    def indices(self, number: int) -> list[int]:
        found = self.array(number, "<i4")
        if found.size > MOST_LETTERS:
            raise ValueError("a list is too long")
        return [int(n) for n in found]


def read_network(source: bytes) -> Network:
    """Return the network in a .tflite file's bytes.

    Raises:
        ModelError: the bytes are no such file, are cut short, or hold an operator or type that is not known.
    """
    if source[4:8] != FILE_IDENTIFIER:
        raise ModelError("not a TensorFlow Lite file: delete it and fetch it again")
    try:
        return _read(source)
    except (struct.error, IndexError, ValueError, TypeError, AttributeError, UnicodeDecodeError) as error:
        raise ModelError("the TensorFlow Lite file is cut short or damaged: delete it and fetch it again") from error


def _read(source: bytes) -> Network:
    model = _View.root(source)
    codes = [_operator_code(view) for view in model.tables(1)]
    buffers = [view.array(0, "u1") for view in model.tables(4)]
    graph = model.tables(2)[0]
    return Network(
        tensors=[_tensor(view, buffers) for view in graph.tables(0)],
        operators=[_operator(view, codes) for view in graph.tables(3)],
        inputs=graph.indices(1),
        outputs=graph.indices(2),
    )


def _operator_code(view: _View) -> tuple[str, str, int]:
    # Numbers above 127 did not fit the old field: readers take the larger of the two.
    number = max(view.scalar(0, flat.Int8Flags, 0), view.scalar(3, flat.Int32Flags, 0))
    if number not in OPERATORS:
        raise ModelError(f"the network uses TensorFlow Lite operator {number}, which this converter does not know")
    return OPERATORS[number], view.text(1), view.scalar(2, flat.Int32Flags, 1)


def _tensor(view: _View, buffers: list[np.ndarray[Any, Any]]) -> Tensor:
    shape = tuple(view.indices(0))
    if len(shape) > MOST_AXES:
        raise ValueError("a tensor has too many axes")
    kind = view.scalar(1, flat.Int8Flags, 0)
    if kind not in DTYPES:
        raise ModelError(
            f"the network holds tensors of TensorFlow Lite type {kind}, which this converter does not know"
        )
    if view.table_at(6) is not None:
        raise ModelError("the network holds sparse tensors, which this converter does not know")
    raw = buffers[view.scalar(2, flat.Uint32Flags, 0)]
    data = raw.view(DTYPES[kind]).reshape(shape) if raw.size else None
    return Tensor(view.text(3), shape, DTYPES[kind], data)


def _operator(view: _View, codes: list[tuple[str, str, int]]) -> Operator:
    code, custom, version = codes[view.scalar(0, flat.Uint32Flags, 0)]
    options: dict[str, Any] = {}
    table = view.table_at(4)
    for name, (number, kind, default) in _OPTIONS.get(code, {}).items():
        options[name] = table.scalar(number, kind, default) if table else default
    raw = view.array(5, "u1").tobytes()
    if code == "CUSTOM" and raw:
        options = _flat_map(raw)
    return Operator(code, custom, version, view.indices(1), view.indices(2), options)


def _flat_map(raw: bytes) -> dict[str, Any]:
    """Return the names and numbers of an operator's own options.

    What is nested is left out: a buffer can name the same map again and again, and so be larger than any memory.
    """
    root = flatbuffers.flexbuffers.GetRoot(raw)
    if not root.IsMap:
        return {}
    found = root.AsMap
    if len(found) > MOST_OPTIONS:
        raise ValueError("an operator has too many options")
    named = {str(key.AsKey): _flat(value) for key, value in zip(found.Keys, found.Values, strict=True)}
    return {name: value for name, value in named.items() if value is not None}


def _flat(value: Any) -> Any:
    """Return a number, or a list of what is not nested; None for anything else."""
    if value.IsNumeric or value.IsBool:
        return value.Value
    if value.IsTypedVector or value.IsFixedTypedVector:
        items = value.AsTypedVector if value.IsTypedVector else value.AsFixedTypedVector
        return items.Value if len(items) <= MOST_LETTERS else None
    if not value.IsVector or value.IsMap or len(value.AsVector) > MOST_LETTERS:
        return None
    items = list(value.AsVector)
    return [item.Value for item in items] if all(item.IsNumeric or item.IsBool for item in items) else None
