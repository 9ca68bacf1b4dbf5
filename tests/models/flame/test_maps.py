"""The maps: ARKit's shapes are in FLAME what they are on the open head, come back, and fit other heads too."""

from __future__ import annotations

import dataclasses
import gc
import math
import tracemalloc
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.flame.heads import without_inner_parts

from facewire.bridge.shared.arkit import BLENDSHAPES
from facewire.models.assets.store import asset_path
from facewire.models.errors import ModelError
from facewire.models.flame import FlameModel, open_flame
from facewire.models.flame.files import OPEN_FLAME_PATH
from facewire.models.flame.maps.arkit_map import GAZE_OF_SHAPES, ArkitToFlame, FlameToArkit, gaze_of, there_and_back
from facewire.models.flame.maps.bounded import BoundedLeastSquares
from facewire.models.flame.maps.map_fit import Maps, arkit_motions, fit_maps, maps_of, maps_path
from facewire.models.flame.registration.carry import carry
from facewire.models.flame.registration.correspondence import Correspondence
from facewire.models.flame.registration.lookup import correspondence_of
from facewire.models.flame.skin.skinning import Skinner
from facewire.models.head import load_head

INDEX = {name: number for number, name in enumerate(BLENDSHAPES)}
AGAINST = [
    ("jawLeft", "jawRight"),
    ("mouthLeft", "mouthRight"),
    *((f"eyeLookIn{side}", f"eyeLookOut{side}") for side in ("Left", "Right")),
    *((f"eyeLookUp{side}", f"eyeLookDown{side}") for side in ("Left", "Right")),
]
"""No face does both."""


@pytest.fixture(scope="module")
def there() -> ArkitToFlame:
    return ArkitToFlame(open_flame())


@pytest.fixture(scope="module")
def back() -> FlameToArkit:
    return FlameToArkit(open_flame())


def combinations(count: int, seed: int = 0) -> np.ndarray:
    """Faces [count, 52] with a third of all shapes on, but never two that exclude each other."""
    rng = np.random.default_rng(seed)
    faces = rng.uniform(0, 1, (count, 52)) * (rng.uniform(size=(count, 52)) < 0.35)
    for one, other in AGAINST:
        off = np.where(rng.uniform(size=count) < 0.5, INDEX[one], INDEX[other])
        faces[np.arange(count), off] = 0
    return faces.astype(np.float32)


def off_after(there: ArkitToFlame, back: FlameToArkit, faces: np.ndarray) -> np.ndarray:
    return np.array([np.abs(back.step(*there.step(face, gaze_of(face))) - face) for face in faces])


def skinned(skinner: Skinner, expression: np.ndarray, jaw: np.ndarray, eyes: np.ndarray) -> np.ndarray:
    pose = np.zeros(15, np.float32)
    pose[6:9], pose[9:] = jaw, eyes
    return skinner.skin(np.zeros(skinner.shapes, np.float32), expression, pose, np.zeros(3, np.float32))


def test_each_shape_on_the_skinned_head_is_the_shape(there: ArkitToFlame) -> None:
    head, skinner, maps = load_head(), Skinner(open_flame()), maps_of(open_flame())
    eyeballs = open_flame().weights[:, 3:].sum(1) > 0.5
    start, count = head.materials["pupil"]
    pupils = np.unique(head.triangles[start : start + count])
    for name, face in zip(BLENDSHAPES, np.eye(52, dtype=np.float32), strict=True):
        vertices = skinned(skinner, *there.step(face, gaze_of(face)))
        apart_mm = 1e3 * np.linalg.norm(vertices - head.posed({name: 1.0}), axis=1)
        assert apart_mm[~eyeballs].max() < 0.6, name
        assert apart_mm[pupils].max() < 1.5, name  # The shapes' eyeballs also slide a little: FLAME's only turn.
        assert apart_mm[~eyeballs].max() < 1e3 * maps.worst_m[INDEX[name]] + 0.05
    assert maps.residual_m.max() < 2e-4
    assert math.degrees(np.linalg.norm(maps.jaw[INDEX["jawOpen"]])) == pytest.approx(20, abs=4)
    assert maps.jaw[INDEX["jawOpen"], 0] > 0
    assert maps.jaw[INDEX["jawLeft"], 1] > 0.03
    assert not maps.jaw[INDEX["mouthSmileLeft"]].any()


