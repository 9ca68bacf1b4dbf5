"""For tests that must hold on a machine that is busy with other things."""

from __future__ import annotations

import time
from collections.abc import Callable

WORK_S = 0.1


def slowness() -> float:
    """Return how many times longer than its work takes a thread just now: 1 on a machine that has nothing else to do.

    Multiply a limit by it to say what a time would have been on a machine of our own.
    """
    began_s, worked_s = time.perf_counter(), time.thread_time()
    while time.thread_time() - worked_s < WORK_S:
        pass
    return max(1.0, (time.perf_counter() - began_s) / WORK_S)


def assert_within(limit_s: float, attempt: Callable[[], float], tries: int = 3) -> None:
    """Assert that ``attempt``, which returns how long it took in s, takes at most ``limit_s`` of a machine of our own.

    The load changes from moment to moment, so the best of a few tries counts: what waits for a timeout never makes it.
    """
    shares = []
    for _ in range(tries):
        before = slowness()
        took_s = attempt()
        shares.append(took_s / (limit_s * max(before, slowness())))
        if shares[-1] <= 1:
            return
    raise AssertionError(f"took {min(shares):.2f} times the {limit_s:g} s that it may, at best")
