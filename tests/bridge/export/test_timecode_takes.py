"""Timecodes of takes, in and out: time of day, the rates of film and television, and streams that are not even."""

from __future__ import annotations

import os
import re
import time
from datetime import date
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from support.takes import MakeTake, talking_frames

from facewire.bridge.export.clip import ClipOptions
from facewire.bridge.export.formats import ExportOptions, export
from facewire.bridge.export.livelink_import import import_take
from facewire.bridge.formats.timecodes import TimecodeRate
from facewire.bridge.recording.cut import TimeRange
from facewire.bridge.recording.errors import SessionError
from facewire.bridge.recording.layout import SessionMetadata
from facewire.bridge.recording.reader import open_session
from facewire.bridge.recording.track import load_track
from facewire.bridge.recording.writer import SessionWriter
from facewire.bridge.wire.codec import Encoder
from facewire.runtime.cli import main

NOON_NS = 12 * 3600 * 10**9
WRITTEN = time.mktime((2026, 11, 30, 15, 0, 0, 0, 0, -1))


def csv_take(path: Path, timecodes: list[str]) -> Path:
    rows = [f"{text},61,{number % 100 / 100:.2f}" for number, text in enumerate(timecodes)]
    path.write_text("\n".join(["Timecode,BlendShapeCount,JawOpen", *rows]) + "\n", encoding="utf-8")
    os.utime(path, (WRITTEN, WRITTEN))
    return path


def labels(rate: str, count: int, first: int = 0, step: int = 1) -> list[str]:
    return [TimecodeRate.parse(rate).label(first + number * step) for number in range(count)]


def times_s(path: Path) -> np.ndarray:
    with open_session(path) as session:
        return load_track(session).times_s


def started(path: Path) -> str:
    with open_session(path) as session:
        unix_ns = session.metadata.started_unix_ns
    return f"{time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(unix_ns // 10**9))}.{unix_ns % 10**9:09d}"


def exported(path: Path, output: Path, **options: object) -> list[str]:
    with open_session(path) as session:
        export(session, output, ExportOptions(**options), force=True)  # type: ignore[arg-type]
    return [line.split(",")[0] for line in output.read_text(encoding="utf-8").splitlines()[1:]]


