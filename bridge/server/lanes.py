"""Who may work when: client after client, so that whoever asks much waits for himself."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Hashable


class Lane:
    """Work of which ``width`` pieces may be done at once, one of each client. Belongs to one event loop.

    A client that waits with many is passed by those that wait with one: turns go round. State: who works, who waits.
    """

    def __init__(self, width: int, *, exclusive: bool = False) -> None:
        """``exclusive`` work is not waited for if another client is at it."""
        self._width, self.exclusive = width, exclusive
        self._working: set[Hashable] = set()
        self._waiting: OrderedDict[Hashable, deque[asyncio.Future[None]]] = OrderedDict()

    def taken_by_another(self, client: Hashable) -> bool:
        """Return whether another client is at it, or waits for it."""
        return any(other != client for other in (*self._working, *self._waiting))

    async def begin(self, client: Hashable) -> None:
        """Wait for the client's turn; ``end`` has to follow, unless this was cancelled."""
        # While there is room, whoever waits is at work too, and waits for that: he keeps nobody else.
        if len(self._working) < self._width and client not in self._working:
            self._working.add(client)
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(client, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # it had its turn in the same moment
                self.end(client)
            else:
                self._forget(client, turn)
            raise

    def end(self, client: Hashable) -> None:
        """Give the turn to the client that has waited longest for one."""
        self._working.discard(client)
        for other in list(self._waiting):
            if len(self._working) >= self._width:
                return
            if other not in self._working and self._next_of(other):
                self._working.add(other)

    def _forget(self, client: Hashable, turn: asyncio.Future[None]) -> None:
        """Let go of what waits no longer: beside work that hangs nobody else would."""
        turns = self._waiting.get(client, deque())
        if turn in turns:
            turns.remove(turn)
            if not turns:
                del self._waiting[client]

    def _next_of(self, client: Hashable) -> bool:
        """Wake the client's first piece of work, and put the client behind the others."""
        turns = self._waiting[client]
        while turns:
            turn = turns.popleft()
            if turns:
                self._waiting.move_to_end(client)
            else:
                del self._waiting[client]
            if not turn.done():
                turn.set_result(None)
                return True
        return False
