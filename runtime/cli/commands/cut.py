"""``facewire cut``: a part of a session, or several sessions one behind the other."""

from __future__ import annotations

import argparse
from pathlib import Path

from facewire.runtime.cli.options.files import (
    add_output_options,
    add_range_options,
    duration_text,
    progress_bar,
    require_suffix,
)
from facewire.runtime.cli.options.usage import Subparsers, command_parser
from facewire.runtime.tools.terminal import notify


def add_parser(commands: Subparsers) -> None:
    """Add the command."""
    parser = command_parser(
        commands,
        "cut",
        "trim and join sessions",
        "Writes a part of a session, or of several, one behind the other. Frames and sound are copied as they are.",
        "facewire cut take.mcap --start 12.5 --end 1:02 -o best.mcap\nfacewire cut a.mcap b.mcap -o both.mcap",
    )
    parser.add_argument(
        "input", metavar="FILE", type=Path, nargs="+", help="a session; several are joined in this order"
    )
    add_range_options(parser)
    add_output_options(parser, "the new session, *.mcap")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Cut; OUT is written whole or not at all.

    Raises:
        SessionError: the input cannot be read.
        RecordingError: OUT cannot be written.
    """
    from facewire.bridge.recording.cut import TimeRange, cut

    require_suffix(args.output, ".mcap")
    with progress_bar(f"writing {args.output.name}") as progress:
        report = cut(args.input, args.output, TimeRange(args.start, args.end), force=args.force, progress=progress)
    notify(f"{args.output}: {report.frames} frames, {duration_text(report.duration_ns / 1e9)}")
    return 0
