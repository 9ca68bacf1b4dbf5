"""``facewire train speech``: what it says before anything is trained."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from facewire.bridge.shared.install import install_extra
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
    assert install_extra("train") in said
    assert said.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_without_texts_it_says_what_to_install(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch", reason="the extra `train` is not installed")
    command = ["train", "speech", "--out", str(tmp_path / "run"), "--texts", str(tmp_path / "none")]
    assert main(command) == 1
    assert "fortunes" in capsys.readouterr().err


def test_weights_to_tune_that_are_none_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch", reason="the extra `train` is not installed")
    assert main(["train", "speech", "--out", str(tmp_path / "run"), "--from", str(tmp_path / "none.npz")]) == 1
    said = capsys.readouterr().err
    assert "none.npz is not a speech model" in said
    assert said.count("\n") == 1


def test_the_shipped_weights_can_be_tuned() -> None:
    pytest.importorskip("torch", reason="the extra `train` is not installed")
    from facewire.models.speech.training.export import restore
    from facewire.runtime.cli.commands.train import _weights

    assert restore(_weights("shipped"))[1]["styles"]
