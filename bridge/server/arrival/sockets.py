"""Listening sockets: which addresses a host means, how it is called from here, and how many files may be open."""

from __future__ import annotations

import contextlib
import errno
import socket
from typing import Any

from facewire.bridge.server.arrival.names import is_wildcard, plain_name

BACKLOG = 1024
PORT_TRIES = 20
SPARE_FILES = 256
"""Files that are left to the rest of the process: takes, cameras, other programs."""
_NOT_HERE = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


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
