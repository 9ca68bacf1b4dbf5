"""Fan-out: one frame to every subscriber, the newest if one is slow.

A server's websocket frames are not masked (RFC 6455, 5.1), so their bytes are the same for all who want the same
streams in the same format: they are built once and written straight to each transport that has drained. A subscriber
whose transport has not drained keeps one pending frame, replaced by each newer one (drop policy: newest wins, counted
as ``replaced``). Everything here runs on the event loop's thread.
"""

from __future__ import annotations

import contextlib
import socket
from dataclasses import dataclass
from typing import Any

from websockets.asyncio.server import ServerConnection
from websockets.frames import Frame, Opcode
from websockets.protocol import State

from facewire.bridge.server.server_protocol import ServerProtocol, Subscription
from facewire.bridge.shared.errors import WireError
from facewire.bridge.wire.codec import Encoder, Format, Message
from facewire.bridge.wire.frame import FaceFrame
from facewire.bridge.wire.pacing import SourceInterval, Thinner

UNSENT_BYTES = 8 * 1024
"""Bytes that the system may hold for a socket before they are sent: about twenty frames, so that a slow subscriber's
are not stale."""
REFUSALS_AT_ONCE = 64
"""Connections beyond the limit that may be in their handshake, to be told politely that the server is full."""


@dataclass(slots=True)
class FanoutCounts:
    """What happened to frames since the start."""

    published: int = 0
    overtaken: int = 0
    """Frames that a newer one replaced before the server's thread came to them."""
    refused: int = 0
    """Frames that could not be encoded: a wrong shape, or a number that is not finite."""
    sent: int = 0
    replaced: int = 0
    """Frames that a slow subscriber did not get because a newer one came."""
    stalled: int = 0
    """Subscribers dropped because they stopped reading."""


