"""The numbers of what ``unpickle`` read: arrays, chumpy objects and sparse matrices."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from facewire.models.errors import ModelError
from facewire.models.flame.unpickle import (
    MOST_OPCODES,
    Chumpy,
    Dtype,
    FromBuffer,
    Latin1,
    NdArray,
    Select,
    Sparse,
    SparseCoordinates,
    SparseRows,
)

MOST_DEPTH = 8
MOST_VALUES = 10_000_000
"""Of a sparse matrix, whose size is two numbers in the file: a joint regressor has some ten thousand."""
MOST_READ = 60_000_000
"""Of all that one array is made of; the largest has six million."""
MOST_LISTED = MOST_OPCODES
"""In lists, each of which took an opcode, unless the file uses the same ones again and again."""
MOST_AXES = 8
NUMBERS = frozenset(("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"))

Array = npt.NDArray[Any]


def to_array(value: object) -> Array:
    """Return the numbers of an array, a chumpy object or a sparse matrix (made dense), as written.

    Raises:
        ModelError: there is anything else, or more of it than a head has.
    """
    return _Reading().array(value)


class _Reading:
    """One array with all that it is made of. State: how many numbers may still be read."""

    def __init__(self) -> None:
        self._left = MOST_READ

    def array(self, value: object, depth: int = 0) -> Array:
        if depth > MOST_DEPTH:
            raise ModelError("one of its arrays is nested too deeply")
        try:
            found = self._array(value, depth)
        except ModelError:
            raise
        except Exception as error:
            raise ModelError(f"one of its arrays is damaged ({type(error).__name__}: {error})"[:160]) from None
        if found is None:
            raise ModelError(f"one of its arrays is a {type(value).__name__}, which cannot be read")
        return found

    def _array(self, value: object, depth: int) -> Array | None:
        if isinstance(value, np.ndarray):
            self._spend(value.size)
            return value
        if isinstance(value, NdArray) and isinstance(value.state, tuple):
            _, shape, dtype, fortran, data = value.state
            return self._numbers(data, dtype, shape, "F" if fortran else "C")
        if isinstance(value, FromBuffer):
            data, dtype, shape, order = value.arguments
            return self._numbers(data, dtype, shape, "F" if order == "F" else "C")
        if isinstance(value, Sparse):
            return self._dense(value, depth)
        if isinstance(value, Select) and isinstance(value.state, dict):
            return self._select(value.state, depth)
        if isinstance(value, Chumpy) and isinstance(value.state, dict):
            return self.array(value.state["x"], depth + 1)
        if isinstance(value, (list, int, float)):
            self._spend(_listed(value))
            return np.array(value, np.float64)
        return None

    def _spend(self, values: int) -> None:
        self._left -= values
        if self._left < 0:
            raise ModelError("one of its arrays is made of more numbers than a head has")

    def _numbers(self, data: object, dtype: object, shape: object, order: str) -> Array:
        if isinstance(data, Latin1):
            text, encoding = data.arguments
            assert isinstance(text, str)
            assert encoding == "latin1"
            data = text
        if isinstance(data, (str, bytes, bytearray)):
            self._spend(len(data) // 8)
        if isinstance(data, str):
            data = data.encode("latin1")  # A string of Python 2, too.
        if not isinstance(data, (bytes, bytearray)) or not isinstance(dtype, Dtype):
            raise ModelError("one of its arrays is not made of numbers")
        kind = np.dtype(_dtype_name(dtype))
        flat = np.frombuffer(data, kind)
        self._spend(flat.size)
        return flat.reshape(_sizes(shape), order="F" if order == "F" else "C")

    def _dense(self, matrix: Sparse, depth: int) -> Array:
        state = matrix.state
        assert isinstance(state, dict)
        rows, columns = _sizes(state["_shape"])
        if not 0 < rows * columns <= MOST_VALUES:
            raise ModelError("one of its sparse matrices has an impossible size")
        self._spend(rows * columns)
        data = self.array(state["data"], depth + 1)
        if isinstance(matrix, SparseCoordinates):
            at = self._coordinates(state, depth)
        else:
            by_row = isinstance(matrix, SparseRows)
            ends, indices = self.array(state["indptr"], depth + 1), self.array(state["indices"], depth + 1)
            lines = _lines(ends, rows if by_row else columns, len(data))
            at = [lines, indices] if by_row else [indices, lines]
        if data.ndim != 1 or at[0].shape != data.shape or at[1].shape != data.shape:
            raise ModelError("one of its sparse matrices is damaged: its places do not fit its numbers")
        if min(at[0].min(initial=0), at[1].min(initial=0)) < 0:
            raise ModelError("one of its sparse matrices has impossible places")
        dense = np.zeros((rows, columns), np.float64)
        np.add.at(dense, (at[0], at[1]), data)
        return dense

    def _coordinates(self, state: dict[Any, Any], depth: int) -> list[Array]:
        if "row" in state:
            return [self.array(state[key], depth + 1) for key in ("row", "col")]
        row, column = state["coords"]  # scipy 1.13 and later
        return [self.array(row, depth + 1), self.array(column, depth + 1)]

    def _select(self, state: dict[Any, Any], depth: int) -> Array:
        source = self.array(state["a"], depth + 1).ravel()
        places = self.array(state["idxs"], depth + 1)
        if places.dtype.kind not in "iu":
            raise ModelError("one of its arrays is chosen by what is no number of a place")
        self._spend(places.size)
        return source[places].reshape(_sizes(state["preferred_shape"]))


def _lines(ends: Array, lines: int, count: int) -> Array:
    """Return for each number of a sparse matrix which row, or column, it lies in."""
    if ends.shape != (lines + 1,) or ends.dtype.kind not in "iu":
        raise ModelError("one of its sparse matrices is damaged: it has other rows or columns than it says")
    places = ends.astype(np.int64)
    counts = np.diff(places)
    if places[0] != 0 or places[-1] != count or counts.min(initial=0) < 0 or counts.max(initial=0) > count:
        raise ModelError("one of its sparse matrices is damaged: its rows or columns do not fit its numbers")
    return np.repeat(np.arange(lines), counts)


def _sizes(shape: object) -> tuple[int, ...]:
    if not isinstance(shape, (tuple, list)) or len(shape) > MOST_AXES:
        raise ModelError("one of its arrays is not made of numbers")
    if not all(isinstance(n, int) for n in shape):
        raise ModelError("one of its arrays is not made of numbers")
    if any(n < 0 for n in shape):
        raise ModelError("one of its arrays has a negative size")
    return tuple(shape)


def _listed(value: object) -> int:
    """Return how many numbers a list has, counted only as far as a file can list them."""
    count, waiting = 0, [iter([value])]
    while waiting:
        for item in waiting[-1]:
            count += 1
            if count > MOST_LISTED or len(waiting) > MOST_DEPTH:
                raise ModelError("one of its lists has more numbers than the file")
            if isinstance(item, (list, tuple)):
                waiting.append(iter(item))
                break
        else:
            waiting.pop()
    return count


def _dtype_name(dtype: Dtype) -> str:
    name = dtype.arguments[0]
    order = dtype.state[1] if isinstance(dtype.state, tuple) else "="
    if not isinstance(name, str):
        raise ModelError("one of its arrays is not made of numbers")
    if name not in NUMBERS:
        raise ModelError(f"one of its arrays holds {name[:40]!r}, not numbers")
    return (">" if order == ">" else "<") + name
