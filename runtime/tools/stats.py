"""Sliding windows over the last seconds: rates and medians for the status message."""

from __future__ import annotations

import numpy as np

SPAN_NS = 3_000_000_000
CAPACITY = 1024
"""Enough for the span at 300 frames a second."""


class Window:
    """The newest values with their times, in a ring. One thread adds; others may read, at worst one value late."""

    def __init__(self) -> None:
        self._times_ns = np.full(CAPACITY, np.iinfo(np.int64).min // 2, np.int64)
        self._values = np.zeros(CAPACITY)
        self._next = 0

    def add(self, now_ns: int, value: float = 0.0) -> None:
        """Note ``value`` at ``now_ns``; push the oldest out."""
        self._times_ns[self._next] = now_ns
        self._values[self._next] = value
        self._next = (self._next + 1) % CAPACITY

    def median(self, now_ns: int) -> float | None:
        """Median of the span before ``now_ns``; None where nothing came."""
        recent = self._values[self._times_ns > now_ns - SPAN_NS]
        return float(np.median(recent)) if len(recent) else None

    def rate(self, now_ns: int) -> float:
        """Values a second: intervals over the time they took, so that a steady 30 reads 30.0; 0 once they stop."""
        times_ns = self._times_ns[self._times_ns > now_ns - SPAN_NS]
        if len(times_ns) < 2:
            return 0.0
        # If the last one is long ago the gap counts too: a source that has stopped fades within the span.
        first_ns, last_ns = int(times_ns.min()), int(times_ns.max())
        mean_ns = (last_ns - first_ns) / (len(times_ns) - 1)
        end_ns = last_ns if now_ns - last_ns < 2 * mean_ns else now_ns
        return (len(times_ns) - 1) / ((end_ns - first_ns) * 1e-9) if end_ns > first_ns else 0.0
