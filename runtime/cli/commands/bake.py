"""``facewire bake``: videos and recordings to takes, faster than real time."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from facewire.bridge.shared.errors import FacewireError
from facewire.bridge.shared.text import as_line
from facewire.runtime.cli.options.files import Progress, duration_text, input_file, progress_bar
from facewire.runtime.cli.options.speech import add_speech_options, speech_options
from facewire.runtime.cli.options.usage import (
    Subparsers,
    UsageError,
    add_flame_option,
    add_tracking_options,
    command_parser,
    flame_option,
    require_file,
    tracking_options,
)
from facewire.runtime.session.options import BakeOptions
from facewire.runtime.settings.naming import alike
from facewire.runtime.tools.terminal import notify

if TYPE_CHECKING:
    from facewire.runtime.bake.baking import BakeResult, Footage
    from facewire.runtime.speech.pipeline import SpeechPipeline

logger = logging.getLogger("facewire.runtime")

SUFFIXES = (".csv", ".mcap", ".anim", ".glb", ".npz", ".jsonl", ".json")
FLAME_SUFFIXES = (".npz", ".mcap", ".jsonl")
"""What can hold FLAME parameters."""
VIDEOS = (".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".wmv", ".3gp")
"""What is taken out of a folder; beside them a sound is a video's own."""
SOUNDS = (".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".m4a", ".aac", ".aif", ".aiff", ".wma")
"""What has no picture: speech moves the whole face. Taken out of a folder if that has no video."""


@dataclass(frozen=True, slots=True)
class Job:
    """One video or recording and where its take goes."""

    video: Path
    output: Path


@dataclass(frozen=True, slots=True)
class Baked:
    """What to say of one take."""

    line: str
    remarks: list[str]
    faults: list[str]
    """What is missing because the file is damaged."""


def add_parser(commands: Subparsers) -> None:
    """Add the command."""
    parser = command_parser(
        commands,
        "bake",
        "turn videos and recordings into takes",
        "Tracks the face in video files as fast as the machine can and writes a take of each: .csv has what Live Link\n"
        "Face would have written, .mcap is a session (with the video's sound if the extra media is installed),\n"
        "and the others are what 'facewire export' makes of one. A folder stands for the videos in it, or for the\n"
        "recordings if it has no video. The face of a recording (.wav, .flac, .mp3, ...) is moved by its speech;\n"
        "so is a video's mouth with --mouth audio.",
        "facewire bake interview.mp4 -o interview.csv\nfacewire bake day1/ day2/x.mov -o takes/ --format .mcap\n"
        "facewire bake speech.wav -o speech.csv\nfacewire bake interview.mp4 -o flame.npz --flame",
    )
    parser.add_argument(
        "input", metavar="IN", type=input_file, nargs="+", help="a video, a recording, or a folder of them"
    )
    parser.add_argument(
        "-o", "--output", metavar="OUT", type=Path, required=True, help="the take; for several inputs, a folder"
    )
    parser.add_argument(
        "--format",
        choices=[suffix[1:] for suffix in SUFFIXES],
        help="what to write into the folder OUT (default: mcap)",
        type=lambda text: text.removeprefix("."),
    )
    parser.add_argument("--force", action="store_true", help="replace takes that exist")
    parser.add_argument(
        "--as-live",
        action="store_true",
        help="stamp what speech moves when a live listener could have had it (default: at the sound it belongs to)",
    )
    add_tracking_options(parser)
    add_flame_option(parser)
    add_speech_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Bake each input; a take is written whole or not at all.

    Raises:
        UsageError: what was asked for does not exist or does not go together.
        FacewireError: it cannot be done; the message says why.
        ModelError: a network or its file cannot be used.
    """
    jobs = plan(args.input, args.output, args.format, force=args.force)
    if args.flame is not None and (suffix := jobs[0].output.suffix.lower()) not in FLAME_SUFFIXES:
        raise UsageError(f"--flame goes into {', '.join(FLAME_SUFFIXES)}, and {suffix} has no place for it")
    options = bake_options(args)
    if len(jobs) == 1:
        return 0 if _report(bake(jobs[0], options)) else 1
    try:
        args.output.mkdir(exist_ok=True)
    except OSError as error:
        raise FacewireError(f"cannot make the folder {args.output}: {error.strerror or error}") from None
    done = [_bake_of_many(job, options) for job in jobs]
    notify(f"{sum(whole is not None for whole in done)} of {len(jobs)} takes are in {args.output}")
    return 0 if all(done) else 1


def bake_options(args: argparse.Namespace) -> BakeOptions:
    """Return what the command line asks for.

    Raises:
        UsageError: its options do not go together, or name a file that does not exist.
    """
    return BakeOptions(
        tracking=tracking_options(args),
        speech=speech_options(args),
        flame=flame_option(args),
        by_speech=args.mouth == "audio",
        as_live=args.as_live,
        force=args.force,
    )


def _bake_of_many(job: Job, options: BakeOptions) -> bool | None:
    """Bake one of several: a bad video, or whatever it meets, must not cost the batch.

    Return whether it was whole; None: no take.
    """
    try:
        return _report(bake(job, options))
    except FacewireError as error:
        notify(f"error: {error}")
    except BrokenPipeError:  # nobody reads what we say
        raise
    except OSError as error:
        notify(f"error: {job.video}: {error.filename or job.output}: {error.strerror or error}")
    except Exception as error:  # a mistake of ours, which another file may not meet
        notify(f"error: {job.video}: {as_line(repr(error))}")
        logger.debug("a mistake of ours", exc_info=True)
    return None


def _report(baked: Baked) -> bool:
    """Say what was baked; return whether that is all that the file should hold."""
    for line in (baked.line, *baked.remarks, *baked.faults):
        notify(line)
    return not baked.faults


def plan(inputs: Iterable[Path], output: Path, form: str | None, *, force: bool) -> list[Job]:
    """Return what to bake to where.

    Raises:
        UsageError: an input does not exist or a take cannot be written, before any work is done.
    """
    given = list(inputs)
    for path in given:
        require_file(path)
    videos = [video for path in given for video in (videos_in(path) if path.is_dir() else [path])]
    into_folder = output.is_dir() or len(given) > 1 or given[0].is_dir()
    if not into_folder or (output.suffix.lower() in SUFFIXES and len(given) == 1 and not given[0].is_dir()):
        check_output(output, force=force)
        if form is not None:
            raise UsageError(f"{output} already says what to write: --format is for a folder")
        return [Job(videos[0], output)]
    if output.suffix.lower() in SUFFIXES and not output.is_dir():
        raise UsageError(f"several takes do not fit into {output}: name a folder, and what to write with --format")
    if not output.parent.is_dir():
        raise UsageError(f"the folder {output.parent} does not exist: make it first")
    if output.exists() and not output.is_dir():
        raise UsageError(f"{output} is a file: name a folder for the takes")
    jobs = [Job(video, output / f"{video.stem}.{form or 'mcap'}") for video in videos]
    for number, job in enumerate(jobs):
        if any(alike(job.output.name, other.output.name) for other in jobs[:number]):
            raise UsageError(f"two inputs are called {job.video.stem}: bake them into two folders")
        if job.output.exists():
            check_output(job.output, force=force)
    return jobs


def videos_in(folder: Path) -> list[Path]:
    """Return the videos in a folder, by name, or the recordings if it has no video.

    Raises:
        UsageError: there is neither.
    """
    for suffixes in (VIDEOS, SOUNDS):
        named = (path for path in folder.iterdir() if path.suffix.lower() in suffixes)
        # What begins with a dot is another program's note about a file, not one: macOS writes `._clip.mp4` beside it.
        if found := sorted(path for path in named if not path.name.startswith(".") and path.is_file()):
            return found
    raise UsageError(f"there is no video and no recording in {folder}: it looks for {', '.join(VIDEOS + SOUNDS)}")


def check_output(path: Path, *, force: bool) -> None:
    """Raise UsageError if a take cannot be written there."""
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"{path} would be a {path.suffix or 'file without a suffix'}: name it {' or '.join(SUFFIXES)}")
    if not path.parent.is_dir():
        raise UsageError(f"the folder {path.parent} does not exist: make it first")
    if path.is_dir():
        raise UsageError(f"{path} is a folder: name a file in it")
    if path.exists() and not force:
        raise UsageError(f"{path} exists: choose another name, or replace it with --force")


def bake(job: Job, options: BakeOptions) -> Baked:
    """Bake one input and return what to say about it; of a damaged one, what is good becomes the take.

    Raises:
        UsageError: it cannot be opened, or has no sound where speech is to move the face.
        FacewireError: the take cannot be written.
        ModelError: a network cannot be loaded.
    """
    return _bake_sound(job, options) if job.video.suffix.lower() in SOUNDS else _bake_video(job, options)


def _bake_video(job: Job, options: BakeOptions) -> Baked:
    from facewire.runtime.bake.baking import START_NS, Footage, watched
    from facewire.runtime.bake.speak_bake import speech_ticks, watched_frames
    from facewire.runtime.capture.video.file import FileSource
    from facewire.runtime.fusion.fuse import Fusion
    from facewire.runtime.session.networks import make_flame, make_pipeline

    flame = make_flame(options.flame)
    faults: list[str] = []
    source = FileSource(job.video, paced=False)
    with _asked_for():
        source.open()
    try:
        if options.by_speech:
            speech = _make_speech(options, job.video)
            pipeline = make_pipeline(options.tracking, fusion=Fusion("mouth"), flame=flame)
            ticks = speech_ticks(job.video, speech, as_live=options.as_live, faults=faults)
            frames = watched_frames(source, ticks, pipeline, start_ns=START_NS)
            footage = Footage(job.video, source.rate, frames, flame)
        else:
            footage = watched(source, make_pipeline(options.tracking, flame=flame), flame)
        result, speed = _write(job, footage, source.frames, force=options.force)
    finally:
        source.close()
    seen = 100 * result.seen / result.frames
    sound = ", with its sound" if result.sound else ""
    length = duration_text(result.length_s)
    line = f"{job.output}: {result.frames} frames, {length}{sound}, a face in {seen:.0f} %, {speed:.1f} × real time"
    damage = [source.damage] if source.damage else []
    return Baked(line, result.remarks, list(dict.fromkeys(damage + result.faults + faults)))


def _bake_sound(job: Job, options: BakeOptions) -> Baked:
    from facewire.runtime.bake.baking import START_NS, Footage
    from facewire.runtime.bake.speak_bake import speech_frames
    from facewire.runtime.fusion.fuse import Fusion
    from facewire.runtime.session.networks import make_flame, make_pipeline
    from facewire.runtime.speech.pipeline import TICK_HZ

    speech = _make_speech(options, job.video)
    flame = make_flame(options.flame)
    pipeline = make_pipeline(options.tracking, fusion=Fusion("microphone"), camera=False, flame=flame)
    faults: list[str] = []
    frames = speech_frames(job.video, speech, pipeline, as_live=options.as_live, start_ns=START_NS, faults=faults)
    footage = Footage(job.video, TICK_HZ, frames, flame)
    result, speed = _write(job, footage, round(sound_length_s(job.video) * TICK_HZ), force=options.force)
    line = f"{job.output}: {result.frames} frames, {duration_text(result.length_s)}, {speed:.1f} × real time"
    return Baked(line, result.remarks, list(dict.fromkeys(result.faults + faults)))


def _write(job: Job, footage: Footage, count: int, *, force: bool) -> tuple[BakeResult, float]:
    """Write a take with a progress bar; return what is in it, and how many times faster than real time it went."""
    from facewire.bridge.shared.clock import NS_PER_S, now_ns
    from facewire.runtime.bake.baking import write_take

    started_ns = now_ns()
    with progress_bar(job.video.name) as progress:
        result = write_take(footage, job.output, force=force, progress=_counted(count, progress))
    return result, result.length_s / max((now_ns() - started_ns) / NS_PER_S, 1e-9)


def _make_speech(options: BakeOptions, path: Path) -> SpeechPipeline:
    """Return the pipeline for speech, once the file is known to have sound."""
    from facewire.runtime.session.networks import make_speech

    with _asked_for():
        sound_length_s(path)
    return make_speech(options.speech, device=options.tracking.device, flame=options.flame)


@contextmanager
def _asked_for() -> Iterator[None]:
    """Raise UsageError for an input that cannot be opened: like a session of that kind, it was asked for wrongly."""
    from facewire.runtime.capture.video.source import CaptureError

    try:
        yield
    except CaptureError as error:
        raise UsageError(str(error)) from None


def sound_length_s(path: Path) -> float:
    """Return how long a file says that it is, 0 if it does not say.

    Raises:
        CaptureError: it has no sound.
    """
    from facewire.runtime.capture.sound.sound_file import SoundReader

    reader = SoundReader(path)
    reader.close()
    return reader.length_s


def _counted(count: int, progress: Progress | None) -> Callable[[int], None]:
    if progress is None:
        return lambda _: None
    return lambda done: progress(done, max(count, done))
