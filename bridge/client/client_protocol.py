"""The client's side of one connection as pure logic: messages in, frames and replies out; no socket, no clock."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from facewire.bridge.shared.errors import ConnectError, WireError
from facewire.bridge.wire.codec import Encoder, Message, decode_frame, decode_message
from facewire.bridge.wire.frame import FaceFrame
from facewire.bridge.wire.messages import MAX_CLIENT_MESSAGE_BYTES, MAX_NAME_CHARACTERS, PROTOCOL_VERSION
from facewire.bridge.wire.pacing import ClockEstimate
from facewire.bridge.wire.streams import extra_streams


class ClientProtocol:
    """What a client knows about its server. State: hello, the newest status, and within a session the clock
    estimate and the last ``seq``."""

    def __init__(self) -> None:
        self.hello: Message | None = None
        self.status: Message | None = None
        self.error: Message | None = None
        """The newest error message of the server."""
        self.clock = ClockEstimate()
        self.latency_ns: int | None = None
        """From publish to arrival of the newest frame, by the estimated server clock; None before the first pong."""
        self.received = 0
        self.missed = 0
        """Frames of the server's that never came, seen as gaps in ``seq``; thinning to a ``max_rate`` counts too."""
        self._last_seq: int | None = None
        self._extra = extra_streams()

    def receive(self, data: bytes | str, now_ns: int) -> FaceFrame | Message | None:
        """Take one message at the client clock's ``now_ns``; return a frame, a result message, or None if state says
        it all.

        Raises:
            WireError: the message breaks the protocol.
            ConnectError: the server speaks another version of it.
        """
        message = decode_message(data)
        kind = message["type"]
        if kind == "frame":
            return self._on_frame(decode_frame(message, self._extra), now_ns)
        if kind == "result":
            if type(message.get("id")) is not int:  # As all of ours are.
                raise WireError("result: id must be the command's")
            return message
        if kind == "hello":
            self._on_hello(_present(message))
        elif kind == "pong":
            self._on_pong(message, now_ns)
        elif kind == "status":
            self.status = _present(message)
        elif kind == "error":
            self.error = message
        return None  # Unknown types are skipped (wire.md, 2).

    def _on_frame(self, frame: FaceFrame, now_ns: int) -> FaceFrame:
        if self._last_seq is not None and frame.seq > self._last_seq:
            self.missed += frame.seq - self._last_seq - 1
        self._last_seq = frame.seq
        self.received += 1
        if self.clock.round_trip_ns is not None:
            self.latency_ns = now_ns + self.clock.offset_ns - frame.publish_ns
        return frame

    def _on_hello(self, message: Message) -> None:
        if message.get("protocol") != PROTOCOL_VERSION:
            theirs = message.get("protocol")
            raise ConnectError(
                f"the server speaks protocol {theirs!r}, this client {PROTOCOL_VERSION}: update the older one"
            )
        if self.hello is not None and message.get("session") != self.hello.get("session"):
            self.clock, self.latency_ns, self._last_seq = ClockEstimate(), None, None  # Begun again (wire.md, 3.1).
        self.hello = message
        self._extra = extra_streams(message)

    def _on_pong(self, message: Message, now_ns: int) -> None:
        sent_ns, server_ns = message.get("client_ns"), message.get("server_ns")
        if type(sent_ns) is not int or type(server_ns) is not int:
            raise WireError("pong: client_ns and server_ns must be integers")
        self.clock.update(sent_ns, server_ns, now_ns)


def ping_message(now_ns: int) -> Message:
    """Return a ping that leaves at the client clock's ``now_ns``."""
    return {"type": "ping", "client_ns": now_ns}


def command_data(encoder: Encoder, command_id: int, name: str, args: Mapping[str, Any] | None) -> bytes:
    """Return a command message, packed.

    Raises:
        WireError: a server could not read it (wire.md, 3.6 and 4), and would answer without its id or close.
    """
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME_CHARACTERS:
        raise WireError(f"its name must be a text of 1 to {MAX_NAME_CHARACTERS} characters")
    if args is not None and not isinstance(args, Mapping):
        raise WireError("its args must be a map")
    data = encoder.message({"type": "command", "id": command_id, "name": name, "args": dict(args or {})})
    if len(data) > MAX_CLIENT_MESSAGE_BYTES:
        raise WireError(f"it has {len(data)} bytes, and a message may have {MAX_CLIENT_MESSAGE_BYTES}")
    decode_message(data)  # what msgpack can carry and a message cannot: keys that are no texts
    return data


def subscribe_message(streams: Collection[str] | None, max_rate: float | None) -> Message | None:
    """Return the subscribe message for these wishes, or None if they are the default."""
    message: dict[str, Any] = {"type": "subscribe"}
    if streams is not None:
        message["streams"] = list(streams)
    if max_rate is not None:
        message["max_rate"] = max_rate
    return message if len(message) > 1 else None


def _present(message: Message) -> Message:
    """Return a message without its keys that are nil: they are absent (wire.md, 2)."""
    return {key: value for key, value in message.items() if value is not None}
