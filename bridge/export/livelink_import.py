"""Live Link Face takes into sessions, so that what an iPhone captured can be replayed, cut and exported too."""

from __future__ import annotations

import csv
import io
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from pathlib import Path

import numpy as np

from facewire.bridge.formats.timecodes import DAY_S, DROPPED, Timecode, TimecodeRate
from facewire.bridge.recording.errors import SessionError
from facewire.bridge.recording.layout import AudioBlock, AudioFormat, SessionMetadata
from facewire.bridge.recording.partfile import reason
from facewire.bridge.recording.reader import PROGRESS_EVERY, Progress
from facewire.bridge.recording.sound import Int16Array
from facewire.bridge.recording.writer import SessionWriter
from facewire.bridge.shared.arkit import BLENDSHAPES
from facewire.bridge.shared.arrays import Float32Array
from facewire.bridge.shared.regular_file import open_regular
from facewire.bridge.wire.angles import gaze_of, head_rotation
from facewire.bridge.wire.codec import Encoder
from facewire.bridge.wire.frame import FaceFrame

START_NS = 1_000_000_000
"""Where an imported session's clock begins; a frame's time is this plus its distance from the first row."""
BLOCK_S = 0.02
USUAL_COUNTS = (10, 12, 15, 20, 24, 25, 30, 48, 50, 60, 72, 90, 100, 120, 144, 240)
MIN_TURNS = 3
"""Seconds that must agree on a number that is not usual."""
APP_COUNT = 60
"""What Live Link Face's timecode counts unless it follows another clock."""
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
    timecode: TimecodeRate = field(default_factory=lambda: TimecodeRate(APP_COUNT))
    """How its timecode counts."""
    timecode_known: bool = False
    """Whether that was given or could be worked out; else the take is too short, and it is a guess."""


