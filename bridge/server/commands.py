"""Commands and the status call: work of the runtime that must never stall the event loop, so each runs on a thread of
its own."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Hashable, Mapping
from typing import Any, TypeAlias, TypeVar

from facewire.bridge.server.lanes import Lane
from facewire.bridge.server.oncelog import OnceLog
from facewire.bridge.server.server_protocol import Command
from facewire.bridge.shared.errors import FacewireError
from facewire.bridge.wire.codec import Message
from facewire.bridge.wire.messages import result_message

CommandHandler: TypeAlias = Callable[[Mapping[str, Any]], "Mapping[str, Any] | None"]
"""Takes a command's args and returns the result's value, if there is one. It runs off the event loop, beside those of
other lanes. A ``FacewireError`` becomes the result's error. It must check its args: they come from the network."""

T = TypeVar("T")

MAX_WAITING = 512
"""Commands that wait or run at once, of all clients; one more gets ``busy`` (drop policy: newest is refused)."""
DEADLINE_S = 30.0
"""A command has its answer by then. What does not end keeps its lane, for nobody knows what it still does."""
LOOKERS = 4
"""So many clients may look at the same thing at once."""
LOOKING = ("state", "devices", "takes", "outputs")
"""These change nothing, so they overtake all others."""
CHANGING = "changing"
KINDS: Mapping[str, str] = {**dict.fromkeys(LOOKING, "looking"), "calibrate": "calibrating", "choose": "choosing"}
"""By command; all others are ``CHANGING``. Of one kind a client has one done at a time, in its order."""
_TOUCHING: Mapping[str, tuple[str, ...]] = {
    **{name: (name,) for name in LOOKING},
    "calibration": ("calibrate",),
    "camera": ("choose",),
    "settings": ("set", "calibrate_reset", "flame_reset"),
    "profiles": ("profile_save", "profile_load", "profile_delete"),
    "recording": ("record_start", "record_stop"),
    "replay": ("replay_start", "replay_stop", "pause", "resume", "seek", "step", "speed"),
    "running outputs": ("output_start", "output_stop"),
}
LANES: Mapping[str, str] = {name: thing for thing, names in _TOUCHING.items() for name in names}
"""By command, what it touches. Those that touch the same exclude each other; what hangs there, such as a disk, holds
nobody up who wants something else."""
MICROPHONE, OTHERS = "microphone", "what a program adds"
"""``choose`` touches what is watched or what is listened to; commands that are not in the table share a lane."""
BUSY = "busy"


class CommandRunner:
    """Runs commands by name, those of one lane one at a time, a client's in its order. Belongs to one event loop."""

    def __init__(self, handlers: Mapping[str, CommandHandler], log: OnceLog) -> None:
        self._handlers = dict(handlers)
        self._log = log
        self._orders = {kind: Lane(MAX_WAITING) for kind in (*KINDS.values(), CHANGING)}
        self._lanes = {
            thing: Lane(LOOKERS if thing in LOOKING else 1) for thing in (*LANES.values(), MICROPHONE, OTHERS)
        }
        self._lanes["calibration"] = Lane(1, exclusive=True)
        self._waiting = 0

    async def run(self, client: Hashable, command: Command) -> Message:
        """Run one command of a client and return its result message. It raises nothing."""
        handler = self._handlers.get(command.name)
        if handler is None:
            return self._refuse(command, "unknown", f"unknown command {command.name!r}")
        order, lane = self._orders[KINDS.get(command.name, CHANGING)], self._lanes[lane_of(command)]
        if self._waiting >= MAX_WAITING:
            return result_message(
                command.id, error="busy: too many commands are waiting; try again in a moment", code=BUSY
            )
        if lane.exclusive and (order.taken_by_another(client) or lane.taken_by_another(client)):
            why = f"busy: another client's {command.name!r} is running; try again when it has ended"
            return self._refuse(command, command.name, why, BUSY)
        self._waiting += 1
        try:
            value = await self._in_turn(order, lane, client, lambda: handler(command.args))
            return result_message(command.id, value=value)
        except FacewireError as error:
            return self._refuse(command, command.name, str(error), error.code)
        except asyncio.TimeoutError:  # not the built-in one before Python 3.11
            why = f"busy: there is no answer to {command.name!r} after {DEADLINE_S:g} s; try again later"
            return self._refuse(command, f"late {command.name}", why, BUSY)
        except Exception as error:
            self._log.warning(f"command {command.name}", f"the command {command.name!r} failed: {error!r}")
            return result_message(command.id, error=f"the command {command.name!r} failed in the server; see its log")
        finally:
            self._waiting -= 1

    async def _in_turn(self, order: Lane, lane: Lane, client: Hashable, function: Callable[[], T]) -> T:
        """Return ``function()``, called when it is the client's turn: in its own ``order``, then in ``lane``.

        Raises:
            asyncio.TimeoutError: there is nothing after ``DEADLINE_S``; the lane stays taken until it ends, and the
                client's next command has its turn.
            Exception: whatever ``function`` raises.
        """
        ordered = begun = False

        async def take_turn() -> T:
            nonlocal ordered, begun
            await order.begin(client)
            ordered = True
            await lane.begin(client)
            begun = True
            try:
                return await call_in_thread(function)
            finally:
                lane.end(client)

        work = asyncio.ensure_future(take_turn())
        try:
            if (await asyncio.wait({work}, timeout=DEADLINE_S))[0]:
                return work.result()
            if not begun:  # what was answered with a refusal is not done later
                work.cancel()
            work.add_done_callback(lambda late: late.cancelled() or late.exception())  # nobody asks for it any more
            raise asyncio.TimeoutError
        finally:
            if ordered:
                order.end(client)

    def _refuse(self, command: Command, kind: str, why: str, code: str | None = None) -> Message:
        """Say why in the result, and once of each kind in the log."""
        self._log.warning(f"refused {kind}", f"a command was refused: {why}")
        return result_message(command.id, error=why, code=code)


def lane_of(command: Command) -> str:
    """Return what a command touches."""
    if command.name == "choose" and not command.args.keys().isdisjoint(("audio", "speech")):
        return MICROPHONE
    return LANES.get(command.name, OTHERS)


async def call_in_thread(function: Callable[[], T]) -> T:
    """Return ``function()``, called on a daemon thread: one that hangs delays neither the loop nor the end of the
    program.

    Raises:
        Exception: whatever ``function`` raises.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def deliver(value: T | None, error: Exception | None) -> None:
        if done.cancelled():
            return
        if error is None:
            done.set_result(value)  # type: ignore[arg-type]  # None only if T allows it or there is an error
        else:
            done.set_exception(error)

    def work() -> None:
        value, failure = None, None
        try:
            value = function()
        except Exception as error:
            failure = error
        with contextlib.suppress(RuntimeError):  # The loop was closed meanwhile: nobody waits for the answer.
            loop.call_soon_threadsafe(deliver, value, failure)

    threading.Thread(target=work, name="facewire-command", daemon=True).start()
    return await done
