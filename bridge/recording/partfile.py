"""A file that is written under a temporary name, in whole steps, and gets its real name when it is complete."""

from __future__ import annotations

import contextlib
import os
import stat
from io import FileIO, RawIOBase
from pathlib import Path

from facewire.bridge.recording.errors import PathTakenError, RecordingError, SessionError
from facewire.bridge.recording.layout import PART_SUFFIX
from facewire.bridge.shared.regular_file import is_folder, look_at, open_regular

MOST_TRIES = 100
"""To make a file of the next free name, while other programs make theirs."""


def part_path(path: Path) -> Path:
    """Return the temporary name of ``path``: the same with ``.part`` behind it."""
    return path.with_name(path.name + PART_SUFFIX)


def free_path(path: Path) -> Path:
    """Return ``path``, with a number behind its stem if a file, or one in the making, has that name."""
    free, number = path, 1
    while os.path.lexists(free) or os.path.lexists(part_path(free)):
        number += 1
        free = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return free


def check_output(path: Path, *, force: bool = False) -> None:
    """Say whether ``path`` may be written.

    Raises:
        PathTakenError: it exists already and ``force`` is not given.
        SessionError: it is a folder, its folder does not exist, or the system refuses the name.
    """
    try:
        found, in_folder = look_at(path), is_folder(path.parent)
    except OSError as error:
        raise SessionError(f"cannot write {path}: {reason(error)}") from None
    if found is not None and stat.S_ISDIR(found.st_mode):
        raise SessionError(f"{path} is a folder: name a file")
    if not in_folder:
        raise SessionError(f"the folder {path.parent} does not exist: make it, or write elsewhere")
    if found is not None and not force:
        raise PathTakenError(f"{path} already exists: use --force to replace it, or another name")


