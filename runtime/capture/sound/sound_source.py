"""What every source of sound offers, and the pace of one whose sound exists already."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod

from facewire.bridge.shared.arrays import Float32Array
from facewire.bridge.shared.clock import NS_PER_S, Clock, now_ns
from facewire.runtime.sound.blocks import SoundRing


class SoundSource(ABC):
    """One input of sound. ``open``, ``pump`` and ``close`` are called from one thread; ``interrupt`` from any."""

    name: str
    """What people call it, as in "microphone 3 (USB Audio)"."""
    kind: str
    """"microphone", "file" or "demo"."""
    returns: bool
    """Whether it may come back after a failure, as a microphone does."""
    rate: int = 0
    """Samples a second, known after ``open``."""
    damage: str | None = None
    """What was wrong with a file that begins again, in a line, once it has been heard to its end; None if it was
    whole."""

    def __init__(self) -> None:
        self._interrupted = threading.Event()

    @abstractmethod
    def open(self, ring: SoundRing) -> None:
        """Get ready; may be called again after ``close``.

        Raises:
            CaptureError: there is no such input, or it is in use.
        """

    @abstractmethod
    def pump(self) -> bool:
        """Write what has come to the ring, or wait a moment; return False at the end.

        Raises:
            CaptureError: the input is lost.
        """

    @abstractmethod
    def close(self) -> None:
        """Let the device go; safe to call twice."""

    def interrupt(self) -> None:
        """Wake a ``pump`` that waits; it then returns False."""
        self._interrupted.set()


class PacedSound(SoundSource):
    """Sound that exists already, at its own pace: a block is heard when its last sample would have been spoken."""

    returns = False

    def __init__(self, clock: Clock = now_ns) -> None:
        super().__init__()
        self._clock = clock

    def _begin(self, ring: SoundRing) -> None:
        """Send what is written from now on to ``ring``; the first sample is spoken now."""
        self._ring, self._start_ns, self._written = ring, self._clock(), 0

    def _write_when_due(self, block: Float32Array) -> bool:
        """Wait until ``block`` has been spoken and write it; return False when interrupted."""
        start_ns = self._start_ns + self._written * NS_PER_S // self.rate
        self._written += len(block)
        wait_s = (self._start_ns + self._written * NS_PER_S // self.rate - self._clock()) / NS_PER_S
        if self._interrupted.wait(wait_s) if wait_s > 0 else self._interrupted.is_set():
            return False
        self._ring.write(block, self.rate, start_ns)
        return True
