"""The event loop's side of the live server: the handshake, each connection's conversation, status and stalls."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from facewire.bridge.server.access import AccessPolicy, Refusal
from facewire.bridge.server.commands import CommandHandler, CommandRunner, call_in_thread
from facewire.bridge.server.config import ServerConfig
from facewire.bridge.server.hub import FanoutCounts, Hub, Subscriber
from facewire.bridge.server.oncelog import OnceLog
from facewire.bridge.server.pages import HEADERS, Page, load_pages
from facewire.bridge.server.server_protocol import MAX_CLIENT_MESSAGE_BYTES, Action, Close, Command, Reply, Subscribe
from facewire.bridge.shared.clock import NS_PER_S, Clock
from facewire.bridge.shared.errors import WireError
from facewire.bridge.wire.codec import Message
from facewire.bridge.wire.frame import FaceFrame
from facewire.bridge.wire.messages import LIVE_PATH, SUBPROTOCOL, Greeting, version

STATUS_INTERVAL_S = 1.0
CLOSE_TIMEOUT_S = 0.5
MAX_COMMANDS_PER_CONNECTION = 8

StatusCall = Callable[[], Mapping[str, Any]]

logger = logging.getLogger("facewire.bridge")


@dataclass(slots=True)
class Services:
    """What the runtime gives the server to answer with."""

    clock: Clock
    """The session's monotonic clock."""
    greeting: Greeting = field(default_factory=Greeting)
    commands: Mapping[str, CommandHandler] = field(default_factory=dict)
    status: StatusCall = dict
    """Returns the keys of the status message, about once a second, on a thread of its own."""
    pages: Mapping[str, Page] = field(default_factory=dict)
    """Files that the page may ask for beside its own, by path."""


