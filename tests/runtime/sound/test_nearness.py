"""Whose voice moves the mouth: the user's, loud or whispered, and not one across the room."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from support.sound.rooms import RATE, at_db, in_room, speech_db, whispered

from facewire.runtime.sound.nearness import HOP, NearGate

USER_DB, FAR_DB = -22.0, -42.0
QUIET = 0.2


def spoken(seconds, seed=0, pitch_hz=120.0):
    """Return something like a voice: syllables of vowels with a moving pitch, and a hiss before each."""
    rng, n = np.random.default_rng(seed), round(seconds * RATE)
    out, at = np.zeros(n), 0
    while at < n - RATE:
        length, hiss = round(rng.uniform(0.12, 0.3) * RATE), round(rng.uniform(0.03, 0.09) * RATE)
        out[at : at + hiss] += 0.05 * np.diff(rng.standard_normal(hiss + 1))
        time = np.arange(length) / RATE
        phase = 2 * np.pi * np.cumsum(pitch_hz * (1 + rng.uniform(-0.3, 0.3) * time)) / RATE
        first, second = rng.uniform(300, 800), rng.uniform(900, 2200)
        vowel = np.zeros(length)
        for k in range(1, 30):
            hz = k * pitch_hz
            vowel += np.sin(k * phase) * (
                np.exp(-(((hz - first) / 150) ** 2)) + 0.4 * np.exp(-(((hz - second) / 250) ** 2))
            )
        out[at + hiss : at + hiss + length] += vowel * np.sin(np.pi * np.arange(length) / length)
        at += hiss + length + round(rng.uniform(0.02, 0.12) * RATE)
    return out


def noise(n, level_db=-72.0):
    return 10 ** (level_db / 20) * np.random.default_rng(9).standard_normal(n)


def shares(gate, samples, cuts=(HOP,)):
    """Return the gate's shares; speech is found where sound passes that is louder than the room."""
    samples, out = samples.astype(np.float32), np.zeros(len(samples), np.float32)
    at, k = 0, 0
    while at < len(samples):
        part = samples[at : at + cuts[k % len(cuts)]]
        voice = float(gate.share > 0.3 and np.mean(part**2) > 1e-6)
        gate.shares(part, voice, out[at : at + len(part)])
        at, k = at + len(part), k + 1
    return out


