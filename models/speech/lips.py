"""From the motion of a mesh to ARKit's mouth shapes, for meshes whose lips are known: FLAME's topology, VOCASET's.

A published FaceFormer moves vertices, a frame has blendshapes. A few vertices around the mouth say most of it: how far
the chin drops, how far apart the lips are, where the corners go. Each shape is taken as linear in these, scaled by how
far the point moves when the shape is at 1 on an ordinary face, so that the whole folds into the motion decoder.
"""

from __future__ import annotations

import numpy as np

from facewire.bridge.shared.arkit import BLENDSHAPES
from facewire.bridge.shared.arrays import Float32Array
from facewire.models.errors import ModelError

FLAME_OUTPUTS = 3 * 5023
CHIN = 3414
RIGHT_CORNER, LEFT_CORNER = 2820, 1703
"""Of the subject; FLAME has +x to the subject's left, +y up, +z to the front, in metres."""
UPPER_OUTER, LOWER_OUTER = 3543, 3503
UPPER_INNER, LOWER_INNER = 3531, 3504
"""The 68 landmarks' places in FLAME's mesh: chin 8, corners 48 and 54, middles 51, 57, 62 and 66."""

X, Y, Z = range(3)
_CORNERS_IN = [(RIGHT_CORNER, X, 0.5), (LEFT_CORNER, X, -0.5)]
_PROTRUSION = [(UPPER_OUTER, Z, 0.5), (LOWER_OUTER, Z, 0.5)]
_JAW = [(CHIN, Y, -1 / 0.030)]
_GAP = [(UPPER_INNER, Y, 1.0), (LOWER_INNER, Y, -1.0)]


def _scaled(terms: list[tuple[int, int, float]], per_m: float) -> list[tuple[int, int, float]]:
    return [(vertex, axis, weight * per_m) for vertex, axis, weight in terms]


def _both(
    name: str, left: list[tuple[int, int, float]], right: list[tuple[int, int, float]]
) -> dict[str, list[tuple[int, int, float]]]:
    return {f"{name}Left": left, f"{name}Right": right}


SHAPES: dict[str, list[tuple[int, int, float]]] = {
    "jawOpen": _JAW,
    # Lips that stay together while the jaw is open.
    "mouthClose": [*_JAW, *_scaled(_GAP, -1 / 0.025)],
    "mouthPucker": _scaled(_CORNERS_IN, 1 / 0.008),
    "mouthFunnel": _scaled(_PROTRUSION, 1 / 0.006),
    "mouthRollLower": [(LOWER_OUTER, Z, -1 / 0.006)],
    "mouthRollUpper": [(UPPER_OUTER, Z, -1 / 0.006)],
    **_both("mouthStretch", [(LEFT_CORNER, X, 1 / 0.010)], [(RIGHT_CORNER, X, -1 / 0.010)]),
    **_both("mouthSmile", [(LEFT_CORNER, Y, 1 / 0.010)], [(RIGHT_CORNER, Y, 1 / 0.010)]),
    **_both("mouthFrown", [(LEFT_CORNER, Y, -1 / 0.012)], [(RIGHT_CORNER, Y, -1 / 0.012)]),
    **_both("mouthUpperUp", [(UPPER_INNER, Y, 1 / 0.006)], [(UPPER_INNER, Y, 1 / 0.006)]),
    # What the lower lip does beyond the jaw that carries it.
    **_both(
        "mouthLowerDown",
        [(LOWER_INNER, Y, -1 / 0.008), (CHIN, Y, 1 / 0.008)],
        [(LOWER_INNER, Y, -1 / 0.008), (CHIN, Y, 1 / 0.008)],
    ),
}  # fmt: skip
JAW_OPEN, MOUTH_CLOSE = BLENDSHAPES.index("jawOpen"), BLENDSHAPES.index("mouthClose")


def fold_lips(motion: Float32Array, bias: Float32Array) -> tuple[Float32Array, Float32Array]:
    """Fold a motion decoder [n, d], [n] to raw shapes' [52, d], [52] in the frame's order; ``limit`` comes after.

    Raises:
        ModelError: the mesh's lips are not known.
    """
    if len(motion) != FLAME_OUTPUTS:
        raise ModelError(
            f"this checkpoint moves {len(motion) // 3} vertices; only FLAME's 5023 (VOCASET) can drive a live face: "
            "decode it with faceformer.load(...).decode(...)"
        )
    shapes = np.zeros((len(BLENDSHAPES), motion.shape[1]), np.float64)
    offset = np.zeros(len(BLENDSHAPES), np.float64)
    for name, terms in SHAPES.items():
        row = BLENDSHAPES.index(name)
        for vertex, axis, weight in terms:
            shapes[row] += weight * motion[3 * vertex + axis]
            offset[row] += weight * bias[3 * vertex + axis]
    return shapes.astype(np.float32), offset.astype(np.float32)


def limit(shapes: Float32Array) -> None:
    """Keep raw shapes [52] to what a face can do, in place: 0..1, lips closed over no more than the jaw is open."""
    np.clip(shapes, 0.0, 1.0, out=shapes)
    shapes[MOUTH_CLOSE] = min(shapes[MOUTH_CLOSE], shapes[JAW_OPEN])
