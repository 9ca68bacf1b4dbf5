"""What was computed from a model once and is kept in the cache, under the model's digest:

<cache>/flame/<digest>-<what>-<version>.npz
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from facewire.bridge.shared.whole_file import replacing
from facewire.models.errors import ModelError
from facewire.models.flame.model import FlameModel
from facewire.models.folders import cache_folder
from facewire.models.npz import Npz

Arrays = Mapping[str, npt.NDArray[np.generic]]


def kept_path(model: FlameModel, what: str, version: int) -> Path:
    """Where something that was computed from a model is kept."""
    return cache_folder() / "flame" / f"{model.digest}-{what}-{version}.npz"


def read_kept(path: Path, digest: str) -> dict[str, npt.NDArray[np.generic]] | None:
    """Return the arrays of a kept file; None if it cannot be used for the model of that digest."""
    try:
        with Npz(path) as file:
            return file.all() if str(file["digest"]) == digest else None
    except (OSError, ValueError, KeyError):
        return None


def keep(path: Path, arrays: Arrays) -> None:
    """Write arrays by atomic rename.

    Raises:
        ModelError: the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as stream:
            np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]
    except OSError as error:
        raise ModelError(f"cannot write {path} ({error.strerror}): check FACEWIRE_CACHE") from error
