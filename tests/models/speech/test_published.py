"""A published FaceFormer drives a live face: checkpoints and encoders of the right shapes, and the command line."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
import transformers
from support.sound.files import write_wav

from facewire.bridge.shared.arkit import BLENDSHAPES
from facewire.models.errors import ModelError
from facewire.models.speech.decode.step_weights import fold
from facewire.models.speech.faceformer import FaceFormer, FaceFormerConfig
from facewire.models.speech.lips import CHIN, FLAME_OUTPUTS, LOWER_INNER, UPPER_INNER, fold_lips, limit
from facewire.models.speech.published import FaceFormerDriver, decoder_weights, open_faceformer
from facewire.models.speech.wav2vec import Window
from facewire.runtime.cli import main

torch.set_num_threads(1)
WIDTH = 64
CONFIG = transformers.Wav2Vec2Config(
    hidden_size=WIDTH, num_hidden_layers=1, num_attention_heads=1, intermediate_size=32, conv_dim=[16] * 7
)


class Loudness:
    """An encoder whose features are how loud a hop's parts are."""

    width = WIDTH

    def __init__(self, rate=30, look_ahead_ms=200):
        self.window = Window.of_seconds(rate, 1.0, look_ahead_ms / 1000)

    def encode(self, samples):
        hop = samples[self.window.left_context : self.window.left_context + self.window.hop]
        loud = np.array([np.abs(part).mean() for part in np.array_split(hop, self.window.hop_features)])
        return np.repeat(loud[:, None], WIDTH, axis=1).astype(np.float32)


def network(outputs=FLAME_OUTPUTS, per_frame=1, period=30):
    torch.manual_seed(3)
    model = FaceFormer(FaceFormerConfig(16, outputs, 2, period, per_frame, WIDTH)).eval()
    torch.nn.init.normal_(model.vertice_map_r.weight, std=0.004)
    torch.nn.init.normal_(model.vertice_map.weight, std=0.01)
    return model


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Write a checkpoint without its encoder, one with it, and the encoder's folder."""
    folder = tmp_path_factory.mktemp("published")
    model = network()
    torch.save(model.state_dict(), folder / "bare.pth")
    torch.manual_seed(4)
    encoder = transformers.Wav2Vec2Model(CONFIG)
    encoder.save_pretrained(folder / "encoder")
    state = {f"audio_encoder.{name}": value for name, value in encoder.state_dict().items()}
    torch.save(state | model.state_dict(), folder / "whole.pth")
    return folder


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("FACEWIRE_CACHE", str(tmp_path_factory.getbasetemp() / "published-cache"))


def speech(seconds):
    rng, t = np.random.default_rng(1), np.arange(round(seconds * 16000)) / 16000
    return (np.sin(2 * np.pi * 2 * t) ** 2 * rng.normal(0, 0.1, len(t))).astype(np.float32)


def run(driver, samples, size=160):
    out = []
    for start in range(0, len(samples), size):
        driver.push(samples[start : start + size])
        while (shapes := driver.step()) is not None:
            out.append(shapes.copy())
    return np.array(out)


def test_a_dropped_chin_opens_the_jaw_and_lips_apart_are_not_closed():
    mesh = np.zeros(FLAME_OUTPUTS, np.float32)
    matrix, bias = fold_lips(np.eye(FLAME_OUTPUTS, dtype=np.float32), np.zeros(FLAME_OUTPUTS, np.float32))

    def shapes():
        raw = matrix @ mesh + bias
        limit(raw)
        return dict(zip(BLENDSHAPES, raw.tolist(), strict=True))

    assert not any(shapes().values())
    mesh[3 * CHIN + 1] = -0.015
    assert shapes()["jawOpen"] == pytest.approx(0.5)
    assert shapes()["mouthClose"] == pytest.approx(0.5)  # the lips have not parted
    mesh[3 * LOWER_INNER + 1], mesh[3 * UPPER_INNER + 1] = -0.013, 0.001
    assert shapes()["mouthClose"] == 0.0
    mesh *= 100
    assert max(shapes().values()) == 1.0


def test_sixty_steps_a_second_of_sound_whatever_the_blocks():
    driver = FaceFormerDriver(network().step_weights(), Loudness())
    assert driver.delay_ms == pytest.approx(100 + 200 + 1000 / 30)
    samples = speech(2.0)
    steps = run(driver, samples)
    assert len(steps) == 120
    driver.reset()
    np.testing.assert_array_equal(run(driver, samples, 777), steps)
    assert np.isfinite(steps).all()
    assert not steps[: int(driver.delay_ms / 1000 * 60) - 1].any()
    assert steps[40:].std(axis=0).max() > 0.01


@pytest.mark.parametrize("per_frame", [1, 2])
def test_a_step_shows_the_motion_of_its_sound(per_frame):
    """Step k is for the moment ``delay_ms`` before k / 60 s: between the two motions around it."""
    weights = network(per_frame=per_frame, period=25 if per_frame == 2 else 30).step_weights()
    encoder = Loudness(50 if per_frame == 2 else 30)
    driver, samples = FaceFormerDriver(weights, encoder, style=1), speech(3.0)
    steps = run(driver, samples)
    assert len(steps) == 180
    rate = 25 if per_frame == 2 else 30
    times = (np.arange(1, 181) / 60 - driver.delay_ms / 1000) * rate
    fed = driver._motions[: driver._decoded]
    expected = np.array([
        np.zeros(52) if at < 0 else fed[int(at)] + (at - int(at)) * (fed[min(int(at) + 1, len(fed) - 1)] - fed[int(at)])
        for at in times
    ]).astype(np.float32)  # fmt: skip
    for row in expected:
        limit(row)
    np.testing.assert_allclose(steps, expected, atol=1e-5)


