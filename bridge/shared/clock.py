"""The one clock. Only the runtime reads it; everything else gets the time as an argument, or a clock to stamp with."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeAlias

NS_PER_S = 1_000_000_000

Clock: TypeAlias = Callable[[], int]
"""Nanoseconds from any fixed moment, never backwards."""

now_ns: Clock = time.perf_counter_ns
"""``perf_counter`` and not ``monotonic``: before Python 3.13 the latter ticks in steps of 15.6 ms on Windows."""
