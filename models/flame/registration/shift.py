"""Where the tracker's network puts the canonical face's landmarks: not quite where the canonical face has them.

The canonical face is a model, and no mean of what the network answers: on everybody's cheeks, forehead and brows its
landmarks lie some millimetres aside. ``landmark_shift.npz`` has by how much, on the canonical face and along its skin;
``build_shift`` learns it from pictures of many people.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from facewire.bridge.shared.arrays import Float64Array
from facewire.models.flame.registration.surface import Int32Array, edges_of, vertex_normals_of

SHIFT_PATH = Path(__file__).with_name("landmark_shift.npz")
Canonical = npt.NDArray[np.floating]


@cache
def known_shift() -> Float64Array:
    """[468, 3], in the canonical face's space, centimetres; 0 at the rims of lids and lips."""
    with np.load(SHIFT_PATH) as stored:
        shift: Float64Array = stored["shift_cm"].astype(np.float64)
    return shift


def carriers(face: Canonical, other: Canonical, triangles: Int32Array) -> Float64Array:
    """[n, 3, 3]: for each point of a mesh the linear map that takes its surroundings on ``face`` to ``other`` [n, 3].

    That is the one by which its edges [k, 3], and a normal as long as they are, go over best.
    """
    edges = edges_of(triangles)
    start, end = np.concatenate([edges, edges[:, ::-1]]).T
    count = np.bincount(start, minlength=len(face))
    products = np.zeros((2, len(face), 3, 3))
    spokes = [_spokes(points.astype(np.float64), start, end, triangles, count) for points in (face, other)]
    for out, (away, normals) in zip(products, spokes, strict=True):
        np.add.at(out, start, away[:, :, None] * spokes[0][0][:, None])
        out += normals[:, :, None] * spokes[0][1][:, None]
    maps: Float64Array = products[1] @ np.linalg.inv(products[0])
    return maps


def _spokes(
    points: Float64Array, start: Int32Array, end: Int32Array, triangles: Int32Array, count: npt.NDArray[np.integer]
) -> tuple[Float64Array, Float64Array]:
    """Return the edges from each point [m, 3], and its normal [n, 3], as long as all of them together (squared)."""
    away = points[end] - points[start]
    length = np.sqrt(np.bincount(start, (away**2).sum(1), minlength=len(count)))
    return away, vertex_normals_of(points, triangles) * length[:, None]
