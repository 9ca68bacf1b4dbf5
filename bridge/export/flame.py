"""FLAME parameters under the names that FLAME's own tools and its users' give them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from facewire.bridge.export.clip import Clip
from facewire.bridge.recording.reader import Session
from facewire.bridge.shared.arrays import Float32Array, Float64Array

Arrays = dict[str, npt.NDArray[Any]]

NAMES = {"expression": "expression", "jaw": "jaw_pose", "neck": "neck_pose", "eyes": "eye_pose"}
"""A frame's keys, and theirs."""


def flame_about(session: Session) -> dict[str, Any]:
    """Return what the session knows of its FLAME: the model from its hello, the person from its end."""
    model = session.metadata.hello.get("flame")
    try:
        person = json.loads(session.end.get("flame", "{}"))
    except (ValueError, RecursionError):
        person = None
    return {key: value for about in (model, person) if isinstance(about, dict) for key, value in about.items()}


def flame_arrays(clip: Clip, about: Mapping[str, Any]) -> Arrays:
    """Return the arrays of recording.md, 9, that a clip's FLAME parameters make; none if it has none."""
    if clip.flame is None:
        return {}
    arrays: Arrays = {name: np.stack([getattr(one, key) for one in clip.flame]) for key, name in NAMES.items()}
    if (shape := _numbers(about.get("shape"), None)) is not None:
        arrays["shape"] = shape
    head, root = _numbers(about.get("head"), 8), _numbers(about.get("root"), 3)
    if head is not None and root is not None:
        arrays["global_orient"], arrays["transl"] = _placed(clip.head, head, root)
    for key in ("model", "digest"):
        if isinstance(about.get(key), str):
            arrays[f"flame_{key}"] = np.array(about[key])
    return arrays


def _numbers(values: object, count: int | None) -> Float32Array | None:
    if not isinstance(values, list) or not all(type(value) in (int, float) for value in values):
        return None
    return np.array(values, np.float32) if count in (None, len(values)) else None


def _placed(heads: Float32Array, head: Float32Array, root: Float32Array) -> tuple[Float32Array, Float32Array]:
    """Axis-angles [n, 3] of the root and FLAME's translations [n, 3], from heads [n, 7] in camera space.

    ``head`` [8] is turn Q, shift b and scale s: y of the head is s Q y + b of the model. So a model's point x is
    R (x - b) + s t in the camera's space, with R = R_head Qᵀ: s times as large and as far, it looks the same. FLAME
    turns about the root's joint j: R (x - j) + j + transl.
    """
    turn = _matrices(heads[:, :4]) @ _matrices(head[None, :4])[0].T
    shift = head[7] * heads[:, 4:].astype(np.float64) - turn @ head[4:7].astype(np.float64)
    return _axis_angles(turn), (shift + turn @ root.astype(np.float64) - root).astype(np.float32)


def _matrices(quaternions: Float32Array) -> Float64Array:
    """Rotation matrices [n, 3, 3] of quaternions xyzw [n, 4]."""
    q = quaternions.astype(np.float64)
    x, y, z, w = (q / np.maximum(np.linalg.norm(q, axis=1, keepdims=True), 1e-9)).T
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    matrices: Float64Array = np.moveaxis(np.array(rows), 2, 0)
    return matrices


def _axis_angles(turn: Float64Array) -> Float32Array:
    """Axis times angle [n, 3] of rotation matrices, for turns of less than half a circle."""
    pairs = ((2, 1), (0, 2), (1, 0))
    axis = np.stack([turn[:, i, j] - turn[:, j, i] for i, j in pairs], axis=1)
    sine = np.linalg.norm(axis, axis=1)
    angle = np.arctan2(sine, np.trace(turn, axis1=1, axis2=2) - 1)
    share = np.where(sine > 1e-9, angle / np.maximum(sine, 1e-9), 0.5)
    return (axis * share[:, None]).astype(np.float32)
