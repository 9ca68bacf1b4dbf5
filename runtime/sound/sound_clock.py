"""When a sample was captured, by the session's clock: the sound card's clock jitters, and runs at a pace of its own."""

from __future__ import annotations

import math

from facewire.bridge.shared.clock import NS_PER_S

WIDE_HZ, NARROW_HZ = 1.0, 0.05
"""Bandwidth of the loop at first, and once it has settled: cards drift by their temperature, over minutes."""
SETTLE_S = 2.0
JUMP_S = 0.05
"""A block that is farther from where it should be means that samples were lost, or that the driver did not know before:
the line starts again there."""
MOST_DRIFT = 2e-3
"""No card is so far off; what seems to be is a mistake in the stamps."""


class SoundClock:
    """A line from sample numbers to the session clock, fitted as blocks come: a delay-locked loop.

    F. Adriaensen, "Using a DLL to filter time" (2005), with blocks of any length. State: the line; its stamps are
    as smooth as a clock's, lie on average where the driver's do, and follow any drift, so that an hour of speech is as
    much in time at its end as at its beginning.
    """

    def __init__(self, rate: int) -> None:
        self._nominal_s = 1.0 / rate
        self.reset()

    def reset(self) -> None:
        """Forget the line: the next block begins a new one."""
        self._origin_ns: int | None = None
        self._sample = 0
        self._time_s = 0.0
        self._pace_s = self._nominal_s
        self._locked_s = 0.0
        self.jumps = 0
        """How often the line had to start again."""

    @property
    def drift(self) -> float:
        """How much slower the card's clock is than the session's, as a share (1e-4 is 0.36 s in an hour)."""
        return self._pace_s / self._nominal_s - 1.0

    def update(self, first_sample: int, start_ns: int) -> None:
        """Take a block's first sample and when the driver says that it was captured."""
        if self._origin_ns is None:
            self._begin(first_sample, start_ns)
            return
        passed_s = (first_sample - self._sample) * self._pace_s
        expected_s = self._time_s + passed_s
        error_s = (start_ns - self._origin_ns) * 1e-9 - expected_s
        if abs(error_s) > JUMP_S or first_sample < self._sample:
            self.jumps += 1
            pace_s = self._pace_s
            self._begin(first_sample, start_ns)
            self._pace_s = pace_s
            return
        self._locked_s += passed_s
        bandwidth_hz = WIDE_HZ if self._locked_s < SETTLE_S else NARROW_HZ
        turn = 2.0 * math.pi * bandwidth_hz * passed_s
        self._time_s = expected_s + min(math.sqrt(2.0) * turn, 1.0) * error_s
        if passed_s > 0.0:
            pace_s = self._pace_s + min(turn * turn, 0.25) * error_s * (self._nominal_s / passed_s)
            most_s = MOST_DRIFT * self._nominal_s
            self._pace_s = min(max(pace_s, self._nominal_s - most_s), self._nominal_s + most_s)
        self._sample = first_sample

    def at_ns(self, sample: float) -> int:
        """When a sample was captured; places between samples are fine. 0 before the first block."""
        if self._origin_ns is None:
            return 0
        return self._origin_ns + round((self._time_s + (sample - self._sample) * self._pace_s) * NS_PER_S)

    def _begin(self, first_sample: int, start_ns: int) -> None:
        self._origin_ns, self._sample, self._time_s = start_ns, first_sample, 0.0
        self._locked_s = 0.0
