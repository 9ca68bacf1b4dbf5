"""The correction of Attention Mesh's blendshapes: its arithmetic, its file, and a face that it was not fitted on."""

from __future__ import annotations

import gc
import tracemalloc
from math import erf, sqrt
from pathlib import Path

import cv2
import numpy as np
import pytest

from facewire.models.assets import asset_path
from facewire.models.errors import ModelError
from facewire.models.face import FaceTracker
from facewire.models.face.blendshapes import BlendshapeNetwork
from facewire.models.face.correction import LEAST, SHAPES, WEIGHTS, CorrectedBlendshapes, correct
from facewire.models.face.meshes import AttentionMesh

HIDDEN, CODES = 5, 7


@pytest.fixture(scope="module")
def mesh() -> AttentionMesh:
    return AttentionMesh(device="cpu")


@pytest.fixture(scope="module")
def plain() -> BlendshapeNetwork:
    return BlendshapeNetwork(device="cpu")


def weights(random: np.random.Generator) -> list[np.ndarray]:
    inputs = SHAPES + CODES + 1
    shapes = ((inputs, SHAPES), (inputs, HIDDEN), (HIDDEN + 1, SHAPES))
    return [random.normal(0, 0.1, shape).astype(np.float32) for shape in shapes]


def corrected(
    codes: np.ndarray, plain: np.ndarray, direct: np.ndarray, first: np.ndarray, second: np.ndarray
) -> np.ndarray:
    """The plain twin of the kernel, in float64."""
    kept = np.clip(plain[:SHAPES].astype(np.float64), LEAST, 1 - LEAST)
    inputs = np.concatenate([np.log(kept / (1 - kept)), codes, [1.0]])
    hidden = inputs @ first
    hidden *= 0.5 * (1 + np.array([erf(value * sqrt(0.5)) for value in hidden]))
    logits = inputs[:SHAPES] + inputs @ direct + hidden @ second[:-1] + second[-1]
    return np.append(1 / (1 + np.exp(-logits)), plain[-1])


def run(inputs: np.ndarray, matrices: list[np.ndarray], shapes: np.ndarray) -> None:
    direct, first, second = matrices
    correct(inputs, np.hstack([direct, first]), second, np.full(SHAPES + HIDDEN, np.nan, np.float32), shapes)


@pytest.mark.parametrize("seed", range(5))
def test_the_kernel_computes_what_numpy_does(seed: int) -> None:
    random = np.random.default_rng(seed)
    matrices, codes = weights(random), random.normal(0, 1, CODES).astype(np.float32)
    shapes = random.random(SHAPES + 1).astype(np.float32)
    shapes[:3] = 0, 1, 1e-7
    expected = corrected(codes, shapes, *matrices)
    inputs = np.concatenate([np.full(SHAPES, np.nan), codes, [1]]).astype(np.float32)
    run(inputs, matrices, shapes)
    np.testing.assert_allclose(shapes, expected, atol=2e-5)


def test_without_weights_nothing_changes_but_the_very_ends() -> None:
    matrices = [np.zeros_like(matrix) for matrix in weights(np.random.default_rng(0))]
    shapes = np.linspace(0, 1, SHAPES + 1, dtype=np.float32)
    before = shapes.copy()
    inputs = np.ones(SHAPES + CODES + 1, np.float32)
    run(inputs, matrices, shapes)
    np.testing.assert_allclose(shapes, before, atol=1.1 * LEAST)


def test_weights_that_cannot_be_read_or_do_not_fit_are_refused_in_one_line(
    tmp_path: Path, mesh: AttentionMesh, plain: BlendshapeNetwork
) -> None:
    cut, other = tmp_path / "cut.npz", tmp_path / "other.npz"
    cut.write_bytes(WEIGHTS.read_bytes()[:1000])
    np.savez(other, **dict(zip(("direct", "first", "second"), weights(np.random.default_rng(0)), strict=True)))
    for path in (tmp_path / "none.npz", cut, other):
        with pytest.raises(ModelError, match=r"^[^\n]*install facewire again$"):
            CorrectedBlendshapes(plain, mesh.codes, path)


def test_a_step_allocates_nothing_that_stays(mesh: AttentionMesh, plain: BlendshapeNetwork) -> None:
    stage = CorrectedBlendshapes(plain, mesh.codes)
    landmarks = np.random.default_rng(0).random((478, 3)).astype(np.float32) * 100
    head, shapes = np.zeros(7, np.float32), np.zeros(52, np.float32)
    stage.infer(landmarks, head, shapes)
    ours = tracemalloc.Filter(True, str(WEIGHTS.parent / "*"))
    tracemalloc.start()
    for step in range(60):
        if step == 10:
            before = tracemalloc.take_snapshot().filter_traces([ours])
        stage.infer(landmarks, head, shapes)
    gc.collect()
    after = tracemalloc.take_snapshot().filter_traces([ours])
    tracemalloc.stop()
    assert sum(line.size_diff for line in after.compare_to(before, "lineno")) < 500
    assert np.isfinite(shapes).all()
    assert shapes[-1] == 0


def test_it_brings_a_stranger_nearer_to_what_v2_says(plain: BlendshapeNetwork) -> None:
    """The astronaut is in none of the pictures that it was fitted on."""
    face = cv2.imread(str(asset_path("demo_face")))
    trackers = {name: FaceTracker(name, "cpu") for name in ("attention", "v2")}
    without, with_it = [], []
    for image in (face, np.ascontiguousarray(face[:, ::-1]), cv2.resize(face, None, fx=0.7, fy=0.7)):
        seen = {}
        for name, tracker in trackers.items():
            tracker.reset()
            for step in range(3):
                seen[name] = tracker.step(image, step * 33_000_000)
        attention, v2, shapes = seen["attention"], seen["v2"], np.zeros(52, np.float32)
        assert attention is not None
        assert v2 is not None
        plain.infer(attention.landmarks, attention.head, shapes)
        without.append(np.abs(shapes - v2.blendshapes).mean())
        with_it.append(np.abs(attention.blendshapes - v2.blendshapes).mean())
    assert np.mean(with_it) < 0.9 * np.mean(without)