class PartFile:
    """A file for one writer. What is written waits in memory until ``flush``, which appends it in one step or not
    at all: after a failure the file ends where it ended before. ``finish`` gives it its name. If something else has
    the name by then, ``path`` gets a number: nothing is written over that another program wrote.

    State: what was not flushed."""

    def __init__(self, path: Path, *, force: bool = False, part: Path | None = None) -> None:
        """Create the temporary file; ``part`` is its name, if it is not to be the usual one.

        Raises:
            PathTakenError: ``path``, or a recording of that name that runs or was cut, exists already, and ``force``
                is not given.
            SessionError: its folder does not exist, or the system refuses the name.
            RecordingError: the file cannot be made.
        """
        check_output(path, force=force)
        self.path, self._force = path, force
        self.part = part or part_path(path)
        self._pending = bytearray()
        self._size = 0
        self._nameless = False
        try:
            if force or part is not None:  # Not overwritten: a process that still writes it notices, and keeps its own.
                self.part.unlink(missing_ok=True)
            self._file = self.part.open("x+b", buffering=0)
        except FileExistsError:
            raise PathTakenError(
                f"{self.part} is left from a recording that was cut: repair it with 'facewire repair', or use --force"
            ) from None
        except OSError as error:
            raise RecordingError(f"cannot write {path}: {reason(error)}") from None

    def write(self, data: bytes) -> int:
        """Append ``data`` to what waits in memory."""
        self._pending += data
        return len(data)

    def tell(self) -> int:
        """Return where the next byte will be."""
        return self._size + len(self._pending)

    def flush(self) -> None:
        """Hand all that waits to the operating system, where it survives the end of this process.

        Raises:
            RecordingError: not all of it could be written; the file is as it was before.
        """
        try:
            self._restore_if_deleted()
            self._file.seek(self._size)
            write_all(self._file, self._pending)
        except OSError as error:
            with contextlib.suppress(OSError):
                self._file.truncate(self._size)
            raise RecordingError(f"{reason(error)}; {self._advice()}") from None
        self._size += len(self._pending)
        self._pending.clear()

    def sync(self) -> None:
        """Make the system put what was flushed on the disk, where it survives a power cut. May take long.

        Raises:
            RecordingError: the disk does not take it.
        """
        try:
            os.fsync(self._file.fileno())
        except OSError as error:
            raise RecordingError(f"{reason(error)}; {self._advice()}") from None

    def finish(self) -> Path:
        """Flush, sync, close, and give the file its name, which is returned.

        Raises:
            RecordingError: one of these failed; the temporary file stays.
        """
        self.flush()
        self.sync()
        if os.name == "nt":
            self.close()  # there an open file cannot be renamed
        try:
            while not self._take_name():
                self.flush()
        except FileNotFoundError:
            raise RecordingError(
                f"the folder {self.path.parent} was moved: the take is whole, as {self.part.name} in it"
            ) from None
        except OSError as error:
            self._nameless = True
            raise RecordingError(
                f"cannot name the take {self.path}: {reason(error)}; it is whole, as {self.part}"
            ) from None
        finally:
            self.close()
        return self.path

    def close(self) -> None:
        """Close the temporary file as it is and leave it there. Raises nothing: what was synced is on the disk."""
        with contextlib.suppress(OSError):
            self._file.close()

    def discard(self) -> None:
        """Close and delete the temporary file, but not if it is whole and ``finish`` could not name it.

        Raises nothing: it is done after a failure, which is what counts.
        """
        self.close()
        if not self._nameless:
            with contextlib.suppress(OSError):
                self.part.unlink(missing_ok=True)

    def _take_name(self) -> bool:
        """Name the file; False if it was deleted since the last flush: the next one writes it again."""
        if not self._force and os.path.lexists(self.path):
            self.path = free_path(self.path)
        if self._deleted():  # what has the temporary name now may be another's
            return False
        try:
            self.part.replace(self.path)
        except FileNotFoundError:
            if not self._deleted():
                raise
            return False
        return True

    def _deleted(self) -> bool:
        return os.name != "nt" and os.fstat(self._file.fileno()).st_nlink == 0

    def _restore_if_deleted(self) -> None:
        """Write the take again if somebody deleted it or its folder: its bytes live on while it is open (POSIX).

        If another recording has the name now, this one goes beside it.
        """
        if not self._deleted():
            return
        fresh = self._recreate()
        self._file.seek(0)
        while block := self._file.read(1 << 20):
            write_all(fresh, block)
        self._file.close()
        self._file = fresh

    def _recreate(self) -> FileIO:
        for _ in range(MOST_TRIES):  # Others whose files were deleted, too, do the same at the same moment.
            if os.path.lexists(self.part):
                self.path = free_path(self.path)
                self.part = part_path(self.path)
            with contextlib.suppress(FileExistsError, FileNotFoundError):
                self.part.parent.mkdir(parents=True, exist_ok=True)
                return self.part.open("x+b", buffering=0)
        return self.part.open("x+b", buffering=0)

    def _advice(self) -> str:
        if self._size == 0:
            return f"nothing was saved in {self.path}"
        return f"the take up to here is in {self.part}: repair it with 'facewire repair'"


def write_all(file: RawIOBase, data: bytes | bytearray) -> None:
    """Write all of ``data`` where ``file`` is: one write may take a part of it, on a disk that is nearly full.

    Raises:
        OSError: not all of it could be written.
    """
    with memoryview(data) as view:
        done = 0
        while done < len(view):
            done += file.write(view[done:]) or 0


def check_opens(path: Path) -> None:
    """Open a file that a user named, and close it again.

    Raises:
        SessionError: there is none, it is no file, or it may not be read.
    """
    try:
        open_regular(path).close()
    except FileNotFoundError:
        raise SessionError(f"{path} does not exist: check the name") from None
    except OSError as error:
        raise SessionError(f"cannot open {path}: {reason(error)}") from None


def reason(error: OSError) -> str:
    """Return why the system refused, in its own words."""
    return error.strerror or type(error).__name__
