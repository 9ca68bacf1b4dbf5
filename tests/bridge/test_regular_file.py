"""Files found in a folder: what is no file is refused at once, and no more is read of one than was agreed."""

from __future__ import annotations

import errno
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from support.waiting import wait_until

from facewire.bridge.shared.regular_file import is_regular, open_regular, read_regular

posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no such files")


def test_a_file_is_read_also_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"content")
    (tmp_path / "link").symlink_to("a")
    with open_regular(tmp_path / "link", 7) as file:
        assert file.read() == b"content"
        assert os.name == "nt" or os.get_blocking(file.fileno())
    assert read_regular(tmp_path / "a", 7) == b"content"
    assert is_regular(tmp_path / "link")


def test_a_file_that_is_too_large_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(1 << 40)  # a terabyte that takes no room
    for read in (open_regular, read_regular):
        with pytest.raises(OSError, match="too large, more than 100,000 bytes") as raised:
            read(tmp_path / "huge", 100_000)
        assert raised.value.errno == errno.EFBIG


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="Linux only")
def test_a_file_whose_size_is_not_known_before_is_read_only_so_far() -> None:
    assert Path("/proc/self/maps").stat().st_size == 0
    with pytest.raises(OSError, match="too large"):
        read_regular("/proc/self/maps", 100)


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


MADE: dict[str, Callable[[Path], object]] = {
    "a pipe": _pipe,
    "a socket": _socket,
    "a folder": Path.mkdir,
    "a device": lambda path: path.symlink_to("/dev/zero"),
}


@posix
@pytest.mark.parametrize("kind", MADE)
def test_what_is_no_file_is_refused_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's path may have no more than 107 bytes
    path = Path("x")
    MADE[kind](path)
    refused: list[OSError] = []

    def refuse(read: Callable[[Path, int], object]) -> None:
        with pytest.raises(OSError, match="it is") as raised:
            read(path, 100)
        refused.append(raised.value)

    for read in (open_regular, read_regular):
        threading.Thread(target=refuse, args=(read,), daemon=True).start()
    wait_until(lambda: len(refused) == 2, what="both to refuse it")
    assert {error.strerror for error in refused} == {f"it is {kind}, not a file"}
    assert not is_regular(path)


def test_what_is_missing_says_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        open_regular(tmp_path / "none")
    assert not is_regular(tmp_path / "none")
    assert not is_regular("a\0b")
