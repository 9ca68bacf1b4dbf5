"""VMC protocol: OSC over UDP to programs that move a VRM avatar (https://protocol.vmc.info/marionette-spec).

Once a frame: ``/VMC/Ext/OK`` 1, ``/VMC/Ext/T``, ``/VMC/Ext/Bone/Pos`` of neck, head and eyes, ``/VMC/Ext/Blend/Val``
for each shape and ``/VMC/Ext/Blend/Apply``, as bundles of at most an Ethernet packet each. Bones are in Unity's
left-handed space, as rotations from the rest pose; their positions are 0, for a tracker knows nothing of a model's
bones. The root is not sent: it would hold the avatar where the camera is.
"""

from __future__ import annotations

import math

from facewire.bridge import mapping
from facewire.bridge.formats.osc import Message, OscTemplate
from facewire.bridge.outputs.base import Output
from facewire.bridge.outputs.choose import Target
from facewire.bridge.outputs.udp import UdpSender
from facewire.bridge.shared.arkit import BLENDSHAPES
from facewire.bridge.shared.arrays import Float32Array
from facewire.bridge.wire.frame import FaceFrame

NECK_SHARE = 0.4
"""How much of the head's rotation the neck takes; the Unity client's default."""
HEAD_BONES = ("Neck", "Head")
EYE_BONES = ("LeftEye", "RightEye")
AT_REST = (0.0, 0.0, 0.0)
"""Every bone's position."""


class VmcOutput(Output):
    """Sends bundles of messages.

    State: the time of the first message, which ``/VMC/Ext/T`` counts from, and the packets' buffer.
    """

    name = "vmc"

    def __init__(self, target: Target) -> None:
        self._udp = UdpSender(target.host, target.port)
        bones = target.options.get("bones", "on")
        self._bones = (*(HEAD_BONES if bones != "off" else ()), *(EYE_BONES if bones == "on" else ()))
        self._shapes = _Shapes(target.options.get("names", "arkit"))
        alive: list[Message] = [("/VMC/Ext/OK", (1,)), ("/VMC/Ext/T", (0.0,))]
        pose: list[Message] = [("/VMC/Ext/Bone/Pos", (bone, *[0.0] * 7)) for bone in self._bones]
        face: list[Message] = [("/VMC/Ext/Blend/Val", (shape, 0.0)) for shape in self._shapes.names]
        self._idle = OscTemplate(alive)
        self._frame = OscTemplate([*alive, *pose, *face, ("/VMC/Ext/Blend/Apply", ())])
        self._start_ns: int | None = None

    def open(self) -> None:
        """Look the host up.

        Raises:
            OutputError: it cannot be sent to.
        """
        self._udp.open()

    def send(self, frame: FaceFrame, now_ns: int) -> None:
        """Send the frame.

        Raises:
            OSError: it could not be sent.
        """
        values = [self._time_s(now_ns)]
        if self._bones:
            for turn in split_turn(frame.head):
                values += (*AT_REST, *turn)
        if len(self._bones) > len(HEAD_BONES):
            left_yaw, left_pitch, right_yaw, right_pitch = frame.gaze.tolist()
            values += (*AT_REST, *eye_turn(left_yaw, left_pitch), *AT_REST, *eye_turn(right_yaw, right_pitch))
        values += self._shapes.values(frame)
        self._frame.write(values)
        for datagram in self._frame.datagrams:
            self._udp.send(datagram)
        self._udp.settle()

    def idle(self, now_ns: int) -> None:
        """Say that it is still there.

        Raises:
            OSError: it could not be sent.
        """
        self._idle.write([self._time_s(now_ns)])
        self._udp.send(self._idle.datagrams[0])
        self._udp.settle()

    def close(self) -> None:
        """Close the socket."""
        self._udp.close()

    def describe(self) -> str:
        """Return where it sends."""
        return str(self._udp)

    def _time_s(self, now_ns: int) -> float:
        if self._start_ns is None:
            self._start_ns = now_ns
        return (now_ns - self._start_ns) * 1e-9


class _Shapes:
    """The names that are sent, and how a frame's shapes become their values."""

    def __init__(self, names: str) -> None:
        """``names``: arkit (as VRM models have them for "perfect sync": BrowDownLeft), camel (browDownLeft), or a VRM
        section of the mapping table."""
        if names in ("arkit", "camel"):
            self.names = BLENDSHAPES if names == "camel" else tuple(name[0].upper() + name[1:] for name in BLENDSHAPES)
            self._mapping = None
            return
        self._mapping = mapping.load(names)
        rows = self._mapping.section.rows
        # What nothing drives is the other program's; what others are made of would add up with them.
        chosen = [index for index, row in enumerate(rows) if row.weights and not row.combines]
        self.names = tuple(rows[index].target for index in chosen)
        self._chosen = chosen

    def values(self, frame: FaceFrame) -> list[float]:
        """Return the values of ``names``."""
        if self._mapping is None:
            shapes: list[float] = frame.blendshapes.tolist()
            return shapes
        values = self._mapping.apply(frame.blendshapes)
        return [values[index] for index in self._chosen]


def split_turn(head: Float32Array) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return neck's and head's quaternions xyzw in Unity's space, which turn the head as ``head`` [7] of a frame is
    turned.

    Unity's x points to the character's right and FaceFrame's to its left: turns about y and z change their sense.
    """
    x, y, z, w = head[:4].tolist()
    if w < 0:
        x, y, z, w = -x, -y, -z, -w
    sine = math.sqrt(x * x + y * y + z * z)
    half_rad = math.atan2(sine, w)
    if sine < 1e-6:
        return (0.0, 0.0, 0.0, 1.0), (x, -y, -z, w)
    neck, rest = NECK_SHARE * half_rad, (1 - NECK_SHARE) * half_rad
    a, b = math.sin(neck) / sine, math.sin(rest) / sine
    return (x * a, -y * a, -z * a, math.cos(neck)), (x * b, -y * b, -z * b, math.cos(rest))


def eye_turn(yaw_rad: float, pitch_rad: float) -> tuple[float, ...]:
    """Return an eye's quaternion xyzw in Unity's space, which turns by yaw to the character's right and by pitch down:
    a frame's gaze goes the other way in both."""
    half_yaw, half_pitch = -0.5 * yaw_rad, -0.5 * pitch_rad
    sin_y, cos_y, sin_x, cos_x = math.sin(half_yaw), math.cos(half_yaw), math.sin(half_pitch), math.cos(half_pitch)
    return cos_y * sin_x, sin_y * cos_x, -sin_y * sin_x, cos_y * cos_x
