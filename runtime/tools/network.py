"""This machine's addresses, as the ways to others show them. Nothing is sent: a datagram socket looks up the way."""

from __future__ import annotations

import socket

ELSEWHERE = "192.0.2.1"
"""An address of nobody (RFC 5737), for the way out."""


def route_to(host: str) -> tuple[str, str]:
    """Return a host's IPv4 address and this machine's own on the way to it.

    Raises:
        OSError, UnicodeError: the host has no address.
    """
    address = socket.getaddrinfo(host, 9, socket.AF_INET, socket.SOCK_DGRAM)[0][4]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(address)
        return str(address[0]), str(probe.getsockname()[0])


def own_address() -> str:
    """Return this machine's address on its network, or its name if it is in none."""
    try:
        return route_to(ELSEWHERE)[1]
    except OSError:
        return socket.gethostname()
