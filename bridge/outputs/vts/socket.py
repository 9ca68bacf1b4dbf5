"""A websocket without threads: websockets' protocol and one socket, which waits only while it is being opened.

Source: RFC 6455; websockets' documentation, "Integrate the Sans-I/O layer".
"""

from __future__ import annotations

import socket
from contextlib import suppress

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidHandshake
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import State
from websockets.uri import parse_uri

from facewire.bridge.outputs.vts.api import MAX_REPLY_BYTES, VtsError
from facewire.bridge.shared.clock import NS_PER_S, Clock

OPEN_TIMEOUT_S = 2.0
MAX_TEXTS = 200
"""Messages that are read at once; a sender of more is not VTube Studio."""
_AT_ONCE = 1 << 16


class TextSocket:
    """Sends and receives texts. State: what the system has not taken yet, and the parts of a text."""

    def __init__(self, host: str, port: int, clock: Clock) -> None:
        """Connect, and shake hands, which takes ``OPEN_TIMEOUT_S`` at most for each.

        Raises:
            OSError: nothing listens there, or nothing answers.
            VtsError: what answers is not a websocket.
        """
        where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._protocol = ClientProtocol(parse_uri(f"ws://{where}/"), max_size=MAX_REPLY_BYTES)
        self._unsent = bytearray()
        self._parts: list[bytes] = []
        self._socket = socket.create_connection((host, port), timeout=OPEN_TIMEOUT_S)
        try:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._shake_hands(clock)
        except BaseException:
            self._socket.close()
            raise

    def _shake_hands(self, clock: Clock) -> None:
        self._protocol.send_request(self._protocol.connect())
        self._socket.sendall(b"".join(self._protocol.data_to_send()))
        end_ns = clock() + round(OPEN_TIMEOUT_S * NS_PER_S)
        while self._protocol.state is State.CONNECTING and clock() < end_ns:
            self._feed(self._socket.recv(_AT_ONCE))
            if self._protocol.handshake_exc is not None:
                break
        if self._protocol.state is not State.OPEN:
            why = self._protocol.handshake_exc
            raise VtsError(
                "what answers there does not speak websocket: look at the port in VTube Studio's settings"
                if why is None or isinstance(why, (InvalidHandshake, EOFError, ValueError))
                else str(why)
            )

    def set_timeout(self, timeout_s: float) -> None:
        """Set how long ``receive`` waits; 0 is not at all."""
        self._socket.settimeout(timeout_s)

    def receive(self) -> list[str]:
        """Return the texts that have come.

        Raises:
            OSError: the connection is lost, or was closed.
            VtsError: the other side breaks the rules.
        """
        texts: list[str] = []
        with suppress(TimeoutError, BlockingIOError):
            while len(texts) <= MAX_TEXTS:
                data = self._socket.recv(_AT_ONCE)
                self._feed(data)
                texts += self._texts()
                if len(data) < _AT_ONCE:
                    break
        if len(texts) > MAX_TEXTS:
            raise VtsError("what answers there sends without end: it is not VTube Studio")
        self._flush()
        return texts

    def send(self, text: str) -> None:
        """Send ``text``, or as much of it as the system accepts now.

        Raises:
            OSError: the connection is lost.
        """
        self._protocol.send_text(text.encode())
        self._flush()

    @property
    def is_clear(self) -> bool:
        """Whether the system has taken all that was sent."""
        return not self._unsent

    def close(self) -> None:
        """Close the socket; safe to call twice, and from any thread."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _feed(self, data: bytes) -> None:
        if data:
            self._protocol.receive_data(data)
        else:
            self._protocol.receive_eof()
            raise ConnectionResetError("VTube Studio closed the connection")

    def _texts(self) -> list[str]:
        texts = []
        for event in self._protocol.events_received():
            if isinstance(event, Response) or not isinstance(event, Frame):
                continue
            if event.opcode in (Opcode.TEXT, Opcode.CONT):
                self._parts.append(bytes(event.data))
                if event.fin:
                    texts.append(b"".join(self._parts).decode(errors="replace"))
                    self._parts.clear()
            elif event.opcode is Opcode.CLOSE:
                raise ConnectionResetError("VTube Studio closed the connection")
        if self._protocol.parser_exc is not None:
            raise VtsError(f"what answers there breaks the rules of a websocket: {self._protocol.parser_exc}"[:200])
        return texts

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            self._unsent += data
        while self._unsent:
            try:
                taken = self._socket.send(self._unsent)
            except (BlockingIOError, TimeoutError):
                return
            del self._unsent[:taken]
