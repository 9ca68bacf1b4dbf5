"""``facewire bake``: video files to takes, faster than real time."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from facewire.bridge.errors import FacewireError
from facewire.runtime.cli.files import Progress, duration_text, progress_bar
from facewire.runtime.cli.usage import Subparsers, UsageError, add_tracking_options, command_parser, say

if TYPE_CHECKING:
    from facewire.runtime.capture.file import FileSource
    from facewire.runtime.pipeline import FacePipeline

SUFFIXES = (".csv", ".mcap", ".anim", ".glb", ".npz", ".jsonl", ".json")
VIDEOS = (".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".wmv", ".3gp")
"""What is taken out of a folder."""


@dataclass(frozen=True, slots=True)
class Job:
    """One video and where its take goes."""

    video: Path
    output: Path


def add_parser(commands: Subparsers) -> None:
    """Adds the command."""
    parser = command_parser(
        commands,
        "bake",
        "turn video files into takes",
        "Tracks the face in video files as fast as the machine can and writes a take of each: .csv has what Live Link\n"
        "Face would have written, .mcap is a session (with the video's sound where facewire[media] is installed),\n"
        "and the others are what 'facewire export' makes of one. A folder stands for the videos in it.",
        "facewire bake interview.mp4 -o interview.csv\nfacewire bake day1/ day2/x.mov -o takes/ --format .mcap",
    )
    parser.add_argument("input", metavar="IN", type=Path, nargs="+", help="a video file, or a folder of them")
    parser.add_argument(
        "-o", "--output", metavar="OUT", type=Path, required=True, help="the take; of several, the folder for them"
    )
    parser.add_argument(
        "--format",
        choices=[suffix[1:] for suffix in SUFFIXES],
        help="what to write into the folder OUT (default: mcap)",
        type=lambda text: text.removeprefix("."),
    )
    parser.add_argument("--force", action="store_true", help="replace takes that exist")
    add_tracking_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Bakes each input; a take is written whole or not at all. Raises UsageError, FacewireError and ModelError."""
    jobs = plan(args.input, args.output, args.format, force=args.force)
    from facewire.runtime.cli.networks import make_pipeline

    if len(jobs) == 1:
        say(bake(jobs[0], lambda: make_pipeline(args), force=args.force))
        return 0
    args.output.mkdir(exist_ok=True)
    done = sum([_bake_of_many(job, lambda: make_pipeline(args), force=args.force) for job in jobs])
    say(f"{done} of {len(jobs)} takes are in {args.output}")
    return 0 if done == len(jobs) else 1


def _bake_of_many(job: Job, make_pipeline: Callable[[], FacePipeline], *, force: bool) -> bool:
    """Bakes one of several: a bad video must not cost the night's batch."""
    try:
        say(bake(job, make_pipeline, force=force))
    except FacewireError as error:
        say(f"error: {error}")
        return False
    return True


def plan(inputs: Iterable[Path], output: Path, form: str | None, *, force: bool) -> list[Job]:
    """What to bake to where. Raises UsageError where a take cannot be written there, before any work is done."""
    given = list(inputs)
    videos = [video for path in given for video in (videos_in(path) if path.is_dir() else [path])]
    into_folder = output.is_dir() or len(given) > 1 or given[0].is_dir()
    if not into_folder or (output.suffix.lower() in SUFFIXES and len(given) == 1 and not given[0].is_dir()):
        check_output(output, force=force)
        return [Job(videos[0], output)]
    if output.suffix.lower() in SUFFIXES and not output.is_dir():
        raise UsageError(f"several takes do not fit into {output}: name a folder, and what to write with --format")
    if not output.parent.is_dir():
        raise UsageError(f"the folder {output.parent} is not there: make it first")
    jobs = [Job(video, output / f"{video.stem}.{form or 'mcap'}") for video in videos]
    for number, job in enumerate(jobs):
        if any(job.output == other.output for other in jobs[:number]):
            raise UsageError(f"two inputs are called {job.video.stem}: bake them into two folders")
        if job.output.exists():
            check_output(job.output, force=force)
    return jobs


def videos_in(folder: Path) -> list[Path]:
    """The videos in a folder, by name. Raises UsageError where there is none."""
    videos = sorted(path for path in folder.iterdir() if path.suffix.lower() in VIDEOS)
    if not videos:
        raise UsageError(f"there is no video in {folder}: it looks for {', '.join(VIDEOS)}")
    return videos


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


def bake(job: Job, make_pipeline: Callable[[], FacePipeline], *, force: bool) -> str:
    """Bakes one video and returns a line about it. Raises FacewireError and ModelError."""
    from facewire.runtime.baking import write_take
    from facewire.runtime.capture.file import FileSource

    source = FileSource(job.video, paced=False)
    source.open()
    try:
        pipeline = make_pipeline()
        started_s = time.perf_counter()
        with progress_bar(job.video.name) as progress:
            result = write_take(source, pipeline, job.output, force=force, progress=_counted(source, progress))
    finally:
        source.close()
    speed = result.length_s / max(time.perf_counter() - started_s, 1e-9)
    seen = 100 * result.seen / result.frames
    sound = ", with its sound" if result.sound else ""
    length = duration_text(result.length_s)
    return f"{job.output}: {result.frames} frames, {length}{sound}, a face in {seen:.0f} %, {speed:.1f} × real time"


def _counted(source: FileSource, progress: Progress | None) -> Callable[[int], None]:
    if progress is None:
        return lambda _: None
    return lambda done: progress(done, max(source.frames, done))
