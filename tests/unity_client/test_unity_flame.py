"""The open head as the Unity client skins it against the Python skinning: whole, in random poses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from build_client import PACKAGE
from probe import Harness

from facewire.models.flame import open_flame
from facewire.models.flame.packed import pack
from facewire.models.flame.skin.skinning import Skinner


def test_the_open_head_is_skinned_as_in_python(each_harness: Harness, tmp_path: Path) -> None:
    model, rng = open_flame(), np.random.default_rng(1)
    skinner, zero = Skinner(model), np.zeros(3, np.float32)
    poses, expected = [], []
    for _ in range(12):
        expression = rng.normal(0, 1.5, model.expressions).astype(np.float32)
        joints = rng.normal(0, 0.2, 12).astype(np.float32)  # neck, jaw, left eye, right eye
        poses.append(np.concatenate([expression, joints]))
        pose = np.concatenate([zero, joints])
        expected.append(skinner.skin(np.zeros(model.shapes, np.float32), expression, pose, zero).copy())
    mesh, asked, found = tmp_path / "open.flame.bytes", tmp_path / "poses", tmp_path / "vertices"
    mesh.write_bytes(pack(model, None))
    asked.write_bytes(np.array(poses, "<f4").tobytes())
    done = each_harness.run("flame", str(mesh), str(asked), str(found), str(model.expressions))
    assert done.returncode == 0, done.stderr
    vertices = np.frombuffer(found.read_bytes(), "<f4").reshape(np.shape(expected))
    worst_m = float(np.abs(vertices - np.array(expected)).max())
    print(f"worst {1e6 * worst_m:.2f} micrometres, {json.loads(done.stdout)['best_ms']:.2f} ms")
    assert worst_m < 1e-5


@pytest.mark.kernels
def test_the_samples_head_is_the_open_head_of_today() -> None:
    """`facewire flame unity -o unity_client/Samples~/LiveHead/OpenHead.flame.bytes --force` writes it anew."""
    assert (PACKAGE / "Samples~" / "LiveHead" / "OpenHead.flame.bytes").read_bytes() == pack(open_flame())
