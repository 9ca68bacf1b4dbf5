"""Names that the system refuses, also to root: what library calls must put into words of their own."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

NOBODY = 65534


def too_long(folder: Path) -> Path:
    """Return a name that no file system takes."""
    return folder / ("x" * 300)


def a_loop(folder: Path) -> Path:
    """Return a file in a link to itself."""
    (folder / "loop").symlink_to("loop")
    return folder / "loop" / "x"


def below_a_file(folder: Path) -> Path:
    """Return a file in a folder that is a file."""
    (folder / "file").touch()
    return folder / "file" / "x"


def a_folder(folder: Path) -> Path:
    """Return a folder where a file goes."""
    (folder / "x.mcap").mkdir()
    return folder / "x.mcap"


def not_there(folder: Path) -> Path:
    """Return nothing."""
    return folder / "no" / "x.mcap"


def shut(folder: Path) -> Path:
    """Return a file in a folder that nobody but its owner may enter, for use with ``as_nobody``."""
    (folder / "shut").mkdir(mode=0o700)
    (folder / "shut" / "x").write_bytes(b"x")
    return folder / "shut" / "x"


WAYS = (too_long, a_loop, below_a_file, a_folder, not_there, shut)


@contextlib.contextmanager
def as_nobody(folder: Path, way: Callable[[Path], Path] = shut) -> Iterator[None]:
    """Have the system refuse what ``shut`` made in ``folder``: root becomes nobody for a while, others shut it. Of the
    other ways nothing is to be refused further."""
    if way is not shut:
        yield
        return
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        os.seteuid(NOBODY)
        try:
            yield
        finally:
            os.seteuid(0)
        return
    inner = folder / "shut"
    inner.chmod(0)
    try:
        yield
    finally:
        inner.chmod(0o700)
