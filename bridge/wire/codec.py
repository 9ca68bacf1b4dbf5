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

from facewire.bridge.shared.arrays import Float32Array
from facewire.bridge.shared.errors import WireError
from facewire.bridge.shared.face import Sources
from facewire.bridge.shared.text import as_line, as_utf8, is_utf8
from facewire.bridge.wire.frame import SOURCES, FaceFrame, FlameParameters
from facewire.bridge.wire.streams import MAX_ANY_LENGTH, STREAMS, Shape, Stream, default_streams, extra_streams

Format: TypeAlias = Literal["msgpack", "json"]
Message: TypeAlias = dict[str, Any]

FORMATS: tuple[Format, ...] = ("msgpack", "json")

MAX_INTEGER = 2**63 - 1
JSON_DECIMALS = 6
MAX_DEPTH = 64
"""Maps and lists inside each other that a message is sent with, if something in it is wrong."""

_LITTLE_FLOAT32 = np.dtype("<f4")


class Encoder:
    """Packs frames and messages; it reuses its packers, so it belongs to one thread."""

    def __init__(self) -> None:
        self._frame_packer = msgpack.Packer(use_single_float=True)
        self._packer = msgpack.Packer()

    def frame(self, frame: FaceFrame, streams: Collection[str] | None = None, form: Format = "msgpack") -> bytes:
        """Return the message of ``frame`` with ``streams``, by default those of a subscriber that asks for none;
        a stream that the frame does not carry is left out.

        Raises:
            WireError: an array has another shape than ``FaceFrame`` says or holds a number that is not finite.
        """
        streams = default_streams() if streams is None else streams
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
        for name, stream in STREAMS.items():
            if name not in streams or (value := stream.of(frame)) is None:
                continue
            if stream.shape is not None:
                message[name] = pack(name, value, stream.shape)
            else:
                message[name] = {part: pack(part, getattr(value, part), shape) for part, shape in stream.parts.items()}
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
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            self._packer.reset()
            raise WireError(f"a {message.get('type')} message cannot be sent: {error}") from None

    def lenient(self, message: Mapping[str, Any], form: Format = "msgpack") -> tuple[bytes, list[str]]:
        """Return a message as bytes with nil in the place of each part that the format cannot carry, and a replacement
        character for each that UTF-8 cannot; and which parts these were.

        Raises:
            WireError: it cannot be sent even so.
        """
        lost: list[str] = []
        return self.message(sendable(message, form, lost), form), lost


def sendable(value: Any, form: Format, lost: list[str], where: str = "", depth: int = MAX_DEPTH) -> Any:
    """Return ``value`` as a message of that format can carry it, with nil for what it cannot (wire.md, 2).

    Args:
        lost: gets the place of each part that is not as it was.
        where: the place of ``value`` in the message.
    """
    right: Any = None
    if isinstance(value, str):
        right = as_utf8(str(value))
    elif value is None or isinstance(value, bool) or (isinstance(value, bytes) and form == "msgpack"):
        return value
    elif isinstance(value, int):
        right = int(value) if -MAX_INTEGER <= value <= MAX_INTEGER else None
    elif isinstance(value, float):
        right = float(value) if math.isfinite(value) else None
    elif isinstance(value, Mapping) and depth:
        return {
            sendable(key, form, lost, where): sendable(one, form, lost, f"{where}.{key}" if where else key, depth - 1)
            for key, one in value.items()
            if isinstance(key, str)
        }
    elif isinstance(value, (list, tuple)) and depth:
        return [sendable(one, form, lost, where, depth - 1) for one in value]
    if right is None or right != value:
        lost.append(as_line(where)[:80])
    return right


def holds_utf8(value: Any) -> bool:
    """Return whether all texts of a decoded value can be written again; JSON can hold half a surrogate pair."""
    if isinstance(value, str):
        return is_utf8(value)
    if isinstance(value, dict):
        return all(map(holds_utf8, value)) and all(map(holds_utf8, value.values()))
    return all(map(holds_utf8, value)) if isinstance(value, list) else True


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
    if not all(isinstance(key, str) for key in message):  # msgpack has bytes as keys, too
        raise WireError("not a message: its keys must be texts")
    return message


def decode_frame(message: Mapping[str, Any], extra: Mapping[str, Stream] | None = None) -> FaceFrame:
    """Return the frame in a decoded ``frame`` message; streams that were not subscribed come back as rest (zeros,
    identity).

    The arrays are read-only views of the message's own bytes.

    Args:
        extra: the further streams that may be in it (``streams.extra_streams``); by default those registered.

    Raises:
        WireError: a key is missing, or has another type, length or range than ``docs/wire.md`` says.
    """
    sources = message.get("sources")
    if sources not in SOURCES:
        raise WireError(f"frame: sources must be one of {', '.join(SOURCES)}")
    own: dict[str, Any] = {
        name: _stream_in(message, stream) for name, stream in STREAMS.items() if stream.place == "frame"
    }
    further = {
        name: array
        for name, stream in (extra_streams() if extra is None else extra).items()
        if (array := _stream_in(message, stream)) is not None
    }
    return FaceFrame(
        seq=integer(message, "seq"),
        capture_ns=integer(message, "capture_ns"),
        publish_ns=integer(message, "publish_ns"),
        sources=cast(Sources, sources),
        confidence=_unit("confidence", message.get("confidence")),
        video_ns=None if message.get("video_ns") is None else integer(message, "video_ns"),
        audio_ns=None if message.get("audio_ns") is None else integer(message, "audio_ns"),
        extra=further or None,
        **own,
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


def from_wire(message: Mapping[str, Any], key: str, shape: Shape) -> Float32Array:
    """Return ``message[key]`` as float32 of ``shape``; (-1,) is any length up to 400.

    Raises:
        WireError: wrong type or length, or a number that is not finite.
    """
    value = message.get(key)
    count = math.prod(shape)
    if isinstance(value, bytes) and len(value) % 4 == 0 and len(value) <= 4 * max(count, MAX_ANY_LENGTH):
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


def _stream_in(message: Mapping[str, Any], stream: Stream) -> Any:
    """Return what a message has of a stream: its array, its map of arrays, or the rest."""
    value = message.get(stream.name)
    if value is None:
        return stream.rest
    if stream.shape is not None:
        return from_wire(message, stream.name, stream.shape)
    if not isinstance(value, dict):
        raise WireError(f"frame: {stream.name} must be a map")
    return FlameParameters(**{part: from_wire(value, part, shape) for part, shape in stream.parts.items()})


def _unit(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise WireError(f"frame: {name} must be a number of 0 to 1")
    return float(value)


def _checked(name: str, array: Float32Array, shape: Shape) -> Float32Array:
    if array.shape != shape and (shape != (-1,) or array.ndim != 1 or array.size > MAX_ANY_LENGTH):
        raise WireError(f"frame: {name} has shape {list(array.shape)}, not {list(shape)}")
    if not np.isfinite(array).all():
        raise WireError(f"frame: {name} holds a number that is not finite")
    return array


def _to_bin(name: str, array: Float32Array, shape: Shape) -> bytes:
    return _checked(name, array, shape).astype(_LITTLE_FLOAT32, copy=False).tobytes()


def _to_list(name: str, array: Float32Array, shape: Shape) -> list[float]:
    # A float32 of the usual range (up to 16) needs no more than these decimals; its full repr would double the message.
    return [round(value, JSON_DECIMALS) for value in _checked(name, array, shape).ravel().tolist()]


def _to_json(message: Mapping[str, Any]) -> bytes:
    return json.dumps(message, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")
