"""Whose an address is: only its own machine's and named ones are believed."""

from __future__ import annotations

import contextlib
import ipaddress
import socket


def is_own(address: str) -> bool:
    """Say whether ``address`` is one of this machine's: what comes by the network may come from anybody in it."""
    if address.startswith("127."):
        return True
    with contextlib.suppress(OSError, UnicodeError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((address, 0))
        return address != "0.0.0.0"
    return False


def addresses_of(host: str) -> set[str]:
    """Return a host's IPv4 addresses; none if it has none."""
    with contextlib.suppress(OSError, UnicodeError):
        return {str(found[4][0]) for found in socket.getaddrinfo(host, None, socket.AF_INET, socket.SOCK_DGRAM)}
    return set()


def share_network(own: str, other: str) -> bool:
    """Return whether the IPv4 address ``other`` is in the network of this machine's interface that has ``own``.

    Raises:
        ImportError: ifaddr, which comes with zeroconf, is not installed.
    """
    import ifaddr

    for adapter in ifaddr.get_adapters():
        for address in adapter.ips:
            if address.ip == own:
                network = ipaddress.ip_network(f"{own}/{address.network_prefix}", strict=False)
                return ipaddress.ip_address(other) in network
    return False
