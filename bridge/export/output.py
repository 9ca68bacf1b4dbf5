"""Files that take their place only when they are complete, and how far they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TypeVar

from facewire.bridge.recording.errors import RecordingError
from facewire.bridge.recording.partfile import check_output, reason
from facewire.bridge.recording.reader import Progress

Item = TypeVar("Item")


@contextmanager
def replacing(path: Path, *, force: bool = False) -> Iterator[BinaryIO]:
    """A binary file under a temporary name that becomes ``path`` at the end, and vanishes where something fails.

    Raises:
        SessionError: ``path`` is there already and ``force`` is not given, or its folder is not there.
        RecordingError: it cannot be written.
    """
    check_output(path, force=force)
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as file:
            yield file
        part.replace(path)
    except OSError as error:
        raise RecordingError(f"cannot write {path}: {reason(error)}") from None
    finally:
        part.unlink(missing_ok=True)


def counted(items: Iterable[Item], total: int, progress: Progress | None) -> Iterator[Item]:
    """Yield ``items``, of which there are ``total``, and say about two hundred times how far they are."""
    every = max(1, total // 200)
    for number, item in enumerate(items):
        if progress is not None and number % every == 0:
            progress(number, total)
        yield item
