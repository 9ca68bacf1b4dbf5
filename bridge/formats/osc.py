"""Open Sound Control 1.0: messages and bundles to bytes and back, without any input or output.

Source: Matthew Wright, "The Open Sound Control 1.0 Specification", 2002. Everything in OSC is big-endian and padded to
four bytes, so a packet whose layout stays the same is built once and only its numbers are written again
(``OscTemplate``).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import TypeAlias

from facewire.bridge.shared.errors import FacewireError

Argument: TypeAlias = "float | int | str | bytes | bool | None"
Message: TypeAlias = "tuple[str, tuple[Argument, ...]]"
"""Address and arguments."""

BUNDLE = b"#bundle\0"
IMMEDIATELY = b"\0\0\0\0\0\0\0\1"
"""The time tag that means "at once" (section "Temporal Semantics and OSC Time Tags")."""
MAX_DATAGRAM_BYTES = 1472
"""What an Ethernet packet of 1500 bytes holds beside IPv4's and UDP's headers. A longer datagram travels in fragments,
and one that is lost takes the others with it."""
MAX_MESSAGES = 1024
"""In one packet that is decoded; more are refused."""
MAX_ARGUMENTS = 256
MAX_DEPTH = 4
"""Bundles within bundles."""


class OscError(FacewireError):
    """Bytes that are no OSC packet, or a larger one than anybody sends."""


def encode_message(address: str, *arguments: Argument) -> bytes:
    """Return one message. Python's types choose OSC's: float f, int i, str s, bytes b, True T, False F, None N.

    Raises:
        OscError: a text with a NUL, an address without its slash, or an int beyond 32 bits.
    """
    if not address.startswith("/"):
        raise OscError(f"an OSC address begins with a slash, not {address[:40]!r}")
    tags, data = ",", b""
    for argument in arguments:
        tag, encoded = _encode(argument)
        tags += tag
        data += encoded
    return _text(address) + _text(tags) + data


def encode_bundle(messages: Iterable[bytes]) -> bytes:
    """Return a bundle of encoded messages that counts at once."""
    return b"".join([BUNDLE, IMMEDIATELY, *(struct.pack(">i", len(data)) + data for data in messages)])


def decode(packet: bytes | memoryview) -> list[Message]:
    """Return the messages of a packet in order, those of its bundles included; time tags are not kept.

    Floats and ints of 64 bits come as float and int, colours and MIDI as bytes, characters and symbols as str. It never
    reads beyond ``packet``, and takes time in proportion to its length.

    Raises:
        OscError: it is not an OSC packet, or beyond ``MAX_MESSAGES``, ``MAX_ARGUMENTS`` in one message, or
            ``MAX_DEPTH`` bundles within each other.
    """
    messages: list[Message] = []
    _decode(bytes(packet), messages, 0)
    return messages


class OscTemplate:
    """Messages whose texts stay and whose floats change, laid out once as bundles that fit a datagram each.

    ``write`` puts new floats in, ``datagrams`` are then ready to be sent, in order. State: the buffer; nothing
    that outlives ``write`` is allocated in it.
    """

    def __init__(self, messages: Sequence[Message], max_bytes: int = MAX_DATAGRAM_BYTES) -> None:
        """Lay the packet out: the floats in ``messages`` are placeholders, texts and ints are sent as they are.

        Raises:
            OscError: a message cannot be written.
        """
        bundles: list[list[Message]] = [[]]
        sizes = [len(BUNDLE + IMMEDIATELY)]
        for message in messages:
            size = 4 + len(encode_message(message[0], *message[1]))
            if bundles[-1] and sizes[-1] + size > max_bytes:
                bundles.append([])
                sizes.append(len(BUNDLE + IMMEDIATELY))
            bundles[-1].append(message)
            sizes[-1] += size
        self._buffer = bytearray()
        places: list[int] = []
        for bundle in bundles:
            places += _float_places(bundle, len(self._buffer))
            self._buffer += encode_bundle(encode_message(address, *arguments) for address, arguments in bundle)
        self.count = len(places)
        """How many floats there are."""
        # The texts between the floats are written again with them: one call for all of it.
        starts = [0, *(place + 4 for place in places)]
        texts = [bytes(self._buffer[start:end]) for start, end in zip(starts, [*places, None], strict=True)]
        self._layout = struct.Struct(">" + "f".join(f"{len(text)}s" for text in texts))
        self._parts: list[bytes | float] = [0.0] * (2 * self.count + 1)
        self._parts[::2] = texts
        view, ends = memoryview(self._buffer), list(accumulate(sizes))
        self.datagrams = [view[end - size : end] for end, size in zip(ends, sizes, strict=True)]

    def write(self, values: Sequence[float]) -> None:
        """Put in ``values``, ``count`` of them, in the order of the floats in the messages."""
        self._parts[1::2] = values
        self._layout.pack_into(self._buffer, 0, *self._parts)


def _float_places(bundle: Sequence[Message], start: int) -> list[int]:
    """Where in the buffer the bundle's floats will lie, in bytes."""
    places, at = [], start + len(BUNDLE + IMMEDIATELY)
    for address, arguments in bundle:
        at += 4 + len(_text(address)) + len(_text("," + "".join(_encode(one)[0] for one in arguments)))
        for argument in arguments:
            tag, encoded = _encode(argument)
            if tag == "f":
                places.append(at)
            at += len(encoded)
    return places


