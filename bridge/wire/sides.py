"""A face as in a mirror: left and right swapped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from facewire.bridge.shared.arkit import BLENDSHAPES
from facewire.bridge.shared.arrays import Float32Array


def other_side(name: str) -> str:
    """Return the shape that is ``name`` on the other side of the face; ``name`` itself if it has no side."""
    for side, other in (("Left", "Right"), ("Right", "Left")):
        if name.endswith(side):
            return name.removesuffix(side) + other
    return name


@dataclass(frozen=True, slots=True, eq=False)
class Mirror:
    """What a mirror does to values: some change places, some their sign."""

    order: npt.NDArray[np.intp]
    """Shape [n]: where the mirrored value comes from."""
    factors: Float32Array
    """Shape [n]: 1, or -1 for what points to a side."""

    def __call__(self, values: Float32Array) -> Float32Array:
        """Return values [..., n] of the mirrored face in a new array."""
        return values[..., self.order] * self.factors


def mirror_by_names(names: Sequence[str]) -> Mirror:
    """Return the mirror of values called so: those whose names end in Left and Right change places."""
    order = [names.index(other_side(name)) if other_side(name) in names else at for at, name in enumerate(names)]
    return Mirror(np.array(order, np.intp), np.ones(len(names), np.float32))


def mirror_by_factors(*factors: float, order: Sequence[int] | None = None) -> Mirror:
    """Return the mirror that multiplies values, after they have changed places as ``order`` says."""
    places = np.arange(len(factors)) if order is None else order
    return Mirror(np.asarray(places, np.intp), np.array(factors, np.float32))


MIRROR_BLENDSHAPES = mirror_by_names(BLENDSHAPES)
MIRROR_HEAD = mirror_by_factors(1, -1, -1, 1, -1, 1, 1)
MIRROR_GAZE = mirror_by_factors(-1, 1, -1, 1, order=(2, 3, 0, 1))


def mirrored(
    blendshapes: Float32Array, head: Float32Array, gaze: Float32Array
) -> tuple[Float32Array, Float32Array, Float32Array]:
    """Return shapes [..., 52], head [..., 7] and gaze [..., 4] of the mirrored face, in new arrays."""
    return MIRROR_BLENDSHAPES(blendshapes), MIRROR_HEAD(head), MIRROR_GAZE(gaze)
