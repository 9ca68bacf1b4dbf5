"""The numbers of what ``unpickle`` read: arrays, chumpy objects and sparse matrices."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from facewire.models.errors import ModelError
from facewire.models.flame.unpickle import (
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
NUMBERS = frozenset(("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"))

Array = npt.NDArray[Any]


def to_array(value: object, depth: int = 0) -> Array:
    """Return the numbers of an array, a chumpy object or a sparse matrix (made dense), as written.

    Raises:
        ModelError: there is anything else.
    """
    if depth > MOST_DEPTH:
        raise ModelError("one of its arrays is nested too deeply")
    if isinstance(value, np.ndarray):
        return value
    try:
        if isinstance(value, NdArray) and isinstance(value.state, tuple):
            _, shape, dtype, fortran, data = value.state
            return _numbers(data, dtype, shape, "F" if fortran else "C")
        if isinstance(value, FromBuffer):
            data, dtype, shape, order = value.arguments
            return _numbers(data, dtype, shape, "F" if order == "F" else "C")
        if isinstance(value, Sparse):
            return _dense(value, depth)
        if isinstance(value, Select) and isinstance(value.state, dict):
            return _select(value.state, depth)
        if isinstance(value, Chumpy) and isinstance(value.state, dict):
            return to_array(value.state["x"], depth + 1)
        if isinstance(value, (list, int, float)):
            return np.array(value, np.float64)
    except ModelError:
        raise
    except Exception as error:
        raise ModelError(f"one of its arrays is damaged ({type(error).__name__}: {error})"[:160]) from None
    raise ModelError(f"one of its arrays is a {type(value).__name__}, which cannot be read")


def _numbers(data: object, dtype: object, shape: object, order: str) -> Array:
    if isinstance(data, Latin1):
        text, encoding = data.arguments
        assert isinstance(text, str)
        assert encoding == "latin1"
        data = text.encode("latin1")
    elif isinstance(data, str):
        data = data.encode("latin1")  # A string of Python 2.
    if not isinstance(data, (bytes, bytearray)) or not isinstance(dtype, Dtype) or not isinstance(shape, tuple):
        raise ModelError("one of its arrays is not made of numbers")
    kind = np.dtype(_dtype_name(dtype))
    if any(not isinstance(n, int) or n < 0 for n in shape):
        raise ModelError("one of its arrays has a negative size")
    flat = np.frombuffer(data, kind)
    return flat.reshape(shape, order="F" if order == "F" else "C")


def _dtype_name(dtype: Dtype) -> str:
    name = dtype.arguments[0]
    order = dtype.state[1] if isinstance(dtype.state, tuple) else "="
    if not isinstance(name, str) or name not in NUMBERS:
        raise ModelError(f"one of its arrays holds {name!r}"[:80] + ", not numbers")
    return (order if order in ("<", ">") else "<") + name


def _dense(matrix: Sparse, depth: int) -> Array:
    state = matrix.state
    assert isinstance(state, dict)
    rows, columns = (int(n) for n in state["_shape"])
    if not 0 < rows * columns <= MOST_VALUES or min(rows, columns) < 1:
        raise ModelError("one of its sparse matrices has an impossible size")
    data = to_array(state["data"], depth + 1)
    dense = np.zeros((rows, columns), np.float64)
    if isinstance(matrix, SparseCoordinates):
        at = [to_array(state[key], depth + 1) for key in ("row", "col")] if "row" in state else _coords(state, depth)
    else:
        ends, indices = to_array(state["indptr"], depth + 1), to_array(state["indices"], depth + 1)
        lines = np.repeat(np.arange(len(ends) - 1), np.diff(ends))
        at = [lines, indices] if isinstance(matrix, SparseRows) else [indices, lines]
    if min(at[0].min(initial=0), at[1].min(initial=0)) < 0:
        raise ModelError("one of its sparse matrices has impossible places")
    np.add.at(dense, (at[0], at[1]), data)
    return dense


def _coords(state: dict[Any, Any], depth: int) -> list[Array]:
    row, column = state["coords"]  # scipy 1.13 and later
    return [to_array(row, depth + 1), to_array(column, depth + 1)]


def _select(state: dict[Any, Any], depth: int) -> Array:
    source = to_array(state["a"], depth + 1).ravel()
    chosen = source[to_array(state["idxs"], depth + 1)]
    return chosen.reshape(tuple(int(n) for n in state["preferred_shape"]))
