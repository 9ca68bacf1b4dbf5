"""Files that take their place only when they are complete."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from facewire.bridge.recording.errors import RecordingError
from facewire.bridge.recording.partfile import check_output, reason


@contextmanager
def replacing(path: Path, *, force: bool = False) -> Iterator[BinaryIO]:
    """Yield a binary file under a temporary name that becomes ``path`` at the end, and vanishes if something fails.

    Raises:
        SessionError: ``path`` already exists and ``force`` is not given, or its folder does not exist.
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
