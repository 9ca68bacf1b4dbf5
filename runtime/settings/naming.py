"""From a name that people or devices give to a folder's name: plain to read, and another one for every other name."""

from __future__ import annotations

import hashlib
import re
import unicodedata

LONGEST = 48
"""Letters of a name that are kept to be read: with the mark they fit the 255 bytes that a file's name may have."""
MARK_LETTERS = 8
_MARK = re.compile(rf"-[0-9a-f]{{{MARK_LETTERS}}}$")
_PORTS = (f"{port}{number}" for port in ("com", "lpt") for number in "0123456789¹²³")
_RESERVED = frozenset(("con", "prn", "aux", "nul", "conin$", "conout$", *_PORTS))
"""What Windows takes for a device, whatever its ending."""


def slug(name: str) -> str:
    """Return the folder's name for ``name``: its letters and digits, of any script, as small letters.

    What is lost by that is in the mark at its end, so that no two names share a folder, on no file system: none is told
    from another by capitals or by how its accents are written.
    """
    text = unicodedata.normalize("NFC", name)
    plain = unicodedata.normalize("NFKC", text.casefold()).casefold()
    short = re.sub(r"[\W_]+", "-", plain).strip("-")[:LONGEST].strip("-")
    if short and short == text and not _MARK.search(short) and short not in _RESERVED:
        return short
    mark = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:MARK_LETTERS]
    return f"{short or 'unnamed'}-{mark}"


def former_slug(name: str) -> str:
    """Return the folder's name that earlier versions made of a camera's: several cameras could share it."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:64] or "camera"


def alike(name: str, other: str) -> bool:
    """Whether two names are one file's on a disk that tells capitals and the writing of accents not apart."""
    return _key(name) == _key(other)


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def is_reserved(name: str) -> bool:
    """Whether Windows takes a file of this name for a device."""
    return name.partition(".")[0].rstrip(" ").casefold() in _RESERVED
