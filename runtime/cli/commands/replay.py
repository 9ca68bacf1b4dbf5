"""``facewire replay``: serve a recorded session as if it were live."""

from __future__ import annotations

import argparse
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from facewire.runtime.cli.options.files import add_range_options, duration_text
from facewire.runtime.cli.options.listening import add_listen_options, server_config, until_interrupted, wait_until
from facewire.runtime.cli.options.outputs import add_output_option, people_stream
from facewire.runtime.cli.options.usage import Subparsers, UsageError, command_parser
from facewire.runtime.session.heads import recorded_head
from facewire.runtime.tools.terminal import notify

if TYPE_CHECKING:
    from facewire.bridge.server.server import LiveServer
    from facewire.bridge.wire.frame import FaceFrame
    from facewire.runtime.takes.replay import Replay

POLL_S = 0.005
STALL_S = 10.0
"""So long the server's thread may be held up before a frame is lost: a build machine is busy now and then."""
GOODBYE_S = 0.1
"""Between the last frame and the close, for what is on its way."""


def add_parser(commands: Subparsers) -> None:
    """Adds the command."""
    parser = command_parser(
        commands,
        "replay",
        "serve a session as if it were live",
        "Serves a session's frames on the live port at their times. Clients can pause, resume, seek and step it.",
        "facewire replay take.mcap --loop\nfacewire replay take.mcap --once --wait-subscriber   # in CI",
    )
    parser.add_argument("input", metavar="FILE", type=Path, help="a session")
    parser.add_argument("--speed", metavar="X", type=float, default=1.0, help="times as fast, 0.05 to 20 (default: 1)")
    ends = parser.add_mutually_exclusive_group()
    ends.add_argument("--loop", action="store_true", help="start again at the end")
    ends.add_argument("--once", action="store_true", help="exit at the end instead of waiting there for commands")
    parser.add_argument("--wait-subscriber", action="store_true", help="start when the first client has subscribed")
    parser.add_argument("--audio", action="store_true", help="play the sound along, where there is an output device")
    add_range_options(parser)
    add_output_option(parser)
    add_listen_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Serves until the end or a signal. Raises SessionError and FacewireError."""
    from facewire.runtime.takes.replay import MAX_SPEED, MIN_SPEED

    if not MIN_SPEED <= args.speed <= MAX_SPEED:
        raise UsageError(f"--speed {args.speed:g} is not from {MIN_SPEED:g} to {MAX_SPEED:g}")
    return until_interrupted(lambda: _replay(args))


def _replay(args: argparse.Namespace) -> int:
    from facewire.bridge.recording.cut import TimeRange
    from facewire.bridge.recording.reader import open_session
    from facewire.bridge.server.server import LiveServer
    from facewire.bridge.wire.codec import DEFAULT_STREAMS
    from facewire.bridge.wire.messages import Greeting
    from facewire.runtime.panel.outputs import OutputSwitches
    from facewire.runtime.takes.replay import Replay

    people = people_stream(args.output)
    with ExitStack() as stack:
        session = stack.enter_context(open_session(args.input)).require_frames()
        part_ns = TimeRange(args.start, args.end).resolve_ns(session)
        first = next(session.frames(part_ns[0]))[1]
        streams = (*DEFAULT_STREAMS, "flame") if first.flame is not None else DEFAULT_STREAMS
        rate = float(session.metadata.hello.get("rate") or 0.0)
        announced = session.metadata.hello.get("flame")
        flame = announced if first.flame is not None and isinstance(announced, dict) else None

        def publish(frame: FaceFrame) -> None:
            outputs.offer(frame)
            server.publish_every(frame, timeout_s=STALL_S)

        replay = Replay(session, publish, part_ns=part_ns, speed=args.speed, loop=args.loop)
        outputs = OutputSwitches(notify, replay.clock)
        stack.callback(outputs.stop)
        stack.callback(replay.stop)
        server = LiveServer(
            server_config(args),
            clock_ns=replay.clock,
            greeting=Greeting(rate=rate, streams=streams, flame=flame),
            pages=recorded_head(flame),
            commands={**replay.commands, **outputs.commands},
            status=lambda: {**replay.status(), **outputs.state()},
        )
        server.start()
        stack.callback(server.stop)
        outputs.start(args.output)
        print(_start_block(args, server, (part_ns[1] - part_ns[0]) / 1e9), file=people, flush=True)
        if args.open:
            import webbrowser

            webbrowser.open(server.page_url)
        wait_until(lambda: not args.wait_subscriber or server.subscribers > 0, POLL_S)
        if args.audio:
            _play_along(args, replay, stack)
        replay.start()
        _wait(replay, once=args.once)
    return 0


def _play_along(args: argparse.Namespace, replay: Replay, stack: ExitStack) -> None:
    from facewire.bridge.recording.reader import open_session
    from facewire.runtime.takes.replay_audio import PlayAlong, open_output

    session = open_session(args.input)
    if session.audio is None:
        notify(f"{args.input} has no sound: it plays silently")
        session.close()
        return
    output = open_output(session.audio, notify)
    if output is None:
        session.close()
        return
    along = PlayAlong(session, replay.place, output)
    stack.callback(along.stop)
    along.start()


def _wait(replay: Replay, *, once: bool) -> None:
    """Waits for the end of the session; for ever where clients may still seek. Raises what ended the replay."""
    wait_until(lambda: replay.ended.is_set() and (once or replay.error is not None))
    if replay.error is not None:
        raise replay.error
    time.sleep(GOODBYE_S)
    notify(f"{replay.published} frames replayed")


def _start_block(args: argparse.Namespace, server: LiveServer, length_s: float) -> str:
    how = [f"{args.speed:g} × as fast"] if args.speed != 1 else []
    how += ["again and again"] if args.loop else []
    how += ["from the first subscriber on"] if args.wait_subscriber else []
    lines = {
        "open": server.page_url,
        "stream": server.url,
        "session": f"{args.input}, {duration_text(length_s)}" + "".join(f", {part}" for part in how),
        "stop": "Ctrl-C",
    }
    return "Facewire replays\n\n" + "\n".join(f"  {key:8}{value}" for key, value in lines.items()) + "\n"
