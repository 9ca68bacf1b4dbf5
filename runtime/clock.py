"""The session's monotonic clock: the one place that reads it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeAlias

Clock: TypeAlias = Callable[[], int]
"""Nanoseconds on a monotonic scale with an arbitrary origin."""

now_ns: Clock = time.perf_counter_ns
"""``perf_counter`` and not ``monotonic``: before Python 3.13 the latter ticks in steps of 15.6 ms on Windows."""
