"""How the kernels of all networks and models are compiled: once, cached on disk, without the interpreter lock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., Any])


def kernel(function: Function) -> Function:
    """Compile with numba and keep the result on disk. Indices are not checked: callers validate shapes at set-up."""
    return cast(Function, numba.njit(cache=True, nogil=True, error_model="numpy")(function))
