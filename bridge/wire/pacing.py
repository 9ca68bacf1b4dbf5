"""Small controllers of time: thinning a stream to a rate, waiting before a new attempt, limiting a client's messages.

Time is an argument everywhere, so that each can be tested without waiting.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from facewire.bridge.shared.clock import NS_PER_S


@dataclass(slots=True)
class SourceInterval:
    """The spacing of the frames that are published, smoothed over about eight of them. State: the last time."""

    interval_ns: float = 0.0
    _last_ns: int | None = None

    def update(self, now_ns: int) -> float:
        """Take note of a frame at ``now_ns`` and return the spacing in nanoseconds (0 before the second frame)."""
        if self._last_ns is not None and 0 < (gap_ns := now_ns - self._last_ns) < NS_PER_S:
            self.interval_ns += (gap_ns - self.interval_ns) / (8 if self.interval_ns else 1)
        self._last_ns = now_ns
        return self.interval_ns

    def silent_ns(self, now_ns: int) -> float:
        """Return for how long there was no frame."""
        return float("inf") if self._last_ns is None else now_ns - self._last_ns


class Beat:
    """At which of two sources' news a frame is published: at the faster one's, so that frames come evenly.

    At the news of both they would come in pairs. The slower one's news is in the next frame: at most one interval of
    the faster later. State: the spacing and last time of both, and which is the faster.
    """

    GONE_NS = 60_000_000
    """A source that is silent for this long beats no more."""
    FASTER, NO_LONGER = 0.8, 0.9
    """How much shorter the pictures' interval must be for them to be the faster; ticks of speech are evener."""

    def __init__(self) -> None:
        self._picture, self._tick = SourceInterval(), SourceInterval()
        self._pictures_lead = False

    def picture(self, now_ns: int) -> bool:
        """Take note of a picture at ``now_ns``; say whether a frame is published with it."""
        self._picture.update(now_ns)
        return self._lead() or self._tick.silent_ns(now_ns) > self.GONE_NS

    def tick(self, now_ns: int) -> bool:
        """Take note of a tick of speech that moves the face at ``now_ns``; say whether a frame is published with it."""
        self._tick.update(now_ns)
        return not self._lead() or self._picture.silent_ns(now_ns) > self.GONE_NS

    def _lead(self) -> bool:
        pictures, ticks = self._picture.interval_ns, self._tick.interval_ns
        if pictures and ticks:
            self._pictures_lead = pictures < ticks * (self.NO_LONGER if self._pictures_lead else self.FASTER)
        return self._pictures_lead


class Thinner:
    """Picks the frames of a stream so that at most ``max_rate`` a second go out, evenly.

    Due times lie on a grid, not at a distance from the last frame: 60 frames a second thinned to 40 give two of every
    three, and a frame that comes a little before its due time (by less than half the source's spacing) counts as on
    time. So jitter of the source never turns into a missing frame, and the mean rate still never exceeds ``max_rate``.
    Of frames that come unevenly, in pairs or from two sources at once, those next to the grid go out: their intervals
    are even within one interval of the source. State: the next due time, and how late frames are on average, which
    moves no due time: else frames that are often late would slow the grid down. Adds no delay.
    """

    def __init__(self, max_rate: float) -> None:
        self._step_ns = NS_PER_S / max_rate
        self._due_ns: float | None = None
        self._late_ns = 0.0

    def take(self, now_ns: int, source_interval_ns: float) -> bool:
        """Say whether the frame at ``now_ns`` goes out, if the source spaces its frames by
        ``source_interval_ns``."""
        if self._due_ns is None or abs(now_ns - self._due_ns) > 2 * self._step_ns + source_interval_ns:
            self._due_ns, self._late_ns = (
                float(now_ns),
                0.0,
            )  # The first frame, a pause, or a clock that was set: a new grid, and no burst.
        if now_ns < self._due_ns - source_interval_ns / 2:
            return False
        # A sixteenth of the error takes out a jittery first frame's phase; what all frames are late by stays.
        error_ns = now_ns - self._due_ns
        most_ns = source_interval_ns / 2
        self._late_ns = min(max(self._late_ns + (error_ns - self._late_ns) / 16, -most_ns), most_ns)
        self._due_ns += self._step_ns + (error_ns - self._late_ns) / 16
        return True


@dataclass(slots=True)
class Backoff:
    """Waiting times between attempts: doubling from ``first_s`` to ``most_s``, each drawn from its upper half.

    The random part keeps many clients from returning to a restarted server in the same instant.
    """

    random: Callable[[], float]
    """Returns 0..1, such as ``random.random``."""
    first_s: float = 0.1
    most_s: float = 1.5
    _attempts: int = 0

    def next_s(self) -> float:
        """Return how long to wait before the next attempt, in seconds."""
        ceiling_s = min(self.most_s, self.first_s * 2.0 ** min(self._attempts, 30))
        self._attempts += 1
        return ceiling_s * (0.5 + 0.5 * self.random())

    def reset(self) -> None:
        """Start from the shortest wait again, after an attempt that worked."""
        self._attempts = 0


class MessageBudget:
    """A token bucket: ``rate`` messages a second, and ``burst`` at once."""

    def __init__(self, rate: float, burst: int) -> None:
        self._rate = rate
        self._burst = float(burst)
        self._left = float(burst)
        self._last_ns: int | None = None

    def spend(self, now_ns: int) -> bool:
        """Take one message at ``now_ns``; False when there are too many."""
        if self._last_ns is not None:
            self._left = min(self._burst, self._left + max(0, now_ns - self._last_ns) * self._rate / NS_PER_S)
        self._last_ns = now_ns
        if self._left < 1:
            return False
        self._left -= 1
        return True


class ClockEstimate:
    """How far the server's clock is ahead of the client's, from pings (Cristian's algorithm): the sample with the least
    round trip of the last eight wins, because its two ways are the most alike. State: those eight samples."""

    def __init__(self) -> None:
        self.offset_ns = 0
        """Server clock minus client clock."""
        self.round_trip_ns: int | None = None
        """Of the sample that the offset rests on; None before the first pong."""
        self._samples: list[tuple[int, int]] = []

    def update(self, sent_ns: int, server_ns: int, received_ns: int) -> None:
        """Take a pong: client clock when the ping left, server clock when it answered, client clock when the pong
        came."""
        round_trip_ns = max(0, received_ns - sent_ns)
        self._samples = [*self._samples[-7:], (round_trip_ns, server_ns - (sent_ns + received_ns) // 2)]
        self.round_trip_ns, self.offset_ns = min(self._samples)
