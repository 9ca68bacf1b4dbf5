"""Frames and messages to bytes and back, as ``docs/wire.md`` defines them.

msgpack carries arrays as ``bin`` of little-endian float32; json carries them as lists of numbers. The msgpack form is
canonical: encoding a decoded frame gives the same bytes again, which is what recordings rely on.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping
from typing import Any, Literal, TypeAlias, cast

import msgpack
import numpy as np

from facewire.bridge.shared.arkit import BLENDSHAPES
from facewire.bridge.shared.arrays import Float32Array
from facewire.bridge.shared.errors import WireError
from facewire.bridge.shared.face import Sources
from facewire.bridge.wire.frame import LANDMARK_COUNT, SOURCES, FaceFrame, FlameParameters

Format: TypeAlias = Literal["msgpack", "json"]
Message: TypeAlias = dict[str, Any]

FORMATS: tuple[Format, ...] = ("msgpack", "json")
STREAMS: tuple[str, ...] = ("blendshapes", "head", "gaze", "landmarks", "flame", "raw", "preview")
DEFAULT_STREAMS: tuple[str, ...] = ("blendshapes", "head", "gaze")

MAX_INTEGER = 2**63 - 1
MAX_EXPRESSION = 400
JSON_DECIMALS = 6

_LITTLE_FLOAT32 = np.dtype("<f4")
_SHAPES: dict[str, tuple[int, ...]] = {
    "blendshapes": (len(BLENDSHAPES),),
    "head": (7,),
    "gaze": (4,),
    "landmarks": (LANDMARK_COUNT, 3),
    "raw": (len(BLENDSHAPES),),
}
_FLAME_SHAPES: dict[str, tuple[int, ...]] = {"expression": (-1,), "jaw": (3,), "neck": (3,), "eyes": (6,)}


class Encoder:
    """Packs frames and messages; it reuses its packers, so it belongs to one thread."""

    def __init__(self) -> None:
        self._frame_packer = msgpack.Packer(use_single_float=True)
        self._packer = msgpack.Packer()

    def frame(self, frame: FaceFrame, streams: Collection[str] = DEFAULT_STREAMS, form: Format = "msgpack") -> bytes:
        """Return the message of ``frame`` with ``streams``; a stream that the frame does not carry is left out.

        Raises:
            WireError: an array has another shape than ``FaceFrame`` says or holds a number that is not finite.
        """
        pack = _to_bin if form == "msgpack" else _to_list
        message: Message = {
            "type": "frame",
            "seq": frame.seq,
            "capture_ns": frame.capture_ns,
            "publish_ns": frame.publish_ns,
            "sources": frame.sources,
            "confidence": _unit("confidence", frame.confidence),
        }
        for name in ("video_ns", "audio_ns"):
            if (time_ns := getattr(frame, name)) is not None:
                message[name] = time_ns
        for name, shape in _SHAPES.items():
            if name in streams and (array := getattr(frame, name)) is not None:
                message[name] = pack(name, array, shape)
        if "flame" in streams and frame.flame is not None:
            message["flame"] = {
                name: pack(name, getattr(frame.flame, name), shape) for name, shape in _FLAME_SHAPES.items()
            }
        if form == "json":
            message["confidence"] = round(message["confidence"], JSON_DECIMALS)
            return _to_json(message)
        return cast(bytes, self._frame_packer.pack(message))

    def message(self, message: Mapping[str, Any], form: Format = "msgpack") -> bytes:
        """Return any other message as bytes (json as UTF-8).

        Raises:
            WireError: it holds something that the format cannot carry.
        """
        try:
            return _to_json(message) if form == "json" else cast(bytes, self._packer.pack(message))
        except (TypeError, ValueError, OverflowError) as error:
            self._packer.reset()
            raise WireError(f"a {message.get('type')} message cannot be sent: {error}") from None


def decode_message(data: bytes | str) -> Message:
    """Return the message in ``data``: msgpack if bytes, json if text. Keys are not checked further.

    Raises:
        WireError: not one whole map with text keys and a text ``type``.
    """
    try:
        if isinstance(data, str):
            message = json.loads(data, parse_constant=_refuse_constant)
        else:
            message = msgpack.unpackb(data, strict_map_key=True)
    except (ValueError, TypeError, RecursionError, msgpack.UnpackException) as error:
        kind = "json" if isinstance(data, str) else "msgpack"
        raise WireError(f"not a {kind} message: {type(error).__name__}") from None
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise WireError("not a message: it must be a map with a text 'type'")
    return message


def decode_frame(message: Mapping[str, Any]) -> FaceFrame:
    """Return the frame in a decoded ``frame`` message; streams that were not subscribed come back as rest (zeros,
    identity).

    The arrays are read-only views of the message's own bytes.

    Raises:
        WireError: a key is missing, or has another type, length or range than ``docs/wire.md`` says.
    """
    sources = message.get("sources")
    if sources not in SOURCES:
        raise WireError(f"frame: sources must be one of {', '.join(SOURCES)}")
    flame = message.get("flame")
    return FaceFrame(
        seq=integer(message, "seq"),
        capture_ns=integer(message, "capture_ns"),
        publish_ns=integer(message, "publish_ns"),
        sources=cast(Sources, sources),
        confidence=_unit("confidence", message.get("confidence")),
        blendshapes=_array_or(message, "blendshapes", _NEUTRAL),
        head=_array_or(message, "head", _UPRIGHT),
        gaze=_array_or(message, "gaze", _AHEAD),
        landmarks=None if message.get("landmarks") is None else from_wire(message, "landmarks", _SHAPES["landmarks"]),
        flame=None if flame is None else _decode_flame(flame),
        raw=None if message.get("raw") is None else from_wire(message, "raw", _SHAPES["raw"]),
        video_ns=None if message.get("video_ns") is None else integer(message, "video_ns"),
        audio_ns=None if message.get("audio_ns") is None else integer(message, "audio_ns"),
    )


def integer(message: Mapping[str, Any], key: str) -> int:
    """Return ``message[key]`` as an integer of 0..2^63-1.

    Raises:
        WireError: it is missing or is anything else.
    """
    value = message.get(key)
    if type(value) is not int or not 0 <= value <= MAX_INTEGER:
        raise WireError(f"{message.get('type')}: {key} must be an integer of 0 to 2^63-1")
    return value


def from_wire(message: Mapping[str, Any], key: str, shape: tuple[int, ...]) -> Float32Array:
    """Return ``message[key]`` as float32 of ``shape`` (one -1 = any length up to 400).

    Raises:
        WireError: wrong type or length, or a number that is not finite.
    """
    value = message.get(key)
    count = math.prod(shape)
    if isinstance(value, bytes) and len(value) % 4 == 0 and len(value) <= 4 * max(count, MAX_EXPRESSION):
        array = np.frombuffer(value, _LITTLE_FLOAT32)
    elif isinstance(value, list) and all(type(number) in (int, float) for number in value):
        array = np.array(value, _LITTLE_FLOAT32)
    else:
        raise WireError(f"frame: {key} must be float32 numbers")
    if count >= 0 and array.size != count:
        raise WireError(f"frame: {key} must hold {count} numbers, not {array.size}")
    if not np.isfinite(array).all():
        raise WireError(f"frame: {key} holds a number that is not finite")
    return cast(Float32Array, array.reshape(shape).astype(np.float32, copy=False))


def _constant(*values: float) -> Float32Array:
    array = np.array(values, np.float32)
    array.flags.writeable = False
    return array


_NEUTRAL = _constant(*[0.0] * len(BLENDSHAPES))
_UPRIGHT = _constant(0, 0, 0, 1, 0, 0, 0)
_AHEAD = _constant(0, 0, 0, 0)


def _array_or(message: Mapping[str, Any], key: str, default: Float32Array) -> Float32Array:
    return default if message.get(key) is None else from_wire(message, key, _SHAPES[key])


def _decode_flame(flame: object) -> FlameParameters:
    if not isinstance(flame, dict):
        raise WireError("frame: flame must be a map")
    return FlameParameters(**{name: from_wire(flame, name, shape) for name, shape in _FLAME_SHAPES.items()})


def _unit(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise WireError(f"frame: {name} must be a number of 0 to 1")
    return float(value)


def _checked(name: str, array: Float32Array, shape: tuple[int, ...]) -> Float32Array:
    if array.shape != shape and (shape != (-1,) or array.ndim != 1 or array.size > MAX_EXPRESSION):
        raise WireError(f"frame: {name} has shape {list(array.shape)}, not {list(shape)}")
    if not np.isfinite(array).all():
        raise WireError(f"frame: {name} holds a number that is not finite")
    return array


def _to_bin(name: str, array: Float32Array, shape: tuple[int, ...]) -> bytes:
    return _checked(name, array, shape).astype(_LITTLE_FLOAT32, copy=False).tobytes()


def _to_list(name: str, array: Float32Array, shape: tuple[int, ...]) -> list[float]:
    # A float32 of the usual range (up to 16) needs no more than these decimals; its full repr would double the message.
    return [round(value, JSON_DECIMALS) for value in _checked(name, array, shape).ravel().tolist()]


def _to_json(message: Mapping[str, Any]) -> bytes:
    return json.dumps(message, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")
