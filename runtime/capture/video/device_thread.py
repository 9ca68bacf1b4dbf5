"""What the threads of cameras and microphones share: open a source, keep it going, get it back when it is lost."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Literal, Protocol, TypeAlias

from facewire.runtime.capture.video.source import CaptureError, SourceSilent

State: TypeAlias = Literal["opening", "running", "lost", "ended"]

FIRST_RETRY_S = 0.25
LONGEST_RETRY_S = 5.0


class Device(Protocol):
    """What such a thread asks of its source, whatever it gives."""

    @property
    def name(self) -> str: ...
    @property
    def returns(self) -> bool: ...
    def close(self) -> None: ...
    def interrupt(self) -> None: ...


class DeviceThread:
    """Keeps one source going. A source that returns is tried again forever, at least every five seconds.

    ``notify`` gets one line when the source is lost and one when it is back, from this thread.
    """

    def __init__(self, device: Device, notify: Callable[[str], None], thread_name: str) -> None:
        self._device, self._notify = device, notify
        self.state: State = "opening"
        self.error: CaptureError | None = None
        """Why it is lost, or why a source that does not return has ended early."""
        self.losses = 0
        """How often a source that ran was lost."""
        self._damage_noted = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=thread_name, daemon=True)

    @property
    def running(self) -> bool:
        """Whether the thread has started and not ended."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Begin to open the source."""
        self._thread.start()

    def stop(self, timeout_s: float = 0.5) -> None:
        """Ask the thread to end and wait; a driver that hangs is left behind (the thread is a daemon)."""
        self._stopping.set()
        self._device.interrupt()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _open(self) -> None:
        """Open the source; what it raises is raised."""
        raise NotImplementedError

    def _pass_on(self) -> bool:
        """Pass on what comes next and note that the source runs; return False at its end. What it raises is raised."""
        raise NotImplementedError

    def _end(self) -> None:
        """Tell who listens that nothing more comes."""
        raise NotImplementedError

    def _run(self) -> None:
        retry_s = FIRST_RETRY_S
        while not self._stopping.is_set():
            try:
                self._open()
                while self._pass_on():
                    retry_s = FIRST_RETRY_S
                break
            except Exception as error:  # a driver may raise anything, and this thread must outlive it
                self._device.close()  # before it is said: who hears of it may send again at once
                self._lose(error if isinstance(error, CaptureError) else CaptureError(f"{self._device.name}: {error}"))
                if not self._device.returns:
                    break
            finally:
                self._device.close()
            self._stopping.wait(retry_s)
            retry_s = min(2 * retry_s, LONGEST_RETRY_S)
        self.state = "ended"
        self._end()

    def _note_running(self) -> None:
        if self.state == "lost":
            self._notify(f"{self._device.name} is back")
        self.state, self.error = "running", None

    def _note_damage(self, damage: str | None) -> None:
        """Say once what is wrong with a file that is played again and again."""
        if damage is not None and not self._damage_noted:
            self._damage_noted = True
            self._notify(f"{damage}; it is played on")

    def _lose(self, error: CaptureError) -> None:
        """Report a loss once: the retries that fail after it say nothing new."""
        if self.state == "running":
            self.losses += 1
        if self.state != "lost" and self._device.returns:
            silent = isinstance(error, SourceSilent)  # it is open, and nothing has to be tried
            self._notify(f"{error}" if silent else f"{error}; it is tried again until it works")
        self.state, self.error = "lost", error
