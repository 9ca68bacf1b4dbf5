"""Sound at its own time: runs of samples with their times, laid on one line without a hole and without an overlap."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from facewire.bridge.shared.arrays import Float32Array

NEAR_S = 0.015
"""A run this near to where the one before ended follows it without a seam: containers round their times, and a device
that stamped them jitters. A lost packet of any usual codec is longer."""
CREEP_S = 0.005
"""But not for long: where runs lie off by this much on average, they are put where they belong."""
CREEP_RUNS = 25
"""Over how many runs that average goes."""
LONGEST_GAP_S = 600.0
"""A clock that leaps farther has been set, or is damaged: the sound goes on."""
BACK_S = 1.0
"""A clock that goes back by more has begun anew, as where two files were joined; by less, the runs overlap."""


class Placing:
    """Yields samples [n, channels] one after the other from time zero on; what is missing is silence.

    State: where the next sample belongs, how far the clock was set, and how far runs lay off lately.
    """

    def __init__(self, rate: int, end_s: float | None = None) -> None:
        """Take the rate, and when the sound ends as far as the file says: no gap reaches beyond that."""
        self._rate, self._end = rate, None if end_s is None else round(end_s * rate)
        self._next: int | None = None
        self._set = 0
        self._off = 0.0
        self.filled = 0
        """Samples of silence put in after the beginning."""

    def put(self, at: int | None, samples: Float32Array) -> Iterator[Float32Array]:
        """Take a run whose first sample belongs at sample ``at``, which may lie before zero; None: after the last."""
        if self._next is None:
            self._next = at = self._begin(at)
            yield from self._silence(max(at, 0), samples.shape[1])
        shift = 0 if at is None else self._shift(at + self._set - self._next)
        if shift > 0:
            self.filled += shift
            yield from self._silence(min(shift, max(self._next + shift, 0)), samples.shape[1])
            self._next += shift
        elif shift < 0:
            samples = samples[-shift:]
        before = min(max(-self._next, 0), len(samples))
        self._next += len(samples)
        if before < len(samples):
            yield samples[before:]

    def _begin(self, at: int | None) -> int:
        if at is None or abs(at) > LONGEST_GAP_S * self._rate:
            self._set = -(at or 0)
            return 0
        return at

    def _shift(self, off: int) -> int:
        """Return how many samples of silence go before a run that lies ``off`` what is expected, or are cut off it."""
        assert self._next is not None
        beyond = self._end is not None and self._next + off > self._end + self._rate
        if off > LONGEST_GAP_S * self._rate or off < -BACK_S * self._rate or (beyond and off > self._rate):
            self._set -= off
            return 0
        if abs(off) > NEAR_S * self._rate:
            self._off = 0.0
            return off
        self._off += (off - self._off) / CREEP_RUNS
        if abs(self._off) < CREEP_S * self._rate:
            return 0
        shift, self._off = round(self._off), 0.0
        return shift

    def _silence(self, count: int, channels: int) -> Iterator[Float32Array]:
        """Yield it a second at a time: a gap may be long."""
        while count > 0:
            size = min(count, self._rate)
            yield np.zeros((size, channels), np.float32)
            count -= size
