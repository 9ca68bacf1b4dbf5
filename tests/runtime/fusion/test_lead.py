"""Who has the mouth, how far speech is trusted, and how fast weights go: each by itself."""

from __future__ import annotations

import numpy as np
import pytest

from facewire.bridge.shared.face import SpeechTick
from facewire.runtime.face.presence import MOST_STEP
from facewire.runtime.fusion.lead import CAMERA_BACK, CAMERA_GONE, LEAVE_CAMERA_S, LEAVE_SPEECH_S, Lead, SpeechTrust
from facewire.runtime.fusion.weights import RATE_PER_S, Wanted, Weights, most_of

STEP_S = 1 / 60


def time_to_change(lead: Lead, camera_trust: float, *, has_speech: bool = True, most_s: float = 2.0) -> float:
    """Seconds until the lead changes hands; infinity if it does not within ``most_s``."""
    before = lead.camera
    for i in range(round(most_s / STEP_S)):
        if lead.step("auto", camera_trust, has_speech, STEP_S) is not before:
            return (i + 1) * STEP_S
    return float("inf")


def test_a_change_of_lead_has_to_last():
    lead = Lead()
    assert time_to_change(lead, 0.0) == pytest.approx(LEAVE_CAMERA_S, abs=1.5 * STEP_S)
    assert time_to_change(lead, 1.0) == pytest.approx(LEAVE_SPEECH_S, abs=1.5 * STEP_S)
    assert lead.camera


def test_doubt_between_the_thresholds_leaves_the_lead_where_it_is():
    doubt = (CAMERA_GONE + CAMERA_BACK) / 2
    lead = Lead()
    assert time_to_change(lead, doubt) == float("inf")
    time_to_change(lead, 0.0)
    assert time_to_change(lead, doubt) == float("inf")
    assert time_to_change(lead, doubt, has_speech=False) < 1.0, "without speech a doubtful camera is better than none"


def test_without_speech_the_camera_keeps_the_mouth_however_little_it_is_trusted():
    assert time_to_change(Lead(), 0.0, has_speech=False) == float("inf")


@pytest.mark.parametrize(("mode", "camera"), [("camera", True), ("microphone", False), ("mouth", False)])
def test_a_mode_decides_at_once(mode, camera):
    assert Lead().step(mode, 0.5, True, STEP_S) is camera


def test_trust_in_speech_rises_fast_and_falls_slowly():
    trust, speech = SpeechTrust(), SpeechTick(np.zeros(52, np.float32), 1.0, 0, 0, 30.0)
    rise = [trust.step(speech, STEP_S) for _ in range(60)]
    fall = [trust.step(None, STEP_S) for _ in range(60)]
    assert rise[-1] > 0.99
    assert np.argmax(np.array(rise) > 0.5) < np.argmax(np.array(fall) < 0.5)
    noise = SpeechTrust()
    noise.step(SpeechTick(np.zeros(52, np.float32), 1.0, 0, 0, 3.0), 1.0)
    assert noise.value == 0.0


def moved(weights: Weights, wanted: Wanted, steps: int, *, visibility: float = 1.0, camera: bool = True) -> np.ndarray:
    """Weights of camera and speech [n, 2] on their way to what is wanted, at 60 steps a second."""
    out = []
    for _ in range(steps):
        most = most_of(STEP_S)
        weights.admit(visibility, camera=camera, most=most)
        weights.step(visibility, wanted, most)
        out.append((weights.video, weights.speech))
    return np.array(out)


CAMERA, SPEECH = Wanted(True, True, True, 1.0), Wanted(False, True, True, 1.0)


def test_no_weight_moves_faster_than_its_rate_and_the_mouth_is_never_given_away_twice():
    weights = Weights(camera=True)
    moved(weights, CAMERA, 60)
    over = np.vstack([moved(weights, SPEECH, 60), moved(weights, CAMERA, 60)])
    assert np.abs(np.diff(over, axis=0)).max() <= RATE_PER_S * STEP_S + 1e-9
    assert np.diff(over.sum(axis=1)).min() >= -RATE_PER_S * STEP_S - 1e-9
    assert over[59].tolist() == [0.0, 1.0]
    assert over[-1].tolist() == [1.0, 0.0]
    assert most_of(1.0) == MOST_STEP


def test_speech_comes_in_at_once_while_no_camera_was_ever_there():
    alone, watched = Weights(camera=True), Weights(camera=True)
    moved(watched, CAMERA, 60)
    assert moved(alone, SPEECH, 3, visibility=0.0)[-1, 1] > 0.9
    assert moved(watched, SPEECH, 3)[-1, 1] < 0.2


def test_the_first_sight_of_a_face_that_speech_had_is_a_hand_over():
    weights = Weights(camera=True)
    moved(weights, SPEECH, 30, visibility=0.0)
    assert weights.idle > 0.9
    moved(weights, SPEECH, 1, visibility=1.0)
    assert weights.camera == weights.camera_share == pytest.approx(RATE_PER_S * STEP_S)


def test_a_mode_that_shuts_the_camera_out_takes_it_away_without_a_step():
    weights = Weights(camera=True)
    moved(weights, CAMERA, 60)
    shares = []
    for _ in range(60):
        moved(weights, SPEECH, 1, camera=False)
        shares.append(weights.camera_share)
    assert np.abs(np.diff(shares)).max() <= RATE_PER_S * STEP_S + 1e-9
    assert shares[-1] == 0.0
