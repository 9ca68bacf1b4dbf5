"""Windows' code pages: what is printed goes through, whatever the terminal or the file lacks."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.program import FACEWIRE
from support.takes import MakeTake

from facewire.runtime.cli import COMMANDS
from facewire.runtime.tools.terminal import LOOK_ALIKES

ROOT = Path(__file__).parents[3]
PAGES = ("cp437", "cp932", "cp1252", "ascii")
NAMES = [command.__name__.rpartition(".")[2].strip("_") for command in COMMANDS]


def run(page: str, *words: str, folder: Path | None = None) -> tuple[int, str, str]:
    """Return status, standard output and error of a command whose output goes to a file of that code page."""
    environment = {**os.environ, "PYTHONIOENCODING": page, "PYTHONUTF8": "0", "COLUMNS": "100"}
    done = subprocess.run([*FACEWIRE, *words], env=environment, cwd=folder, capture_output=True, timeout=300)
    said, wrong = done.stdout.decode(page), done.stderr.decode(page)
    assert "Traceback" not in wrong
    assert "UnicodeEncodeError" not in wrong
    return done.returncode, said, wrong


@pytest.mark.parametrize("page", PAGES)
def test_a_report_and_a_file_in_another_script_are_printed(page: str, tmp_path: Path, make_take: MakeTake) -> None:
    make_take("take.mcap").rename(tmp_path / "видео カメラ…é.mcap")
    status, said, _ = run(page, "info", "видео カメラ…é.mcap", folder=tmp_path)
    assert status == 0
    assert ".mcap" in said
    status, said, _ = run(page, "doctor")
    assert "compiled kernels" in said
    status, _, wrong = run(page, "serve", "--video", "нет.mp4", "--listen", "127.0.0.1:0", folder=tmp_path)
    assert status != 0
    assert wrong.startswith("facewire: error: ")
    assert len(wrong.splitlines()) == 1


@pytest.mark.parametrize("name", NAMES)
def test_help_is_printed_on_the_poorest_page(name: str) -> None:
    status, said, _ = run("ascii", name, "--help")
    assert status == 0
    assert said.startswith("usage:")


def test_what_looks_alike_is_plain() -> None:
    assert all(shown.isascii() for shown in LOOK_ALIKES.values())
    code = "from facewire.runtime.tools.terminal import write_anything; write_anything(); print('a … 2 × 3 ≤ 7 → é ж')"
    environment = {**os.environ, "PYTHONIOENCODING": "cp1252"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True)
    assert done.stdout.decode("cp1252").strip() == r"a … 2 × 3 <= 7 -> é \u0436"  # what it has stays


def test_programs_are_read_as_utf_8() -> None:
    """As files are, which a rule of the linter sees to: ``text=True`` alone means a code page on Windows."""
    for package in ("bridge", "models", "runtime"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call):
                    given = {keyword.arg for keyword in node.keywords}
                    assert not given & {"text", "universal_newlines"} or "encoding" in given, f"{path}:{node.lineno}"
