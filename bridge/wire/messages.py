"""What both ends of a connection, and files, say in the same words: versions and paths, hello, result and error.

``docs/wire.md`` is normative; its section numbers are cited where a line rests on one.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any

from facewire.bridge.shared.arkit import BLENDSHAPES
from facewire.bridge.wire.codec import Message
from facewire.bridge.wire.streams import extra_streams, offered_streams

PROTOCOL_VERSION = 1
SUBPROTOCOL = "facewire.v1"
LIVE_PATH = "/v1/live"
MAX_CLIENT_MESSAGE_BYTES = 64 * 1024
MAX_SERVER_MESSAGE_BYTES = 1024 * 1024
MAX_NAME_CHARACTERS = 64
"""Of a command's name, and of its id if that is a text."""


@dataclass(frozen=True, slots=True)
class Greeting:
    """What the server says about itself in every hello."""

    session: str = field(default_factory=lambda: str(uuid.uuid4()))
    """UUID of the session; clients tell a restart by it."""
    rate: float = 0.0
    """Frames a second that the source is expected to give; 0 when it is not known."""
    streams: tuple[str, ...] = field(default_factory=offered_streams)
    """Streams that this server can give."""
    flame: Mapping[str, Any] | None = None
    """Which FLAME the stream of that name is in; None if there is none."""

    def message(self, clock_ns: int) -> Message:
        """Return the hello message (wire.md, 3.1) at the session clock's ``clock_ns``."""
        extra = {name: stream.announcement() for name, stream in extra_streams().items() if name in self.streams}
        return {
            "type": "hello",
            "protocol": PROTOCOL_VERSION,
            "server": f"facewire/{version()}",
            "session": self.session,
            "blendshapes": list(BLENDSHAPES),
            "streams": list(self.streams),
            "clock_ns": clock_ns,
            "rate": float(self.rate),
            **({} if self.flame is None else {"flame": dict(self.flame)}),
            **({"extra": extra} if extra else {}),
        }


def error_message(code: str, message: str) -> Message:
    """Return an error message (wire.md, 3.8)."""
    return {"type": "error", "code": code, "message": message}


def result_message(
    command_id: int | str,
    *,
    error: str | None = None,
    code: str | None = None,
    value: Mapping[str, Any] | None = None,
) -> Message:
    """Return a result message (wire.md, 3.7): ok unless there is an ``error``, which may have a ``code``."""
    message: Message = {"type": "result", "id": command_id, "ok": error is None}
    if error is not None:
        message["error"] = error
        if code is not None:
            message["code"] = code
    elif value is not None:
        message["value"] = dict(value)
    return message


def version() -> str:
    """Return the installed version of Facewire."""
    try:
        return metadata.version("facewire")
    except metadata.PackageNotFoundError:  # Run from a source tree that was never installed.
        return "0"
