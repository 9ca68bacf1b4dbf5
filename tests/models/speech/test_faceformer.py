"""The network against itself step by step, and checkpoints in the very format that the paper's code saves."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
import transformers

from facewire.models.errors import ModelError
from facewire.models.speech import faceformer
from facewire.models.speech.encoder import encode

torch.set_num_threads(1)  # Small matrices: more only wait for each other.
LAYER = "transformer_decoder.layers.0."
WIDTH = 128
"""Of the small audio encoder here; wav2vec 2.0 base has 768."""


def small_wav2vec() -> transformers.Wav2Vec2Model:
    torch.manual_seed(5)
    config = transformers.Wav2Vec2Config(
        hidden_size=WIDTH, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, conv_dim=[32] * 7
    )
    return transformers.Wav2Vec2Model(config).eval()


def old_norm_names(state):
    new = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
    for name in list(state):
        for here, there in new.items():
            if name.endswith(here):
                state[name.removesuffix(here) + there] = state.pop(name)
    return state


def checkpoint(d=64, outputs=30, subjects=8, period=30, audio=768, encoder=None, seed=0):
    """Make a state dict with the published names and shapes, written down here apart from the network."""
    torch.manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape) * shape[-1] ** -0.5

    state = {f"audio_encoder.{name}": value for name, value in (encoder or {}).items()}
    state |= {"audio_feature_map.weight": normal(d, audio), "audio_feature_map.bias": normal(d)}
    state |= {"vertice_map.weight": normal(d, outputs), "vertice_map.bias": normal(d)}
    angle = torch.arange(period)[:, None] * torch.exp(torch.arange(0, d, 2) * (-np.log(10000.0) / d))
    rows = torch.stack([angle.sin(), angle.cos()], -1).reshape(period, d)
    state["PPE.pe"] = rows.repeat(600 // period + 1, 1)[None]
    for name in ("self_attn", "multihead_attn"):
        state |= {f"{LAYER}{name}.in_proj_weight": 2 * normal(3 * d, d), f"{LAYER}{name}.in_proj_bias": normal(3 * d)}
        state |= {f"{LAYER}{name}.out_proj.weight": normal(d, d), f"{LAYER}{name}.out_proj.bias": normal(d)}
    state |= {f"{LAYER}linear1.weight": normal(2 * d, d), f"{LAYER}linear1.bias": normal(2 * d)}
    state |= {f"{LAYER}linear2.weight": normal(d, 2 * d), f"{LAYER}linear2.bias": normal(d)}
    for i in (1, 2, 3):
        state |= {f"{LAYER}norm{i}.weight": 1 + normal(d), f"{LAYER}norm{i}.bias": normal(d)}
    state |= {"vertice_map_r.weight": normal(outputs, d), "vertice_map_r.bias": normal(outputs)}
    state["obj_vector.weight"] = torch.randn(d, subjects)
    return state


@pytest.fixture
def save(tmp_path):
    def save(state, name="model.pth"):
        torch.save(state, tmp_path / name)
        return tmp_path / name

    return save


VOCASET = {"d": 64, "outputs": 15069, "subjects": 8, "period": 30}
BIWI = {"d": 128, "outputs": 70110, "subjects": 6, "period": 25}


@pytest.mark.parametrize(("sizes", "per_frame"), [(VOCASET, 1), (BIWI, 2)], ids=["vocaset", "biwi"])
def test_decoding_equals_the_full_prefix_form(save, sizes, per_frame):
    model = faceformer.load(save(checkpoint(**sizes)), period=sizes["period"], features_per_frame=per_frame)
    features = np.random.default_rng(2).normal(size=(45 * per_frame, 768)).astype(np.float32)
    got = model.decode(features, style=3)
    one_hot = torch.eye(sizes["subjects"])[3][None]
    with torch.no_grad():
        expected = model.roll_out(torch.from_numpy(features)[None], one_hot)[0].numpy()
    assert got.shape == (45, sizes["outputs"])
    assert got.dtype == np.float32
    assert np.abs(expected).max() > 0.5
    assert np.abs(got - expected).max() < 1e-4
    tensor = model.decode(torch.from_numpy(features), style=np.int64(3))
    np.testing.assert_array_equal(tensor.numpy(), got)


def test_it_goes_on_where_the_published_code_ends(save):
    model = faceformer.load(save(checkpoint()))
    features = np.random.default_rng(2).normal(size=(1300, 768)).astype(np.float32)
    motions = model.decode(features, style=0)
    assert motions.shape == (1300, 30)
    assert np.isfinite(motions).all()
    np.testing.assert_array_equal(motions[:600], model.decode(features[:600], style=0))


def test_teacher_forcing_with_ones_own_motions_is_the_roll_out(save):
    state = checkpoint()
    state["vertice_map.bias"] *= 0  # The paper's code feeds it to the first frame when forced, and not when rolled out.
    model = faceformer.load(save(state))
    features, style = torch.randn(2, 40, 768), torch.eye(8)[[1, 5]]
    with torch.no_grad():
        motions = model.roll_out(features, style)
        forced = model(features, style, motions)
    torch.testing.assert_close(forced, motions, atol=1e-4, rtol=0)
    assert (forced[0] - forced[1]).abs().max() > 0.05


def test_a_new_network_is_still_and_learns():
    model = faceformer.FaceFormer(faceformer.FaceFormerConfig(outputs=30, subjects=2, period=10))
    features, style, motions = torch.randn(1, 20, 768), torch.eye(2)[:1], torch.randn(1, 20, 30) * 0.1
    assert not model.eval().decode(features[0], style=0).any()
    optimiser = torch.optim.Adam(model.train().parameters(), 3e-3)
    losses = []
    for _ in range(30):
        optimiser.zero_grad()
        loss = (model(features, style, motions) - motions).square().mean()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


def test_bias_and_alignment_are_the_papers():
    bias = faceformer.temporal_bias(7, 3)
    assert bias.shape == (4, 7, 7)
    for i in range(7):
        for j in range(7):
            expected = [-((i - j) // 3) * 2.0**-s for s in (2, 4, 6, 8)] if j <= i else [-np.inf] * 4
            assert bias[:, i, j].tolist() == expected
    mask = faceformer.alignment_mask(3, 6, 2)
    assert (~mask).nonzero().tolist() == [[0, 0], [0, 1], [1, 2], [1, 3], [2, 4], [2, 5]]


@pytest.mark.parametrize("names", ["old", "new"])
def test_a_checkpoint_with_its_audio_encoder_hears_as_that_does(save, names):
    encoder = small_wav2vec()
    state = dict(encoder.state_dict())
    if names == "old":
        state = old_norm_names(state)
        assert any(name.endswith("weight_v") for name in state)
    model = faceformer.load(save(checkpoint(audio=WIDTH, encoder=state)))
    audio = np.random.default_rng(1).normal(0, 0.1, 24000).astype(np.float32)
    features = model.encode(audio)
    np.testing.assert_allclose(features, encode(encoder, audio, rate=30.0), atol=1e-5)
    assert features.shape == (44, WIDTH)  # 1.5 s are 74 features of 20 ms, int(74 / 50 * 30) at 30 a second
    assert model.decode(features, style=0).shape == (44, 30)


def test_a_checkpoint_without_its_encoder_says_so(save):
    with pytest.raises(ModelError, match="no audio encoder: give one with --speech-encoder"):
        faceformer.load(save(checkpoint())).encode(np.zeros(16000, np.float32))


def test_an_encoder_that_is_not_whole_is_said_where_it_is_needed_and_decoding_goes_on(save):
    whole = faceformer.load(save(checkpoint(), "whole.pth"))
    encoder = small_wav2vec().state_dict()
    parts = {
        "has no feature_extractor": {"encoder.pos_conv_embed.conv.weight_v": torch.zeros(8, 1, 8)},
        "has no encoder.layer_norm.bias": {k: v for k, v in encoder.items() if k != "encoder.layer_norm.bias"},
        "does not fit": encoder | {"encoder.layer_norm.weight": torch.zeros(3)},
    }
    features = np.random.default_rng(0).normal(size=(5, 768)).astype(np.float32)
    for says, part in parts.items():
        model = faceformer.load(save(checkpoint(encoder=part)))
        np.testing.assert_array_equal(model.decode(features, style=1), whole.decode(features, style=1))
        with pytest.raises(ModelError, match=rf"audio encoder .*{says}.*: give one with --speech-encoder") as caught:
            model.encode(np.zeros(16000, np.float32))
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("wrap", [lambda s: {"state_dict": s}, lambda s: {f"module.{k}": v for k, v in s.items()}])
def test_usual_wrappings_are_read_too(save, wrap):
    model, wrapped = faceformer.load(save(checkpoint(), "a.pth")), faceformer.load(save(wrap(checkpoint()), "b.pth"))
    features = np.random.default_rng(0).normal(size=(5, 768)).astype(np.float32)
    np.testing.assert_array_equal(model.decode(features, style=1), wrapped.decode(features, style=1))


class Payload:
    """Runs something when it is unpickled."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


