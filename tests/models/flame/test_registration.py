"""Correspondence: the landmarks lie where their names say, on the open head and on heads that are unlike it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from support.flame.heads import without_inner_parts

from facewire.models.assets.store import CACHE_VARIABLE, asset_path
from facewire.models.errors import ModelError
from facewire.models.face.landmarks import LEFT_EYE, LIPS, MESH_COUNT, RIGHT_EYE
from facewire.models.flame import FlameModel, open_flame
from facewire.models.flame.kept import keep, kept_path
from facewire.models.flame.registration.correspondence import OPEN_PATH, Correspondence, arrays_of, read_correspondence
from facewire.models.flame.registration.lookup import VERSION, correspondence_of
from facewire.models.flame.registration.registration import register
from facewire.models.flame.registration.surface import look_at, nearest, normals_of
from facewire.models.head import load_head

pytestmark = pytest.mark.models

RIGHT_OUTER, RIGHT_INNER, LEFT_INNER, LEFT_OUTER = 33, 133, 362, 263
RIGHT_CORNER, LEFT_CORNER, UPPER_INNER, LOWER_INNER, LOWER_BORDER = 61, 291, 13, 14, 17
NOSE_TIP, CHIN, FOREHEAD, RIGHT_BROW, LEFT_BROW = 1, 152, 10, 105, 334
Geometry = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def canonical() -> Geometry:
    with np.load(asset_path("face_geometry")) as stored:
        return dict(stored)


@pytest.fixture(scope="module")
def on_open_head() -> Correspondence:
    known = read_correspondence(OPEN_PATH, open_flame())
    assert known is not None, "open_flame.npz has changed: run `python -m facewire.models.flame.registration`"
    return known


def laid_onto(model: FlameModel, canonical: Geometry) -> Correspondence:
    return register(model, canonical["vertices"], canonical["triangles"])


@pytest.mark.kernels
def test_the_open_heads_landmarks_are_made_again_as_they_were_kept(
    canonical: Geometry, on_open_head: Correspondence
) -> None:
    made, template = laid_onto(open_flame(), canonical), open_flame().template
    apart_m = np.linalg.norm(made.landmarks(template) - on_open_head.landmarks(template), axis=1)
    assert apart_m.max() < 2e-4
    np.testing.assert_allclose(made.barycentric.sum(1), 1, atol=1e-5)
    assert made.barycentric.min() >= -1e-6


def test_landmarks_lie_where_their_names_say(on_open_head: Correspondence) -> None:
    head = load_head()
    at = on_open_head.landmarks(head.vertices) * 1e3
    x, y, z = 0, 1, 2
    assert at[RIGHT_OUTER, x] < at[RIGHT_INNER, x] < 0 < at[LEFT_INNER, x] < at[LEFT_OUTER, x]
    for corner, eye in ((RIGHT_INNER, "right_eye"), (LEFT_INNER, "left_eye")):
        assert 10 < abs(at[corner, x] - 1e3 * head.joints[eye][x]) < 16
    assert 45 < at[LEFT_CORNER, x] - at[RIGHT_CORNER, x] < 55
    assert abs(at[NOSE_TIP, z] - head.vertices[:, z].max() * 1e3) < 0.5
    assert at[FOREHEAD, y] > at[LEFT_BROW, y] > at[LEFT_OUTER, y] > at[NOSE_TIP, y] > at[UPPER_INNER, y] > at[CHIN, y]
    middle = [FOREHEAD, NOSE_TIP, UPPER_INNER, LOWER_INNER, LOWER_BORDER, CHIN]
    assert np.abs(at[middle, x]).max() < 1
    start, count = head.materials["lips"]
    lips = head.vertices[np.unique(head.triangles[start : start + count])] * 1e3
    assert abs(at[LOWER_BORDER, y] - lips[:, y].min()) < 2
    assert abs(at[0, y] - lips[np.abs(lips[:, x]) < 3, y].max()) < 2
    assert np.mean(on_open_head.residual_m[:MESH_COUNT]) < 2e-4


def test_lips_and_lids_keep_to_their_own_side(on_open_head: Correspondence) -> None:
    """Where the mouth opens and the eyes close, upper and lower landmarks go their own ways."""
    head = load_head()
    rest = on_open_head.landmarks(head.vertices)
    opened = on_open_head.landmarks(head.posed({"jawOpen": 1.0})) - rest
    rings = LIPS.reshape(4, 20)
    lower, upper = rings[:, 2:9], rings[:, 12:19]  # The same columns: without the corners and what is next to them.
    assert (opened[lower, 1].max(0) < -0.006).all()
    assert (opened[upper, 1].min(0) > opened[lower, 1].max(0) + 0.003).all()
    assert opened[upper[:, 1:-1], 1].min() > -0.005
    shut = on_open_head.landmarks(head.posed({"eyeBlinkLeft": 1.0, "eyeBlinkRight": 1.0})) - rest
    for rim in (RIGHT_EYE, LEFT_EYE):
        assert shut[rim[11:14], 1].max() < -0.004
        assert shut[rim[3:6], 1].min() > -0.003
    gap_m = on_open_head.landmarks(head.posed({"eyeBlinkLeft": 1.0}))[[386, 374], 1]
    assert abs(gap_m[0] - gap_m[1]) < 0.002


def test_left_and_right_are_alike(canonical: Geometry, on_open_head: Correspondence) -> None:
    face = canonical["vertices"]
    other = np.linalg.norm((face * [-1, 1, 1])[:, None] - face[None], axis=2).argmin(1)
    at = on_open_head.landmarks(open_flame().template)[:MESH_COUNT]
    apart_m = np.linalg.norm(at[other] * [-1, 1, 1] - at, axis=1)
    assert np.mean(apart_m) < 5e-4
    assert apart_m.max() < 4e-3


def test_irises_turn_with_the_eyes(on_open_head: Correspondence) -> None:
    head = load_head()
    rest = on_open_head.landmarks(head.vertices)
    for first, eye in ((468, "right_eye"), (473, "left_eye")):
        ring, centre = rest[first + 1 : first + 5] - rest[first], head.joints[eye]
        assert ring[0, 0] > 0.004  # Image right, top, image left, bottom: as the tracker gives them.
        assert ring[1, 1] > 0.004
        assert ring[2, 0] < -0.004
        assert ring[3, 1] < -0.004
        np.testing.assert_allclose(rest[first, :2], centre[:2], atol=2e-4)
        assert rest[first, 2] > centre[2] + 0.01
    moved = on_open_head.landmarks(head.posed({"eyeLookOutLeft": 1.0}))[473:] - rest[473:]
    assert moved[:, 0].min() > 0.001


def test_another_head_gets_the_same_landmarks_and_they_are_kept(
    on_open_head: Correspondence, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other features, other vertices in another order, another size and place, and a slight tilt."""
    model, tilt = open_flame(), 0.1
    identity = np.random.default_rng(1).normal(0, 1, model.shapes).astype(np.float32)
    turn = np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
    face = 1.4 * (model.template + model.shape_basis @ identity) @ turn.T + [0.3, -0.1, 0.2]
    whole = dataclasses.replace(model, template=face.astype(np.float32))
    changed, _ = without_inner_parts(whole, seed=1)
    monkeypatch.setattr("facewire.models.flame.kept.cache_folder", lambda: tmp_path)
    found = correspondence_of(changed)
    apart_mm = 1e3 * np.linalg.norm(found.landmarks(changed.template) - on_open_head.landmarks(whole.template), axis=1)
    inner = np.concatenate([LIPS, RIGHT_EYE[:16], LEFT_EYE[:16], [NOSE_TIP]])
    assert np.mean(apart_mm[inner]) < 2.0
    assert np.mean(apart_mm) < 3.5
    assert np.quantile(apart_mm, 0.95) < 8
    assert np.mean(found.residual_m) < 7e-4
    again = read_correspondence(kept_path(changed, "correspondence", VERSION), changed)
    assert again is not None
    np.testing.assert_array_equal(again.triangle, found.triangle)
    np.testing.assert_array_equal(again.corners, found.corners)
    monkeypatch.setattr("facewire.models.flame.registration.registration.register", None)
    np.testing.assert_array_equal(correspondence_of(changed).barycentric, found.barycentric)


