"""Thinning, back-off, message budget and clock estimate, with the clock as an argument."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from facewire.bridge.shared.clock import NS_PER_S
from facewire.bridge.wire.pacing import Backoff, Beat, ClockEstimate, MessageBudget, SourceInterval, Thinner


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


def merged(*sources: list[int]) -> list[int]:
    return sorted(time for source in sources for time in source)


def blocks(rate: float, seconds: float, block_s: float = 0.01) -> list[int]:
    """Return the times of ticks that are made of blocks: each comes with the end of a block."""
    block = round(block_s * NS_PER_S)
    return [-(-time // block) * block for time in steady(rate, seconds)]


UNEVEN = {
    "pairs": merged(steady(30, 20), [time + 1_000_000 for time in steady(30, 20)]),
    "ticks and pictures": merged(blocks(60, 20), [time + 3_300_000 for time in steady(22.3, 20)]),
    "blocks": blocks(60, 20),
    "two sources of one rate": merged(blocks(60, 20), [time + 3_300_000 for time in steady(59.9, 20)]),
    "jitter": sorted(steady(60, 20, 0.45)),
}


@pytest.mark.parametrize("name", UNEVEN)
@pytest.mark.parametrize("rate", [10, 24, 30, 40, 50, 60])
def test_an_uneven_stream_is_thinned_evenly_and_the_rate_is_reached(name: str, rate: float) -> None:
    times = UNEVEN[name]
    taken = [times[i] for i in thin(rate, times)]
    most_ns = max(b - a for a, b in pairwise(times)) + 1_000_000
    step_ns = NS_PER_S / rate
    assert max(abs(b - a - step_ns) for a, b in pairwise(taken)) <= most_ns
    assert len(taken) == pytest.approx(20 * rate, rel=0.006, abs=2)


def beats(pictures: list[int], ticks: list[int]) -> list[int]:
    beat = Beat()
    events = sorted(
        [(time, beat.picture) for time in pictures] + [(time, beat.tick) for time in ticks], key=lambda e: e[0]
    )
    return [time for time, ask in events if ask(time)]


@pytest.mark.parametrize("camera", [15, 22.3, 30, 60])
def test_pictures_that_are_not_faster_than_speech_are_published_with_it(camera: float) -> None:
    ticks = blocks(60, 20)
    published = beats([time + 3_300_000 for time in steady(camera, 20, 0.1)], ticks)
    assert published[10:] == ticks[-len(published) + 10 :]


def test_speech_joins_pictures_that_are_faster() -> None:
    pictures = steady(120, 20, 0.1)
    published = beats(pictures, blocks(60, 20))
    assert len(published) == pytest.approx(len(pictures), abs=10)
    assert set(published[20:]) <= set(pictures)


def test_what_still_comes_is_published_when_the_other_stops() -> None:
    pictures, ticks = steady(30, 4), blocks(60, 2)
    assert len([time for time in beats(pictures, ticks) if time > 3 * NS_PER_S + 100_000_000]) >= 56
    fast = steady(120, 2)
    assert len([time for time in beats(fast, blocks(60, 4)) if time > 3 * NS_PER_S + 100_000_000]) >= 110