def without(name):
    state = checkpoint()
    del state[name]
    return state


BAD = {
    "code": (lambda tmp: checkpoint() | {"x": Payload(f"touch {tmp}/ran")}, "more than weights"),
    "whole model": (lambda _: torch.nn.Linear(2, 2), "more than weights"),
    "a list": (lambda _: [1, 2], "is not a state dict"),
    "another network": (lambda _: torch.nn.Linear(2, 2).state_dict(), "it has no"),
    "a part is missing": (lambda _: without("vertice_map.bias"), "it has no vertice_map.bias"),
    "no encoding": (lambda _: without("PPE.pe"), "it has no PPE.pe"),
    "another shape": (lambda _: checkpoint() | {"vertice_map.weight": torch.zeros(64, 31)}, "vertice_map.weight"),
    "one number": (lambda _: checkpoint() | {"obj_vector.weight": torch.zeros(())}, "is not a FaceFormer checkpoint"),
    "odd width": (lambda _: checkpoint(d=66), "does not divide"),
    "another period": (lambda _: checkpoint(period=25), "give the period"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_checkpoint_is_one_line_and_runs_nothing(save, tmp_path, case):
    make, says = BAD[case]
    with pytest.raises(ModelError, match=says) as caught:
        faceformer.load(save(make(tmp_path)))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [b"", b"\0" * 1000, b"PK\x03\x04" + b"x" * 500, b"\x80\x04\x95 nothing", b"la la"])
def test_a_file_that_is_no_checkpoint_is_one_line(tmp_path, content):
    (tmp_path / "x.pth").write_bytes(content)
    with pytest.raises(ModelError, match=r"is not a checkpoint that torch can read|more than weights") as caught:
        faceformer.load(tmp_path / "x.pth")
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_one_line(tmp_path):
    with pytest.raises(ModelError, match="there is no checkpoint"):
        faceformer.load(tmp_path / "no.pth")


@pytest.mark.parametrize("style", [8, -1, None, "anna"])
def test_a_missing_style_is_one_line(save, style):
    model = faceformer.load(save(checkpoint()))
    with pytest.raises(ModelError, match=r"there is no style .*: this checkpoint has 8, 0 to 7"):
        model.decode(np.zeros((3, 768), np.float32), style=style)


@pytest.mark.parametrize("shape", [(3, 767), (768,), (1, 3, 768)])
def test_features_of_another_shape_are_one_line(save, shape):
    model = faceformer.load(save(checkpoint()))
    with pytest.raises(ModelError, match="do not fit"):
        model.decode(np.zeros(shape, np.float32), style=0)
    assert model.decode(np.zeros((0, 768), np.float32), style=0).shape == (0, 30)


def test_the_step_decoder_runs_where_torch_is_not(save, tmp_path):
    """Weights are folded and written once, by torch's process; the live one reads them with NumPy alone."""
    model = faceformer.load(save(checkpoint()))
    model.step_weights().save(tmp_path / "decoder.npz")
    features = np.random.default_rng(0).normal(size=(9, 768)).astype(np.float32)
    np.save(tmp_path / "in.npy", features)
    script = (
        "import sys, numpy as np\n"
        "sys.modules['torch'] = sys.modules['transformers'] = None\n"
        "from facewire.models.speech.decode.decoder import StepDecoder\n"
        "from facewire.models.speech.decode.step_weights import StepWeights\n"
        "decoder = StepDecoder(StepWeights.read(__import__('pathlib').Path('decoder.npz')))\n"
        "state = decoder.new_state()\n"
        "np.save('out.npy', [decoder.step(state, row, 4).copy() for row in np.load('in.npy')])\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True, timeout=100)
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), model.decode(features, style=4), atol=1e-5)
