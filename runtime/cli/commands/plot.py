"""``facewire plot``: a session's curves over its sound, as a picture or a page."""

from __future__ import annotations

import argparse
from pathlib import Path

from facewire.runtime.cli.options.files import (
    add_output_options,
    add_range_options,
    progress_bar,
    require_suffix,
    size_text,
)
from facewire.runtime.cli.options.usage import Subparsers, command_parser
from facewire.runtime.tools.terminal import notify


def add_parser(commands: Subparsers) -> None:
    """Add the command."""
    parser = command_parser(
        commands,
        "plot",
        "draw a session's curves over its sound",
        "Draws the main shapes over the waveform and the spectrogram, to see lip sync at a glance: .png is a picture,\n"
        ".html a page that needs no other file, to zoom, choose shapes and listen.",
        "facewire plot take.mcap -o take.png\nfacewire plot take.mcap -o take.html --start 10 --end 20",
    )
    parser.add_argument("input", metavar="FILE", type=Path, help="a session")
    add_output_options(parser, "the picture or page, *.png or *.html")
    add_range_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Draw; OUT is written whole or not at all.

    Raises:
        SessionError: the input cannot be read.
        RecordingError: OUT cannot be written.
    """
    from facewire.bridge.export.output import replacing
    from facewire.bridge.recording.cut import TimeRange
    from facewire.bridge.recording.partfile import check_output
    from facewire.bridge.recording.reader import open_session
    from facewire.runtime.plot.data import collect
    from facewire.runtime.plot.html import render_html
    from facewire.runtime.plot.png import render_png

    require_suffix(args.output, ".png", ".html")
    check_output(args.output, force=args.force)
    with open_session(args.input) as session:
        part_ns = TimeRange(args.start, args.end).resolve_ns(session.require_frames())
        with progress_bar(f"reading {args.input.name}") as progress:
            data = collect(session, part_ns, progress)
        png = args.output.suffix.lower() == ".png"
        content = render_png(data) if png else render_html(data, session, part_ns)
    with replacing(args.output, force=args.force) as file:
        file.write(content)
    notify(f"{args.output}: {size_text(len(content))}")
    return 0
