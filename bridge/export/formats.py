"""From a session to a file, by the file's suffix."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from facewire.bridge.export.anim import RigPaths, write_anim
from facewire.bridge.export.clip import Clip, ClipOptions, make_clip
from facewire.bridge.export.flame import flame_about
from facewire.bridge.export.gltf import HeadMesh, write_glb
from facewire.bridge.export.output import replacing
from facewire.bridge.export.resample import USUAL_RATES
from facewire.bridge.export.tables import at_whole_rate, write_a2f, write_csv, write_jsonl, write_npz
from facewire.bridge.export.wav import write_wav
from facewire.bridge.formats.livelink_csv import APP_TIMECODE
from facewire.bridge.formats.timecodes import TimecodeRate
from facewire.bridge.recording.cut import TimeRange
from facewire.bridge.recording.errors import SessionError
from facewire.bridge.recording.layout import SessionMetadata
from facewire.bridge.recording.reader import Progress, Session
from facewire.bridge.recording.sound import load_sound
from facewire.bridge.recording.track import load_track

DAY_NS = 24 * 3600 * 1_000_000_000

FORMATS: dict[str, str] = {
    ".csv": "Live Link Face's columns",
    ".anim": "Unity animation clip",
    ".glb": "glTF: an animated head",
    ".npz": "NumPy arrays",
    ".jsonl": "one JSON object for each frame",
    ".json": "Audio2Face's JSON",
    ".wav": "the sound",
}

FIXED_NAMES = (".csv", ".glb", ".json")
"""Formats whose readers know ARKit's names alone."""


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """What to export and how."""

    part: TimeRange = field(default_factory=TimeRange)
    clip: ClipOptions = field(default_factory=ClipOptions)
    rig: RigPaths = field(default_factory=RigPaths)
    """For ``.anim``."""
    load_head: Callable[[], HeadMesh] | None = None
    """Returns the head for ``.glb``."""
    timecode: TimecodeRate | None = None
    """How ``.csv``'s timecode counts; None: as its frames do if that is usual, as that of an imported take, or 60."""


@dataclass(slots=True)
class ExportReport:
    """What was written."""

    frames: int
    rate: float
    duration_s: float
    even: bool = True
    """Whether frames follow each other evenly at ``rate``, which is else the mean."""


def format_of(path: Path) -> str:
    """Return the suffix that decides the format.

    Raises:
        SessionError: it is not known.
    """
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        known = ", ".join(f"{known} ({what})" for known, what in FORMATS.items())
        raise SessionError(f"cannot export to {path.suffix or 'a file without a suffix'}: it is one of {known}")
    return suffix


def check_options(suffix: str, options: ExportOptions) -> None:
    """Say what is asked for in vain.

    Raises:
        SessionError: the format has no place for it.
    """
    clip = options.clip
    if suffix == ".wav" and clip != ClipOptions():
        raise SessionError(".wav is the sound alone: leave --rate, --mirror, --shapes and --names out")
    if suffix != ".anim" and options.rig != RigPaths():
        raise SessionError(f"the rig's paths and prefix are for .anim: leave them out of {suffix}")
    if suffix != ".csv" and options.timecode is not None and options.timecode.drop:
        rate = round(float(options.timecode.rate), 3)
        raise SessionError(f"drop frame is a way to count .csv's timecode: say --rate {rate:g} for {suffix}")
    if suffix in FIXED_NAMES and clip.names is not None:
        raise SessionError(f"{suffix} has names of its own: leave --names out")
    if suffix == ".json" and clip.rate is not None and clip.rate % 1:
        raise SessionError(f"Audio2Face's .json has whole rates only, not {clip.rate:g} frames a second")


def export(
    session: Session,
    output: Path,
    options: ExportOptions | None = None,
    *,
    force: bool = False,
    progress: Progress | None = None,
) -> ExportReport:
    """Write ``session`` to ``output``, whole or not at all.

    Raises:
        SessionError: the format is not known, ``output`` already exists, the session is empty or damaged, or what
            was asked for is not in it.
        RecordingError: ``output`` cannot be written.
    """
    options = options or ExportOptions()
    suffix = format_of(output)
    check_options(suffix, options)
    start_ns, end_ns = options.part.resolve_ns(session.require_frames())
    if suffix == ".wav":
        with replacing(output, force=force) as file:
            write_wav(session, start_ns, end_ns, file)
        return ExportReport(0, 0.0, (end_ns - start_ns) / 1e9)
    track = load_track(session, start_ns, end_ns, progress)
    start_ns = int(track.log_ns[0])  # of a part the first frame is mostly a little later than what was asked for
    clip = make_clip(output.stem, track, options.clip)
    if suffix == ".json":
        clip = at_whole_rate(clip)
    with replacing(output, force=force) as file:
        _write(suffix, session, clip, (start_ns, end_ns), options, file, progress)
    return ExportReport(len(clip), clip.rate, float(clip.times_s[-1]), clip.even)


def _write(
    suffix: str,
    session: Session,
    clip: Clip,
    part_ns: tuple[int, int],
    options: ExportOptions,
    file: BinaryIO,
    progress: Progress | None,
) -> None:
    if suffix == ".csv":
        timecode = options.timecode or timecode_rate(session, options.clip.rate)
        write_csv(clip, file, time_of_day_ns(session.metadata, part_ns[0]), progress, timecode=timecode)
    elif suffix == ".anim":
        write_anim(clip, file, options.rig, progress)
    elif suffix == ".npz":
        sound = load_sound(session, *part_ns)
        write_npz(clip, file, None if sound is None else (sound[0].rate, sound[1]), flame_about(session))
    elif suffix == ".jsonl":
        write_jsonl(clip, file, progress)
    elif suffix == ".json":
        write_a2f(clip, file, f"{clip.name}.wav" if session.audio else "", progress)
    elif options.load_head is None:
        raise SessionError("there is no head to animate for .glb")
    else:
        write_glb(clip, options.load_head(), file)


def timecode_rate(session: Session, rate: float | None) -> TimecodeRate:
    """Return how the timecode counts of frames at ``rate``, None being as recorded."""
    said = session.metadata.hello.get("timecode") if rate is None else f"{rate:.3f}"
    try:
        found = TimecodeRate.parse(str(said))
    except ValueError:
        return APP_TIMECODE
    return found if rate is None or found.slow or found.count in USUAL_RATES[:6] else APP_TIMECODE


def time_of_day_ns(metadata: SessionMetadata, place_ns: int) -> int:
    """Return the local time of day at a place of the time line, which is what a timecode shows."""
    unix_ns = metadata.started_unix_ns + place_ns - metadata.started_clock_ns
    local = time.localtime(unix_ns // 1_000_000_000)
    seconds = local.tm_hour * 3600 + local.tm_min * 60 + local.tm_sec
    return (seconds * 1_000_000_000 + unix_ns % 1_000_000_000) % DAY_NS
