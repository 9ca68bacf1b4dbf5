"""VTube Studio: values for its tracking parameters by its public API, a websocket on port 8001.

The person at the screen allows it once; the token is kept in Facewire's configuration folder. A thread of its own holds
the connection, so nothing here ever waits for VTube Studio; between frame and socket there is one place, where the
newest wins.
"""

from __future__ import annotations

import json
import os
import random
import socket
import threading
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

from facewire.bridge import mapping
from facewire.bridge.frame import FaceFrame, Float32Array
from facewire.bridge.outputs.base import Output, OutputError
from facewire.bridge.outputs.choose import Target
from facewire.bridge.outputs.vts_api import MAX_REPLY_BYTES, VtsDeniedError, VtsError, VtsSession, check_token
from facewire.bridge.pacing import Backoff, MessageBudget

KEEP_S = 0.4
"""Values go out again after so long without a frame: VTube Studio takes its parameters back after a second."""
WAIT_S = 0.05
OPEN_TIMEOUT_S = 2.0
MOST_RETRY_S = 5.0
REPORT_S = 60.0
MAX_REPLIES_A_SECOND = 500
HOME_S = 30.0
"""Time constant of the mean place of the head, which positions count from."""
TOKEN_FILE = "vts.json"
MAX_TOKEN_BYTES = 20_000
ALLOW = "waiting for a click on Allow in VTube Studio's window"


class VtsOutput(Output):
    """Carries over the newest values, and where the head was on average."""

    name = "vts"

    def __init__(self, target: Target) -> None:
        """The token is kept in the target's folder, if there is one."""
        host = f"[{target.host}]" if ":" in target.host else target.host
        self._where = f"{host}:{target.port}"
        self._table = mapping.load("vts")
        rows = self._table.section.rows
        self._driven = np.array([index for index, row in enumerate(rows) if row.weights], np.intp)
        names = [rows[index].target for index in self._driven]
        custom = {name: (0.0, 1.0, 0.0) for name in names if name.startswith("Facewire")}
        self._all = self._table.new_values()
        self._places = np.array([names.index(f"FacePosition{axis}") for axis in "XYZ"], np.intp)
        self._home: Float32Array | None = None
        self._home_ns = 0
        self.waiting = f"connecting to {self._where}"
        self._link = Link(self, self._where, (names, custom), Tokens(target.folder, self._where))

    def open(self) -> None:
        """Starts to connect; whether VTube Studio is there does not matter yet."""
        self._link.start()

    def send(self, frame: FaceFrame, now_ns: int) -> None:
        """Hands the frame's values on. Raises OutputError while VTube Studio is not there or says no."""
        self._table.apply_frame(frame, self._all)
        values = self._all[self._driven]
        values[self._places] -= self._move_home(values[self._places], now_ns)
        self._link.offer(values, frame.sources != "held")
        self.idle(now_ns)

    def idle(self, now_ns: int) -> None:  # noqa: ARG002
        """Says what is wrong; the connection keeps itself alive. Raises OutputError."""
        if self._link.problem is not None:
            raise OutputError(self._link.problem)

    def close(self) -> None:
        """Ends the connection and the thread."""
        self._link.stop()

    def describe(self) -> str:
        """Where VTube Studio is."""
        return self._where

    def _move_home(self, place: Float32Array, now_ns: int) -> Float32Array:
        """The mean place of the head in cm: a person does not sit in the middle of the picture."""
        if self._home is None:
            self._home, self._home_ns = place.copy(), now_ns
        passed_s = min(max((now_ns - self._home_ns) * 1e-9, 0.0), 1.0)
        np.add(self._home, (place - self._home) * np.float32(passed_s / (passed_s + HOME_S)), out=self._home)
        self._home_ns = now_ns
        return self._home


