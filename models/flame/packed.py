"""A FLAME head as one small file for programs that skin it themselves: the Unity component and the control panel.

All numbers are little-endian and nothing is aligned; a text is one byte of length and UTF-8::

    magic "FWFLAME1"; int32: vertices v, triangles f, materials m, expression components e, pose correctives c
    texts: the model's name, its digest
    for each material: text, int32 first triangle, int32 number of triangles
    float32 x 3 for each vertex (metres), uint16 x 3 for each triangle, sorted by material
    uint16 x 5 for each vertex: weights of root, neck, jaw, left and right eye in 65535ths
    float32 x 3 for each of these joints (metres)
    for each expression component: float32 unit (metres), int16 x 3 for each vertex
    for each pose corrective that is not all zero: int32 which of the 36 it is, then as an expression component

Identity is folded in: the file is one head. Space and parameters are those of ``FlameModel`` and of a frame's
``flame``.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import numpy.typing as npt

from facewire.models.errors import ModelError
from facewire.models.flame.model import FlameModel
from facewire.models.head import load_head

Array = npt.NDArray[Any]

MAGIC = b"FWFLAME1"
MOST_VERTICES = 65535
EYE_JOINTS = slice(3, 5)
STEP_M = 1e-7
"""Of what a product gives: far below what is seen, far above a product's last bits."""
EXPRESSIONS = 50
"""Components that are kept where nothing else is asked for: FLAME's are sorted by how much they move."""


def pack(model: FlameModel, expressions: int | None = EXPRESSIONS, shape: Array | None = None) -> bytes:
    """Return the file with the first ``expressions`` components (None: all), and the identity ``shape`` [s or fewer].

    Raises:
        ModelError: the model is too large for it, or has fewer identity components.
    """
    vertices, count = len(model.template), min(expressions or model.expressions, model.expressions)
    if vertices > MOST_VERTICES:
        raise ModelError(f"{model.name} has {vertices} vertices: at most {MOST_VERTICES} can be packed")
    template = model.template.astype(np.float64)
    if shape is not None:
        if shape.ndim != 1 or len(shape) > model.shapes:
            raise ModelError(f"an identity of {list(shape.shape)} values does not fit {model.name}'s {model.shapes}")
        basis = model.shape_basis[:, :, : len(shape)].astype(np.float64)
        template = template + _rounded(basis @ shape.astype(np.float64))
    joints = _rounded(model.joint_regressor.astype(np.float64) @ template)
    triangles, materials = split(model)
    correctives = np.flatnonzero(np.abs(model.pose_basis).max(axis=(0, 1)) > 0)
    parts = [MAGIC, struct.pack("<5i", vertices, len(triangles), len(materials), count, len(correctives))]
    parts += [_text(model.name), _text(model.digest)]
    for name, (first, number) in materials.items():
        parts += [_text(name), struct.pack("<2i", first, number)]
    parts += [template.astype("<f4").tobytes(), triangles.astype("<u2").tobytes()]
    parts += [np.round(model.weights.clip(0, 1) * 65535).astype("<u2").tobytes(), joints.astype("<f4").tobytes()]
    parts += [_quantized(model.expression_basis[:, :, k]) for k in range(count)]
    for entry in correctives:
        parts += [struct.pack("<i", entry), _quantized(model.pose_basis[:, :, entry])]
    return b"".join(parts)


def split(model: FlameModel) -> tuple[Array, dict[str, tuple[int, int]]]:
    """Triangles [f, 3] sorted by material, and the first triangle and the number of triangles of each.

    The open head has those of ``load_head``. A FLAME file names none: what its eye joints carry is "eyes", all else is
    "skin".
    """
    head = load_head()
    if np.array_equal(head.triangles, model.triangles):
        return model.triangles, head.materials
    carried = model.weights[:, EYE_JOINTS].sum(axis=1) > 0.5
    eyes = carried[model.triangles].all(axis=1)
    sizes = {"skin": int((~eyes).sum()), "eyes": int(eyes.sum())}
    firsts = {"skin": 0, "eyes": sizes["skin"]}
    triangles = model.triangles[np.argsort(eyes, kind="stable")]
    return triangles, {name: (firsts[name], size) for name, size in sizes.items() if size}


def _rounded(product_m: Array) -> Array:
    """Return a product's metres in whole steps: its last bits differ between processors, the file must not.

    What should be zero is 0.0, never -0.0.
    """
    return np.round(product_m / STEP_M) * STEP_M + 0.0


def _quantized(moves_m: Array) -> bytes:
    """One column [v, 3] in steps of its own."""
    unit_m = max(float(np.abs(moves_m).max()) / 32767, 1e-12)
    return struct.pack("<f", unit_m) + np.round(moves_m / unit_m).clip(-32767, 32767).astype("<i2").tobytes()


def _text(text: str) -> bytes:
    data = text.encode()[:255].decode(errors="ignore").encode()
    return bytes([len(data)]) + data
