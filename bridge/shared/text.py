"""Texts from outside: a client's, a file's name, a device's, another program's.

A text of Python may hold half a surrogate pair, which no encoder of UTF-8 takes: JSON can write one, and so does Python
itself for the bytes of a file's name that are no UTF-8. A terminal obeys control characters.
"""

from __future__ import annotations

import re

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_HALF = re.compile(r"[\ud800-\udfff]")
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""What moves the cursor, ends a line, turns the direction of writing, or cannot be written at all."""


def is_utf8(text: str) -> bool:
    """Return whether ``text`` can be written as UTF-8."""
    return text.isascii() or _HALF.search(text) is None


def as_utf8(text: str) -> str:
    """Return ``text`` with a replacement character for each that cannot be written as UTF-8."""
    return text if text.isascii() else _HALF.sub(REPLACEMENT, text)


def is_plain(text: str) -> bool:
    """Return whether ``text`` is one line that shows what it is."""
    return _UNSEEN.search(text) is None


def as_line(text: str) -> str:
    r"""Return ``text`` as one line for a person: what cannot be seen is written out, such as ``\x1b``; the ends of
    lines and other space become one space each."""
    flat = " ".join(text.split())
    return _UNSEEN.sub(lambda found: ascii(found[0])[1:-1], flat)
