"""Commands and the status call: work of the runtime that must never stall the event loop, so each runs on a thread of
its own."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, TypeVar

from facewire.bridge.server.oncelog import OnceLog
from facewire.bridge.server.server_protocol import Command
from facewire.bridge.shared.errors import FacewireError
from facewire.bridge.wire.codec import Message
from facewire.bridge.wire.messages import result_message

CommandHandler: TypeAlias = Callable[[Mapping[str, Any]], "Mapping[str, Any] | None"]
"""Takes a command's args and returns the result's value, if there is one. It runs off the event loop, one command at a
time; a ``FacewireError`` becomes the result's error. It must check its args: they come from the network."""

T = TypeVar("T")

MAX_WAITING = 64
"""Commands that wait or run at once; one more gets the error ``busy`` (drop policy: newest is refused)."""


class CommandRunner:
    """Runs commands by name, in the order in which they came. Belongs to one event loop."""

    def __init__(self, handlers: Mapping[str, CommandHandler], log: OnceLog) -> None:
        self._handlers = dict(handlers)
        self._log = log
        self._turn = asyncio.Lock()
        self._waiting = 0

    async def run(self, command: Command) -> Message:
        """Run one command and return its result message. It raises nothing."""
        handler = self._handlers.get(command.name)
        if handler is None:
            return self._refuse(command, "unknown", f"unknown command {command.name!r}")
        if self._waiting >= MAX_WAITING:
            return result_message(command.id, error="busy: too many commands are waiting")
        self._waiting += 1
        try:
            async with self._turn:
                return result_message(command.id, value=await call_in_thread(lambda: handler(command.args)))
        except FacewireError as error:
            return self._refuse(command, command.name, str(error), error.code)
        except Exception as error:
            self._log.warning(f"command {command.name}", f"the command {command.name!r} failed: {error!r}")
            return result_message(command.id, error=f"the command {command.name!r} failed in the server; see its log")
        finally:
            self._waiting -= 1

    def _refuse(self, command: Command, kind: str, why: str, code: str | None = None) -> Message:
        """Say why in the result, and once of each kind in the log."""
        self._log.warning(f"refused {kind}", f"a command was refused: {why}")
        return result_message(command.id, error=why, code=code)


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
