"""Speech of a file to frames, faster than real time; stamped at the sound they belong to, or as if they were live.

A live listener has a value when the block of 10 ms has come that completes it; it then shows the sound of the driver's
delay ago. Baked values go where that sound is, which no live run can.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from facewire.bridge.shared.clock import NS_PER_S
from facewire.bridge.shared.face import SpeechTick
from facewire.bridge.wire.frame import FaceFrame
from facewire.runtime.capture.sound.sound_file import SoundReader, in_blocks
from facewire.runtime.capture.video.file import FileSource
from facewire.runtime.pipeline import FacePipeline
from facewire.runtime.sound.blocks import BLOCK_S, SoundBlock
from facewire.runtime.speech.pipeline import TICK_HZ, SpeechPipeline

TICK_NS = NS_PER_S // TICK_HZ


@dataclass(frozen=True, slots=True)
class BakedTick:
    """A tick and when it shows, in nanoseconds from the file's beginning."""

    tick: SpeechTick
    time_ns: int


def speech_ticks(
    path: Path, speech: SpeechPipeline, *, as_live: bool, faults: list[str] | None = None
) -> Iterator[BakedTick]:
    """Yield every tick of a file's sound, in order; those of before its beginning are left out.

    ``faults`` gets a line if the sound was damaged.

    Raises:
        CaptureError: the file cannot be read or has no sound.
    """
    reader = SoundReader(path)
    try:
        rate, count = reader.rate, 0
        size = max(1, round(BLOCK_S * rate))
        delay_ns = round(speech.driver.delay_ms * 1e6)
        # Silence after the end, so that the last sounds show, too.
        after = np.zeros((delay_ns + 2 * TICK_NS) * rate // NS_PER_S + size, np.float32)
        for last, blocks in ((False, in_blocks(reader.blocks(), size)), (True, in_blocks(iter((after,)), size))):
            end_ns = count * NS_PER_S // rate
            for block in blocks:
                speech.feed(SoundBlock(block, rate, count, count * NS_PER_S // rate, 0))
                count += len(block)
                come_ns = count * NS_PER_S // rate
                while (tick := speech.step()) is not None:
                    time_ns = come_ns if as_live else tick.sound_ns
                    if time_ns >= 0 and not (last and tick.sound_ns > end_ns):
                        yield BakedTick(tick, time_ns)
    finally:
        if reader.problem is not None and faults is not None:
            faults.append(f"the sound of {path} {reader.problem}")
        reader.close()


def speech_frames(
    path: Path,
    speech: SpeechPipeline,
    face: FacePipeline,
    *,
    as_live: bool,
    start_ns: int,
    faults: list[str] | None = None,
) -> Iterator[tuple[FaceFrame, int]]:
    """Yield a frame for each tick of a file's sound, with its time in the file; the clock begins at ``start_ns``.

    ``face`` has no camera.

    Raises:
        CaptureError: the file cannot be read or has no sound.
    """
    for seq, baked in enumerate(speech_ticks(path, speech, as_live=as_live, faults=faults)):
        place_ns = start_ns + baked.time_ns
        face.take_speech(replace(baked.tick, capture_ns=place_ns))
        yield face.finish(seq, place_ns, place_ns, _always(place_ns)), baked.time_ns


def watched_frames(
    source: FileSource, ticks: Iterator[BakedTick], face: FacePipeline, *, start_ns: int
) -> Iterator[tuple[FaceFrame, int]]:
    """Yield a frame for each picture of an open video, with its time there; the ticks of its sound move its mouth.

    One that is damaged gives what it has; ``source.damage`` says what was wrong.
    """
    image, seq, waiting = None, 0, next(ticks, None)
    while (captured := source.read(image)) is not None:
        image, time_ns = captured.image, captured.capture_ns
        place_ns = start_ns + time_ns
        while waiting is not None and waiting.time_ns <= time_ns:
            face.take_speech(replace(waiting.tick, capture_ns=place_ns))
            waiting = next(ticks, None)
        face.track(image, place_ns)
        yield face.finish(seq, place_ns, place_ns, _always(place_ns)), time_ns
        seq += 1


def _always(time_ns: int) -> Callable[[], int]:
    return lambda: time_ns
