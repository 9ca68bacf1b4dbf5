"""``facewire record``: one take of the camera and the microphone, without a server."""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from facewire.runtime.cli.commands.serve import add_device_names_option, add_input_options
from facewire.runtime.cli.options.files import duration_text, require_suffix, seconds
from facewire.runtime.cli.options.listening import until_interrupted, wait_until
from facewire.runtime.cli.options.panel import add_face_options
from facewire.runtime.cli.options.speech import (
    Listener,
    add_speech_options,
    check_speech,
    choose_inputs,
    chosen_mode,
    gives_pictures,
)
from facewire.runtime.cli.options.usage import Subparsers, add_flame_option, add_tracking_options, command_parser, say

if TYPE_CHECKING:
    from facewire.runtime.flame.blend import LiveFlame
    from facewire.runtime.live import Live
    from facewire.runtime.pipeline import FacePipeline
    from facewire.runtime.takes.recorder import Recorder


def add_parser(commands: Subparsers) -> None:
    """Adds the command."""
    parser = command_parser(
        commands,
        "record",
        "record a take",
        "Watches and listens as 'serve' does, and records face and sound until Ctrl-C.\n"
        "To stream while recording: facewire serve --record DIR",
        "facewire record take.mcap\nfacewire record take.mcap --video 1 --audio 2 --duration 30",
    )
    parser.add_argument("output", metavar="OUT", type=Path, help="the take, *.mcap")
    add_input_options(parser)
    parser.add_argument("--duration", metavar="TIME", type=seconds, help="stop after so long (default: at Ctrl-C)")
    parser.add_argument("--force", action="store_true", help="replace OUT where it exists")
    add_tracking_options(parser)
    add_flame_option(parser)
    add_speech_options(parser)
    add_device_names_option(parser)
    add_face_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Records. Raises SessionError, RecordingError, FacewireError and ModelError."""
    from facewire.bridge.recording.partfile import check_output

    require_suffix(args.output, ".mcap")
    check_output(args.output, force=args.force)
    check_speech(args)
    return _record(args)


def _record(args: argparse.Namespace) -> int:
    from facewire.bridge.recording.errors import RecordingError
    from facewire.runtime.cli.options.networks import make_flame, make_pipeline
    from facewire.runtime.fusion.fuse import Fusion
    from facewire.runtime.live import Live

    flame = make_flame(args)
    source, sound = choose_inputs(args)
    if source is not None and source.opened:
        say(f"listening on {source.opened}")
    live = Live(source, lambda frame: recorder.offer_frame(frame), report=say)
    recorder = _make_recorder(args, live, flame)
    listener = Listener(args, sound, live.publish_speech, recorder.offer_audio)

    def prepare() -> FacePipeline:
        fusion = Fusion(chosen_mode(args), sync=args.sync)
        return make_pipeline(args, fusion=fusion, camera=gives_pictures(source), flame=flame)

    recorder.start()
    try:
        until_interrupted(lambda: _until_done(args, live, listener, recorder, prepare))
    finally:
        listener.stop()
        live.stop()
        path = recorder.stop()
        if recorder.counts.frames == 0:
            path.unlink()
    if recorder.counts.frames == 0:
        raise RecordingError(f"no picture and no speech came, so {path} was not written")
    sound_text = ", with sound" if recorder.counts.audio_blocks else ""
    say(f"{path}: {recorder.counts.frames} frames, {duration_text(recorder.length_s)}{sound_text}{_lost(recorder)}")
    return 0


def _until_done(
    args: argparse.Namespace, live: Live, listener: Listener, recorder: Recorder, prepare: Callable[[], FacePipeline]
) -> int:
    """Returns when the input ends, the time is over or the disk fails. Raises the error that the input ended with."""
    listener.start()
    live.start(prepare)
    say("recording; Ctrl-C stops")
    watched = live if live.capture is not None or listener.speak is None else listener.speak
    end_s = math.inf if args.duration is None else time.perf_counter() + args.duration
    wait_until(lambda: watched.ended.is_set() or not recorder.active or time.perf_counter() >= end_s)
    error = watched.capture.error if watched.capture is not None and watched.ended.is_set() else None
    if error is not None and recorder.counts.frames == 0:
        raise error
    return 0


def _lost(recorder: Recorder) -> str:
    return f"; {recorder.counts.refused_frames} lost because the disk was too slow" * bool(
        recorder.counts.refused_frames
    )


def _make_recorder(args: argparse.Namespace, live: Live, flame: LiveFlame | None) -> Recorder:
    from facewire.bridge.recording.layout import SessionMetadata
    from facewire.bridge.shared.clock import now_ns
    from facewire.bridge.wire.messages import Greeting
    from facewire.runtime.takes.manager import recorded_profile, recorded_status, versions
    from facewire.runtime.takes.recorder import Recorder

    metadata = SessionMetadata(
        started_unix_ns=time.time_ns(),
        started_clock_ns=now_ns(),
        versions=versions(),
        hello=Greeting(rate=args.rate, flame=None if flame is None else flame.greeting).message(now_ns()),
        devices=dict(live.status()["devices"]) if args.keep_device_names else None,
    )
    status = recorded_status(live.status, keep_device_names=args.keep_device_names)
    return Recorder(
        args.output,
        metadata,
        force=args.force,
        status=status,
        profile=lambda: recorded_profile(live),
        flame=lambda: None if flame is None else flame.person(),
        report=say,
    )
