"""A terminal that is closed, a service manager, a second signal: every command ends in order, as at Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.waiting import wait_until

from facewire.bridge.recording.reader import open_session
from facewire.models.assets.store import asset_path

pytestmark = [pytest.mark.models, pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")]

SECONDS = 240
RECORD = ("record", "take.mcap", "--video", "demo", "--audio", "none")
SERVE = ("serve", "--listen", "127.0.0.1:0", "--video", "demo", "--record", ".", "--output", "csv:frames.csv")


def heed() -> None:
    """Undo what the tests may have been started with: under ``nohup`` a hang-up is ignored."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@contextmanager
def started(folder: Path, *words: str, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command in ``folder``, with temporary files of its own."""
    (folder / "tmp").mkdir()
    command = [sys.executable, "-m", "facewire.runtime.cli", *words]
    environment = {**os.environ, "TMPDIR": str(folder / "tmp")}
    nowhere = subprocess.DEVNULL
    usual: dict[str, Any] = {"stdin": nowhere, "stdout": nowhere, "stderr": nowhere, "preexec_fn": heed}
    process = subprocess.Popen(command, cwd=folder, env=environment, **{**usual, **options})
    try:
        yield process
    finally:
        process.kill()
        process.wait(SECONDS)


def parts(folder: Path) -> list[Path]:
    """Return what is being written."""
    return [path for path in folder.iterdir() if ".part" in path.name]


def left(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {"tmp"} | {path.name for path in (folder / "tmp").iterdir()}


def record_something(folder: Path) -> None:
    wait_until(lambda: any(path.stat().st_size > 20_000 for path in parts(folder)), timeout_s=SECONDS)


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_a_take_is_finished(tmp_path: Path, number: int) -> None:
    with started(tmp_path, *RECORD) as process:
        record_something(tmp_path)
        process.send_signal(number)
        assert process.wait(SECONDS) == 0
    assert left(tmp_path) == {"take.mcap"}
    with open_session(tmp_path / "take.mcap") as session:
        assert session.duration_ns > 0


def test_what_serve_writes_is_finished_at_a_hang_up_and_the_end_that_follows(tmp_path: Path) -> None:
    with started(tmp_path, *SERVE) as process:
        record_something(tmp_path)
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGTERM)
        assert process.wait(SECONDS) == 0
    assert not parts(tmp_path)
    (take,) = tmp_path.glob("*.mcap")
    with open_session(take) as session:
        assert session.duration_ns > 0
    assert (tmp_path / "frames.csv").read_text("utf-8").endswith("\n")


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_bake_leaves_nothing_behind(tmp_path: Path, number: int) -> None:
    with started(tmp_path, "bake", str(asset_path("talking_face")), "-o", "face.mcap") as process:
        wait_until(lambda: bool(parts(tmp_path)), timeout_s=SECONDS)
        time.sleep(0.5)  # its chunks are large, so its size does not tell that pictures have come
        process.send_signal(number)
        assert process.wait(SECONDS) == 128 + number
    assert left(tmp_path) == set()


def test_nohup_is_heeded(tmp_path: Path) -> None:
    def ignore() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    with started(tmp_path, *RECORD, preexec_fn=ignore) as process:
        record_something(tmp_path)
        process.send_signal(signal.SIGHUP)
        before = parts(tmp_path)[0].stat().st_size
        wait_until(lambda: parts(tmp_path)[0].stat().st_size > before + 20_000, timeout_s=SECONDS)
        process.send_signal(signal.SIGTERM)
        assert process.wait(SECONDS) == 0
    assert left(tmp_path) == {"take.mcap"}


def test_a_terminal_that_is_closed_finishes_the_take(tmp_path: Path) -> None:
    terminal, side = os.openpty()

    def lead() -> None:
        import fcntl
        import termios

        heed()
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    with started(tmp_path, *RECORD, stdin=side, stdout=side, stderr=side, preexec_fn=lead) as process:
        os.close(side)
        record_something(tmp_path)
        os.close(terminal)
        assert process.wait(SECONDS) == 0
    assert left(tmp_path) == {"take.mcap"}
