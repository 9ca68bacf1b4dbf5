"""Turns a video into a take: the live pipeline, picture after picture, into a session or a CSV file."""

from __future__ import annotations

import io
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from facewire.bridge.codec import Encoder
from facewire.bridge.errors import FacewireError
from facewire.bridge.export.formats import ExportOptions, export
from facewire.bridge.export.livelink_import import sound_blocks
from facewire.bridge.export.output import replacing
from facewire.bridge.frame import FaceFrame
from facewire.bridge.livelink_csv import LiveLinkCsvWriter
from facewire.bridge.protocol import Greeting
from facewire.bridge.recording.errors import SessionError
from facewire.bridge.recording.layout import AudioFormat, SessionMetadata
from facewire.bridge.recording.reader import open_session
from facewire.bridge.recording.sound import Int16Array
from facewire.bridge.recording.writer import SessionWriter
from facewire.runtime.media_sound import read_sound

if TYPE_CHECKING:
    from facewire.runtime.capture.file import FileSource
    from facewire.runtime.pipeline import FacePipeline

START_NS = 1_000_000_000
"""Where a baked session's clock begins; a frame's place is this plus its time in the video."""


@dataclass(slots=True)
class BakeResult:
    """What was baked."""

    frames: int = 0
    seen: int = 0
    """Frames in which a face was seen."""
    length_s: float = 0.0
    sound: bool = False


def write_take(
    source: FileSource, pipeline: FacePipeline, output: Path, *, force: bool, progress: Callable[[int], None]
) -> BakeResult:
    """Track every picture of an open source and write the take that ``output``'s suffix asks for, whole or not at all.

    Raises:
        FacewireError: no face was seen, or ``output`` cannot be written.
    """
    suffix = output.suffix.lower()
    if suffix == ".csv":
        return _write_csv(source, pipeline, output, force=force, progress=progress)
    if suffix == ".mcap":
        return _write_session(source, pipeline, output, force=force, progress=progress)
    from facewire.runtime.head_mesh import load_head

    with tempfile.TemporaryDirectory(prefix="facewire-") as folder:
        session_path = Path(folder) / f"{output.stem}.mcap"
        result = _write_session(source, pipeline, session_path, force=False, progress=progress)
        with open_session(session_path) as session:
            export(session, output, ExportOptions(load_head=load_head), force=force)
    return result


def track_all(source: FileSource, pipeline: FacePipeline, result: BakeResult) -> Iterator[tuple[FaceFrame, int]]:
    """Yield each picture's frame with its time in the video in nanoseconds; count in ``result``.

    Raises:
        FacewireError: no face was seen in any.
    """
    image, time_ns = None, 0
    while (captured := source.read(image)) is not None:
        image, time_ns = captured.image, captured.capture_ns
        place_ns = START_NS + time_ns
        pipeline.track(image, place_ns)
        frame = pipeline.finish(result.frames, place_ns, place_ns, lambda: place_ns)  # noqa: B023, called at once
        result.frames += 1
        result.seen += frame.sources != "held"
        yield frame, time_ns
    result.length_s = time_ns * 1e-9 + 1 / source.rate
    if result.seen == 0:
        raise FacewireError(f"no face was seen in {source.name}, so no take of it was written")


def _write_csv(
    source: FileSource, pipeline: FacePipeline, output: Path, *, force: bool, progress: Callable[[int], None]
) -> BakeResult:
    result = BakeResult()
    with replacing(output, force=force) as file, io.TextIOWrapper(file, encoding="ascii", newline="") as text:
        writer = LiveLinkCsvWriter(text)
        for frame, time_ns in track_all(source, pipeline, result):
            writer.write(frame, time_ns)
            progress(result.frames)
    return result


def _write_session(
    source: FileSource, pipeline: FacePipeline, output: Path, *, force: bool, progress: Callable[[int], None]
) -> BakeResult:
    result, encoder = BakeResult(), Encoder()
    hello = Greeting(rate=source.rate).message(START_NS)
    sound = _sound_of(Path(source.name))
    metadata = SessionMetadata(time.time_ns(), START_NS, hello, origin="bake")
    writer = SessionWriter(output, metadata, audio=None if sound is None else sound[0], force=force)
    blocks = iter(()) if sound is None else sound_blocks(*sound, START_NS)
    block = next(blocks, None)
    try:
        for frame, _ in track_all(source, pipeline, result):
            while sound is not None and block is not None and block.log_ns <= frame.publish_ns:
                writer.add_audio(block, sound[0])
                block = next(blocks, None)
            writer.add_frame(encoder.frame(frame), frame.seq, frame.publish_ns)
            progress(result.frames)
        writer.finish()
    except BaseException:
        writer.discard()
        raise
    result.sound = sound is not None
    return result


def _sound_of(video: Path) -> tuple[AudioFormat, Int16Array] | None:
    """The video's sound; None where it has none, or PyAV is not installed."""
    try:
        return read_sound(video)
    except SessionError:
        return None
