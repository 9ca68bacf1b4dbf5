"""``facewire repair``: saves what is whole in a session that was cut."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from facewire.runtime.cli.options.files import duration_text, progress_bar, require_suffix
from facewire.runtime.cli.options.usage import Subparsers, command_parser
from facewire.runtime.tools.terminal import notify

if TYPE_CHECKING:
    from facewire.bridge.recording.repair import RepairReport

UNCHECKED = "its start time and calibration cannot be checked: an older program wrote no checksum of them"


def add_parser(commands: Subparsers) -> None:
    """Add the command."""
    parser = command_parser(
        commands,
        "repair",
        "repair a session that was cut",
        "Saves all that is whole in a session whose program was killed or whose disk filled up. The cut file stays.",
        "facewire repair take.mcap.part\nfacewire repair broken.mcap -o saved.mcap",
    )
    parser.add_argument("input", metavar="FILE", type=Path, help="the cut or damaged session")
    parser.add_argument("-o", "--output", metavar="OUT", type=Path, help="the repaired session (default: beside FILE)")
    parser.add_argument("--force", action="store_true", help="replace OUT if it exists")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Repair; OUT is written whole or not at all.

    Raises:
        SessionError: the input cannot be read.
        RecordingError: OUT cannot be written.
    """
    from facewire.bridge.recording.check import is_checked, is_whole
    from facewire.bridge.recording.layout import SUFFIX
    from facewire.bridge.recording.repair import repair

    with progress_bar(f"reading {args.input.name}") as progress:
        whole = is_whole(args.input, progress)
    if whole:
        known = "" if is_checked(args.input) else f" ({UNCHECKED})"
        notify(f"{args.input} is whole: there is nothing to repair{known}")
        return 0
    output = args.output or repaired_path(args.input)
    require_suffix(output, SUFFIX)
    with progress_bar(f"repairing {args.input.name}") as progress:
        report = repair(args.input, output, force=args.force, progress=progress)
    notify(report_line(output, report))
    return 0


def report_line(output: Path, report: RepairReport) -> str:
    """Return what was saved and what was not."""
    lost = [f"{report.lost_bytes} bytes at the end belong to nothing whole"] if report.lost_bytes else []
    lost += [f"{report.damaged_chunks} damaged parts were left out"] if report.damaged_chunks else []
    lost += [f"{report.damaged_messages} damaged messages were left out"] if report.damaged_messages else []
    lost += [f"{report.repeated_chunks} parts stood there twice"] if report.repeated_chunks else []
    lost += ["the recorder's counts at the end are lost"] if report.end_lost else []
    lost += ["its start time is lost: it is now by the file's own time"] if report.about == "lost" else []
    lost = lost or ["nothing that was written is lost"]
    lost += [UNCHECKED] if report.about == "unchecked" else []
    saved = f"{report.frames} frames, {duration_text(report.duration_s)}"
    sound = f", {report.audio_blocks} blocks of sound" if report.audio_blocks else ""
    return f"saved {output}: {saved}{sound}; {', '.join(lost)}"


def repaired_path(path: Path) -> Path:
    """``take.mcap`` for ``take.mcap.part``; ``take-repaired.mcap`` for ``take.mcap``."""
    from facewire.bridge.recording.layout import PART_SUFFIX, SUFFIX

    if path.suffix == PART_SUFFIX:
        return path.with_suffix("")
    return path.with_name(f"{path.stem}-repaired{SUFFIX}")
