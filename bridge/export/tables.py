"""The plain formats: Live Link Face CSV, NumPy arrays, JSON lines, Audio2Face's JSON."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np

from facewire.bridge.export.clip import Clip, at_rate
from facewire.bridge.export.flame import flame_arrays
from facewire.bridge.formats.livelink_csv import APP_TIMECODE, LiveLinkCsvWriter
from facewire.bridge.formats.timecodes import TimecodeRate
from facewire.bridge.recording.reader import Progress, counted
from facewire.bridge.recording.sound import Int16Array
from facewire.bridge.wire.frame import SOURCES, FaceFrame

JSON_DECIMALS = 6


def write_csv(
    clip: Clip,
    file: BinaryIO,
    start_of_day_ns: int = 0,
    progress: Progress | None = None,
    *,
    timecode: TimecodeRate = APP_TIMECODE,
) -> None:
    """Write Live Link Face's columns, then those of further streams; shapes that were not asked for are 0. The head's
    translation has no column.

    Args:
        start_of_day_ns: what the timecode shows at the first frame, from midnight.
        timecode: how it counts.

    Raises:
        OSError: the disk does not take it.
    """
    text = io.TextIOWrapper(file, encoding="ascii", newline="", write_through=True)
    extra_columns = {one.stream.name: one.stream for one in clip.extra}
    writer = LiveLinkCsvWriter(text, extra_columns, rate=timecode, start_of_day_ns=start_of_day_ns)
    chosen = np.zeros_like(clip.blendshapes)
    chosen[:, clip.columns] = clip.chosen
    for index, time_s in enumerate(counted(clip.times_s, len(clip), progress)):
        extra = {one.stream.name: one.values[index] for one in clip.extra}
        frame = FaceFrame(index, 0, 0, "video", 1.0, chosen[index], clip.head[index], clip.gaze[index], extra=extra)
        writer.write(frame, round(time_s * 1e9))
    text.flush()
    text.detach()


def write_npz(
    clip: Clip, file: BinaryIO, sound: tuple[int, Int16Array] | None = None, flame: Mapping[str, Any] | None = None
) -> None:
    """Write named arrays, compressed: ``names`` are the columns of ``blendshapes``, ``source_names`` those of
    ``sources``, and ``NAME_names`` those of a further stream ``NAME``.

    Args:
        sound: its rate, and samples [n, channels].
        flame: what the session knows of whose FLAME it is (``flame.flame_about``).

    Raises:
        OSError: the disk does not take it.
    """
    arrays = {
        "times_s": clip.times_s,
        "rate": np.float64(clip.rate),
        "names": np.array(clip.shapes),
        "blendshapes": clip.chosen,
        "head_rotation_xyzw": clip.head[:, :4],
        "head_translation_m": clip.head[:, 4:],
        "gaze_rad": clip.gaze,
        "confidence": clip.confidence,
        "sources": np.array([SOURCES.index(source) for source in clip.sources], np.uint8),
        "source_names": np.array(SOURCES),
    }
    arrays |= flame_arrays(clip, flame or {})
    for one in clip.extra:
        arrays[one.stream.name] = one.values
        arrays[f"{one.stream.name}_names"] = np.array(one.stream.columns(one.values[0].size))
    if sound is not None:
        arrays |= {"audio_rate": np.int64(sound[0]), "audio": sound[1]}
    np.savez_compressed(file, **arrays)


def write_jsonl(clip: Clip, file: BinaryIO, progress: Progress | None = None) -> None:
    """Write one JSON object a line for each frame, shapes by name.

    Raises:
        OSError: the disk does not take it.
    """
    chosen = clip.chosen
    for index, time_s in enumerate(counted(clip.times_s, len(clip), progress)):
        frame = {
            "time_s": round(float(time_s), JSON_DECIMALS),
            "sources": clip.sources[index],
            "confidence": round(float(clip.confidence[index]), JSON_DECIMALS),
            "blendshapes": dict(zip(clip.shapes, _rounded(chosen[index]), strict=True)),
            "head": {"rotation_xyzw": _rounded(clip.head[index, :4]), "translation_m": _rounded(clip.head[index, 4:])},
            "gaze_rad": _rounded(clip.gaze[index]),
        }
        if clip.flame is not None:
            one = clip.flame[index]
            frame["flame"] = {name: _rounded(getattr(one, name)) for name in ("expression", "jaw", "neck", "eyes")}
        for extra in clip.extra:
            frame[extra.stream.name] = extra.stream.named(extra.values[index], JSON_DECIMALS)
        file.write(json.dumps(frame, separators=(",", ":")).encode() + b"\n")


def at_whole_rate(clip: Clip) -> Clip:
    """Return ``clip`` evenly at a whole rate: the nearest to its own, or a usual one if it is uneven."""
    rate = max(1, round(clip.nominal_rate))
    even = clip.rate == rate and np.allclose(np.diff(clip.times_s), 1 / rate, atol=1e-6)
    return clip if even else at_rate(clip, rate)


def write_a2f(clip: Clip, file: BinaryIO, sound_name: str = "", progress: Progress | None = None) -> None:
    """Write the JSON that Audio2Face exports and its importers read: names, and one row of weights a frame. ``clip`` is
    at a whole rate (``at_whole_rate``), for a row has no time.

    It knows whole rates only, so a clip that was not resampled is brought to the nearest whole rate.

    Raises:
        OSError: the disk does not take it.
    """
    head = {
        "exportFps": round(clip.rate),
        "trackPath": sound_name,
        "numPoses": len(clip.shapes),
        "numFrames": len(clip),
        "facsNames": list(clip.shapes),
    }
    file.write(json.dumps(head).encode().removesuffix(b"}") + b', "weightMat": [')
    # Row by row: an hour's numbers as Python's take most of a gigabyte.
    for index, row in enumerate(counted(clip.chosen, len(clip), progress)):
        file.write(b", " * bool(index) + json.dumps(_rounded(row)).encode())
    file.write(b"]}")


def _rounded(values: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> list[float]:
    return [round(value, JSON_DECIMALS) for value in values.tolist()]
