"""FLAME files: the official ones (2019, 2020, 2023) as pickle or npz, and the open head."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from facewire.bridge.shared.regular_file import read_regular
from facewire.models.errors import ModelError
from facewire.models.flame.model import JOINTS, POSE_FEATURES, FlameModel
from facewire.models.flame.pickled_arrays import to_array
from facewire.models.flame.unpickle import NPY, read_npy, read_pickle
from facewire.models.npz import Npz, NpzError

Array = npt.NDArray[Any]

OPEN_FLAME_PATH = Path(__file__).with_name("open_flame.npz")
LARGEST_BYTES = 256 << 20
"""The published ones have some 55 MB."""
MOST_VALUES = 40_000_000
"""Of one array, so that a file of bytes cannot become eight times as much."""
OFFICIAL_SHAPES = 300
"""``shapedirs`` of 2019, 2020 and 2023 has these first, and what follows is expression."""
KEYS = ("v_template", "f", "shapedirs", "posedirs", "J_regressor", "kintree_table", "weights")
ADVICE = "give the FLAME model file itself (generic_model.pkl, flame2023.pkl, or an .npz of the same keys)"


def load_flame(path: Path) -> FlameModel:
    """Return the model of a FLAME file: 2019, 2020 or 2023, pickle or npz.

    Nothing in the file is executed (see ``unpickle``). ``shapedirs`` holds 300 shape components and then expression,
    unless the file says otherwise in ``shape_count``. Integer arrays are multiplied by their ``<key>_unit``: that is
    how the open head is kept small.

    Raises:
        ModelError: it is not such a file.
    """
    try:
        data = read_regular(path, LARGEST_BYTES)
        with np.errstate(all="ignore"):  # What is not a number, or too large, is told by the model's own checks.
            return _model(named_arrays(data), path.stem, data)
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror}): check the name") from None
    except ModelError as error:
        reason = " ".join(str(error).split())
        raise ModelError(f"{path} is not a FLAME model that can be used: {reason}; {ADVICE}") from None


@cache
def open_flame() -> FlameModel:
    """Return the open head that comes with the package: FLAME's format, CC0 data, the vertices of ``load_head``."""
    return load_flame(OPEN_FLAME_PATH)


@dataclass(frozen=True, slots=True, eq=False)
class ArkitShapes:
    """What the open head knows of ARKit's shapes, each at a weight of 1."""

    names: tuple[str, ...]
    """52, in the order of the frame."""
    expression: npt.NDArray[np.float32]
    """[52, e], coefficients of the expression basis."""
    pose: npt.NDArray[np.float32]
    """[52, 15], axis-angles in radians of root, neck, jaw, left and right eye."""


def open_flame_arkit() -> ArkitShapes:
    """Return the expressions and joint turns by which the open head makes each ARKit shape."""
    with np.load(OPEN_FLAME_PATH, allow_pickle=False) as file:
        return ArkitShapes(tuple(map(str, file["arkit_names"])), file["arkit_expression"], file["arkit_pose"])


def named_arrays(data: bytes) -> Callable[[str], Array | None]:
    """Return a function from names to a file's arrays, None for those that it lacks: a pickle, an npz or an npy.

    Nothing in the file is executed.

    Raises:
        ModelError: something is missing or damaged, as from what it returns; the message lacks the file's name.
    """
    return _npz(data) if data[:4] == b"PK\x03\x04" else _pickled(data)


def _pickled(data: bytes) -> Callable[[str], Array | None]:
    content = read_npy(data) if data.startswith(NPY) else read_pickle(data)
    if not isinstance(content, dict):
        raise ModelError(f"it holds a {type(content).__name__} instead of named arrays")
    return lambda key: None if content.get(key) is None else to_array(content[key])


def _npz(data: bytes) -> Callable[[str], Array | None]:
    def read(key: str) -> Array | None:
        try:
            return file[key] if key in file.names else None
        except NpzError as error:
            raise ModelError(f"its {key} cannot be read: {error}"[:200]) from None

    try:
        file = Npz(data, LARGEST_BYTES)
    except NpzError as error:
        raise ModelError(str(error)) from None

    return read


def _model(read: Callable[[str], Array | None], name: str, data: bytes) -> FlameModel:
    arrays = {}
    for key in KEYS:
        array = read(key)
        if array is None:
            raise ModelError(f"it has no {key}")
        if array.dtype.kind not in "fiu":
            raise ModelError(f"its {key} holds {array.dtype}, not numbers")
        if array.size > MOST_VALUES:
            raise ModelError(f"its {key} has {array.size:,} numbers, far more than a head's")
        unit = _number(read, f"{key}_unit")
        arrays[key] = array if unit is None else array * np.float32(unit)
    tree = np.nan_to_num(arrays["kintree_table"])
    if tree.ndim != 2 or tree.shape[1] != len(JOINTS):
        joints = tree.shape[-1] if tree.ndim else 0
        raise ModelError(f"it has {joints} joints and FLAME has {len(JOINTS)}: this is another model")
    shapes, expressions = _split(arrays["shapedirs"], _number(read, "shape_count"))
    if arrays["v_template"].ndim != 2:
        raise ModelError(f"its v_template is {list(arrays['v_template'].shape)}, not [v, 3]")
    vertices = len(arrays["v_template"])
    posedirs = arrays["posedirs"]
    if posedirs.ndim == 2 and posedirs.size == vertices * 3 * POSE_FEATURES:
        posedirs = posedirs.reshape(vertices, 3, POSE_FEATURES)
    return FlameModel(
        template=_f32(arrays["v_template"]),
        triangles=np.ascontiguousarray(arrays["f"].astype(np.int64).clip(-1, 2**31 - 1), np.int32),
        shape_basis=_f32(shapes),
        expression_basis=_f32(expressions),
        pose_basis=_f32(posedirs),
        joint_regressor=_f32(arrays["J_regressor"]),
        # The root's parent is written as 2^32 - 1.
        parents=np.array([-1, *tree[0, 1:]], np.int64).clip(-1, 2**31 - 1).astype(np.int32),
        weights=_f32(arrays["weights"]),
        name=name,
        digest=hashlib.sha256(data).hexdigest(),
    )


def _number(read: Callable[[str], Array | None], key: str) -> float | None:
    """Return the one finite number under a key, None if there is none of it."""
    array = read(key)
    if array is None:
        return None
    if array.size != 1 or array.dtype.kind not in "fiu" or not np.isfinite(array).all():
        raise ModelError(f"its {key} is {array.dtype} {list(array.shape)}, not one number")
    return float(array.item())


def _split(shapedirs: Array, count: float | None) -> tuple[Array, Array]:
    if shapedirs.ndim != 3:
        raise ModelError(f"its shapedirs is {list(shapedirs.shape)}, not [v, 3, shape and expression components]")
    total = shapedirs.shape[2]
    shapes = OFFICIAL_SHAPES if count is None else int(count)
    if not 0 < shapes < total:
        raise ModelError(
            f"its shapedirs has {total} components: FLAME has {OFFICIAL_SHAPES} of shape and then those of expression "
            "(a file with other numbers says shape_count)"
        )
    return shapedirs[:, :, :shapes], shapedirs[:, :, shapes:]


def _f32(array: Array) -> npt.NDArray[np.float32]:
    return np.ascontiguousarray(array, np.float32)
