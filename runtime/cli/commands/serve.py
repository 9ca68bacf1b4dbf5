"""``facewire serve``: watch and listen to the inputs and stream the face until Ctrl-C."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from facewire.runtime.cli.options.inputs import add_live_options, live_options
from facewire.runtime.cli.options.listening import add_listen_options, server_config, until_interrupted, wait_until
from facewire.runtime.cli.options.outputs import add_output_option, people_stream
from facewire.runtime.cli.options.usage import Subparsers, command_parser
from facewire.runtime.session.options import OPEN_FLAME, ServeOptions, TrackingOptions
from facewire.runtime.tools.terminal import notify

if TYPE_CHECKING:
    from facewire.runtime.capture.video.source import Source
    from facewire.runtime.session.serving import ServeSession


def add_parser(commands: Subparsers) -> None:
    """Add the command."""
    parser = command_parser(
        commands,
        "serve",
        "watch a camera or listen to a microphone and stream the face",
        "Watches a camera, a file or the demo face, and streams blendshapes, head pose and gaze to every subscriber.\n"
        "Without a camera, the microphone moves the face.",
        "facewire serve --open\nfacewire serve --video clip.mp4 --loop --mesh attention\n"
        "facewire serve --video demo --audio demo\n"
        "facewire serve --record takes\nfacewire serve --video none --audio speech.wav",
    )
    add_live_options(parser)
    add_listen_options(parser)
    parser.add_argument(
        "--record", metavar="DIR", type=Path, help="record takes into this folder; clients may stop and start them"
    )
    add_output_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Serve until the input ends or a signal comes.

    Raises:
        FacewireError: an input, a network or the port cannot be opened.
    """
    return until_interrupted(lambda: _serve(args))


def serve_options(args: argparse.Namespace) -> ServeOptions:
    """Return what the command line asks for.

    Raises:
        UsageError: its options do not go together, or name a file that does not exist.
    """
    return ServeOptions(live_options(args), server_config(args), args.record, tuple(args.output))


def _serve(args: argparse.Namespace) -> int:
    options, people = serve_options(args), people_stream(args.output)
    from facewire.runtime.session.serving import ServeSession

    with ServeSession(options, notify) as session:
        print(start_block(session), file=people, flush=True)
        if args.open:
            import webbrowser

            webbrowser.open(session.server.page_url)
        session.start()
        return _wait(session)


def _wait(session: ServeSession) -> int:
    """Wait for the end of the input, which may be another one by then; the error that a file ended with is raised."""
    wait_until(lambda: session.watched.ended.is_set())
    watched = session.watched
    if watched.capture is not None and watched.capture.error is not None:
        raise watched.capture.error
    if session.listener.fault is not None:
        notify(session.listener.fault)
    notify("the input has ended")
    return 0 if session.listener.fault is None else 1


def start_block(session: ServeSession) -> str:
    """Return what a person needs to know now: where to look, what is watched, how to stop."""
    from facewire.runtime.session.panel_services import address

    options, source, server, sound = session.options, session.source, session.server, session.sound
    flame = options.live.flame
    lines = {
        "open": server.page_url,
        "stream": server.url,
        **({"network": seen} if (seen := address(server)["url"]) else {}),
        "input": "none" if source is None else source.name,
        **({"opened": source.opened} if source is not None and source.opened else {}),
        **({"sound": sound.name} if sound is not None else {}),
        **filtering(options.live.tracking, source),
        **({"flame": "the open head" if flame == OPEN_FLAME else flame} if flame else {}),
        **({"record": str(options.record)} if options.record else {}),
        **({"outputs": ", ".join(options.outputs)} if options.outputs else {}),
        "stop": "Ctrl-C",
    }
    if server.token:
        lines["note"] = "anyone who has these addresses can watch: share them with care"
    return "Facewire is live\n\n" + "\n".join(f"  {key:8}{value}" for key, value in lines.items()) + "\n"


def filtering(tracking: TrackingOptions, source: Source | None) -> dict[str, str]:
    """Return what is done with what is seen; a face that a phone tracks needs no mesh, and speech is not filtered."""
    if source is None:
        return {}
    filters = f"smoothing {tracking.smoothing}" + (", mirrored" if tracking.mirror else "")
    return {"filters": filters} if source.gives == "faces" else {"mesh": f"{tracking.mesh}, {filters}"}
