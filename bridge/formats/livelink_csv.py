"""Takes as Live Link Face writes them: one CSV row a frame, with the app's columns in its order.

Angles are radians (``wire.angles``), as Unreal's ARKit plug-in gives them for a face that is not mirrored.
"""

from __future__ import annotations

from typing import TextIO

from facewire.bridge.shared.arkit import BLENDSHAPES
from facewire.bridge.wire.angles import eye_angles, head_angles
from facewire.bridge.wire.frame import FaceFrame

ANGLES = tuple(f"{part}{angle}" for part in ("Head", "LeftEye", "RightEye") for angle in ("Yaw", "Pitch", "Roll"))
VALUES = tuple(name[0].upper() + name[1:] for name in BLENDSHAPES) + ANGLES
HEADER = ("Timecode", "BlendShapeCount", *VALUES)
_ROW = f"%s,{len(VALUES)},{','.join(['%.9f'] * len(VALUES))}\n"
"""Nine decimals hold a float32 between 0 and 1 to its last bit but few."""
TIMECODE_RATE = 60
"""Frames a second that the timecode counts, as in the app; what lies between two is in its last part."""


class LiveLinkCsvWriter:
    """Writes the header at once and a row for each frame to ``stream``, which must not translate line ends."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.rows = 0
        stream.write(",".join(HEADER) + "\n")

    def write(self, frame: FaceFrame, time_ns: int) -> None:
        """Adds ``frame`` at ``time_ns`` from the start of the take. Raises OSError where the disk does."""
        values = (*frame.blendshapes.tolist(), *head_angles(frame.head), *eye_angles(frame.gaze))
        self._stream.write(_ROW % (timecode(time_ns), *values))
        self.rows += 1


def timecode(time_ns: int, rate: int = TIMECODE_RATE) -> str:
    """``HH:MM:SS:FF.sub``: frames of ``rate`` a second, then thousandths of a frame; the hours go round at 24."""
    thousandths = (time_ns * rate + 500_000) // 1_000_000
    frames, sub = divmod(max(thousandths, 0), 1000)
    seconds, frame = divmod(frames, rate)
    hours, minutes = seconds // 3600 % 24, seconds // 60 % 60
    return f"{hours:02d}:{minutes:02d}:{seconds % 60:02d}:{frame:02d}.{sub:03d}"