class Endpoint:
    """One port: the websocket, the page, and everybody connected. All methods run on the event loop's thread."""

    def __init__(self, config: ServerConfig, policy: AccessPolicy, services: Services, counts: FanoutCounts) -> None:
        self.hub = Hub(config.max_connections, counts)
        self.services = services
        self._config = config
        self._policy = policy
        self._log = OnceLog(logger)
        self._commands = CommandRunner(services.commands, self._log)
        self._pages = {**load_pages(), **services.pages}
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: Server | None = None

    async def open(self) -> tuple[str, int]:
        """Listen, and return the address and the port.

        Raises:
            OSError: the address cannot be listened on.
        """
        asyncio.get_running_loop().set_exception_handler(self._on_loop_error)
        library_log = logging.getLogger("facewire.bridge.websockets")
        library_log.setLevel(logging.CRITICAL)  # It logs every broken handshake; we log each kind once.
        self._server = await serve(
            self._converse,
            self._config.host or None,
            self._config.port,
            ssl=self._config.ssl_context(),
            create_connection=self._connection,  # type: ignore[arg-type]  # documented to take a wrapper as well
            process_request=self._on_request,
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            compression=None,
            server_header=f"facewire/{version()}",
            open_timeout=self._config.handshake_timeout_s,
            close_timeout=CLOSE_TIMEOUT_S,
            max_size=MAX_CLIENT_MESSAGE_BYTES,
            max_queue=4,
            write_limit=(1, 0),  # Paused as soon as anything waits: then the newest frame is kept, not queued.
            backlog=1024,
            logger=library_log,
        )
        self._spawn(self._send_status())
        self._spawn(self._drop_stalled())
        address = self._server.sockets[0].getsockname()
        return str(address[0]), int(address[1])

    def send_frame(self, frame: FaceFrame) -> None:
        """Fan one frame out; one that cannot be encoded is logged once and counted."""
        try:
            self.hub.send_frame(frame, self.services.clock())
        except WireError as error:
            self._log.warning("frame", f"a frame was not sent: {error}")

    async def close(self, timeout_s: float) -> None:
        """Say goodbye to everybody with 1001, and hang up on those that have not answered within ``timeout_s``."""
        for task in self._tasks:
            task.cancel()
        if self._server is None:
            return
        for connection in list(self.hub.open):
            if connection.paused:  # A close frame would wait behind what it does not read.
                connection.transport.abort()
        self._server.close()
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._server.wait_closed(), timeout_s)
        for connection in list(self.hub.open):
            connection.transport.abort()
        await asyncio.sleep(0)

    def _connection(self, *args: Any, **kwargs: Any) -> Subscriber:
        return Subscriber(*args, hub=self.hub, **kwargs)

    def _on_request(self, connection: ServerConnection, request: Request) -> Response | None:
        hosts = request.headers.get_all("Host")
        path = request.path.partition("?")[0]
        refusal = self._policy.check_host(hosts)
        if refusal is None and path == LIVE_PATH:
            refusal = self._check_person(request, hosts) or self._check_live(connection, request)
            if refusal is None:
                return None
        if refusal is None and path in self._pages:
            page = self._pages[path]
            if getattr(request, "method", "GET") != "GET":  # Older versions of the library read no other.
                refusal = Refusal(405, "method", "The page can only be read: use GET.")
            elif page.needs_token:
                refusal = self._check_person(request, hosts)
            if refusal is None:
                return page_response(page)
        refusal = refusal or Refusal(404, "not found", f"Nothing here: the page is at /, the websocket at {LIVE_PATH}.")
        self._log.warning(refusal.kind, f"refused a connection: {refusal.text}")
        return refusal_response(connection, refusal)

    def _check_person(self, request: Request, hosts: Sequence[str]) -> Refusal | None:
        """Whether the client may have what is the user's: the stream, and pages that need the token."""
        return self._policy.check_origin(request.headers.get_all("Origin"), hosts) or self._policy.check_token(
            request.path, request.headers.get_all("Authorization")
        )

    def _check_live(self, connection: ServerConnection, request: Request) -> Refusal | None:
        assert isinstance(connection, Subscriber)
        offered = ",".join(request.headers.get_all("Sec-WebSocket-Protocol"))
        if SUBPROTOCOL not in [name.strip() for name in offered.split(",")]:
            return Refusal(400, "subprotocol", f"This server speaks the websocket subprotocol {SUBPROTOCOL} only.")
        if not self.hub.claim_place(connection):
            text = f"The server is full: {self._config.max_connections} connections. Try again later."
            return Refusal(503, "full", text)
        return None

    async def _converse(self, connection: ServerConnection) -> None:
        assert isinstance(connection, Subscriber)
        commands: set[asyncio.Task[None]] = set()
        try:
            await self._send(connection, self.services.greeting.message(self.services.clock()))
            self.hub.put(connection, connection.logic.subscription)
            async for data in connection:
                for action in connection.logic.receive(data, self.services.clock()):
                    await self._do(connection, action, commands)
        except ConnectionClosed:
            pass
        except Exception as error:
            self._log.warning("conversation", f"a connection failed: {error!r}")
            await connection.close(1011, "internal error")
        finally:
            self.hub.remove(connection)

    async def _do(self, connection: Subscriber, action: Action, commands: set[asyncio.Task[None]]) -> None:
        if isinstance(action, Reply):
            await self._send(connection, action.message)
        elif isinstance(action, Subscribe):
            self.hub.put(connection, action.subscription)
        elif isinstance(action, Close):
            self._log.warning(f"close {action.code}", f"closed a connection: {action.reason}")
            await connection.close(action.code, action.reason)
        else:
            if len(commands) >= MAX_COMMANDS_PER_CONNECTION:  # Reading stops: the client feels the back-pressure.
                await asyncio.wait(commands, return_when=asyncio.FIRST_COMPLETED)
            task = self._spawn(self._command(connection, action))
            commands.add(task)
            task.add_done_callback(commands.discard)

    async def _command(self, connection: Subscriber, command: Command) -> None:
        with contextlib.suppress(ConnectionClosed):
            await self._send(connection, await self._commands.run(command))

    async def _send(self, connection: Subscriber, message: Message) -> None:
        await connection.send(self.hub.payload(message, connection.logic.subscription.format))

    async def _send_status(self) -> None:
        while True:
            await asyncio.sleep(STATUS_INTERVAL_S)
            try:
                status = dict(await call_in_thread(self.services.status))
                fanout = {**asdict(self.hub.counts), "problems": sum(self._log.counts.values())}
                message = {**status, "type": "status", "subscribers": len(self.hub), "fanout": fanout}
                self.hub.send_message("status", message)
            except Exception as error:  # The runtime's own code: whatever it raises, frames go on.
                self._log.warning("status", f"no status was sent: {error!r}")

    async def _drop_stalled(self) -> None:
        stall_ns = self._config.stall_timeout_s * NS_PER_S
        while True:
            await asyncio.sleep(min(1.0, self._config.stall_timeout_s / 4))
            for connection in list(self.hub.open):
                if connection.stalled_for_ns(self.services.clock()) >= stall_ns:
                    self.hub.counts.stalled += 1
                    seconds = f"{self._config.stall_timeout_s:g} s"
                    self._log.warning("stalled", f"dropped a subscriber that has not read for {seconds}")
                    connection.transport.abort()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _on_loop_error(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        message = str(context.get("message"))
        self._log.warning(message[:40], f"{message}: {context.get('exception')!r}")


def page_response(page: Page) -> Response:
    """Return the HTTP answer that gives out ``page``."""
    length = str(len(page.body))
    headers = Headers({"Content-Type": page.content_type, "Content-Length": length, "Connection": "close", **HEADERS})
    return Response(200, "OK", headers, page.body)


def refusal_response(connection: ServerConnection, refusal: Refusal) -> Response:
    """Return the HTTP answer of ``refusal``: one line of text."""
    response = connection.respond(refusal.status, f"{refusal.text}\n")
    if refusal.status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="facewire"'
    if refusal.status == 503:
        response.headers["Retry-After"] = "5"
    return response
