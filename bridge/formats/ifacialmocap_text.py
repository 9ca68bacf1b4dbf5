"""iFacialMocap's datagrams: a line of text for each frame, and the hand-shake that asks a phone for it.

Source: https://www.ifacialmocap.com/for-developer/. The line is ``name-value|…|=head#x,y,z,px,py,pz|rightEye#x,y,z|
leftEye#x,y,z|``: shapes as integers of 0 to 100 under names that end in ``_L`` and ``_R``, in any order; version 2 has
``&`` between name and value. Angles are degrees, positions metres.

The page does not name the axes. The line that it shows, and others that are published, do: the eyes' x grows with
eyeLookDown, their y with a look to the subject's left, and their z is what Ry(y) · Rx(x) · Rz(z) makes of an eye that
does not roll; positions lie at -z. So all is ARKit's camera space, which is FaceFrame's: x turns down, y to the
subject's left.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from facewire.bridge.formats.received import DatagramError, ReceivedFace
from facewire.bridge.shared.arkit import BLENDSHAPE_INDEX, BLENDSHAPES
from facewire.bridge.wire.angles import eye_angles, gaze_of, head_angles, head_rotation
from facewire.bridge.wire.frame import FaceFrame

PORT = 49983
"""Both the phone's, for hand-shakes, and the listener's, for frames."""
HANDSHAKE = b"iFacialMocap_sahuasouryya9218sauhuiayeta91555dy3719"
VERSION_2 = b"|sendDataVersion=v2"
MAX_BYTES = 8192
"""What the publisher's own example receives."""
MAX_PARTS = 256
FROZEN_NS = 1_000_000_000
"""No tracked face gives the same five decimals for this long."""
MAX_DEGREES = 361.0
MAX_M = 100.0

_MIDDLE = ("jawLeft", "jawRight", "mouthLeft", "mouthRight")
"""Shapes that go to a side and are not of a side: their names stay whole."""


def _name(shape: str) -> str:
    for side in ("Left", "Right"):
        if shape.endswith(side) and shape not in _MIDDLE:
            return f"{shape.removesuffix(side)}_{side[0]}"
    return shape


NAMES = tuple(_name(shape) for shape in BLENDSHAPES)
"""The app's names, in the order of ``BLENDSHAPES``."""
# Its sister app Facemotion3d sends the same line with ARKit's names.
_INDEX = {**BLENDSHAPE_INDEX, **{name: index for index, name in enumerate(NAMES)}}
_POSES = {"=head": 6, "head": 6, "rightEye": 3, "leftEye": 3}


def _template(separator: str) -> str:
    shapes = "".join(f"{name}{separator}%.0f|" for name in NAMES)
    return f"{shapes}=head#%.5f,%.5f,%.5f,%.6f,%.6f,%.6f|rightEye#%.5f,%.5f,%.5f|leftEye#%.5f,%.5f,%.5f|"


_TEMPLATES = {1: _template("-"), 2: _template("&")}


def encode(frame: FaceFrame, version: int = 1) -> bytes:
    """Return the line of ``frame``; ``version`` is 1 or 2. Shapes are rounded to a hundredth."""
    # Not 0 <= value: minus zero would be written "-0", and a minus is what names end with.
    shapes = [100 * value if 0 < value <= 1 else 100 * (value > 1) for value in frame.blendshapes.tolist()]
    yaw, pitch, roll = (math.degrees(angle) for angle in head_angles(frame.head))
    left_yaw, left_pitch, left_roll, right_yaw, right_pitch, right_roll = (
        math.degrees(angle) for angle in eye_angles(frame.gaze)
    )
    right, left = (right_pitch, right_yaw, right_roll), (left_pitch, left_yaw, left_roll)
    values = (*shapes, pitch, yaw, roll, *frame.head[4:].tolist(), *right, *left)
    return (_TEMPLATES[version] % values).encode()


def encode_handshake(version: int = 1) -> bytes:
    """Return what asks a phone for frames. Version 1 is what the publisher documents, so every app knows it."""
    return HANDSHAKE + VERSION_2 if version == 2 else HANDSHAKE


def read_handshake(data: bytes | memoryview) -> int | None:
    """Return the version that a datagram asks for, 1 or 2; None if it is not a hand-shake."""
    if len(data) > 200:
        return None
    asked = bytes(data).strip(b"\0\r\n ")
    if asked == HANDSHAKE:
        return 1
    return 2 if asked.startswith(HANDSHAKE + b"|") and VERSION_2 in asked else None


