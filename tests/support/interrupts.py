"""Ctrl-C at random moments, thousands of times: what a wait may leave locked shows only so."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from types import FrameType

SENDER = """
import os, random, sys, time
while os.getppid() == int(sys.argv[1]):
    os.kill(int(sys.argv[1]), int(sys.argv[2]))
    time.sleep(2e-4 * random.random())
"""
"""Another process: a thread of this one would only come to send while the main thread does not run."""


class Interrupts:
    """Raises KeyboardInterrupt in the main thread, once in each ``meet``. Not for Windows."""

    def __init__(self) -> None:
        self._armed = False

    def meet(self, work: Callable[[], object]) -> None:
        """Do ``work``, which is interrupted at a random moment, unless it ends before. Raise nothing else."""
        try:
            self._armed = True
            work()
            self._armed = False
        except KeyboardInterrupt:
            pass

    @contextlib.contextmanager
    def sent(self) -> Iterator[None]:
        """Signals come from here to the end of the block."""
        before = signal.signal(signal.SIGUSR1, self._interrupt)
        sender = subprocess.Popen([sys.executable, "-c", SENDER, str(os.getpid()), str(int(signal.SIGUSR1))])
        try:
            yield
        finally:
            self._armed = False
            sender.kill()
            sender.wait()
            signal.signal(signal.SIGUSR1, before)

    def _interrupt(self, _number: int, _frame: FrameType | None) -> None:
        if self._armed:
            self._armed = False
            raise KeyboardInterrupt