def test_a_part_that_does_not_fit_is_one_line():
    weights = network().step_weights()
    with pytest.raises(ModelError, match="there is no style 2"):
        FaceFormerDriver(weights, Loudness(), style=2)
    with pytest.raises(ModelError, match="50 features a second and the checkpoint needs 30"):
        FaceFormerDriver(weights, Loudness(rate=50))
    wide = Loudness()
    wide.width = 768
    with pytest.raises(ModelError, match="gives 768 values a feature and the checkpoint needs 64"):
        FaceFormerDriver(weights, wide)
    with pytest.raises(ModelError, match=r"moves 10 vertices; only FLAME's 5023"):
        FaceFormerDriver(network(outputs=30).step_weights(), Loudness())


def test_a_checkpoint_drives_with_its_own_encoder_or_with_a_folder(files):
    own = run(open_faceformer(files / "whole.pth", None, device="cpu"), speech(1.0), 1600)
    named = run(open_faceformer(files / "bare.pth", str(files / "encoder"), device="cpu"), speech(1.0), 1600)
    assert own[30:].any()
    np.testing.assert_allclose(own, named, atol=1e-5)


def test_a_checkpoint_without_its_encoder_is_one_line(files):
    with pytest.raises(ModelError, match=r"has no audio encoder: give the wav2vec 2\.0 it was trained with") as caught:
        open_faceformer(files / "bare.pth", None)
    assert "\n" not in str(caught.value)
    with pytest.raises(ModelError, match="there is no checkpoint"):
        open_faceformer(files / "no.pth", None)


def test_the_decoder_is_converted_once(files, tmp_path, monkeypatch):
    monkeypatch.setenv("FACEWIRE_CACHE", str(tmp_path))
    first = decoder_weights(files / "bare.pth")
    (kept,) = (tmp_path / "speech").iterdir()
    assert kept.suffix == ".npz"
    monkeypatch.setitem(sys.modules, "facewire.models.speech.faceformer", None)
    np.testing.assert_array_equal(decoder_weights(files / "bare.pth").feedback, first.feedback)
    kept.write_bytes(b"cut short")
    monkeypatch.undo()
    monkeypatch.setenv("FACEWIRE_CACHE", str(tmp_path))
    np.testing.assert_array_equal(decoder_weights(files / "bare.pth").feedback, first.feedback)


def test_an_exported_encoder_runs_without_torch_from_the_command_line(files, tmp_path):
    encoder = tmp_path / "encoder.onnx"
    assert main(["models", "encoder", str(files / "whole.pth"), "-o", str(encoder)]) == 0
    decoder_weights(files / "bare.pth")
    write_wav(tmp_path / "speech.wav", speech(1.5) * 20_000)
    script = (
        "import sys\n"
        "sys.modules['torch'] = sys.modules['transformers'] = None\n"
        "from facewire.models.speech.published import open_faceformer\n"
        "from pathlib import Path\n"
        "import numpy as np\n"
        "driver = open_faceformer(Path(sys.argv[1]), sys.argv[2], device='cpu')\n"
        "driver.push(np.random.default_rng(0).normal(0, 0.1, 16000).astype(np.float32))\n"
        "print(sum(driver.step() is not None for _ in range(60)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(files / "bare.pth"), str(encoder)],
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.stdout == "60\n", done.stderr


@pytest.mark.parametrize(
    ("args", "status", "says"),
    [
        (["--speech", "faceformer:{}/bare.pth"], 1, "has no audio encoder"),
        (["--speech", "faceformer:{}/no.pth"], 2, "no.pth does not exist: check the name"),
        (["--speech", "faceformer:{}/bare.pth", "--speech-encoder", "{}/nowhere"], 1, "there is no folder"),
        (["--speech", "faceformer:{}/whole.pth", "--speech-style", "7"], 1, "there is no style 7"),
        (["--speech", "faceformer:{}/whole.pth", "--look-ahead", "-5"], 1, "0 to 2000 ms for FaceFormer, not -5"),
        (["--speech", "whisper"], 2, "choose one of causal, FILE.npz, faceformer:FILE.pth"),
        (["--speech-encoder", "x"], 2, "our own network needs none"),
    ],
)
def test_the_command_line_says_in_one_line_why_it_cannot(files, tmp_path, capsys, monkeypatch, args, status, says):
    monkeypatch.setattr("facewire.runtime.session.networks.make_speech", _driver_only)
    sound = write_wav(tmp_path / "speech.wav", np.zeros(16_000))
    arguments = [part.format(files) for part in args]
    assert main(["bake", str(sound), "-o", str(tmp_path / "take.csv"), "--device", "cpu", *arguments]) == status
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1
    assert not (tmp_path / "take.csv").exists()


def _driver_only(options, *, device, flame):
    """Make the driver as the commands do; the voice detector is not what is tested here."""
    from facewire.runtime.session.networks import speech_driver

    return speech_driver(options, device=device, flame=flame)


def test_folding_needs_no_torch_tensor():
    model = network()
    arrays = {name: value.numpy() for name, value in model.state_dict().items()}
    np.testing.assert_array_equal(fold(arrays, period=30).feedback, model.step_weights().feedback)
