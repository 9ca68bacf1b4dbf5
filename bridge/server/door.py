"""The listening sockets: who comes in, how fast, and how many at once.

One connection is taken at each turn of the event loop, so that a rush of them never stands before a frame that is due;
the rest waits in the system's queue. Open files never run out here: a reserve is kept, and whoever has not said yet
what it wants goes when there is no room (``arrivals.py``).
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import ssl
from collections.abc import Callable, Coroutine
from typing import Any

from facewire.bridge.server.access import is_wildcard, plain_name
from facewire.bridge.server.arrivals import address_key
from facewire.bridge.server.connection import Connection
from facewire.bridge.server.oncelog import OnceLog

BACKLOG = 1024
PAUSE_S = 0.25
"""How long nobody is let in when the system has no more files or memory."""
PORT_TRIES = 20
SPARE_FILES = 256
"""Files that are left to the rest of the process: takes, cameras, other programs."""
_NO_ROOM = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_NOT_HERE = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


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
            except OSError as error:  # Also a client that has gone again: then the next one.
                if error.errno in _NO_ROOM:
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


def listen(host: str, port: int) -> list[socket.socket]:
    """Return listening sockets for all addresses that ``host`` means, with one port for all of them. ``::`` is every
    address of both families.

    Raises:
        OSError: the address cannot be listened on.
    """
    for left in reversed(range(PORT_TRIES)):
        with contextlib.ExitStack() as opened:
            try:
                sockets = _bind_all(host, port, opened)
            except OSError as error:
                if port != 0 or error.errno != errno.EADDRINUSE or left == 0:
                    raise
                continue  # A free port of the one family, which the other does not have free.
            opened.pop_all()
            return sockets
    raise AssertionError("unreachable")


def _bind_all(host: str, port: int, opened: contextlib.ExitStack) -> list[socket.socket]:
    both = plain_name(host) in ("", "::")
    hosts = ["::", "0.0.0.0"] if both else [host]
    found = [info for name in hosts for info in _resolve(name, port)]
    sockets: list[socket.socket] = []
    missing: OSError | None = None
    for family, address in dict.fromkeys(found):
        try:
            listener = opened.enter_context(_bind(family, (address[0], port, *address[2:])))
        except OSError as error:
            if error.errno not in _NOT_HERE:
                raise
            missing = missing or error
            continue
        port = listener.getsockname()[1]
        sockets.append(listener)
    if not sockets:
        raise missing or OSError(errno.EADDRNOTAVAIL, "no such address")
    return sockets


def _resolve(host: str, port: int) -> list[tuple[int, tuple[Any, ...]]]:
    infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return [(family, address) for family, _, _, _, address in infos if family in (socket.AF_INET, socket.AF_INET6)]


def _bind(family: int, address: tuple[Any, ...]) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if hasattr(socket, "SO_REUSEADDR") and not hasattr(socket, "SO_EXCLUSIVEADDRUSE"):
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener


def url_host(host: str, addresses: list[str]) -> str:
    """Return how a client on this machine calls a server that was told to listen on ``host`` and has these addresses,
    as it is written in a URL."""
    name = plain_name(host)
    if not addresses:
        addresses = [host]
    if any(map(is_wildcard, addresses)):
        name = "127.0.0.1" if any("." in address or not address for address in addresses) else "::1"
    elif _is_address(name):
        name = host if "%" in host else name
    if ":" not in name:
        return name
    return f"[{name.replace('%25', '%').replace('%', '%25')}]"  # RFC 6874, 2


def _is_address(name: str) -> bool:
    return ":" in name or name.replace(".", "").isdigit()


def allow_open_files(count: int = 1 << 16) -> int | None:
    """Raise this process's limit of open files to all that the system allows, and return it: many default to 1024. None
    if there is no limit. Where all is no number, ``count`` is asked for."""
    try:
        import resource
    except ImportError:  # Windows has no such limit.
        return None
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for wanted in (hard, count, 10_240):  # The last is what macOS allows at most, though it calls it unlimited.
        if soft == resource.RLIM_INFINITY or (wanted != resource.RLIM_INFINITY and wanted <= soft):
            break
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
            break
    return None if soft == resource.RLIM_INFINITY else soft


def room_for_connections(files: int | None, wanted: int) -> int:
    """Return how many connections may be open at once if the process may have ``files`` open."""
    return wanted if files is None else max(8, min(wanted, files - min(SPARE_FILES, files // 4)))
