"""Attention Mesh's own blendshapes: their arithmetic, the file of weights, and a face that they were not fitted on."""

from __future__ import annotations

import gc
import tracemalloc
from math import erf, sqrt
from pathlib import Path

import cv2
import numpy as np
import pytest

from facewire.models.assets.store import asset_path
from facewire.models.errors import ModelError
from facewire.models.face.attention_shapes import SHAPES, WEIGHTS, AttentionBlendshapes, shapes_of
from facewire.models.face.blendshapes import BlendshapeNetwork
from facewire.models.face.meshes import AttentionMesh
from facewire.models.face.tracker import FaceTracker

HIDDEN, CODES = 5, 7


@pytest.fixture(scope="module")
def mesh() -> AttentionMesh:
    return AttentionMesh(device="cpu")


def weights(random: np.random.Generator) -> list[np.ndarray]:
    shapes = ((CODES + 1, SHAPES), (CODES + 1, HIDDEN), (HIDDEN + 1, SHAPES))
    return [random.normal(0, 0.3, shape).astype(np.float32) for shape in shapes]


def twin(codes: np.ndarray, direct: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Compute what the kernel does, plainly and in float64."""
    inputs = np.append(codes.astype(np.float64), 1.0)
    hidden = inputs @ first
    hidden *= 0.5 * (1 + np.array([erf(value * sqrt(0.5)) for value in hidden]))
    return np.append(1 / (1 + np.exp(-(inputs @ direct + hidden @ second[:-1] + second[-1]))), 0.0)


@pytest.mark.parametrize("seed", range(5))
def test_the_kernel_computes_what_numpy_does(seed: int) -> None:
    random = np.random.default_rng(seed)
    (direct, first, second), codes = weights(random), random.normal(0, 3, CODES).astype(np.float32)
    shapes, outputs = np.full(SHAPES + 1, np.nan, np.float32), np.full(SHAPES + HIDDEN, np.nan, np.float32)
    shapes_of(np.append(codes, np.float32(1)), np.hstack([direct, first]), second, outputs, shapes)
    np.testing.assert_allclose(shapes, twin(codes, direct, first, second), atol=2e-5)


def test_weights_that_cannot_be_read_or_do_not_fit_are_refused_in_one_line(tmp_path: Path, mesh: AttentionMesh) -> None:
    cut, other = tmp_path / "cut.npz", tmp_path / "other.npz"
    cut.write_bytes(WEIGHTS.read_bytes()[:1000])
    np.savez(other, **dict(zip(("direct", "first", "second"), weights(np.random.default_rng(0)), strict=True)))
    for path in (tmp_path / "none.npz", cut, other):
        with pytest.raises(ModelError, match=r"^[^\n]*install facewire again$"):
            AttentionBlendshapes(mesh.codes, path)


def test_a_step_allocates_nothing_that_stays(mesh: AttentionMesh) -> None:
    stage = AttentionBlendshapes(mesh.codes)
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


def test_a_stranger_looks_as_to_v2() -> None:
    """The astronaut is in none of the pictures that were fitted on; nor does V2 help here."""
    face = cv2.imread(str(asset_path("demo_face")))
    attention, v2 = FaceTracker("attention", "cpu"), FaceTracker("v2", "cpu")
    attention._anchor = None
    plain, shapes = BlendshapeNetwork(device="cpu"), np.zeros(52, np.float32)
    ours, theirs, without = [], [], []
    for image in (face, np.ascontiguousarray(face[:, ::-1]), cv2.resize(face, None, fx=0.7, fy=0.7)):
        for tracker, found in ((v2, theirs), (attention, ours)):
            tracker.reset()
            for step in range(3):
                seen = tracker.step(image, step * 33_000_000)
            assert seen is not None
            found.append(seen.blendshapes.copy())
        assert seen.landmarks is not None
        plain.infer(seen.landmarks, seen.head, shapes)
        without.append(shapes.copy())
    near, before = (np.corrcoef(np.ravel(found), np.ravel(theirs))[0, 1] for found in (ours, without))
    assert near > before
    assert near > 0.95
