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
from facewire.bridge.outputs.choose import make_output, parse_spec
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
    time, everything else from any."""

    def __init__(self, clock: Clock, notify: Notify, folder: Path | None = None) -> None:
        """``notify`` gets lines for a person, from any thread; ``folder`` is for what outputs must remember."""
        self._clock, self._folder = clock, folder
        self._notify = partial(_notify_if_read, notify)
        self._lock = threading.Lock()
        self._running: dict[Lane, Runner] = {}
        self._runners: tuple[Runner, ...] = ()
        """For ``offer``, which takes no lock."""

    def add(self, spec: str) -> None:
        """Start an output.

        Raises:
            OutputError: it cannot be started, and nothing has changed.
        """
        parsed = parse_spec(spec)
        with self._lock:
            for lane in [lane for lane in self._running if lane.ended]:
                if parse_spec(lane.key) == parsed:
                    self._forget(lane)
            if len(self._running) >= MAX_OUTPUTS:
                raise OutputError(f"{MAX_OUTPUTS} outputs are already running: stop one first")
            if any(parse_spec(lane.key) == parsed for lane in self._running):
                raise OutputError(f"the output {spec[:80]!r} is already running")
            self._start(self._open(spec))

    def remove(self, spec: str) -> None:
        """Stop an output.

        Raises:
            OutputError: there is no output of this name.
        """
        with self._lock:
            for lane in self._running:
                if lane.key == spec:
                    self._forget(lane)
                    return
            running = ", ".join(lane.key for lane in self._running) or "none"
            raise OutputError(f"there is no output {spec[:80]!r} to stop; those that run: {running}")

    def offer(self, frame: FaceFrame) -> None:
        """Hand ``frame`` to each. Never waits for any of them."""
        for runner in self._runners:
            runner.offer(frame)

    @property
    def specs(self) -> list[str]:
        """What runs, as ``add`` accepts it."""
        return [lane.key for lane in self._lanes() if not lane.ended]

    def status(self) -> list[dict[str, Any]]:
        """Return the state of each, for the status message."""
        return [lane.state() for lane in self._lanes()]

    def stop(self) -> None:
        """Stop all at once, so that those that hang are not waited for one after the other; safe to call twice."""
        with self._lock:
            runners, self._runners, self._running = self._runners, (), {}
        for runner in runners:
            runner.end()
        end_ns = self._clock() + round(STOP_S * NS_PER_S)
        for runner in runners:
            runner.stop(max(end_ns - self._clock(), 0) / NS_PER_S)

    def _lanes(self) -> list[Lane]:
        return list(self._running)  # without the lock: who looks a host's name up holds it, and status must not wait

    def _open(self, spec: str) -> Lane:
        output = make_output(spec, self._folder, self._clock)
        output.notify = lambda line: self._notify(f"{output.name}: {line}")
        try:
            output.open()
        except BaseException:
            output.close()
            raise
        return Lane(output, spec, self._clock, self._notify)

    def _start(self, lane: Lane) -> None:
        shared = [runner for other, runner in self._running.items() if not other.output.every_frame]
        alone = lane.output.every_frame or not shared
        name = lane.output.name if lane.output.every_frame else "outputs"
        runner = Runner(name, self._clock, lane.output.batch_s) if alone else shared[0]
        runner.add(lane)
        self._running[lane] = runner
        self._runners = tuple(dict.fromkeys(self._running.values()))

    def _forget(self, lane: Lane) -> None:
        runner = self._running.pop(lane)
        self._runners = tuple(dict.fromkeys(self._running.values()))
        if runner in self._runners:
            runner.remove(lane)
        else:
            runner.stop()


def _notify_if_read(notify: Notify, line: str) -> None:
    """Tell people a line; outputs go on if nobody reads it any more (standard error is a closed pipe)."""
    with suppress(OSError, ValueError):
        notify(line)
