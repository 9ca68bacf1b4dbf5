"""This machine's addresses, as the ways to others show them. Nothing is sent to find them."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import struct
import sys
from pathlib import Path

ELSEWHERE = "192.0.2.1"
"""An address of nobody (RFC 5737), for the way out."""
SIOCGIFADDR = 0x8915
"""Linux's question for an interface's address."""
ROUTES = Path("/proc/net/route")


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
    """Return the address under which others in its network reach this machine; None if it is in none.

    Linux is asked for its interfaces; elsewhere a socket looks up the way to an address of nobody, and sends nothing.
    """
    by_interface = _interface_addresses()
    if by_interface is None:
        return _address_on_the_way_out()
    return by_interface.get(_interface_out(), next(iter(by_interface.values()), None))


def own_address() -> str:
    """Return this machine's address on its network, or its name if it is in none."""
    return find_own_address() or socket.gethostname()


def _interface_addresses() -> dict[str, str] | None:
    """Return the IPv4 addresses of the interfaces, without the loopback; None where there is no such question."""
    if not sys.platform.startswith("linux"):
        return None
    import fcntl

    found = {}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            with contextlib.suppress(OSError):  # it has none
                reply = fcntl.ioctl(probe, SIOCGIFADDR, struct.pack("256s", name.encode()[:15]))
                found[name] = socket.inet_ntoa(reply[20:24])
    return {name: address for name, address in found.items() if not ipaddress.ip_address(address).is_loopback}


def _interface_out() -> str:
    """Return the interface that leads out into the world, by Linux's table of routes; empty if none does."""
    with contextlib.suppress(OSError):
        for line in ROUTES.read_text("utf-8").splitlines()[1:]:
            interface, destination = line.split()[:2]
            if int(destination, 16) == 0:
                return interface
    return ""


def _address_on_the_way_out() -> str | None:
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((ELSEWHERE, 9))
        address = str(probe.getsockname()[0])
        return None if ipaddress.ip_address(address).is_loopback else address
    return None
