"""SMPTE timecodes: what a label such as ``10:00:59;29`` counts, and labels for times.

At 29.97 frames a second a label counts 30 to each of its seconds, which last 1001/1000 of a real one, so it falls
behind the clock by 3.6 s an hour. Drop frame (``;``) leaves out the labels 00 and 01 of each minute but every tenth (at
59.94 00 to 03), no frames, and so stays with the clock (SMPTE ST 12-1).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

NTSC = (24, 30, 48, 60, 120)
"""Counts that are also used a thousandth slower: 23.976, 29.97, 47.952, 59.94, 119.88."""
DROPPED = {30: 2, 60: 4, 120: 8}
"""Labels that drop frame leaves out at a minute's beginning."""
DAY_S = 24 * 3600
MAX_COUNT = 1000
_RATE = re.compile(r"(\d{1,4}(?:\.\d{1,3})?)(df)?")
_TIMECODE = re.compile(r"(\d{1,2}):(\d{1,2}):(\d{1,2})([:;])(\d{1,4})(?:\.(\d{1,9}))?")


@dataclass(frozen=True, slots=True)
class TimecodeRate:
    """How a timecode counts."""

    count: int
    """Labels of a second."""
    slow: bool = False
    """Whether they last 1001/1000 of what they say, as those of 29.97 do."""
    drop: bool = False

    @property
    def rate(self) -> Fraction:
        """Frames in a real second."""
        return Fraction(self.count * 1000, 1001) if self.slow else Fraction(self.count)

    @property
    def slower(self) -> TimecodeRate | None:
        """What its labels may count as well, for nothing in them tells: 29.97 of 30."""
        return TimecodeRate(self.count, slow=True) if self.count in NTSC and not self.slow else None

    @property
    def day_frames(self) -> int:
        """Frames until the labels begin again."""
        return self.frame_number(DAY_S, 0)

    def __str__(self) -> str:
        return f"{round(float(self.rate), 3):g}{'df' if self.drop else ''}"

    @staticmethod
    def parse(text: str) -> TimecodeRate:
        """Return what a text such as 60, 29.97, 23.976 or 29.97df says.

        Raises:
            ValueError: it is neither a whole number nor one of these.
        """
        match = _RATE.fullmatch(text.strip().lower())
        value, drop = (float(match[1]), match[2] is not None) if match else (0.0, False)
        slow = next((count for count in NTSC if abs(value - count * 1000 / 1001) < 0.006), None)
        if slow is not None and (not drop or slow in DROPPED):
            return TimecodeRate(slow, slow=True, drop=drop)
        if drop or value % 1 or not 1 <= value <= MAX_COUNT:
            raise ValueError(f"{text!r} is not a rate such as 60, 25, 29.97, 29.97df (drop frame) or 23.976")
        return TimecodeRate(int(value))

    @staticmethod
    def of(rate: TimecodeRate | float | None) -> TimecodeRate | None:
        """Return ``rate``, which may be a number of frames a second.

        Raises:
            ValueError: it is none that a timecode counts.
        """
        return TimecodeRate.parse(f"{rate:.3f}") if isinstance(rate, int | float) else rate

    def exists(self, seconds: int, frame: int) -> bool:
        """Whether a label may be: drop frame leaves some out."""
        left_out = self.drop and seconds % 60 == 0 and seconds // 60 % 10 != 0 and frame < DROPPED[self.count]
        return frame < self.count and not left_out

    def frame_number(self, seconds: int, frame: int) -> int:
        """Return how many frames a label is after 00:00:00:00; ``seconds`` are those of its clock part."""
        minutes = seconds // 60
        left_out = DROPPED[self.count] * (minutes - minutes // 10) if self.drop else 0
        return seconds * self.count + frame - left_out

    def label(self, number: int) -> str:
        """Return the label of the frame that is ``number`` after 00:00:00:00; after a day it begins again."""
        number %= self.day_frames
        if self.drop:
            dropped, minute = DROPPED[self.count], 60 * self.count
            tens, rest = divmod(number, 10 * minute - 9 * dropped)
            later = max(0, (rest - dropped) // (minute - dropped)) if rest >= minute else 0
            number += dropped * (9 * tens + later)
        seconds, frame = divmod(number, self.count)
        hours, minutes = divmod(seconds // 60, 60)
        return f"{hours:02d}:{minutes:02d}:{seconds % 60:02d}{';' if self.drop else ':'}{frame:02d}"


@dataclass(frozen=True, slots=True)
class Timecode:
    """A label as it was read."""

    seconds: int
    """Of its clock part, from midnight."""
    frame: int
    part: Fraction
    """Of a frame, behind the point."""
    drop: bool

    @staticmethod
    def parse(text: str) -> Timecode:
        """Return what ``HH:MM:SS:FF.sub`` says; ``;`` before the frame stands for drop frame.

        Raises:
            ValueError: it is not like that.
        """
        match = _TIMECODE.fullmatch(text.strip())
        if match is None:
            raise ValueError(f"the timecode {text!r} is not like 12:34:56:07.890")
        hours, minutes, seconds = (int(part) for part in match.groups()[:3])
        digits = match[6] or "0"
        part = Fraction(int(digits), 10 ** len(digits))
        return Timecode(hours * 3600 + minutes * 60 + seconds, int(match[5]), part, match[4] == ";")

    def time_of_day_ns(self, rate: TimecodeRate) -> int:
        """Return what its label says, from midnight."""
        return round((self.seconds % DAY_S + (self.frame + self.part) / rate.count) * 10**9)


class TimecodeWriter:
    """Labels for times of a take: ``HH:MM:SS:FF.sub``, frames and thousandths of a frame."""

    def __init__(self, rate: TimecodeRate, start_of_day_ns: int = 0) -> None:
        """``start_of_day_ns`` is the time of day that the label of time 0 shows."""
        self._rate = rate
        start = Fraction(start_of_day_ns * rate.count, 10**6)  # thousandths of a frame
        if rate.drop:  # of a label that is left out the next one that is not
            seconds, thousandths = divmod(round(start), rate.count * 1000)
            frame, part = divmod(thousandths, 1000)
            if not rate.exists(seconds, frame):
                frame, part = DROPPED[rate.count], 0
            start = Fraction(rate.frame_number(seconds, frame) * 1000 + part)
        step = rate.rate / 10**6
        self._whole = start.denominator * step.denominator
        self._start, self._step = start.numerator * step.denominator, step.numerator * start.denominator

    def text(self, time_ns: int) -> str:
        """Return the label at ``time_ns`` of the take."""
        thousandths = (2 * (self._start + self._step * time_ns) + self._whole) // (2 * self._whole)
        frames, sub = divmod(max(thousandths, 0), 1000)
        return f"{self._rate.label(frames)}.{sub:03d}"
