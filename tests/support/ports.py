"""Ports that nobody listens on."""

from __future__ import annotations

import socket


def free_udp_port() -> int:
    """Return a port of loopback that was free a moment ago."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
