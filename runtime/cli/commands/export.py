"""``facewire export``: a session into files that other programs read."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from facewire.runtime.cli.options.files import add_output_options, add_range_options, duration_text, progress_bar
from facewire.runtime.cli.options.usage import Subparsers, command_parser, positive, timecode_rate
from facewire.runtime.tools.terminal import notify

if TYPE_CHECKING:
    from facewire.bridge.export.formats import ExportOptions
    from facewire.bridge.formats.timecodes import TimecodeRate


def add_parser(commands: Subparsers) -> None:
    """Add the command."""
    parser = command_parser(
        commands,
        "export",
        "write a session for other programs",
        "Writes a session, or a part of it, by OUT's suffix: .csv (Live Link Face), .anim (Unity), .glb (an animated\n"
        "head), .npz (NumPy), .jsonl, .json (Audio2Face) or .wav (the sound).",
        "facewire export take.mcap -o take.csv\n"
        "facewire export take.mcap -o take.anim --face-path Face --head-path Armature/Hips/Spine/Neck/Head\n"
        "facewire export take.mcap -o take.anim --names vroid --face-path Face --shape-prefix Face.M_F00_000_00_\n"
        "facewire export take.mcap -o take.glb --rate 30 --shapes jawOpen 'mouth*'",
    )
    parser.add_argument("input", metavar="FILE", type=Path, help="a session")
    add_output_options(parser, "the file to write")
    add_range_options(parser)
    parser.add_argument(
        "--rate",
        metavar="FPS",
        type=_rate,
        help="evenly so many frames a second: 60, 29.97 or, for .csv, 29.97df (drop frame) (default: as recorded)",
    )
    parser.add_argument("--mirror", action="store_true", help="swap left and right")
    parser.add_argument(
        "--shapes", metavar="NAME", nargs="+", help="only these shapes: ARKit's names or patterns such as 'mouth*'"
    )
    parser.add_argument(
        "--names",
        metavar="KIND",
        choices=("vrm", "vrm0", "vroid", "visemes"),
        help="other names than ARKit's, for .anim, .npz and .jsonl: vrm, vrm0, vroid or visemes (docs/mapping.md)",
    )
    unity = parser.add_argument_group("for .anim", "paths from the Animator's object, joined by /")
    unity.add_argument("--face-path", metavar="PATH", default="Body", help="the face's mesh (default: Body)")
    unity.add_argument("--head-path", metavar="PATH", help="the head's bone (default: the head is not turned)")
    unity.add_argument("--eye-paths", metavar="PATH", nargs=2, help="the left and the right eye's bone")
    unity.add_argument(
        "--shape-prefix", metavar="TEXT", default="", help="what the mesh puts before ARKit's names, such as face_"
    )
    parser.set_defaults(run=run)


def _rate(text: str) -> float | TimecodeRate:
    """Return a rate that timecodes know, or any other, for argparse."""
    try:
        return timecode_rate(text)
    except argparse.ArgumentTypeError:
        if text.strip().lower().endswith("df"):
            raise
        return positive(text)


def run(args: argparse.Namespace) -> int:
    """Export; OUT is written whole or not at all.

    Raises:
        SessionError: the input cannot be read.
        RecordingError: OUT cannot be written.
    """
    from facewire.bridge.export.formats import export, format_of
    from facewire.bridge.recording.partfile import check_output
    from facewire.bridge.recording.reader import open_session

    format_of(args.output)
    check_output(args.output, force=args.force)
    with open_session(args.input) as session, progress_bar(f"exporting {args.input.name}") as progress:
        report = export(session, args.output, _options(args), force=args.force, progress=progress)
    uneven = "" if report.even else "unevenly, on average "
    frames = f"{report.frames} frames {uneven}at {report.rate:.4g} a second, " if report.frames else ""
    advice = "" if report.even else "; --rate 60 makes them even"
    notify(f"{args.output}: {frames}{duration_text(report.duration_s)}{advice}")
    return 0


def _options(args: argparse.Namespace) -> ExportOptions:
    from facewire.bridge.export.anim import RigPaths
    from facewire.bridge.export.clip import ClipOptions
    from facewire.bridge.export.formats import ExportOptions
    from facewire.bridge.recording.cut import TimeRange
    from facewire.runtime.bake.head_mesh import load_head

    rate = args.rate if args.rate is None or isinstance(args.rate, float) else float(args.rate.rate)
    timecode = None if rate is None or isinstance(args.rate, float) or not args.rate.drop else args.rate
    left_eye, right_eye = args.eye_paths or (None, None)
    return ExportOptions(
        part=TimeRange(args.start, args.end),
        clip=ClipOptions(rate, args.mirror, args.shapes, args.names),
        rig=RigPaths(args.face_path, args.head_path, left_eye, right_eye, args.shape_prefix),
        load_head=load_head,
        timecode=timecode,
    )
