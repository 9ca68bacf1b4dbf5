"""Co-articulation, features, augmentation and judgement: what speech training stands on, without torch."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from support.paths import ROOT

from facewire.bridge.shared.arkit import BLENDSHAPES
from facewire.models.errors import ModelError
from facewire.models.speech import features
from facewire.models.speech.coarticulation import (
    ASKS,
    GLIDES,
    PHONES,
    STYLES,
    emphasis_curve,
    movements,
    shapes,
)
from facewire.models.speech.training import augment
from facewire.models.speech.training.dataset import CLEAN, LOOK_AHEADS_MS, Augmentation, Clips, stream_features
from facewire.models.speech.training.judge import Track, auc, best_lag, jerk_hz, judge
from facewire.models.speech.training.vertices import (
    lip_vertex_error,
    read_templates,
    reconstruction_loss,
    upper_face_dynamics_deviation,
)
from facewire.models.speech.training.voices.corpus import Corpus, pack, targets_of

WORD = [("SIL", 0.0, 0.5), ("AA", 0.5, 0.65), ("P", 0.65, 0.75), ("UW", 0.75, 0.9), ("F", 0.9, 1.0), ("IY", 1.0, 1.15),
        ("SIL", 1.15, 1.8)]  # fmt: skip
TIMES = np.arange(216) / 120


def said(phones: list[tuple[str, float, float]], style: int = 0) -> dict[str, np.ndarray]:
    moved = movements(phones, [0.0] * len(phones), TIMES)
    curves = shapes(moved, np.zeros(len(TIMES), np.float32), style)
    return dict(zip(BLENDSHAPES, curves.T, strict=True))


def at(curve: np.ndarray, time_s: float) -> float:
    return float(np.interp(time_s, TIMES, curve))


def test_every_phone_asks_for_something_or_glides() -> None:
    assert set(PHONES) == set(ASKS) | set(GLIDES) | {"SIL"}


@pytest.mark.parametrize("style", range(len(STYLES)))
def test_lips_meet_for_p_in_every_style(style: int) -> None:
    value = said(WORD, style)
    gap = value["jawOpen"] - value["mouthClose"]
    assert gap[(TIMES > 0.66) & (TIMES < 0.71)].min() < 0.03
    assert at(gap, 0.58) > 0.2
    assert value["mouthPressLeft"][(TIMES > 0.66) & (TIMES < 0.71)].max() > 0.2


def test_the_lip_tucks_for_f_and_rounds_before_uw_begins() -> None:
    value = said(WORD)
    assert at(value["mouthRollLower"], 0.95) > 0.6
    assert at(value["mouthPucker"], 0.83) > 0.5
    assert at(value["mouthPucker"], 0.73) > 0.2, "round early"


def test_nothing_moves_in_silence() -> None:
    stressed = emphasis_curve(WORD, [6.0] * len(WORD), TIMES)
    curves = shapes(movements(WORD, [0.0] * len(WORD), TIMES), stressed)
    quiet = (TIMES < 0.39) | (TIMES > 1.25)
    assert np.abs(curves[quiet]).max() < 1e-3
    assert stressed.max() > 0.3


def test_a_louder_vowel_opens_wider() -> None:
    loud, usual = (movements(WORD, [level] * len(WORD), TIMES)[:, 0].max() for level in (8.0, 0.0))
    assert loud > 1.1 * usual


def test_features_see_what_comes_and_only_the_past() -> None:
    rng = np.random.default_rng(0)
    samples = (0.1 * rng.standard_normal(16000)).astype(np.float32)
    changed = samples.copy()
    changed[8000:] = 0
    whole, half = (stream_features(each, features.mel_filters()) for each in (samples, changed))
    assert whole.shape == (60, 160)
    np.testing.assert_array_equal(whole[:30], half[:30])
    assert np.abs(whole[30] - half[30]).max() > 0.1, "tick 31 has heard the change"


def test_the_fourier_matrix_is_the_transform_without_the_mean() -> None:
    frame = np.random.default_rng(1).standard_normal(features.WINDOW).astype(np.float32) + 3
    spectrum = features.fourier_matrix() @ frame
    wanted = np.fft.rfft((frame - frame.mean()) * features.window(), features.SPECTRUM) * 2 / features.window().sum()
    np.testing.assert_allclose(spectrum[: features.BINS] + 1j * spectrum[features.BINS :], wanted, atol=1e-4)


def test_features_hardly_depend_on_the_gain() -> None:
    rng = np.random.default_rng(2)
    samples = (0.05 * rng.standard_normal(32000)).astype(np.float32)
    usual, louder = (stream_features(samples * gain, features.mel_filters()) for gain in (1.0, 4.0))
    np.testing.assert_allclose(louder[-20:], usual[-20:], atol=0.15)


def test_no_mel_band_is_empty() -> None:
    assert features.mel_filters().sum(axis=0).min() > 0.99


@pytest.mark.parametrize("maker", [augment.hum, augment.music, augment.clicks, augment.breath])
def test_noises_have_their_length_and_level(maker: object) -> None:
    sound = maker(np.random.default_rng(3), 24000)  # type: ignore[operator]
    assert sound.shape == (24000,)
    assert float(np.sqrt(np.mean(sound**2))) == pytest.approx(1.0, rel=1e-3)


def test_a_room_leaves_the_direct_sound_where_it_was() -> None:
    click = np.zeros(8000, np.float32)
    click[100] = 1.0
    wet = augment.room(np.random.default_rng(4), click)
    assert int(np.abs(wet).argmax()) == 100
    assert wet[100] == pytest.approx(1.0, abs=0.01)
    assert np.abs(wet[:100]).max() < 1e-5


def tone_corpus(folder: Path) -> Corpus:
    samples = (3000 * np.sin(np.arange(16000 * 2) * 0.2)).astype(np.int16)
    pack([("one", samples, WORD), ("two", samples[:20000], WORD)], folder)
    return Corpus.open(folder)


def test_a_corpus_comes_back_as_it_was_packed(tmp_path: Path) -> None:
    corpus = tone_corpus(tmp_path)
    assert [sentence.voice for sentence in corpus.index] == ["one", "two"]
    second = corpus.index[1]
    motion, phones = targets_of(np.array(corpus.audio[second.sample :]), WORD)
    np.testing.assert_array_equal(corpus.motion[second.frame :], motion)
    np.testing.assert_array_equal(corpus.phones[second.frame :], phones)
    assert [s.voice for s in corpus.subset(["one"]).index] == ["one"]
    assert [s.voice for s in corpus.subset(["one"], without=True).index] == ["two"]


def test_half_a_corpus_is_none(tmp_path: Path) -> None:
    def breaks() -> object:
        yield "one", np.zeros(16000, np.int16), WORD
        raise KeyboardInterrupt

    tone_corpus(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        pack(breaks(), tmp_path)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="no corpus"):
        Corpus.open(tmp_path)


@pytest.mark.parametrize("augmentation", [CLEAN, Augmentation(clean=0, quiet_clip=0.5)])
def test_clips_are_repeatable_and_whole(tmp_path: Path, augmentation: Augmentation) -> None:
    corpus = tone_corpus(tmp_path)
    first, again = (Clips(corpus, 2.0, augmentation, 5) for _ in range(2))
    for _ in range(8):
        clip, same = first.draw(), again.draw()
        np.testing.assert_array_equal(clip.features, same.features)
        assert clip.features.shape == (120, 160)
        assert clip.shapes.shape == (len(LOOK_AHEADS_MS), 120, 52)
        assert np.isfinite(clip.features).all()
        assert clip.shapes.min() >= 0
        assert clip.shapes.max() <= 1


def test_targets_of_a_longer_look_ahead_are_older(tmp_path: Path) -> None:
    clip = Clips(tone_corpus(tmp_path), 2.0, CLEAN, 1).draw()
    jaw = BLENDSHAPES.index("jawOpen")
    steps = 0.08 * 60
    now, late = clip.shapes[0, :, jaw], clip.shapes[3, :, jaw]
    np.testing.assert_allclose(late[20:], np.interp(np.arange(20, 120) - steps, np.arange(120), now), atol=0.05)


def judged_phones() -> list[tuple[str, float, float]]:
    rng = np.random.default_rng(9)
    names = [name for name in PHONES if name != "SIL"] * 6
    rng.shuffle(names)
    phones, time_s = [("SIL", 0.0, 1.0)], 1.0
    for count, name in enumerate(names):
        phones.append((name, time_s, time_s + 0.09))
        time_s += 0.09
        if count % 60 == 59:
            phones.append(("SIL", time_s, time_s + 1.0))
            time_s += 1.0
    return phones


def perfect(phones: list[tuple[str, float, float]], late_s: float = 0.0) -> Track:
    times = np.arange(1, int(phones[-1][2] * 60)) / 60 - late_s
    moved = movements(phones, [0.0] * len(phones), times)
    return Track.of_shapes(shapes(moved, np.zeros(len(times), np.float32)), phones)


def test_the_judge_knows_a_perfect_mouth_and_finds_its_lag() -> None:
    phones = judged_phones()
    figures = judge([perfect(phones)])
    assert figures["bilabial_auc"] > 0.95
    assert figures["labiodental_auc"] > 0.95
    assert figures["rounding_auc"] > 0.9
    assert figures["closed_above_chance"] > 0.5
    assert figures["pause_motion"] < 0.02
    assert figures["correlation"] > 0.6
    late, _ = best_lag([perfect(phones, 0.1)])
    assert late - figures["lag_ms"] == pytest.approx(100, abs=5)


def test_the_judge_gives_a_still_face_nothing() -> None:
    phones = judged_phones()
    figures = judge([Track.of_opening(np.zeros(2000, np.float32), phones)])
    assert math.isnan(figures["correlation"])
    assert figures["bilabial_auc"] == 0.5
    assert figures["closed_above_chance"] == 0
    assert figures["pause_motion"] == 0


def test_a_sine_trembles_at_its_own_frequency() -> None:
    track = Track.of_opening(
        (0.5 + 0.4 * np.sin(2 * np.pi * 4 * np.arange(600) / 60)).astype(np.float32), [("AA", 0.0, 10.0)]
    )
    assert jerk_hz([track]) == pytest.approx(4.0, rel=0.15)


def test_auc_counts_ties_as_half() -> None:
    assert auc(np.array([1.0, 2.0]), np.array([1.0, 0.0])) == pytest.approx(0.875)


def test_the_papers_metrics() -> None:
    rng = np.random.default_rng(11)
    true = rng.standard_normal((7, 12)).astype(np.float32)
    off = true.copy()
    off[:, 3:6] += np.array([0.3, 0.0, 0.4], np.float32)  # vertex 1 is half a unit away
    off[2, 0] += 2.0  # vertex 0, in one frame
    assert lip_vertex_error(off, true, np.array([1, 2])) == pytest.approx(0.25, rel=1e-5)
    assert lip_vertex_error(off, true, np.array([0, 1])) == pytest.approx((6 * 0.25 + 4.0) / 7, rel=1e-5)
    assert reconstruction_loss(off, true) == pytest.approx((7 * 0.25 + 4.0) / 84, rel=1e-5)
    assert upper_face_dynamics_deviation(true, true, np.array([0, 3])) == 0
    assert upper_face_dynamics_deviation(np.zeros_like(true), true, np.array([0, 3])) > 0


def test_templates_with_code_in_them_are_refused(tmp_path: Path) -> None:
    import pickle

    path = tmp_path / "templates.pkl"
    path.write_bytes(pickle.dumps({"F2": np.arange(6.0).reshape(2, 3)}, protocol=2))
    np.testing.assert_array_equal(read_templates(path)["F2"], np.arange(6, dtype=np.float32))
    path.write_bytes(b"cos\nsystem\n(S'echo bad'\ntR.")
    with pytest.raises(ModelError, match="no templates"):
        read_templates(path)


def test_the_list_of_recordings_names_package_member_and_words() -> None:
    listed = json.loads((ROOT / "benchmarks" / "speech_recordings.json").read_text())
    assert len({entry["reader"] for entry in listed["recordings"]}) >= 8
    assert all(entry["text"].islower() and "==" in entry["package"] for entry in listed["recordings"])
