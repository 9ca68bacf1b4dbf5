"""The streams that a frame can carry, each said once: everything that encodes, records, exports or mirrors reads here.

A stream beyond those below is one more entry, by ``register``; its values travel in ``FaceFrame.extra``. Nothing else
changes: it is in hello, can be subscribed, is written to sessions and to files, and is mirrored.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, TypeAlias

import numpy as np

from facewire.bridge.shared.arkit import BLENDSHAPES
from facewire.bridge.shared.arrays import Float32Array
from facewire.bridge.wire.frame import LANDMARK_COUNT, FaceFrame
from facewire.bridge.wire.sides import MIRROR_BLENDSHAPES, MIRROR_GAZE, MIRROR_HEAD

Shape: TypeAlias = tuple[int, ...]

MAX_ANY_LENGTH = 400
"""Numbers in an array whose shape is (-1,): any length up to this."""
MAX_NUMBERS = 65_536
"""In one frame's array of a stream that another program's hello announces."""


def _constant(*values: float) -> Float32Array:
    array = np.array(values, np.float32)
    array.flags.writeable = False
    return array


@dataclass(frozen=True, slots=True, eq=False)
class Stream:
    """One stream."""

    name: str
    """Its name in hello and subscribe, and its key in a frame and in exports."""
    about: str
    """For people, in a few words."""
    shape: Shape | None = None
    """Of one frame's array; (-1,) is any length up to ``MAX_ANY_LENGTH``. None if it is not an array of its own."""
    parts: Mapping[str, Shape] = field(default_factory=dict)
    """Of a stream that is a map of arrays: their shapes."""
    unit: str = ""
    range: tuple[float, float] | None = None
    """Least and greatest value, for people and plots: nothing is cut off."""
    names: tuple[str, ...] = ()
    """What its values are called, in order: columns of a table, keys in JSON lines."""
    rest: Float32Array | None = None
    """What a frame has of it that came without it; None: nothing."""
    place: Literal["frame", "extra", "message"] = "extra"
    """Where it is: a field of ``FaceFrame`` under its name, in ``FaceFrame.extra``, or in messages of its own."""
    default: bool = False
    """Whether a subscriber gets it that asks for nothing else."""
    recorded: bool = True
    """Whether sessions keep it, and the files of the outputs."""
    needs: Literal["", "panel", "flame"] = ""
    """What a server must have so that it can give it."""
    mirror: Callable[[Float32Array], Float32Array] | None = None
    """Takes values [..., *shape] and returns those of the face in a mirror; None: a mirrored face goes without it."""

    def of(self, frame: FaceFrame) -> Any:
        """Return what ``frame`` has of it; None if that is nothing."""
        if self.place == "frame":
            return getattr(frame, self.name)
        return None if frame.extra is None or self.place == "message" else frame.extra.get(self.name)

    def columns(self, count: int) -> tuple[str, ...]:
        """Return names for ``count`` values: its own, or its name with a number."""
        return self.names if len(self.names) == count else tuple(f"{self.name}{index}" for index in range(count))

    def named(self, values: Float32Array, digits: int) -> dict[str, float]:
        """Return one frame's values by name, as JSON lines have them."""
        rounded = [round(value, digits) for value in values.ravel().tolist()]
        return dict(zip(self.columns(len(rounded)), rounded, strict=True))

    def announcement(self) -> dict[str, Any]:
        """Return what hello says of a stream that ``docs/wire.md`` does not list (3.1)."""
        about: dict[str, Any] = {"shape": list(self.shape or ())}
        if self.names:
            about["names"] = list(self.names)
        if self.unit:
            about["unit"] = self.unit
        if self.range is not None:
            about["range"] = [float(limit) for limit in self.range]
        return about


_BLENDSHAPES = Stream(
    "blendshapes", "ARKit's shapes", (len(BLENDSHAPES),), range=(0.0, 1.0), names=BLENDSHAPES,
    rest=_constant(*[0.0] * len(BLENDSHAPES)), place="frame", default=True, mirror=MIRROR_BLENDSHAPES,
)  # fmt: skip
_FLAME: dict[str, Shape] = {"expression": (-1,), "jaw": (3,), "neck": (3,), "eyes": (6,)}

