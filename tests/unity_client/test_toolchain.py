"""Fetching the tools: one clear line where they cannot be had, and nothing that has another hash is used."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
import toolchain


@pytest.mark.parametrize(("ci", "code"), [("", 0), ("true", 1)])
def test_missing_tools_are_one_line_and_a_failure_in_ci_only(tmp_path: Path, ci: str, code: int) -> None:
    environment = {**os.environ, "FACEWIRE_CACHE": str(tmp_path), "PATH": str(tmp_path), "CI": ci}
    command = [sys.executable, str(Path(toolchain.__file__))]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == code
    (_, line) = done.stderr.splitlines()  # What is fetched, and how that ended.
    assert "npm is missing" in line
    assert "will not be tested" in line


def pack(folder: Path, member: str) -> Path:
    """Return an npm-like archive with one member."""
    (folder / "content").write_text("x")
    with tarfile.open(folder / "a.tgz", "w:gz") as tar:
        tar.add(folder / "content", member)
    return folder / "a.tgz"


def test_another_hash_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEWIRE_CACHE", str(tmp_path / "cache"))
    archive = pack(tmp_path, "package/nunit.framework.dll")
    monkeypatch.setattr(toolchain, "_download", lambda *_: archive)
    with pytest.raises(toolchain.ToolchainError, match="not used"):
        toolchain.ensure()
    assert not (toolchain.cache_folder() / toolchain.NUNIT.folder).exists()


def test_members_cannot_leave_their_folder(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    archive = pack(tmp_path, "package/../../evil")
    package = replace(toolchain.NUNIT, only="")
    with pytest.raises(toolchain.ToolchainError, match="leaves its folder"):
        toolchain._unpack(archive, tmp_path / "out" / "deep", package)
