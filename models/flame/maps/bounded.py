"""A small quadratic programme with bounds, exactly and without garbage: for a solution in every frame."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from facewire.bridge.shared.arrays import Float64Array
from facewire.models.jit import kernel

Int8Array = npt.NDArray[np.int8]

MOST_STEPS = 1000
SLACK = 1e-9
FREE, AT_LOW, AT_HIGH = 0, -1, 1


class BoundedLeastSquares:
    """Minimises x·Q x / 2 - b·x over 0 <= x <= 1 for one positive definite Q and ever new b.

    Active sets (Stark and Parker 1995, Bounded-variable least-squares, Computational Statistics 10): what is free goes
    to its best until the first of it meets a bound and stays there; then whatever gains most by leaving its bound is
    freed. Every step makes the value smaller. State: the last solution, where the next one begins: it is found
    sooner, and is the same without it.
    """

    def __init__(self, quadratic: Float64Array) -> None:
        """Take Q [n, n]."""
        count = len(quadratic)
        self._quadratic = np.ascontiguousarray(quadratic, np.float64)
        self._state = np.zeros(count, np.int8)
        self._factor = np.zeros((count, count))
        self._index = np.zeros(count, np.int64)
        self._best = np.zeros(count)
        self.solution = np.zeros(count)
        """[n], what ``solve`` found last."""

    def solve(self, linear: Float64Array) -> Float64Array:
        """Return the best x, float64 [n], for a b [n]: a view that is valid until the next call."""
        _solve(self._quadratic, linear, self._state, self._index, self._factor, self._best, self.solution)
        return self.solution


@kernel
def _solve(
    quadratic: Float64Array,
    linear: Float64Array,
    state: Int8Array,
    index: npt.NDArray[np.int64],
    factor: Float64Array,
    best: Float64Array,
    x: Float64Array,
) -> None:
    for _ in range(MOST_STEPS):
        _solve_free(quadratic, linear, state, index, factor, best)
        if not _go(best, state, x):
            leaving = _leaving(quadratic, linear, state, x)
            if leaving < 0:
                return
            state[leaving] = FREE


@kernel
def _go(best: Float64Array, state: Int8Array, x: Float64Array) -> bool:
    """Take x to the best, or as far as the first bound on the way; return whether one was met."""
    share, met = 1.0, -1
    for i in range(x.shape[0]):
        if state[i] == FREE and not -SLACK <= best[i] <= 1.0 + SLACK:
            bound = 0.0 if best[i] < 0.0 else 1.0
            reached = (bound - x[i]) / (best[i] - x[i])
            if reached < share or met < 0:
                share, met = min(share, reached), i
    for i in range(x.shape[0]):
        if state[i] == FREE:
            x[i] = min(max(x[i] + share * (best[i] - x[i]), 0.0), 1.0)
    if met >= 0:
        state[met] = AT_LOW if best[met] < 0.0 else AT_HIGH
        x[met] = 0.0 if best[met] < 0.0 else 1.0
    return met >= 0


@kernel
def _leaving(quadratic: Float64Array, linear: Float64Array, state: Int8Array, x: Float64Array) -> int:
    """Which variable would gain most by leaving its bound, -1 where none would gain."""
    chosen, most = -1, SLACK
    for i in range(x.shape[0]):
        if state[i] != FREE:
            slope = -linear[i]
            for j in range(x.shape[0]):
                slope += quadratic[i, j] * x[j]
            gain = (-slope if state[i] == AT_LOW else slope) / quadratic[i, i]
            if gain > most:
                chosen, most = i, gain
    return chosen


@kernel
def _solve_free(
    quadratic: Float64Array,
    linear: Float64Array,
    state: Int8Array,
    index: npt.NDArray[np.int64],
    factor: Float64Array,
    x: Float64Array,
) -> None:
    """Write to x the bounds of what is at one, and by Cholesky the best of what is free."""
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
