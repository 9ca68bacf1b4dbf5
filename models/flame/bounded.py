"""A small quadratic programme with bounds, exactly and without garbage: for a solution in every frame."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from facewire.models.face.jit import kernel

Float64Array = npt.NDArray[np.float64]
Int8Array = npt.NDArray[np.int8]

PATIENCE = 3
"""Block exchanges without progress before one variable is exchanged at a time."""
MOST_EXCHANGES = 500
FREE, AT_LOW, AT_HIGH = 0, -1, 1


class BoundedLeastSquares:
    """Minimises x·Q x / 2 - b·x over 0 <= x <= 1 for one positive definite Q and ever new b.

    Block principal pivoting (Kim and Park 2011, Fast nonnegative matrix factorization: an active-set-like method and
    comparisons, SIAM J. Sci. Comput. 33(6), section 3, here with two bounds): what breaks a bound or wants to leave
    one is exchanged at once; where that does not progress, one variable at a time (Murty's rule), which always ends.
    Carries over which variables were at a bound: the next solution is found sooner, and is the same without it.
    """

    def __init__(self, quadratic: Float64Array) -> None:
        """Take Q [n, n]."""
        count = len(quadratic)
        self._quadratic = np.ascontiguousarray(quadratic, np.float64)
        self._state = np.zeros(count, np.int8)
        self._factor = np.zeros((count, count))
        self._index = np.zeros(count, np.int64)
        self._gradient = np.zeros(count)
        self.solution = np.zeros(count)
        """[n], what ``solve`` found last."""

    def solve(self, linear: Float64Array) -> Float64Array:
        """The best x, float64 [n], for a b [n]: a view that is valid until the next call."""
        _solve(self._quadratic, linear, self._state, self._index, self._factor, self._gradient, self.solution)
        return self.solution


@kernel
def _solve(
    quadratic: Float64Array,
    linear: Float64Array,
    state: Int8Array,
    index: npt.NDArray[np.int64],
    factor: Float64Array,
    gradient: Float64Array,
    x: Float64Array,
) -> None:
    count = x.shape[0]
    fewest, patience = count + 1, PATIENCE
    for _ in range(MOST_EXCHANGES):
        _solve_free(quadratic, linear, state, index, factor, x)
        wrong, last = 0, -1
        for i in range(count):
            gradient[i] = -linear[i]
            for j in range(count):
                gradient[i] += quadratic[i, j] * x[j]
            if _wanted(state[i], x[i], gradient[i], quadratic[i, i]) != state[i]:
                wrong, last = wrong + 1, i
        if wrong == 0:
            break
        if wrong < fewest:
            fewest, patience = wrong, PATIENCE
        else:
            patience -= 1
        for i in range(count):
            if patience >= 0 or i == last:
                state[i] = _wanted(state[i], x[i], gradient[i], quadratic[i, i])
    for i in range(count):  # A variable that is free may be past its bound by the last digits.
        x[i] = min(max(x[i], 0.0), 1.0)


@kernel
def _wanted(state: int, x: float, gradient: float, curvature: float) -> int:
    """Where a variable belongs: at the bound that it breaks, or free where it would rather leave its bound."""
    slack = 1e-9
    if state == FREE:
        return AT_LOW if x < -slack else (AT_HIGH if x > 1.0 + slack else FREE)
    leaves = gradient < -slack * curvature if state == AT_LOW else gradient > slack * curvature
    return FREE if leaves else state


@kernel
def _solve_free(
    quadratic: Float64Array,
    linear: Float64Array,
    state: Int8Array,
    index: npt.NDArray[np.int64],
    factor: Float64Array,
    x: Float64Array,
) -> None:
    """Sets x to its bounds and, by Cholesky, to the best of what is free."""
    free = 0
    for i in range(x.shape[0]):
        x[i] = 1.0 if state[i] == AT_HIGH else 0.0
        if state[i] == FREE:
            index[free] = i
            free += 1
    for r in range(free):
        row = index[r]
        total = linear[row]
        for j in range(x.shape[0]):
            if state[j] == AT_HIGH:
                total -= quadratic[row, j]
        for c in range(r + 1):
            value = quadratic[row, index[c]]
            for k in range(c):
                value -= factor[r, k] * factor[c, k]
            factor[r, c] = value / factor[c, c] if c < r else np.sqrt(value)
        for k in range(r):
            total -= factor[r, k] * x[index[k]]
        x[row] = total / factor[r, r]
    for r in range(free - 1, -1, -1):
        total = x[index[r]]
        for k in range(r + 1, free):
            total -= factor[k, r] * x[index[k]]
        x[index[r]] = total / factor[r, r]
