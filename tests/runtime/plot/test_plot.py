"""Plots: what is drawn is what was recorded, and the page draws it in a browser."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.takes import MakeTake

from facewire.bridge.recording.layout import AudioBlock, AudioFormat, SessionMetadata
from facewire.bridge.recording.reader import Session, open_session
from facewire.bridge.recording.sound import load_sound
from facewire.bridge.recording.writer import SessionWriter
from facewire.bridge.shared.arkit import BLENDSHAPE_INDEX
from facewire.runtime.cli.commands.info import source_line, sparkline
from facewire.runtime.plot import data as plot_data
from facewire.runtime.plot.data import PlotData, collect, picture_sound
from facewire.runtime.plot.html import render_html
from facewire.runtime.plot.png import HEADER, LEFT, WIDTH, envelope, render_png, tick_step_s, time_text


@pytest.fixture
def session(make_take: MakeTake) -> Session:
    with open_session(make_take("a <b> & c.mcap", seconds=3, audio=AudioFormat())) as opened:
        yield opened


def data_of(session: Session) -> PlotData:
    return collect(session, (session.start_ns, session.end_ns))


def test_the_spectrogram_shows_the_tone(session: Session) -> None:
    sound = picture_sound(session, (session.start_ns, session.end_ns))
    assert sound is not None
    bins, columns = sound.spectrogram.shape
    assert 2900 < columns <= 3000
    loud = sound.spectrogram[:, columns // 18]  # the jaw is widest a sixth of a second in
    assert loud.argmax() * sound.top_hz / (bins - 1) == pytest.approx(180, abs=25)
    assert loud[bins // 2 :].max() < 60
    assert sound.spectrogram[:, columns // 9].max() < loud.max() - 40  # and shut a third of a second in


def test_pieces_leave_no_seams(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    part = (session.start_ns, session.end_ns)
    whole = picture_sound(session, part)
    monkeypatch.setattr(plot_data, "PIECE_COLUMNS", 7)
    pieces = picture_sound(session, part)
    assert whole is not None
    assert pieces is not None
    np.testing.assert_array_equal(pieces.spectrogram, whole.spectrogram)
    np.testing.assert_array_equal(pieces.low, whole.low)
    samples = load_sound(session, *part)
    assert samples is not None
    assert whole.high.max() == pytest.approx(samples[1].max() / 32768)


def test_digital_silence_is_dark(tmp_path: Path) -> None:
    writer, audio = SessionWriter(tmp_path / "a.mcap", SessionMetadata(0, 0)), AudioFormat()
    writer.add_audio(AudioBlock(0, 0, bytes(32_000)), audio)
    writer.finish()
    with open_session(tmp_path / "a.mcap") as session:
        sound = picture_sound(session, (0, 10**9))
    assert sound is not None
    assert sound.spectrogram.max() == 0


def test_the_picture_has_the_curves(session: Session) -> None:
    image = cv2.imdecode(np.frombuffer(render_png(data_of(session)), np.uint8), cv2.IMREAD_COLOR)
    assert image.shape[1] == WIDTH
    row = image[HEADER + 16 + 8 : HEADER + 16 + 8 + 64, LEFT:].astype(int)
    blue = (row[:, :, 0] - row[:, :, 2]) > 60  # the first curve's colour, jaw open
    per_column = np.where(blue.any(axis=0), blue.argmax(axis=0), 64)
    assert per_column.min() <= 6  # reaches the top
    peaks = np.flatnonzero(np.diff((per_column < 20).astype(int)) == 1)
    assert len(peaks) == 9  # three times a second


def test_a_picture_of_a_part_without_sound(make_take: MakeTake) -> None:
    with open_session(make_take(seconds=2)) as session:
        part = (session.start_ns + 10**9, session.start_ns + 10**9 + 100_000_000)
        data = collect(session, part)
        assert data.sound is None
        assert len(data.times_s) == 7
        assert data.offset_s == 1.0
        assert render_png(data).startswith(b"\x89PNG")


def test_ticks_are_round() -> None:
    assert [tick_step_s(length) for length in (1, 3, 20, 100, 3600, 10**6)] == [0.1, 0.2, 2, 10, 300, 10**6 / 16]
    assert [time_text(*one) for one in ((0.2, 0.1), (12.0, 1), (65.0, 5), (3600.0, 300))] == [
        "0.2",
        "12",
        "1:05",
        "60:00",
    ]


def test_an_envelope_keeps_a_single_blink() -> None:
    values = np.zeros(100_000, np.float32)
    values[55_555] = 1
    columns, low, high = envelope(np.linspace(0, 100, 100_000), values)
    assert len(columns) == 101
    assert high.max() == 1
    assert low.max() == 0
    assert sparkline(values, np.linspace(0, 100, 100_000)).count("█") == 1


def test_a_sparkline_goes_by_time_as_the_source_line_does() -> None:
    times_s = np.concatenate((np.arange(0, 5, 0.01), np.arange(5, 9.6, 0.5), [10]))  # 100 a second, then 2
    assert sparkline((times_s < 5).astype(np.float32), times_s, 20) == "█" * 10 + "▁" * 10
    assert sparkline(np.array([1, 0], np.float32), np.array([0.0, 1.0]), 4) == "███▁"
    assert sparkline(np.array([1], np.float32), np.zeros(1), 4) == "████"


def test_the_source_line_shows_who_drove_most() -> None:
    from facewire.bridge.recording.info import SourceSpan

    spans = [SourceSpan("video", 0, 3), SourceSpan("held", 3, 5), SourceSpan("audio", 5, 10)]
    assert source_line(spans, 10, 10) == "vvv··aaaaa"


def test_the_page_holds_all_it_needs(session: Session) -> None:
    page = render_html(data_of(session), session, (session.start_ns, session.end_ns)).decode()
    assert "<title>a &lt;b&gt; &amp; c.mcap" in page
    assert not re.search(r"""(src|href)=["']?(http|//)""", page)
    content = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)[1])  # type: ignore[index]
    assert content["title"] == "a <b> & c.mcap"
    values = np.frombuffer(base64.b64decode(content["values"]), np.uint8).reshape(52, -1)
    expected = data_of(session).shapes[:, BLENDSHAPE_INDEX["jawOpen"]]
    np.testing.assert_allclose(values[BLENDSHAPE_INDEX["jawOpen"]] / 255, expected, atol=0.002)
    assert base64.b64decode(content["sound"]["wav"]).startswith(b"RIFF")


def test_a_browser_draws_the_page(session: Session, tmp_path: Path) -> None:
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        if os.environ.get("CI"):
            pytest.fail("chromium is not installed", pytrace=False)
        pytest.skip("chromium is not installed")
    page = render_html(data_of(session), session, (session.start_ns, session.end_ns))
    (tmp_path / "plot.html").write_bytes(page)
    command = [
        chromium, "--headless=new", "--no-sandbox", "--disable-dev-shm-usage", f"--user-data-dir={tmp_path}/profile",
        "--window-size=1200,800", "--virtual-time-budget=5000", "--hide-scrollbars",
        f"--screenshot={tmp_path}/view.png", f"file://{tmp_path}/plot.html",
    ]  # fmt: skip
    subprocess.run(command, capture_output=True, check=True, timeout=280)
    image = cv2.imread(str(tmp_path / "view.png")).astype(int)
    jaw = image[50:120, 320:, 0] - image[50:120, 320:, 2]  # the first curve is blue
    assert (jaw.max(axis=0) > 80).mean() > 0.9  # in every column of the picture
    if keep := os.environ.get("FACEWIRE_KEEP_SCREENSHOT"):
        shutil.copy(tmp_path / "view.png", keep)
