"""Who may wait at the door, and who goes: pure, with the time as an argument."""

from __future__ import annotations

import pytest

from facewire.bridge.server.arrival.arrivals import Arrivals, Guesses, address_key

S = 1_000_000_000


def test_the_newest_gets_a_place_and_the_oldest_of_its_address_goes() -> None:
    arrivals: Arrivals[str] = Arrivals(most=10, most_per_address=3)
    assert [arrivals.add("a", f"a{i}", S) for i in range(3)] == [None] * 3
    assert arrivals.add("b", "b0", S) is None
    assert arrivals.add("a", "a3", S) == "a0"
    arrivals.remove("a", "a0")
    arrivals.remove("a", "a1")  # It has finished its handshake: no longer counted.
    assert arrivals.add("a", "a4", S) is None
    assert len(arrivals) == 4


def test_when_all_places_are_taken_the_address_with_the_most_gives_way() -> None:
    arrivals: Arrivals[str] = Arrivals(most=4, most_per_address=4)
    assert arrivals.add("quiet", "q", S) is None
    assert [arrivals.add("loud", f"l{i}", S) for i in range(3)] == [None] * 3
    assert arrivals.add("other", "o", S) == "l0"


def test_each_has_its_own_deadline() -> None:
    arrivals: Arrivals[str] = Arrivals(most=4, most_per_address=4)
    arrivals.add("a", "silent", 5 * S)
    arrivals.add("a", "reads a page", 5 * S)
    arrivals.extend("a", "reads a page", 60 * S)
    assert arrivals.overdue(5 * S - 1) == []
    assert arrivals.overdue(5 * S) == ["silent"]
    assert set(arrivals.overdue(60 * S)) == {"silent", "reads a page"}


def test_wrong_tokens_wait_ever_longer_by_address_and_are_forgiven() -> None:
    guesses = Guesses()
    holds = [guesses.wrong("a", 0) for _ in range(100)]
    assert holds[:5] == [0] * 5
    assert holds[5:] == sorted(holds[5:])
    assert 0 < holds[5] < 0.5
    assert holds[-1] == guesses.MOST_S < 4  # What the Unity client waits for the answer to a handshake.
    assert guesses.wrong("b", 0) == 0
    assert guesses.wrong("a", 60 * S) > 0
    assert guesses.wrong("a", 200 * S) == 0


def test_a_crowd_of_guessing_addresses_is_bounded() -> None:
    guesses = Guesses()
    for i in range(5000):
        guesses.wrong(f"10.0.{i >> 8}.{i & 255}", i)
    assert len(guesses._wrong) == guesses.ADDRESSES


@pytest.mark.parametrize(
    ("host", "key"),
    [
        ("192.168.1.5", "192.168.1.5"),
        ("::ffff:192.168.1.5", "192.168.1.5"),
        ("::1", "::1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::"),
        ("fe80::1%eth0", "fe80::"),
        ("", ""),
    ],
)
def test_an_address_is_counted_as_one_however_it_is_written(host: str, key: str) -> None:
    assert address_key(host) == key
