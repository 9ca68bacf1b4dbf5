"""``facewire record``: one take of the camera, without a server."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from facewire.runtime.cli.files import duration_text, require_suffix, seconds
from facewire.runtime.cli.listening import until_interrupted
from facewire.runtime.cli.usage import Subparsers, add_tracking_options, command_parser, positive, say

if TYPE_CHECKING:
    from facewire.runtime.live import Live
    from facewire.runtime.pipeline import FacePipeline
    from facewire.runtime.recorder import Recorder

POLL_S = 0.1


def add_parser(commands: Subparsers) -> None:
    """Adds the command."""
    parser = command_parser(
        commands,
        "record",
        "record a take of the camera",
        "Watches a camera, a file or the demo face as 'serve' does, and records it until Ctrl-C.\n"
        "To stream while recording: facewire serve --record DIR",
        "facewire record take.mcap\nfacewire record take.mcap --video 1 --duration 30",
    )
    parser.add_argument("output", metavar="OUT", type=Path, help="the take, *.mcap")
    parser.add_argument(
        "--video",
        metavar="SRC",
        default="auto",
        help="auto, a camera's number or name, a file, an address, or demo (default: auto)",
    )
    parser.add_argument(
        "--rate", metavar="FPS", type=positive, default=60.0, help="pictures a second to ask for (default: 60)"
    )
    parser.add_argument("--duration", metavar="TIME", type=seconds, help="stop after so long (default: at Ctrl-C)")
    parser.add_argument("--force", action="store_true", help="replace OUT where it exists")
    parser.add_argument(
        "--keep-device-names",
        action="store_true",
        help="put the devices' names into the take (default: leave them out)",
    )
    add_tracking_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Records. Raises SessionError, RecordingError, FacewireError and ModelError."""
    from facewire.bridge.recording.partfile import check_output

    require_suffix(args.output, ".mcap")
    check_output(args.output, force=args.force)
    return _record(args)


def _record(args: argparse.Namespace) -> int:
    from facewire.bridge.recording.errors import RecordingError
    from facewire.runtime.capture.choose import choose_source
    from facewire.runtime.cli.networks import fetch, make_pipeline
    from facewire.runtime.live import Live

    source = choose_source(
        args.video, rate=args.rate, loop=False, demo_photo=lambda: fetch(["demo_face"])[0], report=say
    )
    live = Live(source, lambda frame: recorder.offer_frame(frame), report=say)
    recorder = _make_recorder(args, live)
    recorder.start()
    try:
        until_interrupted(lambda: _until_done(args, live, recorder, lambda: make_pipeline(args)))
    finally:
        live.stop()
        path = recorder.stop()
        if recorder.counts.frames == 0:
            path.unlink()
    if recorder.counts.frames == 0:
        raise RecordingError(f"no picture came, so {path} was not written")
    say(f"{path}: {recorder.counts.frames} frames, {duration_text(recorder.length_s)}{_lost(recorder)}")
    return 0


def _until_done(
    args: argparse.Namespace, live: Live, recorder: Recorder, make_pipeline: Callable[[], FacePipeline]
) -> int:
    """Returns when the input ends, the time is over or the disk fails. Raises the error that the input ended with."""
    live.start(make_pipeline)
    say("recording; Ctrl-C stops")
    started_s = time.perf_counter()
    while not live.ended.wait(POLL_S) and recorder.active:
        if args.duration is not None and time.perf_counter() - started_s >= args.duration:
            return 0
    if live.capture is not None and live.capture.error is not None and recorder.counts.frames == 0:
        raise live.capture.error
    return 0


def _lost(recorder: Recorder) -> str:
    return f"; {recorder.counts.refused_frames} lost because the disk was too slow" * bool(
        recorder.counts.refused_frames
    )


def _make_recorder(args: argparse.Namespace, live: Live) -> Recorder:
    from facewire.bridge.protocol import Greeting
    from facewire.bridge.recording.layout import SessionMetadata
    from facewire.runtime.clock import now_ns
    from facewire.runtime.recorder import Recorder
    from facewire.runtime.takes import recorded_status

    metadata = SessionMetadata(
        started_unix_ns=time.time_ns(),
        started_clock_ns=now_ns(),
        hello=Greeting(rate=args.rate).message(now_ns()),
        devices=dict(live.status()["devices"]) if args.keep_device_names else None,
    )
    status = recorded_status(live.status, keep_device_names=args.keep_device_names)
    return Recorder(args.output, metadata, force=args.force, status=status, report=say)
