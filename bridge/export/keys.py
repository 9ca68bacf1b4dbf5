"""Fewer keys: a curve as the few points that, joined by straight lines, stay within a tolerance of all of it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def needed_keys(times_s: npt.NDArray[np.float64], values: npt.NDArray[np.floating], tolerance: float) -> list[int]:
    """Return the indices of the points to keep, the first and the last among them.

    Swinging door: a line from the last key may go on while it passes within ``tolerance`` of every point since; each
    kept point is a point of the curve, so no point is off by more than ``tolerance``. One pass.
    """
    count = len(values)
    keys, low, high = [0], -np.inf, np.inf
    for index in range(1, count):
        anchor = keys[-1]
        span_s = times_s[index] - times_s[anchor]
        slope = (values[index] - values[anchor]) / span_s
        if not low <= slope <= high:  # A line to this point would leave the corridor: end at the one before.
            keys.append(index - 1)
            anchor, low, high = index - 1, -np.inf, np.inf
            span_s = times_s[index] - times_s[anchor]
        low = max(low, (values[index] - tolerance - values[anchor]) / span_s)
        high = min(high, (values[index] + tolerance - values[anchor]) / span_s)
    if keys[-1] != count - 1:
        keys.append(count - 1)
    return keys
