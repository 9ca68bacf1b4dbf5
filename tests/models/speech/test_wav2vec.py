"""wav2vec 2.0 in windows: against the whole recording, on torch and as ONNX, with a small network of random weights."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
import transformers

from facewire.models.errors import ModelError
from facewire.models.speech.encoder import TorchEncoder, encode, export_onnx, load_encoder
from facewire.models.speech.wav2vec import OnnxEncoder, SlidingEncoder, Window

torch.set_num_threads(1)  # Small matrices: more only wait for each other.
WIDTH = 64


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Write a local folder as transformers saves it."""
    torch.manual_seed(1)
    config = transformers.Wav2Vec2Config(
        hidden_size=WIDTH, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, conv_dim=[32] * 7
    )
    path = tmp_path_factory.mktemp("wav2vec")
    transformers.Wav2Vec2Model(config).save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def model(folder):
    return load_encoder(str(folder))


def voice(seconds, seed=0):
    """Noise whose loudness and colour change a few times a second."""
    rng = np.random.default_rng(seed)
    n = round(seconds * 16000)
    t = np.arange(n) / 16000
    tone = np.sin(2 * np.pi * (180 + 90 * np.sin(2 * np.pi * 1.3 * t)) * t)
    return ((0.2 + np.sin(2 * np.pi * 2.1 * t) ** 2) * (tone + 0.3 * rng.normal(size=n)) * 0.1).astype(np.float32)


def stream(encoder, audio, sizes=(160,)):
    """All features of a stream that comes in blocks of the given sizes, in turn."""
    sliding, out, at, turn = SlidingEncoder(encoder), [], 0, 0
    while at < len(audio):
        size = sizes[turn % len(sizes)]
        out.extend(features.copy() for features in sliding.push(audio[at : at + size]))
        at, turn = at + size, turn + 1
    return np.concatenate(out) if out else np.zeros((0, encoder.width), np.float32)


@pytest.mark.parametrize(("rate", "hop", "features"), [(30, 1600, 3), (50, 640, 2)])
def test_the_window_adds_up(rate, hop, features):
    window = Window.of_seconds(rate, 1.99, 0.17)
    assert (window.hop, window.hop_features) == (hop, features)
    assert window.left_context % hop == 0
    assert window.left_context >= 1.99 * 16000
    assert window.look_ahead == 2880  # 0.18 s: whole features
    assert window.delay_ms == pytest.approx(1000 * hop / 16000 + 180)
    assert window.first_feature == window.left_context * rate / 16000


@pytest.mark.parametrize("make", [lambda: Window(rate=25), lambda: Window(look_ahead=300)])
def test_a_window_that_cannot_be_is_one_line(make):
    with pytest.raises(ModelError):
        make()


