"""Write ``small.flame.bytes`` and ``poses.json`` beside this file: ``python tests/golden/flame/make.py``.

A small made-up FLAME, packed, and where its vertices are in some poses as the Python skinning has them. The Unity
client's tests skin the same file by the same poses (tests/unity_client/harness/GoldenFlameTests.cs).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from facewire.bridge.shared.arrays import Float32Array
from facewire.models.flame.model import PARENTS, FlameModel
from facewire.models.flame.packed import pack
from facewire.models.flame.skin.skinning import Skinner

HERE = Path(__file__).parent
VERTICES, EXPRESSIONS = 120, 10


def scattered(seed: int, *shape: int) -> npt.NDArray[np.float64]:
    """Numbers of -1 to 1 that are the same on every machine: no library's random ones are."""
    places = np.arange(np.prod(shape), dtype=np.int64) + 1
    return (((places * 7919 + seed * 104729) * places % 20011) / 10005.0 - 1.0).reshape(shape)


def small_model() -> FlameModel:
    """All that a FLAME can have: identity, expressions, correctives of every joint, weights on every joint."""
    template = scattered(1, VERTICES, 3) * np.array([0.08, 0.12, 0.10])
    weights = np.square(scattered(2, VERTICES, 5))
    weights[::7] = [0, 0, 1, 0, 0]
    regressor = np.square(scattered(3, 5, VERTICES))
    pose = 0.002 * scattered(4, VERTICES, 3, 36)
    pose[:, :, 20:27] = 0.0
    return FlameModel(
        template=template.astype(np.float32),
        triangles=np.arange(VERTICES, dtype=np.int32).reshape(-1, 3),
        shape_basis=(0.003 * scattered(5, VERTICES, 3, 4)).astype(np.float32),
        expression_basis=(0.004 * scattered(6, VERTICES, 3, EXPRESSIONS)).astype(np.float32),
        pose_basis=pose.astype(np.float32),
        joint_regressor=(regressor / regressor.sum(1, keepdims=True)).astype(np.float32),
        parents=np.array(PARENTS, np.int32),
        weights=(weights / weights.sum(1, keepdims=True)).astype(np.float32),
        name="small",
        digest="0" * 64,
    )


SHAPE = np.array([1.0, -0.5, 0.25], np.float32)


def poses() -> dict[str, dict[str, Float32Array]]:
    """By what each shows; rotations in radians."""
    zero = {"expression": np.zeros(EXPRESSIONS), "neck": np.zeros(3), "jaw": np.zeros(3), "eyes": np.zeros(6)}
    named: dict[str, dict[str, Any]] = {
        "rest": {},
        "expression": {"expression": 2.0 * scattered(7, EXPRESSIONS)},
        "few coefficients": {"expression": np.array([1.0, -1.0, 0.5])},
        "jaw": {"jaw": np.array([0.4, 0.05, -0.02])},
        "neck": {"neck": np.array([-0.3, 0.5, 0.2])},
        "eyes": {"eyes": np.array([0.2, -0.4, 0.0, -0.1, 0.3, 0.05])},
        "tiny": {"jaw": np.array([1e-5, 0.0, 0.0]), "neck": np.array([0.0, 2e-5, 0.0])},
        "all": {
            "expression": scattered(8, EXPRESSIONS),
            "neck": np.array([0.1, -0.6, 0.3]),
            "jaw": np.array([0.25, -0.1, 0.0]),
            "eyes": np.array([0.1, 0.4, 0.0, 0.1, 0.35, 0.0]),
        },
    }
    return {
        name: {key: np.asarray(value, np.float32) for key, value in {**zero, **given}.items()}
        for name, given in named.items()
    }


def skinned(model: FlameModel, pose: dict[str, Float32Array], shape: Float32Array = SHAPE) -> Float32Array:
    """[v, 3] metres: what the Python skinning makes of a frame's parameters."""
    skinner = Skinner(model)
    expression, identity = np.zeros(model.expressions, np.float32), np.zeros(model.shapes, np.float32)
    expression[: len(pose["expression"])] = pose["expression"]
    identity[: len(shape)] = shape
    joints = np.concatenate([np.zeros(3, np.float32), pose["neck"], pose["jaw"], pose["eyes"]])
    return skinner.skin(identity, expression, joints, np.zeros(3, np.float32)).copy()


def main() -> None:
    """Write both files."""
    model = small_model()
    (HERE / "small.flame.bytes").write_bytes(pack(model, None, SHAPE))
    said = [{"name": name, **pose, "vertices": skinned(model, pose).reshape(-1)} for name, pose in poses().items()]
    # Compact: the C# tests' own reader of JSON knows no white space.
    text = json.dumps(said, separators=(",", ":"), default=lambda array: [round(float(value), 7) for value in array])
    (HERE / "poses.json").write_text(text)


if __name__ == "__main__":
    main()
