"""FLAME files are read to the number, in every form in which they are published, and nothing else is."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from support.flame.files import Arrays, chumpy, official_bytes, random_flame, stand_ins, with_state, write_official

from facewire.models.errors import ModelError
from facewire.models.flame import FlameModel, load_flame
from facewire.models.flame.landmarks import load_landmarks


@pytest.fixture(scope="module")
def arrays() -> Arrays:
    return random_flame(np.random.default_rng(1))


def check(model: FlameModel, arrays: Arrays, shapes: int = 300) -> None:
    """Every number is the one that was written, as float32."""
    for found, written in (
        (model.template, arrays["v_template"]),
        (model.triangles, arrays["f"]),
        (model.shape_basis, arrays["shapedirs"][:, :, :shapes]),
        (model.expression_basis, arrays["shapedirs"][:, :, shapes:]),
        (model.pose_basis, arrays["posedirs"]),
        (model.joint_regressor, arrays["J_regressor"]),
        (model.weights, arrays["weights"]),
    ):
        np.testing.assert_array_equal(found, np.asarray(written).astype(found.dtype))
        assert found.flags.c_contiguous
    assert model.parents.tolist() == [-1, 0, 1, 1, 1]


@pytest.mark.parametrize("layout", ["csc", "csr", "coo"])
@pytest.mark.parametrize("python2", [True, False])
def test_reads_python_2_pickles_with_chumpy_and_sparse_matrices(
    tmp_path: Path, arrays: Arrays, layout: str, python2: bool
) -> None:
    path = write_official(tmp_path / "generic_model.pkl", arrays, layout=layout, python2=python2)
    model = load_flame(path)
    check(model, arrays)
    assert (model.name, model.shapes, model.expressions) == ("generic_model", 300, 100)
    assert len(model.digest) == 64


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_reads_every_protocol_and_plain_arrays(tmp_path: Path, arrays: Arrays, protocol: int) -> None:
    """Without chumpy, as the file of 2023 is."""
    check(
        load_flame(write_official(tmp_path / "m.pkl", arrays, in_chumpy=(), python2=False, protocol=protocol)), arrays
    )


@pytest.mark.parametrize("protocol", [0, 1])
def test_reads_python_2s_older_protocols(tmp_path: Path, arrays: Arrays, protocol: int) -> None:
    check(load_flame(write_official(tmp_path / "m.pkl", arrays, protocol=protocol)), arrays)


def test_reads_a_real_scipy_matrix_and_other_orders_in_memory(tmp_path: Path, arrays: Arrays) -> None:
    path = tmp_path / "m.pkl"
    content = {
        **arrays,
        "J_regressor": scipy.sparse.csc_matrix(arrays["J_regressor"]),
        "v_template": np.asfortranarray(arrays["v_template"]),
        "weights": arrays["weights"].astype(">f8"),
        "posedirs": arrays["posedirs"].astype(np.float32),
    }
    path.write_bytes(pickle.dumps(content, 2))
    check(load_flame(path), content | {"J_regressor": arrays["J_regressor"]})


def test_reads_chumpy_that_selects_from_another(tmp_path: Path, arrays: Arrays) -> None:
    v = len(arrays["v_template"])
    more = np.concatenate([arrays["shapedirs"], np.ones((v, 3, 7))], axis=2)
    places = np.arange(more.size).reshape(more.shape)[:, :, :400]
    path = tmp_path / "m.pkl"
    with stand_ins() as kinds:
        selected = with_state(kinds["Select"], a=chumpy(kinds, more), idxs=places.ravel(), preferred_shape=(v, 3, 400))
        path.write_bytes(pickle.dumps({**arrays, "shapedirs": selected}, 2))
    check(load_flame(path), arrays)


def test_reads_npz_and_counts_that_the_file_tells(tmp_path: Path) -> None:
    arrays = random_flame(np.random.default_rng(2), shapes=20, expressions=10, head=False)
    path = tmp_path / "m.npz"
    np.savez(path, **arrays, shape_count=20)
    check(load_flame(path), arrays, shapes=20)
    steps = np.round(arrays["shapedirs"] / 1e-5).astype(np.int16)
    np.savez(path, **{**arrays, "shapedirs": steps}, shape_count=20, shapedirs_unit=np.float32(1e-5))
    np.testing.assert_allclose(load_flame(path).shape_basis, arrays["shapedirs"][:, :, :20], atol=5.1e-6)


def test_the_digest_is_the_files(tmp_path: Path, arrays: Arrays) -> None:
    one = load_flame(write_official(tmp_path / "a.pkl", arrays))
    assert one.digest == load_flame(write_official(tmp_path / "b.pkl", arrays)).digest
    assert one.digest != load_flame(write_official(tmp_path / "c.pkl", arrays, layout="csr")).digest


def smpl(arrays: Arrays) -> Arrays:
    return {**arrays, "kintree_table": np.zeros((2, 24), np.uint32), "weights": np.full((200, 24), 1 / 24)}


BROKEN: dict[str, tuple[Any, str]] = {
    "no basis": (lambda a: {k: v for k, v in a.items() if k != "posedirs"}, "it has no posedirs"),
    "empty basis": (lambda a: {**a, "posedirs": None}, "it has no posedirs"),
    "another model": (smpl, "24 joints and FLAME has 5"),
    "shape only": (lambda a: {**a, "shapedirs": a["shapedirs"][:, :, :300]}, "300 components: FLAME has 300 of shape"),
    "flat basis": (lambda a: {**a, "shapedirs": a["shapedirs"][0]}, "shapedirs is"),
    "other vertices": (lambda a: {**a, "weights": a["weights"][1:]}, r"weights is float32 \[199, 5\]"),
    "few vertices": (lambda a: {**a, "v_template": a["v_template"][:50]}, "50 vertices"),
    "not a number": (lambda a: {**a, "v_template": a["v_template"] * np.nan}, "not numbers"),
    "infinite": (lambda a: {**a, "weights": a["weights"] * 1e300}, "not numbers"),
    "millimetres": (lambda a: {**a, "v_template": a["v_template"] * 1000}, "FLAME is in metres"),
    "weights": (lambda a: {**a, "weights": a["weights"] * 0.5}, "do not sum to 1"),
    "other tree": (lambda a: {**a, "kintree_table": a["kintree_table"][::-1]}, "are connected as"),
    "triangles": (lambda a: {**a, "f": a["f"] + 10}, "vertices that it does not have"),
    "words": (lambda a: {**a, "weights": "many"}, "Python|str"),
    "two dimensions": (lambda a: {**a, "f": a["f"].ravel()}, "triangles"),
    "one number": (lambda a: {**a, "v_template": np.float64(1)}, r"v_template is \[\], not \[v, 3\]|a Scalar"),
    "no tree": (lambda a: {**a, "kintree_table": np.full((2, 5), np.nan)}, "are connected as"),
    "many counts": (
        lambda a: {**a, "shape_count": np.array([300, 300])},
        r"shape_count is int64 \[2\], not one number",
    ),
    "no count": (lambda a: {**a, "shape_count": np.array([np.nan])}, "not one number"),
    "many units": (lambda a: {**a, "weights_unit": np.ones((10, 200, 5))}, "weights_unit is .*not one number"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_refuses_what_is_no_flame_model_in_one_line(tmp_path: Path, arrays: Arrays, case: str) -> None:
    change, told = BROKEN[case]
    path = write_official(tmp_path / "m.pkl", change(arrays), in_chumpy=("shapedirs",))
    with pytest.raises(ModelError, match=told) as caught:
        load_flame(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "give the FLAME model file" in str(caught.value)


def test_refuses_files_of_other_kinds(tmp_path: Path) -> None:
    for name, data in (
        ("empty.pkl", b""),
        ("text.pkl", b"v 0 0 0\n"),
        ("list.pkl", pickle.dumps([1])),
        ("z.npz", b"PK\3\4x"),
    ):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ModelError, match="is not a FLAME model"):
            load_flame(tmp_path / name)
    with zipfile.ZipFile(tmp_path / "FLAME2020.zip", "w") as archive:
        archive.writestr("generic_model.pkl", b"")
    with pytest.raises(ModelError, match="it has no v_template"):
        load_flame(tmp_path / "FLAME2020.zip")
    with pytest.raises(ModelError, match="cannot be read"):
        load_flame(tmp_path / "nowhere.pkl")


def test_refuses_an_npz_that_needs_pickle_or_is_cut(tmp_path: Path, arrays: Arrays) -> None:
    path = tmp_path / "m.npz"
    np.savez(path, **{**arrays, "weights": np.array([{"a": 1}], object)})
    with pytest.raises(ModelError, match="its weights cannot be read: it holds object, not numbers"):
        load_flame(path)
    np.savez_compressed(path, **arrays)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(ModelError, match="is damaged"):
        load_flame(path)


def test_reads_the_landmark_files(tmp_path: Path, arrays: Arrays) -> None:
    model = load_flame(write_official(tmp_path / "m.pkl", arrays))
    rng = np.random.default_rng(3)
    triangles, shares = rng.integers(0, 400, 51), rng.dirichlet([1, 1, 1], 51)
    static, frontal, mediapipe = (tmp_path / name for name in ("static.pkl", "landmark_embedding.npy", "mediapipe.npz"))
    static.write_bytes(official_bytes({"lmk_face_idx": triangles.astype(np.uint32), "lmk_b_coords": shares}))
    content = {"full_lmk_faces_idx": triangles[None], "full_lmk_bary_coords": shares[None]}
    np.save(frontal, np.array(content, object), allow_pickle=True)
    np.savez(mediapipe, lmk_face_idx=triangles, lmk_b_coords=shares, landmark_indices=np.arange(51)[::-1])
    expected = np.einsum("lc,lcd->ld", shares, model.template[model.triangles[triangles]])
    for path in (static, frontal, mediapipe):
        landmarks = load_landmarks(path, model)
        np.testing.assert_allclose(landmarks.places(model.template), expected, atol=1e-7)
        assert (landmarks.mediapipe is not None) == (path == mediapipe)
    np.savez(mediapipe, lmk_face_idx=triangles + 400, lmk_b_coords=shares)
    with pytest.raises(ModelError, match="triangles that the model does not have"):
        load_landmarks(mediapipe, model)
    with pytest.raises(ModelError, match="none of"):
        load_landmarks(tmp_path / "m.pkl", model)
    words = np.full((51, 3), "a third")
    for change, told in (({"lmk_b_coords": words}, "not numbers"), ({"landmark_indices": words[:, 0]}, "not whole")):
        np.savez(mediapipe, **{"lmk_face_idx": triangles, "lmk_b_coords": shares, **change})
        with pytest.raises(ModelError, match=told):
            load_landmarks(mediapipe, model)
