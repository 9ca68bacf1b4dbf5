"""This machine's addresses, as the ways to others show them. Nothing is sent: a datagram socket looks up the way."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import struct

ELSEWHERE = "192.0.2.1"
"""An address of nobody (RFC 5737), for the way out."""
SIOCGIFADDR = 0x8915
"""Linux's question for an interface's address."""


def route_to(host: str) -> tuple[str, str]:
    """Return a host's IPv4 address and this machine's own on the way to it.

    Raises:
        OSError, UnicodeError: the host has no address.
    """
    address = socket.getaddrinfo(host, 9, socket.AF_INET, socket.SOCK_DGRAM)[0][4]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(address)
        return str(address[0]), str(probe.getsockname()[0])


def find_own_address() -> str | None:
    """Return the address under which others in its network reach this machine; None if it is in none."""
    try:
        address = route_to(ELSEWHERE)[1]
    except OSError:  # no way out into the world: a network of its own may be there all the same
        return next(iter(_addresses()), None)
    return None if ipaddress.ip_address(address).is_loopback else address


def own_address() -> str:
    """Return this machine's address on its network, or its name if it is in none."""
    return find_own_address() or socket.gethostname()


def _addresses() -> list[str]:
    """Return the IPv4 addresses of the interfaces that are up, without the loopback; of Linux, else by its own name."""
    found: list[str] = []
    with contextlib.suppress(OSError, UnicodeError):
        named = socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)
        found += [str(one[4][0]) for one in named]
    with contextlib.suppress(ImportError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        import fcntl

        for _, name in socket.if_nameindex():
            with contextlib.suppress(OSError):  # it has none
                reply = fcntl.ioctl(probe, SIOCGIFADDR, struct.pack("256s", name.encode()[:15]))
                found.append(socket.inet_ntoa(reply[20:24]))
    return [address for address in dict.fromkeys(found) if not ipaddress.ip_address(address).is_loopback]
