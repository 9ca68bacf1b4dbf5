"""The live server as the runtime sees it: a thread that frames are handed to."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import threading
import time
from collections.abc import Mapping
from urllib.parse import quote

from facewire.bridge.server.access import AccessPolicy
from facewire.bridge.server.arrival.names import is_loopback
from facewire.bridge.server.arrival.sockets import url_host
from facewire.bridge.server.commands import CommandHandler
from facewire.bridge.server.config import ServerConfig
from facewire.bridge.server.endpoint import Endpoint, Services
from facewire.bridge.server.hub import FanoutCounts
from facewire.bridge.server.pages import Page
from facewire.bridge.server.status import StatusCall
from facewire.bridge.shared.clock import NS_PER_S, Clock
from facewire.bridge.shared.errors import FacewireError, ServeError
from facewire.bridge.wire.codec import Message
from facewire.bridge.wire.frame import FaceFrame
from facewire.bridge.wire.messages import Greeting

TURN_S = 0.0005


class LiveServer:
    """Serves frames to websocket subscribers from a thread of its own.

    ``publish`` hands over the newest frame (a slot of one; an older frame that still waits there is dropped and counted
    as overtaken) and never waits for the network. Delay: one hand-over between threads.
    """

    def __init__(
        self,
        config: ServerConfig | None = None,
        *,
        clock_ns: Clock,
        greeting: Greeting | None = None,
        commands: Mapping[str, CommandHandler] | None = None,
        status: StatusCall = dict,
        pages: Mapping[str, Page] | None = None,
    ) -> None:
        """Make a server; nothing listens before ``start``.

        Args:
            config: how to listen; the default is loopback, port 8787.
            clock_ns: the session's monotonic clock, which stamps hello and pong and paces ``max_rate``.
            greeting: what hello says.
            commands: handlers by name, called off the event loop; those that touch the same thing one at a time.
            status: returns the keys of the status message; called about once a second, off the event loop.
            pages: files that the page may ask for beside its own, by path such as ``/flame.bin``.
        """
        self.config = config or ServerConfig()
        self.token = self.config.token
        """What clients must show, made here if it is needed and none was given; None if nothing is asked."""
        if self.token is None and not is_loopback(self.config.host):
            self.token = secrets.token_urlsafe(24)
        self._services = Services(clock_ns, greeting or Greeting(), dict(commands or {}), status, dict(pages or {}))
        self._thread = threading.Thread(target=self._run, name="facewire-bridge", daemon=True)
        self._lock = threading.Lock()
        self._slot: FaceFrame | None = None
        self._ready = threading.Event()
        self._failure: Exception | None = None
        self._counts = FanoutCounts()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._endpoint: Endpoint | None = None
        self._stopping: asyncio.Event | None = None
        self._stop_timeout_s = 0.0
        self.address: tuple[str, int] = (self.config.host, self.config.port)
        """Address and port that it listens on; the real port after ``start`` if 0 was asked for."""
        self.addresses: list[str] = []
        """All addresses that it listens on, after ``start``."""

    def start(self) -> None:
        """Listen, and return when clients can connect.

        Raises:
            ServeError: the address is taken or is not this machine's, or the certificate cannot be used.
        """
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            self._thread.join()
            raise self._failure

    def publish(self, frame: FaceFrame) -> None:
        """Hand over the newest frame, from any thread. Never blocks, raises nothing, and does nothing once stopped."""
        with self._lock:
            idle = self._slot is None
            self._slot = frame
            self._counts.published += 1
            self._counts.overtaken += not idle
        if idle and self._loop is not None:
            with contextlib.suppress(RuntimeError):  # The loop is closed: stopped meanwhile.
                self._loop.call_soon_threadsafe(self._send_newest)

    def publish_every(self, frame: FaceFrame, timeout_s: float = 1.0) -> None:
        """Publish a frame once the one before it is on its way, from the only thread that publishes: none is overtaken.

        For replays, whose frames can wait a moment. After ``timeout_s`` it hands over the newest as ``publish`` does;
        so it does at once if the server does not run.
        """
        clock = self._services.clock
        give_up_ns = clock() + round(timeout_s * NS_PER_S)
        while self._slot is not None and self._thread.is_alive() and clock() < give_up_ns:
            time.sleep(TURN_S)
        self.publish(frame)

    def wants(self, stream: str) -> bool:
        """Whether anybody is subscribed to ``stream`` now; cheap, from any thread."""
        return self._endpoint is not None and stream in self._endpoint.hub.streams

    def publish_preview(self, message: Message) -> None:
        """Hand over a ``preview`` message for the subscribers of that stream, from any thread. Never blocks, raises
        nothing, and does nothing once stopped."""
        if self._loop is not None and self._endpoint is not None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._endpoint.hub.send_message, "preview", message, "preview")

    def stop(self, timeout_s: float = 0.8) -> None:
        """Close every connection with 1001 and stop listening; clients that do not answer in ``timeout_s`` are hung up
        on."""
        if self._loop is None or self._stopping is None:
            return
        self._stop_timeout_s = timeout_s
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(timeout_s + 1)

    def __enter__(self) -> LiveServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def subscribers(self) -> int:
        """How many clients are subscribed now."""
        return 0 if self._endpoint is None else len(self._endpoint.hub)

    @property
    def counts(self) -> FanoutCounts:
        """What happened to the frames so far; a live object, read only."""
        return self._counts

    @property
    def url(self) -> str:
        """Address of the websocket as a client on this machine would use it, with the token if there is one."""
        return self._url("wss" if self.config.certificate else "ws", "/v1/live")

    @property
    def page_url(self) -> str:
        """Address of the page, likewise."""
        return self._url("https" if self.config.certificate else "http", "/")

    def _url(self, scheme: str, path: str) -> str:
        host = url_host(self.config.host, self.addresses)
        query = f"?token={quote(self.token, safe='', errors='surrogateescape')}" if self.token else ""
        return f"{scheme}://{host}:{self.address[1]}{path}{query}"

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except FacewireError as error:
            self._failure = error
        except (OSError, OverflowError, UnicodeError) as error:  # The last two: a port or a name that cannot be.
            host, port = self.config.host, self.config.port
            reason = getattr(error, "strerror", None) or error
            self._failure = ServeError(f"cannot listen on {host} port {port}: {reason}; choose another")
        except Exception as error:
            if self._ready.is_set():
                raise
            self._failure = error
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        config = self.config
        policy = AccessPolicy(config.host.lower(), self.token, config.origins, config.host_names)
        endpoint = Endpoint(config, policy, self._services, self._counts)
        addresses = await endpoint.open()
        self.addresses = [host for host, _ in addresses]
        self.address = addresses[0]
        self._endpoint = endpoint
        self._stopping = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._ready.set()
        await self._stopping.wait()
        await endpoint.close(self._stop_timeout_s)

    def _send_newest(self) -> None:
        with self._lock:
            frame, self._slot = self._slot, None
        if frame is not None and self._endpoint is not None:
            self._endpoint.send_frame(frame)