class Subscriber(ServerConnection):
    """One websocket connection, with the newest message of each kind that waits for its transport to drain."""

    def __init__(self, *args: Any, hub: Hub, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.hub = hub
        self.counts = hub.counts
        self.logic = ServerProtocol()
        self.thinner: Thinner | None = None
        self.pending: dict[str, bytes] = {}
        self.stalled_since_ns: int | None = None
        self.stalled_bytes = 0

    def connection_made(self, transport: Any) -> None:
        """Set up the socket, or hang up if the server has far too many open already."""
        super().connection_made(transport)
        limit_unsent(transport.get_extra_info("socket"))
        if not self.hub.admit(self):
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection and what was pending for it."""
        self.pending.clear()
        self.hub.release(self)
        super().connection_lost(exc)

    def offer(self, kind: str, data: bytes) -> bool:
        """Write ``data`` (whole websocket frames) now, or keep it as the pending one of its ``kind``. Say whether it
        was written."""
        if self.protocol.state is not State.OPEN:  # After a close frame nothing may follow (RFC 6455, 5.5.1).
            return False
        if self.paused:
            self.counts.replaced += kind in self.pending
            self.pending[kind] = data
            return False
        self.transport.write(data)
        return True

    def resume_writing(self) -> None:
        """Send what waited now that the transport has drained, oldest kind first, as far as it goes."""
        super().resume_writing()
        while self.pending and not self.paused and self.protocol.state is State.OPEN:
            kind = next(iter(self.pending))
            self.counts.sent += kind == "frame"
            self.transport.write(self.pending.pop(kind))

    def stalled_for_ns(self, now_ns: int) -> int:
        """Return how long the transport has taken nothing of what waits for it. Call it about once a second."""
        waiting = self.transport.get_write_buffer_size()
        if not self.paused or self.stalled_since_ns is None or waiting != self.stalled_bytes:
            self.stalled_since_ns = now_ns if self.paused else None
            self.stalled_bytes = waiting
        return 0 if self.stalled_since_ns is None else now_ns - self.stalled_since_ns


class Hub:
    """The open connections, the websockets among them, the subscribers among those grouped by what they want, and the
    counts of what they got."""

    def __init__(self, max_connections: int, counts: FanoutCounts) -> None:
        self.counts = counts
        self.open: set[Subscriber] = set()
        """Every TCP connection, those in their handshake and those about to be refused included."""
        self._placed: set[Subscriber] = set()
        self._max_connections = max_connections
        self._encoder = Encoder()
        self._interval = SourceInterval()
        self._groups: dict[tuple[frozenset[str], Format], set[Subscriber]] = {}
        self.streams: frozenset[str] = frozenset()
        """Streams that anybody wants now; other threads may read it."""

    def __len__(self) -> int:
        return sum(map(len, self._groups.values()))

    def claim_place(self, connection: Subscriber) -> bool:
        """Take one of the places for websockets; False when all are taken. ``release`` gives it back."""
        if len(self._placed) >= self._max_connections:
            return False
        self._placed.add(connection)
        return True

    def admit(self, connection: Subscriber) -> bool:
        """Take note of an open connection; False when there are so many that not even a polite refusal can be
        afforded."""
        self.open.add(connection)
        return len(self.open) <= self._max_connections + REFUSALS_AT_ONCE

    def release(self, connection: Subscriber) -> None:
        """Forget a connection that was lost."""
        self.open.discard(connection)
        self._placed.discard(connection)
        self.remove(connection)

    def put(self, subscriber: Subscriber, subscription: Subscription) -> None:
        """Add a subscriber, or move it to its new subscription."""
        self.remove(subscriber)
        rate = subscription.max_rate
        subscriber.thinner = None if rate is None else Thinner(rate)
        self._groups.setdefault((subscription.streams, subscription.format), set()).add(subscriber)
        self._note_streams()

    def remove(self, subscriber: Subscriber) -> None:
        """Forget a subscriber; one that is not there is fine."""
        for key, group in list(self._groups.items()):
            group.discard(subscriber)
            if not group:
                del self._groups[key]
        self._note_streams()

    def _note_streams(self) -> None:
        self.streams = frozenset().union(*(streams for streams, _ in self._groups))

    def send_frame(self, frame: FaceFrame, now_ns: int) -> None:
        """Offer ``frame`` to every subscriber that is due at the session clock's ``now_ns``.

        Raises:
            WireError: the frame cannot be encoded for some; the others got it.
        """
        interval_ns = self._interval.update(now_ns)
        failure: WireError | None = None
        for (streams, form), group in self._groups.items():
            due = [one for one in group if one.thinner is None or one.thinner.take(now_ns, interval_ns)]
            if not due:
                continue
            try:
                data = websocket_frame(self._encoder.frame(frame, streams, form), form)
            except WireError as error:
                failure = error
                continue
            self.counts.sent += sum([subscriber.offer("frame", data) for subscriber in due])
        if failure is not None:
            self.counts.refused += 1
            raise failure

    def send_message(self, kind: str, message: Message, stream: str | None = None) -> None:
        """Offer a message other than a frame to everybody; a newer one of the same ``kind`` replaces one that waits.

        With ``stream`` only who subscribed to that gets it, and only in msgpack: such messages carry bytes.

        Raises:
            WireError: it cannot be encoded.
        """
        encoded: dict[Format, bytes] = {}
        for (streams, form), group in self._groups.items():
            if stream is not None and (stream not in streams or form == "json"):
                continue
            if form not in encoded:
                encoded[form] = websocket_frame(self._encoder.message(message, form), form)
            for subscriber in group:
                subscriber.offer(kind, encoded[form])

    def payload(self, message: Message, form: Format) -> bytes | str:
        """Return a message as the library's ``send`` wants it: bytes go out as a binary message, text as a text
        message."""
        data = self._encoder.message(message, form)
        return data.decode() if form == "json" else data


def websocket_frame(payload: bytes, form: Format) -> bytes:
    """Return ``payload`` as one unmasked websocket frame: text for json, binary for msgpack."""
    return Frame(Opcode.TEXT if form == "json" else Opcode.BINARY, payload).serialize(mask=False)


def limit_unsent(sock: socket.socket | None) -> None:
    """Keep little in the system's send buffer beyond what the network has taken, so that a slow subscriber's frames are
    fresh."""
    if sock is None:
        return
    with contextlib.suppress(
        OSError, AttributeError
    ):  # Not every system has it; then the send buffer's size is the limit.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)
        return
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 64 * 1024)
