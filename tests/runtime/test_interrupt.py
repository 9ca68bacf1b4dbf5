"""Ctrl-C may come at any moment of the main thread's wait, and must leave nothing locked: the shutdown needs it."""

from __future__ import annotations

import functools
import sys
import threading

import pytest
from support.interrupts import Interrupts

from facewire.runtime.cli.options.listening import wait_until

TIMES = 12000


def test_waits_until_it_is_done() -> None:
    event = threading.Event()
    threading.Timer(0.05, event.set).start()
    wait_until(event.is_set)
    assert event.is_set()


@pytest.mark.skipif(sys.platform == "win32", reason="this system sends itself no signals")
def test_an_interrupt_leaves_what_is_waited_for_unlocked() -> None:
    """With ``Event.wait`` in the place of ``wait_until``, one interrupt in ten thousand leaves the event locked."""
    interrupts = Interrupts()
    with interrupts.sent():
        for _ in range(TIMES):
            event = threading.Event()
            interrupts.meet(functools.partial(wait_until, event.is_set, 1e-6))
            assert event._cond.acquire(blocking=False), "the thread that sets the event now waits forever"
