"""One output's place in its thread: the frames that wait for it, and what became of the others."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Literal

from facewire.bridge.outputs.base import Output, OutputEndedError
from facewire.bridge.shared.clock import Clock
from facewire.bridge.shared.errors import FacewireError
from facewire.bridge.wire.frame import FaceFrame

MAX_WAITING = 600
"""Frames that wait for an output that wants every one: ten seconds of them."""
STUCK_NS = 2_000_000_000
"""Sending one frame takes no longer than this: a pipe is full that nobody reads, or a disk hangs."""
REPORT_NS = 60_000_000_000
"""A line about one output's trouble at most this often."""


class Lane:
    """An output, which belongs to it as soon as it is open.

    Frames wait in a queue of one, or of ``MAX_WAITING`` for an output that wants every frame (as many again may be on
    their way); when it is full the oldest goes and is counted (drop policy: newest wins). State: that queue, the
    counts, and when it last spoke.
    ``put`` and ``take`` need their runner's lock; the rest is its thread's alone.
    """

    def __init__(self, output: Output, key: str, clock: Clock, notify: Callable[[str], None]) -> None:
        """``notify`` gets a line for a person, from the thread."""
        self.output, self.key = output, key
        self.dropped = 0
        """Frames that were overtaken by newer ones before they could be sent."""
        self.error: str | None = None
        """What went wrong with the newest frame, or None."""
        self.ended = False
        """Whether the output has given up; it is closed then."""
        self.opening = False
        """Whether it is not open yet, and has no thread."""
        self.leaving = False
        """Whether it shall be closed as soon as what it must still send is sent."""
        self.closed = threading.Event()
        self._clock, self._notify = clock, notify
        self._frames: deque[FaceFrame] = deque()
        self._room = MAX_WAITING if output.every_frame else 1
        self._taken = 0
        """How many frames have left the queue and are not out yet."""
        self._began_ns: int | None = None
        """When the frame that is being sent was taken; None between frames."""
        self._sent_ns: int | None = None
        self._reported_ns: int | None = None
        self._reported_dropped = 0

    def put(self, frame: FaceFrame) -> None:
        """Have ``frame`` wait."""
        if self.ended or self.leaving:
            return
        if len(self._frames) >= self._room:
            self._frames.popleft()
            self.dropped += 1
        self._frames.append(frame)

    def take(self) -> list[FaceFrame]:
        """Return the frames that wait. Those of an output that is switched off matter only if it wants every one."""
        frames = [] if self.leaving and not self.output.every_frame else list(self._frames)
        self._frames.clear()
        return frames

    @property
    def done(self) -> bool:
        """Whether nothing more comes: it can be closed as soon as what was taken is sent."""
        return self.ended or self.leaving

    @property
    def gone(self) -> bool:
        """Whether it was switched off, and is closed."""
        return self.leaving and self.closed.is_set()

    @property
    def stage(self) -> Literal["opening", "running", "closing"]:
        """Where it is in its life."""
        return "closing" if self.leaving else "opening" if self.opening else "running"

    def send(self, frames: list[FaceFrame]) -> None:
        """Send ``frames``, or a keep-alive if there are none.

        It raises nothing: what goes wrong is counted, and the user is told.
        """
        output, now = self.output, self._clock()
        together, self._taken = 0, len(frames)
        for frame in frames:
            went = self._succeeds(partial(output.send, frame, now), 1) and output.waiting is None
            if output.batch_s:
                together += went
            else:
                self._taken -= 1
                self._count(went)
        if not frames:
            self._succeeds(partial(output.idle, now), 0)
        elif output.batch_s and self._succeeds(output.flush, together):
            self._count(together)
        self._taken = 0
        if output.every_frame and self.dropped > self._reported_dropped and self.error is None:
            self._notify_rarely(f"{self.dropped} frames were left out: what it writes to is too slow")
            self._reported_dropped = self.dropped

    def close(self) -> None:
        """Close the output. It raises nothing either."""
        try:
            self.output.close()
        except Exception as error:  # a disk in the network may say only now that it is full
            self.error = _words(error)
            self._notify(f"{self.output.name}: cannot close {self.output.describe()}: {self.error}")
        self.closed.set()

    def state(self) -> dict[str, Any]:
        """Return what the status message says of it."""
        output, sent_ns = self.output, self._sent_ns
        state, why = self._state()
        return {
            "id": self.key,
            "name": output.name,
            "target": output.describe(),
            "state": state,
            "why": why,
            "sent": output.sent - output.overtaken,
            "dropped": self.dropped + output.overtaken,
            "failed": output.failed,
            "age_s": None if sent_ns is None else round(max(self._clock() - sent_ns, 0) * 1e-9, 2),
        }

    def _state(self) -> tuple[str, str | None]:
        if self.stage != "running":
            return self.stage, self.error
        if self.ended or self.error is not None:
            return ("ended" if self.ended else "failing"), self.error
        if (began_ns := self._began_ns) is not None and self._clock() - began_ns > STUCK_NS:
            return "failing", f"it accepts nothing; {self._taken + len(self._frames)} frames are waiting"
        return ("waiting" if self.output.waiting else "on"), self.output.waiting

    def _count(self, frames: int) -> None:
        """So many frames went out."""
        if frames:
            self.output.sent += frames
            self._sent_ns = self._clock()

    def _succeeds(self, action: Callable[[], None], frames: int) -> bool:
        """Whether ``action``, which concerns so many frames, went well. Nothing is tried after the output's end."""
        output = self.output
        if self.ended:
            output.failed += frames
            return False
        self._began_ns = self._clock()
        try:
            action()
        except OutputEndedError as error:
            output.failed += frames
            self.error, self.ended = str(error), True
            self._notify(f"{output.name}: {error}")
            return False
        except Exception as error:  # nothing that one frame does may end the output
            output.failed += frames
            self.error = _words(error)
            lost = f", {output.failed} frames lost so far" if output.failed else ""
            self._notify_rarely(f"cannot send to {output.describe()}: {self.error}; going on{lost}")
            return False
        finally:
            self._began_ns = None
        self.error = None
        return True

    def _notify_rarely(self, line: str) -> None:
        """Tell the user a line, unless there was one within the last minute."""
        now = self._clock()
        if self._reported_ns is None or now - self._reported_ns >= REPORT_NS:
            self._reported_ns = now
            self._notify(f"{self.output.name}: {line}")


def _words(error: Exception) -> str:
    if isinstance(error, FacewireError):
        return str(error)
    if isinstance(error, OSError):
        return error.strerror or str(error) or type(error).__name__
    return f"{type(error).__name__}: {error}".splitlines()[0][:200]