def _text(text: str) -> bytes:
    """Return an OSC-string: at least one NUL, then as many as make it a multiple of four."""
    data = text.encode()
    if b"\0" in data:
        raise OscError(f"an OSC text cannot have a NUL in it: {text[:40]!r}")
    return data + b"\0" * (4 - len(data) % 4)


def _encode(argument: Argument) -> tuple[str, bytes]:
    if argument is None:
        return "N", b""
    if isinstance(argument, bool):
        return ("T" if argument else "F"), b""
    if isinstance(argument, float):
        return "f", struct.pack(">f", argument)
    if isinstance(argument, int):
        if not -(2**31) <= argument < 2**31:
            raise OscError(f"{argument} does not fit OSC's 32-bit int")
        return "i", struct.pack(">i", argument)
    if isinstance(argument, str):
        return "s", _text(argument)
    return "b", struct.pack(">i", len(argument)) + argument + b"\0" * (-len(argument) % 4)


def _decode(packet: bytes, messages: list[Message], depth: int) -> None:
    if len(packet) % 4 or not packet:
        raise OscError("an OSC packet's length is a multiple of four")
    if not packet.startswith(BUNDLE):
        if len(messages) >= MAX_MESSAGES:
            raise OscError(f"more than {MAX_MESSAGES} messages in one packet")
        messages.append(_decode_message(packet))
        return
    if depth >= MAX_DEPTH:
        raise OscError(f"more than {MAX_DEPTH} bundles within each other")
    at = len(BUNDLE + IMMEDIATELY)
    if len(packet) < at:
        raise OscError("a bundle ends within its time tag")
    while at < len(packet):
        (size,) = struct.unpack_from(">i", packet, at)
        at += 4
        if not 0 < size <= len(packet) - at:
            raise OscError("a bundle's element is longer than the bundle")
        _decode(packet[at : at + size], messages, depth + 1)
        at += size


def _decode_message(packet: bytes) -> Message:
    address, at = _read_text(packet, 0)
    if not address.startswith("/"):
        raise OscError("an OSC message begins with an address")
    if at == len(packet):
        return address, ()  # old senders leave the type tags out (section "OSC Type Tag String")
    tags, at = _read_text(packet, at)
    if not tags.startswith(",") or len(tags) > MAX_ARGUMENTS + 1:
        raise OscError("an OSC message needs its type tags, and not too many")
    arguments: list[Argument] = []
    for tag in tags[1:]:
        if tag in _CONSTANTS:
            arguments.append(_CONSTANTS[tag])
            continue
        if tag in "[]":
            continue  # arrays are read as their elements
        argument, at = _read(tag, packet, at)
        arguments.append(argument)
    return address, tuple(arguments)


_CONSTANTS: dict[str, Argument] = {"T": True, "F": False, "N": None, "I": float("inf")}
_NUMBERS = {"f": ">f", "i": ">i", "d": ">d", "h": ">q"}


def _read(tag: str, packet: bytes, at: int) -> tuple[Argument, int]:
    try:
        if tag in _NUMBERS:
            (number,) = struct.unpack_from(_NUMBERS[tag], packet, at)
            return number, at + struct.calcsize(_NUMBERS[tag])
        if tag in "sS":
            return _read_text(packet, at)
        if tag == "b":
            (size,) = struct.unpack_from(">i", packet, at)
            end = at + 4 + size
            if size < 0 or end + -size % 4 > len(packet):
                raise OscError("a blob is longer than its message")
            return packet[at + 4 : end], end + -size % 4
        size = {"t": 8, "c": 4, "r": 4, "m": 4}[tag]
    except struct.error:
        raise OscError("an OSC message ends within an argument") from None
    except KeyError:
        raise OscError(f"an unknown OSC type: {tag!r}") from None
    if at + size > len(packet):
        raise OscError("an OSC message ends within an argument")
    return packet[at : at + size], at + size


def _read_text(packet: bytes, at: int) -> tuple[str, int]:
    end = packet.find(b"\0", at)
    if end < 0:
        raise OscError("an OSC text has no end")
    try:
        text = packet[at:end].decode()
    except UnicodeDecodeError:
        raise OscError("an OSC text is neither ASCII nor UTF-8") from None
    return text, end + 4 - end % 4
