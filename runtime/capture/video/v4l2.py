"""What a video node of Linux says of itself: two questions to its driver (linux/videodev2.h).

A node may be a camera's pictures, its metadata, a codec, or where a program puts pictures in for others.
"""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

QUERYCAP = 0x80685600
"""``VIDIOC_QUERYCAP``: _IOR('V', 0, struct v4l2_capability)."""
ENUM_FMT = 0xC0405602
"""``VIDIOC_ENUM_FMT``: _IOWR('V', 2, struct v4l2_fmtdesc)."""
_CAPABILITY = struct.Struct("=16s32s32sIII12x")
_FORMAT = struct.Struct("=III32sI16x")
_CAPTURE, _CAPTURE_PLANES = 0x00000001, 0x00001000
_CODEC_OR_TOUCH = 0x00008000 | 0x00004000 | 0x10000000
_HAS_DEVICE_CAPS = 0x80000000
_BUFFER, _BUFFER_PLANES = 1, 9
MAX_FORMATS = 64
MAJOR = 81
"""The kernel's number for video devices."""
_DEPTHS = ("Y8I ", "Y12I", "Y16I", "Z16 ", "L8  ", "D16 ", "INZI", "IR8 ")
GREY_FORMATS = frozenset(("GREY", "Y04 ", "Y06 ", "Y10 ", "Y10B", "Y10P", "Y12 ", "Y12P", "Y14 ", "Y16 ", *_DEPTHS))
"""Pixels of brightness or depth alone, as infrared cameras give them."""

Ioctl: TypeAlias = Callable[[int, bytearray], None]
"""Asks a node: a request, and the structure that the driver reads and fills; raises OSError."""


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """What the driver says of a node."""

    driver: str
    bus: str
    captures: bool
    """Whether pictures come out of it."""
    formats: tuple[str, ...] = ()
    """Pixel formats by their four letters; empty if it names none."""

    @property
    def grey(self) -> bool:
        """Whether it has no format with colours."""
        return bool(self.formats) and set(self.formats) <= GREY_FORMATS


def ask_node(path: Path) -> NodeFacts | None:
    """Return what the node at ``path`` says; None if it may not be opened, or is no video node."""
    with contextlib.suppress(OSError, ImportError):
        import fcntl

        node = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        try:
            return node_facts(lambda request, data: _ask(fcntl.ioctl, node, request, data))
        finally:
            os.close(node)
    return None


def node_facts(ask: Ioctl) -> NodeFacts:
    """Return what a node says to ``ask``.

    Raises:
        OSError: it is no video node.
    """
    data = bytearray(_CAPABILITY.size)
    ask(QUERYCAP, data)
    driver, _, bus, _, of_device, of_node = _CAPABILITY.unpack(data)
    abilities = of_node if of_device & _HAS_DEVICE_CAPS else of_device
    captures = bool(abilities & (_CAPTURE | _CAPTURE_PLANES)) and not abilities & _CODEC_OR_TOUCH
    planes = bool(abilities & _CAPTURE_PLANES) and not abilities & _CAPTURE
    formats = _formats(ask, _BUFFER_PLANES if planes else _BUFFER) if captures else ()
    return NodeFacts(_text(driver), _text(bus), captures, formats)


def _formats(ask: Ioctl, buffer: int) -> tuple[str, ...]:
    found: list[str] = []
    with contextlib.suppress(OSError):  # EINVAL after the last one
        for index in range(MAX_FORMATS):
            data = bytearray(_FORMAT.pack(index, buffer, 0, b"", 0))
            ask(ENUM_FMT, data)
            found.append(four_letters(_FORMAT.unpack(data)[4]))
    return tuple(found)


def four_letters(code: int) -> str:
    """Return a pixel format's four letters; its highest bit only says which end comes first."""
    return (code & 0x7FFFFFFF).to_bytes(4, "little").decode("latin-1")


def _text(raw: bytes) -> str:
    return raw.partition(b"\0")[0].decode("utf-8", "replace")


def _ask(ioctl: Callable[..., object], node: int, request: int, data: bytearray) -> None:
    ioctl(node, request, data, True)
