"""Takes as Live Link Face writes them: one CSV row a frame, with the app's columns in its order.

Angles are radians (``wire.angles``), as Unreal's ARKit plug-in gives them for a face that is not mirrored.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TextIO

from facewire.bridge.formats.timecodes import TimecodeRate, TimecodeWriter
from facewire.bridge.shared.arkit import BLENDSHAPES
from facewire.bridge.wire.angles import eye_angles, head_angles
from facewire.bridge.wire.frame import FaceFrame
from facewire.bridge.wire.streams import Stream, extra_streams

ANGLES = tuple(f"{part}{angle}" for part in ("Head", "LeftEye", "RightEye") for angle in ("Yaw", "Pitch", "Roll"))
VALUES = tuple(name[0].upper() + name[1:] for name in BLENDSHAPES) + ANGLES
HEADER = ("Timecode", "BlendShapeCount", *VALUES)
_ROW = f"%s,{len(VALUES)},{','.join(['%.9f'] * len(VALUES))}"
"""Nine decimals hold a float32 between 0 and 1 to its last bit but few."""
TIMECODE_RATE = 60
"""Frames a second that the timecode counts, as in the app; what lies between two is in its last part."""

APP_TIMECODE = TimecodeRate(TIMECODE_RATE)


class LiveLinkCsvWriter:
    """Writes a row for each frame to ``stream``, which must not translate line ends, with the header before the first.

    Further streams that the first frame carries get columns behind the app's, whose readers go by name.
    State: these columns.
    """

    def __init__(
        self,
        stream: TextIO,
        extra: Mapping[str, Stream] | None = None,
        *,
        rate: TimecodeRate = APP_TIMECODE,
        start_of_day_ns: int = 0,
    ) -> None:
        """Prepare to write.

        Args:
            extra: the further streams to write; by default those that sessions keep.
            rate: how the timecode counts.
            start_of_day_ns: what it shows at the start of the take, from midnight.
        """
        self._stream, self._known = stream, extra
        self._timecodes = TimecodeWriter(rate, start_of_day_ns)
        self._extra: dict[str, int] = {}
        self.rows = 0

    def write(self, frame: FaceFrame, time_ns: int) -> None:
        """Add ``frame`` at ``time_ns`` from the start of the take.

        Raises:
            OSError: the disk does not take it.
        """
        if not self.rows:
            self._begin(frame)
        values = (*frame.blendshapes.tolist(), *head_angles(frame.head), *eye_angles(frame.gaze))
        row = _ROW % (self._timecodes.text(time_ns), *values)
        self._stream.write(f"{row}{''.join(self._cells(frame))}\n" if self._extra else f"{row}\n")
        self.rows += 1

    def _begin(self, frame: FaceFrame) -> None:
        known, header = self._known, list(HEADER)
        if known is None:
            known = {name: stream for name, stream in extra_streams().items() if stream.recorded}
        for name, values in (frame.extra or {}).items():
            if name in known:
                self._extra[name] = values.size
                header += known[name].columns(values.size)
        self._stream.write(",".join(header) + "\n")

    def _cells(self, frame: FaceFrame) -> Iterator[str]:
        """Empty cells stand for what this frame does not carry in that length."""
        for name, count in self._extra.items():
            values = (frame.extra or {}).get(name)
            if values is None or values.size != count:
                yield "," * count
            else:
                yield from (f",{value:.9f}" for value in values.ravel())


def timecode(time_ns: int, rate: int = TIMECODE_RATE) -> str:
    """``HH:MM:SS:FF.sub``: frames of ``rate`` a second, then thousandths of a frame; the hours go round at 24."""
    return TimecodeWriter(TimecodeRate(rate)).text(time_ns)
