"""One connection, from its first byte to its last: the HTTP request, then the websocket or an answer.

The websocket's frames are read by the library's pure core (``websockets.server.ServerProtocol``); the transport is
ours, so that nothing is read from a client that has not taken what it is owed, pongs included.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections import deque
from collections.abc import Callable
from typing import Protocol

from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol as WebSocket

from facewire.bridge.server.arrival.request import (
    HEAD_END,
    MAX_HEAD_BYTES,
    Answer,
    Refusal,
    Request,
    doubt,
    malformed,
    parse_head,
)
from facewire.bridge.server.hub import NO_TRANSPORT, FanoutCounts, Subscriber, limit_unsent
from facewire.bridge.server.server_protocol import CLOSE_POLICY, ServerProtocol
from facewire.bridge.wire.messages import MAX_CLIENT_MESSAGE_BYTES
from facewire.bridge.wire.pacing import MessageBudget

CLOSE_TIMEOUT_S = 0.5
LINGER_S = 5.0
"""How long a client may take to read the end of an answer and to hang up."""
SLICE_BYTES = 2 * 1024
"""What is read in one turn of the event loop, so that no client holds it up; the pongs that answer it are not more."""
CHUNK_BYTES = 32 * 1024
"""What of a page is handed to the transport at once."""
FRAMES_PER_S = 1000.0
FRAME_BURST = 2000
MAX_COMMANDS_PER_CONNECTION = 8


class Desk(Protocol):
    """Whom a connection asks and tells."""

    server_name: str
    counts: FanoutCounts

    def now_ns(self) -> int:
        """Return the session clock."""

    def decide(self, connection: Connection, request: Request | Refusal) -> Answer | str:
        """Return the answer to a request, or the Sec-WebSocket-Accept of a websocket that is let in."""

    def opened(self, connection: Connection) -> None:
        """Greet a new websocket."""

    def received(self, connection: Connection, data: bytes | str) -> None:
        """Act on a message."""

    def closing(self, connection: Connection) -> None:
        """Send no more frames to it."""

    def lost(self, connection: Connection) -> None:
        """Forget a connection."""


class Connection(Subscriber, asyncio.Protocol):
    """A client's connection. All methods run on the event loop's thread."""

    def __init__(self, desk: Desk, address: str) -> None:
        super().__init__(desk.counts)
        self.desk = desk
        self.address = address
        """What its limits are counted under."""
        self.logic = ServerProtocol()
        self.subprotocol: str | None = None
        self.commands = 0
        """How many of its commands are in work."""
        self.is_gone = False
        self.stop_arriving: Callable[[], object] | None = None
        """Ends what comes before ``connection_made``, TLS's handshake above all."""
        self._socket: WebSocket | None = None
        self._answered = False
        self._unread = bytearray()
        self._frames: deque[Frame] = deque()
        self._message = bytearray()
        self._is_text = False
        self._budget = MessageBudget(FRAMES_PER_S, FRAME_BURST)
        self._body = memoryview(b"")
        self._lingering = False
        self._timer: asyncio.TimerHandle | None = None
        self._turn: asyncio.Handle | None = None
        self._ping: tuple[int, bool] | None = None

    # What the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Set up the socket."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.set_write_buffer_limits(1, 0)  # Paused as soon as anything waits: the newest frame is kept instead.
        limit_unsent(transport.get_extra_info("socket"))
        self.stop_arriving = None
        if self.is_gone:
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """Forget everything."""
        self.is_gone, self.is_open = True, False
        self.forget_waiting()
        self._unread.clear()
        self._frames.clear()
        self._body = memoryview(b"")
        if self._timer is not None:
            self._timer.cancel()
        self.desk.lost(self)

    def data_received(self, data: bytes) -> None:
        """Read on: a request's head, then websocket frames."""
        if self._answered:
            return  # Whatever follows a request that got its answer, such as a body.
        self._unread += data
        if self._socket is None:
            self._read_head()
        else:
            self.read_on()

    def eof_received(self) -> bool:
        """Note that the client sends no more; say whether it still gets something."""
        if self._socket is not None:
            self._unread.clear()
            self._socket.receive_eof()
            self._after_reading()
            return False
        return self._answered and not self._lingering

    def pause_writing(self) -> None:
        """Note that something waits."""
        self.paused = True

    def resume_writing(self) -> None:
        """Send what waited, and go on reading if that was all."""
        self.paused = False
        self.send_waiting()
        if self._answered:
            self._send_body()
        elif self._socket is not None:
            self.read_on()

    # The request

    def _read_head(self) -> None:
        end = self._unread.find(HEAD_END, 2 if self._unread.startswith(b"\r\n") else 0) + len(HEAD_END)
        request: Request | Refusal | None
        if end < len(HEAD_END):
            request = doubt(bytes(self._unread))
        elif end > MAX_HEAD_BYTES:
            request = malformed("The request's head is too long.")
        else:
            request = parse_head(bytes(self._unread[:end]))
        if request is None:
            return
        decision = self.desk.decide(self, request)
        if isinstance(decision, Answer):
            is_head = isinstance(request, Request) and request.method == "HEAD"
            self._answered = True
            self._unread.clear()
            if decision.hold_s > 0:
                self._timer = asyncio.get_running_loop().call_later(decision.hold_s, self._answer, decision, is_head)
            else:
                self._answer(decision, is_head)
            return
        del self._unread[:end]
        self._open(decision)

    def _answer(self, answer: Answer, is_head: bool) -> None:
        self._timer = None
        if self.transport.is_closing():
            return
        self._body = memoryview(b"" if is_head else answer.body)
        first, self._body = self._body[:CHUNK_BYTES], self._body[CHUNK_BYTES:]
        self.write(answer.head(self.desk.server_name) + bytes(first))
        self._send_body()

    def _send_body(self) -> None:
        while self._body and not self.paused:
            first, self._body = self._body[:CHUNK_BYTES], self._body[CHUNK_BYTES:]
            self.write(bytes(first))
        if not self._body and not self.paused and self._timer is None:
            self._lingering = True
            self._hang_up_politely(LINGER_S)

    def _open(self, accept: str) -> None:
        lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"]
        lines += [f"Sec-WebSocket-Accept: {accept}", f"Server: {self.desk.server_name}"]
        if self.subprotocol is not None:
            lines.append(f"Sec-WebSocket-Protocol: {self.subprotocol}")
        self._socket = WebSocket(state=State.OPEN, max_size=MAX_CLIENT_MESSAGE_BYTES)
        self.is_open = True
        self.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
        self.desk.opened(self)
        self.read_on()

    # The websocket

    def read_on(self) -> None:
        """Act on what has come, while the client owes us no reading and not too many of its commands are in work."""
        if self._unread and not self._frames and not self._is_blocked():
            piece = bytes(self._unread[:SLICE_BYTES])
            del self._unread[:SLICE_BYTES]
            assert self._socket is not None
            self._socket.receive_data(piece)
            self._after_reading()
        while self._frames and not self._is_blocked():
            self._take(self._frames.popleft())
        if self.transport.is_closing():
            return
        if self._is_blocked() or self._unread:
            self.transport.pause_reading()
        else:
            self.transport.resume_reading()
        if self._unread and not self._is_blocked() and self._turn is None:
            self._turn = asyncio.get_running_loop().call_soon(self._next_turn)

    def _next_turn(self) -> None:
        self._turn = None
        self.read_on()

    def _is_blocked(self) -> bool:
        return self.paused or self.commands >= MAX_COMMANDS_PER_CONNECTION

    def _after_reading(self) -> None:
        """Take the frames that were read, and send what the library answers by itself: pongs and closing frames."""
        assert self._socket is not None
        self._frames.extend(event for event in self._socket.events_received() if isinstance(event, Frame))
        self._flush()

    def _flush(self) -> None:
        assert self._socket is not None
        for data in self._socket.data_to_send():
            if data:
                self.write(data)
            else:
                self._hang_up_politely(CLOSE_TIMEOUT_S)
        if self.is_open and self._socket.state is not State.OPEN:
            self._stop_sending()

    def _take(self, frame: Frame) -> None:
        if not self._budget.spend(self.desk.now_ns()):
            self.close(CLOSE_POLICY, f"more than {FRAMES_PER_S:.0f} websocket frames a second")
            return
        if frame.opcode is Opcode.PONG and self._ping is not None:
            self._ping = self._ping[0], bytes(frame.data) == struct.pack("!Q", self._ping[0]) or self._ping[1]
        if frame.opcode in (Opcode.TEXT, Opcode.BINARY):
            self._is_text = frame.opcode is Opcode.TEXT
        elif frame.opcode is not Opcode.CONT:
            return
        self._message += frame.data
        if not frame.fin or not self.is_open:
            return
        data = bytes(self._message)
        self._message.clear()
        try:
            message = data.decode() if self._is_text else data
        except UnicodeDecodeError:
            self.close(CloseCode.INVALID_DATA, "text that is not UTF-8")
            return
        self.desk.received(self, message)

    def keep_alive(self, now_ns: int, interval_ns: int) -> None:
        """Ping the client now and then, and close the connection if it does not answer in time. Call it about once a
        second."""
        if not self.is_open or self._socket is None:
            return
        if self._ping is None or self._is_blocked():
            self._ping = now_ns, True  # Nothing is asked before the first interval, nor while no answer is read.
        elif now_ns - self._ping[0] >= interval_ns:
            if not self._ping[1]:
                self.close(CloseCode.INTERNAL_ERROR, "keepalive ping timeout")
            else:
                self._ping = now_ns, False
                self._socket.send_ping(struct.pack("!Q", now_ns))
                self._flush()

    # The end

    def close(self, code: int, reason: str = "") -> None:
        """Begin the closing handshake; whoever does not answer it soon is hung up on."""
        if self._socket is not None and self._socket.state is State.OPEN:
            self._socket.send_close(code, reason)
            self._flush()
            self._end_in(CLOSE_TIMEOUT_S)

    def hang_up(self) -> None:
        """Close the connection without a word."""
        self.is_gone = True
        if self.stop_arriving is not None:
            self.stop_arriving()
        elif self.transport is not NO_TRANSPORT:
            self.transport.abort()

    def _stop_sending(self) -> None:
        self.is_open = False
        self.forget_waiting()
        self.desk.closing(self)

    def _hang_up_politely(self, patience_s: float) -> None:
        """Let the client read to the end: closing while it still sends would take the end of it away."""
        if self.transport.is_closing():
            return
        if self.transport.can_write_eof() and not self.paused:
            with contextlib.suppress(OSError):  # It has gone already.
                self.transport.write_eof()
        else:  # What waits goes out first.
            self.transport.close()
        self._end_in(patience_s)

    def _end_in(self, seconds: float) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(seconds, self.hang_up)