STREAMS: dict[str, Stream] = {
    stream.name: stream
    for stream in (
        _BLENDSHAPES,
        Stream(
            "head", "where the head is and how it is turned: quaternion xyzw, then metres", (7,),
            rest=_constant(0, 0, 0, 1, 0, 0, 0), place="frame", default=True, mirror=MIRROR_HEAD,
        ),
        Stream(
            "gaze", "left and right eye: yaw and pitch of each", (4,), unit="rad",
            rest=_constant(0, 0, 0, 0), place="frame", default=True, mirror=MIRROR_GAZE,
        ),
        Stream(
            "landmarks", "the tracked mesh in the picture", (LANDMARK_COUNT, 3), unit="px",
            place="frame", recorded=False, needs="panel",  # A session would be fifteen times as large.
        ),
        replace(
            _BLENDSHAPES, name="raw", about="the camera's shapes as they were tracked", rest=None, default=False,
            recorded=False, needs="panel",
        ),
        Stream("flame", "FLAME parameters", parts=_FLAME, place="frame", needs="flame"),
        Stream("preview", "the camera's picture", place="message", recorded=False, needs="panel"),
    )
}  # fmt: skip
"""By name, in the order in which a frame's message has them. It is read when it is needed, not when a
module is loaded: ``register`` adds to it."""

_TAKEN = {
    "type", *(one.name for one in fields(FaceFrame)), *_FLAME,  # in messages, and in what exports write
    "time_s", "times_s", "rate", "delay_s", "names", "gaze_rad", "source_names", "audio", "audio_rate",
    "head_rotation_xyzw", "head_translation_m", "shape", "jaw_pose", "neck_pose", "eye_pose", "global_orient", "transl",
    "flame_model", "flame_digest",
}  # fmt: skip


def register(stream: Stream) -> None:
    """Add a stream, before anything is started that could carry it.

    Raises:
        ValueError: its name is taken, or it is not an array that ``FaceFrame.extra`` can hold.
    """
    if stream.name in STREAMS or stream.name in _TAKEN or not stream.name.isidentifier():
        raise ValueError(f"a stream cannot be called {stream.name!r}: the name is taken, or is not a valid one")
    if stream.place != "extra" or stream.parts or not _is_shape(stream.shape):
        raise ValueError(f"the stream {stream.name} must be one array, of a shape such as (26,)")
    STREAMS[stream.name] = stream


def default_streams() -> tuple[str, ...]:
    """Return the streams that a subscriber gets that asks for nothing else."""
    # By way of a list: `tuple` lays a generator's out again, and the encoder may ask for each frame.
    return tuple([stream.name for stream in STREAMS.values() if stream.default])


def recorded_streams() -> tuple[str, ...]:
    """Return the streams that sessions keep."""
    return tuple(stream.name for stream in STREAMS.values() if stream.recorded)


def offered_streams(*has: Literal["panel", "flame"]) -> tuple[str, ...]:
    """Return the streams that a server can give that has these."""
    return tuple(stream.name for stream in STREAMS.values() if stream.needs in ("", *has))


def carried_streams(frame: FaceFrame) -> tuple[str, ...]:
    """Return the streams that ``frame`` carries."""
    return tuple(stream.name for stream in STREAMS.values() if stream.of(frame) is not None)


def extra_streams(hello: Mapping[str, Any] | None = None) -> dict[str, Stream]:
    """Return the streams that may be in ``FaceFrame.extra``: those registered, and those that ``hello`` announces.

    What is registered counts more, and what makes no sense in ``hello`` is skipped.
    """
    told = (hello or {}).get("extra")
    found = {name: _announced(name, about) for name, about in (told if isinstance(told, dict) else {}).items()}
    known = {name: stream for name, stream in STREAMS.items() if stream.place == "extra"}
    return {name: stream for name, stream in found.items() if stream is not None} | known


def mirrored_extra(extra: Mapping[str, Float32Array] | None) -> dict[str, Float32Array] | None:
    """Return a frame's further streams as in a mirror; those that have no mirror image are left out."""
    if extra is None:
        return None
    turns = {name: STREAMS[name].mirror for name in extra if name in STREAMS}
    return {name: turn(extra[name]) for name, turn in turns.items() if turn is not None} or None


def _announced(name: object, about: object) -> Stream | None:
    if not isinstance(name, str) or name in STREAMS or name in _TAKEN or not isinstance(about, dict):
        return None
    shape, names = about.get("shape"), about.get("names", [])
    if not isinstance(shape, list) or not _is_shape(tuple(shape)):
        return None
    named = isinstance(names, list) and all(isinstance(one, str) for one in names)
    unit = about.get("unit")
    return Stream(
        name, "", tuple(shape), names=tuple(names) if named else (), unit=unit if isinstance(unit, str) else ""
    )


def _is_shape(shape: Shape | None) -> bool:
    if not shape or not all(type(size) is int for size in shape):
        return False
    return shape == (-1,) or (min(shape) > 0 and math.prod(shape) <= MAX_NUMBERS)
