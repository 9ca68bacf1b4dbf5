"""Exports take their place only when they are complete."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from facewire.bridge.recording.errors import RecordingError
from facewire.bridge.recording.partfile import check_output, reason
from facewire.bridge.shared import whole_file


@contextmanager
def replacing(path: Path, *, force: bool = False) -> Iterator[BinaryIO]:
    """Yield a binary file under a temporary name that becomes ``path`` at the end, and vanishes if something fails.

    Raises:
        SessionError: ``path`` already exists and ``force`` is not given, or its folder does not exist.
        RecordingError: it cannot be written.
    """
    check_output(path, force=force)
    try:
        with whole_file.replacing(path) as file:
            yield file
    except OSError as error:
        raise RecordingError(f"cannot write {path}: {reason(error)}") from None
