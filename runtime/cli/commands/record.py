"""``facewire record``: one take of the camera and the microphone, without a server."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from facewire.runtime.cli.options.files import duration_text, require_suffix, seconds
from facewire.runtime.cli.options.inputs import add_live_options, live_options
from facewire.runtime.cli.options.listening import until_interrupted, wait_until
from facewire.runtime.cli.options.usage import Subparsers, command_parser
from facewire.runtime.session.options import RecordOptions
from facewire.runtime.tools.terminal import notify

if TYPE_CHECKING:
    from facewire.runtime.session.recording import RecordSession
    from facewire.runtime.takes.recorder import Recorder


def add_parser(commands: Subparsers) -> None:
    """Add the command."""
    parser = command_parser(
        commands,
        "record",
        "record a take",
        "Watches and listens as 'serve' does, and records face and sound until Ctrl-C.\n"
        "To stream while recording: facewire serve --record DIR",
        "facewire record take.mcap\nfacewire record take.mcap --video 1 --audio 2 --duration 30",
    )
    parser.add_argument("output", metavar="OUT", type=Path, help="the take, *.mcap")
    add_live_options(parser)
    parser.add_argument("--duration", metavar="TIME", type=seconds, help="stop after this time (default: at Ctrl-C)")
    parser.add_argument("--force", action="store_true", help="replace OUT if it exists")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Record.

    Raises:
        FacewireError: an input, a network or the file cannot be opened, or nothing came.
    """
    from facewire.bridge.recording.errors import RecordingError
    from facewire.bridge.recording.partfile import check_output

    require_suffix(args.output, ".mcap")
    check_output(args.output, force=args.force)
    options = RecordOptions(live_options(args), args.output, args.force, args.duration)
    from facewire.runtime.session.recording import RecordSession

    session = RecordSession(options, notify)
    recorder = session.recorder
    session.begin()
    try:
        status = until_interrupted(lambda: _until_done(session))
    finally:
        path = session.stop()
    if recorder.counts.frames == 0:
        raise RecordingError(f"no picture and no speech came, so {path} was not written")
    sound = ", with sound" if recorder.counts.audio_blocks else ""
    notify(f"{path}: {recorder.counts.frames} frames, {duration_text(recorder.length_s)}{sound}{_lost(recorder)}")
    return status


def _until_done(session: RecordSession) -> int:
    """Return when the run is over; an error that the input ended with is said, or raised if nothing had come of it."""
    session.start()
    notify("recording; Ctrl-C stops")
    wait_until(session.is_over)
    watched = session.watched
    error = watched.capture.error if watched.capture is not None and watched.ended.is_set() else None
    if error is not None and session.recorder.counts.frames == 0:
        raise error
    fault = session.listener.fault if error is None else str(error)
    if fault is not None:
        notify(fault)
    return 0 if fault is None else 1


def _lost(recorder: Recorder) -> str:
    lost = recorder.counts.refused_frames
    return f"; {lost} lost because the disk was too slow" if lost else ""
