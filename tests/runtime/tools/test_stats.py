"""Sliding windows of rates and medians."""

from __future__ import annotations

import pytest

from facewire.runtime.tools.stats import CAPACITY, SPAN_NS, Window

S = 1_000_000_000


def test_a_window_with_nothing_in_it():
    window = Window()
    assert window.rate(5 * S) == 0
    assert window.median(5 * S) is None


def test_a_steady_source_reads_its_rate_and_median():
    window = Window()
    for i in range(200):
        window.add(i * S // 30, 5.0 if i % 3 else 50.0)
    now = 199 * S // 30 + S // 100
    assert window.rate(now) == pytest.approx(30.0, abs=0.01)
    assert window.median(now) == 5.0


def test_a_source_that_stops_fades_and_then_reads_nothing():
    window = Window()
    for i in range(100):
        window.add(i * S // 30, 1.0)
    last = 99 * S // 30
    assert window.rate(last + S) < 25
    assert window.rate(last + SPAN_NS + 1) == 0
    assert window.median(last + SPAN_NS + 1) is None


def test_old_values_are_pushed_out_of_the_ring():
    window = Window()
    for i in range(3 * CAPACITY):
        window.add(i * 1000, float(i))
    assert window.median(3 * CAPACITY * 1000) == pytest.approx(2.5 * CAPACITY, abs=1)
