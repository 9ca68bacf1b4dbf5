"""The file that the Unity client and the panel skin from, and the golden poses that the C# tests hold it to."""

from __future__ import annotations

import importlib.util
import json
import struct
from pathlib import Path

import numpy as np
import pytest

from facewire.models.errors import ModelError
from facewire.models.flame.packed import MAGIC, pack

GOLDEN = Path(__file__).parents[1] / "golden" / "flame"
_spec = importlib.util.spec_from_file_location("flame_golden", GOLDEN / "make.py")
assert _spec is not None
assert _spec.loader is not None
make = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(make)


def unpack(data: bytes) -> dict[str, np.ndarray]:
    """The file as docs have it, read by its letter."""
    assert data[:8] == MAGIC
    v, f, e, c = struct.unpack_from("<4i", data, 8)
    at, texts = 24, []
    for _ in range(2):
        texts.append(data[at + 1 : at + 1 + data[at]].decode())
        at += 1 + data[at]

    def take(kind: str, *shape: int) -> np.ndarray:
        nonlocal at
        array = np.frombuffer(data, kind, int(np.prod(shape)), at).reshape(shape)
        at += array.nbytes
        return array

    found = {
        "name": texts[0],
        "digest": texts[1],
        "template": take("<f4", v, 3),
        "triangles": take("<u2", f, 3),
        "weights": take("<u2", v, 5) / 65535,
        "joints": take("<f4", 5, 3),
    }
    found["expression"] = np.stack([take("<f4", 1) * take("<i2", v, 3) for _ in range(e)], axis=2)
    found["pose"] = np.zeros((v, 3, 36))
    for _ in range(c):
        entry = int(take("<i4", 1)[0])
        found["pose"][:, :, entry] = take("<f4", 1) * take("<i2", v, 3)
    assert at == len(data)
    return found


def test_what_is_packed_is_the_model_to_micrometres():
    model = make.small_model()
    found = unpack(pack(model, None))
    assert (found["name"], found["digest"]) == ("small", "0" * 64)
    np.testing.assert_array_equal(found["template"], model.template)
    np.testing.assert_array_equal(found["triangles"], model.triangles)
    np.testing.assert_allclose(found["joints"], model.joint_regressor @ model.template, atol=1e-6)
    np.testing.assert_allclose(found["weights"], model.weights, atol=1e-5)
    np.testing.assert_allclose(found["expression"], model.expression_basis, atol=1e-7)
    np.testing.assert_allclose(found["pose"], model.pose_basis, atol=1e-7)
    assert not found["pose"][:, :, 20:27].any()


def test_the_first_components_and_an_identity():
    model, shape = make.small_model(), make.SHAPE
    found = unpack(pack(model, 3, shape))
    assert found["expression"].shape[2] == 3
    np.testing.assert_allclose(found["template"], model.template + model.shape_basis[:, :, :3] @ shape, atol=1e-6)
    assert pack(model, 99) == pack(model, None)
    with pytest.raises(ModelError, match="an identity of \\[9\\] values does not fit small's 4"):
        pack(model, 3, np.zeros(9))


def test_the_golden_poses_are_what_the_skinning_gives():
    model = make.small_model()
    assert pack(model, None, make.SHAPE) == (GOLDEN / "small.flame.bytes").read_bytes()
    said = json.loads((GOLDEN / "poses.json").read_text())
    assert [one["name"] for one in said] == list(make.poses())
    for one in said:
        found = make.skinned(model, make.poses()[one["name"]]).reshape(-1)
        np.testing.assert_allclose(found, one["vertices"], atol=2e-6, err_msg=one["name"])
