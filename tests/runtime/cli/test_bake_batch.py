"""Several files at once: whatever one of them meets, the others are baked."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from facewire.bridge.shared.errors import FacewireError
from facewire.runtime.bake.baking import temporary_folder
from facewire.runtime.cli import main
from facewire.runtime.cli.commands import bake as bake_command
from facewire.runtime.cli.commands.bake import Baked, Job
from facewire.runtime.session.options import BakeOptions

TROUBLE: dict[str, BaseException] = {
    "a": PermissionError(13, "Permission denied", "/disk/a"),
    "b": OSError(28, "No space left on device"),
    "c": ZeroDivisionError("a mistake\nof ours"),
    "d": FacewireError("d.avi is not a video that can be read"),
}


def test_one_bad_file_ends_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def bake(job: Job, options: BakeOptions) -> Baked:
        del options
        if job.video.stem in TROUBLE:
            raise TROUBLE[job.video.stem]
        return Baked(f"{job.output}: baked", [], [])

    monkeypatch.setattr(bake_command, "bake", bake)
    clips = [tmp_path / f"{name}.avi" for name in (*TROUBLE, "e")]
    for clip in clips:
        clip.touch()
    assert main(["bake", *map(str, clips), "-o", str(tmp_path / "takes")]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 6, lines
    assert "a.avi: /disk/a: Permission denied" in lines[0]
    assert "e.mcap" not in lines[1]
    assert "b.mcap: No space left on device" in lines[1]
    assert "c.avi: ZeroDivisionError" in lines[2]
    assert "d.avi is not a video" in lines[3]
    assert "e.mcap: baked" in lines[4]
    assert "1 of 5 takes are in" in lines[5]


def test_an_interrupt_ends_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    baked: list[Path] = []

    def bake(job: Job, options: BakeOptions) -> Baked:
        del options
        baked.append(job.video)
        raise KeyboardInterrupt

    monkeypatch.setattr(bake_command, "bake", bake)
    clips = [tmp_path / "a.avi", tmp_path / "b.avi"]
    for clip in clips:
        clip.touch()
    assert main(["bake", *map(str, clips), "-o", str(tmp_path / "takes")]) == 128 + 2
    assert baked == clips[:1]


@pytest.mark.models
def test_a_file_that_vanishes_meanwhile_costs_only_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Really baked: one goes when its turn comes, one is grey."""
    clips = [tmp_path / "a.avi", tmp_path / "b.avi"]
    for clip in clips:
        writer = cv2.VideoWriter(str(clip), cv2.VideoWriter.fourcc(*"MJPG"), 30.0, (64, 48))
        writer.write(np.full((48, 64, 3), 40, np.uint8))
        writer.release()
    bake = bake_command.bake

    def late(job: Job, options: BakeOptions) -> Baked:
        clips[0].unlink(missing_ok=True)
        return bake(job, options)

    monkeypatch.setattr(bake_command, "bake", late)
    assert main(["bake", *map(str, clips), "-o", str(tmp_path / "takes"), "--device", "cpu"]) == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if "getting ready" not in line]
    assert [line for line in lines if "a.avi does not exist" in line]
    assert [line for line in lines if "no face was seen in" in line and "b.avi" in line]
    assert "0 of 2 takes" in lines[-1]


@pytest.mark.skipif(os.name == "nt", reason="folders are others there")
def test_a_machine_without_a_temporary_folder_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/no/such/folder")
    with pytest.raises(FacewireError, match="cannot make a temporary folder: No such file or directory; set TMPDIR"):
        temporary_folder().__enter__()
