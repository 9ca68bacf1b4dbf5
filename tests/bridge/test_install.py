"""What a hint tells to type works where Facewire runs: the commands are run, without an index."""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
from support.paths import ROOT

from facewire.bridge.shared import install

EXTRAS = ("mic", "media", "vrchat", "cuda", "train")
ASK = "from facewire.bridge.shared import install; print(install.install_extra('mic'))"
BROUGHT = "Metadata-Version: 2.1\nName: brought\nVersion: 2.5\n"
OURS = "Metadata-Version: 2.1\nName: facewire\nVersion: 0.1\nProvides-Extra: mic\n"
OURS += "Requires-Dist: brought>=2; extra == 'mic'\n"
WHEEL = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def wheel(folder: Path, name: str, version: str, metadata: str, *packages: str) -> Path:
    """Return a wheel that pip installs."""
    path = folder / f"{name}-{version}-py3-none-any.whl"
    about = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        for package in packages:
            archive.write(ROOT / package, f"facewire/{package}")
        archive.writestr(f"{about}/METADATA", metadata)
        archive.writestr(f"{about}/WHEEL", WHEEL)
        archive.writestr(f"{about}/RECORD", "")
    return path


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """Return an environment with a blank in its name, in which the real module runs, installed from a wheel."""
    where = tmp_path / "my environment"
    venv.create(where, with_pip=True, symlinks=os.name != "nt")
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    ours = wheel(shelf, "facewire", "0.1", OURS, "bridge/shared/install.py")
    wheel(shelf, "brought", "2.5", BROUGHT)
    run([where / "bin" / "python", "-m", "pip", "install", "--quiet", ours], shelf)
    return where


def run(command: list[object] | str, shelf: Path, path: str | None = None) -> str:
    variables = {**os.environ, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(shelf), "PIP_CONFIG_FILE": os.devnull}
    variables |= {"PIP_DISABLE_PIP_VERSION_CHECK": "1"} | ({} if path is None else {"PATH": path})
    done = subprocess.run(
        command if isinstance(command, str) else [str(word) for word in command],
        shell=isinstance(command, str), env=variables, cwd=shelf, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def has_brought(environment: Path) -> bool:
    return any(environment.rglob("brought-2.5.dist-info"))


@pytest.mark.skipif(os.name == "nt", reason="the environment's folders are POSIX's")
@pytest.mark.parametrize("active", [False, True])
def test_the_command_brings_the_extra_into_this_environment(environment: Path, active: bool) -> None:
    """Also one that is not active, as the README leaves it, and whose facewire no index has."""
    shelf = environment.parent / "shelf"
    path = f"{environment / 'bin'}:{os.environ['PATH']}" if active else None
    hint = run([environment / "bin" / "python", "-c", ASK], shelf, path).strip()
    assert hint.startswith("python -m pip install" if active else f'"{environment}')
    assert not has_brought(environment)
    run(hint, shelf, path)
    assert has_brought(environment)


@pytest.mark.skipif(os.name == "nt", reason="the environment's folders are POSIX's")
def test_in_pipx_and_in_an_environment_of_uv_it_is_their_command(environment: Path, tmp_path: Path) -> None:
    """Neither is needed here: what stands in for them says how it was called."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("pipx", "uv"):
        (tools / name).write_text(f'#!/bin/sh\nprintf "%s|" {name} "$@"\n')
        (tools / name).chmod(0o755)
    path = f"{tools}:{os.environ['PATH']}"
    shelf, python = environment.parent / "shelf", environment / "bin" / "python"
    (environment / "pipx_metadata.json").write_text("{}")
    hint = run([python, "-c", ASK], shelf, path).strip()
    assert run(hint, shelf, path) == f"pipx|inject|{environment.name}|brought>=2|"
    (environment / "pipx_metadata.json").unlink()
    run([python, "-m", "pip", "uninstall", "--yes", "--quiet", "pip"], shelf)
    hint = run([python, "-c", ASK], shelf, path).strip()
    assert run(hint, shelf, path) == f"uv|pip|install|--python|{python}|brought>=2|"


@pytest.mark.parametrize("extra", EXTRAS)
def test_every_extra_is_named_by_what_it_brings(extra: str) -> None:
    command = install.install_extra(extra)
    words = shlex.split(command) if os.name != "nt" else command.replace('"', "").split()
    assert "facewire" not in " ".join(words[words.index("install") :])
    assert words[words.index("install") + 1 :] == install.requirements(extra)
    assert "\n" not in command


@pytest.mark.parametrize("extra", EXTRAS)
def test_pip_understands_it(extra: str, tmp_path: Path) -> None:
    """What is installed here is enough for it; what is not is asked for by its right name, of an empty shelf."""
    words = shlex.split(install.install_extra(extra).replace("--break-system-packages", ""))
    if words[1:3] != ["-m", "pip"]:
        pytest.skip("this environment has no pip")
    done = subprocess.run(
        [sys.executable, *words[1:], "--dry-run", "--no-index", "--no-deps", "--find-links", str(tmp_path)],
        capture_output=True, text=True, check=False, env={**os.environ, "PIP_CONFIG_FILE": os.devnull},
    )  # fmt: skip
    missing = re.findall(r"No matching distribution found for (\S+)", done.stderr)
    assert done.returncode == 0 or missing, done.stderr
    assert all(re.split(r"[\[><=]", one)[0] in install.install_extra(extra) for one in missing)


def test_windows_gets_double_quotes(monkeypatch: pytest.MonkeyPatch) -> None:
    words = [r"C:\Program Files\Python\python.exe", "-m", "pip", "install", "pyaudio>=0.2.14", "numpy"]
    monkeypatch.setattr(install.os, "name", "nt")
    line = install.quoted(words)
    assert line == r'"C:\Program Files\Python\python.exe" -m pip install "pyaudio>=0.2.14" numpy'
    monkeypatch.setattr(install.os, "name", "posix")
    for odd in ("a b", "a'b", "$(x)", "`x`", 'a"b', r"a\b", "a!b", "a>b"):
        assert shlex.split(install.quoted([odd])) == [odd]


def test_no_hint_is_written_by_hand() -> None:
    """No text of the program tells to ``pip install`` something, or to write in single quotes what cmd.exe reads."""
    for package in ("bridge", "models", "runtime"):
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    told = re.search(r"pip3? install|facewire\[\w+\]", node.value)
                    assert not told or path.name == "install.py", f"{path}:{node.lineno}: {told and told[0]}"
