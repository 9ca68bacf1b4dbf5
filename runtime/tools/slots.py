"""The hand-over between two threads: one value, the newest."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

T = TypeVar("T")


class NewestSlot(Generic[T]):
    """Holds at most one value. ``put`` never waits; it replaces what nobody has taken (drop policy: newest wins)."""

    def __init__(self) -> None:
        self._ready = threading.Condition()
        self._value: T | None = None
        self._closed = False
        self.dropped = 0
        """Values that were replaced before anybody took them."""

    def put(self, value: T) -> T | None:
        """Hand ``value`` over; return the one that it replaced, so that its buffer can be used again."""
        with self._ready:
            replaced, self._value = self._value, value
            if replaced is not None:
                self.dropped += 1
            self._ready.notify()
            return replaced

    def wait(self, timeout_s: float) -> None:
        """Wait until there is something to take or nothing more will come, or for ``timeout_s``."""
        with self._ready:
            self._ready.wait_for(lambda: self._value is not None or self._closed, timeout_s)

    def take(self, timeout_s: float | None = None) -> T | None:
        """Take the newest value, waiting for one; None after ``timeout_s``, or once the slot is closed and empty."""
        with self._ready:
            self._ready.wait_for(lambda: self._value is not None or self._closed, timeout_s)
            value, self._value = self._value, None
            return value

    def close(self) -> None:
        """Say that nothing more will come; waiting threads wake up."""
        with self._ready:
            self._closed = True
            self._ready.notify_all()

    @property
    def exhausted(self) -> bool:
        """Whether the slot is closed and its last value taken."""
        with self._ready:
            return self._closed and self._value is None