def import_take(
    path: Path,
    output: Path,
    *,
    sound: tuple[AudioFormat, Int16Array] | None = None,
    sound_offset_s: float = 0.0,
    timecode_rate: TimecodeRate | float | None = None,
    day: date | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> ImportReport:
    """Write the take in the CSV file ``path``, with ``sound`` beside it, as the session ``output``.

    Args:
        sound: samples [n, channels].
        sound_offset_s: when the sound begins, after the first row.
        timecode_rate: how the timecode counts; None finds out from the take. It never tells 29.97 from 30 but in drop
            frame, so that has to be said.
        day: of the first row; None is the day of the file's own time, taken as that of the last row.

    Raises:
        SessionError: the file is not a take, or ``output`` already exists.
        RecordingError: ``output`` cannot be written.
    """
    report = ImportReport()
    rows = _read_rows(path, report, progress)
    metadata, times_s = _time_line(path, [row[0] for row in rows], timecode_rate, day, report)
    writer = SessionWriter(output, metadata, audio=sound[0] if sound else None, force=force)
    try:
        _write(writer, rows, times_s, sound, sound_offset_s, report, progress)
        writer.finish()
    except BaseException:
        writer.discard()
        raise
    report.duration_s = float(times_s[-1])
    return report


def _time_line(
    path: Path, texts: Sequence[str], given: TimecodeRate | float | None, day: date | None, report: ImportReport
) -> tuple[SessionMetadata, list[float]]:
    """Return what the session says about itself, and the rows' times in seconds from the first."""
    timecodes = _timecodes(path, texts)
    rate, known = _counted(timecodes, TimecodeRate.of(given))
    report.timecode, report.timecode_known = rate, known
    times_s, midnights = _times_s(path, timecodes, rate)
    started_ns = _started_ns(path, timecodes[0].time_of_day_ns(rate), day, midnights)
    own_rate = 1 / float(np.median(np.diff(times_s))) if len(times_s) > 1 else 0.0
    hello = {"rate": own_rate, "blendshapes": list(BLENDSHAPES), "timecode": str(rate)}
    return SessionMetadata(started_ns, START_NS, hello, origin="import"), times_s


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
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
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


def _timecodes(path: Path, texts: Sequence[str]) -> list[Timecode]:
    found = []
    for number, text in enumerate(texts, 2):
        try:
            found.append(Timecode.parse(text))
        except ValueError as error:  # noqa: PERF203 (it ends the loop)
            raise SessionError(f"{path}, row {number}: {error}") from None
    return found


def _counted(timecodes: Sequence[Timecode], given: TimecodeRate | None) -> tuple[TimecodeRate, bool]:
    """Return how the timecodes count, and whether that is known."""
    drop = any(one.drop for one in timecodes)
    if given is not None:
        return TimecodeRate(given.count, given.slow, given.drop or (drop and given.slow)), True
    least = max(one.frame for one in timecodes) + 1
    turns = _turns(timecodes)
    if drop:  # its labels are those of 29.97, 59.94 or 119.88
        counts = [known for known in DROPPED if known >= least] or [max(DROPPED)]
        nearest = min(counts, key=lambda known: abs(known - np.median(turns))) if turns else counts[0]
        return TimecodeRate(nearest, slow=True, drop=True), bool(turns)
    if not turns:
        return TimecodeRate(next((known for known in USUAL_COUNTS if known >= max(least, APP_COUNT)), least)), False
    return TimecodeRate(_whole_count(turns, least)), True


def _turns(timecodes: Sequence[Timecode]) -> list[float]:
    """Return how many frames each second seems to count where the next one begins: the row behind follows the last of a
    second at the distance at which that follows the one before it."""
    counts = []
    for before, last, behind in zip(timecodes, timecodes[1:], timecodes[2:], strict=False):
        step = float(last.frame + last.part - before.frame - before.part)
        if before.seconds == last.seconds and step > 0 and (behind.seconds - last.seconds) % DAY_S == 1:
            counts.append(float(last.frame + last.part) + step - float(behind.frame + behind.part))
    return counts


def _whole_count(turns: Sequence[float], least: int) -> int:
    """Return what a second counts: a usual number near what the turns say, or that number itself if they agree."""
    counted, spread = float(np.median(turns)), float(np.max(turns) - np.min(turns))
    nearest = round(counted)
    exact = spread < 0.1 and abs(counted - nearest) < 0.1 and nearest >= least
    if exact and (nearest in USUAL_COUNTS or len(turns) >= MIN_TURNS):
        return nearest
    possible = [known for known in USUAL_COUNTS if known >= least]
    return min(possible, key=lambda known: abs(known - counted), default=max(least, nearest))


def _times_s(path: Path, timecodes: Sequence[Timecode], rate: TimecodeRate) -> tuple[list[float], int]:
    """Return seconds from the first row, and over how many midnights the take goes."""
    first: Fraction | None = None
    last, midnights = Fraction(0), 0
    times_s = []
    for number, one in enumerate(timecodes, 2):
        if not rate.exists(one.seconds, one.frame):
            raise SessionError(
                f"{path}, row {number}: a timecode of {rate} has no frame {one.frame} there: say with --rate what it"
                " counts"
            )
        place = rate.frame_number(one.seconds, one.frame) + one.part
        if first is None:
            first = last = place
        place += midnights * rate.day_frames
        if place < last - rate.day_frames // 2:
            midnights += 1
            place += rate.day_frames
        elif place < last:
            raise SessionError(f"{path}, row {number}: the timecode goes back")
        last = place
        times_s.append(float((place - first) / rate.rate))
    return times_s, midnights


def _started_ns(path: Path, time_of_day_ns: int, day: date | None, midnights: int) -> int:
    """Return the Unix time of the first row: the timecode's time of day, on ``day`` or the file's, in local time."""
    if day is None:
        try:
            ended = time.localtime(path.stat().st_mtime)
        except OSError as error:  # it was there a moment ago
            raise SessionError(f"cannot read {path}: {reason(error)}") from None
        year, month, number = ended.tm_year, ended.tm_mon, ended.tm_mday - midnights
    else:
        year, month, number = day.year, day.month, day.day
    seconds, rest_ns = divmod(time_of_day_ns, 10**9)
    clock = (seconds // 3600, seconds // 60 % 60, seconds % 60)
    return max(0, int(time.mktime((year, month, number, *clock, 0, 0, -1))) * 10**9 + rest_ns)


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
