"""VMC protocol as a receiver hears it (https://protocol.vmc.info/performer-spec): OSC messages that build up a face.

``/VMC/Ext/Blend/Val`` sets shapes one by one and ``/VMC/Ext/Blend/Apply`` says that they are all there;
``/VMC/Ext/Bone/Pos`` turns the head, the neck under it and the eyes; ``/VMC/Ext/OK`` 0 says that nothing is tracked.
Shapes go by ARKit's names, capitals or not. From a sender that knows VRM's clips only, the face is the smallest one
that the mapping table turns into those clips. Bones are in Unity's left-handed space, for a character that faces +z:
its x points to the character's right, FaceFrame's to the left.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from facewire.bridge import mapping
from facewire.bridge.formats.osc import Message, OscError, decode
from facewire.bridge.formats.received import DatagramError, ReceivedFace
from facewire.bridge.shared.arkit import BLENDSHAPE_INDEX, BLENDSHAPES
from facewire.bridge.shared.arrays import Float32Array

LOOK_RAD = 0.61
"""How far an eye is turned whose eyeLook shape is 1: ARKit's shapes and angles in published takes."""
BONES = ("Neck", "Head", "LeftEye", "RightEye")
VRM_SECTIONS = ("vrm", "vrm0")
_SHAPES = {name.lower(): index for name, index in BLENDSHAPE_INDEX.items()}
_NO_TURN = (0.0, 0.0, 0.0, 1.0)

Quaternion = tuple[float, float, float, float]


class VmcReader:
    """One sender's face. State: each shape, clip and bone that it named, as the protocol has it; delay: none.

    VMC numbers nothing, so datagrams count in the order in which they come.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget the sender."""
        self.face: ReceivedFace | None = None
        self._tracked = True
        self._shapes: Float32Array = np.zeros(len(BLENDSHAPES), np.float32)
        self._clips: dict[str, float] = {}
        self._knows_arkit = False
        self._bones: dict[str, Quaternion] = {}

    def device_of(self, data: memoryview) -> str:
        """Return nothing: the messages name no device."""
        del data
        return ""

    def follows(self, data: memoryview) -> bool:
        """Return true: nothing in it has a number or a time."""
        del data
        return True

    def take(self, data: memoryview, now_ns: int) -> bool:
        """Take a message or a bundle, all of it or nothing; see ``FaceReader``.

        Raises:
            DatagramError: it is not one.
        """
        del now_ns
        try:
            messages = decode(data)
        except OscError as error:
            raise DatagramError(str(error)) from None
        for message in messages:
            _check(message)
        news = False
        for message in messages:
            news = self._read_message(*message) or news
        return news

    def _read_message(self, address: str, arguments: tuple[object, ...]) -> bool:
        """Take one message that was checked; True if there is a new face, or none any more."""
        if address == "/VMC/Ext/Blend/Val":
            self._set(str(arguments[0]).lower(), min(max(_number(arguments[1]), 0.0), 1.0))
        elif address == "/VMC/Ext/Bone/Pos" and arguments[0] in BONES:
            self._bones[str(arguments[0])] = _unit_quaternion(arguments[4:8])
        elif address == "/VMC/Ext/OK" and arguments:
            # The fourth argument, if there is one, is whether the tracking is good.
            self._tracked = bool(arguments[0]) and (len(arguments) < 4 or bool(arguments[3]))
            if not self._tracked:
                self.face = None
                return True
        elif address == "/VMC/Ext/Blend/Apply" and self._tracked:
            self.face = self._make_face()
            return True
        return False

    def _set(self, name: str, value: float) -> None:
        if name in _SHAPES:
            self._shapes[_SHAPES[name]] = value
            self._knows_arkit = True
        elif name in _clip_shapes():
            self._clips[name] = value

    def _make_face(self) -> ReceivedFace:
        shapes = self._shapes.copy()
        if not self._knows_arkit:
            for name, value in self._clips.items():
                np.maximum(shapes, np.minimum(value * _clip_shapes()[name], 1.0), out=shapes)
        head = _times(self._bones.get("Neck", _NO_TURN), self._bones.get("Head", _NO_TURN))
        rotation = np.array([head[0], -head[1], -head[2], head[3]], np.float32)
        return ReceivedFace(shapes, rotation, self._gaze(shapes))

    def _gaze(self, shapes: Float32Array) -> Float32Array:
        """By the eyes' bones, or by the shapes of an eye that has none."""
        angles: list[float] = []
        for side, out in (("Left", 1), ("Right", -1)):
            bone = self._bones.get(f"{side}Eye")
            if bone is not None:
                angles += _look(bone)
                continue
            left, right, up, down = (
                float(shapes[BLENDSHAPE_INDEX[f"eyeLook{way}{side}"]])
                for way in (("Out", "In", "Up", "Down") if out > 0 else ("In", "Out", "Up", "Down"))
            )
            angles += [LOOK_RAD * (left - right), LOOK_RAD * (up - down)]
        return np.array(angles, np.float32)


@cache
def _clip_shapes() -> dict[str, Float32Array]:
    """By a VRM clip's name in small letters, the shapes [52] of least norm that make it 1."""
    found = {}
    for kind in VRM_SECTIONS:
        for row in mapping.section(kind).rows:
            shapes = np.zeros(len(BLENDSHAPES), np.float32)
            for channel, weight in row.weights.items():
                if channel in BLENDSHAPE_INDEX:
                    shapes[BLENDSHAPE_INDEX[channel]] = max(weight, 0.0)
            if shapes.any():
                found[row.target.lower()] = shapes / np.dot(shapes, shapes)
    return found


def _check(message: Message) -> None:
    """Check the arguments of the protocol's messages.

    Raises:
        DatagramError: a message does not have its arguments.
    """
    address, arguments = message
    if address == "/VMC/Ext/Blend/Val":
        fine = len(arguments) >= 2 and isinstance(arguments[0], str) and _is_number(arguments[1])
    elif address == "/VMC/Ext/Bone/Pos":
        fine = len(arguments) >= 8 and isinstance(arguments[0], str) and all(map(_is_number, arguments[1:8]))
        fine = fine and 0.5 < math.hypot(*map(_number, arguments[4:8])) < 2.0
    elif address == "/VMC/Ext/OK":
        fine = all(map(_is_number, arguments))
    else:
        return
    if not fine:
        raise DatagramError(f"{address} does not have the numbers that it should have")


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and abs(value) < 1e6


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else 0.0


def _unit_quaternion(values: tuple[object, ...]) -> Quaternion:
    x, y, z, w = (_number(value) for value in values)
    norm = math.hypot(x, y, z, w)
    return x / norm, y / norm, z / norm, w / norm


def _times(a: Quaternion, b: Quaternion) -> Quaternion:
    """Return the turn by ``b``, then by ``a``."""
    return (
        a[3] * b[0] + a[0] * b[3] + a[1] * b[2] - a[2] * b[1],
        a[3] * b[1] - a[0] * b[2] + a[1] * b[3] + a[2] * b[0],
        a[3] * b[2] + a[0] * b[1] - a[1] * b[0] + a[2] * b[3],
        a[3] * b[3] - a[0] * b[0] - a[1] * b[1] - a[2] * b[2],
    )


def _look(bone: Quaternion) -> tuple[float, float]:
    """Yaw to the subject's left and pitch up of an eye's turn in Unity's space."""
    x, y, z, w = bone
    right, up, forward = 2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)
    return math.atan2(-right, forward), math.asin(min(max(up, -1.0), 1.0))
