"""Linear algebra without garbage, compiled: sums, copies, and the factor of a symmetric matrix."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from facewire.bridge.shared.arrays import Float32Array, Float64Array
from facewire.models.jit import kernel, summing_kernel


@summing_kernel
def add(factor: float, source: Float32Array, target: Float32Array) -> None:
    """target += factor · source, both [3, n]."""
    c = np.float32(factor)
    for d in range(3):
        one, other = source[d], target[d]
        for j in range(one.shape[0]):
            other[j] += c * one[j]


@summing_kernel
def dot(a: Float32Array, b: Float32Array) -> float:
    """Return a · b."""
    total = np.float32(0.0)
    for i in range(a.shape[0]):
        total += a[i] * b[i]
    return float(total)


@kernel
def copy_rows(source: npt.NDArray[np.floating[Any]], target: npt.NDArray[np.floating[Any]]) -> None:
    """Write one [n, m] over another. A slice's assignment would do, and take seven seconds to compile."""
    for i in range(source.shape[0]):
        for j in range(source.shape[1]):
            target[i, j] = source[i, j]


@kernel
def copy_row(source: Float64Array, target: Float64Array) -> None:
    """Write the first of [n] over all of another."""
    for i in range(target.shape[0]):
        target[i] = source[i]


@summing_kernel
def cholesky(matrix: Float64Array, count: int) -> bool:
    """Replace the lower half of matrix [count, count] by its factor L; False if it is not positive definite."""
    for i in range(count):
        row = matrix[i]
        for j in range(i + 1):
            other, total = matrix[j], row[j]
            for k in range(j):
                total -= row[k] * other[k]
            if i > j:
                row[j] = total / other[j]
            elif total > 1e-12:
                row[i] = math.sqrt(total)
            else:
                return False
    return True


@summing_kernel
def solve_lower(factor: Float64Array, x: Float64Array, count: int) -> None:
    """L⁻¹ x, in place."""
    for i in range(count):
        row, total = factor[i], x[i]
        for k in range(i):
            total -= row[k] * x[k]
        x[i] = total / row[i]


@kernel
def solve_upper(factor: Float64Array, x: Float64Array, count: int) -> None:
    """L⁻ᵀ x, in place."""
    for i in range(count - 1, -1, -1):
        row = factor[i]
        x[i] /= row[i]
        for k in range(i):
            x[k] -= row[k] * x[i]
