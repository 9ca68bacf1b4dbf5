"""The open head that comes with Facewire, as the exporter of glTF wants it."""

from __future__ import annotations

import numpy as np

from facewire.bridge.export.gltf import HeadMesh, Material
from facewire.models.head import load_head as load_open_head

COLOURS: dict[str, tuple[tuple[float, float, float], float]] = {
    "skin": ((0.66, 0.40, 0.29), 0.65),
    "lips": ((0.52, 0.20, 0.17), 0.45),
    "mouth": ((0.20, 0.05, 0.05), 0.8),
    "teeth": ((0.85, 0.82, 0.74), 0.35),
    "tongue": ((0.55, 0.20, 0.19), 0.5),
    "brows": ((0.06, 0.035, 0.02), 0.9),
    "sclera": ((0.85, 0.84, 0.82), 0.25),
    "iris": ((0.10, 0.20, 0.26), 0.2),
    "pupil": ((0.005, 0.005, 0.005), 0.1),
}
"""Linear colour and roughness."""
NOTICE = "Head: CC0, MakeHuman base mesh and face units"


def load_head() -> HeadMesh:
    """Return the head with colours to its materials."""
    head = load_open_head()
    materials = tuple(
        Material(name, first, count, *COLOURS.get(name, ((0.6, 0.6, 0.6), 0.7)))
        for name, (first, count) in head.materials.items()
    )
    left, right = (np.asarray(head.joints[name], np.float32) for name in ("left_eye", "right_eye"))
    return HeadMesh(head.vertices, head.triangles, materials, head.shapes, (left, right), NOTICE)
