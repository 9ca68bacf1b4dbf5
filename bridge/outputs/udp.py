"""Datagrams to one receiver, without ever waiting for it."""

from __future__ import annotations

import contextlib
import socket

from facewire.bridge.outputs.base import OutputError


class UdpSender:
    """A socket that is connected to one address, so that nothing is looked up for each datagram and a receiver that is
    not there makes itself known (ICMP port unreachable) if it is on this machine.

    ``send`` raises nothing: a frame may need several datagrams, and the rest are worth sending. After the last one call
    ``settle``, which raises what went wrong.
    """

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port
        self.sent = 0
        """Datagrams that the system took."""
        self.refused = 0
        """Datagrams that it did not take, or that nobody was there for."""
        self._socket: socket.socket | None = None
        self._problem: OSError | None = None

    def open(self) -> None:
        """Look the host up, once.

        Raises:
            OutputError: there is no such host, or no way to it.
        """
        try:
            found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_DGRAM)
            # A name such as localhost has both; nobody answers a datagram, and these programs listen on IPv4.
            family, kind, protocol, _, address = min(found, key=lambda one: one[0] != socket.AF_INET)
            sender = socket.socket(family, kind, protocol)
        except (OSError, UnicodeError) as error:
            raise OutputError(f"cannot send to {self}: {getattr(error, 'strerror', None) or error}") from None
        try:
            sender.setblocking(False)
            sender.connect(address)
        except OSError as error:
            sender.close()
            raise OutputError(f"cannot send to {self}: {error.strerror or error}") from None
        self._socket = sender

    def way(self) -> tuple[str, str]:
        """Return this machine's own address on the way to the receiver, and the receiver's."""
        assert self._socket is not None, "call open first"
        return str(self._socket.getsockname()[0]), str(self._socket.getpeername()[0])

    def send(self, data: bytes | bytearray | memoryview) -> bool:
        """Send one datagram; False if it could not be sent, or the one before it was refused."""
        assert self._socket is not None, "call open first"
        try:
            self._socket.send(data)
        except ConnectionRefusedError as error:
            # It belongs to an earlier datagram, and this one was not sent: the receiver may be there by now.
            self._note(error)
            with contextlib.suppress(OSError):
                self._socket.send(data)
            return False
        except OSError as error:
            self._note(error)
            return False
        self.sent += 1
        return True

    def settle(self) -> None:
        """Forget what went wrong since the last call, and raise it.

        Raises:
            OSError: a datagram was not sent, or nobody was there to get it.
        """
        problem, self._problem = self._problem, None
        if problem is not None:
            raise problem

    def close(self) -> None:
        """Close the socket; safe to call twice."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def _note(self, problem: OSError) -> None:
        self.refused += 1
        self._problem = problem
