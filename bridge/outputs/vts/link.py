"""A connection to VTube Studio that heals itself, and waits for nothing while values flow."""

from __future__ import annotations

import random
import threading
from typing import TypeAlias

from facewire.bridge.outputs.base import Output
from facewire.bridge.outputs.choose import OUTPUTS, Target
from facewire.bridge.outputs.vts import discovery
from facewire.bridge.outputs.vts.api import API_IS_OFF, VtsDeniedError, VtsError, VtsSession
from facewire.bridge.outputs.vts.socket import TextSocket
from facewire.bridge.outputs.vts.tokens import Tokens
from facewire.bridge.shared.clock import NS_PER_S
from facewire.bridge.wire.pacing import Backoff

Parameters: TypeAlias = tuple[list[str], dict[str, tuple[float, float, float]]]
"""All parameters, and those of them that must be made, with lowest, highest and default value."""

KEEP_NS = 400_000_000
"""Values go out again after this long without a frame: VTube Studio takes its parameters back after a second."""
WAIT_S = 0.05
MOST_RETRY_S = 5.0
REPORT_NS = 60 * NS_PER_S
ALLOW = "waiting for a click on Allow in VTube Studio's window"


class Link:
    """The connection. A thread opens it and talks until values may be sent, which may take until somebody clicks;
    from then on ``step`` does everything, and waits for nothing.

    Holds the newest values; a newer one replaces them (drop policy: newest wins).
    """

    def __init__(self, output: Output, target: Target, parameters: Parameters) -> None:
        self.problem: str | None = None
        """Why nothing arrives, or None."""
        self._output, self._target, self._parameters = output, target, parameters
        self._clock = target.clock
        self._port, self._usual = target.port, target.port == OUTPUTS["vts"].port
        self._trouble: OSError | VtsError | None = None
        self._tokens = Tokens(target.folder, self.where)  # by where it was looked for: its port may change
        self._newest: tuple[list[float], bool] | None = None
        self._fresh = False
        self._said_ns = 0
        self._retry_ns: int | None = None
        self._backoff = Backoff(random.random, most_s=MOST_RETRY_S)
        self._live: tuple[TextSocket, VtsSession] | None = None
        self._opener: threading.Thread | None = None
        self._opened: tuple[TextSocket, VtsSession] | None = None
        self._denied = False
        self._stopping = threading.Event()
        self._reported_ns: dict[str, int] = {}

    @property
    def where(self) -> str:
        """Where VTube Studio is, as far as that is known."""
        host = self._target.host
        return f"{f'[{host}]' if ':' in host else host}:{self._port}"

    def offer(self, values: list[float], face_found: bool) -> None:
        """Replace what is to be sent."""
        self._output.overtaken += self._fresh and self._live is not None
        self._newest, self._fresh = (values, face_found), True

    def step(self, now_ns: int) -> None:
        """Take what has come and send what is new, or open the connection. It raises nothing and waits for nothing."""
        if self._live is None and not self._stopping.is_set():
            self._reopen(now_ns)
        if self._live is None:
            return
        try:
            self._exchange(*self._live, now_ns)
        except (VtsError, OSError) as error:
            self._keep(self._live[1].token)
            self._live[0].close()
            self._live = None
            self._fail(error)

    def stop(self) -> None:
        """Close the connection, and make the thread end; wait for nothing. Safe to call twice."""
        self._stopping.set()
        for opened in (self._live, self._opened):
            if opened is not None:
                opened[0].close()
        self._live = None

    def _exchange(self, connection: TextSocket, session: VtsSession, now_ns: int) -> None:
        if not self._may_send(connection, session, now_ns):  # else its answers can wait: to hear them costs as much
            self._listen(connection, session, now_ns)
        if self._newest is not None and self._may_send(connection, session, now_ns):
            connection.send(session.inject(*self._newest, now_ns))
            self._fresh, self._said_ns = False, now_ns

    def _may_send(self, connection: TextSocket, session: VtsSession, now_ns: int) -> bool:
        due = self._fresh or (self._newest is not None and now_ns - self._said_ns >= KEEP_NS)
        return due and session.has_room and connection.is_clear

    def _listen(self, connection: TextSocket, session: VtsSession, now_ns: int) -> None:
        """Take what VTube Studio has said, and answers."""
        for text in connection.receive():
            for reply in session.receive(text, now_ns):
                connection.send(reply)
        session.check(now_ns)
        if session.problem is not None:
            self._notify_rarely("problem", session.problem)
            session.problem = None

    def _reopen(self, now_ns: int) -> None:
        """Take over what the thread has opened, or start one when it is time."""
        if self._opener is not None and self._opener.is_alive():
            return
        if self._opened is not None:
            self._live, self._opened = self._opened, None
            self._output.waiting = self.problem = self._retry_ns = None
            self._backoff.reset()
            return
        if self._denied:
            return
        if self._retry_ns is None:
            self._retry_ns = now_ns + int(self._backoff.next_s() * 1e9) if self._opener is not None else now_ns
        if now_ns >= self._retry_ns:
            self._retry_ns = None
            self._opener = threading.Thread(target=self._open, name="facewire-vts", daemon=True)
            self._opener.start()

    def _open(self) -> None:
        """Connect, and talk until values may be sent: what the thread does."""
        session = VtsSession(*self._parameters, self._tokens.load())
        connection: TextSocket | None = None
        try:
            connection = self._connect()
            connection.set_timeout(WAIT_S)
            self._talk(connection, session)
            connection.set_timeout(0.0)
            self._opened = None if self._stopping.is_set() else (connection, session)
        except VtsDeniedError as error:
            self._denied, self.problem, self._output.waiting = True, None, str(error)
            self._notify_rarely("denied", str(error))
        except (VtsError, OSError) as error:
            self._fail(error)
        finally:
            self._keep(session.token)
            if connection is not None and self._opened is None:
                connection.close()

    def _connect(self) -> TextSocket:
        """Connect where it was last, or else to where it says that it is if the user named no other port.

        Raises:
            OSError: nothing listens there, or nothing answers.
            VtsError: what answers is not VTube Studio, or its API is off.
        """
        places = dict.fromkeys((self._port, self._target.port))
        connection = next((one for one in map(self._try, places) if one is not None), None)
        if connection is not None:
            return connection
        assert self._trouble is not None
        self._fail(self._trouble)  # said before it is listened, which takes a while
        host = self._target.host
        found = discovery.listen(host, self._clock, self._stopping.is_set) if self._usual else None
        if found is None:
            raise self._trouble
        if not found.active:
            raise VtsError(API_IS_OFF)
        connection = self._try(found.port)
        if connection is None:
            raise self._trouble
        self._notify_rarely("found", f"VTube Studio says that it is on port {found.port}: connected there")
        return connection

    def _try(self, port: int) -> TextSocket | None:
        try:
            connection = TextSocket(self._target.host, port, self._clock)
        except (OSError, VtsError) as error:
            self._trouble = error
            return None
        self._port = port
        return connection

    def _talk(self, connection: TextSocket, session: VtsSession) -> None:
        for message in session.start(self._clock()):
            connection.send(message)
        while session.stage != "ready":
            if self._stopping.is_set():
                raise VtsError("it was switched off")
            for text in connection.receive():
                for reply in session.receive(text, self._clock()):
                    connection.send(reply)
            session.check(self._clock())
            if session.stage == "allow":
                self.problem, self._output.waiting = None, ALLOW
                self._notify_rarely("allow", ALLOW)

    def _fail(self, error: Exception) -> None:
        if isinstance(error, VtsError):
            self.problem = str(error)
        elif isinstance(error, ConnectionRefusedError):
            self.problem = 'VTube Studio is not running, or "Start API" is off in its settings'
        elif isinstance(error, ConnectionError):  # found by hearing nothing more or by a broken pipe
            self.problem = "VTube Studio closed the connection"
        else:
            self.problem = f"cannot talk to VTube Studio: {str(error)[:200] or type(error).__name__}"
        self._output.waiting = f"connecting to {self._output.describe()}"

    def _keep(self, token: str | None) -> None:
        try:
            self._tokens.save(token)
        except OSError as error:
            self._notify_rarely(
                "token", f"cannot save VTube Studio's permission, so it will ask again: {error.strerror or error}"
            )

    def _notify_rarely(self, kind: str, line: str) -> None:
        """Tell the user a line, of each kind one a minute at most."""
        now, last_ns = self._clock(), self._reported_ns.get(kind)
        if last_ns is None or now - last_ns >= REPORT_NS:
            self._reported_ns[kind] = now
            self._output.notify(line)
