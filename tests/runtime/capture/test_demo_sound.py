"""The demo's speech: what is heard when, and whose mouth it moves."""

from __future__ import annotations

import wave

import numpy as np
import pytest

from facewire.models.assets.store import asset_path
from facewire.runtime.capture.sound.choose_sound import choose_sound
from facewire.runtime.capture.sound.demo_sound import PAUSE_S, DemoSound, first_channel
from facewire.runtime.session.options import InputOptions
from facewire.runtime.sound.blocks import SoundRing

RATE, START_NS = 8_000, 10**9


class Clock:
    """Time that passes only where somebody waits; in the place of what interrupts a wait, too."""

    def __init__(self):
        self.now_ns, self.interrupted = START_NS, False

    def __call__(self):
        return self.now_ns

    def wait(self, seconds):
        self.now_ns += round(seconds * 1e9)
        return self.interrupted

    def is_set(self):
        return self.interrupted


@pytest.fixture
def recording(tmp_path):
    """Write a little more than a second of a voice, with something else on the other channel."""
    voice = (np.arange(RATE + 20) % 100 + 1).astype("<i2")
    with wave.open(str(tmp_path / "voice.wav"), "wb") as file:
        file.setparams((2, 2, RATE, 0, "NONE", "not compressed"))
        file.writeframes(np.stack([voice, np.full_like(voice, 9_999)], axis=1).tobytes())
    return tmp_path / "voice.wav", voice / 32768


def test_the_sentence_comes_round_at_its_pace_with_a_pause_between(recording):
    path, voice = recording
    clock, ring = Clock(), SoundRing()
    sound = DemoSound(path, clock=clock)
    sound._interrupted = clock
    ring.begin()
    sound.open(ring)
    heard = []
    while sum(map(len, heard)) < 2.2 * (len(voice) + PAUSE_S * RATE):
        assert sound.pump()
        block = ring.take(0)
        assert block.start_ns == START_NS + block.first_sample * 10**9 // RATE
        spoken_ns = START_NS + (block.first_sample + len(block.samples)) * 10**9 // RATE
        assert clock.now_ns == pytest.approx(spoken_ns, abs=2)
        heard.append(block.samples.copy())
    round_ = np.concatenate([voice, np.zeros(round(PAUSE_S * RATE))])
    heard = np.concatenate(heard)
    np.testing.assert_allclose(heard, np.resize(round_, len(heard)), atol=1e-7)
    clock.interrupted = True
    assert not sound.pump()
    assert ring.take(0) is None


def test_demo_is_a_source_of_sound_and_is_fetched_only_where_it_is_wanted(recording):
    def fetch():
        fetched.append(True)
        return recording[0]

    fetched: list[bool] = []
    assert choose_sound("none", loop=False, demo_speech=fetch) is None
    assert not fetched
    assert isinstance(choose_sound("demo", loop=False, demo_speech=fetch), DemoSound)
    assert fetched


@pytest.mark.models
def test_the_sentence_is_speech_between_two_silences():
    voice, rate = first_channel(asset_path("demo_speech"))
    loudness = [float(np.sqrt(np.mean(part**2))) for part in np.array_split(voice, 35)]
    assert (rate, len(voice) / rate) == (32_000, 3.53)
    assert max(loudness[0], loudness[-1]) < 0.001  # The other channel is loud from end to end.
    assert np.median(loudness) > 0.03


@pytest.mark.parametrize(
    ("video", "audio", "mouth", "mode", "chosen"),
    [
        ("demo", "demo", "auto", "auto", "mouth"),
        ("demo", "demo", "video", "auto", "auto"),
        ("demo", "demo", "auto", "camera", "camera"),
        ("demo", "auto", "auto", "auto", "auto"),
        ("0", "demo", "auto", "auto", "auto"),
        ("0", "auto", "audio", "auto", "mouth"),
        ("0", "auto", "audio", "microphone", "microphone"),
    ],
)
def test_only_the_demo_face_is_given_the_demo_s_speech_unasked(video, audio, mouth, mode, chosen):
    assert InputOptions(video=video, audio=audio, mouth=mouth, mode=mode).driven_by == chosen
