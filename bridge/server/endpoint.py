"""The event loop's side of the live server: the handshake, each connection's conversation, status and stalls."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from websockets.frames import CloseCode

from facewire.bridge.server.access import AccessPolicy
from facewire.bridge.server.arrival.arrivals import Arrivals, Guesses
from facewire.bridge.server.arrival.request import Answer, Refusal, Request, check_method, websocket_key
from facewire.bridge.server.arrival.sockets import allow_open_files, room_for_connections
from facewire.bridge.server.commands import CommandHandler, CommandRunner
from facewire.bridge.server.config import ServerConfig
from facewire.bridge.server.connection import Connection
from facewire.bridge.server.door import Door
from facewire.bridge.server.hub import FanoutCounts, Hub
from facewire.bridge.server.oncelog import OnceLog
from facewire.bridge.server.pages import HEADERS, Page, load_pages
from facewire.bridge.server.server_protocol import Action, Close, Command, Reply, ServerProtocol, Subscribe
from facewire.bridge.server.status import StatusCall, StatusLoop
from facewire.bridge.shared.clock import NS_PER_S, Clock
from facewire.bridge.shared.errors import WireError
from facewire.bridge.wire.codec import Message
from facewire.bridge.wire.frame import FaceFrame
from facewire.bridge.wire.messages import LIVE_PATH, SUBPROTOCOL, Greeting, result_message, version

MAX_ARRIVALS = 1024
"""Connections, of all addresses, that have not finished their handshake or shown the token."""
ANSWER_S = 60.0
"""How long a client may take to read a page."""

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
        room = room_for_connections(allow_open_files(), config.max_connections + MAX_ARRIVALS)
        arrivals = min(MAX_ARRIVALS, room // 2)
        self.counts = counts
        self.server_name = f"facewire/{version()}"
        self.services = services
        self._places = min(config.max_connections, room - arrivals)
        self.hub = Hub(self._places, counts)
        self.connections: set[Connection] = set()
        """Everybody, those in their handshake and those about to be refused included."""
        self._config = config
        self._policy = policy
        self._log = OnceLog(logger)
        self._commands = CommandRunner(services.commands, self._log)
        self._pages = {**load_pages(), **services.pages}
        self._tasks: set[asyncio.Task[None]] = set()
        self._arrivals: Arrivals[Connection] = Arrivals(arrivals, max(1, arrivals * 5 // 8))
        self._guesses = Guesses()
        self._door = Door(self._arrive, self._log, config.handshake_timeout_s)
        self._empty = asyncio.Event()
        self.now_ns = services.clock

    async def open(self) -> list[tuple[str, int]]:
        """Listen, and return the addresses and their ports.

        Raises:
            OSError: the address cannot be listened on.
        """
        asyncio.get_running_loop().set_exception_handler(self._on_loop_error)
        addresses = self._door.open(self._config.host, self._config.port, self._config.ssl_context())
        self._policy = replace(self._policy, addresses=tuple(host for host, _ in addresses))
        self._spawn(StatusLoop(self.hub, self.services.status, self._log).run())
        self._spawn(self._look_after())
        self._spawn(self._drop_silent())
        return addresses

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
        self._door.close()
        for connection in list(self.connections):
            if connection.is_open and not connection.paused:
                connection.close(CloseCode.GOING_AWAY)
            else:  # A close frame would wait behind what it does not read, or there is no websocket yet.
                connection.hang_up()
        with contextlib.suppress(asyncio.TimeoutError):
            if self.connections:
                self._empty.clear()
                await asyncio.wait_for(self._empty.wait(), timeout_s)
        for connection in list(self.connections):
            connection.hang_up()
        await asyncio.sleep(0)

    # What a connection asks and tells

    def _arrive(self, address: str) -> Connection:
        connection = Connection(self, address)
        self.connections.add(connection)
        deadline_ns = self.now_ns() + self._ns(self._config.handshake_timeout_s)
        goes = self._arrivals.add(address, connection, deadline_ns)
        if goes is not None:
            crowd = f"connections that do not finish their handshake, of {goes.address} above all"
            self._log.warning("crowd", f"too many {crowd}: the oldest make room for the next")
            self._drop(goes)
        return connection

    def decide(self, connection: Connection, request: Request | Refusal) -> Answer | str:
        """Return the answer to a request, or the Sec-WebSocket-Accept of a websocket that is let in."""
        decision = self._decide(connection, request)
        if isinstance(decision, str):
            self._arrivals.remove(connection.address, connection)
            return decision
        if isinstance(decision, Page):
            if decision.needs_token and self._policy.token is not None:
                self._arrivals.remove(connection.address, connection)
            answer = page_answer(decision)
        else:
            self._log.warning(decision.kind, f"refused a connection: {decision.text}")
            guess = decision.kind == "wrong token"
            hold_s = self._guesses.wrong(connection.address, self.now_ns()) if guess else 0.0
            answer = refusal_answer(decision, hold_s)
        self._arrivals.extend(connection.address, connection, self.now_ns() + self._ns(answer.hold_s + ANSWER_S))
        return answer

    def _decide(self, connection: Connection, request: Request | Refusal) -> Refusal | Page | str:
        if isinstance(request, Refusal):
            return request
        hosts = request.values("host")
        if refusal := self._policy.check_host(hosts) or check_method(request):
            return refusal
        if request.path == LIVE_PATH:
            return self._check_person(request, hosts) or self._check_live(connection, request)
        page = self._pages.get(request.path)
        if page is None:
            return Refusal(404, "not found", f"Nothing here: the page is at /, the websocket at {LIVE_PATH}.")
        return (self._check_person(request, hosts) if page.needs_token else None) or page

    def _check_person(self, request: Request, hosts: Sequence[str]) -> Refusal | None:
        """Whether the client may have what is the user's: the stream, and pages that need the token."""
        return self._policy.check_origin(request.values("origin"), hosts) or self._policy.check_token(
            request.target, request.values("authorization")
        )

    def _check_live(self, connection: Connection, request: Request) -> Refusal | str:
        key = websocket_key(request)
        if isinstance(key, Refusal):
            return key
        offered = request.words("sec-websocket-protocol")
        if offered and SUBPROTOCOL not in offered:
            text = (
                f"This server speaks the websocket subprotocol {SUBPROTOCOL}: offer that, or none at all to get JSON."
            )
            return Refusal(400, "subprotocol", text)
        if not self.hub.claim_place(connection):
            return Refusal(503, "full", f"The server is full: {self._places} connections. Try again later.")
        connection.subprotocol = SUBPROTOCOL if offered else None
        connection.logic = ServerProtocol("msgpack" if offered else "json")
        return key

    def opened(self, connection: Connection) -> None:
        """Greet a new websocket."""
        self._send(connection, self.services.greeting.message(self.services.clock()))
        self.hub.put(connection, connection.logic.subscription)

    def received(self, connection: Connection, data: bytes | str) -> None:
        """Act on a message."""
        try:
            for action in connection.logic.receive(data, self.services.clock()):
                self._do(connection, action)
        except Exception as error:
            self._log.warning("conversation", f"a connection failed: {error!r}")
            connection.close(CloseCode.INTERNAL_ERROR, "internal error")

    def closing(self, connection: Connection) -> None:
        """Send no more frames to it."""
        self.hub.remove(connection)

    def lost(self, connection: Connection) -> None:
        """Forget a connection."""
        self.hub.release(connection)
        self._arrivals.remove(connection.address, connection)
        self.connections.discard(connection)
        if not self.connections:
            self._empty.set()

    def _do(self, connection: Connection, action: Action) -> None:
        if isinstance(action, Reply):
            self._send(connection, action.message)
        elif isinstance(action, Subscribe):
            self.hub.put(connection, action.subscription)
        elif isinstance(action, Close):
            self._log.warning(f"close {action.code}", f"closed a connection: {action.reason}")
            connection.close(action.code, action.reason)
        else:
            connection.commands += 1
            self._spawn(self._command(connection, action))

    async def _command(self, connection: Connection, command: Command) -> None:
        try:
            result = await self._commands.run(connection, command)
            try:
                self._send(connection, result)
            except WireError as error:  # Each command has its result, whatever its value is.
                self._log.warning("result", f"an answer was not sent: {error}")
                why = f"the answer to {command.name!r} cannot be sent, though it was done: {error}"
                self._send(connection, result_message(command.id, error=why))
        finally:
            connection.commands -= 1
            connection.read_on()

    def _send(self, connection: Connection, message: Message) -> None:
        connection.reply(self.hub.reply(message, connection.logic.subscription.format))

    async def _look_after(self) -> None:
        """Hang up on whoever does not take what it is owed, and see who is still there."""
        stall_ns, keepalive_ns = self._ns(self._config.stall_timeout_s), self._ns(self._config.keepalive_s)
        while True:
            await asyncio.sleep(min(1.0, self._config.stall_timeout_s / 4))
            now_ns = self.now_ns()
            for connection in list(self.connections):
                if connection.overdue(now_ns, stall_ns):
                    self._drop_stalled(connection)
                else:
                    connection.keep_alive(now_ns, keepalive_ns)

    def _drop_stalled(self, connection: Connection) -> None:
        self.hub.counts.stalled += 1
        seconds = f"{self._config.stall_timeout_s:g} s"
        self._log.warning("stalled", f"dropped a client that has not read for {seconds}")
        connection.hang_up()

    async def _drop_silent(self) -> None:
        """Hang up on whoever has not said in time what it wants."""
        while True:
            await asyncio.sleep(min(0.25, self._config.handshake_timeout_s / 4))
            for connection in self._arrivals.overdue(self.now_ns()):
                self._drop(connection)

    def _drop(self, connection: Connection) -> None:
        self._arrivals.remove(connection.address, connection)
        connection.hang_up()

    @staticmethod
    def _ns(seconds: float) -> int:
        return round(seconds * NS_PER_S)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _on_loop_error(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        message = str(context.get("message"))
        self._log.warning(message[:40], f"{message}: {context.get('exception')!r}")


def page_answer(page: Page) -> Answer:
    """Return the HTTP answer that gives out ``page``."""
    return Answer(200, {"Content-Type": page.content_type, "Content-Length": str(len(page.body)), **HEADERS}, page.body)


def refusal_answer(refusal: Refusal, hold_s: float = 0.0) -> Answer:
    """Return the HTTP answer of ``refusal``: one line of text, after a while."""
    body = f"{refusal.text}\n".encode()
    fields = {"Content-Type": "text/plain; charset=utf-8", "Content-Length": str(len(body))}
    extra = {
        401: {"WWW-Authenticate": 'Bearer realm="facewire"'},
        405: {"Allow": "GET, HEAD"},
        426: {"Upgrade": "websocket", "Sec-WebSocket-Version": "13"},
        503: {"Retry-After": "5"},
    }
    return Answer(refusal.status, {**fields, **extra.get(refusal.status, {})}, body, hold_s)