def test_eyes_look_where_the_gaze_says(there: ArkitToFlame) -> None:
    neutral, z = np.zeros(52, np.float32), np.array([0, 0, 1.0])
    for gaze in np.random.default_rng(2).uniform(-0.8, 0.8, (20, 4)).astype(np.float32):
        _, _, eyes = there.step(neutral, gaze)
        for side in range(2):
            sight = cv2.Rodrigues(eyes[3 * side : 3 * side + 3].astype(np.float64))[0] @ z
            yaw, pitch = gaze[2 * side], gaze[2 * side + 1]
            np.testing.assert_allclose(math.atan2(sight[0], sight[2]), yaw, atol=1e-5)
            np.testing.assert_allclose(math.asin(sight[1]), pitch, atol=1e-5)
            assert eyes[3 * side + 2] == 0  # No rolling.


def test_a_shapes_gaze_is_the_turn_that_the_open_head_has_for_it() -> None:
    with np.load(OPEN_FLAME_PATH) as file:
        turns = dict(zip(map(str, file["arkit_names"]), file["arkit_pose"][:, 9:], strict=True))
    for name in BLENDSHAPES:
        for side in range(2):
            sight = cv2.Rodrigues(turns[name][3 * side : 3 * side + 3].astype(np.float64))[0] @ [0, 0, 1]
            yaw, pitch = math.atan2(sight[0], sight[2]), math.asin(sight[1])
            np.testing.assert_allclose(GAZE_OF_SHAPES[INDEX[name], 2 * side : 2 * side + 2], [yaw, pitch], atol=6e-3)


def test_shapes_come_back(there: ArkitToFlame, back: FlameToArkit) -> None:
    off = there_and_back(open_flame(), maps_of(open_flame()))
    assert off.max() < 0.01, BLENDSHAPES[int(off.argmax())]
    together = off_after(there, back, combinations(300))
    assert together.mean() < 0.001
    assert together.max() < 0.02, BLENDSHAPES[int(together.max(0).argmax())]


@pytest.mark.models
def test_the_shapes_of_a_tracked_face_come_back(there: ArkitToFlame, back: FlameToArkit) -> None:
    """The network has looking in and out on at once; what comes back is their difference."""
    from facewire.models.face.tracker import FaceTracker

    tracker, faces = FaceTracker(threads=1), []
    video = cv2.VideoCapture(str(asset_path("talking_face")))
    for number in range(40):
        _, image = video.read()
        if number % 3 == 0:
            observation = tracker.step(image, number * 33_000_000)
            assert observation is not None
            faces.append(observation.blendshapes.copy())
    video.release()
    off = off_after(there, back, np.array(faces))
    assert off.mean() < 0.02
    assert off.max() < 0.1, BLENDSHAPES[int(off.max(0).argmax())]


def test_the_way_back_depends_on_nothing_but_its_input_and_stays_within_bounds() -> None:
    model, rng = open_flame(), np.random.default_rng(4)
    used = FlameToArkit(model)
    for scale in (0.5, 3.0, 50.0):
        for _ in range(10):
            expression = rng.normal(0, scale, model.expressions).astype(np.float32)
            jaw, eyes = rng.normal(0, 0.3, 3).astype(np.float32), rng.normal(0, 0.5, 6).astype(np.float32)
            found = used.step(expression, jaw, eyes)
            assert found.min() >= 0
            assert found.max() <= 1
            np.testing.assert_allclose(found, FlameToArkit(model).step(expression, jaw, eyes), atol=1e-5)


