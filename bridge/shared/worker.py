"""What the threads that do their work in turns share."""

from __future__ import annotations

import threading

from facewire.bridge.shared.clock import Clock

STOP_S = 0.5


class Worker:
    """A thread that waits for work and does it, turn by turn, until there is no more or it is stopped.

    A subclass says what a turn does; a test calls ``turn`` with times of its own, and needs no thread.
    """

    def __init__(self, name: str, clock: Clock) -> None:
        self._clock = clock
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"facewire-{name}", daemon=True)
        self.ended = threading.Event()
        """Set when there is no more to do, or after ``stop``."""

    def wait(self) -> None:
        """Return when there may be work, or after a while; ``wake`` makes it return at once."""
        raise NotImplementedError

    def turn(self, now_ns: int) -> bool:
        """Do what there is to do at ``now_ns``, without waiting for more; return False if there will be no more."""
        raise NotImplementedError

    def wake(self) -> None:
        """Have ``wait`` return."""

    def goes_on(self, error: Exception) -> bool:
        """Take note of what a turn raised; return False if that is the end."""
        raise error

    def finish(self) -> None:
        """Do what is left after the last turn, on the thread."""

    @property
    def done(self) -> bool:
        """Whether no more turns are to be made."""
        return self._stopping.is_set()

    @property
    def running(self) -> bool:
        """Whether the thread has started and not ended."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def stop(self, timeout_s: float = STOP_S) -> None:
        """End the thread and wait for that, but not for long; safe to call twice, without a start, and in a turn."""
        self._stopping.set()
        self.wake()
        self.join(timeout_s)
        self.ended.set()

    def join(self, timeout_s: float | None = None) -> bool:
        """Wait for the end of the thread; return whether it has ended."""
        if self.running and threading.current_thread() is not self._thread:
            self._thread.join(timeout_s)
        return not self.running

    def _run(self) -> None:
        try:
            while not self.done:
                try:
                    self.wait()
                    if not self.turn(self._clock()):
                        break
                except Exception as error:  # what it may outlive, the subclass knows
                    if not self.goes_on(error):
                        return
            self.finish()
        finally:
            self.ended.set()
