"""Live Link Face takes into sessions, so that what an iPhone captured can be replayed, cut and exported too."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facewire.bridge.recording.errors import SessionError
from facewire.bridge.recording.layout import AudioBlock, AudioFormat, SessionMetadata
from facewire.bridge.recording.partfile import reason
from facewire.bridge.recording.reader import PROGRESS_EVERY, Progress
from facewire.bridge.recording.sound import Int16Array
from facewire.bridge.recording.writer import SessionWriter
from facewire.bridge.shared.arkit import BLENDSHAPES
from facewire.bridge.shared.arrays import Float32Array
from facewire.bridge.wire.angles import gaze_of, head_rotation
from facewire.bridge.wire.codec import Encoder
from facewire.bridge.wire.frame import FaceFrame

START_NS = 1_000_000_000
"""Where an imported session's clock begins; a frame's time is this plus its distance from the first row."""
BLOCK_S = 0.02
DAY_S = 24 * 3600
TIMECODE = re.compile(r"(\d{1,2}):(\d{1,2}):(\d{1,2})[:;](\d{1,4})(?:\.(\d{1,9}))?")
TIMECODE_RATES = (24, 25, 30, 50, 60, 120)
ANGLES = ("headyaw", "headpitch", "headroll", "lefteyeyaw", "lefteyepitch", "righteyeyaw", "righteyepitch")


@dataclass(slots=True)
class ImportReport:
    """What was imported."""

    frames: int = 0
    duration_s: float = 0.0
    missing: tuple[str, ...] = ()
    """Columns that the take does not have; they are at rest."""
    skipped: int = 0
    """Rows that repeat the time of the row before."""


def import_take(
    path: Path,
    output: Path,
    *,
    sound: tuple[AudioFormat, Int16Array] | None = None,
    sound_offset_s: float = 0.0,
    timecode_rate: int | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> ImportReport:
    """Write the take in the CSV file ``path``, with ``sound`` beside it, as the session ``output``.

    Args:
        sound: samples [n, channels].
        sound_offset_s: when the sound begins, after the first row.
        timecode_rate: frames a second that the timecode counts; None finds out from the largest one.

    Raises:
        SessionError: the file is not a take, or ``output`` already exists.
        RecordingError: ``output`` cannot be written.
    """
    report = ImportReport()
    rows = _read_rows(path, report, progress)
    times_s = _times_s(path, [row[0] for row in rows], timecode_rate)
    started_ns = int(path.stat().st_mtime_ns - times_s[-1] * 1e9)
    rate = 1 / float(np.median(np.diff(times_s))) if len(times_s) > 1 else 0.0
    metadata = SessionMetadata(started_ns, START_NS, {"rate": rate, "blendshapes": list(BLENDSHAPES)}, origin="import")
    writer = SessionWriter(output, metadata, audio=sound[0] if sound else None, force=force)
    try:
        _write(writer, rows, times_s, sound, sound_offset_s, report, progress)
        writer.finish()
    except BaseException:
        writer.discard()
        raise
    report.duration_s = float(times_s[-1])
    return report


def _write(
    writer: SessionWriter,
    rows: Sequence[tuple[str, Float32Array]],
    times_s: Sequence[float],
    sound: tuple[AudioFormat, Int16Array] | None,
    sound_offset_s: float,
    report: ImportReport,
    progress: Progress | None,
) -> None:
    encoder, blocks, last_s = (
        Encoder(),
        iter(()) if sound is None else sound_blocks(*sound, START_NS, sound_offset_s),
        -1.0,
    )
    block = next(blocks, None)
    for number, ((_, values), time_s) in enumerate(zip(rows, times_s, strict=True)):
        if progress is not None and number % PROGRESS_EVERY == 0:
            progress(len(rows) + number, 2 * len(rows))  # reading was the first half
        if time_s <= last_s:
            report.skipped += 1
            continue
        place_ns, last_s = START_NS + round(time_s * 1e9), time_s
        while sound is not None and block is not None and block.log_ns <= place_ns:
            writer.add_audio(block, sound[0])
            block = next(blocks, None)
        frame = FaceFrame(
            report.frames, place_ns, place_ns, "video", 1.0, values[:52], _head(values), gaze_of(*values[55:59])
        )
        writer.add_frame(encoder.frame(frame), frame.seq, place_ns)
        report.frames += 1


def _read_rows(path: Path, report: ImportReport, progress: Progress | None) -> list[tuple[str, Float32Array]]:
    """Timecodes with values [59]: the shapes in our order, then ``ANGLES``."""
    rows: list[tuple[str, Float32Array]] = []
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            reader = csv.reader(io.TextIOWrapper(file, encoding="utf-8-sig", newline=""))
            header = [name.strip().lower() for name in next(reader, [])]
            columns = _columns(path, header, report)
            for row in filter(any, reader):
                rows.append(_row(path, reader.line_num, row, columns))
                if progress is not None and len(rows) % PROGRESS_EVERY == 0:
                    progress(file.tell(), 2 * size)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        what = reason(error) if isinstance(error, OSError) else "it is not a text of comma-separated values"
        raise SessionError(f"cannot read {path}: {what}") from None
    if not rows:
        raise SessionError(f"{path}: this take is empty: it has no rows")
    return rows


def _columns(path: Path, header: list[str], report: ImportReport) -> list[int | None]:
    wanted = [name.lower() for name in BLENDSHAPES] + list(ANGLES)
    found: list[int | None] = [header.index(name) if name in header else None for name in wanted]
    if not header or header[0] != "timecode" or all(column is None for column in found[:52]):
        raise SessionError(f"{path} is not a Live Link Face take: its first line must name Timecode and blend shapes")
    report.missing = tuple(name for name, column in zip(wanted, found, strict=True) if column is None)
    return found


def _row(path: Path, line: int, row: list[str], columns: list[int | None]) -> tuple[str, Float32Array]:
    try:
        values = np.array([0.0 if column is None else float(row[column] or 0) for column in columns], np.float32)
        if not np.isfinite(values).all():
            raise ValueError
    except (ValueError, IndexError):
        raise SessionError(f"{path}, line {line}: a value is missing or is not a number") from None
    values[:52] = np.clip(values[:52], 0, 1)
    return row[0], values


def _times_s(path: Path, timecodes: Sequence[str], rate: int | None) -> list[float]:
    """Seconds from the first row; a take over midnight goes on."""
    parsed = []
    for number, text in enumerate(timecodes, 2):
        match = TIMECODE.fullmatch(text.strip())
        if match is None:
            raise SessionError(f"{path}, row {number}: the timecode {text!r} is not like 12:34:56:07.890")
        hours, minutes, seconds, frame = (int(part) for part in match.groups()[:4])
        parsed.append((hours * 3600 + minutes * 60 + seconds, frame + float(f"0.{match[5] or 0}")))
    most = max(frame for _, frame in parsed)
    rate = rate or next(
        (known for known in TIMECODE_RATES if most < known and (known >= 60 or _spans_a_second(parsed))), 60
    )
    times_s = [second + frame / rate for second, frame in parsed]
    shift_s, last_s = -times_s[0], times_s[0]
    out = []
    for number, time_s in enumerate(times_s, 2):
        if time_s < last_s - DAY_S / 2:
            shift_s += DAY_S
        elif time_s < last_s:
            raise SessionError(f"{path}, row {number}: the timecode goes back")
        last_s = time_s
        out.append(time_s + shift_s)
    return out


def _spans_a_second(parsed: Sequence[tuple[int, float]]) -> bool:
    """Whether a whole second was counted, so that the largest frame number says what the timecode counts to."""
    return parsed[-1][0] - parsed[0][0] >= 2


def sound_blocks(audio: AudioFormat, samples: Int16Array, start_ns: int, offset_s: float = 0.0) -> Iterator[AudioBlock]:
    """Yield samples [n, channels] in blocks, the first ``offset_s`` after the place ``start_ns``; but none from before
    the clock begins, which has no place to stand."""
    size = max(1, round(BLOCK_S * audio.rate))
    for first in range(0, len(samples), size):
        log_ns = start_ns + round((offset_s + first / audio.rate) * 1e9)
        if log_ns >= 0:
            yield AudioBlock(log_ns, first, samples[first : first + size].astype("<i2", copy=False).tobytes())


def _head(values: Float32Array) -> Float32Array:
    """Return a head [7] at the origin: a take says nothing of where."""
    return np.concatenate([head_rotation(*values[52:55]), np.zeros(3, np.float32)])
