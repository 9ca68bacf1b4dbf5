"""Names that are no addresses, folders that may not be entered, and what other programs leave beside files."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.program import FACEWIRE
from support.refusals import a_loop, below_a_file, too_long

from facewire.bridge.outputs.choose import make_output
from facewire.runtime.capture.choose import choose_source
from facewire.runtime.capture.video.file import FileSource
from facewire.runtime.capture.video.source import CapturedImage
from facewire.runtime.cli import main
from facewire.runtime.cli.commands.bake import videos_in
from facewire.runtime.cli.options.usage import UsageError

COMMANDS = (
    ("info", "{}.mcap"),
    ("plot", "{}.mcap", "-o", "x.png"),
    ("cut", "{}.mcap", "-o", "x.mcap"),
    ("repair", "{}.mcap"),
    ("export", "{}.mcap", "-o", "x.csv"),
    ("replay", "{}.mcap", "--listen", "127.0.0.1:0"),
    ("import", "{}.csv", "-o", "x.mcap"),
    ("bake", "{}.mp4", "-o", "x.mcap"),
    ("bake", "{}", "-o", "x.mcap"),
    ("serve", "--video", "{}.mp4", "--listen", "127.0.0.1:0"),
    ("serve", "--video", "none", "--audio", "{}.wav", "--listen", "127.0.0.1:0"),
    ("serve", "--video", "demo", "--flame", "{}.npz", "--listen", "127.0.0.1:0"),
    ("record", "{}.mcap", "--video", "demo"),
    ("serve", "--video", "demo", "--speech", "{}.npz", "--listen", "127.0.0.1:0"),
)


def video(path: Path, pictures: int = 3) -> Path:
    """Write a short clip under a name that FFmpeg would not take."""
    plain = path.with_name("plain.avi")
    writer = cv2.VideoWriter(str(plain), cv2.VideoWriter.fourcc(*"MJPG"), 30.0, (64, 48))
    for index in range(pictures):
        writer.write(np.full((48, 64, 3), 40 * index, np.uint8))
    writer.release()
    return plain.rename(path)


@pytest.mark.skipif(os.name == "nt", reason="links and names are others there")
@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words[:2]).replace("{}", "…"))
@pytest.mark.parametrize("make", [too_long, a_loop, below_a_file])
def test_a_name_that_cannot_be_used_is_one_line(
    words: tuple[str, ...],
    make: Callable[[Path], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FACEWIRE_CONFIG", str(tmp_path / "config"))
    path = make(tmp_path)
    status = main([word.format(path) for word in words])
    said = capsys.readouterr().err
    assert status in (1, 2)
    assert said.startswith("facewire: error: ")
    assert len(said.splitlines()) == 1


@pytest.mark.skipif(shutil.which("setpriv") is None or os.name == "nt" or os.geteuid() != 0, reason="needs root")
def test_a_folder_that_may_not_be_entered_is_one_line(tmp_path: Path) -> None:
    """As nobody; root may enter every folder."""
    code = (
        "import os, sys\n"
        "from facewire.runtime.cli import main\n"
        "from facewire.runtime.cli.commands import bake, info, repair, cut, export, plot, import_, record\n"
        "import facewire.runtime.sound.media_sound, facewire.runtime.session.recording\n"
        "import facewire.bridge.recording.repair, facewire.bridge.recording.cut\n"
        "import facewire.bridge.export.livelink_import\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "for words in (['info', 'shut/x.mcap'], ['repair', 'shut/x.mcap'], ['bake', 'shut', '-o', 'x.mcap'],\n"
        "              ['bake', 'shut/x.mp4', '-o', 'x.mcap'], ['cut', 'shut/x.mcap', '-o', 'y.mcap'],\n"
        "              ['import', 'shut/x.csv', '-o', 'y.mcap'], ['record', 'shut/y.mcap', '--video', 'demo']):\n"
        "    print(main(words))\n"
    )
    (tmp_path / "shut").mkdir(mode=0o700)
    tmp_path.chmod(0o777)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) <= {"1", "2"}
    lines = done.stderr.splitlines()
    assert len(lines) == len(done.stdout.split()) == 7, done.stderr
    assert all(line.startswith("facewire: error: ") for line in lines)


def test_a_folder_s_videos_are_files_and_no_notes_about_files(tmp_path: Path) -> None:
    for name in ("b.mp4", "._b.mp4", ".hidden.mp4", "A.MP4"):
        (tmp_path / name).touch()
    (tmp_path / "folder.mp4").mkdir()
    assert [path.name for path in videos_in(tmp_path)] == ["A.MP4", "b.mp4"]
    other = tmp_path / "sounds"
    other.mkdir()
    (other / "._x.mp4").touch()
    with pytest.raises(UsageError, match="no video and no recording"):
        videos_in(other)
    (other / "x.wav").touch()
    assert [path.name for path in videos_in(other)] == ["x.wav"]


@pytest.mark.skipif(os.name == "nt", reason="no such names there")
@pytest.mark.parametrize("name", ["12:30.avi", "./12:30.avi", "a:b.avi", "file:x.avi", "100%d.avi", "take [1].avi"])
def test_a_colon_in_a_name_makes_no_address(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    video(tmp_path / name.removeprefix("./"))
    for source in (
        FileSource(Path(name), paced=False),
        choose_source(name, rate=30.0, loop=False, demo_photo=Path, notify=lambda _: None),
    ):
        assert isinstance(source, FileSource)
        source.open()
        assert source.read() is not None
        source.close()


@pytest.mark.skipif(os.name == "nt", reason="no such names there")
@pytest.mark.parametrize("written", ["file:12:30.avi", "file://{}/12%3A30.avi", "FILE:{}/12:30.avi"])
def test_a_file_is_found_behind_file(written: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    video(tmp_path / "12:30.avi")
    what = written.format(tmp_path)
    source = choose_source(what, rate=30.0, loop=False, demo_photo=Path, notify=lambda _: None)
    assert isinstance(source, FileSource)
    assert source.identity == str(tmp_path / "12:30.avi")
    source.open()
    assert source.read() is not None
    source.close()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are a Unix thing")
@pytest.mark.parametrize("name", ["a:b", "./a:b", "rtsp:x"])
def test_a_pipe_with_a_colon_in_its_name_is_read(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo(name)
    picture = cv2.imencode(".jpg", np.random.default_rng(0).integers(0, 255, (120, 160, 3), np.uint8))[1].tobytes()

    def send() -> None:
        with suppress(BrokenPipeError), Path(name).open("wb") as pipe:
            for _ in range(60):
                pipe.write(picture)

    source = choose_source(name, rate=30.0, loop=False, demo_photo=Path, notify=lambda _: None)
    assert source is not None
    assert source.kind == "pipe"
    threading.Thread(target=send, daemon=True).start()
    source.open()
    try:
        captured = source.read()
    finally:
        source.close()
    assert isinstance(captured, CapturedImage)
    assert captured.image.shape == (120, 160, 3)


@pytest.mark.skipif(os.name == "nt", reason="no such names there")
@pytest.mark.parametrize("name", ["./12:30.csv", "12:30.csv", "a:b"])
def test_an_output_writes_a_file_with_a_colon_in_its_name(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    output = make_output(f"csv:{name}")
    output.open()
    output.close()
    assert (tmp_path / name).exists()


@pytest.mark.parametrize(
    "words", [("serve", "--audio", "rtsp://127.0.0.1/x"), ("bake", "http://host/x.mp4", "-o", "x.csv")]
)
def test_an_address_where_only_a_file_goes_is_said(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FACEWIRE_CONFIG", str(tmp_path))
    extra = ("--video", "none", "--listen", "127.0.0.1:0") if words[0] == "serve" else ()
    try:
        status = main([*words, *extra])
    except SystemExit as error:
        status = int(str(error.code))
    assert status in (1, 2)
    assert "is an address: name a " in capsys.readouterr().err


@pytest.mark.models
@pytest.mark.skipif(os.name == "nt", reason="no such names there")
def test_a_recording_with_a_colon_in_its_name_is_baked(tmp_path: Path) -> None:
    from facewire.models.assets.store import asset_path

    shutil.copy(asset_path("demo_speech"), tmp_path / "12:30.wav")
    command = [*FACEWIRE, "bake", "12:30.wav", "-o", "x.csv"]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, encoding="utf-8", check=False, timeout=600
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "x.csv").stat().st_size > 1000