@dataclass(slots=True)
class _Line:
    """What has been read of one line so far."""

    shapes: list[float]
    known: int
    poses: dict[str, list[float]]


def decode(data: bytes | memoryview) -> ReceivedFace:
    """Return the face in a line, of either version. Names that nobody knows are skipped, missing shapes are at rest.

    Raises:
        DatagramError: it is longer than a line may be, is not such a line, or has a value that is not a number.
    """
    if len(data) > MAX_BYTES:
        raise DatagramError(f"an iFacialMocap line has at most {MAX_BYTES} bytes")
    try:
        parts = bytes(data).decode("ascii").split("|")
    except UnicodeDecodeError:
        raise DatagramError("an iFacialMocap line is ASCII") from None
    if len(parts) > MAX_PARTS:
        raise DatagramError(f"an iFacialMocap line has at most {MAX_PARTS} parts")
    line = _Line([0.0] * len(BLENDSHAPES), 0, {})
    for part in parts:
        _read_part(part.strip(), line)
    head = line.poses.get("head")
    if head is None or line.known == 0:
        raise DatagramError("this is not an iFacialMocap line: it has no head or no shapes")
    x, y, z = (math.radians(angle) for angle in head[:3])
    left, right = ([math.radians(angle) for angle in line.poses.get(eye, [0.0] * 3)] for eye in ("leftEye", "rightEye"))
    position_m = np.array(head[3:], np.float32) if len(head) == 6 else None
    shapes = np.array(line.shapes, np.float32)
    return ReceivedFace(shapes, head_rotation(y, x, z), gaze_of(left[1], left[0], right[1], right[0]), position_m)


def _read_part(part: str, line: _Line) -> None:
    """Add one part to ``line``.

    Raises:
        DatagramError: it makes no sense.
    """
    name, hash_sign, numbers = part.partition("#")
    if hash_sign:
        if name in _POSES:
            line.poses[name.lstrip("=")] = _read_pose(numbers, _POSES[name])
        return
    name, ampersand, value = part.partition("&")
    if not ampersand:
        name, _, value = part.partition("-")
    index = _INDEX.get(name.strip())
    if index is not None:
        line.shapes[index] = min(max(_number(value, 1e6) / 100.0, 0.0), 1.0)
        line.known += 1


def _read_pose(text: str, most: int) -> list[float]:
    """Return three angles in degrees, and for the head three metres too if the app is new enough.

    Raises:
        DatagramError: they are not as many numbers, or too large.
    """
    numbers = text.split(",")
    if len(numbers) not in (3, most):
        raise DatagramError("an iFacialMocap pose has three or six numbers")
    return [_number(one, MAX_DEGREES if index < 3 else MAX_M) for index, one in enumerate(numbers)]


def _number(text: str, most: float) -> float:
    """Return the number in ``text``.

    Raises:
        DatagramError: it is not a number within ±``most``.
    """
    try:
        number = float(text) if len(text) <= 32 else math.nan
    except ValueError:
        number = math.nan
    if not abs(number) <= most:
        raise DatagramError("an iFacialMocap line has a value that is not a number")
    return number


class IFacialMocapReader:
    """A phone's faces. State: the last line; delay: none.

    The lines have no number, so one that comes late counts as new. The app says that it has lost the face by repeating
    its last line: after ``FROZEN_NS`` of the same there is none.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget the phone."""
        self.face: ReceivedFace | None = None
        self._seen: ReceivedFace | None = None
        self._last = b""
        self._changed_ns = 0

    def device_of(self, data: memoryview) -> str:
        """Return nothing: a line names no device."""
        del data
        return ""

    def follows(self, data: memoryview) -> bool:
        """Return true: nothing in it has a number or a time."""
        del data
        return True

    def take(self, data: memoryview, now_ns: int) -> bool:
        """Take a line; see ``FaceReader``.

        Raises:
            DatagramError: it is not one.
        """
        if data == self._last:
            frozen = now_ns - self._changed_ns >= FROZEN_NS
            self.face = None if frozen else self._seen
            return True
        self._seen = self.face = decode(data)
        self._last, self._changed_ns = bytes(data), now_ns
        return True
