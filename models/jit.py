"""How all kernels are compiled: once, cached on disk, without the interpreter lock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., Any])

ANY_ORDER = frozenset({"reassoc", "contract", "nsz"})
"""LLVM's flags under which sums may be taken in any order, so that products use the processor's vectors."""


def kernel(function: Function) -> Function:
    """Compile with numba and keep the result on disk. Indices are not checked: callers validate shapes at set-up."""
    return _compiled(function, False)


def summing_kernel(function: Function) -> Function:
    """Compile as ``kernel`` does, for loops that sum: in any order, several terms at a time."""
    return _compiled(function, set(ANY_ORDER))


def _compiled(function: Function, fastmath: Any) -> Function:
    return cast(Function, numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=fastmath)(function))
