"""The resampler against sines, and streams against one go."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from facewire.bridge.shared.errors import FacewireError
from facewire.runtime.sound.resampler import MAX_BLOCK, Resampler

RATES = (8_000, 11_025, 16_000, 22_050, 44_100, 44_056, 48_000, 96_000, 192_000)


def sine(hz, rate, seconds=0.5):
    return np.sin(2 * np.pi * hz * np.arange(round(rate * seconds)) / rate).astype(np.float32)


def run(resampler, samples, sizes):
    out, at, turn = [], 0, 0
    while at < len(samples):
        size = sizes[turn % len(sizes)]
        out.append(resampler.push(samples[at : at + size]).copy())
        at, turn = at + size, turn + 1
    return np.concatenate(out)


@pytest.mark.parametrize("rate", RATES)
def test_what_speech_has_is_kept_in_its_place(rate):
    for hz in (100, 1000, 3000):
        got = run(Resampler(rate), sine(hz, rate), (MAX_BLOCK,))
        assert abs(len(got) - 8000) <= 1 + 16000 * Resampler(rate).delay_s + 1
        error = (got - sine(hz, 16_000)[: len(got)])[100:-100]
        assert np.abs(error).max() < 2e-4, hz


@pytest.mark.parametrize("rate", [22_050, 44_100, 48_000, 192_000])
def test_what_16_khz_cannot_have_is_gone(rate):
    for hz in (8_500, 9_000, 10_900):
        got = run(Resampler(rate), sine(hz, rate), (MAX_BLOCK,))
        assert np.sqrt(np.mean(got[200:-200] ** 2)) < 1e-4, hz


@pytest.mark.kernels
@pytest.mark.parametrize("rate", RATES)
def test_streaming_gives_what_one_go_gives(rate):
    samples = np.random.default_rng(rate).normal(size=rate // 4).astype(np.float32)
    whole = run(Resampler(rate), samples, (MAX_BLOCK,))
    for sizes in ((rate // 100,), (1, 7, 0, 441, 4000), (3,)):
        np.testing.assert_array_equal(run(Resampler(rate), samples, sizes), whole)


def test_reset_forgets():
    resampler, samples = Resampler(44_100), sine(300, 44_100)
    first = run(resampler, samples, (441,))
    resampler.reset()
    np.testing.assert_array_equal(run(resampler, samples, (441,)), first)


def test_constant_stays_constant():
    got = run(Resampler(44_100), np.ones(8000, np.float32), (441,))
    np.testing.assert_allclose(got[200:], 1.0, atol=1e-6)


def test_an_hour_of_blocks_gives_every_sample_and_allocates_nothing():
    resampler, block, count = Resampler(44_100), np.zeros(441, np.float32), 0
    resampler.push(block)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    for _ in range(20_000):
        count += len(resampler.push(block))
    peak = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    assert peak < 2000
    assert count == 20_000 * 160


@pytest.mark.parametrize("rate", [0, -1, 3_999, 400_000])
def test_a_rate_that_is_none_is_one_line(rate):
    with pytest.raises(FacewireError, match="out of range"):
        Resampler(rate)


def test_a_block_that_is_too_large_is_refused():
    with pytest.raises(FacewireError, match="more than a block"):
        Resampler(48_000).push(np.zeros(MAX_BLOCK + 1, np.float32))
