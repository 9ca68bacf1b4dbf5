"""``facewire replay``: serve a recorded session as if it were live."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

from facewire.runtime.cli.options.files import add_range_options, duration_text
from facewire.runtime.cli.options.listening import add_listen_options, server_config, until_interrupted, wait_until
from facewire.runtime.cli.options.outputs import add_output_option, people_stream
from facewire.runtime.cli.options.usage import Subparsers, UsageError, command_parser
from facewire.runtime.tools.terminal import notify

if TYPE_CHECKING:
    from facewire.runtime.session.replaying import ReplayOptions, ReplaySession
    from facewire.runtime.takes.replay import Replay

POLL_S = 0.005
GOODBYE_S = 0.1
"""Between the last frame and the close, for what is on its way."""


def add_parser(commands: Subparsers) -> None:
    """Add the command."""
    parser = command_parser(
        commands,
        "replay",
        "serve a session as if it were live",
        "Serves a session's frames on the live port at their times. Clients can pause, resume, seek and step it.",
        "facewire replay take.mcap --loop\nfacewire replay take.mcap --once --wait-subscriber   # in CI",
    )
    parser.add_argument("input", metavar="FILE", type=Path, help="a session")
    parser.add_argument(
        "--speed", metavar="X", type=float, default=1.0, help="speed as a factor, 0.05 to 20 (default: 1)"
    )
    ends = parser.add_mutually_exclusive_group()
    ends.add_argument("--loop", action="store_true", help="start again at the end")
    ends.add_argument("--once", action="store_true", help="exit at the end instead of waiting there for commands")
    parser.add_argument("--wait-subscriber", action="store_true", help="start when the first client has subscribed")
    parser.add_argument("--audio", action="store_true", help="play the sound along, if there is an output device")
    add_range_options(parser)
    add_output_option(parser)
    add_listen_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Serve until the end or a signal.

    Raises:
        FacewireError: the take cannot be read, or the port cannot be opened.
    """
    from facewire.runtime.takes.replay import MAX_SPEED, MIN_SPEED

    if not MIN_SPEED <= args.speed <= MAX_SPEED:
        raise UsageError(f"--speed {args.speed:g} is not from {MIN_SPEED:g} to {MAX_SPEED:g}")
    return until_interrupted(lambda: _replay(args))


def _replay(args: argparse.Namespace) -> int:
    from facewire.runtime.session.replaying import ReplaySession

    people = people_stream(args.output)
    with ReplaySession(replay_options(args), notify) as session:
        print(_start_block(args, session), file=people, flush=True)
        if args.open:
            import webbrowser

            webbrowser.open(session.server.page_url)
        wait_until(lambda: not args.wait_subscriber or session.server.subscribers > 0, POLL_S)
        session.start()
        _wait(session.replay, once=args.once)
    return 0


def replay_options(args: argparse.Namespace) -> ReplayOptions:
    """Return what the command line asks for."""
    from facewire.bridge.recording.cut import TimeRange
    from facewire.runtime.session.replaying import ReplayOptions

    return ReplayOptions(
        args.input,
        server_config(args),
        TimeRange(args.start, args.end),
        speed=args.speed,
        loop=args.loop,
        outputs=tuple(args.output),
        audio=args.audio,
    )


def _wait(replay: Replay, *, once: bool) -> None:
    """Wait for the end of the take; forever if clients may still seek. What ended the replay early is raised."""
    wait_until(lambda: replay.ended.is_set() and (once or replay.error is not None))
    if replay.error is not None:
        raise replay.error
    time.sleep(GOODBYE_S)
    notify(f"{replay.published} frames replayed")


def _start_block(args: argparse.Namespace, session: ReplaySession) -> str:
    how = [f"{args.speed:g} × as fast"] if args.speed != 1 else []
    how += ["again and again"] if args.loop else []
    how += ["from the first subscriber on"] if args.wait_subscriber else []
    lines = {
        "open": session.server.page_url,
        "stream": session.server.url,
        "session": f"{args.input}, {duration_text(session.length_s)}" + "".join(f", {part}" for part in how),
        "stop": "Ctrl-C",
    }
    return "Facewire replays\n\n" + "\n".join(f"  {key:8}{value}" for key, value in lines.items()) + "\n"
