"""The client for programs without an event loop: the asynchronous one on a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from queue import Empty, SimpleQueue
from typing import Any, TypeAlias, TypeVar

from facewire.bridge.client.client import DEFAULT_URL, Client, connect
from facewire.bridge.shared.errors import CommandError
from facewire.bridge.wire.codec import Message
from facewire.bridge.wire.frame import FaceFrame

T = TypeVar("T")
Answer: TypeAlias = "SimpleQueue[tuple[Any, BaseException | None]]"
"""Takes what one call gives or raises."""

POLL_S = 0.2
END_POLL_S = 0.002
TURN_S = 0.001
"""The event loop must get a turn to hand over a frame that has arrived."""


class BlockingClient:
    """Iterate over it for frames; leave its ``with`` block, or call ``close``, when done. Make one with
    ``connect_blocking``."""

    def __init__(self, url: str, timeout_s: float | None, **options: Any) -> None:
        self._timeout_s = timeout_s
        self.client: Client = connect(url, **options)
        """The asynchronous client behind it, for its figures: ``state``, ``hello``, ``status``, ``latency_ms``,
        ``skipped``."""
        self._loop = asyncio.new_event_loop()
        self._calls: dict[Answer, asyncio.Task[Any]] = {}
        self._closed = False
        self._ending = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="facewire-client", daemon=True)
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
            timeout_s: longest wait; 0 returns only a frame that has arrived already, None waits forever.

        Raises:
            TimeoutError: none came in ``timeout_s``.
            ConnectError: the server refuses this client.
        """
        if self._closed:
            return None

        async def next_frame() -> FaceFrame | None:
            # The loop watches the time, not this thread: no frame is lost between them in the last moment.
            limit_s = None if timeout_s is None else max(timeout_s, TURN_S)
            return await asyncio.wait_for(self.client.next_frame(), limit_s)

        try:
            return self._call(next_frame)
        except asyncio.TimeoutError:  # The built-in one from Python 3.11 on.
            raise TimeoutError(f"no frame arrived in {timeout_s:g} s") from None

    def command(self, name: str, args: Mapping[str, Any] | None = None, *, timeout_s: float = 10.0) -> Message:
        """Run a command in the server and return its value.

        Raises:
            BusyError, NotReadyError: the server said that it can be asked again, later or in a moment.
            CommandError: it cannot be sent as it is, the server said no, did not answer in time, or is not connected.
        """
        if self._closed:
            raise CommandError(f"cannot send the command {name!r}: this client is closed")
        return self._call(lambda: self.client.command(name, args, timeout_s=timeout_s))

    def close(self) -> None:
        """Close the connection and end the thread, which goes on with that if an interrupt ends the wait for it."""
        self._closed = True
        with contextlib.suppress(RuntimeError):  # Its loop is closed: it has ended.
            self._loop.call_soon_threadsafe(self._ending.set)
        while not self._loop.is_closed():
            time.sleep(END_POLL_S)
        self._thread.join()

    def _run(self) -> None:
        with contextlib.closing(self._loop):
            self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        await self._ending.wait()
        await self.client.close()
        while self._calls:  # Of other threads, or interrupted.
            await asyncio.wait(self._calls.values())

    def _call(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run ``work`` in the loop, and give or raise what it does.

        An interrupt may come at any moment. One that meets the lock of a future or of an event leaves it taken, and the
        loop then waits for it forever; a thread that puts into a ``SimpleQueue`` waits for nothing.
        """
        answer: Answer = SimpleQueue()
        try:
            self._loop.call_soon_threadsafe(self._begin, work, answer)
            value, error = _taken(answer)
        except BaseException:
            self._loop.call_soon_threadsafe(self._cancel, answer)
            raise
        if error is not None:
            raise error
        given: T = value
        return given

    def _begin(self, work: Callable[[], Coroutine[Any, Any, Any]], answer: Answer) -> None:
        task = self._calls[answer] = self._loop.create_task(work())
        task.add_done_callback(functools.partial(self._end, answer))

    def _end(self, answer: Answer, task: asyncio.Task[Any]) -> None:
        del self._calls[answer]
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        answer.put((None if error else task.result(), error))

    def _cancel(self, answer: Answer) -> None:
        if (task := self._calls.get(answer)) is not None:
            task.cancel()


def _taken(answer: Answer) -> tuple[Any, BaseException | None]:
    while True:
        with contextlib.suppress(Empty):
            return answer.get(timeout=POLL_S)  # Ctrl-C comes through on every system.


def connect_blocking(url: str = DEFAULT_URL, *, timeout_s: float | None = None, **options: Any) -> BlockingClient:
    """Return a blocking client for ``url``.

    Args:
        url: such as ``ws://127.0.0.1:8787/v1/live``.
        timeout_s: longest wait for a frame while iterating, after which it raises ``TimeoutError``; None waits for
            ever.
        options: as for ``connect``: token, streams, max_rate, buffer, reconnect, tls, clock_ns.
    """
    return BlockingClient(url, timeout_s, **options)