@pytest.mark.parametrize("rate", [30, 50])
def test_a_stream_gives_every_feature_once_whatever_the_blocks(model, rate):
    encoder = TorchEncoder(model, Window.of_seconds(rate, 0.4, 0.1), device="cpu")
    audio = voice(2.0)
    features = stream(encoder, audio)
    assert features.shape == (round(1.9 * rate) // encoder.window.hop_features * encoder.window.hop_features, WIDTH)
    np.testing.assert_array_equal(stream(encoder, audio, (7, 5000, 1, 333)), features)


@pytest.mark.parametrize("rate", [30, 50])
def test_a_window_that_sees_everything_gives_the_features_of_the_whole(model, rate):
    """The recording fills one window exactly, so the last hop's features must be those of the whole at once."""
    window = Window.of_seconds(rate, 1.2, 0.3)
    audio = voice(window.length / 16000)
    whole = encode(model, audio, rate=rate if rate == 30 else 25, exact=True)
    last = stream(TorchEncoder(model, window, device="cpu"), audio)[-window.hop_features :]
    first = window.first_feature
    np.testing.assert_allclose(last, whole[first : first + window.hop_features], atol=2e-4)


def test_more_look_ahead_comes_closer_to_the_whole_recording(model):
    audio = voice(5.0)
    whole = encode(model, audio, rate=30, exact=True)
    errors = []
    for look_ahead_s in (0.02, 0.3, 1.5):
        features = stream(TorchEncoder(model, Window.of_seconds(30, 1.0, look_ahead_s), device="cpu"), audio)[60:102]
        errors.append(float(np.sqrt(np.mean((features - whole[60:102]) ** 2)) / whole[60:102].std()))
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 0.85 * errors[0]


def test_the_papers_resampling_keeps_both_ends(model):
    audio = voice(3.0)
    native = encode(model, audio, rate=25)
    assert native.shape == (148, WIDTH)  # 149 features, two to a frame
    assert encode(model, audio, rate=30).shape == (89, WIDTH)
    assert encode(model, audio, rate=30, exact=True).shape == (89, WIDTH)
    with pytest.raises(ModelError, match="shorter"):
        encode(model, audio[:399], rate=30)


def test_what_is_no_number_counts_as_silence(model):
    encoder = TorchEncoder(model, Window.of_seconds(30, 0.4, 0.1), device="cpu")
    broken, silent = voice(1.0), voice(1.0)
    broken[5000:5100:2], broken[5001:5100:2], silent[5000:5100] = np.nan, np.inf, 0.0
    np.testing.assert_array_equal(stream(encoder, broken), stream(encoder, silent))
    assert np.isfinite(stream(encoder, np.zeros(16000, np.float32))).all()


def test_onnx_gives_what_torch_gives_without_torch(folder, model, tmp_path):
    window, audio = Window.of_seconds(30, 0.5, 0.2), voice(1.5)
    path = tmp_path / "encoder.onnx"
    export_onnx(load_encoder(str(folder)), window, path)
    encoder = OnnxEncoder(path, device="cpu")
    assert encoder.window == window
    assert encoder.width == WIDTH
    expected = stream(TorchEncoder(model, window, device="cpu"), audio)
    np.testing.assert_allclose(stream(encoder, audio), expected, atol=2e-4)
    script = (
        "import sys, json, pathlib, numpy as np\n"
        "sys.modules['torch'] = sys.modules['transformers'] = None\n"
        "from facewire.models.speech.wav2vec import OnnxEncoder, SlidingEncoder\n"
        "sliding = SlidingEncoder(OnnxEncoder(pathlib.Path(sys.argv[1]), device='cpu'))\n"
        "print(json.dumps([f.shape for f in sliding.push(np.zeros(16000, np.float32))]))\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, timeout=100)
    assert json.loads(done.stdout) == [[3, WIDTH]] * 8, done.stderr


def test_an_onnx_file_that_is_no_encoder_is_one_line(tmp_path):
    import onnx
    from onnx import TensorProto, helper

    tensor = [helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, 4)) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", tensor[:1], tensor[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "g.onnx")
    with pytest.raises(ModelError, match="facewire models encoder"):
        OnnxEncoder(tmp_path / "g.onnx", device="cpu")
    (tmp_path / "song.onnx").write_bytes(b"la la")
    with pytest.raises(ModelError):
        OnnxEncoder(tmp_path / "song.onnx", device="cpu")


def test_what_the_hubs_cache_has_is_loaded_without_the_hub(folder, tmp_path):
    kept = tmp_path / "hub" / "models--some--speech"
    shutil.copytree(folder, kept / "snapshots" / "1")
    (kept / "refs").mkdir()
    (kept / "refs" / "main").write_text("1")
    script = (
        "import socket\n"
        "def ask(self, *_): print('asks', self)\n"
        "socket.socket.connect = ask\n"
        "from facewire.models.speech.encoder import load_encoder\n"
        "print(load_encoder('some/speech').config.hidden_size)\n"
    )
    nowhere = {"HF_HOME": str(tmp_path), "HF_HUB_CACHE": str(tmp_path / "hub"), "HF_ENDPOINT": "http://127.0.0.1:9"}
    done = subprocess.run(
        [sys.executable, "-c", script], env=os.environ | nowhere, capture_output=True, text=True, timeout=100
    )
    assert done.stdout == f"{WIDTH}\n", done.stderr
    assert done.stderr == ""


def test_a_folder_that_is_not_there_or_holds_something_else_is_one_line(tmp_path):
    with pytest.raises(ModelError, match="there is no folder") as caught:
        load_encoder(str(tmp_path / "nowhere"))
    assert "\n" not in str(caught.value)
    with pytest.raises(ModelError, match="could be read") as caught:
        load_encoder(str(tmp_path))
    assert "\n" not in str(caught.value)
    transformers.BertConfig().save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="FaceFormer needs wav2vec"):
        load_encoder(str(tmp_path))
    transformers.Wav2Vec2Config(conv_stride=[5, 2, 2, 2, 2, 2, 1]).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="every 160 samples"):
        load_encoder(str(tmp_path))
