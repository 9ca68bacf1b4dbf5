"""The base of the threads that work in turns."""

from __future__ import annotations

import threading
import time

import pytest

from facewire.bridge.shared.worker import Worker


class Counter(Worker):
    """Counts its turns to three."""

    def __init__(self, *, until=3, fails_at=None, survives=True, clock=lambda: 7):
        super().__init__("counter", clock)
        self.until, self.fails_at, self.survives = until, fails_at, survives
        self.turns, self.errors, self.finished = [], [], 0
        self.bell = threading.Event()

    def wait(self):
        if self.until is None:
            self.bell.wait()

    def wake(self):
        self.bell.set()

    def turn(self, now_ns):
        self.turns.append(now_ns)
        if len(self.turns) == self.fails_at:
            raise ValueError("a turn")
        return len(self.turns) != self.until

    def goes_on(self, error):
        self.errors.append(str(error))
        return self.survives

    def finish(self):
        self.finished += 1


def test_a_worker_makes_turns_until_there_are_no_more():
    worker = Counter()
    worker.start()
    assert worker.ended.wait(30)
    assert worker.join(30)
    assert worker.turns == [7, 7, 7]
    assert worker.finished == 1


def test_a_turn_that_fails_ends_only_a_worker_that_does_not_outlive_it():
    for survives, turns in ((True, 3), (False, 2)):
        worker = Counter(fails_at=2, survives=survives)
        worker.start()
        assert worker.ended.wait(30)
        assert (len(worker.turns), worker.errors, worker.finished) == (turns, ["a turn"], int(survives))


def test_stop_wakes_a_worker_that_waits_and_may_be_called_twice():
    worker = Counter(until=None)
    worker.start()
    assert worker.running
    start = time.monotonic()
    worker.stop(60)
    worker.stop(60)
    assert time.monotonic() - start < 30
    assert not worker.running
    assert worker.ended.is_set()


def test_a_worker_is_stopped_without_a_start_and_from_its_own_turn():
    worker = Counter()
    worker.stop()
    assert worker.ended.is_set()

    class Stops(Counter):
        def turn(self, now_ns):
            self.stop()
            return super().turn(now_ns)

    worker = Stops()
    worker.start()
    assert worker.ended.wait(30)
    assert worker.join(30)
    assert worker.turns == [7]


@pytest.mark.parametrize("method", ["wait", "turn"])
def test_a_subclass_says_what_it_does(method):
    with pytest.raises(NotImplementedError):
        getattr(Worker("nothing", lambda: 0), method)(*([0] if method == "turn" else []))
