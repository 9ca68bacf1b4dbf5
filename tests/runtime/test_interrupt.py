"""Ctrl-C may come at any moment of the main thread's wait, and must leave nothing locked: the shutdown needs it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from types import FrameType

import pytest

from facewire.runtime.cli.listening import wait_until

TIMES = 12000
SENDER = """
import os, random, sys, time
while os.getppid() == int(sys.argv[1]):
    os.kill(int(sys.argv[1]), int(sys.argv[2]))
    time.sleep(2e-4 * random.random())
"""
"""Another process: a thread of this one would only come to send while the main thread does not run."""


def test_waits_until_it_is_done() -> None:
    event = threading.Event()
    threading.Timer(0.05, event.set).start()
    wait_until(event.is_set)
    assert event.is_set()


@pytest.mark.skipif(sys.platform == "win32", reason="this system sends itself no signals")
def test_an_interrupt_leaves_what_is_waited_for_unlocked() -> None:
    """With ``Event.wait`` in the place of ``wait_until``, one interrupt in ten thousand leaves the event locked."""
    armed = False

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        nonlocal armed
        if armed:
            armed = False
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGUSR1, interrupt)
    sender = subprocess.Popen([sys.executable, "-c", SENDER, str(os.getpid()), str(int(signal.SIGUSR1))])
    try:
        for _ in range(TIMES):
            event = threading.Event()
            with contextlib.suppress(KeyboardInterrupt):
                armed = True
                wait_until(event.is_set, 1e-6)
            assert event._cond.acquire(blocking=False), "whoever sets the event now waits for ever"
    finally:
        armed = False
        sender.kill()
        sender.wait()
        signal.signal(signal.SIGUSR1, before)
