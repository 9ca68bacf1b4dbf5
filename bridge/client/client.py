"""Receive live frames in Python: ``async for frame in connect(url)``, or ``for frame in connect_blocking(url)``."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import ssl
from collections import deque
from collections.abc import AsyncIterator, Collection, Mapping
from typing import Any, Literal, TypeAlias

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_websocket
from websockets.exceptions import ConnectionClosed, InvalidStatus, InvalidURI, WebSocketException
from websockets.typing import Subprotocol

from facewire.bridge.client.client_protocol import ClientProtocol, command_data, ping_message, subscribe_message
from facewire.bridge.shared.clock import Clock, now_ns
from facewire.bridge.shared.errors import CommandError, ConnectError, FacewireError, WireError, refusal
from facewire.bridge.wire.codec import Encoder, Message
from facewire.bridge.wire.frame import FaceFrame
from facewire.bridge.wire.messages import LIVE_PATH, SUBPROTOCOL
from facewire.bridge.wire.pacing import Backoff

DEFAULT_URL = "ws://127.0.0.1:8787/v1/live"
PING_INTERVAL_S = 2.0
FIRST_PINGS = 4
FIRST_PING_INTERVAL_S = 0.1
SILENCE_TIMEOUT_S = 5.0
"""A server that says nothing for this long counts as dead: it owes a status every second."""
LATER = (408, 425, 429)
"""Answers to the handshake below 500 after which trying again may help; after the others it does not (wire.md, 1)."""
FATAL_CLOSES = (1002, 1007, 1009)
"""Closes after which the same would happen again (wire.md, 5)."""

State: TypeAlias = Literal["idle", "connecting", "open", "waiting", "closed"]

logger = logging.getLogger("facewire.bridge")


class Client:
    """A connection to a Facewire server that heals itself. Make one with ``connect``.

    Frames wait in a buffer of ``buffer`` (default 1: only the newest) where a newer one pushes the oldest out, counted
    in ``skipped``: a slow loop sees fresh frames, not old ones. All methods belong to one event loop.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None,
        streams: Collection[str] | None,
        max_rate: float | None,
        buffer: int,
        reconnect: bool,
        tls: ssl.SSLContext | None,
        clock_ns: Clock,
    ) -> None:
        self.url = url
        self.state: State = "idle"
        self.protocol = ClientProtocol()
        self.skipped = 0
        """Frames that came but were pushed out of the buffer."""
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self._subscribe = subscribe_message(streams, max_rate)
        self._reconnect = reconnect
        self._tls = tls
        self._clock_ns = clock_ns
        self._encoder = Encoder()
        self._buffer: deque[FaceFrame] = deque(maxlen=max(1, buffer))
        self._news = asyncio.Event()
        self._failure: FacewireError | None = None
        self._websocket: ClientConnection | None = None
        self._task: asyncio.Task[None] | None = None
        self._results: dict[int, asyncio.Future[Message]] = {}
        self._last_command = 0

    async def __aenter__(self) -> Client:
        self._start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def __aiter__(self) -> AsyncIterator[FaceFrame]:
        try:
            while (frame := await self.next_frame()) is not None:
                yield frame
        finally:
            await self.close()

    @property
    def hello(self) -> Message | None:
        """The server's hello; None before the first connection."""
        return self.protocol.hello

    @property
    def status(self) -> Message | None:
        """The server's newest status."""
        return self.protocol.status

    @property
    def latency_ms(self) -> float | None:
        """From publish to arrival of the newest frame, in ms, by the estimated server clock."""
        latency_ns = self.protocol.latency_ns  # Read once: other threads may ask while another session begins.
        return None if latency_ns is None else latency_ns / 1e6

    def server_clock_ns(self) -> int:
        """Return the estimated session clock of the server now: compare it with a frame's ``capture_ns`` for its
        age."""
        return self._clock_ns() + self.protocol.clock.offset_ns

    async def next_frame(self) -> FaceFrame | None:
        """Return the next frame, waiting for it; None once the connection is closed for good.

        Raises:
            ConnectError: the server refuses this client.
        """
        self._start()
        while not self._buffer:
            if self.state == "closed":
                if self._failure is not None:
                    raise self._failure
                return None
            self._news.clear()
            await self._news.wait()
        return self._buffer.popleft()

    async def command(self, name: str, args: Mapping[str, Any] | None = None, *, timeout_s: float = 10.0) -> Message:
        """Run a command in the server and return its value (empty if it gives none).

        Raises:
            BusyError, NotReadyError: the server said that it can be asked again, later or in a moment.
            CommandError: it cannot be sent as it is, the server said no, did not answer in time, or is not connected.
        """
        if self._websocket is None:
            raise CommandError(f"cannot send the command {name!r}: not connected to {self.url}")
        self._last_command += 1
        command_id = self._last_command
        try:
            data = command_data(self._encoder, command_id, name, args)
        except WireError as error:
            raise CommandError(f"cannot send the command {name!r:.80}: {error}") from None
        answer = self._results[command_id] = asyncio.get_running_loop().create_future()
        try:
            await self._websocket.send(data)
            result = await asyncio.wait_for(answer, timeout_s)
        except (asyncio.TimeoutError, WebSocketException, OSError):
            raise CommandError(f"no answer to the command {name!r} from {self.url}; is the server alive?") from None
        finally:
            self._results.pop(command_id, None)
        if result.get("ok") is not True:
            why = result.get("error")
            raise refusal(result.get("code"), "the server gave no reason" if why is None else str(why))
        value = result.get("value")
        return value if isinstance(value, dict) else {}

    async def close(self) -> None:
        """Close the connection and stop reconnecting."""
        task, self._task = self._task, None
        self._finish(None)
        if task is not None:
            task.cancel()
            await asyncio.wait({task})  # Unlike the task itself it tells whose cancellation comes: this one's, or ours.

    def _start(self) -> None:
        if self._task is None and self.state == "idle":
            self._task = asyncio.get_running_loop().create_task(self._run())

    def _finish(self, failure: FacewireError | None) -> None:
        self.state = "closed"
        self._failure = self._failure or failure
        self._news.set()

    async def _run(self) -> None:
        backoff = Backoff(random.random)
        warned = False
        while True:
            self.state = "connecting"
            try:
                await self._converse(backoff)
                reason = "the server closed the connection"
            except ConnectError as error:
                return self._finish(error)
            except ConnectionClosed as error:
                if error.rcvd is not None and error.rcvd.code in FATAL_CLOSES:
                    why = f"{self.url} and this client do not understand each other: closed with {error.rcvd}"
                    return self._finish(ConnectError(why))
                reason = str(error)
            except (OSError, WebSocketException, WireError, asyncio.TimeoutError) as error:
                reason = str(error) or type(error).__name__
            except Exception as error:  # Whatever it is, who waits for frames must hear of it.
                failure = ConnectError(f"cannot continue with {self.url}: {error!r}")
                failure.__cause__ = error
                return self._finish(failure)
            finally:
                self._drop_websocket()
            if self._closed():
                return None
            if not self._reconnect:
                return self._finish(ConnectError(f"cannot reach {self.url}: {reason}") if self.hello is None else None)
            if not warned:
                logger.warning("no connection to %s (%s): trying again until it is there", self.url, reason)
            warned, self.state = True, "waiting"
            await asyncio.sleep(backoff.next_s())

    def _closed(self) -> bool:
        return self.state == "closed"

    def _drop_websocket(self) -> None:
        self._websocket = None
        for answer in self._results.values():
            if not answer.done():
                answer.set_exception(OSError("connection lost"))

    async def _converse(self, backoff: Backoff) -> None:
        """Hold one connection until it ends.

        Raises:
            ConnectError: the server refuses this client for good.
            OSError, WebSocketException, WireError, asyncio.TimeoutError: the connection failed or broke.
        """
        async with self._opener() as websocket:
            self._websocket = websocket
            if self._subscribe is not None:
                await self._send(self._subscribe)
            pings = asyncio.get_running_loop().create_task(self._ping())
            try:
                # Before Python 3.12, wait_for loses a cancellation that meets a message: the state tells too.
                while not self._closed():
                    data = await asyncio.wait_for(websocket.recv(), SILENCE_TIMEOUT_S)
                    self._take(self.protocol.receive(data, self._clock_ns()))
                    if self.state == "connecting" and self.hello is not None:
                        self.state = "open"
                        backoff.reset()
            finally:
                pings.cancel()

    @contextlib.asynccontextmanager
    async def _opener(self) -> AsyncIterator[ClientConnection]:
        options: dict[str, Any] = {} if self._tls is None else {"ssl": self._tls}
        try:
            websocket = await open_websocket(
                self.url,
                subprotocols=[Subprotocol(SUBPROTOCOL)],
                additional_headers=self._headers,
                compression=None,
                open_timeout=5,
                close_timeout=1,
                proxy=None,  # Live frames go straight to the machine in the address.
                **options,
            )
        except OSError:  # First, as a certificate that is not trusted is a ValueError too.
            raise
        except (InvalidURI, ValueError):  # The second is a port or a name that cannot be.
            raise ConnectError(f"{self.url!r} is not a websocket address, which looks like {DEFAULT_URL}") from None
        except InvalidStatus as error:
            status = error.response.status_code
            if status >= 500 or status in LATER:
                raise
            if status < 300:
                raise ConnectError(f"{self.url} is a page, not a websocket: Facewire's is at {LIVE_PATH}") from None
            said = (error.response.body or b"").decode(errors="replace").strip().partition("\n")[0][:200]
            raise ConnectError(f"{self.url} refuses ({status}): {said}") from None
        try:
            yield websocket
        finally:
            await _close(websocket)

    async def _ping(self) -> None:
        sent = 0
        with contextlib.suppress(WebSocketException, OSError):
            while True:
                await self._send(ping_message(self._clock_ns()))
                sent += 1
                await asyncio.sleep(FIRST_PING_INTERVAL_S if sent < FIRST_PINGS else PING_INTERVAL_S)

    async def _send(self, message: Message) -> None:
        if self._websocket is not None:
            await self._websocket.send(self._encoder.message(message))

    def _take(self, event: FaceFrame | Message | None) -> None:
        if isinstance(event, FaceFrame):
            self.skipped += len(self._buffer) == self._buffer.maxlen
            self._buffer.append(event)
            self._news.set()
        elif event is not None:
            answer = self._results.get(event["id"])
            if answer is not None and not answer.done():
                answer.set_result(event)


