"""``facewire bake``: a video file to a take, faster than real time."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from facewire.bridge.errors import FacewireError
from facewire.runtime.cli.usage import Subparsers, UsageError, add_tracking_options, command_parser, say

if TYPE_CHECKING:
    from rich.progress import Progress

    from facewire.runtime.capture.file import FileSource
    from facewire.runtime.pipeline import FacePipeline

SUFFIXES = (".csv",)


def add_parser(commands: Subparsers) -> None:
    """Adds the command."""
    parser = command_parser(
        commands,
        "bake",
        "turn a video file into a take",
        "Tracks the face in a video file as fast as the machine can and writes what Live Link Face would have written.",
        "facewire bake interview.mp4 -o interview.csv",
    )
    parser.add_argument("input", metavar="IN", type=Path, help="a video file")
    parser.add_argument(
        "-o", "--output", metavar="OUT", type=Path, required=True, help="the take; .csv has Live Link Face's columns"
    )
    parser.add_argument("--force", action="store_true", help="replace OUT where it exists")
    add_tracking_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Bakes one file. Raises UsageError, FacewireError and ModelError; OUT is written whole or not at all."""
    check_output(args.output, force=args.force)
    from facewire.runtime.capture.file import FileSource
    from facewire.runtime.cli.networks import make_pipeline

    source = FileSource(args.input, paced=False)
    source.open()
    try:
        pipeline = make_pipeline(args)
        started_s = time.perf_counter()
        with replacing(args.output) as stream, _progress() as progress:
            rows, seen, length_s = write_take(source, pipeline, stream, progress)
            if seen == 0:
                raise FacewireError(f"no face was seen in {args.input}, so {args.output} was not written")
    finally:
        source.close()
    speed = length_s / max(time.perf_counter() - started_s, 1e-9)
    say(f"{args.output}: {rows} frames, {length_s:.1f} s, a face in {100 * seen / rows:.0f} %, {speed:.1f} × real time")
    return 0


def check_output(path: Path, *, force: bool) -> None:
    """Raises UsageError where a take cannot be written there."""
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"{path} would be a {path.suffix or 'file without a suffix'}: name it {' or '.join(SUFFIXES)}")
    if not path.parent.is_dir():
        raise UsageError(f"the folder {path.parent} is not there: make it first")
    if path.is_dir():
        raise UsageError(f"{path} is a folder: name a file in it")
    if path.exists() and not force:
        raise UsageError(f"{path} exists: choose another name, or replace it with --force")


def write_take(
    source: FileSource, pipeline: FacePipeline, stream: TextIO, progress: Progress | None
) -> tuple[int, int, float]:
    """Tracks every picture and writes its row; returns rows, rows with a face, and the take's length in seconds."""
    from facewire.bridge.livelink_csv import LiveLinkCsvWriter

    writer, seen, time_ns, image = LiveLinkCsvWriter(stream), 0, 0, None
    task = progress.add_task(source.name, total=source.frames or None) if progress else None
    while (captured := source.read(image)) is not None:
        image, time_ns = captured.image, captured.capture_ns
        pipeline.track(image, time_ns)
        frame = pipeline.finish(writer.rows, time_ns, time_ns, lambda: time_ns)  # noqa: B023, called at once
        seen += frame.sources != "held"
        writer.write(frame, time_ns)
        if progress is not None and task is not None:
            progress.update(task, completed=writer.rows)
    return writer.rows, seen, time_ns * 1e-9 + 1 / source.rate


@contextmanager
def replacing(path: Path) -> Iterator[TextIO]:
    """A text file that takes ``path``'s place once it is complete, and leaves nothing behind otherwise."""
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("w", encoding="ascii", newline="") as stream:
            yield stream
        part.replace(path)
    except OSError as error:
        raise FacewireError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _progress() -> Iterator[Progress | None]:
    """A bar where a person watches; nothing where the output goes to a file."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield progress
