"""Where the tracker's network puts the landmarks: what is kept of it, how it is carried, and that it can be learned."""

from __future__ import annotations

import math

import numpy as np
import pytest

from facewire.models.assets.store import asset_path
from facewire.models.face.landmarks import LEFT_EYE, LIPS, MESH_COUNT, RIGHT_EYE
from facewire.models.face.pose import VERTICAL_FIELD_OF_VIEW_RAD
from facewire.models.flame import open_flame
from facewire.models.flame.build.shift import MOST_CM, Judge, Seen, through_the_best_lens
from facewire.models.flame.fit.points import mirrored_landmarks
from facewire.models.flame.registration.lookup import correspondence_of
from facewire.models.flame.registration.shift import carriers, known_shift
from facewire.models.flame.registration.surface import vertex_normals_of
from facewire.models.flame.skin.skinning import Skinner, rotation

pytestmark = pytest.mark.models
WIDTH, HEIGHT = 640, 480
FOCAL_PX = 0.5 * HEIGHT / math.tan(0.5 * VERTICAL_FIELD_OF_VIEW_RAD)


@pytest.fixture(scope="module")
def canonical() -> tuple[np.ndarray, np.ndarray]:
    with np.load(asset_path("face_geometry")) as stored:
        return stored["vertices"].astype(np.float64), stored["triangles"]


def test_the_shift_is_small_symmetric_along_the_skin_and_leaves_the_rims(
    canonical: tuple[np.ndarray, np.ndarray],
) -> None:
    shift = known_shift()
    length = np.linalg.norm(shift, axis=1)
    assert shift.shape == (MESH_COUNT, 3)
    assert 0.05 < length.mean() < 0.3
    assert length.max() <= MOST_CM + 1e-6
    np.testing.assert_allclose(shift[mirrored_landmarks()] * [-1, 1, 1], shift, atol=0.01)
    outward = (shift * vertex_normals_of(*canonical)).sum(1)
    assert np.abs(outward).mean() < 0.2 * length.mean()
    for rim in (LEFT_EYE[:16], RIGHT_EYE[:16], LIPS[20:40]):
        assert not shift[rim].any()


def test_what_lies_about_a_point_is_carried_with_it(canonical: tuple[np.ndarray, np.ndarray]) -> None:
    face, triangles = canonical
    turn = np.zeros((3, 3))
    rotation(np.array([0.3, -0.5, 0.2]), turn)
    maps = carriers(face, 0.01 * face @ turn.T + [1, 2, 3], triangles)
    np.testing.assert_allclose(maps, np.broadcast_to(0.01 * turn, maps.shape), atol=1e-9)
    wide = carriers(face, face * [1.3, 1.0, 1.0], triangles)
    np.testing.assert_allclose(wide[1] @ [1, 0, 0], [1.3, 0, 0], atol=0.02)  # at the tip of the nose, along the skin


def test_landmarks_that_lie_aside_on_the_skin_are_noticed(canonical: tuple[np.ndarray, np.ndarray]) -> None:
    """A person of the model, whose landmarks lie at random 2 mm aside, the same in every frame."""
    model, rng = open_flame(), np.random.default_rng(4)
    on, skinner, turn = correspondence_of(model), Skinner(model), np.zeros((3, 3))
    normals = vertex_normals_of(on.landmarks(model.template)[:MESH_COUNT].astype(np.float64), canonical[1])
    aside = rng.normal(0, 0.0014, (MESH_COUNT, 3))
    aside -= (aside * normals).sum(1, keepdims=True) * normals
    shape, pose, frames = rng.normal(0, 0.7, model.shapes).astype(np.float32), np.zeros(15, np.float32), []
    for i in range(40):
        pose[:3], pose[6] = (0.2 * math.sin(0.5 * i), 0.3 * math.sin(0.3 * i), 0.0), 0.1 + 0.1 * math.sin(i)
        rotation(pose[:3].astype(np.float64), turn)
        expression = 0.3 * rng.normal(size=model.expressions).astype(np.float32)
        points = on.landmarks(skinner.skin(shape, expression, pose, np.array([0, 0, -0.6], np.float32))).copy()
        points[:MESH_COUNT] += (aside @ turn.T).astype(np.float32)
        depth = -points[:, 2]
        x, y = WIDTH / 2 + FOCAL_PX * points[:, 0] / depth, HEIGHT / 2 - FOCAL_PX * points[:, 1] / depth
        frames.append(np.stack([x, y, (depth - depth.mean()) * FOCAL_PX / depth.mean()], axis=1))
    left = Judge(on).left_over([Seen(np.array(frames, np.float32), WIDTH, HEIGHT)])
    assert left is not None
    assert 1.0 < left.percent < 4.0
    seen = np.abs(normals[:, 2]) > 0.5  # the rest is seen edge-on
    likeness = np.corrcoef(left.moves_m[seen].ravel(), aside[seen].ravel())[0, 1]
    assert likeness > 0.75


def test_a_long_lens_is_noticed() -> None:
    """A face from 0.8 m with a lens of 2.5 times the fit's focal length."""
    model = open_flame()
    on, skinner, rng = correspondence_of(model), Skinner(model), np.random.default_rng(6)
    shape, none = rng.normal(size=model.shapes).astype(np.float32), np.zeros(model.expressions, np.float32)
    frames = []
    for i in range(12):
        pose = np.zeros(15, np.float32)
        pose[:2] = 0.1 * math.sin(i), 0.4 * math.cos(0.5 * i)
        points = on.landmarks(skinner.skin(shape, none, pose, np.array([0, 0, -0.8], np.float32)))
        depth, focal_px = -points[:, 2], 2.5 * FOCAL_PX
        x, y = WIDTH / 2 + focal_px * points[:, 0] / depth, HEIGHT / 2 - focal_px * points[:, 1] / depth
        frames.append(np.stack([x, y, (depth - depth.mean()) * focal_px / depth.mean()], axis=1))
    found = through_the_best_lens(Judge(on), [Seen(np.array(frames, np.float32), WIDTH, HEIGHT)])
    assert found is not None
    assert (found[0].width, found[0].height) == (2.5 * WIDTH, 2.5 * HEIGHT)


def test_landmarks_that_are_nobodys_teach_nothing() -> None:
    nobody = Seen(np.random.default_rng(0).uniform(0, 400, (3, 478, 3)).astype(np.float32), WIDTH, HEIGHT)
    assert Judge(correspondence_of(open_flame())).left_over([nobody]) is None
    assert through_the_best_lens(Judge(correspondence_of(open_flame())), [nobody]) is None
