"""How the pictures and the sound of files keep together: they begin at one moment, however long each takes to open."""

from __future__ import annotations

import threading

from facewire.bridge.shared.clock import Clock

LOOK_S = 0.05


class Meeting:
    """Where two files wait for each other; each calls ``meet`` from its own thread, and ``leave`` when it ends."""

    def __init__(self, *, each_round: bool) -> None:
        """``each_round`` says that they also begin again together: they are pictures and sound of one file."""
        self.each_round = each_round
        self._changed = threading.Condition()
        self._expected, self._arrived, self._round = 2, 0, 0
        self._start_ns = 0

    def meet(self, interrupted: threading.Event, clock: Clock) -> int:
        """Wait until all that have not left are there; return the moment, the same for all. An interrupt ends it."""
        with self._changed:
            self._arrived += 1
            mine = self._round
            if self._arrived >= self._expected:
                self._begin(clock())
            while mine == self._round and not interrupted.is_set():
                self._changed.wait(LOOK_S)
                if self._arrived >= self._expected and mine == self._round:  # the other has left
                    self._begin(clock())
            return self._start_ns if mine != self._round else clock()

    def leave(self) -> None:
        """Be waited for no longer."""
        with self._changed:
            self._expected -= 1
            self._changed.notify_all()

    def _begin(self, now_ns: int) -> None:
        self._start_ns, self._arrived = now_ns, 0
        self._round += 1
        self._changed.notify_all()
