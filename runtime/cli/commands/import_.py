"""``facewire import``: a Live Link Face take into a session."""

from __future__ import annotations

import argparse
import math
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from facewire.runtime.cli.options.files import (
    add_output_options,
    duration_text,
    input_file,
    progress_bar,
    require_suffix,
)
from facewire.runtime.cli.options.usage import Subparsers, UsageError, command_parser, timecode_rate
from facewire.runtime.tools.terminal import notify

if TYPE_CHECKING:
    from facewire.bridge.export.livelink_import import ImportReport

MAX_NAMED = 4
MAX_OFFSET_S = 24 * 3600.0


def add_parser(commands: Subparsers) -> None:
    """Add the command."""
    parser = command_parser(
        commands,
        "import",
        "make a session of a Live Link Face take",
        "Reads the CSV of a Live Link Face take, with its sound if given, into a session.",
        "facewire import MySlate_1_iPhone.csv --sound MySlate_1_iPhone.mov -o take.mcap",
    )
    parser.add_argument("input", metavar="CSV", type=Path, help="the take's .csv")
    add_output_options(parser, "the session, *.mcap")
    parser.add_argument(
        "--sound", metavar="FILE", type=input_file, help="a .wav, or a .mov or other video (needs the extra media)"
    )
    parser.add_argument(
        "--sound-offset",
        metavar="S",
        type=_offset_s,
        default=0.0,
        help="when the sound begins after the first row (default: 0)",
    )
    parser.add_argument(
        "--rate",
        "--timecode-rate",
        metavar="FPS",
        dest="timecode_rate",
        type=timecode_rate,
        help="what the timecode counts, such as 60, 29.97, 29.97df (drop frame) or 23.976 (default: worked out from the"
        " take, where nothing tells 29.97 from 30)",
    )
    parser.add_argument(
        "--date",
        metavar="YYYY-MM-DD",
        type=_date,
        help="the day of the first row; its time of day is the timecode's (default: the day of the file's own time)",
    )
    parser.set_defaults(run=run)


def _offset_s(text: str) -> float:
    """Seconds, before or after, for argparse."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not abs(value) <= MAX_OFFSET_S:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds, such as 0.25 or -0.25")
    return value


def _date(text: str) -> date:
    """Return a day, for argparse."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a day such as 2026-11-30") from None


def run(args: argparse.Namespace) -> int:
    """Import; OUT is written whole or not at all.

    Raises:
        UsageError: OUT has no place for what was asked for.
        SessionError: the input cannot be read.
        RecordingError: OUT cannot be written.
    """
    from facewire.bridge.export.livelink_import import import_take
    from facewire.bridge.recording.partfile import check_output
    from facewire.runtime.sound.media_sound import read_sound

    require_suffix(args.output, ".mcap")
    check_output(args.output, force=args.force)
    if args.sound is None and args.sound_offset:
        raise UsageError("--sound-offset is when the sound of --sound FILE begins: name that")
    sound = None if args.sound is None else read_sound(args.sound)
    with progress_bar(f"reading {args.input.name}") as progress:
        report = import_take(
            args.input,
            args.output,
            sound=sound,
            sound_offset_s=args.sound_offset,
            timecode_rate=args.timecode_rate,
            day=args.date,
            force=args.force,
            progress=progress,
        )
    notify(f"{args.output}: {report.frames} frames, {duration_text(report.duration_s)}")
    if args.timecode_rate is None:
        notify(timecode_line(report))
    if report.missing:
        more = f" and {len(report.missing) - MAX_NAMED} more" if len(report.missing) > MAX_NAMED else ""
        notify(f"the take has no {', '.join(report.missing[:MAX_NAMED])}{more}: they stay at rest")
    if report.skipped:
        notify(f"{report.skipped} rows repeat the time of the row before and were left out")
    return 0


def timecode_line(report: ImportReport) -> str:
    """Return how the timecode was read, and what to do if that is wrong."""
    rate = report.timecode
    if not report.timecode_known:
        return f"the take is too short to tell what its timecode counts: read as {rate} a second, or say --rate FPS"
    if rate.drop:
        return f"the timecode is read as {rate} a second (drop frame), or say --rate FPS"
    slower = f"; if it is {rate.slower}, say --rate {rate.slower}" if rate.slower else ""
    return f"the timecode is read as {rate} a second{slower}"