def test_a_template_that_is_no_face_is_one_line(canonical: Geometry) -> None:
    model = open_flame()
    ball = model.template - model.template.mean(0)
    ball *= 0.1 / np.linalg.norm(ball, axis=1, keepdims=True)
    for template in (ball, model.template[:, [2, 1, 0]], model.template * np.float32([1, -1, -1])):
        with pytest.raises(ModelError, match=r"^(cannot find|the eyes)[^\n]+$"):
            laid_onto(dataclasses.replace(model, template=template.astype(np.float32)), canonical)
    below_lip = correspondence_of(model).landmarks(model.template)[18]
    off_m = np.linalg.norm((model.template[model.triangles].mean(1) - below_lip)[:, :2], axis=1)
    with pytest.raises(ModelError, match=r"^[^\n]*has a hole where a face has its nose or lower lip[^\n]*$"):
        laid_onto(dataclasses.replace(model, triangles=model.triangles[off_m > 0.006]), canonical)
    no_eyes = dataclasses.replace(model, weights=np.eye(5, dtype=np.float32)[np.zeros(len(model.template), int)])
    with pytest.raises(ModelError, match="cannot find"):
        laid_onto(no_eyes, canonical)


def test_a_correspondence_is_never_used_for_another_model_nor_from_a_damaged_file(
    on_open_head: Correspondence, tmp_path: Path
) -> None:
    model, path = open_flame(), tmp_path / "kept.npz"
    keep(path, arrays_of(on_open_head))
    assert read_correspondence(path, model) is not None
    other = dataclasses.replace(model, digest="1" * 64)
    assert read_correspondence(path, other) is None
    with pytest.raises(ModelError, match="another model"):
        on_open_head.require(other)
    whole = path.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", b"no file of ours"):
        path.write_bytes(damaged)
        assert read_correspondence(path, model) is None
    keep(path, {**arrays_of(on_open_head), "triangle": np.full(478, len(model.triangles), np.int32)})
    assert read_correspondence(path, model) is None
    assert [file.name for file in tmp_path.iterdir()] == ["kept.npz"]


