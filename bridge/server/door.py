"""The listening sockets: who comes in, how fast, and how many at once.

One connection is taken at each turn of the event loop, so that a rush of them never stands before a frame that is due;
the rest waits in the system's queue. Open files never run out here: a reserve is kept, and whoever has not said yet
what it wants goes when there is no room (``arrivals.py``).
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable, Coroutine
from typing import Any

from facewire.bridge.server.arrival.arrivals import address_key
from facewire.bridge.server.arrival.sockets import listen
from facewire.bridge.server.connection import Connection
from facewire.bridge.server.oncelog import OnceLog

PAUSE_S = 0.25
"""How long nobody is let in when the system has no more files or memory."""
_GONE = (errno.ECONNABORTED, errno.ECONNRESET, errno.EPERM)
"""The client has hung up again, or a firewall keeps it out: then the next one."""


class Door:
    """Accepts connections. ``arrive`` makes one from its address, as its limits are counted."""

    def __init__(self, arrive: Callable[[str], Connection], log: OnceLog, handshake_timeout_s: float) -> None:
        self._arrive, self._log, self._handshake_timeout_s = arrive, log, handshake_timeout_s
        self._sockets: list[socket.socket] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def open(self, host: str, port: int, context: ssl.SSLContext | None) -> list[tuple[str, int]]:
        """Listen, and return addresses and port.

        Raises:
            OSError: the address cannot be listened on.
        """
        self._sockets = listen(host, port)
        for listener in self._sockets:
            self._start(self._accept(listener, context))
        return [listener.getsockname()[:2] for listener in self._sockets]

    def close(self) -> None:
        """Stop listening."""
        for task in self._tasks:
            task.cancel()
        for listener in self._sockets:
            listener.close()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self, listener: socket.socket, context: ssl.SSLContext | None) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                client, peer = await loop.sock_accept(listener)
            except OSError as error:
                if error.errno not in _GONE:
                    self._log.warning("accept", f"nobody is let in for a moment: {error.strerror}")
                    await asyncio.sleep(PAUSE_S)
            else:
                connection = self._arrive(address_key(str(peer[0])))
                self._start(self._hand_over(client, connection, context))
            await asyncio.sleep(0)

    async def _hand_over(self, client: socket.socket, connection: Connection, context: ssl.SSLContext | None) -> None:
        """Connect a socket with its protocol; with TLS after that handshake, which has a deadline of its own."""
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        if connection.is_gone or task is None:
            client.close()
            return
        connection.stop_arriving = task.cancel
        patience = None if context is None else self._handshake_timeout_s
        try:
            await loop.connect_accepted_socket(lambda: connection, client, ssl=context, ssl_handshake_timeout=patience)
        except (OSError, asyncio.TimeoutError, asyncio.CancelledError):
            connection.desk.lost(connection)  # The library does not say so of one that never came.
