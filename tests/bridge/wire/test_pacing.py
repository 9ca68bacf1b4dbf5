"""Thinning, back-off, message budget and clock estimate, with the clock as an argument."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from facewire.bridge.shared.clock import NS_PER_S
from facewire.bridge.wire.pacing import Backoff, ClockEstimate, MessageBudget, SourceInterval, Thinner


def thin(rate: float, times_ns: list[int]) -> list[int]:
    """Return the indices of the frames that a thinner lets through."""
    thinner, interval = Thinner(rate), SourceInterval()
    return [i for i, now_ns in enumerate(times_ns) if thinner.take(now_ns, interval.update(now_ns))]


def steady(rate: float, seconds: float, jitter: float = 0.0, seed: int = 0) -> list[int]:
    """Return the times of a source: ``jitter`` is the largest shift, in parts of its spacing."""
    draw = random.Random(seed)
    step = NS_PER_S / rate
    return [int((i + draw.uniform(-jitter, jitter)) * step) + NS_PER_S for i in range(int(rate * seconds))]


@pytest.mark.parametrize("jitter", [0.0, 0.2, 0.3])
def test_half_rate_takes_every_second_frame_whatever_the_jitter(jitter: float) -> None:
    taken = thin(30, steady(60, 20, jitter))
    gaps = [b - a for a, b in pairwise(taken)]
    assert set(gaps[10:]) == {2}
    assert len(taken) == pytest.approx(600, abs=2)


def test_sixty_thinned_to_forty_gives_two_of_three() -> None:
    taken = thin(40, steady(60, 10))
    assert len(taken) == pytest.approx(400, abs=2)
    gaps = [b - a for a, b in pairwise(taken)]
    assert set(gaps) == {1, 2}
    assert all(sum(gaps[i : i + 2]) == 3 for i in range(10, len(gaps) - 2, 2))


@pytest.mark.parametrize(("source", "rate"), [(60, 60), (30, 60), (59.94, 60), (25, 24.999999)])
def test_a_rate_at_or_above_the_source_takes_all_but_a_beat(source: float, rate: float) -> None:
    times = steady(source, 20, 0.2)
    assert len(thin(rate, times)) >= len(times) - 1


def test_mean_rate_never_exceeds_the_limit() -> None:
    for rate in (1, 7, 24, 29.97, 45, 59):
        assert len(thin(rate, steady(60, 60, 0.4, seed=int(rate)))) <= rate * 60 + 2


def test_a_pause_is_followed_by_no_burst() -> None:
    times = steady(60, 2) + [t + 10 * NS_PER_S for t in steady(60, 2)]
    taken = [i - 120 for i in thin(20, times) if i >= 120]
    assert taken[:3] == [0, 3, 6]


def test_a_clock_that_was_set_back_does_not_silence_the_stream() -> None:
    times = [t + 100 * NS_PER_S for t in steady(60, 1)] + steady(60, 1)
    assert sum(i >= 60 for i in thin(30, times)) >= 29


def test_backoff_doubles_to_its_ceiling_within_its_random_part() -> None:
    shortest, longest = Backoff(lambda: 0.0), Backoff(lambda: 1.0)
    assert [shortest.next_s() for _ in range(6)] == [0.05, 0.1, 0.2, 0.4, 0.75, 0.75]
    assert [longest.next_s() for _ in range(6)] == [0.1, 0.2, 0.4, 0.8, 1.5, 1.5]
    longest.reset()
    assert longest.next_s() == 0.1


def test_backoff_survives_a_weekend() -> None:
    backoff = Backoff(lambda: 1.0)
    assert max(backoff.next_s() for _ in range(200_000)) == 1.5


def test_message_budget_allows_a_burst_then_its_rate() -> None:
    budget = MessageBudget(rate=10, burst=5)
    assert [budget.spend(0) for _ in range(6)] == [True] * 5 + [False]
    assert not budget.spend(NS_PER_S // 20)
    assert budget.spend(NS_PER_S // 5)
    assert sum(budget.spend(10 * NS_PER_S) for _ in range(10)) == 5


def test_clock_estimate_trusts_the_shortest_round_trip() -> None:
    draw = random.Random(1)
    estimate = ClockEstimate()
    offset_ns = 5_000_000_000
    for i in range(20):
        sent_ns = i * NS_PER_S
        there_ns, back_ns = (
            (200_000, 200_000) if i == 15 else (draw.randrange(10**6, 10**7), draw.randrange(10**6, 10**7))
        )
        estimate.update(sent_ns, sent_ns + there_ns + offset_ns, sent_ns + there_ns + back_ns)
    assert estimate.offset_ns == offset_ns
    assert estimate.round_trip_ns == 400_000


def test_clock_estimate_follows_a_clock_that_drifts() -> None:
    estimate = ClockEstimate()
    for i in range(100):
        estimate.update(i * NS_PER_S, i * NS_PER_S + 500_000 + i * 100_000, i * NS_PER_S + 1_000_000)
    assert estimate.offset_ns == pytest.approx(99 * 100_000, abs=8 * 100_000)
