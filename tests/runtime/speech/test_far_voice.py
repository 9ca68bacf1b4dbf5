"""Whose voice moves the mouth, with the real networks on a real recording: the user's, and not one across the room."""

from __future__ import annotations

import numpy as np
import pytest
from support.sound.rooms import RATE, at_db, in_room, whispered

from facewire.bridge.shared.arkit import BLENDSHAPE_INDEX
from facewire.models.assets.store import asset_path
from facewire.models.speech.causal import SpeechDriver
from facewire.models.speech.voice import VoiceDetector
from facewire.runtime.capture.sound.demo_sound import first_channel
from facewire.runtime.sound.blocks import SoundBlock
from facewire.runtime.sound.nearness import NearGate
from facewire.runtime.sound.resampler import MAX_BLOCK, Resampler
from facewire.runtime.speech.pipeline import SpeechPipeline

pytestmark = pytest.mark.models
JAW = BLENDSHAPE_INDEX["jawOpen"]
USER_DB, FAR_DB = -22.0, -42.0
SILENCE = np.zeros(RATE)


@pytest.fixture(scope="module")
def sentence():
    samples, rate = first_channel(asset_path("demo_speech"))
    return resampled(samples, rate)


def resampled(samples, rate):
    resampler = Resampler(rate)
    return np.concatenate([
        resampler.push(samples[at : at + MAX_BLOCK]).copy() for at in range(0, len(samples), MAX_BLOCK)
    ]).astype(float)  # fmt: skip


@pytest.fixture(scope="module")
def networks():
    return SpeechDriver(40), VoiceDetector()


def moved(networks, user, part, setting="auto"):
    """Return how far the jaw opens in ``part``, heard after ``user``, as a share of what it does in ``user``."""
    pipeline, jaw = SpeechPipeline(*networks, NearGate(setting)), []
    sound = np.concatenate([user, SILENCE, part])
    sound += 10 ** (-70 / 20) * np.random.default_rng(1).standard_normal(len(sound))
    for at in range(0, len(sound) - 159, 160):
        pipeline.feed(SoundBlock(sound[at : at + 160].astype(np.float32), RATE, at, at * 62_500, 1))
        while (tick := pipeline.step()) is not None:
            jaw.append(tick.blendshapes[JAW])
    begins = (len(user) + len(SILENCE)) * 60 // RATE
    return np.percentile(jaw[begins:], 95) / np.percentile(jaw[: len(user) * 60 // RATE], 95)


@pytest.mark.parametrize(("rt60_s", "direct_db"), [(0.3, -1.0), (0.5, -4.0), (0.8, -7.0)])
def test_a_far_voice_does_not_move_the_mouth(networks, sentence, rt60_s, direct_db):
    """Its level is that of the issue: 20 dB below the user's, who has said one sentence."""
    far = at_db(in_room(np.tile(sentence, 2), rt60_s, direct_db, np.random.default_rng(2)), FAR_DB)
    user = at_db(sentence, USER_DB)
    assert moved(networks, user, far) <= 0.2
    assert moved(networks, user, far, "off") > 0.6


def test_a_whisper_at_the_microphone_does(networks, sentence):
    whisper = at_db(whispered(np.tile(sentence, 2), np.random.default_rng(3)), FAR_DB)
    assert moved(networks, at_db(sentence, USER_DB), whisper) >= 0.6


def test_what_is_as_quiet_as_a_whisper_and_has_no_words_does_not(networks, sentence):
    rng, typing = np.random.default_rng(4), np.zeros(5 * RATE)
    for at in rng.integers(0, len(typing) - 800, 60):
        typing[at : at + 800] += rng.standard_normal(800) * np.exp(-np.arange(800) / 150)
    breath = rng.standard_normal(5 * RATE) * np.clip(np.sin(2 * np.pi * np.arange(5 * RATE) / RATE / 3), 0, None)
    for sound in (typing, breath):
        assert moved(networks, at_db(sentence, USER_DB), at_db(sound, -38.0)) <= 0.1


@pytest.mark.parametrize("level_db", [-16.0, -32.0, -45.0])
def test_the_user_s_first_word_moves_it_at_any_level(networks, sentence, level_db):
    pipeline, jaw = SpeechPipeline(*networks), []
    sound = at_db(sentence, level_db).astype(np.float32)
    for at in range(0, len(sound) - 159, 160):
        pipeline.feed(SoundBlock(sound[at : at + 160], RATE, at, at * 62_500, 1))
        while (tick := pipeline.step()) is not None:
            jaw.append(tick.blendshapes[JAW])
    begins = np.flatnonzero(np.abs(sound) > 0.1 * np.abs(sound).max())[0] * 60 // RATE
    assert np.max(jaw[begins : begins + 30]) > 0.1  # within half a second
