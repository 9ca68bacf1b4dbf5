"""NumPy's .npz files, of which nobody knows who made them: arrays of numbers and texts, and no more memory than agreed.

``numpy.load`` makes room for the shape that a header tells, whatever the file holds, and unpacks as much as there is.
Here a header has to fit its entry's size, and all entries that are read together the limit.
"""

from __future__ import annotations

import io
import math
import zipfile
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from facewire.bridge.shared.regular_file import open_regular

MOST_BYTES = 256 << 20
_KINDS = "biufSU"
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
_PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # others reserve memory by a number in the file
_CHUNK_BYTES = 1 << 20


class NpzError(ValueError):
    """A few words on what is wrong with the file; they lack its name."""


class Npz:
    """An .npz file that is open; close it by ``with``. State: the bytes that may still be unpacked."""

    def __init__(self, source: Path | IO[bytes] | bytes, most_bytes: int = MOST_BYTES) -> None:
        """Open a file, or take one that is open or in memory.

        Raises:
            OSError: it cannot be opened, is no regular file, or is larger than ``most_bytes``.
            NpzError: it is no .npz file.
        """
        self._left = self._most_bytes = most_bytes
        if isinstance(source, bytes):
            self._file: IO[bytes] = io.BytesIO(source)
        else:
            self._file = open_regular(source, most_bytes) if isinstance(source, Path) else source
        try:
            self._archive = zipfile.ZipFile(self._file)
            self._entries = {entry.filename.removesuffix(".npy"): entry for entry in self._archive.infolist()}
            self.names = frozenset(self._entries)
        except Exception as error:  # zipfile raises what struct, zlib and the codecs raise, too.
            self._file.close()
            raise NpzError(f"it is damaged ({error})"[:160]) from None

    def __enter__(self) -> Npz:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        del kind, error, trace
        self._archive.close()
        self._file.close()

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        """Read an array.

        Raises:
            KeyError: there is none of this name.
            NpzError: it is damaged, holds objects, or is more than may be unpacked.
        """
        entry = self._entries[name]
        self._left -= entry.file_size
        if self._left < 0:
            raise NpzError(f"it unpacks to more than {self._most_bytes >> 20} MB")
        try:
            return self._read(entry)
        except NpzError:
            raise
        except Exception as error:  # zlib, zipfile and numpy each have their own.
            raise NpzError(f"its {name[:40]} is damaged ({error})"[:160]) from None

    def all(self) -> dict[str, npt.NDArray[Any]]:
        """Read every array.

        Raises:
            NpzError: as for one.
        """
        return {name: self[name] for name in self._entries}

    def _read(self, entry: zipfile.ZipInfo) -> npt.NDArray[Any]:
        if entry.compress_type not in _PACKINGS:
            raise NpzError("it is packed in a way that NumPy does not use")
        with self._archive.open(entry) as stream:
            shape, by_column, kind = _HEADERS[np.lib.format.read_magic(stream)](stream)
            if kind.kind not in _KINDS or kind.hasobject:
                raise NpzError(f"it holds {str(kind)[:40]}, not numbers")
            size = math.prod(shape) * kind.itemsize
            if min(shape, default=0) < 0 or size != entry.file_size - stream.tell():
                raise NpzError("an array's size is not the one in its header")
            flat = np.empty(size, np.uint8)
            done = 0
            while chunk := stream.read(_CHUNK_BYTES):
                flat[done : done + len(chunk)] = np.frombuffer(chunk, np.uint8)
                done += len(chunk)
            if done != size:
                raise NpzError("it is cut short")
        if not kind.itemsize:  # texts without a letter
            return np.zeros(shape, kind)
        return flat.view(kind).reshape(shape, order="F" if by_column else "C")
