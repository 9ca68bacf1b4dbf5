"""Compiled kernels are kept where only the user may write, are never trusted blindly, and are never needed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from facewire.models import kernel_cache

PROGRAM = """
import numpy as np
from facewire.models.jit import kernel

@kernel
def total(values):
    result = 0.0
    for value in values:
        result += value
    return result

print(total(np.arange(4.0)), total(np.arange(4, dtype=np.float32)))
"""
PACKAGE = Path(kernel_cache.__file__).parent
CLEARED = ("NUMBA_CACHE_DIR", "FACEWIRE_CACHE", "XDG_CACHE_HOME")


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., str]:
    """Return what runs a program with two kernels, checks what it computes, and gives what it says of its cache."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM, "utf-8")

    def start(**environment: str) -> str:
        inherited = {name: value for name, value in os.environ.items() if name not in CLEARED}
        command = [sys.executable, str(program)]
        done = subprocess.run(
            command, env=inherited | environment, capture_output=True, text=True, encoding="utf-8", timeout=300
        )
        assert (done.returncode, done.stdout) == (0, "6.0 6.0\n"), done.stderr
        return done.stderr

    return start


def kept(folder: Path) -> list[Path]:
    return sorted(folder.rglob(f"*{kernel_cache.SUFFIX}"))


def test_kernels_run_where_nothing_can_be_kept_and_say_so_once(run: Callable[..., str]) -> None:
    said = run(HOME="/dev/null/home", XDG_CACHE_HOME="/dev/null/cache", NUMBA_CACHE_DIR="/dev/null/numba")
    assert said.count("compiled kernels cannot be kept") == len(said.splitlines()) == 1
    assert "/dev/null/numba" in said
    assert "FACEWIRE_CACHE" in said


def test_an_unusable_folder_of_one_kind_leaves_the_next(run: Callable[..., str], tmp_path: Path) -> None:
    assert run(NUMBA_CACHE_DIR="/dev/null/numba", FACEWIRE_CACHE=str(tmp_path / "own")) == ""
    assert len(kept(tmp_path / "own" / "kernels")) == 2


def test_nothing_is_written_beside_the_sources(run: Callable[..., str], tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in PACKAGE.rglob("*.nb?")}
    run(FACEWIRE_CACHE=str(tmp_path / "own"))
    assert {path: path.stat().st_mtime_ns for path in PACKAGE.rglob("*.nb?")} == before


@pytest.mark.parametrize("damage", ["empty", "cut", "zeros", "flipped", "garbage"])
def test_a_damaged_file_is_compiled_anew_and_that_is_said_once(
    run: Callable[..., str], tmp_path: Path, damage: str
) -> None:
    run(FACEWIRE_CACHE=str(tmp_path / "own"))
    files = kept(tmp_path / "own")
    whole = [path.read_bytes() for path in files]
    for path, data in zip(files, whole, strict=True):
        middle = len(data) // 2
        path.write_bytes({
            "empty": b"",
            "cut": data[:-1],
            "zeros": bytes(len(data)),
            "flipped": data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :],
            "garbage": os.urandom(len(data)),
        }[damage])  # fmt: skip
    said = run(FACEWIRE_CACHE=str(tmp_path / "own"))
    assert said.count("is damaged") == len(said.splitlines()) == 1
    assert run(FACEWIRE_CACHE=str(tmp_path / "own")) == ""
    assert kept(tmp_path / "own") == files


def test_what_was_compiled_is_used_again(run: Callable[..., str], tmp_path: Path) -> None:
    run(FACEWIRE_CACHE=str(tmp_path / "own"))
    before = [path.stat().st_mtime_ns for path in kept(tmp_path / "own")]
    run(FACEWIRE_CACHE=str(tmp_path / "own"))
    assert [path.stat().st_mtime_ns for path in kept(tmp_path / "own")] == before


def test_another_source_is_compiled_anew(run: Callable[..., str], tmp_path: Path) -> None:
    run(FACEWIRE_CACHE=str(tmp_path / "own"))
    program = tmp_path / "program.py"
    program.write_text(PROGRAM.replace("0.0", "0.0 * 1.0"), "utf-8")
    run(FACEWIRE_CACHE=str(tmp_path / "own"))
    assert len(kept(tmp_path / "own")) == 4


@pytest.mark.skipif(os.name == "nt", reason="Windows says by the place who may write")
def test_a_folder_or_file_that_others_may_write_is_not_trusted(run: Callable[..., str], tmp_path: Path) -> None:
    folder = tmp_path / "own" / "kernels"
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    assert "others may write" in kernel_cache.folder_trouble(folder)
    folder.chmod(0o700)
    run(FACEWIRE_CACHE=str(tmp_path / "own"))
    before = [path.read_bytes() for path in kept(folder)]
    for path in kept(folder):
        path.write_bytes(b"x" * 100)
        path.chmod(0o666)
    assert run(FACEWIRE_CACHE=str(tmp_path / "own")) == ""  # as if nothing were there
    assert [len(path.read_bytes()) for path in kept(folder)] == [len(data) for data in before]
    assert all(path.stat().st_mode & 0o077 == 0 for path in kept(folder))
