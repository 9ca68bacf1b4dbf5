"""The file that the Unity client and the panel skin from, and the golden poses that the C# tests hold it to."""

from __future__ import annotations

import json
import struct
from dataclasses import replace

import numpy as np
import pytest
from support.flame.noise import noisy, noisy_record
from support.paths import GOLDEN, load_module

from facewire.models.errors import ModelError
from facewire.models.flame import open_flame
from facewire.models.flame.packed import MAGIC, pack
from facewire.models.head import load_head

make = load_module(GOLDEN / "flame" / "make.py")


def unpack(data: bytes) -> dict[str, np.ndarray]:
    """Read the file as docs describe it, byte by byte."""
    assert data[:8] == MAGIC
    v, f, m, e, c = struct.unpack_from("<5i", data, 8)
    at = 28

    def text() -> str:
        nonlocal at
        start, at = at + 1, at + 1 + data[at]
        return data[start:at].decode()

    def take(kind: str, *shape: int) -> np.ndarray:
        nonlocal at
        array = np.frombuffer(data, kind, int(np.prod(shape)), at).reshape(shape)
        at += array.nbytes
        return array

    found = {
        "name": text(),
        "digest": text(),
        "materials": {text(): tuple(take("<i4", 2)) for _ in range(m)},
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


@pytest.mark.kernels
def test_what_is_packed_is_the_model_to_micrometres():
    model = make.small_model()
    found = unpack(pack(model, None))
    assert (found["name"], found["digest"]) == ("small", "0" * 64)
    np.testing.assert_array_equal(found["template"], model.template)
    eyes = 6  # of its triangles, made up as all else, this one hangs on the eyes
    np.testing.assert_array_equal(
        found["triangles"], [*np.delete(model.triangles, eyes, axis=0), model.triangles[eyes]]
    )
    assert found["materials"] == {"skin": (0, 39), "eyes": (39, 1)}
    np.testing.assert_allclose(found["joints"], model.joint_regressor @ model.template, atol=1e-6)
    np.testing.assert_allclose(found["weights"], model.weights, atol=1e-5)
    np.testing.assert_allclose(found["expression"], model.expression_basis, atol=1e-7)
    np.testing.assert_allclose(found["pose"], model.pose_basis, atol=1e-7)
    assert not found["pose"][:, :, 20:27].any()


def test_eyes_are_a_material_of_their_own_and_the_open_head_keeps_its_own():
    model = make.small_model()
    weights = np.zeros_like(model.weights)
    weights[:, 1] = 1
    assert unpack(pack(replace(model, weights=weights)))["materials"] == {"skin": (0, 40)}
    weights[[0, 1, 2, 9, 10, 11]] = [0, 0, 0, 0.9, 0.1]
    found = unpack(pack(replace(model, weights=weights)))
    assert found["materials"] == {"skin": (0, 38), "eyes": (38, 2)}
    np.testing.assert_array_equal(found["triangles"][38:], [[0, 1, 2], [9, 10, 11]])
    assert unpack(pack(open_flame()))["materials"] == load_head().materials


@pytest.mark.kernels
def test_the_first_components_and_an_identity():
    model, shape = make.small_model(), make.SHAPE
    found = unpack(pack(model, 3, shape))
    assert found["expression"].shape[2] == 3
    np.testing.assert_allclose(found["template"], model.template + model.shape_basis[:, :, :3] @ shape, atol=1e-6)
    assert pack(model, 99) == pack(model, None)
    with pytest.raises(ModelError, match="an identity of \\[9\\] values does not fit small's 4"):
        pack(model, 3, np.zeros(9))


@pytest.mark.parametrize("shape", [None, np.linspace(-2, 2, 80, dtype=np.float32)])
def test_another_processors_products_make_the_same_file_of_the_open_head(shape):
    made = pack(open_flame(), 3, shape)
    for _ in range(5):
        assert pack(noisy_record(open_flame()), 3, shape) == made


def test_another_processors_products_make_the_same_golden_file(monkeypatch):
    scattered = make.scattered
    monkeypatch.setattr(make, "scattered", lambda *given: noisy(scattered(*given)))
    committed = (GOLDEN / "flame" / "small.flame.bytes").read_bytes()
    for _ in range(5):
        assert pack(make.small_model(), None, noisy(make.SHAPE)) == committed


@pytest.mark.kernels
def test_the_golden_poses_are_what_the_skinning_gives():
    model = make.small_model()
    assert pack(model, None, make.SHAPE) == (GOLDEN / "flame" / "small.flame.bytes").read_bytes()
    said = json.loads((GOLDEN / "flame" / "poses.json").read_text())
    assert [one["name"] for one in said] == list(make.poses())
    for one in said:
        found = make.skinned(model, make.poses()[one["name"]]).reshape(-1)
        np.testing.assert_allclose(found, one["vertices"], atol=2e-6, err_msg=one["name"])
