"""The shipped speech model, live: streaming equals one-shot, nothing allocated, nothing breaks it."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from facewire.bridge.shared.arkit import BLENDSHAPES
from facewire.models.errors import ModelError
from facewire.models.speech.causal import LOOK_AHEADS_MS, RING, SpeechDriver

RATE = 16000


@pytest.fixture(scope="module")
def driver() -> SpeechDriver:
    return SpeechDriver()


def buzz(seconds: float, seed: int = 0) -> np.ndarray:
    """Something like a voice: pulses through two resonances, with pauses."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(int(seconds * RATE)) / RATE
    pulses = (np.diff(np.floor(time_s * (120 + 20 * np.sin(time_s))), prepend=0) > 0).astype(np.float64)
    ring = np.exp(-np.arange(400) / 60) * (np.sin(np.arange(400) * 0.27) + 0.6 * np.sin(np.arange(400) * 0.6))
    voice = np.convolve(pulses, ring)[: len(time_s)] * (np.sin(2 * np.pi * 0.7 * time_s) > -0.3)
    return (0.2 * voice + 0.001 * rng.standard_normal(len(time_s))).astype(np.float32)


def run(driver: SpeechDriver, samples: np.ndarray, cuts: list[int]) -> np.ndarray:
    driver.reset()
    out = []
    for part in np.split(samples, cuts):
        driver.push(part)
        while (shapes := driver.step()) is not None:
            out.append(shapes.copy())
    return np.array(out)


def test_any_cutting_of_the_stream_gives_the_same_steps(driver: SpeechDriver) -> None:
    samples = buzz(3.0)
    whole = np.concatenate([run(driver, samples, list(range(0, len(samples), 8000)))])
    rng = np.random.default_rng(1)
    for cuts in (list(range(0, len(samples), 160)), sorted(rng.integers(0, len(samples), 200).tolist())):
        np.testing.assert_array_equal(run(driver, samples, cuts), whole)
    assert len(whole) == 180
    assert whole.max() > 0.1, "a voice moves the mouth"


def test_two_runs_are_equal_after_reset(driver: SpeechDriver) -> None:
    samples = buzz(1.0, seed=3)
    np.testing.assert_array_equal(run(driver, samples, [5000]), run(driver, samples, [5000]))


def test_steps_come_at_60_hz(driver: SpeechDriver) -> None:
    driver.reset()
    driver.push(np.zeros(266, np.float32))
    assert driver.step() is not None
    assert driver.step() is None
    driver.push(np.zeros(1, np.float32))
    assert driver.step() is None
    driver.push(np.zeros(RATE - 267, np.float32))
    steps = 0
    while driver.step() is not None:
        steps += 1
    assert steps == 59


@pytest.mark.parametrize("look_ahead_ms", LOOK_AHEADS_MS)
def test_all_look_aheads_speak_and_fall_silent(look_ahead_ms: int) -> None:
    driver = SpeechDriver(look_ahead_ms)
    assert driver.delay_ms == look_ahead_ms
    shapes = run(driver, np.concatenate([buzz(2.0), np.zeros(RATE, np.float32)]), [])
    assert shapes.shape[1] == len(BLENDSHAPES) == 52
    assert shapes.min() >= 0
    assert shapes.max() <= 1
    assert np.abs(shapes[-10:]).max() < 0.05, "silence shuts the mouth"
    assert driver.speaking < 0.1


def test_shapes_are_in_the_order_of_the_frame() -> None:
    assert tuple(BLENDSHAPES) == BLENDSHAPES


def test_a_step_allocates_nothing(driver: SpeechDriver) -> None:
    samples = buzz(1.0)
    driver.reset()
    blocks = [samples[i : i + 160] for i in range(0, len(samples) - 160, 160)]

    def minute() -> None:
        for _ in range(3):
            for block in blocks:
                driver.push(block)
                driver.step()

    minute()
    tracemalloc.start()
    minute()
    before = tracemalloc.get_traced_memory()[0]
    minute()
    held = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert held < 512


@pytest.mark.parametrize("sample", [np.nan, np.inf, -np.inf, 1e30, 1.0])
def test_bad_samples_neither_break_nor_stay(driver: SpeechDriver, sample: float) -> None:
    driver.reset()
    driver.push(np.full(RATE // 2, sample, np.float32))
    while (shapes := driver.step()) is not None:
        assert np.isfinite(shapes).all()
    after = []
    driver.push(np.zeros(RATE // 2, np.float32))
    while (shapes := driver.step()) is not None:
        assert np.isfinite(shapes).all()
        after.append(shapes.copy())
    assert np.abs(after[-1]).max() < 0.05


def test_an_offset_is_not_heard(driver: SpeechDriver) -> None:
    samples = 0.3 * np.concatenate([np.zeros(RATE, np.float32), buzz(1.0)])
    shown, wanted = run(driver, samples + np.float32(0.2), []), run(driver, samples, [])
    np.testing.assert_allclose(shown[60:], wanted[60:], atol=0.02)


def test_a_late_reader_loses_the_oldest_sound_only(driver: SpeechDriver) -> None:
    driver.reset()
    driver.push(buzz(2.5))
    assert driver.dropped > 0
    steps = 0
    while driver.step() is not None:
        steps += 1
    assert driver.dropped + steps * RATE / 60 == pytest.approx(2.5 * RATE, abs=300)
    assert steps <= RING * 60 // RATE


def test_expressiveness_scales_the_jaw_and_keeps_the_lips_shut() -> None:
    samples = buzz(1.5)
    jaw, close = BLENDSHAPES.index("jawOpen"), BLENDSHAPES.index("mouthClose")
    usual, still, strong = (run(SpeechDriver(expressiveness=value), samples, []) for value in (1.0, 0.0, 1.5))
    assert np.abs(still[:, [jaw, close]]).max() == 0
    np.testing.assert_allclose(strong[:, jaw], np.minimum(1.5 * usual[:, jaw], 1), atol=1e-6)
    with pytest.raises(ModelError, match="expressiveness"):
        SpeechDriver(expressiveness=float("nan"))


def test_styles_differ() -> None:
    samples = buzz(1.5)
    drivers = [SpeechDriver(style=index) for index in range(4)]
    assert drivers[0].styles[0] == "neutral"
    neutral, _, soft, cheerful = (run(driver, samples, []) for driver in drivers)
    jaw, smile = BLENDSHAPES.index("jawOpen"), BLENDSHAPES.index("mouthSmileLeft")
    assert soft[:, jaw].mean() < neutral[:, jaw].mean()
    assert cheerful[:, smile].mean() > neutral[:, smile].mean()


@pytest.mark.parametrize(
    ("look_ahead_ms", "style", "word"), [(30, 0, "look-ahead"), (40, 9, "style"), (40, -1, "style")]
)
def test_an_unknown_choice_is_one_line(look_ahead_ms: int, style: int, word: str) -> None:
    with pytest.raises(ModelError, match=word) as caught:
        SpeechDriver(look_ahead_ms, style)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_model_is_one_line(tmp_path: Path) -> None:
    text = tmp_path / "text.npz"
    text.write_text("no")
    empty = tmp_path / "empty.npz"
    np.savez(empty, about=np.array(json.dumps({"styles": ["a"], "look_aheads_ms": [40]})))
    pickled = tmp_path / "pickled.npz"
    np.savez(pickled, about=np.array([object()], object))
    for path in (tmp_path / "none.npz", text, empty, pickled):
        with pytest.raises(ModelError, match=path.name) as caught:
            SpeechDriver(weights=path)
        assert "\n" not in str(caught.value)
