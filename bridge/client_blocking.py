"""The client for programs without an event loop: the asynchronous one on a thread of its own."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Coroutine, Iterator, Mapping
from typing import Any, TypeVar

from facewire.bridge.client import DEFAULT_URL, Client, connect
from facewire.bridge.codec import Message
from facewire.bridge.errors import CommandError
from facewire.bridge.frame import FaceFrame

T = TypeVar("T")

POLL_S = 0.2
TURN_S = 0.001
"""The event loop must get a turn to hand over a frame that is there."""


class BlockingClient:
    """Iterate over it for frames; leave its ``with`` block, or call ``close``, when done. Make one with
    ``connect_blocking``."""

    def __init__(self, url: str, timeout_s: float | None, **options: Any) -> None:
        self._timeout_s = timeout_s
        self.client: Client = connect(url, **options)
        """The asynchronous client behind it, for its figures: ``state``, ``hello``, ``status``, ``latency_ms``,
        ``skipped``."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="facewire-client", daemon=True)
        self._thread.start()

    def __enter__(self) -> BlockingClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[FaceFrame]:
        while (frame := self.next_frame(self._timeout_s)) is not None:
            yield frame

    def next_frame(self, timeout_s: float | None = None) -> FaceFrame | None:
        """Return the next frame; None once the connection is closed for good.

        Args:
            timeout_s: longest wait; 0 takes a frame that is there already, None waits for ever.

        Raises:
            TimeoutError: none came in ``timeout_s``.
            ConnectError: the server refuses this client.
        """
        if self._loop.is_closed():
            return None
        limit_s = None if timeout_s is None else max(timeout_s, TURN_S)
        try:
            # The loop watches the time, not this thread: no frame is lost between them in the last moment.
            return self._call(asyncio.wait_for(self.client.next_frame(), limit_s))
        except asyncio.TimeoutError:  # The built-in one from Python 3.11 on.
            raise TimeoutError(f"no frame came in {timeout_s:g} s") from None

    def command(self, name: str, args: Mapping[str, Any] | None = None, *, timeout_s: float = 10.0) -> Message:
        """Run a command in the server and return its value.

        Raises:
            CommandError: the server said no, did not answer in time, or is not connected.
        """
        if self._loop.is_closed():
            raise CommandError(f"cannot send the command {name!r}: this client is closed")
        return self._call(self.client.command(name, args, timeout_s=timeout_s))

    def close(self) -> None:
        """Close the connection and end the thread."""
        if self._loop.is_closed():
            return
        self._call(self.client.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            while not concurrent.futures.wait([future], POLL_S).done:  # Ctrl-C comes through on every system.
                pass
            return future.result()
        except BaseException:
            future.cancel()
            raise


def connect_blocking(url: str = DEFAULT_URL, *, timeout_s: float | None = None, **options: Any) -> BlockingClient:
    """Return a blocking client for ``url``.

    Args:
        url: such as ``ws://127.0.0.1:8787/v1/live``.
        timeout_s: longest wait for a frame while iterating, after which it raises ``TimeoutError``; None waits for
            ever.
        options: as for ``connect``: token, streams, max_rate, buffer, reconnect, tls, clock_ns.
    """
    return BlockingClient(url, timeout_s, **options)
