"""The client for programs without an event loop: the asynchronous one on a thread of its own."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Coroutine, Iterator, Mapping
from typing import Any, TypeVar

from facewire.bridge.client import DEFAULT_URL, Client, connect
from facewire.bridge.codec import Message
from facewire.bridge.frame import FaceFrame

T = TypeVar("T")

POLL_S = 0.2


class BlockingClient:
    """Iterate over it for frames; leave its ``with`` block, or call ``close``, when done. Make one with
    ``connect_blocking``."""

    def __init__(self, url: str, timeout_s: float | None, **options: Any) -> None:
        self._timeout_s = timeout_s
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="facewire-client", daemon=True)
        self._thread.start()
        self.client: Client = self._call(_make(url, options))
        """The asynchronous client behind it, for its figures: ``state``, ``hello``, ``status``, ``latency_ms``,
        ``skipped``."""

    def __enter__(self) -> BlockingClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[FaceFrame]:
        while (frame := self.next_frame(self._timeout_s)) is not None:
            yield frame

    def next_frame(self, timeout_s: float | None = None) -> FaceFrame | None:
        """Return the next frame; None once the connection is closed for good.

        Raises:
            TimeoutError: none came in ``timeout_s``.
            ConnectError: the server refuses this client.
        """
        return self._call(self.client.next_frame(), timeout_s)

    def command(self, name: str, args: Mapping[str, Any] | None = None, *, timeout_s: float = 10.0) -> Message:
        """Run a command in the server and return its value.

        Raises:
            CommandError: the server said no, did not answer in time, or is not connected.
        """
        return self._call(self.client.command(name, args, timeout_s=timeout_s))

    def close(self) -> None:
        """Close the connection and end the thread."""
        if self._loop.is_closed():
            return
        self._call(self.client.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _call(self, work: Coroutine[Any, Any, T], timeout_s: float | None = None) -> T:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        waited_s = 0.0
        while True:  # In short waits, so that Ctrl-C comes through on every system.
            left_s = POLL_S if timeout_s is None else min(POLL_S, timeout_s - waited_s)
            try:
                return future.result(max(0.0, left_s))
            except concurrent.futures.TimeoutError:
                waited_s += left_s
                if future.done():
                    raise
                if timeout_s is not None and waited_s >= timeout_s:
                    future.cancel()
                    raise TimeoutError(f"no frame came in {timeout_s:g} s") from None
            except BaseException:
                future.cancel()
                raise


async def _make(url: str, options: Mapping[str, Any]) -> Client:
    return connect(url, **options)


def connect_blocking(url: str = DEFAULT_URL, *, timeout_s: float | None = None, **options: Any) -> BlockingClient:
    """Return a blocking client for ``url``.

    Args:
        url: such as ``ws://127.0.0.1:8787/v1/live``.
        timeout_s: longest wait for a frame while iterating, after which it raises ``TimeoutError``; None waits for
            ever.
        options: as for ``connect``: token, streams, max_rate, buffer, reconnect, tls, clock_ns.
    """
    return BlockingClient(url, timeout_s, **options)
