"""Turns a video or a recording into a take: the live pipeline, frame after frame, into a session or a CSV file."""

from __future__ import annotations

import io
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from facewire.bridge.export.formats import ExportOptions, export
from facewire.bridge.export.output import replacing
from facewire.bridge.formats.livelink_csv import LiveLinkCsvWriter
from facewire.bridge.recording.layout import SessionMetadata
from facewire.bridge.recording.reader import open_session
from facewire.bridge.recording.writer import SessionWriter
from facewire.bridge.shared.errors import FacewireError
from facewire.bridge.wire.codec import Encoder
from facewire.bridge.wire.frame import FaceFrame
from facewire.bridge.wire.messages import Greeting
from facewire.bridge.wire.streams import recorded_streams
from facewire.runtime.bake.speak_bake import watched_frames
from facewire.runtime.bake.take_sound import TakeSound

if TYPE_CHECKING:
    from facewire.runtime.capture.video.file import FileSource
    from facewire.runtime.flame.blend import LiveFlame
    from facewire.runtime.pipeline import FacePipeline

START_NS = 1_000_000_000
"""Where a baked session's clock begins; a frame's place is this plus its time in the video."""


@dataclass(slots=True)
class BakeResult:
    """What was baked."""

    frames: int = 0
    seen: int = 0
    """Frames in which a face was seen, or heard."""
    length_s: float = 0.0
    sound: bool = False
    faults: list[str] = field(default_factory=list)
    """One line each about what the file should have and the take has not."""
    remarks: list[str] = field(default_factory=list)
    """Lines about what was left out though nothing is known to be wrong with the file."""


@dataclass(frozen=True, slots=True)
class Footage:
    """What a take is made of."""

    path: Path
    rate: float
    """Frames a second."""
    frames: Iterator[tuple[FaceFrame, int]]
    """Each with its time in the file in nanoseconds; the session's clock begins at ``START_NS``."""
    flame: LiveFlame | None = None
    """What makes the frames' FLAME, if they have any."""


def watched(source: FileSource, pipeline: FacePipeline, flame: LiveFlame | None) -> Footage:
    """Return an open video, picture after picture."""
    frames = watched_frames(source, iter(()), pipeline, start_ns=START_NS)
    return Footage(Path(source.name), source.rate, frames, flame)


def write_take(footage: Footage, output: Path, *, force: bool, progress: Callable[[int], None]) -> BakeResult:
    """Make every frame and write the take that ``output``'s suffix asks for, whole or not at all.

    Raises:
        FacewireError: no face was seen, nothing was heard, or ``output`` cannot be written.
    """
    suffix = output.suffix.lower()
    if suffix == ".csv":
        return _write_csv(footage, output, force=force, progress=progress)
    if suffix == ".mcap":
        return _write_session(footage, output, force=force, progress=progress)
    from facewire.runtime.bake.head_mesh import load_head

    with temporary_folder() as folder:
        session_path = folder / f"{output.stem}.mcap"
        result = _write_session(footage, session_path, force=False, progress=progress)
        with open_session(session_path) as session:
            export(session, output, ExportOptions(load_head=load_head), force=force)
    return result


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Yield a folder that vanishes afterwards.

    Raises:
        FacewireError: the system has no room for one.
    """
    try:
        folder = tempfile.TemporaryDirectory(prefix="facewire-", ignore_cleanup_errors=True)
    except OSError as error:
        raise FacewireError(f"cannot make a temporary folder: {error.strerror or error}; set TMPDIR to one") from None
    with folder as name:
        yield Path(name)


def counted(footage: Footage, result: BakeResult) -> Iterator[tuple[FaceFrame, int]]:
    """Yield each frame with its time in the file in nanoseconds; count in ``result``.

    Raises:
        FacewireError: no face was seen in any, or there is none.
    """
    time_ns = 0
    for frame, time_ns in footage.frames:
        result.frames += 1
        result.seen += frame.sources != "held"
        yield frame, time_ns
    result.length_s = time_ns * 1e-9 + 1 / footage.rate
    if result.frames == 0:
        raise FacewireError(f"{footage.path} is too short for a single frame, so no take of it was written")
    if result.seen == 0:
        raise FacewireError(f"no face was seen in {footage.path}, so no take of it was written")


def _write_csv(footage: Footage, output: Path, *, force: bool, progress: Callable[[int], None]) -> BakeResult:
    result = BakeResult()
    with replacing(output, force=force) as file, io.TextIOWrapper(file, encoding="ascii", newline="") as text:
        writer = LiveLinkCsvWriter(text)
        for frame, time_ns in counted(footage, result):
            writer.write(frame, time_ns)
            progress(result.frames)
    return result


def _write_session(footage: Footage, output: Path, *, force: bool, progress: Callable[[int], None]) -> BakeResult:
    result, sound = BakeResult(), TakeSound(footage.path, START_NS)
    try:
        _write_frames(footage, sound, output, result, force=force, progress=progress)
    finally:
        sound.close()
    result.sound = sound.format is not None
    if sound.fault is not None:
        (result.remarks if sound.missing_reader else result.faults).append(sound.fault)
    return result


def _write_frames(
    footage: Footage,
    sound: TakeSound,
    output: Path,
    result: BakeResult,
    *,
    force: bool,
    progress: Callable[[int], None],
) -> None:
    encoder, flame = Encoder(), footage.flame
    hello = Greeting(rate=footage.rate, flame=None if flame is None else flame.greeting).message(START_NS)
    metadata = SessionMetadata(time.time_ns(), START_NS, hello, origin="bake")
    writer = SessionWriter(output, metadata, audio=sound.format, force=force)
    try:  # from the moment on when there is a file
        blocks = sound.blocks()
        block = next(blocks, None)
        for frame, _ in counted(footage, result):
            while sound.format is not None and block is not None and block.log_ns <= frame.publish_ns:
                writer.add_audio(block, sound.format)
                block = next(blocks, None)
            writer.add_frame(encoder.frame(frame, recorded_streams()), frame.seq, frame.publish_ns)
            progress(result.frames)
        writer.finish(None if flame is None else {"flame": json.dumps(flame.person())})
    except BaseException:
        writer.discard()
        raise
