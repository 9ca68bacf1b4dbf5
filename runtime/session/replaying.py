"""A take that is served as if it were live: what ``facewire replay`` does, without a command line."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facewire.bridge.recording.cut import TimeRange
from facewire.bridge.recording.reader import Session, open_session
from facewire.bridge.server.config import ServerConfig
from facewire.bridge.server.server import LiveServer
from facewire.bridge.shared.clock import NS_PER_S
from facewire.bridge.wire.frame import FaceFrame
from facewire.bridge.wire.messages import Greeting
from facewire.bridge.wire.streams import carried_streams
from facewire.runtime.panel.outputs import OutputSwitches
from facewire.runtime.session.broadcast import Broadcast
from facewire.runtime.session.heads import recorded_head
from facewire.runtime.session.status_parts import StatusParts
from facewire.runtime.takes.replay import Replay

STALL_S = 10.0
"""How long the server's thread may be held up before a frame is lost: a build machine is busy now and then."""


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """Which take, how, and to whom."""

    take: Path
    server: ServerConfig
    part: TimeRange
    speed: float = 1.0
    loop: bool = False
    outputs: tuple[str, ...] = ()
    audio: bool = False
    """Play the sound along."""


class ReplaySession:
    """A replay from its options to its end. Making it opens the take and starts nothing."""

    def __init__(self, options: ReplayOptions, notify: Callable[[str], None]) -> None:
        """Make all parts.

        Raises:
            SessionError: the take cannot be read, or has no frames in that part.
            FacewireError: the server cannot be started.
        """
        self.options, self._notify = options, notify
        self._ends, self._parts, self.frames = ExitStack(), StatusParts(notify), Broadcast()
        with ExitStack() as failed:
            session = failed.enter_context(open_session(options.take)).require_frames()
            self.part_ns = options.part.resolve_ns(session)
            self.replay = Replay(
                session, self.frames.publish, part_ns=self.part_ns, speed=options.speed, loop=options.loop
            )
            self.outputs = OutputSwitches(notify, self.replay.clock)
            self.server = self._make_server(_greeting(session, self.part_ns[0]))
            failed.pop_all()
        self.frames.join(self.outputs.offer, self._publish)

    @property
    def length_s(self) -> float:
        """Seconds of the part that is replayed."""
        return (self.part_ns[1] - self.part_ns[0]) / NS_PER_S

    def status(self) -> dict[str, Any]:
        """Return the status message."""
        of = self._parts.of
        return {**of("the replay", self.replay.status), **of("the outputs", self.outputs.state)}

    def __enter__(self) -> ReplaySession:
        """Serve and feed the outputs; the frames come with ``start``.

        Raises:
            FacewireError: the port or an output cannot be opened.
        """
        with ExitStack() as ends:
            ends.callback(self.outputs.stop)
            ends.callback(self.replay.stop)
            self.server.start()
            ends.callback(self.server.stop)
            self.outputs.start(self.options.outputs)
            self._ends = ends.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.close()

    def start(self) -> None:
        """Start the frames, and the sound if it is to be heard."""
        if self.options.audio:
            self._play_along()
        self.replay.start()

    def _publish(self, frame: FaceFrame) -> None:
        self.server.publish_every(frame, timeout_s=STALL_S)

    def _make_server(self, greeting: Greeting) -> LiveServer:
        return LiveServer(
            self.options.server,
            clock_ns=self.replay.clock,
            greeting=greeting,
            pages=recorded_head(greeting.flame),
            commands={**self.replay.commands, **self.outputs.commands},
            status=self.status,
        )

    def _play_along(self) -> None:
        from facewire.runtime.takes.replay_audio import PlayAlong, open_output

        take = open_session(self.options.take)
        output = None if take.audio is None else open_output(take.audio, self._notify)
        if output is None:
            if take.audio is None:
                self._notify(f"{self.options.take} has no sound: it plays silently")
            take.close()
            return
        along = PlayAlong(take, self.replay.place, output)
        self._ends.callback(along.stop)
        along.start()


def _greeting(session: Session, start_ns: int) -> Greeting:
    """Return what hello says of a take: its rate, and the streams that its frames have."""
    first = next(session.frames(start_ns))[1]
    announced = session.metadata.hello.get("flame")
    flame = announced if first.flame is not None and isinstance(announced, dict) else None
    return Greeting(rate=float(session.metadata.hello.get("rate") or 0.0), streams=carried_streams(first), flame=flame)