class Link:
    """The connection and its thread. Holds the newest values; a newer one replaces them (drop policy: newest wins)."""

    def __init__(
        self,
        output: Output,
        where: str,
        parameters: tuple[list[str], dict[str, tuple[float, float, float]]],
        tokens: Tokens,
    ) -> None:
        self.problem: str | None = None
        """Why nothing arrives, or None."""
        self._output, self._where, self._parameters, self._tokens = output, where, parameters, tokens
        self._newest: tuple[Float32Array, bool] | None = None
        self._fresh = False
        self._changed = threading.Condition(threading.Lock())
        self._stopping = threading.Event()
        self._said_s = 0.0
        self._reported_s: dict[str, float] = {}
        self._websocket: ClientConnection | None = None
        self._thread = threading.Thread(target=self._run, name="facewire-vts-link", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def offer(self, values: Float32Array, face_found: bool) -> None:
        """Replaces what is to be sent. Never waits."""
        with self._changed:
            self._newest, self._fresh = (values, face_found), True
            self._changed.notify()

    def stop(self) -> None:
        """Has the thread end, whatever it waits for; waits for nothing. Safe to call twice."""
        self._stopping.set()
        with self._changed:
            self._changed.notify()
        websocket = self._websocket
        if websocket is not None:
            with suppress(OSError):
                websocket.socket.shutdown(socket.SHUT_RDWR)

    def _run(self) -> None:
        backoff = Backoff(random.random, most_s=MOST_RETRY_S)
        while not self._stopping.is_set():
            try:
                self._converse(backoff)
            except VtsDeniedError as error:
                self._output.waiting, self.problem = str(error), None
                self._say("denied", str(error))
                self._stopping.wait()
            except VtsError as error:
                self.problem = str(error)
            except ConnectionRefusedError:
                self.problem = 'VTube Studio does not run, or "Start API" is off in its settings'
            except (OSError, WebSocketException) as error:  # a TimeoutError is an OSError
                self.problem = f"no conversation with VTube Studio: {str(error)[:200] or type(error).__name__}"
            finally:
                self._websocket = None
            self._stopping.wait(backoff.next_s())

    def _converse(self, backoff: Backoff) -> None:
        """Holds one connection until it ends. Raises VtsError, OSError and WebSocketException."""
        session = VtsSession(*self._parameters, self._tokens.load())
        with connect(
            f"ws://{self._where}",
            open_timeout=OPEN_TIMEOUT_S,
            close_timeout=0.2,
            ping_interval=None,  # its answers tell whether it lives
            max_size=MAX_REPLY_BYTES,
            compression=None,
            proxy=None,
        ) as websocket:
            self._websocket = websocket
            budget = MessageBudget(MAX_REPLIES_A_SECOND, MAX_REPLIES_A_SECOND)
            for message in session.start(time.monotonic_ns()):
                websocket.send(message)
            while not self._stopping.is_set():
                session.check(time.monotonic_ns())
                self._listen(session, websocket, budget)
                self._tell(session)
                if session.stage == "ready":
                    backoff.reset()
                if session.has_room and (newest := self._next()) is not None:
                    websocket.send(session.inject(*newest, time.monotonic_ns()))

    def _listen(self, session: VtsSession, websocket: ClientConnection, budget: MessageBudget) -> None:
        """Takes what has come, or waits a little for it where there is nothing else to do."""
        wait_s = 0.0 if session.has_room else WAIT_S
        try:
            while (text := _receive(websocket, wait_s)) is not None:
                wait_s = 0.0
                if not budget.spend(time.monotonic_ns()):
                    raise VtsError("what answers there talks without end: it is not VTube Studio")
                for reply in session.receive(text, time.monotonic_ns()):
                    websocket.send(reply)
        finally:
            self._keep(session.token)

    def _next(self) -> tuple[Float32Array, bool] | None:
        """The newest values, waiting a little for them; older ones again before VTube Studio gives them up."""
        with self._changed:
            if not self._fresh and not self._stopping.is_set():
                self._changed.wait(WAIT_S)
            now_s = time.monotonic()
            if not self._fresh and now_s - self._said_s < KEEP_S:
                return None
            self._fresh, self._said_s = False, now_s
            return self._newest

    def _tell(self, session: VtsSession) -> None:
        """Passes on how the conversation stands."""
        self.problem = None
        if session.stage == "allow":
            self._output.waiting = ALLOW
            self._say("allow", ALLOW)
        else:
            self._output.waiting = None if session.stage == "ready" else f"connecting to {self._where}"
        if session.problem is not None:
            self._say("problem", session.problem)
            session.problem = None

    def _keep(self, token: str | None) -> None:
        try:
            self._tokens.save(token)
        except OSError as error:
            self._say("token", f"cannot keep VTube Studio's leave, it will ask again: {error.strerror or error}")

    def _say(self, kind: str, line: str) -> None:
        """A line of each kind a minute at most."""
        now_s = time.monotonic()
        if now_s - self._reported_s.get(kind, -REPORT_S) >= REPORT_S:
            self._reported_s[kind] = now_s
            self._output.report(line)


def _receive(websocket: ClientConnection, timeout_s: float) -> str | bytes | None:
    """The next message, or None where there is none in time."""
    try:
        return websocket.recv(timeout=timeout_s)
    except TimeoutError:
        return None


class Tokens:
    """Tokens by address in one file that only its owner can read."""

    def __init__(self, folder: Path | None, where: str) -> None:
        self._path = None if folder is None else folder / TOKEN_FILE
        self._where = where
        self._known: str | None = None

    def load(self) -> str | None:
        """Returns the token for this address, if one is kept."""
        with suppress(OSError, VtsError):
            self._known = check_token(self._read().get(self._where))
        return self._known

    def save(self, token: str | None) -> None:
        """Keeps ``token``, or forgets the one that counts no longer. Raises OSError."""
        if token == self._known:
            return
        self._known = token
        if self._path is None:
            return
        content = self._read()
        content.pop(self._where, None)
        self._write(content if token is None else {**content, self._where: token})

    def _read(self) -> dict[str, object]:
        if self._path is None or not self._path.is_file() or self._path.stat().st_size > MAX_TOKEN_BYTES:
            return {}
        with suppress(ValueError, RecursionError):  # a broken file is written anew
            content = json.loads(self._path.read_text(encoding="utf-8"))
            return content if isinstance(content, dict) else {}
        return {}

    def _write(self, content: dict[str, object]) -> None:
        assert self._path is not None
        self._path.parent.mkdir(parents=True, exist_ok=True)
        part = self._path.with_name(f".{self._path.name}.part")
        part.unlink(missing_ok=True)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            json.dump(content, file)
        part.replace(self._path)
