"""Replays a session as if it were live: the recorded frames, at their times, with commands to pause, seek and step.

The time line of a replay is the recorded session's: its clock shows the first frame's time when that frame is due, and
then runs like any clock. So a replay that nobody touches publishes the very frames that were recorded, on every run;
where time is moved (speed, loop, pause, seek) a frame's stamps move with it, and the time from capture to publication
stays.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from facewire.bridge.recording.reader import Session
from facewire.bridge.shared.clock import NS_PER_S, Clock, now_ns
from facewire.bridge.shared.errors import CommandError, FacewireError
from facewire.bridge.shared.worker import Worker
from facewire.bridge.wire.frame import FaceFrame
from facewire.runtime.tools.arguments import CommandSpec, Number

LEAD_NS = 50_000_000
"""From the start of a replay to its first frame, so that a subscriber's first pings come before it."""
MIN_SPEED, MAX_SPEED = 0.05, 20.0
MAX_STEP = 1000
STEP = CommandSpec("step", {"frames": Number(-MAX_STEP, MAX_STEP)})
SPEED = CommandSpec("speed", {"speed": Number(MIN_SPEED, MAX_SPEED)}, required=("speed",))
PAUSE, RESUME = CommandSpec("pause"), CommandSpec("resume")
SEEK = CommandSpec("seek", {"time_s": Number(-1e9, 1e9)}, required=("time_s",))
"""Which places there are, the take says."""
ARGUMENTS = {spec.name: spec for spec in (PAUSE, RESUME, SEEK, STEP, SPEED)}
"""What the commands to a take that plays accept."""


@dataclass(slots=True)
class Playhead:
    """Where a replay is: a line from the replay's clock to the session's time line. Pure: time is an argument."""

    place_ns: int
    """On the session's time line at ``clock_ns``."""
    clock_ns: int
    speed: float = 1.0
    paused: bool = False

    def at_ns(self, clock_ns: int) -> int:
        """Return the place at a time of the replay's clock."""
        return self.place_ns if self.paused else self.place_ns + round((clock_ns - self.clock_ns) * self.speed)

    def due_ns(self, place_ns: int) -> int:
        """Return when a place is reached, on the replay's clock."""
        return self.clock_ns + round((place_ns - self.place_ns) / self.speed)

    def move(self, place_ns: int, clock_ns: int) -> None:
        """Be at ``place_ns`` at ``clock_ns``, and go on from there."""
        self.place_ns, self.clock_ns = place_ns, clock_ns


class ReplayClock:
    """The clock of the replayed session: stands still until ``start``, then runs with the machine's monotonic clock."""

    def __init__(self, start_ns: int, clock: Clock = now_ns) -> None:
        self._value_ns, self._clock = start_ns, clock
        self._started_ns: int | None = None

    def __call__(self) -> int:
        """Return nanoseconds on the recorded session's clock."""
        started_ns = self._started_ns
        return self._value_ns if started_ns is None else self._value_ns + self._clock() - started_ns

    def start(self) -> None:
        """Begin to run."""
        self._started_ns = self._clock()


