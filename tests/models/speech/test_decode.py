"""The step decoder against the paper's computation of whole prefixes, written out here in plain NumPy."""

from __future__ import annotations

import gc
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from facewire.models.errors import ModelError
from facewire.models.speech.decode.decoder import StepDecoder
from facewire.models.speech.decode.step_kernels import slopes
from facewire.models.speech.decode.step_weights import StepWeights, fold, one_period

HEADS = 4
LAYER = "transformer_decoder.layers.0."


def sinusoids(period: int, d: int, frames: int) -> np.ndarray:
    """[1, frames, d] as the published checkpoints have them."""
    angle = np.arange(period)[:, None] / 10000.0 ** (np.arange(0, d, 2) / d)
    rows = np.stack([np.sin(angle), np.cos(angle)], axis=-1).reshape(period, d)
    return np.tile(rows, (frames // period + 1, 1))[None, :frames].astype(np.float32)


def make_state(d=32, outputs=30, subjects=3, period=10, audio=24, seed=1) -> dict[str, np.ndarray]:
    """Random weights under the published names, lively enough that mistakes show."""
    rng = np.random.default_rng(seed)
    shapes = {
        "audio_feature_map": (d, audio),
        "vertice_map": (d, outputs),
        "vertice_map_r": (outputs, d),
        f"{LAYER}self_attn.out_proj": (d, d),
        f"{LAYER}multihead_attn.out_proj": (d, d),
        f"{LAYER}linear1": (2 * d, d),
        f"{LAYER}linear2": (d, 2 * d),
    }
    state = {f"{name}.weight": rng.normal(0, shape[1] ** -0.5, shape) for name, shape in shapes.items()}
    state |= {f"{name}.bias": rng.normal(0, 0.1, shape[0]) for name, shape in shapes.items()}
    for attention in ("self_attn", "multihead_attn"):
        state[f"{LAYER}{attention}.in_proj_weight"] = rng.normal(0, 2 * d**-0.5, (3 * d, d))
        state[f"{LAYER}{attention}.in_proj_bias"] = rng.normal(0, 0.1, 3 * d)
    for i in (1, 2, 3):
        state[f"{LAYER}norm{i}.weight"], state[f"{LAYER}norm{i}.bias"] = rng.uniform(0.5, 1.5, d), rng.normal(0, 0.1, d)
    state["obj_vector.weight"] = rng.normal(0, 1, (d, subjects))
    state["PPE.pe"] = sinusoids(period, d, 6 * period)
    return {name: value.astype(np.float32) for name, value in state.items()}


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def layer_norm(x, state, i):
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    return x * state[f"{LAYER}norm{i}.weight"] + state[f"{LAYER}norm{i}.bias"]


def attention(state, name, queries, memory, bias):
    """Multi-head attention of [t, d] to [s, d] under an additive bias [heads, t, s]."""
    d = queries.shape[1]
    w, b = state[f"{LAYER}{name}.in_proj_weight"], state[f"{LAYER}{name}.in_proj_bias"]
    q, k, v = (x @ w[i * d : (i + 1) * d].T + b[i * d : (i + 1) * d] for i, x in enumerate((queries, memory, memory)))
    q, k, v = (x.reshape(len(x), HEADS, d // HEADS).transpose(1, 0, 2) for x in (q, k, v))
    mixed = softmax(q @ k.transpose(0, 2, 1) / np.sqrt(d // HEADS) + bias) @ v
    mixed = mixed.transpose(1, 0, 2).reshape(len(queries), d)
    return mixed @ state[f"{LAYER}{name}.out_proj.weight"].T + state[f"{LAYER}{name}.out_proj.bias"]


def linear(state, name, x):
    return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]


def full_prefix(state, features, style, *, period, per_frame=1, window=None) -> np.ndarray:
    """Motions [frames, outputs] as Fan et al. section 3.3 has it: the whole prefix again for each frame."""
    state = {name: value.astype(np.float64) for name, value in state.items()}
    frames, embedded = len(features) // per_frame, state["obj_vector.weight"].T[style]
    memory, inputs, motions = linear(state, "audio_feature_map", features), [embedded], []
    for t in range(frames):
        x = np.stack(inputs) + np.tile(state["PPE.pe"][0, :period], (t // period + 1, 1))[: t + 1]
        back = np.arange(t + 1)[:, None] - np.arange(t + 1)
        bias = -np.array([2.0**-2, 2.0**-4, 2.0**-6, 2.0**-8])[:, None, None] * (back // period)
        hidden = (back < 0) | (back >= window if window else False)
        x = layer_norm(x + attention(state, "self_attn", x, x, np.where(hidden, -np.inf, bias)), state, 1)
        own = np.arange(len(memory)) // per_frame == np.arange(t + 1)[:, None]
        x = layer_norm(x + attention(state, "multihead_attn", x, memory, np.where(own, 0, -np.inf)[None]), state, 2)
        wide = np.maximum(linear(state, f"{LAYER}linear1", x), 0)
        x = layer_norm(x + linear(state, f"{LAYER}linear2", wide), state, 3)
        motions.append(linear(state, "vertice_map_r", x[-1]))
        inputs.append(linear(state, "vertice_map", motions[-1]) + embedded)
    return np.stack(motions)


def audio(frames, width=24, seed=3):
    return np.random.default_rng(seed).normal(size=(frames, width)).astype(np.float32)


def run(decoder, features, style, per_frame=1):
    state = decoder.new_state()
    rows = features.reshape(-1, per_frame, features.shape[1])
    return np.stack([decoder.step(state, row, style).copy() for row in rows])


@pytest.mark.kernels
@pytest.mark.parametrize(("period", "per_frame"), [(10, 1), (7, 2), (3, 3)])
def test_steps_equal_the_full_prefix(period, per_frame):
    state, features = make_state(period=period), audio(80 * per_frame)
    decoder = StepDecoder(fold(state, period=period, features_per_frame=per_frame), window=80)
    expected = full_prefix(state, features, 1, period=period, per_frame=per_frame)
    got = run(decoder, features, 1, per_frame)
    assert np.abs(expected).max() > 0.5
    assert np.abs(got - expected).max() < 1e-4
    assert np.abs(run(decoder, features, 2, per_frame) - expected).max() > 0.05  # the style tells


def test_the_published_sizes_fit():
    state = make_state(d=128, outputs=600, subjects=6, period=25, audio=768)
    decoder = StepDecoder(fold(state, period=25, features_per_frame=2))
    features = audio(2 * 60, 768)
    expected = full_prefix(state, features, 5, period=25, per_frame=2)
    assert np.abs(run(decoder, features, 5, 2) - expected).max() < 1e-4


def test_a_window_that_is_full_is_a_ring():
    """Keys and values of past frames hang on all that was before them, so the layer is compared, not the stream."""
    state, features = make_state(), audio(75)
    state["vertice_map.weight"] *= 0  # nothing fed back but a constant: the reference can be windowed
    decoder = StepDecoder(fold(state, period=10), window=20)
    assert np.abs(run(decoder, features, 0) - full_prefix(state, features, 0, period=10, window=20)).max() < 1e-4
    assert np.abs(run(decoder, features, 0) - full_prefix(state, features, 0, period=10)).max() > 1e-4


def test_folded_weights_are_the_decoders_own():
    """In memory that NumPy allocated, which is in huge pages and read much faster; and training may go on."""
    state = make_state()
    weights = fold(state, period=10)
    for name in StepWeights._fields:
        array = getattr(weights, name)
        assert not any(np.shares_memory(array, given) for given in state.values()), name


def test_streams_do_not_touch_each_other_and_a_new_state_starts_again():
    decoder, features = StepDecoder(fold(make_state(), period=10), window=30), audio(40)
    alone = run(decoder, features, 0)
    one, other, woven = decoder.new_state(), decoder.new_state(), []
    for i, row in enumerate(features):
        woven.append(decoder.step(one, row, 0).copy())
        decoder.step(other, features[-1 - i], 1)
    np.testing.assert_array_equal(np.stack(woven), alone)


def test_any_linear_map_of_the_motion_folds_into_the_output():
    weights, features = fold(make_state(), period=10), audio(12)
    basis = np.random.default_rng(4).normal(size=(5, 30)).astype(np.float32)
    output = basis @ weights.motion, basis @ weights.motion_bias
    small, whole = StepDecoder(weights, output=output), StepDecoder(weights)
    np.testing.assert_allclose(run(small, features, 0), run(whole, features, 0) @ basis.T, atol=1e-4)


def test_a_long_stream_stays_finite_fixed_in_size_and_allocates_nothing():
    decoder, features = StepDecoder(fold(make_state(), period=10), window=64), audio(256)
    state = decoder.new_state()
    sizes = [state.keys.nbytes, state.values.nbytes, state.hidden.nbytes]
    for i in range(300):
        decoder.step(state, features[i % 256], 0)
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.take_snapshot()
    peak_before = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    for i in range(40_000):
        decoder.step(state, features[i % 256], 0)
    peak = tracemalloc.get_traced_memory()[1] - peak_before
    grown = sum(stat.size_diff for stat in tracemalloc.take_snapshot().compare_to(before, "filename"))
    tracemalloc.stop()
    assert peak < 8192  # a few views and numbers at a time, never an array
    assert grown < 8192
    assert sizes == [state.keys.nbytes, state.values.nbytes, state.hidden.nbytes]
    assert np.isfinite(state.hidden).all()
    assert state.frame[0] == 300 + 40_000


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30])
def test_audio_that_is_no_number_is_held_and_leaves_no_trace(bad):
    decoder, features = StepDecoder(fold(make_state(), period=10)), audio(20)
    broken, held = features.copy(), features.copy()
    broken[10:13, 5], held[10:13] = bad, features[9]
    np.testing.assert_array_equal(run(decoder, broken, 0), run(decoder, held, 0))


def test_silence_from_the_start_is_motion_without_end_of_numbers():
    decoder = StepDecoder(fold(make_state(), period=10))
    assert np.isfinite(run(decoder, np.zeros((100, 24), np.float32), 0)).all()


@pytest.mark.parametrize("style", [-1, 3, 99])
def test_a_missing_style_is_one_line(style):
    decoder = StepDecoder(fold(make_state(), period=10))
    with pytest.raises(ModelError, match=f"there is no style {style}: this checkpoint has 3, 0 to 2"):
        decoder.step(decoder.new_state(), audio(1)[0], style)


def test_features_of_another_shape_are_one_line():
    decoder = StepDecoder(fold(make_state(), period=10, features_per_frame=2))
    with pytest.raises(ModelError, match="do not fit"):
        decoder.step(decoder.new_state(), audio(1)[0], 0)


def test_a_window_of_nothing_is_refused():
    with pytest.raises(ModelError, match="window"):
        StepDecoder(fold(make_state(), period=10), window=0)


@pytest.mark.parametrize("period", [1, 9, 11, 20, 60, 1000])
def test_a_period_that_is_not_the_checkpoints_is_one_line(period):
    encoding = sinusoids(10, 32, 60)
    if period == 20:  # every multiple repeats too, but then it is not the period
        assert one_period(encoding, 10).shape == (10, 32)
    with pytest.raises(ModelError, match="give the period"):
        one_period(encoding, period)


def test_slopes_are_the_papers():
    np.testing.assert_array_equal(slopes(), [2**-2, 2**-4, 2**-6, 2**-8])


def test_weights_survive_the_file(tmp_path: Path):
    weights = fold(make_state(), period=10, features_per_frame=2)
    weights.save(tmp_path / "decoder.npz")
    again = StepWeights.read(tmp_path / "decoder.npz")
    assert again.features_per_frame == 2
    features = audio(20)
    np.testing.assert_array_equal(run(StepDecoder(again), features, 0, 2), run(StepDecoder(weights), features, 0, 2))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut short", b"\x80\x04."])
def test_a_file_that_is_no_decoder_is_one_line(tmp_path, content):
    path = tmp_path / "decoder.npz"
    path.write_bytes(content)
    with pytest.raises(ModelError, match="convert the checkpoint again"):
        StepWeights.read(path)
    np.savez(path, format=99)
    with pytest.raises(ModelError, match="convert the checkpoint again"):
        StepWeights.read(path)
