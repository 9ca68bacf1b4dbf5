"""Facewire's frame, wire format, client and server. Importing it is light: the parts load when they are first used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from facewire.bridge.shared.errors import CommandError, ConnectError, FacewireError, ServeError, WireError

if TYPE_CHECKING:
    from facewire.bridge.client import Client, connect
    from facewire.bridge.client_blocking import BlockingClient, connect_blocking
    from facewire.bridge.codec import Encoder, decode_frame, decode_message
    from facewire.bridge.config import ServerConfig
    from facewire.bridge.frame import FaceFrame, FlameParameters
    from facewire.bridge.protocol import Greeting
    from facewire.bridge.server import LiveServer
    from facewire.bridge.shared.arkit import BLENDSHAPE_INDEX, BLENDSHAPES

__all__ = [
    "BLENDSHAPES",
    "BLENDSHAPE_INDEX",
    "BlockingClient",
    "Client",
    "CommandError",
    "ConnectError",
    "Encoder",
    "FaceFrame",
    "FacewireError",
    "FlameParameters",
    "Greeting",
    "LiveServer",
    "ServeError",
    "ServerConfig",
    "WireError",
    "connect",
    "connect_blocking",
    "decode_frame",
    "decode_message",
]

_HOMES = {
    "BLENDSHAPES": "frame",
    "BLENDSHAPE_INDEX": "frame",
    "BlockingClient": "client_blocking",
    "Client": "client",
    "Encoder": "codec",
    "FaceFrame": "frame",
    "FlameParameters": "frame",
    "Greeting": "protocol",
    "LiveServer": "server",
    "ServerConfig": "config",
    "connect": "client",
    "connect_blocking": "client_blocking",
    "decode_frame": "codec",
    "decode_message": "codec",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"facewire.bridge.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
