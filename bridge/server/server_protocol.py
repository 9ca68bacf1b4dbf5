"""The server's side of one connection as pure logic: messages in, actions out; no socket, no clock, no thread.

``docs/wire.md`` is normative; its section numbers are cited where a branch rests on one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from facewire.bridge.shared.errors import WireError
from facewire.bridge.wire.codec import FORMATS, Format, Message, decode_message, holds_utf8, integer
from facewire.bridge.wire.messages import MAX_NAME_CHARACTERS, error_message, result_message
from facewire.bridge.wire.pacing import MessageBudget
from facewire.bridge.wire.streams import STREAMS, default_streams

CLIENT_MESSAGES_PER_S = 200.0
CLIENT_MESSAGE_BURST = 400

CLOSE_MALFORMED = 1007
CLOSE_POLICY = 1008


@dataclass(frozen=True, slots=True)
class Subscription:
    """What a connection wants to get."""

    streams: frozenset[str] = field(default_factory=lambda: frozenset(default_streams()))
    format: Format = "msgpack"
    max_rate: float | None = None
    """Frames a second at most; None for every frame."""


@dataclass(frozen=True, slots=True)
class Reply:
    """Send this message to the client, in its format."""

    message: Message


@dataclass(frozen=True, slots=True)
class Subscribe:
    """The client's subscription has changed to this."""

    subscription: Subscription


@dataclass(frozen=True, slots=True)
class Command:
    """Run this command and answer with ``result(id, ...)``."""

    id: int | str
    name: str
    args: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Close:
    """Close the connection with this websocket code."""

    code: int
    reason: str


Action: TypeAlias = Reply | Subscribe | Command | Close


class ServerProtocol:
    """One client's state: what it subscribed to and how many messages it may still send. Feed it messages, do what it
    returns."""

    def __init__(self, form: Format = "msgpack") -> None:
        """Take a client whose messages are written in ``form`` until it asks for another."""
        self.subscription = Subscription(format=form)
        self._form: Format = form
        self._budget = MessageBudget(CLIENT_MESSAGES_PER_S, CLIENT_MESSAGE_BURST)

    def receive(self, data: bytes | str, now_ns: int) -> list[Action]:
        """Return what to do about one whole websocket message that came at the session clock's ``now_ns``. It
        raises nothing."""
        if not self._budget.spend(now_ns):
            return _fatal("too_fast", f"more than {CLIENT_MESSAGES_PER_S:.0f} messages a second", CLOSE_POLICY)
        try:
            message = decode_message(data)
        except WireError as error:
            return _fatal("malformed", str(error), CLOSE_MALFORMED)
        try:
            return self._dispatch(message, now_ns)
        except WireError as error:
            return [Reply(error_message("bad_message", str(error)))]

    def _dispatch(self, message: Message, now_ns: int) -> list[Action]:
        kind = message["type"]
        if kind == "ping":
            return [Reply({"type": "pong", "client_ns": integer(message, "client_ns"), "server_ns": now_ns})]
        if kind == "subscribe":
            self.subscription = parse_subscribe(message, self._form)
            return [Subscribe(self.subscription)]
        if kind == "command":
            command = parse_command(message)
            if not _is_utf8([command.name, command.args]):
                why = "command: a text in it is not UTF-8: it holds half a surrogate pair"
                return [Reply(result_message(command.id, error=why))]
            return [command]
        return [Reply(error_message("unknown_type", f"unknown message type {kind[:MAX_NAME_CHARACTERS]!r}"))]


def parse_subscribe(message: Mapping[str, Any], default: Format = "msgpack") -> Subscription:
    """Return the subscription in a subscribe message, in the format ``default`` if it names none; unknown streams are
    skipped (wire.md, 3.2).

    Raises:
        WireError: a key has the wrong type or range.
    """
    streams, form, max_rate = message.get("streams"), message.get("format"), message.get("max_rate")
    streams = list(default_streams()) if streams is None else streams
    form = default if form is None else form
    if not isinstance(streams, list) or not all(isinstance(name, str) for name in streams):
        raise WireError("subscribe: streams must be a list of names")
    if form not in FORMATS:
        raise WireError(f"subscribe: format must be one of {', '.join(FORMATS)}")
    if max_rate is not None and (type(max_rate) not in (int, float) or not 0.1 <= max_rate <= 1000):
        raise WireError("subscribe: max_rate must be a number of 0.1 to 1000 frames a second")
    return Subscription(frozenset(streams).intersection(STREAMS), form, max_rate)


def parse_command(message: Mapping[str, Any]) -> Command:
    """Return the command in a command message (wire.md, 3.6).

    Raises:
        WireError: a key is missing or has the wrong type or length.
    """
    identity, name, args = message.get("id"), message.get("name"), message.get("args")
    args = {} if args is None else args
    if type(identity) is int:
        integer(message, "id")
    elif not isinstance(identity, str) or len(identity) > MAX_NAME_CHARACTERS or not _is_utf8(identity):
        raise WireError(f"command: id must be an integer or a text of at most {MAX_NAME_CHARACTERS} characters")
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME_CHARACTERS:
        raise WireError(f"command: name must be a text of 1 to {MAX_NAME_CHARACTERS} characters")
    if not isinstance(args, dict):
        raise WireError("command: args must be a map")
    return Command(identity, name, args)


def _is_utf8(value: Any) -> bool:
    try:
        return holds_utf8(value)
    except RecursionError:
        return False


def _fatal(code: str, message: str, close_code: int) -> list[Action]:
    return [Reply(error_message(code, message)), Close(close_code, message[:120])]
