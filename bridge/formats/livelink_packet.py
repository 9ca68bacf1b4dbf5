"""Unreal's Live Link Face datagram, version 6, as Epic's app sends it (engine source: AppleARKitLiveLinkSource).

Everything is big-endian: version u8, device id and subject name (each i32 length, then so many bytes), frame time
(i32 frame, f32 part of a frame, i32 rate's numerator, i32 denominator), u8 count 61, 61 f32 values. While the phone
sees no face the datagram ends before the count. The values' order is the engine's own: it has jawLeft before jawRight
and mouthLeft before mouthRight, unlike the app's CSV. Angles are those of the CSV (``livelink_csv``): radians, yaw to
the subject's left, pitch down.
"""

from __future__ import annotations

import struct
import uuid
from dataclasses import dataclass
from operator import itemgetter

import numpy as np

from facewire.bridge.formats.livelink_csv import ANGLES
from facewire.bridge.formats.received import DatagramError, OlderDatagramError, ReceivedFace
from facewire.bridge.shared.arkit import BLENDSHAPE_INDEX, BLENDSHAPES
from facewire.bridge.shared.arrays import Float32Array
from facewire.bridge.wire.angles import eye_angles, gaze_of, head_angles, head_rotation
from facewire.bridge.wire.frame import FaceFrame

VERSION = 6
RATE = 60
"""Frames a second that our own frame times count, as the app's do."""
DAY_FRAMES = 24 * 3600 * RATE
MAX_NAME_BYTES = 256
"""Of a device id or subject name; the engine accepts no longer one."""
MOST_LATE_S = 2.0
"""A frame time that is farther behind the newest one than this is not a late datagram's."""
MAX_ANGLE_RAD = 6.3
"""An angle beyond a whole turn was sent by something else."""

_SWAPPED = {"jawRight": "jawLeft", "jawLeft": "jawRight", "mouthRight": "mouthLeft", "mouthLeft": "mouthRight"}
SHAPES = tuple(_SWAPPED.get(name, name) for name in BLENDSHAPES)
"""The shapes in the order in which the datagram has them."""
VALUES = (*SHAPES, *ANGLES)
_OURS = np.array([BLENDSHAPE_INDEX[name] for name in SHAPES], np.intp)
"""Where in a frame the datagram's shapes are; the swaps undo themselves, so it is also the way back."""
_in_order = itemgetter(*_OURS.tolist())
_VALUES = struct.Struct(f">{len(VALUES)}f")
_TIME = struct.Struct(">ifii")
_LENGTH = struct.Struct(">i")


@dataclass(frozen=True, slots=True)
class LiveLinkPacket:
    """What one datagram says."""

    device_id: str
    subject: str
    frame: int
    sub_frame: float
    rate: float
    """Frames a second that ``frame`` counts; 0 if the datagram does not say."""
    face: ReceivedFace | None
    """None while the sender sees no face."""


class LiveLinkEncoder:
    """Writes frames into one buffer, which is valid until the next call. State: that buffer."""

    def __init__(self, subject: str) -> None:
        """Make an encoder; ``subject`` is what Unreal calls it.

        Raises:
            ValueError: the subject is empty or longer than the format allows.
        """
        name = subject.encode()
        if not 0 < len(name) <= MAX_NAME_BYTES:
            raise ValueError(f"a subject's name has 1 to {MAX_NAME_BYTES} bytes")
        # The app's id is a UUID; readers count on its 36 characters. Ours tells nothing of the machine.
        device_id = str(uuid.uuid5(uuid.NAMESPACE_URL, f"facewire:{subject}")).upper().encode()
        header = bytes([VERSION]) + _LENGTH.pack(len(device_id)) + device_id + _LENGTH.pack(len(name)) + name
        self._time_at = len(header)
        self._buffer = bytearray(header + bytes(_TIME.size) + bytes([len(VALUES)]) + bytes(4 * len(VALUES)))
        self._values_at = self._time_at + _TIME.size + 1
        self._without_face = memoryview(self._buffer)[: self._time_at + _TIME.size]

    def encode(self, frame: FaceFrame, time_ns: int) -> memoryview:
        """Return the datagram of ``frame``; ``time_ns`` counts from any origin."""
        self._write_time(time_ns)
        shapes = _in_order(frame.blendshapes.tolist())
        _VALUES.pack_into(self._buffer, self._values_at, *shapes, *head_angles(frame.head), *eye_angles(frame.gaze))
        return memoryview(self._buffer)

    def encode_no_face(self, time_ns: int) -> memoryview:
        """Return the datagram that says that there is no face."""
        self._write_time(time_ns)
        return self._without_face

    def _write_time(self, time_ns: int) -> None:
        frames, rest = divmod(time_ns * RATE, 1_000_000_000)
        _TIME.pack_into(self._buffer, self._time_at, frames % DAY_FRAMES, rest * 1e-9, RATE, 1)


