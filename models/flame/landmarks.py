"""The landmarks that come beside FLAME: places on its triangles, in files of their own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from facewire.bridge.shared.arrays import Float32Array
from facewire.bridge.shared.regular_file import read_regular
from facewire.models.errors import ModelError
from facewire.models.flame.files import LARGEST_BYTES, named_arrays
from facewire.models.flame.model import FlameModel, Int32Array

NAMES = (
    ("lmk_face_idx", "lmk_b_coords"),  # flame_static_embedding.pkl (51), mediapipe_landmark_embedding.npz (105)
    ("full_lmk_faces_idx", "full_lmk_bary_coords"),  # landmark_embedding.npy (68)
)
MEDIAPIPE = "landmark_indices"


@dataclass(frozen=True, slots=True, eq=False)
class Landmarks:
    """Places on a mesh: for each a triangle and where in it (barycentric)."""

    corners: Int32Array
    """[l, 3], vertices."""
    shares: Float32Array
    """[l, 3], how much of each; every row sums to 1."""
    mediapipe: Int32Array | None
    """[l], which of MediaPipe's landmarks each one is, if the file says."""

    def places(self, vertices: npt.NDArray[np.float32]) -> Float32Array:
        """Return the landmarks of posed vertices [v, 3]: [l, 3]."""
        found: Float32Array = np.einsum("lc,lcd->ld", self.shares, vertices[self.corners])
        return found


def load_landmarks(path: Path, model: FlameModel) -> Landmarks:
    """Return the landmarks of a file that belongs to FLAME, on ``model``'s triangles.

    Knows flame_static_embedding.pkl, landmark_embedding.npy (its 68 of a face from the front) and
    mediapipe_landmark_embedding.npz; nothing in them is executed.

    Raises:
        ModelError: it is not one of these, or belongs to another mesh.
    """
    try:
        read = named_arrays(read_regular(path, LARGEST_BYTES))
        for triangle_name, shares_name in NAMES:
            triangles, shares, mediapipe = read(triangle_name), read(shares_name), read(MEDIAPIPE)
            if triangles is not None and shares is not None:
                return _landmarks(triangles.squeeze(), shares.squeeze(), mediapipe, model)
        raise ModelError("it has none of " + ", ".join(name for name, _ in NAMES))
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror}): check the name") from None
    except ModelError as error:
        reason = " ".join(str(error).split())
        raise ModelError(f"{path} holds no landmarks of this model: {reason}; give FLAME's landmark file") from None


def _landmarks(
    triangles: npt.NDArray[np.generic],
    shares: npt.NDArray[np.generic],
    mediapipe: npt.NDArray[np.generic] | None,
    model: FlameModel,
) -> Landmarks:
    count = triangles.size
    if triangles.shape != (count,) or shares.shape != (count, 3) or triangles.dtype.kind not in "iu":
        raise ModelError(f"its arrays are {list(triangles.shape)} and {list(shares.shape)}, not [l] and [l, 3]")
    if shares.dtype.kind not in "fiu":
        raise ModelError(f"its barycentric coordinates are {shares.dtype}, not numbers")
    which = triangles.astype(np.int64)
    if not count or which.min() < 0 or which.max() >= len(model.triangles):
        raise ModelError("it names triangles that the model does not have")
    parts = shares.astype(np.float32)
    if not np.isfinite(parts).all() or np.abs(parts.sum(1) - 1).max() > 1e-3:
        raise ModelError("its barycentric coordinates do not sum to 1")
    if mediapipe is not None and mediapipe.size != count:
        raise ModelError(f"it has {count} landmarks and {mediapipe.size} numbers for them")
    if mediapipe is not None and mediapipe.dtype.kind not in "iu":
        raise ModelError(f"the numbers of its landmarks are {mediapipe.dtype}, not whole numbers")
    numbers = None if mediapipe is None else mediapipe.ravel().astype(np.int32)
    return Landmarks(model.triangles[which], parts, numbers)
