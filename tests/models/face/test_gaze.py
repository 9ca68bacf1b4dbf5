"""Gaze: made-up eyes in a made-up camera, and real ones against what the blendshapes say."""

from __future__ import annotations

import math

import numpy as np
import pytest

from facewire.models.assets.store import asset_path
from facewire.models.face.gaze import CENTRE_FROM_CORNERS_CM, IRIS_RADIUS_CM, LIMIT_RAD, Gaze
from facewire.models.face.landmarks import (
    LEFT_EYE_INNER,
    LEFT_EYE_OUTER,
    LEFT_IRIS,
    RIGHT_EYE_INNER,
    RIGHT_EYE_OUTER,
    RIGHT_IRIS,
)
from facewire.models.face.pose import VERTICAL_FIELD_OF_VIEW_RAD

pytestmark = pytest.mark.models

WIDTH, HEIGHT = 1280, 720


def turned(yaw: float, pitch: float, roll: float, shift: tuple[float, float, float]) -> np.ndarray:
    cy, sy, cp, sp, cr, sr = (f(a) for a in (yaw, pitch, roll) for f in (math.cos, math.sin))
    matrix = np.eye(4)
    matrix[:3, :3] = (
        np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
        @ np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
        @ np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    )
    matrix[:3, 3] = shift
    return matrix


def eyes_looking(vertices: np.ndarray, matrix: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Landmarks of the canonical corners, and irises that look along the left and the right (yaw, pitch)."""
    landmarks = np.zeros((478, 3), np.float32)

    def see(point: np.ndarray) -> np.ndarray:
        x, y, z = matrix[:3, :3] @ point + matrix[:3, 3]
        unit = 2 * math.tan(VERTICAL_FIELD_OF_VIEW_RAD / 2) / HEIGHT
        return np.array([-x / z / unit + WIDTH / 2, y / z / unit + HEIGHT / 2])

    eyes = ((LEFT_EYE_OUTER, LEFT_EYE_INNER, LEFT_IRIS, 1), (RIGHT_EYE_OUTER, RIGHT_EYE_INNER, RIGHT_IRIS, -1))
    for (outer, inner, iris, side), (yaw, pitch) in zip(eyes, directions, strict=True):
        landmarks[outer, :2], landmarks[inner, :2] = see(vertices[outer]), see(vertices[inner])
        middle = (vertices[outer] + vertices[inner]) / 2
        centre = middle + np.array(CENTRE_FROM_CORNERS_CM) * [side, 1, 1]
        way = np.array([math.sin(yaw) * math.cos(pitch), math.sin(pitch), math.cos(yaw) * math.cos(pitch)])
        landmarks[iris, :2] = see(centre + IRIS_RADIUS_CM * way)
    return landmarks


@pytest.fixture(scope="module")
def vertices() -> np.ndarray:
    with np.load(asset_path("face_geometry")) as geometry:
        return geometry["vertices"]


@pytest.mark.parametrize(
    "directions",
    [
        ((0, 0), (0, 0)),
        ((0.4, 0), (0.4, 0)),
        ((0, 0.3), (0, -0.3)),
        ((-0.3, 0.2), (-0.2, 0.25)),
        ((-0.6, -0.4), (0.1, 0)),
    ],
)
@pytest.mark.parametrize(
    "pose", [(0, 0, 0, (0, 0, -60)), (0.4, -0.2, 0.3, (12, -6, -50)), (-0.3, 0.3, 0, (-15, 8, -90))]
)
def test_the_direction_of_made_up_eyes_is_found(
    vertices: np.ndarray, pose: tuple[float, float, float, tuple[float, float, float]], directions: tuple
) -> None:
    matrix, gaze = turned(*pose), np.zeros(4, np.float32)
    Gaze(vertices).measure(eyes_looking(vertices, matrix, np.array(directions)), WIDTH, HEIGHT, matrix, gaze)
    np.testing.assert_allclose(gaze, np.ravel(directions), atol=1e-4)


def test_signs_are_those_of_the_frame(vertices: np.ndarray) -> None:
    """An iris nearer the image's right looks to the subject's left (+yaw), a higher one up (+pitch)."""
    matrix, gaze = turned(0, 0, 0, (0, 0, -60)), np.zeros(4, np.float32)
    landmarks = eyes_looking(vertices, matrix, np.zeros((2, 2)))
    landmarks[[LEFT_IRIS, RIGHT_IRIS], 0] += 2
    landmarks[[LEFT_IRIS, RIGHT_IRIS], 1] -= 2
    Gaze(vertices).measure(landmarks, WIDTH, HEIGHT, matrix, gaze)
    assert (gaze > 0.05).all()


def test_an_iris_beyond_the_eyeball_is_looked_at_as_far_as_an_eye_turns(vertices: np.ndarray) -> None:
    matrix, gaze = turned(0, 0, 0, (0, 0, -60)), np.zeros(4, np.float32)
    landmarks = eyes_looking(vertices, matrix, np.zeros((2, 2)))
    landmarks[[LEFT_IRIS, RIGHT_IRIS], 0] += 200
    Gaze(vertices).measure(landmarks, WIDTH, HEIGHT, matrix, gaze)
    np.testing.assert_allclose(gaze[::2], LIMIT_RAD)
    assert (abs(gaze[1::2]) < LIMIT_RAD).all()
