"""From the motion of VOCASET's mesh to FLAME's parameters: on a made-up FLAME of 5,023 vertices, and in the decoder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from facewire.models.errors import ModelError
from facewire.models.flame import FlameModel, load_flame
from facewire.models.flame.skin.skinning import Skinner
from facewire.models.flame.vertices import VOCASET_VERTICES, fold_flame, invert, limit
from facewire.models.speech.decode.decoder import StepDecoder
from facewire.models.speech.decode.step_weights import fold
from facewire.models.speech.lips import FLAME_OUTPUTS
from facewire.models.speech.published import FaceFormerDriver
from facewire.models.speech.wav2vec import Window
from facewire.runtime.session.networks import speech_driver
from facewire.runtime.session.options import SpeechOptions

EXPRESSIONS = 50
REST = np.zeros(3, np.float32)


def write_flame(path: Path, vertices: int = VOCASET_VERTICES, seed: int = 0) -> Path:
    """Write a head in FLAME's own keys: an ellipsoid, smooth bases of FLAME's sizes, the jaw its lower front."""
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(vertices, 3))
    points *= np.array([0.08, 0.12, 0.10]) / np.linalg.norm(points, axis=1)[:, None]

    def smooth(frequency: float) -> np.ndarray:
        waves, phases = rng.normal(0, frequency, (6, 3)), rng.uniform(0, 2 * np.pi, 6)
        return np.sin(points @ waves.T + phases) @ rng.normal(size=(6, 3))

    expression = np.stack([smooth(30) * 0.001 / (1 + k / 5) for k in range(EXPRESSIONS)], axis=2)
    shape = np.stack([smooth(10) * 0.002 for _ in range(4)], axis=2)
    pose = np.zeros((vertices, 3, 36))
    pose[:, :, :18] = np.stack([smooth(20) * 0.001 for _ in range(18)], axis=2)
    jaw = (points[:, 2] > 0) / (1 + np.exp((points[:, 1] + 0.02) / 0.01))
    weights = np.zeros((vertices, 5))
    weights[:, 1], weights[:, 2] = 1 - jaw, jaw
    regressor = np.zeros((5, vertices))
    for row, place in zip(
        regressor, [(0, -0.1, 0), (0, -0.08, 0), (0, 0, -0.01), (0.03, 0.04, 0.08)] * 2, strict=False
    ):
        row[np.argsort(np.linalg.norm(points - place, axis=1))[:20]] = 1 / 20
    np.savez(
        path,
        v_template=points,
        f=rng.integers(0, vertices, (100, 3)),
        shapedirs=np.concatenate([shape, expression], axis=2),
        shape_count=4,
        posedirs=pose,
        J_regressor=regressor,
        kintree_table=np.array([[-1, 0, 1, 1, 1], range(5)]),
        weights=weights,
    )
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> FlameModel:
    return load_flame(write_flame(tmp_path_factory.mktemp("flame") / "made_up.npz"))


@pytest.fixture(scope="module")
def inverse(model):
    return invert(model)


def displaced(skinner: Skinner, expression, jaw) -> np.ndarray:
    """Return what a FaceFormer would give, flat [15069]: the vertices for this speech less the face at rest."""
    pose = np.concatenate([REST, REST, jaw, REST, REST]).astype(np.float32)
    moved = skinner.skin(np.zeros(skinner.shapes, np.float32), expression.astype(np.float32), pose, REST).copy()
    rest = skinner.skin(np.zeros(skinner.shapes, np.float32), 0 * expression.astype(np.float32), 0 * pose, REST)
    return (moved - rest).reshape(-1)


def test_what_is_found_moves_the_mesh_as_it_was_moved(model, inverse):
    """Jaws to 17 degrees and expressions of one deviation: found to 0.7 degrees, and the mesh to 0.2 mm in the mean."""
    rng, skinner = np.random.default_rng(1), Skinner(model)
    angles, left_m, moved_m = [], [], []
    for _ in range(30):
        expression = rng.normal(size=EXPRESSIONS)
        jaw = np.array([rng.uniform(0, 0.3), *rng.normal(0, 0.03, 2)])
        motion = displaced(skinner, expression, jaw)
        found = inverse @ motion
        limit(found)
        again = displaced(skinner, found[:-3], found[-3:])
        left_m.append(np.linalg.norm((again - motion).reshape(-1, 3), axis=1))
        moved_m.append(np.linalg.norm(motion.reshape(-1, 3), axis=1))
        angles.append(np.degrees(np.linalg.norm(found[-3:] - jaw)))
    assert np.mean(moved_m) > 2e-3
    assert np.max(angles) < 0.7
    assert np.mean(left_m) < 2.5e-4


def test_an_open_jaw_alone_is_no_expression(model, inverse):
    """The jaw as an angle, not as the sine that the vertices are linear in; to 30 degrees."""
    skinner = Skinner(model)
    for jaw in ([0.5, 0, 0], [0.3, 0.1, -0.05]):
        found = inverse @ displaced(skinner, np.zeros(EXPRESSIONS), np.array(jaw))
        limit(found)
        np.testing.assert_allclose(found[-3:], jaw, atol=0.01)
        assert np.abs(found[:-3]).max() < 0.2


def test_a_motion_that_no_flame_makes_gives_parameters_within_reason(inverse):
    found = inverse @ np.random.default_rng(2).normal(0, 1.0, FLAME_OUTPUTS).astype(np.float32)
    limit(found)
    assert np.abs(found[:-3]).max() <= 6.0
    assert np.linalg.norm(found[-3:]) < 1.4
    still = np.zeros(EXPRESSIONS + 3, np.float32)
    limit(still)
    assert not still.any()


@pytest.fixture(scope="module")
def other(tmp_path_factory) -> FlameModel:
    return load_flame(write_flame(tmp_path_factory.mktemp("flame") / "other.npz", vertices=700))


def random_decoder(seed=3):
    """Return a VOCASET decoder's arrays under their published names: random, with motions of some millimetres."""
    rng, d, layer = np.random.default_rng(seed), 64, "transformer_decoder.layers.0."
    shapes = {"audio_feature_map": (d, d), "vertice_map": (d, FLAME_OUTPUTS), "vertice_map_r": (FLAME_OUTPUTS, d)}
    shapes |= {f"{layer}{name}.out_proj": (d, d) for name in ("self_attn", "multihead_attn")}
    shapes |= {f"{layer}linear1": (2 * d, d), f"{layer}linear2": (d, 2 * d)}
    state = {f"{name}.weight": rng.normal(0, shape[1] ** -0.5, shape) for name, shape in shapes.items()}
    state |= {f"{name}.bias": rng.normal(0, 0.1, shape[0]) for name, shape in shapes.items()}
    state["vertice_map_r.weight"] *= 0.002
    state["vertice_map_r.bias"] *= 0.002
    for name in ("self_attn", "multihead_attn"):
        state[f"{layer}{name}.in_proj_weight"] = rng.normal(0, d**-0.5, (3 * d, d))
        state[f"{layer}{name}.in_proj_bias"] = rng.normal(0, 0.1, 3 * d)
    for i in (1, 2, 3):
        state[f"{layer}norm{i}.weight"], state[f"{layer}norm{i}.bias"] = np.ones(d), np.zeros(d)
    state["obj_vector.weight"] = rng.normal(size=(d, 2))
    angle = np.arange(30)[:, None] / 10000.0 ** (np.arange(0, d, 2) / d)
    state["PPE.pe"] = np.tile(np.stack([np.sin(angle), np.cos(angle)], -1).reshape(30, d), (3, 1))[None]
    return fold({name: value.astype(np.float32) for name, value in state.items()}, period=30)


