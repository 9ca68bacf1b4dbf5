"""Files that were found in a folder, or that somebody named: opened only if they are files, and read only so far.

A pipe keeps whoever opens it waiting until somebody writes, a device may never end, and a link may lead to either. What
is raised is an ``OSError`` like any other of ``open``, whose ``strerror`` says what was found instead.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)
_CHUNK_BYTES = 1 << 20


def open_regular(path: Path | str, most_bytes: int | None = None, *, within: Path | None = None) -> BinaryIO:
    """Open a file for reading, without ever waiting for anybody; links are followed, but not out of ``within``.

    Raises:
        OSError: it cannot be opened, is no regular file, is larger than ``most_bytes``, or lies elsewhere.
    """
    # Before it is opened: opening alone does something to a pipe or a device.
    _check(_stat(path), path, most_bytes)
    descriptor = os.open(path if within is None else _inside(Path(path), within), _FLAGS)
    try:
        _check(os.fstat(descriptor), path, most_bytes)  # another one may have come to its place
        if os.name == "posix":
            os.set_blocking(descriptor, True)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_regular(path: Path | str, most_bytes: int, *, within: Path | None = None) -> bytes:
    """Return what a file holds, also of one whose size is not known before it is read.

    Raises:
        OSError: as ``open_regular``.
    """
    data = bytearray()
    with open_regular(path, most_bytes, within=within) as file:
        while chunk := file.read(min(_CHUNK_BYTES, most_bytes + 1 - len(data))):
            data += chunk
    if len(data) > most_bytes:
        raise _too_large(path, most_bytes)
    return bytes(data)


def look_at(path: Path | str) -> os.stat_result | None:
    """Return what is at ``path``, links followed; None if there is nothing.

    Raises:
        OSError: the system does not say: a folder may not be entered, or no file can be called so.
    """
    try:
        return _stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None


def is_folder(path: Path | str) -> bool:
    """Return whether ``path`` is, or leads to, a folder.

    Raises:
        OSError: the system does not say.
    """
    found = look_at(path)
    return found is not None and stat.S_ISDIR(found.st_mode)


def are_same(one: Path | str, other: Path | str) -> bool:
    """Return whether both are, or lead to, the same file; what cannot be looked at is none."""
    try:
        found, also = look_at(one), look_at(other)
    except OSError:
        return False
    return found is not None and also is not None and os.path.samestat(found, also)


def is_regular(path: Path | str) -> bool:
    """Return whether ``path`` is, or leads to, a regular file; what cannot be looked at is none."""
    try:
        return stat.S_ISREG(Path(path).stat().st_mode)
    except (OSError, ValueError):  # ValueError: a null character
        return False


def is_inside(path: Path, folder: Path) -> bool:
    """Return whether ``path``, all links followed, lies below ``folder``."""
    try:
        return path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError, ValueError):  # RuntimeError: links in a circle, up to Python 3.12
        return False


def _stat(path: Path | str) -> os.stat_result:
    try:
        return Path(path).stat()
    except ValueError:
        raise OSError(errno.EINVAL, "its name has a zero byte", str(path)) from None


def _inside(path: Path, folder: Path) -> Path:
    if not is_inside(path, folder):
        raise OSError(errno.EACCES, f"it is a link to somewhere outside of {folder}", str(path))
    return path.resolve()


def _check(found: os.stat_result, path: Path | str, most_bytes: int | None) -> None:
    if not stat.S_ISREG(found.st_mode):
        kind = _KINDS.get(stat.S_IFMT(found.st_mode), "something else")
        number = errno.EISDIR if stat.S_ISDIR(found.st_mode) else errno.EINVAL
        raise OSError(number, f"it is {kind}, not a file", str(path))
    if most_bytes is not None and found.st_size > most_bytes:
        raise _too_large(path, most_bytes)


def _too_large(path: Path | str, most_bytes: int) -> OSError:
    return OSError(errno.EFBIG, f"it is too large, more than {most_bytes:,} bytes", str(path))
