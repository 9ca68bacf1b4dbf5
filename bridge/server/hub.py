"""Fan-out: one frame to every subscriber, the newest if one is slow.

A server's websocket frames are not masked (RFC 6455, 5.1), so their bytes are the same for all who want the same
streams in the same format: they are built once and written straight to each transport that has drained. A subscriber
whose transport has not drained keeps one pending frame, replaced by each newer one (drop policy: newest wins, counted
as ``replaced``). Everything here runs on the event loop's thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import deque
from dataclasses import dataclass

from websockets.frames import Frame, Opcode

from facewire.bridge.server.server_protocol import Subscription
from facewire.bridge.shared.errors import WireError
from facewire.bridge.wire.codec import Encoder, Format, Message
from facewire.bridge.wire.frame import FaceFrame
from facewire.bridge.wire.messages import MAX_SERVER_MESSAGE_BYTES
from facewire.bridge.wire.pacing import SourceInterval, Thinner

UNSENT_BYTES = 8 * 1024
"""Bytes that the system may hold for a socket before they are sent: about twenty frames, so that a slow subscriber's
are not stale."""
SLOWEST = 3
"""How many times the limit for taking nothing at all a client may need to take all that it is owed."""


NO_TRANSPORT = asyncio.Transport()

MOST_LOST = 8
"""Parts that are remembered for the log; the rest of them are as wrong, and forgotten."""


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


class Subscriber:
    """The sending side of one websocket: what it owes waits here, bounded, until its transport has drained.

    Frames and the like: the newest of each kind (``offer``). Replies, which are never dropped: they are few, as the
    connection reads nothing more from a client that has not taken them (``reply``). What was handed to the transport is
    counted in bytes, whatever it was, and a client that takes none of them for too long is ``overdue``.
    """

    def __init__(self, counts: FanoutCounts) -> None:
        self.counts = counts
        self.transport: asyncio.Transport = NO_TRANSPORT
        self.is_open = False
        """Whether websocket messages may be sent: after the handshake, and before a close frame (RFC 6455, 5.5.1)."""
        self.paused = False
        """Whether something waits for the transport to drain."""
        self.thinner: Thinner | None = None
        self.pending: dict[str, bytes] = {}
        self._replies: deque[bytes] = deque()
        self._written = 0
        self._drained = 0
        self._taken = (0, 0)
        self._owing_since_ns: int | None = None
        self._stalled_since_ns = 0

    def write(self, data: bytes) -> None:
        """Hand bytes to the transport; all that leaves goes through here."""
        self._written += len(data)
        self.transport.write(data)

    def offer(self, kind: str, data: bytes) -> bool:
        """Write ``data`` (whole websocket frames) now, or keep it as the pending one of its ``kind``. Say whether it
        was written."""
        if not self.is_open:
            return False
        if self.paused:
            self.counts.replaced += kind in self.pending
            self.pending[kind] = data
            return False
        self.write(data)
        return True

    def reply(self, data: bytes) -> None:
        """Write ``data`` (whole websocket frames) now, or as soon as there is room."""
        if self.paused:
            self._replies.append(data)
        elif self.is_open:
            self.write(data)

    def send_waiting(self) -> None:
        """Send what waited, now that the transport has drained, as far as it goes: replies first, then the oldest
        kind."""
        self._drained += 1
        while self._replies and self.is_open and not self.paused:
            self.write(self._replies.popleft())
        while self.pending and self.is_open and not self.paused:
            kind = next(iter(self.pending))
            self.counts.sent += kind == "frame"
            self.write(self.pending.pop(kind))

    def forget_waiting(self) -> None:
        """Drop all that waited: nobody takes it any more."""
        self.pending.clear()
        self._replies.clear()

    def overdue(self, now_ns: int, limit_ns: int) -> bool:
        """Say whether the client has taken nothing of what it is owed for ``limit_ns``, or has not taken all of it for
        three times as long. Call it about once a second."""
        if not self.paused:  # Also before there is a transport.
            self._owing_since_ns = None
            return False
        taken = self._drained, self._written - self.transport.get_write_buffer_size()
        if self._owing_since_ns is None or taken[0] != self._taken[0]:
            self._owing_since_ns = self._stalled_since_ns = now_ns
        elif taken != self._taken:
            self._stalled_since_ns = now_ns
        self._taken = taken
        return now_ns - self._stalled_since_ns >= limit_ns or now_ns - self._owing_since_ns >= SLOWEST * limit_ns


class Hub:
    """The websockets, the subscribers among them grouped by what they want, and the counts of what they got."""

    def __init__(self, max_connections: int, counts: FanoutCounts) -> None:
        self.counts = counts
        self._placed: set[Subscriber] = set()
        self._max_connections = max_connections
        self._encoder = Encoder()
        self.lost: list[str] = []
        """Parts of the last messages that could not be written, until somebody takes note of them."""
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

    def release(self, connection: Subscriber) -> None:
        """Forget a connection that was lost."""
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
                data = websocket_frame(self._sized("frame", self._encoder.frame(frame, streams, form)), form)
            except WireError as error:
                failure = error
                continue
            self.counts.sent += sum(subscriber.offer("frame", data) for subscriber in due)
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
                encoded[form] = websocket_frame(self._encoded(message, form), form)
            for subscriber in group:
                subscriber.offer(kind, encoded[form])

    def reply(self, message: Message, form: Format) -> bytes:
        """Return a message for one client as a whole websocket frame.

        Raises:
            WireError: it cannot be encoded, or is too large.
        """
        return websocket_frame(self._encoded(message, form), form)

    def _encoded(self, message: Message, form: Format) -> bytes:
        """Encode what the runtime says of itself: a part that cannot be written must not take the others with it."""
        data, lost = self._encoder.lenient(message, form)
        self.lost += lost[: MOST_LOST - len(self.lost)]
        return self._sized(str(message.get("type")), data)

    @staticmethod
    def _sized(kind: str, data: bytes) -> bytes:
        if len(data) > MAX_SERVER_MESSAGE_BYTES:
            raise WireError(f"a {kind} message of {len(data)} bytes is too large to send: no client need read it")
        return data


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
