"""A stream of frames for a real server on loopback, and sockets to treat the server badly with."""

from __future__ import annotations

import base64
import contextlib
import os
import socket
import struct
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from facewire.bridge.server.server import LiveServer
from facewire.bridge.wire.frame import LANDMARK_COUNT, FaceFrame

Serve = Callable[..., LiveServer]
"""The fixture ``serve`` of the bridge's tests."""
SHAPES = np.linspace(0, 1, 52, dtype=np.float32)
HEAD = np.array([0, 0, 0, 1, 0, 0, -0.5], np.float32)
GAZE = np.zeros(4, np.float32)
LANDMARKS = np.ones((LANDMARK_COUNT, 3), np.float32)


def make_frame(seq: int, **changes: Any) -> FaceFrame:
    now_ns = time.monotonic_ns()
    values: dict[str, Any] = {
        "seq": seq,
        "capture_ns": now_ns,
        "publish_ns": now_ns,
        "sources": "video",
        "confidence": 1.0,
        "blendshapes": SHAPES,
        "head": HEAD,
        "gaze": GAZE,
        "landmarks": LANDMARKS,
    }
    return FaceFrame(**{**values, **changes})


class Stream:
    """Publishes a frame to a server ``rate`` times a second until it is stopped."""

    def __init__(self, server: LiveServer, rate: float) -> None:
        self.server = server
        self.seq = 0
        self.stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(rate,), daemon=True)
        self._thread.start()

    def _run(self, rate: float) -> None:
        while not self.stopped.wait(1 / rate):
            self.server.publish(make_frame(self.seq))
            self.seq += 1

    def stop(self) -> None:
        self.stopped.set()
        self._thread.join()


class RawClient:
    """A websocket client that does exactly what it is told, right or wrong."""

    def __init__(self, address: tuple[str, int], *, path: str = "/v1/live", receive_buffer: int | None = None) -> None:
        self.socket = socket.socket()
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(60)
        self.socket.connect(address)
        self.path = path
        self.host = f"{address[0]}:{address[1]}"

    def handshake(self, **headers: str | None) -> str:
        """Send the opening handshake with these headers changed (None leaves one out); return the whole HTTP answer's
        head."""
        lines = {
            "Host": self.host,
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Protocol": "facewire.v1",
            **{key.replace("_", "-"): value for key, value in headers.items()},
        }
        head = "".join(f"{key}: {value}\r\n" for key, value in lines.items() if value is not None)
        self.socket.sendall(f"GET {self.path} HTTP/1.1\r\n{head}\r\n".encode())
        return self.read_head()

    def read_head(self) -> str:
        data = b""
        while not data.endswith(b"\r\n\r\n") and (byte := self.socket.recv(1)):
            data += byte
        return data.decode()

    def send_frame(self, opcode: int, payload: bytes, *, fin: bool = True, mask: bool = True) -> None:
        """Send one websocket frame (RFC 6455, 5.2)."""
        size = len(payload)
        masked = 0x80 if mask else 0
        head = bytes([(0x80 if fin else 0) | opcode])
        if size < 126:
            head += bytes([masked | size])
        elif size < 65536:
            head += struct.pack("!BH", masked | 126, size)
        else:
            head += struct.pack("!BQ", masked | 127, size)
        key = b"\x00\x00\x00\x00" if mask else b""  # The zero key is a key like any other and changes nothing.
        with contextlib.suppress(ConnectionError):  # The server may have hung up in the middle: the test reads why.
            self.socket.sendall(head + key + payload)

    def read_frame(self) -> tuple[int, bytes]:
        """Return opcode and payload of the next frame; opcode -1 at the end of the stream."""
        head = self._read(2)
        if len(head) < 2:
            return -1, b""
        assert head[0] & 0xF0 == 0x80, "a server uses no extension and fragments nothing (wire.md, 1 and 2)"
        size = head[1]
        if size == 126:
            (size,) = struct.unpack("!H", self._read(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", self._read(8))
        return head[0] & 15, self._read(size)

    def read_message(self) -> tuple[int, bytes]:
        """Return the next frame that is not a ping, as ``read_frame`` does, answering pings as every client must (RFC
        6455, 5.5.2): they come every 20 s, and a busy machine takes longer."""
        while (frame := self.read_frame())[0] == 9:
            self.send_frame(10, frame[1])
        return frame

    def close_code(self) -> int:
        """Read until the server closes; return its close code, 1006 where it hung up without one (RFC 6455, 7.1.5)."""
        with contextlib.suppress(ConnectionError):
            while (frame := self.read_frame())[0] != -1:
                if frame[0] == 8:
                    return int.from_bytes(frame[1][:2], "big")
        return 1006

    def _read(self, count: int) -> bytes:
        data = b""
        while len(data) < count and (part := self.socket.recv(count - len(data))):
            data += part
        return data

    def close(self) -> None:
        self.socket.close()
