"""Runs outputs on threads of their own, so that none can slow the frames.

Outputs to addresses must not wait for the other side, so they share one thread: a frame then wakes one thread and not
one for each. A file may hang, on a full pipe or a slow disk, so each has its own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from facewire.bridge.outputs.base import OutputError
from facewire.bridge.outputs.choose import Target, make_output, parse_spec
from facewire.bridge.outputs.lane import Lane
from facewire.bridge.shared.clock import NS_PER_S, Clock
from facewire.bridge.shared.worker import Worker
from facewire.bridge.wire.frame import FaceFrame

IDLE_S = 0.2
"""How long a thread waits for a frame before it lets its outputs send keep-alives."""
STOP_S = 1.0
MAX_OUTPUTS = 16

Notify = Callable[[str], None]


class Runner(Worker):
    """A thread that sends what is offered to the outputs in its lanes, one after the other."""

    def __init__(self, name: str, clock: Clock, batch_s: float = 0.0) -> None:
        """``batch_s`` is that of its outputs: what is offered does not wake it, and goes out after this long."""
        super().__init__(name, clock)
        self._batch_s = batch_s
        self._lanes: tuple[Lane, ...] = ()
        self._lock = threading.Lock()
        self._bell = threading.Lock()
        """Taken while there is nothing to do, so that the thread waits for it. A condition would do, with more Python
        on both sides of every frame."""
        self._bell.acquire()
        self.start()

    def add(self, lane: Lane) -> None:
        """Begin to feed ``lane``."""
        with self._lock:
            self._lanes = (*self._lanes, lane)

    def offer(self, frame: FaceFrame) -> None:
        """Hand ``frame`` over. Never waits for an output, raises nothing."""
        with self._lock:
            for lane in self._lanes:
                lane.put(frame)
            if not self._batch_s:
                self._ring()

    def remove(self, lane: Lane) -> None:
        """Send what an output that wants every frame still has, and close it; wait for that, but not for long."""
        with self._lock:
            lane.leaving = True
            self._ring()
        lane.closed.wait(STOP_S)

    def end(self) -> None:
        """Make the thread end with all its lanes; wait for nothing. Safe to call twice."""
        with self._lock:
            self._stopping.set()
            for lane in self._lanes:
                lane.leaving = True
            self._ring()

    def stop(self, timeout_s: float = STOP_S) -> None:
        """End the thread and wait for that, but not for long; safe to call twice."""
        self.end()
        super().stop(timeout_s)

    def _ring(self) -> None:
        """Make the thread look at its lanes; needs the lock."""
        if self._bell.locked():
            self._bell.release()

    @property
    def done(self) -> bool:
        """Whether it was stopped and all its lanes have ended."""
        return self._stopping.is_set() and not self._lanes

    def wait(self) -> None:
        """Wait for a frame, or until keep-alives are due."""
        self._bell.acquire(timeout=self._batch_s or IDLE_S)

    def turn(self, now_ns: int) -> bool:  # noqa: ARG002, lanes stamp what they send when they send it
        """Send what waits, or keep-alives, and close what has ended."""
        with self._lock:
            self._bell.acquire(blocking=False)  # rung again meanwhile: what was brought is taken now
            work = [(lane, lane.take()) for lane in self._lanes]
            gone = [lane for lane in self._lanes if lane.done]
            if gone:
                self._lanes = tuple(lane for lane in self._lanes if lane not in gone)
        quiet = not any(frames for _, frames in work)
        for lane, frames in work:
            if frames or (quiet and lane not in gone):
                lane.send(frames)
        for lane in gone:
            lane.close()
        return True


class Outputs:
    """The outputs that run now, by the text that they were made from. ``offer`` may be called from one thread at a
    time, everything else from any; nobody waits for what another one opens or closes."""

    def __init__(self, clock: Clock, notify: Notify, folder: Path | None = None) -> None:
        """``notify`` gets lines for a person, from any thread; ``folder`` is for what outputs must remember."""
        self._clock, self._folder = clock, folder
        self._notify = partial(_notify_if_read, notify)
        self._lock = threading.Lock()
        """For the table alone: nothing is opened, closed or waited for while it is held."""
        self._table: dict[Lane, Runner | None] = {}
        """In the order in which they were added, until they are closed; one that is being opened has no thread yet."""
        self._runners: tuple[Runner, ...] = ()
        """For ``offer``, which takes no lock."""
        self._stopped = False

    def add(self, spec: str) -> None:
        """Start an output.

        Raises:
            OutputError: it cannot be started, or was stopped before it was open, and nothing has changed.
        """
        lane = self._enter(spec)
        try:
            lane.output.open()
        except BaseException:
            self._drop(lane)
            raise
        if not self._start(lane):
            self._drop(lane)
            raise OutputError(f"the output {spec[:80]!r} was stopped while it was being opened")

    def remove(self, spec: str) -> None:
        """Stop an output, and wait until it is closed, but not for long; one that is being opened is then closed.

        Raises:
            OutputError: there is no output of this name.
        """
        with self._lock:
            known = [lane for lane in self._table if not lane.gone]
            lane = next((lane for lane in known if lane.key == spec), None)
            if lane is None:
                running = ", ".join(lane.key for lane in known) or "none"
                raise OutputError(f"there is no output {spec[:80]!r} to stop; those that run: {running}")
            if lane.leaving:
                raise OutputError(f"the output {spec[:80]!r} is being closed already")
            runner = self._take_out(lane)
        self._finish(lane, runner)

    def offer(self, frame: FaceFrame) -> None:
        """Hand ``frame`` to each. Never waits for any of them."""
        for runner in self._runners:
            runner.offer(frame)

    @property
    def specs(self) -> list[str]:
        """What runs or is being opened, as ``add`` accepts it."""
        return [lane.key for lane in self._lanes() if not lane.done]

    def status(self) -> list[dict[str, Any]]:
        """Return the state of each, for the status message."""
        return [lane.state() for lane in self._lanes() if not lane.gone]

    def stop(self) -> None:
        """Stop all at once, for good, so that those that hang are not waited for one after the other; what is being
        opened is closed as soon as it is open. Safe to call twice."""
        with self._lock:
            self._stopped = True
            table, self._table, self._runners = self._table, {}, ()
            for lane in table:
                lane.leaving = True
        runners = [runner for runner in dict.fromkeys(table.values()) if runner is not None]
        for runner in runners:
            runner.end()
        end_ns = self._clock() + round(STOP_S * NS_PER_S)
        for runner in runners:
            runner.stop(max(end_ns - self._clock(), 0) / NS_PER_S)
        for lane in table:
            lane.closed.wait(max(end_ns - self._clock(), 0) / NS_PER_S)

    def _lanes(self) -> list[Lane]:
        with self._lock:
            return list(self._table)

    def _enter(self, spec: str) -> Lane:
        """Give a new output its place in the table, so that nobody else opens the same one."""
        parsed = parse_spec(spec)
        output = make_output(spec, self._folder, self._clock)
        output.notify = lambda line: self._notify(f"{output.name}: {line}")
        with self._lock:
            self._table = {lane: runner for lane, runner in self._table.items() if not lane.gone}
            same = [lane for lane in self._table if parse_spec(lane.key) == parsed]
            ended = [(lane, self._take_out(lane)) for lane in same if lane.ended and not lane.leaving]
        for lane, runner in ended:
            self._finish(lane, runner)
        with self._lock:
            self._check_room(spec, parsed)
            lane = Lane(output, spec, self._clock, self._notify)
            lane.opening = True
            self._table[lane] = None
            return lane

    def _check_room(self, spec: str, parsed: tuple[str, Target]) -> None:
        """Refuse what would be one too many, or the same once more; needs the lock."""
        lanes = [lane for lane in self._table if not lane.gone]
        if self._stopped:
            raise OutputError("the run is ending: no output can be started any more")
        if len(lanes) >= MAX_OUTPUTS:
            raise OutputError(f"{MAX_OUTPUTS} outputs are already running: stop one first")
        for lane in lanes:
            if parse_spec(lane.key) == parsed:
                words = {"opening": "is already being opened", "closing": "is still being closed"}
                raise OutputError(f"the output {spec[:80]!r} {words.get(lane.stage, 'is already running')}")

    def _start(self, lane: Lane) -> bool:
        """Feed an output that is open; return False if it was stopped meanwhile."""
        with self._lock:
            if lane.leaving:
                return False
            shared = [
                runner
                for other, runner in self._table.items()
                if runner is not None and not other.leaving and not other.output.every_frame
            ]
            alone = lane.output.every_frame or not shared
            name = lane.output.name if lane.output.every_frame else "outputs"
            runner = Runner(name, self._clock, lane.output.batch_s) if alone else shared[0]
            lane.opening = False
            runner.add(lane)
            self._table[lane] = runner
            self._runners = self._used()
            return True

    def _drop(self, lane: Lane) -> None:
        """Close what was not started, and forget it."""
        with self._lock:
            lane.leaving = True
        lane.close()

    def _take_out(self, lane: Lane) -> Runner | None:
        """Have an output get no more frames, and return its thread; needs the lock."""
        lane.leaving = True
        self._runners = self._used()
        return self._table[lane]

    def _finish(self, lane: Lane, runner: Runner | None) -> None:
        """Wait until an output that was taken out is closed, but not for long."""
        if runner is None:
            lane.closed.wait(STOP_S)
        elif runner in self._runners:
            runner.remove(lane)
        else:
            runner.stop()

    def _used(self) -> tuple[Runner, ...]:
        running = [runner for lane, runner in self._table.items() if runner is not None and not lane.leaving]
        return tuple(dict.fromkeys(running))


def _notify_if_read(notify: Notify, line: str) -> None:
    """Tell people a line; outputs go on if nobody reads it any more (standard error is a closed pipe)."""
    with suppress(OSError, ValueError):
        notify(line)
