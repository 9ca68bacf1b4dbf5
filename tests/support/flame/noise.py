"""Arrays whose products are off by what another processor's mathematics may be off by, and more.

Which terms a BLAS kernel adds up first depends on the processor, so the last bits of a product do. A file that a test
pins to the byte is rounded above that: it must come out the same when every product is disturbed before.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any, TypeVar

import numpy as np

RELATIVE = 1e-15
"""Of the sum of the terms' sizes, not of the sum: what cancels out leaves noise alone."""
PRODUCTS = (np.dot, np.inner, np.vdot, np.tensordot, np.einsum)
Record = TypeVar("Record")


class Noisy(np.ndarray):
    """What is computed of it is noisy too."""

    random = np.random.default_rng(0)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        """Disturb matrix products and sums; whatever works on each element alone is exact everywhere."""
        options = {key: plain(value) for key, value in options.items()}
        compute = getattr(ufunc, method)
        inputs = tuple(plain(one) for one in inputs)
        result = compute(*inputs, **options)
        if ufunc is np.matmul or (ufunc is np.add and method == "reduce"):
            result = disturbed(result, compute(*(np.abs(one) for one in inputs), **options))
        return noisy(result)

    def __array_function__(self, function: Any, types: Any, args: Any, options: Any) -> Any:
        """Disturb the products that are no ufuncs, and what LAPACK is given: it answers a system near it."""
        if function.__module__ == "numpy.linalg":
            args = tuple(plain(one) for one in args)
            near = (disturbed(one, np.abs(one)) if isinstance(one, np.ndarray) else one for one in args)
            return noisy(function(*near, **options))
        if function not in PRODUCTS:
            return super().__array_function__(function, types, args, options)
        args = tuple(plain(one) for one in args)
        sizes = (np.abs(one) if isinstance(one, np.ndarray) else one for one in args)
        return noisy(disturbed(function(*args, **options), function(*sizes, **options)))


def disturbed(result: Any, size: Any) -> Any:
    """Return the result off by up to RELATIVE of that size; integers and booleans are exact."""
    if not np.issubdtype(np.asarray(result).dtype, np.floating):
        return result
    off = Noisy.random.uniform(-RELATIVE, RELATIVE, np.shape(result))
    return (result + off * size).astype(result.dtype)


def noisy(array: Any) -> Any:
    """Return an array whose products are disturbed; the same for what holds arrays."""
    if isinstance(array, dict):
        return {key: noisy(value) for key, value in array.items()}
    if isinstance(array, tuple):
        return tuple(noisy(one) for one in array)
    return array.view(Noisy) if isinstance(array, np.ndarray) else array


def plain(array: Any) -> Any:
    """Return the same numbers as an array of the usual kind."""
    if isinstance(array, tuple):
        return tuple(plain(one) for one in array)
    return array.view(np.ndarray) if isinstance(array, Noisy) else array


def noisy_record(record: Record) -> Record:
    """Return a dataclass with all its arrays noisy."""
    arrays = {one.name: noisy(getattr(record, one.name)) for one in fields(record)}  # type: ignore[arg-type]
    return replace(record, **arrays)  # type: ignore[type-var]
