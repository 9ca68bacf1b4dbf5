"""Runs outputs: each on a thread of its own, fed through a bounded queue, so that none can slow the frames."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from facewire.bridge.errors import FacewireError
from facewire.bridge.frame import FaceFrame
from facewire.bridge.outputs.base import Output, OutputEndedError, OutputError

IDLE_S = 0.2
"""How long a thread waits for a frame before it lets its output send a keep-alive."""
MAX_WAITING = 600
"""Frames that wait for an output that wants every one: ten seconds of them."""
REPORT_NS = 60_000_000_000
"""A line about one output's trouble at most this often."""
STOP_S = 1.0
MAX_OUTPUTS = 16

Report = Callable[[str], None]


class OutputRunner:
    """One output's thread.

    Frames wait in a queue of one, or of ``MAX_WAITING`` for an output that wants every frame; when it is full the
    oldest goes and is counted (drop policy: newest wins). Carries over that queue, the counts, and when it last spoke.
    """

    def __init__(self, output: Output, clock_ns: Callable[[], int], report: Report, key: str | None = None) -> None:
        """``output`` is open, and belongs to the runner from now on. ``report`` gets a line for a person, from the
        thread."""
        self.output, self.key = output, key or output.name
        self.dropped = 0
        """Frames that were overtaken by newer ones before they could be sent."""
        self.error: str | None = None
        """What went wrong with the newest frame, or None."""
        self.ended = False
        """Whether the output has given up; it is closed then."""
        self._clock_ns, self._report = clock_ns, report
        self._frames: deque[FaceFrame] = deque()
        self._room = MAX_WAITING if output.every_frame else 1
        self._changed = threading.Condition(threading.Lock())
        self._stopping = False
        self._sent_ns: int | None = None
        self._reported_ns: int | None = None
        self._reported_dropped = 0
        self._thread = threading.Thread(target=self._run, name=f"facewire-{output.name}", daemon=True)

    def start(self) -> None:
        """Begins to send what is offered."""
        self._thread.start()

    def offer(self, frame: FaceFrame) -> None:
        """Hands ``frame`` over. Never waits for the output, raises nothing."""
        with self._changed:
            if self.ended:
                return
            if len(self._frames) >= self._room:
                self._frames.popleft()
                self.dropped += 1
            self._frames.append(frame)
            self._changed.notify()

    def stop(self, timeout_s: float = STOP_S) -> None:
        """Sends what an output that wants every frame still has, closes it and ends the thread; safe to call twice."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join(timeout_s)

    def state(self) -> dict[str, Any]:
        """Returns what the status message tells of it."""
        output, sent_ns = self.output, self._sent_ns
        return {
            "id": self.key,
            "name": output.name,
            "target": output.describe(),
            "state": self._state(),
            "why": self.error or output.waiting,
            "sent": output.sent,
            "dropped": self.dropped,
            "failed": output.failed,
            "age_s": None if sent_ns is None else round(max(self._clock_ns() - sent_ns, 0) * 1e-9, 2),
        }

    def _state(self) -> str:
        if self.ended:
            return "ended"
        if self.error is not None:
            return "failing"
        return "waiting" if self.output.waiting else "on"

    def _run(self) -> None:
        try:
            while not self.ended and self._turn():
                pass
        finally:
            self.output.close()

    def _turn(self) -> bool:
        """Waits for a frame or the time for a keep-alive, and sends; False when it is time to end."""
        with self._changed:
            if not self._frames and not self._stopping:
                self._changed.wait(IDLE_S)
            if self._stopping and not (self._frames and self.output.every_frame):
                return False
            frame = self._frames.popleft() if self._frames else None
        self._send(frame)
        if self.output.every_frame and self.dropped > self._reported_dropped:
            self._say(f"{self.dropped} frames were left out: what it writes to is too slow")
            self._reported_dropped = self.dropped
        return True

    def _send(self, frame: FaceFrame | None) -> None:
        output, now = self.output, self._clock_ns()
        try:
            if frame is None:
                output.idle(now)
                return
            output.send(frame, now)
        except OutputEndedError as error:
            self.error, self.ended = str(error), True
            self._report(f"{output.name}: {error}")
        except Exception as error:  # nothing that one frame does may end the output
            output.failed += frame is not None
            self.error = _words(error)
            lost = f", {output.failed} frames lost so far" if output.failed else ""
            self._say(f"cannot send to {output.describe()}: {self.error}; going on{lost}")
        else:
            self.error = None
            if output.waiting is None:
                output.sent += 1
                self._sent_ns = now

    def _say(self, line: str) -> None:
        """A line, unless there was one within the last minute."""
        now = self._clock_ns()
        if self._reported_ns is None or now - self._reported_ns >= REPORT_NS:
            self._reported_ns = now
            self._report(f"{self.output.name}: {line}")


class Outputs:
    """The outputs that run now, by the text that they were made from. ``offer`` may be called from one thread at a
    time, everything else from any."""

    def __init__(self, clock_ns: Callable[[], int], report: Report, folder: Path | None = None) -> None:
        """``report`` gets lines for a person, from any thread; ``folder`` is for what outputs must remember."""
        self._clock_ns, self._report, self._folder = clock_ns, report, folder
        self._lock = threading.Lock()
        self._runners: tuple[OutputRunner, ...] = ()

    def add(self, spec: str) -> None:
        """Starts an output. Raises OutputError, and nothing has changed then."""
        from facewire.bridge.outputs.choose import make_output, parse_spec

        parsed = parse_spec(spec)
        with self._lock:
            if len(self._runners) >= MAX_OUTPUTS:
                raise OutputError(f"{MAX_OUTPUTS} outputs run already: stop one first")
            if any(parse_spec(runner.key) == parsed and not runner.ended for runner in self._runners):
                raise OutputError(f"the output {spec[:80]!r} runs already")
            output = make_output(spec, self._folder)
            output.report = lambda line: self._report(f"{output.name}: {line}")
            try:
                output.open()
            except BaseException:
                output.close()
                raise
            runner = OutputRunner(output, self._clock_ns, self._report, spec)
            runner.start()
            self._runners = (*(one for one in self._runners if one.key != spec), runner)

    def remove(self, spec: str) -> None:
        """Stops an output. Raises OutputError where there is none of this name."""
        with self._lock:
            gone = [runner for runner in self._runners if runner.key == spec]
            if not gone:
                running = ", ".join(runner.key for runner in self._runners) or "none"
                raise OutputError(f"there is no output {spec[:80]!r} to stop; those that run: {running}")
            self._runners = tuple(runner for runner in self._runners if runner.key != spec)
        gone[0].stop()

    def offer(self, frame: FaceFrame) -> None:
        """Hands ``frame`` to each. Never waits for any of them."""
        for runner in self._runners:
            runner.offer(frame)

    @property
    def specs(self) -> list[str]:
        """What runs, as ``add`` takes it."""
        return [runner.key for runner in self._runners if not runner.ended]

    def status(self) -> list[dict[str, Any]]:
        """Returns the state of each, for the status message."""
        return [runner.state() for runner in self._runners]

    def stop(self) -> None:
        """Stops all; safe to call twice."""
        with self._lock:
            runners, self._runners = self._runners, ()
        for runner in runners:
            runner.stop()


def _words(error: Exception) -> str:
    if isinstance(error, FacewireError):
        return str(error)
    if isinstance(error, OSError):
        return error.strerror or str(error) or type(error).__name__
    return f"{type(error).__name__}: {error}".splitlines()[0][:200]