def heard(*parts, gate=None):
    """Return each part's shares where there is speech; a second of silence lies between two."""
    gate, silence = gate or NearGate(), np.zeros(RATE)
    whole = np.concatenate([np.concatenate([part, silence]) for part in parts])
    whole = shares(gate, whole + noise(len(whole)))
    found, at = [], 0
    for part in parts:
        loud = np.repeat(np.mean(part[: len(part) // 320 * 320].reshape(-1, 320) ** 2, axis=1), 320)
        found.append(whole[at : at + len(loud)][loud > 10 ** (speech_db(part) / 10 - 2)])
        at += len(part) + RATE
    return found


def user(seconds=4.0, level_db=USER_DB, seed=0):
    return at_db(spoken(seconds, seed), level_db)


@pytest.mark.parametrize(("rt60_s", "direct_db"), [(0.3, 0.0), (0.5, -4.0), (0.8, -8.0)])
@pytest.mark.parametrize("pitch_hz", [100.0, 220.0])
def test_a_far_voice_does_not_pass_and_the_user_does_before_and_after(rt60_s, direct_db, pitch_hz):
    far = at_db(in_room(spoken(6.0, 3, pitch_hz), rt60_s, direct_db, np.random.default_rng(1)), FAR_DB)
    first, across, again = heard(user(), far, user(seed=5))
    assert first.min() > 0.99  # from the first sample on
    assert across.mean() < 0.15
    assert again.mean() > 0.95


def test_the_first_syllable_opens_it_at_once():
    gate = NearGate()
    heard(user(), gate=gate)
    far, syllable = user(3.0, FAR_DB, 3), np.zeros(RATE // 4)
    syllable[800:] = 0.1 * np.sin(2 * np.pi * 150 * np.arange(RATE // 4 - 800) / RATE)
    passed = shares(gate, np.concatenate([far, syllable]) + noise(len(far) + len(syllable)))[len(far) :]
    assert passed[:800].mean() < 0.2
    assert passed[800 + 3 * HOP :].min() == 1.0  # within 30 ms


def test_a_quiet_voice_that_is_never_louder_does_not_pass_without_echo():
    _, quiet = heard(user(), user(8.0, FAR_DB, 3))
    assert quiet.mean() < 0.15
    assert quiet[5 * RATE // 2 :].max() <= QUIET


@pytest.mark.parametrize("level_db", [USER_DB, -32.0, FAR_DB])
def test_the_user_s_whisper_passes(level_db):
    rng = np.random.default_rng(2)
    _, whisper = heard(user(), at_db(whispered(spoken(6.0, 4), rng), level_db))
    assert whisper.mean() > 0.75
    assert whisper[RATE:].mean() > 0.9


def test_a_soft_word_and_the_end_of_a_sentence_pass():
    _, soft = heard(user(), user(4.0, USER_DB - 8, 6))
    assert soft.mean() > 0.9


def test_who_speaks_quietly_from_the_beginning_is_the_user():
    first, _, after = heard(user(4.0, -50.0), user(4.0, -26.0), user(4.0, -50.0))
    assert first.min() > 0.99
    assert after.mean() < 0.4  # somebody else, as it turned out


def test_a_shout_does_not_shut_the_user_out():
    shout = user(2.0, USER_DB + 14, 7)
    _, _, after = heard(user(20.0), shout, user(4.0, seed=8))
    assert after.mean() > 0.9


def test_a_microphone_that_was_turned_down_is_believed_in_the_end():
    gate = NearGate()
    heard(user(), gate=gate)
    before = gate.usual_db
    *_, last = heard(*[user(30.0, FAR_DB, seed) for seed in range(5)], gate=gate)
    assert gate.usual_db < before - 15
    assert last.mean() > 0.9


def test_a_known_level_counts_from_the_first_word_and_outlives_a_stream():
    gate = NearGate()
    gate.expect(USER_DB)
    far, near = heard(user(4.0, FAR_DB, 3), user(), gate=gate)
    assert far.mean() < 0.2
    assert near.mean() > 0.95
    known = gate.usual_db
    gate.reset()
    assert gate.usual_db == known
    assert heard(user(4.0, FAR_DB, 3), gate=gate)[0].mean() < 0.25


def test_it_can_be_set_and_switched_off():
    far = user(4.0, FAR_DB, 3)
    assert heard(user(), far, gate=NearGate("off"))[1].min() == 1.0
    assert heard(far, user(), gate=NearGate(-30.0))[0].mean() < 0.3
    assert heard(far, user(), gate=NearGate(-30.0))[1].mean() > 0.9
    assert heard(user(), far, gate=NearGate(-65.0))[1].mean() > 0.98


def test_however_the_stream_is_cut_the_same_comes_out():
    sound = np.concatenate([user(), np.zeros(RATE), user(4.0, FAR_DB, 3)])
    sound = (sound + noise(len(sound))).astype(np.float32)

    def cut(sizes):
        gate, out, at, k = NearGate(), np.zeros(len(sound), np.float32), 0, 0
        while at < len(sound):
            part = sound[at : at + sizes[k % len(sizes)]]
            gate.shares(part, 1.0, out[at : at + len(part)])
            at, k = at + len(part), k + 1
        return out

    whole = cut((len(sound),))
    assert whole.min() < 0.1
    for sizes in ((HOP,), (1, 7, 333), (512,)):
        np.testing.assert_array_equal(cut(sizes), whole)


def test_what_is_no_number_is_silence():
    sound = user().astype(np.float32)
    sound[1000:1200] = np.nan
    assert np.isfinite(shares(NearGate(), sound)).all()


def test_no_step_allocates():
    gate, sound, out = NearGate(), user(1.0).astype(np.float32), np.zeros(HOP, np.float32)
    parts = [sound[at : at + HOP] for at in range(0, len(sound) - HOP, HOP)]
    gate.shares(parts[0], 1.0, out)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for part in parts * 10:
        gate.shares(part, 1.0, out)
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert after - before < 2000
