"""Stamps of samples under jitter, drift, bursts and gaps."""

from __future__ import annotations

import numpy as np
import pytest

from facewire.runtime.sound.sound_clock import SoundClock

RATE = 48_000
BLOCK = 480


def follow(seconds, ppm, jitter_ms, *, rate=RATE, seed=1, burst=1):
    """Follow a card that runs ``ppm`` slow, its stamps jittering; return the clock's errors in ms over time."""
    rng, clock, errors = np.random.default_rng(seed), SoundClock(rate), []
    pace_ns = 1e9 / rate * (1 + ppm * 1e-6)
    for block in range(int(seconds * rate / BLOCK)):
        true_ns = 5_000_000_000 + block * BLOCK * pace_ns
        late_ms = abs(rng.normal(0, jitter_ms)) + (block % burst) * -10.0 * (burst > 1)
        clock.update(block * BLOCK, round(true_ns + late_ms * 1e6))
        errors.append((clock.at_ns(block * BLOCK) - true_ns) * 1e-6)
    return clock, np.array(errors)


@pytest.mark.parametrize("ppm", [-300, 0, 50, 300])
def test_an_hour_of_drift_is_followed(ppm):
    clock, errors = follow(3600, ppm, 0.0)
    assert np.abs(errors).max() < 2.0
    assert np.abs(errors[len(errors) // 2 :]).max() < 0.2
    assert clock.drift * 1e6 == pytest.approx(ppm, abs=2)
    assert clock.jumps == 0


def test_jitter_is_smoothed_away():
    _, errors = follow(300, 100, 4.0)
    settled = errors[6000:]
    assert settled.std() < 0.6  # the stamps' own is 2.4
    assert np.abs(np.diff(settled)).max() < 0.2  # and no frame's stamp jumps
    assert 2.0 < settled.mean() < 4.5  # late stamps are late on average: nobody can know


def test_stamps_between_blocks_follow_the_line():
    clock, _ = follow(60, 100, 0.0)
    last = int(60 * RATE / BLOCK) * BLOCK - BLOCK
    gap_ms = (clock.at_ns(last + 240) - clock.at_ns(last)) * 1e-6
    assert gap_ms == pytest.approx(5.0, abs=0.01)


def test_a_gap_moves_the_line_at_once():
    clock = SoundClock(RATE)
    for block in range(500):
        clock.update(block * BLOCK, block * 10_000_000)
    for block in range(500, 600):
        clock.update(block * BLOCK, block * 10_000_000 + 800_000_000)
        assert clock.at_ns(block * BLOCK) == pytest.approx(block * 10_000_000 + 800_000_000, abs=1_000_000)
    assert clock.jumps == 1


def test_mad_stamps_bend_the_pace_within_reason():
    clock = SoundClock(RATE)
    for block in range(2000):
        clock.update(block * BLOCK, round(block * 10_400_000))  # 4 % off: no card is
    assert abs(clock.drift) < 2.01e-3


def test_before_the_first_block_there_is_no_time():
    assert SoundClock(RATE).at_ns(100) == 0