def test_where_nothing_can_be_kept_one_line_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "flame").write_text("in the way")
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    with pytest.raises(ModelError, match=r"cannot write .*FACEWIRE_CACHE"):
        keep(kept_path(open_flame(), "correspondence", VERSION), {"digest": np.array("x")})


def test_the_nearest_point_of_a_triangle_is_the_nearest_of_many() -> None:
    rng = np.random.default_rng(5)
    corners, points = rng.normal(size=(6, 3, 3)), rng.normal(size=(40, 3))
    faces = normals_of(corners.reshape(-1, 3), np.arange(18, dtype=np.int32).reshape(-1, 3))
    number, barycentric, distance = nearest(points, np.zeros_like(points), corners, faces)
    weights = rng.dirichlet([0.5, 0.5, 0.5], 4000)
    sampled = np.einsum("sc,tcx->tsx", weights, corners).reshape(-1, 3)
    least = np.linalg.norm(points[:, None] - sampled[None], axis=2).min(1)
    places = np.einsum("pc,pcx->px", barycentric, corners[number])
    np.testing.assert_allclose(np.linalg.norm(points - places, axis=1), distance, atol=1e-9)
    assert (distance <= least + 1e-9).all()
    assert (least - distance).max() < 0.15


def test_a_view_shows_the_foremost_triangle_that_faces_it() -> None:
    square = np.array([[0, 0], [4, 0], [4, 4], [0, 4]], float)
    back, front = np.column_stack([square, np.zeros(4)]), np.column_stack([square / 2, np.ones(4)])
    vertices = np.concatenate([back, front])
    two = np.array([[0, 1, 2], [0, 2, 3]])
    triangles = np.concatenate([two, two + 4, two[:, ::-1]]).astype(np.int32)
    view = look_at(vertices, triangles, 0.5)
    row, column = view.row(1.0), view.column(1.5)
    assert view.triangle[row, column] == 2
    np.testing.assert_allclose(view.place(row, column), [1.5, 1.0, 1.0])
    assert view.triangle[view.row(3.0), view.column(3.5)] == 0
    assert view.triangle.max() < 4
