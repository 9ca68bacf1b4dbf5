"""``facewire import``: a Live Link Face take into a session."""

from __future__ import annotations

import argparse
from pathlib import Path

from facewire.runtime.cli.files import add_output_options, duration_text, require_suffix
from facewire.runtime.cli.usage import Subparsers, command_parser, say

MAX_NAMED = 4


def add_parser(commands: Subparsers) -> None:
    """Adds the command."""
    parser = command_parser(
        commands,
        "import",
        "make a session of a Live Link Face take",
        "Reads the CSV of a Live Link Face take, with its sound where given, into a session.",
        "facewire import MySlate_1_iPhone.csv --sound MySlate_1_iPhone.mov -o take.mcap",
    )
    parser.add_argument("input", metavar="CSV", type=Path, help="the take's .csv")
    add_output_options(parser, "the session, *.mcap")
    parser.add_argument(
        "--sound", metavar="FILE", type=Path, help="a .wav, or a .mov or other video (needs facewire[media])"
    )
    parser.add_argument(
        "--sound-offset",
        metavar="S",
        type=float,
        default=0.0,
        help="when the sound begins after the first row (default: 0)",
    )
    parser.add_argument(
        "--timecode-rate", metavar="N", type=int, help="frames a second that the timecode counts (default: found out)"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Imports. Raises SessionError and RecordingError; OUT is written whole or not at all."""
    from facewire.bridge.export.livelink_import import import_take
    from facewire.bridge.recording.partfile import check_output
    from facewire.runtime.media_sound import read_sound

    require_suffix(args.output, ".mcap")
    check_output(args.output, force=args.force)
    report = import_take(
        args.input,
        args.output,
        sound=None if args.sound is None else read_sound(args.sound),
        sound_offset_s=args.sound_offset,
        timecode_rate=args.timecode_rate,
        force=args.force,
    )
    say(f"{args.output}: {report.frames} frames, {duration_text(report.duration_s)}")
    if report.missing:
        more = f" and {len(report.missing) - MAX_NAMED} more" if len(report.missing) > MAX_NAMED else ""
        say(f"the take has no {', '.join(report.missing[:MAX_NAMED])}{more}: at rest")
    if report.skipped:
        say(f"{report.skipped} rows repeat the time of the row before and were left out")
    return 0
