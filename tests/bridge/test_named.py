"""What is an address, and what is a file, however it is written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from facewire.bridge.outputs.choose import parse_spec
from facewire.bridge.shared.named import file_named, for_ffmpeg, is_address

FILES = (
    "12:30.mp4",
    "./12:30.mp4",
    "C:\\x.mp4",
    "C:/x.mp4",
    "C://x.mp4",
    "a:b",
    "./rtsp://x",
    "/dev/v4l/by-id/usb:1",
    "",
)
ADDRESSES = (
    "rtsp://host/stream",
    "RTSP://host",
    "http://me:secret@host:80/x",
    "udp://@:1234",
    "srt://host:9000?mode=x",
)


@pytest.mark.parametrize("what", FILES)
def test_a_colon_makes_no_address(what: str) -> None:
    assert not is_address(what)
    assert file_named(what) == Path(what)


@pytest.mark.parametrize("what", ADDRESSES)
def test_a_scheme_makes_one(what: str) -> None:
    assert is_address(what)


@pytest.mark.skipif(os.name == "nt", reason="drives and shares are others there")
@pytest.mark.parametrize(
    ("what", "path"),
    [
        ("file:///home/me/a%20b.mp4", "/home/me/a b.mp4"),
        ("FILE://localhost/home/12:30.mp4", "/home/12:30.mp4"),
        ("file:/home/me/x.mp4", "/home/me/x.mp4"),
        ("file:12:30.mp4", "12:30.mp4"),
        ("file:x%20y.mp4", "x%20y.mp4"),
        ("file://server/share/x.mp4", "//server/share/x.mp4"),
    ],
)
def test_file_is_no_scheme_of_an_address(what: str, path: str) -> None:
    assert not is_address(what)
    assert file_named(what) == Path(path)


@pytest.mark.skipif(os.name == "nt", reason="no such names there")
def test_what_is_there_under_that_very_name_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("file:x.mp4", "100%25.mp4"):
        (tmp_path / name).touch()
    assert file_named("file:x.mp4") == Path("file:x.mp4")
    assert file_named(f"file://{tmp_path}/100%25.mp4").exists()


def test_ffmpeg_gets_a_name_that_is_no_protocol() -> None:
    assert Path(for_ffmpeg(Path("12:30.mp4"))).is_absolute()


@pytest.mark.parametrize("path", ["./12:30.csv", "12:30.csv", "C:\\x.csv", "/tmp/a:b?c.csv"])
@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_an_output_s_file_is_all_that_follows_its_name(kind: str, path: str) -> None:
    assert parse_spec(f"{kind}:{path}")[1].path == path