def decode(data: bytes | memoryview) -> LiveLinkPacket:
    """Return what a datagram says; it never reads beyond it.

    Raises:
        DatagramError: it is not a Live Link Face datagram of version 6, is cut, or has a value that is not a number.
    """
    _check_version(data)
    device_id, at = _read_text(data, 1)
    subject, at = _read_text(data, at)
    rest = len(data) - at
    frame, sub_frame, rate, denominator = 0, 0.0, 0, 1
    if rest >= _TIME.size:
        frame, sub_frame, rate, denominator = _TIME.unpack_from(data, at)
        if not 0.0 <= sub_frame <= 1.0 or rate <= 0 or denominator <= 0:
            raise DatagramError("a Live Link Face datagram has an impossible frame time")
    if rest in (0, _TIME.size) or (rest == _TIME.size + 1 and data[-1] == 0):
        return LiveLinkPacket(device_id, subject, frame, sub_frame, rate / denominator, None)
    if rest != _TIME.size + 1 + 4 * len(VALUES) or data[at + _TIME.size] != len(VALUES):
        raise DatagramError(f"a Live Link Face datagram does not hold {len(VALUES)} values")
    values = np.frombuffer(data, ">f4", len(VALUES), at + _TIME.size + 1).astype(np.float32)
    return LiveLinkPacket(device_id, subject, frame, sub_frame, rate / denominator, _face(values))


def _check_version(data: bytes | memoryview) -> None:
    """Check a datagram's first byte.

    Raises:
        DatagramError: it is of another format or version.
    """
    if len(data) < 1 or data[0] != VERSION:
        version = data[0] if len(data) else "none"
        raise DatagramError(f"this is not a Live Link Face datagram of version {VERSION} (version {version})")


def _face(values: Float32Array) -> ReceivedFace:
    """Return the face in the values [61] of a datagram.

    Raises:
        DatagramError: a value makes no sense.
    """
    shapes, angles = values[: len(SHAPES)], values[len(SHAPES) :]
    if not np.isfinite(shapes).all() or not (np.abs(angles) <= MAX_ANGLE_RAD).all():
        raise DatagramError("a Live Link Face datagram has values that are not a face's")
    yaw, pitch, roll, left_yaw, left_pitch, _, right_yaw, right_pitch, _ = (float(angle) for angle in angles)
    blendshapes = np.clip(shapes[_OURS], 0.0, 1.0)
    gaze = gaze_of(left_yaw, left_pitch, right_yaw, right_pitch)
    return ReceivedFace(blendshapes, head_rotation(yaw, pitch, roll), gaze)


def _read_text(data: bytes | memoryview, at: int) -> tuple[str, int]:
    """Return a text that has its length before it, and where it ends.

    Raises:
        DatagramError: it is not one.
    """
    if len(data) < at + _LENGTH.size:
        raise DatagramError("a Live Link Face datagram is cut short")
    (length,) = _LENGTH.unpack_from(data, at)
    start, end = at + _LENGTH.size, at + _LENGTH.size + length
    if not 0 <= length <= MAX_NAME_BYTES or end > len(data):
        raise DatagramError("a Live Link Face datagram's name is longer than it may be")
    try:
        return bytes(data[start:end]).decode().rstrip("\0"), end
    except UnicodeDecodeError:
        raise DatagramError("a Live Link Face datagram's name is not a text") from None


class LiveLinkReader:
    """A sender's faces in order. State: the newest datagram and its frame time; delay: none.

    A datagram whose frame time is older than the newest one's is refused, except one that is far behind: then the
    sender began again, or its time of day went round.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget the sender."""
        self.face: ReceivedFace | None = None
        self._newest_s: float | None = None
        self._last = b""

    def take(self, data: memoryview, now_ns: int) -> bool:
        """Take a datagram; see ``FaceReader``.

        Raises:
            DatagramError: it is not one of this format.
            OlderDatagramError: a newer one has come before it.
        """
        del now_ns
        packet = decode(data)
        if packet.rate > 0:
            time_s = (packet.frame + packet.sub_frame) / packet.rate
            behind_s = 0.0 if self._newest_s is None else self._newest_s - time_s
            if 0 < behind_s < MOST_LATE_S or data == self._last:  # some senders' time stands still
                raise OlderDatagramError("a newer Live Link Face datagram came before this one")
            self._newest_s = time_s
        self._last = bytes(data)
        self.face = packet.face
        return True

    def device_of(self, data: memoryview) -> str:
        """Return the app's own id of the device, or the subject's name if it sends none; see ``FaceReader``.

        Raises:
            DatagramError: it is not one of this format.
        """
        _check_version(data)
        device_id, at = _read_text(data, 1)
        return device_id or _read_text(data, at)[0]

    def follows(self, data: memoryview) -> bool:
        """Return whether the frame time is near the newest one's; see ``FaceReader``.

        Raises:
            DatagramError: it is not one of this format.
        """
        packet = decode(data)
        if packet.rate <= 0 or self._newest_s is None:
            return True
        return abs((packet.frame + packet.sub_frame) / packet.rate - self._newest_s) < MOST_LATE_S
