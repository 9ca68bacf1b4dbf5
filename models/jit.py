"""How all kernels are compiled: once, kept on disk where that can be, without the interpreter lock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

from facewire.models.kernel_cache import KernelCache

Function = TypeVar("Function", bound=Callable[..., Any])

ANY_ORDER = frozenset({"reassoc", "contract", "nsz"})
"""LLVM's flags under which sums may be taken in any order, so that products use the processor's vectors."""


def kernel(function: Function) -> Function:
    """Compile with numba and keep the result on disk. Indices are not checked: callers validate shapes at set-up."""
    return _compiled(function, False)


def summing_kernel(function: Function) -> Function:
    """Compile as ``kernel`` does, for loops that sum: in any order, several terms at a time."""
    return _compiled(function, set(ANY_ORDER))


def resolved(function: Function, *arguments: Any) -> Function:
    """Return a kernel compiled for arguments like these, to be called with no others.

    A call of the kernel itself looks at the types of all arrays in all tuples: with some dozens of them that takes
    longer than the work. Arrays that come from outside do not belong here, as a wrong type is not noticed.
    """
    signature = tuple(numba.typeof(argument) for argument in arguments)
    dispatcher = cast(Any, function)
    dispatcher.compile(signature)
    return cast(Function, dispatcher.get_overload(signature))


def _compiled(function: Function, fastmath: Any) -> Function:
    dispatcher = numba.njit(nogil=True, error_model="numpy", fastmath=fastmath)(function)
    dispatcher._cache = KernelCache(function)  # as `cache=True` sets numba's own
    return cast(Function, dispatcher)
