"""Wait for what another thread, process or page does."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable
from typing import Any

PATIENCE_S = 60.0
"""How long anything may take: a loaded machine is slow, and what never comes fails all the same."""


def wait_until(
    condition: Callable[[], Any],
    *,
    what: str | None = None,
    timeout_s: float = PATIENCE_S,
    every_s: float = 0.002,
    meanwhile: Callable[[], object] = lambda: None,
) -> None:
    """Return as soon as ``condition()`` is true.

    Arguments:
        condition: asked every ``every_s`` seconds.
        what: what a failure says was waited for; the condition as it is written, if there is no better word.
        timeout_s: how long to wait, in s.
        every_s: the pause between two questions, in s.
        meanwhile: called before each pause.

    Raises:
        AssertionError: the condition was still false after ``timeout_s``.
    """
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, f"waited {timeout_s:g} s in vain for: {what or written(condition)}"
        meanwhile()
        time.sleep(every_s)


def written(condition: Callable[[], Any]) -> str:
    """Return how a condition stands in its source: its name or, for a lambda, the statement that holds it."""
    name = getattr(condition, "__qualname__", repr(condition))
    if "<lambda>" not in name:
        return name
    try:
        return " ".join(inspect.getsource(condition).split())
    except OSError:  # There is no source, as at a prompt.
        return name
