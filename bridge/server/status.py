"""The status message: about once a second, whatever one of its parts does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, TypeAlias

from facewire.bridge.server.commands import call_in_thread
from facewire.bridge.server.hub import Hub
from facewire.bridge.server.oncelog import OnceLog

STATUS_INTERVAL_S = 1.0
LATE_S = 2.0
"""How long what the runtime says of itself is waited for; then the rest is sent without it."""
LATE = "The server does not say how it is: something that it waits for, such as a disk, does not answer."

StatusCall: TypeAlias = Callable[[], Mapping[str, Any]]


class StatusLoop:
    """Sends the status to everybody. State: the call that has not answered yet; there is never a second one."""

    def __init__(self, hub: Hub, call: StatusCall, log: OnceLog) -> None:
        self._hub, self._call, self._log = hub, call, log
        self._asked: asyncio.Task[dict[str, Any]] | None = None

    async def run(self) -> None:
        """Send it again and again."""
        while True:
            await asyncio.sleep(STATUS_INTERVAL_S)
            self.send(await self.ask())

    async def ask(self) -> dict[str, Any]:
        """Return what the runtime says of itself; without waiting longer than ``LATE_S``, and raising nothing."""
        if self._asked is None:
            self._asked = asyncio.ensure_future(call_in_thread(lambda: dict(self._call())))
        asked = self._asked
        if not (await asyncio.wait({asked}, timeout=LATE_S))[0]:
            self._log.warning("late status", f"the status takes longer than {LATE_S:g} s and is sent without it")
            return {"problems": [LATE]}
        self._asked = None
        error = asked.exception()
        if error is not None:  # The runtime's own code: whatever it raises, frames go on.
            self._log.warning("status", f"a status was sent without what the run says of itself: {error!r}")
            return {}
        return asked.result()

    def send(self, status: Mapping[str, Any]) -> None:
        """Send ``status`` with the server's own counts. It raises nothing."""
        hub = self._hub
        fanout = {**asdict(hub.counts), "problems": sum(self._log.counts.values())}
        try:
            hub.send_message("status", {**status, "type": "status", "subscribers": len(hub), "fanout": fanout})
        except Exception as error:
            self._log.warning("status", f"no status was sent: {error!r}")
        if hub.lost:
            self._log.warning("unwritten", f"parts of messages could not be written: {', '.join(hub.lost)}")
            hub.lost.clear()
