"""``facewire train speech``: what it says before anything is trained."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from facewire.runtime.cli import main


def test_help_ends_with_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["train", "speech", "--help"])
    assert ended.value.code == 0
    assert "facewire train speech --out run" in capsys.readouterr().out


def test_without_torch_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    assert main(["train", "speech", "--out", str(tmp_path / "run")]) == 1
    said = capsys.readouterr().err
    assert "facewire[train]" in said
    assert said.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_without_texts_it_says_what_to_install(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch", reason="the extra `train` is not installed")
    command = ["train", "speech", "--out", str(tmp_path / "run"), "--texts", str(tmp_path / "none")]
    assert main(command) == 1
    assert "fortunes" in capsys.readouterr().err
