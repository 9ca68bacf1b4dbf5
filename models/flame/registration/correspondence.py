"""Where the 478 landmarks lie on a model's mesh: the record, and how it is written and read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from facewire.bridge.shared.arrays import Float32Array
from facewire.models.errors import ModelError
from facewire.models.face.landmarks import LANDMARK_COUNT
from facewire.models.flame.kept import Arrays, read_kept
from facewire.models.flame.model import FlameModel

Int32Array = npt.NDArray[np.int32]

OPEN_PATH = Path(__file__).with_name("open_correspondence.npz")
"""The open head's, which comes with the package."""


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
        """Return the landmarks [478, 3] on a head's vertices [v, 3], in the vertices' unit and space."""
        places: Float32Array = np.einsum("pc,pcx->px", self.barycentric, vertices[self.corners])
        return places

    def require(self, model: FlameModel) -> None:
        """Check that this was made for a model.

        Raises:
            ModelError: this was made for another model.
        """
        if self.digest != model.digest:
            raise ModelError(f"this correspondence is another model's, not {model.name}'s: register {model.name} again")


def arrays_of(correspondence: Correspondence) -> Arrays:
    """Return what is written of a correspondence."""
    return {
        "digest": np.array(correspondence.digest),
        "triangle": correspondence.triangle,
        "barycentric": correspondence.barycentric,
        "residual_m": correspondence.residual_m,
    }


def read_correspondence(path: Path, model: FlameModel) -> Correspondence | None:
    """Return the correspondence in a file; None if there is no file, it is damaged, or it is another model's."""
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
