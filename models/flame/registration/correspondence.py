"""Where the 478 landmarks lie on a model's mesh: the record, and the places where it is kept.

The open head's comes with the package. Any other model's is made once by ``registration`` and kept in the cache, under
the model's digest:

    <cache>/flame/<digest>-<what>-<version>.npz
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from facewire.bridge.shared.arrays import Float32Array
from facewire.models.assets.store import asset_path, cache_folder
from facewire.models.errors import ModelError
from facewire.models.face.landmarks import LANDMARK_COUNT
from facewire.models.flame.model import FlameModel

Int32Array = npt.NDArray[np.int32]
Arrays = Mapping[str, npt.NDArray[np.generic]]

OPEN_PATH = Path(__file__).with_name("open_correspondence.npz")
VERSION = 2
"""Raise this whenever registration gives other places: every kept one is then made again."""


@dataclass(frozen=True, slots=True, eq=False)
class Correspondence:
    """Where the landmarks are on a model's mesh."""

    triangle: Int32Array
    """[478], the number of the triangle that a landmark lies on."""
    barycentric: Float32Array
    """[478, 3], weights of its corners; every row sums to 1."""
    residual_m: Float32Array
    """[478], metres between the bent canonical face and the surface, before it was put on it; 0 for the irises."""
    corners: Int32Array
    """[478, 3], the vertices of ``triangle``."""
    digest: str
    """That of the model."""

    def landmarks(self, vertices: Float32Array) -> Float32Array:
        """The landmarks [478, 3] on a head's vertices [v, 3], in the vertices' unit and space."""
        places: Float32Array = np.einsum("pc,pcx->px", self.barycentric, vertices[self.corners])
        return places

    def require(self, model: FlameModel) -> None:
        """Raises ModelError where this was made for another model."""
        if self.digest != model.digest:
            raise ModelError(f"this correspondence is another model's, not {model.name}'s: register {model.name} anew")


def correspondence_of(model: FlameModel, *, again: bool = False) -> Correspondence:
    """The correspondence of a model: as it comes with the package or is kept, else made (seconds) and kept.

    ``again`` makes it anew. Raises ModelError where the model is no human face, or where the cache cannot be written.
    """
    if not again:
        for path in (OPEN_PATH, kept_path(model, "correspondence", VERSION)):
            known = read_correspondence(path, model)
            if known is not None:
                return known
    # Only here, as its kernels take a while to compile.
    from facewire.models.flame.registration.registration import register

    with np.load(asset_path("face_geometry")) as geometry:
        made = register(model, geometry["vertices"], geometry["triangles"])
    keep(kept_path(model, "correspondence", VERSION), arrays_of(made))
    return made


def arrays_of(correspondence: Correspondence) -> Arrays:
    """What is written of it."""
    return {
        "digest": np.array(correspondence.digest),
        "triangle": correspondence.triangle,
        "barycentric": correspondence.barycentric,
        "residual_m": correspondence.residual_m,
    }


def read_correspondence(path: Path, model: FlameModel) -> Correspondence | None:
    """The correspondence in a file; None where there is no file, it is damaged, or it is another model's."""
    stored = read_kept(path, model.digest)
    if stored is None or stored.keys() < {"triangle", "barycentric", "residual_m"}:
        return None
    triangle, barycentric, residual_m = stored["triangle"], stored["barycentric"], stored["residual_m"]
    if (
        triangle.shape != (LANDMARK_COUNT,)
        or barycentric.shape != (LANDMARK_COUNT, 3)
        or residual_m.shape != (LANDMARK_COUNT,)
        or not 0 <= int(triangle.min()) <= int(triangle.max()) < len(model.triangles)
    ):
        return None
    number = triangle.astype(np.int32)
    weights, residuals = barycentric.astype(np.float32), residual_m.astype(np.float32)
    return Correspondence(number, weights, residuals, model.triangles[number], model.digest)


def kept_path(model: FlameModel, what: str, version: int) -> Path:
    """Where something that was computed from a model is kept."""
    return cache_folder() / "flame" / f"{model.digest}-{what}-{version}.npz"


def read_kept(path: Path, digest: str) -> dict[str, npt.NDArray[np.generic]] | None:
    """The arrays of a kept file; None where it cannot be used for the model of that digest."""
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            return dict(file) if str(file["digest"]) == digest else None
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return None


def keep(path: Path, arrays: Arrays) -> None:
    """Writes arrays by atomic rename. Raises ModelError where the folder cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
        with fresh.open("wb") as stream:
            np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]
        fresh.replace(path)
    except OSError as error:
        raise ModelError(f"cannot write {path} ({error.strerror}): check FACEWIRE_CACHE") from error
