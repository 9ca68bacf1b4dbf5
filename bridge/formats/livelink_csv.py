"""Takes as Live Link Face writes them: one CSV row a frame, with the app's columns in its order.

Angles are radians in the sense that Unreal's ARKit plug-in gives them for a face that is not mirrored: the head turns
by yaw about +y (the subject's left), then pitch about +x (down), then roll about +z, in FaceFrame's camera space.
"""

from __future__ import annotations

import math
from typing import TextIO

import numpy as np

from facewire.bridge.shared.arkit import BLENDSHAPES
from facewire.bridge.shared.arrays import Float32Array
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


def head_angles(head: Float32Array) -> tuple[float, float, float]:
    """Yaw, pitch and roll in radians of a head [7] or its quaternion xyzw: R = Ry(yaw) · Rx(pitch) · Rz(roll)."""
    x, y, z, w = head[:4].tolist()
    yaw = math.atan2(2 * (x * z + w * y), 1 - 2 * (x * x + y * y))
    pitch = math.asin(min(max(2 * (w * x - y * z), -1.0), 1.0))
    roll = math.atan2(2 * (x * y + w * z), 1 - 2 * (x * x + z * z))
    return yaw, pitch, roll


def head_rotation(yaw: float, pitch: float, roll: float) -> Float32Array:
    """Returns the quaternion xyzw of Ry(yaw) · Rx(pitch) · Rz(roll), in radians: what ``head_angles`` undoes."""
    sy, cy = math.sin(yaw / 2), math.cos(yaw / 2)
    sp, cp = math.sin(pitch / 2), math.cos(pitch / 2)
    sr, cr = math.sin(roll / 2), math.cos(roll / 2)
    x, y = cy * sp * cr + sy * cp * sr, sy * cp * cr - cy * sp * sr
    z, w = cy * cp * sr - sy * sp * cr, cy * cp * cr + sy * sp * sr
    return np.array([x, y, z, w], np.float32)


def eye_angles(gaze: Float32Array) -> tuple[float, float, float, float, float, float]:
    """Yaw, pitch and roll of the left, then of the right eye; FaceFrame's pitch looks up, the app's looks down."""
    left_yaw, left_pitch, right_yaw, right_pitch = gaze.tolist()
    return left_yaw, -left_pitch, 0.0, right_yaw, -right_pitch, 0.0


def gaze_of(left_yaw: float, left_pitch: float, right_yaw: float, right_pitch: float) -> Float32Array:
    """Returns a gaze [4] from the app's angles in radians: what ``eye_angles`` undoes."""
    return np.array([left_yaw, -left_pitch, right_yaw, -right_pitch], np.float32)