def test_folded_into_the_decoder_it_is_the_same(inverse):
    weights, rng = random_decoder(), np.random.default_rng(4)
    whole = StepDecoder(weights)
    folded = StepDecoder(weights, output=fold_flame(weights.motion, weights.motion_bias, inverse))
    states, largest = (whole.new_state(), folded.new_state()), 0.0
    for _ in range(60):
        heard = rng.normal(size=64).astype(np.float32)
        explicit = inverse @ whole.step(states[0], heard, 0)
        found = folded.step(states[1], heard, 0)
        largest = max(largest, float(np.abs(explicit).max()))
        np.testing.assert_allclose(found, explicit, atol=1e-5)
    assert largest > 0.1


class Loudness:
    """An encoder whose features are how loud a hop's parts are."""

    width = 64
    window = Window.of_seconds(30, 1.0, 0.2)

    def encode(self, samples):
        hop = samples[self.window.left_context : self.window.left_context + self.window.hop]
        loud = np.array([np.abs(part).mean() for part in np.array_split(hop, self.window.hop_features)])
        return np.repeat(loud[:, None], self.width, axis=1).astype(np.float32)


def run(driver, seconds=1.5):
    rng, shapes, flames = np.random.default_rng(5), [], []
    for _ in range(round(seconds * 100)):
        driver.push(rng.normal(0, 0.3 * rng.random(), 160).astype(np.float32))
        while (step := driver.step()) is not None:
            shapes.append(step.copy())
            flames.append(None if driver.flame is None else driver.flame.copy())
    return np.array(shapes), flames


def test_a_driver_with_flame_gives_the_same_shapes_and_flame_beside_them(model):
    weights = random_decoder()
    plain, none = run(FaceFormerDriver(weights, Loudness()))
    shapes, flames = run(FaceFormerDriver(weights, Loudness(), flame=model))
    assert none == [None] * len(plain)
    np.testing.assert_allclose(shapes, plain, atol=1e-6)
    flame = np.array(flames)
    assert flame.shape == (len(shapes), EXPRESSIONS + 3)
    assert not flame[:10].any()  # nothing was heard yet
    assert flame[40:].std(axis=0).max() > 1e-3
    assert np.isfinite(flame).all()


def test_another_mesh_is_refused_in_one_line(other):
    says = "need a FLAME of its 5023 vertices, and other has 700: name your own FLAME file with --flame"
    with pytest.raises(ModelError, match=says) as caught:
        FaceFormerDriver(random_decoder(), Loudness(), flame=other)
    assert "\n" not in str(caught.value)


def test_the_command_line_hands_over_a_model_of_vocasets_mesh_and_says_where_it_is_another(
    tmp_path, monkeypatch, capsys
):
    given = []
    monkeypatch.setattr("facewire.models.speech.published.open_faceformer", lambda *_, flame, **__: given.append(flame))
    own = str(write_flame(tmp_path / "own.npz"))
    for name in (None, own, "open"):
        speech_driver(SpeechOptions("faceformer:some.pth"), device="cpu", flame=name)
    assert given[0] is given[2] is None
    assert given[1].name == "own"
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "open_flame is not the mesh that FaceFormer moves: FLAME follows its blendshapes" in said