@pytest.mark.parametrize(
    ("rate", "given"),
    [
        ("29.97df", None),
        ("59.94df", None),
        ("29.97", "29.97"),
        ("59.94", "59.94"),
        ("23.976", "23.976"),
        ("24", None),
        ("25", None),
        ("30", None),
        ("60", None),
        ("15", None),
        ("10", None),
        ("20", None),
        ("23", None),
    ],
)
def test_ten_minutes_take_as_long_as_they_did(tmp_path: Path, rate: str, given: str | None) -> None:
    counted = TimecodeRate.parse(rate)
    count, step = int(600 * counted.rate), 7  # every seventh row is enough, after ten seconds with all
    first = 10 * 3600 * counted.count
    rows = labels(rate, 600, first) + labels(rate, count // step, first + 600, step)
    path = csv_take(tmp_path / "a.csv", rows)
    report = import_take(path, tmp_path / "a.mcap", timecode_rate=None if given is None else TimecodeRate.parse(given))
    assert str(report.timecode) == rate
    numbers = np.r_[np.arange(600), 600 + np.arange(count // step) * step]
    np.testing.assert_allclose(times_s(tmp_path / "a.mcap"), numbers / float(counted.rate), atol=2e-9)


@pytest.mark.parametrize("count", [10, 12, 15, 24, 25, 30, 50, 60, 120])
@pytest.mark.parametrize("half_rows", [False, True])
def test_one_second_s_end_is_enough_to_tell_what_a_timecode_counts(tmp_path: Path, count: int, half_rows: bool) -> None:
    rows = [f"01:02:{3 + n // count:02d}:{n % count:02d}" for n in range(count - 4, count + 5)]
    if half_rows:  # the app's rows are twice as many as the timecode counts
        rows = [f"{row}.{part}" for row in rows for part in ("000", "500")]
    report = import_take(csv_take(tmp_path / "a.csv", rows), tmp_path / "a.mcap")
    assert (report.timecode, report.timecode_known) == (TimecodeRate(count), True)


def test_a_jittering_take_with_gaps_still_tells(tmp_path: Path) -> None:
    dice = np.random.default_rng(4)
    for count in (25, 30, 60):
        places = np.cumsum(dice.choice([0.98, 1.0, 1.01, 2.0], 12 * count))
        rows = [f"01:00:{int(n // count):02d}:{int(n % count):02d}.{int(n % 1 * 1000):03d}" for n in places]
        report = import_take(csv_take(tmp_path / "a.csv", rows), tmp_path / "a.mcap", force=True)
        assert (report.timecode, report.timecode_known) == (TimecodeRate(count), True)


def test_what_is_guessed_is_said_and_the_option_overrides_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def said(rows: list[str], *options: str) -> str:
        path = csv_take(tmp_path / "a.csv", rows)
        status = main(["import", str(path), "-o", str(tmp_path / "a.mcap"), "--force", *options])
        text = capsys.readouterr().err
        assert status == (2 if "has no frame" in text else 0)
        return text

    short = [f"01:02:03:{n:02d}" for n in range(5, 25)]
    assert "too short to tell what its timecode counts: read as 60 a second, or say --rate FPS" in said(short)
    assert times_s(tmp_path / "a.mcap")[-1] == pytest.approx(19 / 60)
    assert "timecode" not in said(short, "--rate", "30")
    assert times_s(tmp_path / "a.mcap")[-1] == pytest.approx(19 / 30)
    assert "read as 30 a second; if it is 29.97, say --rate 29.97" in said(labels("30", 90))
    assert "read as 25 a second\n" in said(labels("25", 90))
    assert "read as 29.97df a second (drop frame), or say --rate FPS" in said(labels("29.97df", 90))
    refused = said(labels("30", 90), "--rate", "24")
    assert "a timecode of 24 has no frame 24 there: say with --rate what it counts" in refused
    assert "has no frame 0 there" in said(labels("30", 90, 1750), "--rate", "29.97df")
    with pytest.raises(SystemExit):
        said(short, "--date", "30.11.")
    assert "'30.11.' is not a day such as 2026-11-30" in capsys.readouterr().err


def test_the_time_of_day_is_the_timecode_s_and_the_day_the_file_s_or_said(tmp_path: Path) -> None:
    path = csv_take(tmp_path / "a.csv", ["10:20:30:15.500", "10:20:31:15.500"])
    import_take(path, tmp_path / "a.mcap", timecode_rate=30)
    assert started(tmp_path / "a.mcap") == "2026-11-30 10:20:30.516666667"
    import_take(path, tmp_path / "a.mcap", timecode_rate=30, day=date(2026, 2, 3), force=True)
    assert started(tmp_path / "a.mcap") == "2026-02-03 10:20:30.516666667"
    assert main(["import", str(path), "-o", str(tmp_path / "b.mcap"), "--rate", "30", "--date", "2026-02-03"]) == 0
    assert started(tmp_path / "b.mcap") == started(tmp_path / "a.mcap")


@pytest.mark.parametrize("rate", ["60", "29.97df", "23.976"])
def test_a_take_over_midnight_goes_on_and_began_the_day_before(tmp_path: Path, rate: str) -> None:
    counted = TimecodeRate.parse(rate)
    rows = labels(rate, 240, counted.day_frames - 120)
    assert rows[119].startswith("23:59:59")
    path = csv_take(tmp_path / "a.csv", rows)
    import_take(path, tmp_path / "a.mcap", timecode_rate=counted)
    np.testing.assert_allclose(times_s(tmp_path / "a.mcap"), np.arange(240) / float(counted.rate), atol=2e-9)
    assert started(tmp_path / "a.mcap").startswith("2026-11-29 23:59:5")
    assert exported(tmp_path / "a.mcap", tmp_path / "b.csv") == [f"{row}.000" for row in rows]


@pytest.mark.parametrize("rate", ["60", "30", "25", "24", "29.97", "29.97df", "59.94", "59.94df", "23.976"])
def test_import_export_and_import_again_is_exact(tmp_path: Path, rate: str) -> None:
    counted = TimecodeRate.parse(rate)
    first = counted.frame_number(10 * 3600 + 59 * 60 + 58, 7)
    rows = [f"{label}.{number * 37 % 1000:03d}" for number, label in enumerate(labels(rate, 300, first))]
    import_take(csv_take(tmp_path / "a.csv", rows), tmp_path / "a.mcap", timecode_rate=counted)
    assert exported(tmp_path / "a.mcap", tmp_path / "b.csv") == rows
    os.utime(tmp_path / "b.csv", (WRITTEN, WRITTEN))
    import_take(tmp_path / "b.csv", tmp_path / "b.mcap", timecode_rate=counted)
    assert (times_s(tmp_path / "a.mcap") == times_s(tmp_path / "b.mcap")).all()
    assert started(tmp_path / "a.mcap") == started(tmp_path / "b.mcap")


def test_a_recorded_take_exported_and_imported_keeps_its_time_of_day(make_take: MakeTake, tmp_path: Path) -> None:
    path = make_take(seconds=1.5)
    rows = exported(path, tmp_path / "a.csv")
    import_take(tmp_path / "a.csv", tmp_path / "a.mcap", day=date(2026, 9, 21))
    assert exported(tmp_path / "a.mcap", tmp_path / "b.csv") == rows
    np.testing.assert_allclose(times_s(tmp_path / "a.mcap"), times_s(path), atol=2e-5)


@pytest.mark.parametrize(
    ("rate", "sign"), [("29.97", ":"), ("29.97df", ";"), ("23.976", ":"), ("24", ":"), ("30", ":")]
)
def test_export_at_a_rate_has_exact_timecodes(make_take: MakeTake, tmp_path: Path, rate: str, sign: str) -> None:
    path, counted = make_take(seconds=3), TimecodeRate.parse(rate)
    assert main(["export", str(path), "-o", str(tmp_path / "a.csv"), "--rate", rate]) == 0
    texts = [line.split(",")[0] for line in (tmp_path / "a.csv").read_text().splitlines()[1:]]
    assert all(re.fullmatch(rf"\d\d:\d\d:\d\d{sign}\d\d\.\d\d\d", text) for text in texts)
    assert len({text[-4:] for text in texts}) == 1, "each is a frame behind the one before"
    import_take(tmp_path / "a.csv", tmp_path / "a.mcap", timecode_rate=counted)
    np.testing.assert_allclose(np.diff(times_s(tmp_path / "a.mcap")), 1 / float(counted.rate), atol=2e-9)
    assert len(texts) == int(179 / 60 * float(counted.rate)) + 1


def test_the_timecode_of_a_part_is_that_of_its_first_frame(make_take: MakeTake, tmp_path: Path) -> None:
    path = make_take(seconds=1)
    whole = exported(path, tmp_path / "a.csv")
    part = exported(path, tmp_path / "b.csv", part=TimeRange(0.505))
    assert part == whole[-len(part) :]


def test_drop_frame_is_for_csv_alone(make_take: MakeTake, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = make_take(seconds=1)
    assert main(["export", str(path), "-o", str(tmp_path / "a.npz"), "--rate", "29.97df"]) == 2
    assert "drop frame is a way to count .csv's timecode: say --rate 29.97 for .npz" in capsys.readouterr().err


@pytest.fixture
def uneven(tmp_path: Path) -> Path:
    """Frames as fusion publishes them: pairs at 60 a second for half the time, then 20; 20 s."""
    writer, place_ns = SessionWriter(tmp_path / "uneven.mcap", SessionMetadata(10**18, 10**9)), 10**9
    dice = np.random.default_rng(1)
    for frame in talking_frames(700):
        writer.add_frame(Encoder().frame(frame), frame.seq, place_ns)
        place_ns += int(dice.choice([16_350_000, 16_350_000, 52_000_000]))
    return writer.finish()


def test_an_uneven_stream_is_not_given_a_rate_that_it_does_not_have(
    uneven: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    length_s = float(times_s(uneven)[-1])
    with open_session(uneven) as session:
        report = export(session, tmp_path / "a.npz")
        assert (report.even, report.frames) == (False, 700)
        assert report.rate == pytest.approx(699 / length_s)
        even = export(session, tmp_path / "a.json")
        assert (even.even, even.rate) == (True, 60)
        assert even.frames == int(length_s * 60) + 1
        export(session, tmp_path / "a.anim")
        assert "m_SampleRate: 60\n" in (tmp_path / "a.anim").read_text()
        asked = export(session, tmp_path / "b.npz", ExportOptions(clip=ClipOptions(rate=60)))
        assert (asked.even, asked.rate) == (True, 60)
    with np.load(tmp_path / "a.npz") as arrays, np.load(tmp_path / "b.npz") as resampled:
        assert arrays["rate"] == pytest.approx(699 / length_s)
        np.testing.assert_allclose(np.diff(resampled["times_s"]), 1 / 60)
    assert main(["export", str(uneven), "-o", str(tmp_path / "a.csv")]) == 0
    assert "700 frames unevenly, on average at 35" in (said := capsys.readouterr().err)
    assert "--rate 60 makes them even" in said
    texts = [line.split(",")[0] for line in (tmp_path / "a.csv").read_text().splitlines()[1:]]
    assert len(set(texts)) == 700
    import_take(tmp_path / "a.csv", tmp_path / "back.mcap")
    np.testing.assert_allclose(times_s(tmp_path / "back.mcap"), times_s(uneven), atol=2e-5)
    assert all(later > earlier for earlier, later in pairwise(times_s(tmp_path / "back.mcap")))


def test_a_timecode_that_goes_back_is_refused(tmp_path: Path) -> None:
    path = csv_take(tmp_path / "a.csv", ["10:00:00:05", "10:00:00:04"])
    with pytest.raises(SessionError, match="row 3: the timecode goes back"):
        import_take(path, tmp_path / "a.mcap")
