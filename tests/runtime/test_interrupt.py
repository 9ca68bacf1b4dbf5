"""Ctrl-C may come at any moment of the main thread's wait, and must leave nothing locked: the shutdown needs it."""

from __future__ import annotations

import functools
import subprocess
import sys
import threading
from pathlib import Path

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


INTERRUPTED = """
import os, signal, sys, time
from facewire.runtime.cli.options.listening import until_interrupted, wait_until

def serve():
    {0}

if __name__ == "__main__":
    sys.exit(until_interrupted(serve))
"""
IN_GENERATED_CODE = "exec('os.kill(os.getpid(), signal.SIGINT); time.sleep(60)')"
"""Numba runs text that it generated while networks load; there, an interrupt had CPython die of SIGINT at its end."""
SWALLOWED = """try:
        os.kill(os.getpid(), signal.SIGINT); time.sleep(60)
    except BaseException:
        pass
    wait_until(lambda: False)"""
"""A library that is interrupted while it is imported may make nothing of it."""


@pytest.mark.skipif(sys.platform == "win32", reason="this system sends itself no signals")
@pytest.mark.parametrize("serve", [IN_GENERATED_CODE, SWALLOWED], ids=["in generated code", "swallowed"])
def test_an_interrupt_while_networks_load_ends_with_status_0(serve: str, tmp_path: Path) -> None:
    (tmp_path / "interrupted.py").write_text(INTERRUPTED.format(serve), encoding="utf-8")
    run = subprocess.run([sys.executable, "-m", "interrupted"], cwd=tmp_path, timeout=60, check=False)
    assert run.returncode == 0