def test_fewer_expressions_are_the_first_ones_and_other_sizes_are_refused(back: FlameToArkit) -> None:
    """A stream may carry fewer than the model has."""
    rng, count = np.random.default_rng(8), open_flame().expressions
    expression, jaw, eyes = (rng.normal(0, 0.3, size).astype(np.float32) for size in (count, 3, 6))
    expression[20:] = 0
    whole = back.step(expression, jaw, eyes).copy()
    back.step(rng.normal(size=count).astype(np.float32), jaw, eyes)  # Nothing of it may be left.
    np.testing.assert_allclose(back.step(expression[:20], jaw, eyes), whole, atol=1e-5)
    for sizes in ((count + 1, 3, 6), (count, 2, 6), (count, 3, 12)):
        with pytest.raises(ModelError, match=rf"{sizes[0]}, {sizes[1]} and {sizes[2]} values, not {count} at most"):
            back.step(*(np.zeros(size, np.float32) for size in sizes))


def test_a_step_allocates_nothing(there: ArkitToFlame, back: FlameToArkit) -> None:
    faces = combinations(20, seed=6)
    gazes = [gaze_of(face) for face in faces]
    off_after(there, back, faces)
    gc.collect()
    tracemalloc.start()

    def run(rounds: int) -> None:
        for _ in range(rounds):
            for face, gaze in zip(faces, gazes, strict=True):
                back.step(*there.step(face, gaze))

    try:
        run(50)  # Python keeps some numbers for the next ones, and 3.10 more of them than later ones
        before = tracemalloc.get_traced_memory()[0]
        run(50)
        after = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert after - before < 3000  # 3.10 keeps a frame of each function; one number kept of each step would be 24,000


@pytest.mark.parametrize("rank", [3, 12, 30])
def test_bounded_least_squares_finds_the_best(rank: int) -> None:
    """Where nothing can be made smaller by going where the bounds allow (Karush, Kuhn and Tucker), it is the best."""
    rng = np.random.default_rng(rank)
    rows = rng.normal(size=(rank, 30))
    quadratic = rows.T @ rows + 1e-4 * np.eye(30)
    solver = BoundedLeastSquares(quadratic)
    for _ in range(50):
        linear = quadratic @ rng.uniform(-1, 2, 30) + rng.normal(0, 0.1, 30)
        x = solver.solve(linear)
        slope = (quadratic @ x - linear) / np.diag(quadratic)
        low, high = x <= 1e-9, x >= 1 - 1e-9
        assert ((x >= 0) & (x <= 1)).all()
        assert slope[low].min(initial=0) > -1e-6
        assert slope[high].max(initial=0) < 1e-6
        assert np.abs(slope[~low & ~high]).max(initial=0) < 1e-6


@pytest.fixture(scope="module")
def other() -> tuple[FlameModel, np.ndarray, Correspondence]:
    """Return a head of other size, features and vertices; which of the open head's these are; and its landmarks."""
    model, known = open_flame(), correspondence_of(open_flame())
    identity = np.random.default_rng(8).normal(0, 0.8, model.shapes).astype(np.float32)
    template = 1.1 * (model.template + model.shape_basis @ identity)
    changed, kept = without_inner_parts(dataclasses.replace(model, template=template.astype(np.float32)), seed=8)
    number = np.full(len(model.template), -1)
    number[kept] = np.arange(len(kept))
    place = {tuple(sorted(corners)): at for at, corners in enumerate(changed.triangles.tolist())}
    triangle = np.array([place[tuple(sorted(number[corners]))] for corners in known.corners], np.int32)
    order = [
        [list(number[old]).index(corner) for corner in changed.triangles[at]]
        for old, at in zip(known.corners, triangle, strict=True)
    ]
    barycentric = np.take_along_axis(known.barycentric, np.array(order), 1)
    correspondence = Correspondence(
        triangle, barycentric, known.residual_m, changed.triangles[triangle], changed.digest
    )
    return changed, kept, correspondence


