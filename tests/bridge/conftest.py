"""A real server on loopback with a stream of frames, and sockets to treat it badly with."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.servers import RawClient, Serve, Stream

from facewire.bridge.server.config import ServerConfig
from facewire.bridge.server.server import LiveServer


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start servers on free ports: ``serve(rate=60, config_key=..., commands=..., status=...)``; rate 0 publishes
    nothing."""
    with contextlib.ExitStack() as stack:

        def start(rate: float = 60.0, **options: Any) -> LiveServer:
            extras = {key: options.pop(key) for key in ("commands", "status", "greeting") if key in options}
            server = LiveServer(
                ServerConfig(port=options.pop("port", 0), **options), clock_ns=time.monotonic_ns, **extras
            )
            server.start()
            stack.callback(server.stop)
            if rate:
                stack.callback(Stream(server, rate).stop)
            return server

        yield start


@pytest.fixture
def raw() -> Iterator[Callable[..., RawClient]]:
    """Open raw clients: ``raw(server)`` is connected, ``raw(server, handshake=False)`` is plain TCP."""
    with contextlib.ExitStack() as stack:

        def open_client(server: LiveServer, *, handshake: bool = True, **options: Any) -> RawClient:
            client = RawClient(("127.0.0.1", server.address[1]), **options)
            stack.callback(client.close)
            if handshake:
                assert " 101 " in client.handshake().splitlines()[0]
            return client

        yield open_client
