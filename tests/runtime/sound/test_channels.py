"""Which of several channels is listened to."""

from __future__ import annotations

import numpy as np
import pytest

from facewire.runtime.sound.blocks import SoundRing
from facewire.runtime.sound.channels import LONGEST_RUN, MAX_CHANNELS, ChannelPicker

RATE = 48_000


def words(seconds=3.0, level=0.1, seed=1):
    """Return syllables: noise of speech's bandwidth that comes and goes four times a second."""
    rng, n = np.random.default_rng(seed), round(seconds * RATE)
    sound = np.convolve(rng.standard_normal(n), np.ones(12) / 12, "same")
    loud = np.clip(np.sin(2 * np.pi * 4 * np.arange(n) / RATE), 0, None)
    return (level * sound * loud / np.sqrt(np.mean((sound * loud) ** 2))).astype(np.float32)


def noise(level=1.8e-4, seconds=3.0, seed=0):
    return (level * np.random.default_rng(seed).standard_normal(round(seconds * RATE))).astype(np.float32)


def picked(channels, cuts=(480,)):
    samples, picker, out, at, k = np.stack(channels, 1), ChannelPicker(), [], 0, 0
    while at < len(samples):
        part = samples[at : at + cuts[k % len(cuts)]]
        out.append(np.zeros(len(part), np.float32))
        picker.push(part, RATE, out[-1])
        at, k = at + len(part), k + 1
    return np.concatenate(out)


def test_two_channels_in_opposite_phase_are_no_silence():
    voice = words()
    np.testing.assert_allclose(np.abs(picked([voice, -voice])), np.abs(voice), atol=1e-6)


@pytest.mark.parametrize(("channels", "live"), [(2, 1), (4, 2), (8, 2), (10, 9), (32, 31), (MAX_CHANNELS, 40)])
def test_one_live_channel_of_many_loses_nothing_of_its_first_word(channels, live):
    voice, silence = words(), 0.2
    late = np.concatenate([np.zeros(round(silence * RATE), np.float32), voice])[: len(voice)]
    for heard in (voice, late):
        sound = [noise(seed=c) for c in range(channels)]
        sound[live] = sound[live] + heard
        difference = picked(sound) - sound[live]
        begins = 0 if heard is voice else round(silence * RATE)
        lost = np.flatnonzero(np.abs(difference[begins:]) > 0.02)
        assert lost.max(initial=0) < 0.03 * RATE


@pytest.mark.parametrize("hum_hz", [50, 120])
def test_a_hum_on_another_channel_is_not_taken_for_the_voice(hum_hz):
    hum = (0.1 * np.sin(2 * np.pi * hum_hz * np.arange(3 * RATE) / RATE)).astype(np.float32)
    voice = np.concatenate([np.zeros(RATE, np.float32), words(2.0, 0.07)]) + noise()
    difference = np.abs(picked([hum, noise(seed=3), voice]) - voice)[RATE:]
    assert np.mean(difference[round(0.06 * RATE) :] > 1e-6) < 0.01


def test_however_the_stream_is_cut_the_same_comes_out():
    rng, voice = np.random.default_rng(4), words()
    sound = [noise(0.01, seed=5), np.roll(voice, RATE), voice]
    whole = picked(sound, (len(voice),))
    for cuts in ((480,), (1, 7, 441), tuple(rng.integers(1, 3 * LONGEST_RUN, 20))):
        np.testing.assert_array_equal(picked(sound, cuts), whole)


def test_what_is_no_number_does_not_stay():
    voice = words()
    broken = voice.copy()
    broken[100:200] = np.nan
    assert np.isfinite(picked([broken, voice])[RATE:]).all()


def test_the_ring_keeps_the_voice_s_channel_and_every_stream_begins_anew():
    ring, voice = SoundRing(), words(0.5)
    ring.begin()
    ring.write(np.stack([voice, -voice], 1)[:480], RATE, 0)
    np.testing.assert_array_equal(np.abs(ring.take(0).samples), np.abs(voice[:480]))
    data = np.frombuffer(np.stack([noise(seconds=0.5), voice], 1).tobytes(), np.float32).reshape(-1, 2)
    ring.write(data, RATE, 0)  # as PortAudio gives it: read-only
    assert ring._channels.channel == 1
    ring.begin()
    assert ring._channels.channel == 0
