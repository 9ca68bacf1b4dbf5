"""Files that take their place only when they are complete.

Until then they have a name that nobody can foresee, made anew in the same folder: a link or a file that somebody put
in the way is neither followed nor written over.
"""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

PUBLIC, PRIVATE = 0o666, 0o600
"""Who may read the file: all that the user's umask lets, or its owner alone."""
MOST_TRIES = 100
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)


@contextmanager
def replacing(path: Path, *, mode: int = PUBLIC, sync: bool = False) -> Iterator[BinaryIO]:
    """Yield a new file that becomes ``path`` at the end, and vanishes if anything fails; its ``name`` is temporary.

    A link at ``path`` is replaced, not followed. With ``sync`` the content is on the disk before the name is.

    Raises:
        OSError: it cannot be written.
    """
    part, descriptor = _create(path.parent, mode)
    try:
        with os.fdopen(descriptor, "w+b") as file:
            yield file
            if not file.closed:  # a wrapper around it, such as TextIOWrapper, may have closed it
                file.flush()
                if sync:
                    os.fsync(file.fileno())
        part.replace(path)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def write_whole(path: Path, data: bytes, *, mode: int = PUBLIC, sync: bool = False) -> None:
    """Write ``data`` as ``path``: all of it or nothing, as ``replacing`` does.

    Raises:
        OSError: it cannot be written.
    """
    with replacing(path, mode=mode, sync=sync) as file:
        file.write(data)


def fresh_path(path: Path) -> Path:
    """Return a name beside ``path`` that nobody can foresee, for what makes its own file, with the same suffix."""
    return path.with_name(f".facewire-{secrets.token_hex(8)}{path.suffix}")


def open_own(path: Path, *, append: bool = False) -> BinaryIO:
    """Open a file of ours for reading and writing, made if it is missing; a link at that name is not followed.

    Raises:
        OSError: it cannot be opened, or is a link.
    """
    if path.is_symlink():  # Windows has no O_NOFOLLOW
        raise OSError(errno.ELOOP, "it is a link, not a file", str(path))
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
    flags |= getattr(os, "O_NONBLOCK", 0) | (os.O_APPEND if append else os.O_TRUNC)
    return os.fdopen(os.open(path, flags, PUBLIC), "a+b" if append else "w+b")


def _create(folder: Path, mode: int) -> tuple[Path, int]:
    for _ in range(MOST_TRIES):
        part = folder / f".facewire-{secrets.token_hex(8)}.part"
        with suppress(FileExistsError):
            return part, os.open(part, _FLAGS, mode)
    raise FileExistsError(errno.EEXIST, "no name is free for a temporary file", str(folder))
