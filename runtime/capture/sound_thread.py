"""The thread of one source of sound: opens it, keeps it going, and gets it back when it is lost."""

from __future__ import annotations

import threading
from collections.abc import Callable

from facewire.runtime.capture.sound import SoundRing, SoundSource
from facewire.runtime.capture.source import CaptureError
from facewire.runtime.capture.thread import FIRST_RETRY_S, LONGEST_RETRY_S, State


class SoundThread:
    """Has ``source`` write to ``ring``. A source that returns is tried again for ever, at least every five seconds.

    ``report`` gets one line when the source is lost and one when it is back, from this thread.
    """

    def __init__(self, source: SoundSource, ring: SoundRing, report: Callable[[str], None]) -> None:
        self.source, self._ring, self._report = source, ring, report
        self.state: State = "opening"
        self.error: CaptureError | None = None
        """Why it is lost, or why a source that does not return has ended early."""
        self.losses = 0
        """How often a source that ran was lost."""
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="facewire-sound-capture", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float = 0.5) -> None:
        """Asks the thread to end and waits; a driver that hangs is left behind (the thread is a daemon)."""
        self._stopping.set()
        self.source.interrupt()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        retry_s = FIRST_RETRY_S
        while not self._stopping.is_set():
            try:
                self._ring.begin()
                self.source.open(self._ring)
                while self.source.pump():
                    retry_s = FIRST_RETRY_S
                    self._note_running()
                break
            except Exception as error:  # a driver may raise anything, and this thread must outlive it
                self._lose(error if isinstance(error, CaptureError) else CaptureError(f"{self.source.name}: {error}"))
                if not self.source.returns:
                    break
            finally:
                self.source.close()
            self._stopping.wait(retry_s)
            retry_s = min(2 * retry_s, LONGEST_RETRY_S)
        self.state = "ended"
        self._ring.close()

    def _note_running(self) -> None:
        if self.state == "lost":
            self._report(f"{self.source.name} is back")
        self.state, self.error = "running", None

    def _lose(self, error: CaptureError) -> None:
        """Reports a loss once: the retries that fail after it say nothing new."""
        if self.state == "running":
            self.losses += 1
        if self.state != "lost" and self.source.returns:
            self._report(f"{error}; it is tried again until it works")
        self.state, self.error = "lost", error
