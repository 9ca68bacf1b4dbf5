"""Both ways of skinning give the paper's numbers, and the live one leaves nothing behind."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from support.flame.files import random_flame, write_official
from support.flame.reference import skin_slowly

from facewire.models.errors import ModelError
from facewire.models.flame import FlameModel, load_flame, open_flame
from facewire.models.flame.skin.skinning import Skinner
from facewire.models.flame.skin.torch_skinning import TorchFlame

Parameters = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]

RELATIVE = 1e-6
"""Of the largest coordinate."""


@pytest.fixture(scope="module")
def official(tmp_path_factory: pytest.TempPathFactory) -> FlameModel:
    """Load a model of FLAME's own size, with pose correctives and every weight in use."""
    arrays = random_flame(np.random.default_rng(5), 5023)
    return load_flame(write_official(tmp_path_factory.mktemp("flame") / "m.pkl", arrays))


@pytest.fixture(scope="module", params=["official", "open"])
def model(request: pytest.FixtureRequest) -> FlameModel:
    return request.getfixturevalue("official") if request.param == "official" else open_flame()


def parameters(model: FlameModel, seed: int, *, turn_rad: float = 0.4) -> Parameters:
    rng = np.random.default_rng(seed)
    sizes = ((model.shapes, 1.0), (model.expressions, 1.0), (15, turn_rad), (3, 0.3))
    shape, expression, pose, translation = (rng.normal(0, size, n).astype(np.float32) for n, size in sizes)
    return shape, expression, pose, translation


def relative(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(found - expected).max() / np.abs(expected).max())


@pytest.mark.kernels
@pytest.mark.parametrize("seed", [0, 1])
def test_the_live_path_gives_the_papers_numbers(model: FlameModel, seed: int) -> None:
    given = parameters(model, seed)
    expected, joints = skin_slowly(model, *given)
    skinner = Skinner(model)
    assert relative(skinner.skin(*given), expected) <= RELATIVE
    np.testing.assert_allclose(skinner.joints, joints, atol=1e-6)
    rest = skinner.rest_joints
    moved = np.einsum("kij,kj->ki", skinner.transforms[:, :, :3], rest) + skinner.transforms[:, :, 3]
    np.testing.assert_allclose(moved, joints, atol=1e-6)


def test_the_torch_path_gives_the_papers_numbers(model: FlameModel) -> None:
    batch = [parameters(model, seed) for seed in range(2)]
    expected = [skin_slowly(model, *given) for given in batch]
    stacked = [np.stack(part) for part in zip(*batch, strict=True)]
    single = TorchFlame(model)(*map(torch.from_numpy, stacked))
    double = TorchFlame(model, torch.float64)(*(torch.from_numpy(part).double() for part in stacked))
    for i, (vertices, joints) in enumerate(expected):
        assert relative(single.vertices[i].numpy(), vertices) <= RELATIVE
        assert relative(double.vertices[i].numpy(), vertices) <= 1e-13
        np.testing.assert_allclose(double.joints[i].numpy(), joints, atol=1e-13)
    skinner = Skinner(model)
    assert relative(skinner.skin(*batch[0]), single.vertices[0].numpy()) <= RELATIVE
    np.testing.assert_allclose(skinner.transforms, single.transforms[0].numpy(), atol=1e-6)


@pytest.mark.parametrize("turn_rad", [0.0, 1e-9, 1e-5, 1e-4, 1e-3, 3.0])
def test_turns_of_all_sizes(turn_rad: float) -> None:
    model = open_flame()
    shape, expression, pose, translation = parameters(model, 3, turn_rad=turn_rad)
    expected, _ = skin_slowly(model, shape, expression, pose, translation)
    assert relative(Skinner(model).skin(shape, expression, pose, translation), expected) <= RELATIVE
    as_torch = [torch.from_numpy(part)[None].double() for part in (shape, expression, pose, translation)]
    assert relative(TorchFlame(model, torch.float64)(*as_torch).vertices[0].numpy(), expected) <= 1e-12


def test_fewer_components_are_the_first_ones(official: FlameModel) -> None:
    shape, expression, pose, translation = parameters(official, 4)
    few = Skinner(official, expressions=50, shapes=10).skin(shape[:10], expression[:50], pose, translation)
    shape[10:], expression[50:] = 0, 0
    np.testing.assert_allclose(few, Skinner(official).skin(shape, expression, pose, translation), atol=1e-6)
    parts = [torch.from_numpy(part)[None] for part in (shape[:10], expression[:50], pose, translation)]
    np.testing.assert_allclose(TorchFlame(official)(*parts).vertices[0], few, atol=1e-6)
    with pytest.raises(ModelError, match="101 expression components"):
        Skinner(official, expressions=101)
    with pytest.raises(ValueError, match=r"have \(9, 50, 15\) values"):
        Skinner(official, expressions=50, shapes=10).skin(shape[:9], expression[:50], pose, translation)


def test_a_frame_does_not_depend_on_the_one_before(official: FlameModel) -> None:
    skinner = Skinner(official)
    given = parameters(official, 6)
    first = skinner.skin(*given).copy()
    skinner.skin(*parameters(official, 7))
    np.testing.assert_array_equal(skinner.skin(*given), first)
    assert np.shares_memory(skinner.skin(*given), skinner.vertices)


def test_a_frame_allocates_nothing() -> None:
    model = open_flame()
    skinner, given = Skinner(model), parameters(model, 8)
    other = parameters(model, 9)[0]
    skinner.skin(*given)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    for i in range(200):
        skinner.skin(given[0] if i % 2 else other, *given[1:])
    now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert now - before < 2000
    assert peak - before < 4000


def test_gradients_are_the_differences_and_finite_at_rest() -> None:
    arrays = random_flame(np.random.default_rng(10), 100, 3, 2)
    model = FlameModel(
        arrays["v_template"].astype(np.float32),
        arrays["f"].astype(np.int32),
        arrays["shapedirs"][:, :, :3].astype(np.float32),
        arrays["shapedirs"][:, :, 3:].astype(np.float32),
        arrays["posedirs"].astype(np.float32),
        arrays["J_regressor"].astype(np.float32),
        np.array([-1, 0, 1, 1, 1], np.int32),
        arrays["weights"].astype(np.float32),
        "small",
        "",
    )
    flame = TorchFlame(model, torch.float64)
    generator = torch.Generator().manual_seed(1)
    for scale in (0.5, 0.0):
        given = [scale * torch.randn(2, n, generator=generator, dtype=torch.float64) for n in (3, 2, 15, 3)]
        for part in given:
            part.requires_grad_()
        assert torch.autograd.gradcheck(lambda *parts: flame(*parts).vertices[:, ::25], given, fast_mode=True)


def test_torch_is_imported_by_whoever_needs_it_only(tmp_path: Path) -> None:
    code = (
        "import sys; from facewire.models.flame import open_flame\n"
        "from facewire.models.flame.skin.skinning import Skinner\n"
        "Skinner(open_flame())\n"
        "print([m for m in ('torch', 'chumpy') if m in sys.modules])"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert printed.stdout.strip() == "[]"
