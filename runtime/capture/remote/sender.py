"""Who sends to a port: told by its address and the device id in its datagrams, not by the port it sends from."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

REMEMBERED = 8
STEADY = 3
"""As often must one port be among those remembered before others on its machine are another program's: some programs
send each datagram from a new port."""


class Sender:
    """Who has a port for itself. State: its address and device, and the ports that it sent from lately."""

    def __init__(self) -> None:
        self.host: str | None = None
        """Its address; None while there is none."""
        self.device = ""
        """What it calls itself; empty where the format has no place for that."""
        self._ports: deque[int] = deque(maxlen=REMEMBERED)
        self._steady: int | None = None

    def is_it(self, host: str, port: int, device: str, goes_on: Callable[[], bool]) -> bool:
        """Return whether a datagram is its next one. ``goes_on`` tells whether its time follows the one before: it is
        asked of a device that names itself, if it sends from another port."""
        if host != self.host or device != self.device or not self._ports:
            return False
        if port == self._ports[-1]:
            return True
        return goes_on() if device else self._steady in (None, port)

    def was_at(self, host: str, port: int) -> bool:
        """Return whether its last datagram came from there."""
        return host == self.host and bool(self._ports) and port == self._ports[-1]

    def note(self, host: str, port: int, device: str) -> None:
        """Take whoever sent a datagram that was understood as who has the port."""
        if (host, device) != (self.host, self.device):
            self._forget()
            self.host, self.device = host, device
        self._ports.append(port)
        if self._steady is None and self._ports.count(port) >= STEADY:
            self._steady = port

    def restart(self) -> None:
        """Forget its ports: after a silence it may have begun again on another."""
        self._forget()

    def _forget(self) -> None:
        self._ports.clear()
        self._steady = None
