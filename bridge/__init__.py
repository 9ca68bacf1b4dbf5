"""Facewire's frame, wire format, client and server. Importing it is light: the parts load when they are first used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from facewire.bridge.shared.errors import (
    BusyError,
    CommandError,
    ConnectError,
    FacewireError,
    NotReadyError,
    ServeError,
    WireError,
)

if TYPE_CHECKING:
    from facewire.bridge.client.blocking import BlockingClient, connect_blocking
    from facewire.bridge.client.client import Client, connect
    from facewire.bridge.server.config import ServerConfig
    from facewire.bridge.server.server import LiveServer
    from facewire.bridge.shared.arkit import BLENDSHAPE_INDEX, BLENDSHAPES
    from facewire.bridge.wire.codec import Encoder, decode_frame, decode_message
    from facewire.bridge.wire.frame import FaceFrame, FlameParameters
    from facewire.bridge.wire.messages import Greeting

__all__ = [
    "BLENDSHAPES",
    "BLENDSHAPE_INDEX",
    "BlockingClient",
    "BusyError",
    "Client",
    "CommandError",
    "ConnectError",
    "Encoder",
    "FaceFrame",
    "FacewireError",
    "FlameParameters",
    "Greeting",
    "LiveServer",
    "NotReadyError",
    "ServeError",
    "ServerConfig",
    "WireError",
    "connect",
    "connect_blocking",
    "decode_frame",
    "decode_message",
]

_HOMES = {
    "BLENDSHAPES": "shared.arkit",
    "BLENDSHAPE_INDEX": "shared.arkit",
    "BlockingClient": "client.blocking",
    "Client": "client.client",
    "Encoder": "wire.codec",
    "FaceFrame": "wire.frame",
    "FlameParameters": "wire.frame",
    "Greeting": "wire.messages",
    "LiveServer": "server.server",
    "ServerConfig": "server.config",
    "connect": "client.client",
    "connect_blocking": "client.blocking",
    "decode_frame": "wire.codec",
    "decode_message": "wire.codec",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"facewire.bridge.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