class Replay(Worker):
    """Hands the frames of a session to ``publish`` on a thread of its own, each when it is due.

    State: the playhead, the frame that is next, and the last ``seq`` that went out: numbers go on counting over
    loops and seeks, and keep the gaps that the recording has.
    """

    def __init__(
        self,
        session: Session,
        publish: Callable[[FaceFrame], None],
        *,
        part_ns: tuple[int, int] | None = None,
        speed: float = 1.0,
        loop: bool = False,
        clock: Clock = now_ns,
    ) -> None:
        """Prepare to replay.

        Args:
            session: with frames, open; it belongs to the replay from now on.
            publish: must not block.
            part_ns: first and last place, both included; the default is the whole session.
        """
        self._session, self._publish, self._loop = session, publish, loop
        self.start_ns, self.end_ns = part_ns or (session.start_ns, session.end_ns)
        lead_ns = min(LEAD_NS, self.start_ns)
        self.clock = ReplayClock(self.start_ns - lead_ns, clock)
        """The clock for the server that serves the replay."""
        super().__init__(
            "replay", self.clock
        )  # its ``ended`` is set when the last frame has gone out; a seek clears it
        self.playhead = Playhead(self.start_ns, self.start_ns, speed)
        self.error: FacewireError | None = None
        """Why it ended before its time: the file is damaged."""
        self.published = 0
        self._changed = threading.Condition()
        self._door = threading.Lock()
        """Held by a thread that wants ``_changed`` for a command: a late replay would hardly ever let go of that."""
        self._last_seq: int | None = None
        self._seq_shift = 0
        self._recorded_seq = -1
        self._frames: Iterator[tuple[int, FaceFrame]] = iter(())
        self._next: tuple[int, FaceFrame] | None = None
        self._seek(self.start_ns)

    def start(self) -> None:
        """Start the clock; the first frame is due ``LEAD_NS`` later."""
        self.clock.start()
        super().start()

    def stop(self, timeout_s: float = 1.0) -> None:
        """End the thread and close the session."""
        super().stop(timeout_s)
        if not self.running:  # Nobody may close a file that is being read.
            self._session.close()

    def wake(self) -> None:
        """Make it look at the playhead again."""
        with self._door, self._changed:
            self._changed.notify_all()

    @property
    def commands(self) -> dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]]:
        """What clients may ask of a replay, by name; each answers with the state afterwards (wire.md, 3.6)."""
        time_s = Number(self._seconds(self.start_ns), self._seconds(self.end_ns))
        changes = (
            (PAUSE, self._pause),
            (RESUME, self._resume),
            (replace(SEEK, arguments={"time_s": time_s}), self._seek_command),
            (STEP, self._step),
            (SPEED, self._speed),
        )
        return {spec.name: spec.handler(self._command(change)) for spec, change in changes}

    def state(self) -> dict[str, Any]:
        """Return where the replay is, in seconds from the session's first frame."""
        with self._door, self._changed:
            place_ns = min(max(self.playhead.at_ns(self.clock()), self.start_ns), self.end_ns)
            return {
                "time_s": self._seconds(place_ns),
                "duration_s": self._seconds(self._session.end_ns),
                "from_s": self._seconds(self.start_ns),
                "to_s": self._seconds(self.end_ns),
                "speed": self.playhead.speed,
                "paused": self.playhead.paused,
                "loop": self._loop,
                "ended": self.ended.is_set(),
            }

    def _seconds(self, place_ns: int) -> float:
        return round((place_ns - self._session.start_ns) / NS_PER_S, 4)

    def place(self) -> int | None:
        """Return where it is on the session's time line, in nanoseconds; None while it is not running as recorded."""
        with self._door, self._changed:
            if self.playhead.paused or self.playhead.speed != 1.0:
                return None
            return max(self.playhead.at_ns(self.clock()), self.start_ns)

    def status(self) -> dict[str, Any]:
        """Return the keys of the status message."""
        return {"devices": {}, "replay": {"file": self._session.path.name, **self.state()}}

    def wait(self) -> None:
        """Wait until the next frame is due, or for a command."""
        with self._door:
            pass  # Commands that wait come first.
        with self._changed:
            due_in_ns = self.due_in_ns(self.clock())
            if not self._stopping.is_set() and due_in_ns != 0:
                self._changed.wait(None if due_in_ns is None else due_in_ns / NS_PER_S)

    def turn(self, now_ns: int) -> bool:
        """Publish the next frame if it is due at ``now_ns``, or be at the end."""
        with self._changed:
            if self._stopping.is_set() or self.due_in_ns(now_ns) != 0:
                return True
            if self._next is None:
                self._end_or_loop()
            else:
                self._send(self.playhead.due_ns(self._next[0]))
            return True

    def due_in_ns(self, now_ns: int) -> int | None:
        """Return how long after ``now_ns`` there is something to do; None while it is paused."""
        if self.playhead.paused:
            return None
        return 0 if self._next is None else max(0, self.playhead.due_ns(self._next[0]) - now_ns)

    def goes_on(self, error: Exception) -> bool:
        """End: the file is damaged."""
        if not isinstance(error, FacewireError):
            raise error
        self.error = error
        self.playhead.paused = True
        return False

    def _end_or_loop(self) -> None:
        due_ns = self.playhead.due_ns(self.end_ns)
        if not self._loop:
            self.playhead.move(self.end_ns, due_ns)
            self.playhead.paused = True
            self.ended.set()
            return
        self.playhead.move(self.start_ns, due_ns + max(1, round(self._interval_ns() / self.playhead.speed)))
        self._seek(self.start_ns)

    def _interval_ns(self) -> int:
        return self._session.duration_ns // max(1, self._session.frame_count - 1)

    def _send(self, stamp_ns: int) -> None:
        """Publish the next frame with ``stamp_ns`` as its time of publication, and read the one after it."""
        assert self._next is not None
        _, frame = self._next
        if self._last_seq is not None and frame.seq <= self._recorded_seq:  # Another part of a joined session.
            self._seq_shift = self._last_seq + 1 - frame.seq
        self._recorded_seq, self._last_seq = frame.seq, frame.seq + self._seq_shift
        self._publish(moved(frame, self._last_seq, stamp_ns))
        self.published += 1
        self._next = next(self._frames, None)

    def _seek(self, place_ns: int) -> None:
        """Make the first frame at or after ``place_ns`` the next one; its number follows on the last."""
        self._frames = self._session.frames(place_ns, self.end_ns)
        self._next = next(self._frames, None)
        if self._next is not None and self._last_seq is not None:
            self._recorded_seq = self._next[1].seq - 1
            self._seq_shift = self._last_seq + 1 - self._next[1].seq

    def _command(self, change: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, Any]], dict[str, Any]]:
        def run(args: dict[str, Any]) -> dict[str, Any]:
            with self._door, self._changed:
                if self._stopping.is_set():  # Its file may be closed already.
                    raise CommandError("no take is playing")
                change(args)
                self._changed.notify_all()
            return self.state()

        return run

    def _pause(self, _args: dict[str, Any]) -> None:
        if not self.playhead.paused:
            clock_ns = self.clock()
            place_ns = self.playhead.at_ns(clock_ns)
            self.playhead.move(place_ns if self._next is None else min(place_ns, self._next[0]), clock_ns)
            self.playhead.paused = True

    def _resume(self, _args: dict[str, Any]) -> None:
        if self.ended.is_set() or (self.playhead.paused and self._next is None):  # It shows the last frame.
            self._jump(self.start_ns)
        elif self.playhead.paused:
            self.playhead.move(self.playhead.place_ns, self.clock())
        self.playhead.paused = False

    def _speed(self, args: dict[str, Any]) -> None:
        clock_ns = self.clock()
        self.playhead.move(self.playhead.at_ns(clock_ns), clock_ns)
        self.playhead.speed = float(args["speed"])

    def _seek_command(self, args: dict[str, Any]) -> None:
        """Go to a place; the ends are rounded, as the state has them."""
        place_ns = self._session.start_ns + round(float(args["time_s"]) * NS_PER_S)
        self._jump(min(max(place_ns, self.start_ns), self.end_ns))

    def _jump(self, place_ns: int) -> None:
        """Go to a place; a replay that is paused shows the frame there."""
        self.ended.clear()
        self._seek(place_ns)
        clock_ns = self.clock()
        self.playhead.move(place_ns, clock_ns)
        if self.playhead.paused and self._next is not None:
            self.playhead.move(self._next[0], clock_ns)
            self._send(clock_ns)

    def _step(self, args: dict[str, Any]) -> None:
        """Show the frame that is ``frames`` after the one shown last (before it, where negative), and stay there."""
        count = round(args.get("frames", 1))
        self._pause({})
        if count > 0:
            for _ in range(count - 1):
                self._next = next(self._frames, self._next)
            target = self._next
        else:
            look_back_ns = (2 - count) * 2 * self._interval_ns() + NS_PER_S
            place_ns = self.playhead.place_ns
            before = self._session.frames(max(self.start_ns, place_ns - look_back_ns), place_ns)
            shown = [item for item in before if self._next is None or item[0] < self._next[0]]
            target = shown[max(0, len(shown) - 1 + count)] if shown else None
        if target is not None:
            self._jump(target[0])


def moved(frame: FaceFrame, seq: int, publish_ns: int) -> FaceFrame:
    """Return ``frame`` under another number and time of publication; its other times keep their distance from that."""
    shift_ns = publish_ns - frame.publish_ns

    def at(time_ns: int | None) -> int | None:
        return None if time_ns is None else max(0, time_ns + shift_ns)

    return replace(
        frame,
        seq=seq,
        publish_ns=publish_ns,
        capture_ns=max(0, frame.capture_ns + shift_ns),
        video_ns=at(frame.video_ns),
        audio_ns=at(frame.audio_ns),
    )
