"""What a user names: an address that FFmpeg reads, or a file. It is asked here, and nowhere else."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.request import url2pathname

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
"""Of two letters at least: ``C://x.mp4`` is a file on a drive."""
_FILE = "file:"


def has_scheme(what: str) -> bool:
    """Whether a text begins as an address does: ``rtsp://``; a file of such a name is written ``./rtsp://…``."""
    return _SCHEME.match(what) is not None


def is_address(what: str) -> bool:
    """Whether a text is an address, and names no file: a colon alone makes none, and ``file:`` is a file's."""
    return has_scheme(what) and not what.lower().startswith(_FILE)


def file_named(what: str) -> Path:
    """Return the file that a text names, if it is no address: a path, or one behind ``file:`` as browsers, file
    managers and FFmpeg write it. A file that is called so itself goes first."""
    if not what.lower().startswith(_FILE) or os.path.lexists(what):
        return Path(what)
    rest = what[len(_FILE) :]
    if rest.startswith("//"):
        host, _, path = rest[2:].partition("/")
        rest = f"/{path}" if host in ("", "localhost") else f"//{host}/{path}"
    # FFmpeg takes what follows as it is, everybody else in percent signs.
    return Path(rest) if not rest.startswith("/") or os.path.lexists(rest) else Path(url2pathname(rest))


def for_ffmpeg(path: Path) -> str:
    """Return a file's name so that FFmpeg takes it for one: ``12:30.mp4`` would be an address of the kind ``12``."""
    return str(path.absolute())
