"""Where VTube Studio's API is: it says so itself by UDP, every two seconds, to everybody in the network.

Source: DenchiSoft/VTubeStudio's README ("API Server Discovery (UDP)"). Our port for it is open only while nobody is
where VTube Studio usually is, and only what the machine sends that the output is for is believed.
"""

from __future__ import annotations

import contextlib
import json
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass

from facewire.bridge.outputs.addresses import addresses_of, is_own
from facewire.bridge.outputs.vts.api import API_NAME
from facewire.bridge.shared.clock import NS_PER_S, Clock

PORT = 47779
KIND = "VTubeStudioAPIStateBroadcast"
LISTEN_NS = round(2.5 * NS_PER_S)
"""A little longer than from one announcement to the next."""
WAIT_S = 0.1
MAX_DATAGRAMS = 1000
"""That are looked at; whoever sends so many wants that nobody else is heard."""
MAX_BYTES = 2048


@dataclass(frozen=True, slots=True)
class Announcement:
    """What VTube Studio says of its API."""

    port: int
    active: bool
    """Whether "Start API" is on."""


def listen(host: str, clock: Clock, stopped: Callable[[], bool], port: int = PORT) -> Announcement | None:
    """Return what VTube Studio on ``host`` announces, one that is on before one that is off; None if it is silent.

    Takes ``LISTEN_NS`` at most; other plug-ins may listen too.
    """
    heard: Announcement | None = None
    allowed, end_ns = addresses_of(host), clock() + LISTEN_NS
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        _share(one)
        one.bind(("", port))  # a broadcast comes to no narrower one
        one.settimeout(WAIT_S)
        for _ in range(MAX_DATAGRAMS):
            if clock() >= end_ns or stopped():
                break
            try:
                data, sender = one.recvfrom(MAX_BYTES)
            except TimeoutError:
                continue
            except ConnectionError:
                continue  # Windows says so of a datagram that is too long, or that nobody wanted
            found = parse(data) if _is_of(str(sender[0]), allowed) else None
            if found is not None and found.active:
                return found
            heard = found or heard
    return heard


def parse(data: bytes) -> Announcement | None:
    """Return what a datagram announces; None if it is no announcement."""
    try:
        message = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(message, dict) or message.get("apiName") != API_NAME or message.get("messageType") != KIND:
        return None
    said = message.get("data")
    if not isinstance(said, dict) or type(port := said.get("port")) is not int or not 0 < port < 65536:
        return None
    return Announcement(port, said.get("active") is True)


def _is_of(sender: str, allowed: set[str]) -> bool:
    """Whether a datagram is of the machine that is meant; this one sends under any of its addresses."""
    return sender in allowed or (any(map(is_own, allowed)) and is_own(sender))


def _share(one: socket.socket) -> None:
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if sys.platform == "darwin":  # elsewhere that would share datagrams out among those who listen
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