async def _close(websocket: ClientConnection) -> None:
    """Close in order; what comes before the server's own close is read and dropped. Unread frames would keep that out,
    as websockets reads no further while 16 wait."""
    closing = asyncio.get_running_loop().create_task(websocket.close())
    with contextlib.suppress(WebSocketException):
        while True:
            await websocket.recv()
    await closing


def connect(
    url: str = DEFAULT_URL,
    *,
    token: str | None = None,
    streams: Collection[str] | None = None,
    max_rate: float | None = None,
    buffer: int = 1,
    reconnect: bool = True,
    tls: ssl.SSLContext | None = None,
    clock_ns: Clock = now_ns,
) -> Client:
    """Return a client for ``url``; it connects when it is entered or first asked for a frame.

    Args:
        url: such as ``ws://127.0.0.1:8787/v1/live``; the token may be in it (``?token=...``).
        token: the server's token, if it asks for one.
        streams: what to get; None is blendshapes, head and gaze.
        max_rate: frames a second at most.
        buffer: frames to keep for a loop that is slower than the stream; the oldest go first.
        reconnect: try again, with growing waits, whenever the connection is lost or not there yet.
        tls: for ``wss`` with a certificate that the system does not know.
        clock_ns: the client's clock, which never goes backwards; the default is ``time.perf_counter_ns``.
    """
    return Client(
        url,
        token=token,
        streams=streams,
        max_rate=max_rate,
        buffer=buffer,
        reconnect=reconnect,
        tls=tls,
        clock_ns=clock_ns,
    )