@pytest.fixture(scope="module")
def carried(other: tuple[FlameModel, np.ndarray, Correspondence]) -> tuple[np.ndarray, np.ndarray]:
    model, _, landmarks = other
    return carry(model, landmarks, open_flame(), correspondence_of(open_flame()), arkit_motions())


def test_shapes_are_carried_to_another_head(
    other: tuple[FlameModel, np.ndarray, Correspondence], carried: tuple[np.ndarray, np.ndarray]
) -> None:
    (model, kept, landmarks), (moved, weights), motions = other, carried, arkit_motions()
    assert (weights > 0.5).mean() > 0.7
    for name in ("jawOpen", "mouthSmileLeft", "browInnerUp", "eyeBlinkRight", "mouthPucker", "cheekPuff"):
        expected = 1.1 * motions[INDEX[name]][kept]
        size = np.linalg.norm(expected, axis=1)
        moving = (size > 1e-3) & (weights > 0.5)
        missing = np.linalg.norm(moved[INDEX[name]] - expected, axis=1)[moving]
        assert missing.mean() < 0.25 * size[moving].mean(), name
    rest = landmarks.landmarks(model.template)
    shut = rest + landmarks.landmarks(moved[INDEX["eyeBlinkLeft"]].astype(np.float32))
    opened = rest + landmarks.landmarks(moved[INDEX["jawOpen"]].astype(np.float32))
    upper, lower = [385, 386, 387], [380, 374, 373]
    gap = np.abs(shut[upper] - shut[lower])[:, 1] / np.abs(rest[upper] - rest[lower])[:, 1].max()
    assert gap.mean() < 0.3
    assert gap.max() < 0.45
    assert opened[13, 1] - opened[14, 1] > 0.015


def test_another_heads_maps_fit_and_come_back(
    other: tuple[FlameModel, np.ndarray, Correspondence], carried: tuple[np.ndarray, np.ndarray]
) -> None:
    model, maps = other[0], fit_maps(other[0], *carried)
    assert maps.residual_m.mean() < 5e-4
    assert maps.residual_m.max() < 1.5e-3
    assert maps.motion_m[INDEX["tongueOut"]] == 0
    assert not maps.expression[INDEX["tongueOut"]].any()
    assert 0.2 < maps.jaw[INDEX["jawOpen"], 0] < 0.6
    faces = combinations(50, seed=9)
    faces[:, INDEX["tongueOut"]] = 0
    off = off_after(ArkitToFlame(model, maps), FlameToArkit(model, maps), faces)
    assert off.mean() < 0.02
    assert off.max() < 0.1, BLENDSHAPES[int(off.max(0).argmax())]


def test_maps_are_kept_and_never_used_for_another_model(
    other: tuple[FlameModel, np.ndarray, Correspondence],
    carried: tuple[np.ndarray, np.ndarray],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, _, landmarks = other
    monkeypatch.setattr("facewire.models.flame.kept.cache_folder", lambda: tmp_path)
    monkeypatch.setattr("facewire.models.flame.maps.map_fit.correspondence_of", lambda _: landmarks)
    monkeypatch.setattr("facewire.models.flame.registration.carry.carry", lambda *_: carried)
    made = maps_of(model)
    path = maps_path(model)
    assert path.exists()
    with monkeypatch.context() as patch:
        patch.setattr("facewire.models.flame.registration.carry.carry", None)
        again = maps_of(model)
    for field in dataclasses.fields(Maps):
        np.testing.assert_array_equal(getattr(again, field.name), getattr(made, field.name))
    stranger = dataclasses.replace(model, digest="f" * 64, name="a stranger")
    for way in (ArkitToFlame, FlameToArkit):
        with pytest.raises(ModelError, match="another model's, not a stranger's: register"):
            way(stranger, made)
    path.write_bytes(path.read_bytes()[:1000])
    np.testing.assert_allclose(maps_of(model).expression, made.expression, atol=1e-4)
