"""The thread of one source: opens it, reads it, and gets it back when it is lost."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Literal, TypeAlias

from facewire.runtime.capture.source import CapturedImage, CaptureError, Image, Source
from facewire.runtime.slots import NewestSlot
from facewire.runtime.stats import Window

State: TypeAlias = Literal["opening", "running", "lost", "ended"]

FIRST_RETRY_S = 0.25
LONGEST_RETRY_S = 5.0


class CaptureThread:
    """Reads ``source`` into ``slot``. A source that returns is tried again for ever, at least every five seconds.

    ``report`` gets one line when the source is lost and one when it is back, from this thread.
    """

    def __init__(self, source: Source, slot: NewestSlot[CapturedImage], report: Callable[[str], None]) -> None:
        self.source, self._slot, self._report = source, slot, report
        self.state: State = "opening"
        self.error: CaptureError | None = None
        """Why it is lost, or why a source that does not return has ended early."""
        self.losses = 0
        """How often a source that ran was lost."""
        self._spare: deque[Image] = deque(maxlen=2)
        self._captured = Window()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="facewire-capture", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float = 0.5) -> None:
        """Asks the thread to end and waits; a driver that hangs is left behind (the thread is a daemon)."""
        self._stopping.set()
        self.source.interrupt()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def rate(self, now_ns: int) -> float:
        """Pictures a second that came lately."""
        return self._captured.rate(now_ns)

    def recycle(self, image: Image) -> None:
        """Gives back a picture that nobody reads any more, so that the next one is written into it."""
        self._spare.append(image)

    def _run(self) -> None:
        retry_s = FIRST_RETRY_S
        while not self._stopping.is_set():
            try:
                self.source.open()
                while self._pass_on():
                    retry_s = FIRST_RETRY_S
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
        self._slot.close()

    def _pass_on(self) -> bool:
        captured = self.source.read(self._spare.popleft() if self._spare else None)
        if captured is None:
            return False
        if self.state == "lost":
            self._report(f"{self.source.name} is back")
        self.state, self.error = "running", None
        self._captured.add(captured.capture_ns)
        replaced = self._slot.put(captured)
        if replaced is not None:
            self.recycle(replaced.image)
        return True

    def _lose(self, error: CaptureError) -> None:
        """Reports a loss once: the retries that fail after it say nothing new."""
        if self.state == "running":
            self.losses += 1
        if self.state != "lost" and self.source.returns:
            self._report(f"{error}; it is tried again until it works")
        self.state, self.error = "lost", error
