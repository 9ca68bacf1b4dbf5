"""A raw client that talks: sends messages and waits for answers."""

from __future__ import annotations

import json
from typing import Any

from support.servers import RawClient

from facewire.bridge.wire.codec import decode_message


def next_message(client: RawClient, *kinds: str) -> dict[str, Any]:
    """Return the next message of these types, skipping others."""
    while True:
        opcode, payload = client.read_message()
        assert opcode in (1, 2), (opcode, payload)
        message = decode_message(payload.decode() if opcode == 1 else payload)
        if message["type"] in kinds:
            return message


def tell(client: RawClient, message: dict[str, Any] | str) -> None:
    """Send a message, or the text of one that no encoder would write."""
    client.send_frame(1, (message if isinstance(message, str) else json.dumps(message)).encode())


def ask(client: RawClient, name: str, args: Any = None, command_id: Any = 1) -> dict[str, Any]:
    """Run a command and return its answer, a result or an error."""
    tell(client, {"type": "command", "id": command_id, "name": name, **({} if args is None else {"args": args})})
    return next_message(client, "result", "error")
