"""Head pose: the fit itself on made-up points, the whole way on a made-up camera."""

from __future__ import annotations

import math

import numpy as np
import pytest
from support.turns import matrix_of

from facewire.models.assets.store import asset_path
from facewire.models.face.pose import VERTICAL_FIELD_OF_VIEW_RAD, HeadPose, procrustes

pytestmark = pytest.mark.models


def svd_procrustes(source: np.ndarray, target: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, float, np.ndarray]:
    """Return the textbook answer (Umeyama 1991): rotation, scale, translation."""
    share = weights / weights.sum()
    a, b = source - share @ source, target - share @ target
    u, d, vt = np.linalg.svd((b * share[:, None]).T @ a)
    sign = np.diag([1, 1, np.linalg.det(u @ vt)])
    turn = u @ sign @ vt
    scale = np.trace(np.diag(d) @ sign) / (share @ (a * a).sum(axis=1))
    return turn, scale, share @ target - scale * turn @ (share @ source)


@pytest.mark.kernels
@pytest.mark.parametrize("seed", range(20))
def test_procrustes_is_the_textbook_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    source, weights = rng.normal(size=(33, 3)), rng.uniform(0.01, 1, 33)
    quaternion = rng.normal(size=4)
    turn = matrix_of(quaternion / np.linalg.norm(quaternion))
    target = 2.5 * source @ turn.T + rng.normal(size=3) + rng.normal(0, 0.3, source.shape)
    if seed >= 15:  # near a mirror image, where a careless fit reflects
        target[:, 0] = rng.normal(0, 0.05, 33)
    matrix, head = np.eye(4), np.zeros(7, np.float32)
    scale = procrustes(source, target, weights, np.empty((4, 4, 4)), matrix, head)
    best_turn, best_scale, shift = svd_procrustes(source, target, weights)
    assert scale == pytest.approx(best_scale, rel=1e-9)
    np.testing.assert_allclose(matrix[:3, :3], best_scale * best_turn, atol=1e-8)
    np.testing.assert_allclose(matrix[:3, 3], shift, atol=1e-8)
    np.testing.assert_allclose(matrix_of(head[:4]), best_turn, atol=1e-6)
    assert head[3] >= 0


def head_pose() -> tuple[HeadPose, np.ndarray]:
    with np.load(asset_path("face_geometry")) as geometry:
        vertices = geometry["vertices"]
        return HeadPose(vertices, geometry["landmark_ids"], geometry["landmark_weights"]), vertices


def photograph(vertices: np.ndarray, matrix: np.ndarray, width: int, height: int) -> np.ndarray:
    """Landmarks [478, 3] of the canonical face under a pose in centimetres, as the fit's camera sees it."""
    points = vertices @ matrix[:3, :3].T + matrix[:3, 3]
    unit = 2 * math.tan(VERTICAL_FIELD_OF_VIEW_RAD / 2) / height
    distance = -points[:, 2:]
    landmarks = np.zeros((478, 3), np.float32)
    landmarks[:468, :2] = points[:, :2] / distance / unit * [1, -1] + [width / 2, height / 2]
    landmarks[:468, 2:] = distance / distance.mean() / unit  # depth on the scale of x, as the networks give it
    return landmarks


@pytest.mark.parametrize(
    ("axis", "degrees"), [((0, 1, 0), 0), ((0, 1, 0), 30), ((1, 0, 0), -20), ((0, 0, 1), 25), ((1, 2, 0.5), 35)]
)
def test_a_photographed_face_is_where_it_was_put(axis: tuple[float, ...], degrees: float) -> None:
    pose, vertices = head_pose()
    half = math.radians(degrees) / 2
    quaternion = np.append(np.sin(half) * np.array(axis) / np.linalg.norm(axis), np.cos(half))
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = matrix_of(quaternion), (6, -4, -55)
    head = np.zeros(7, np.float32)
    pose.fit(photograph(vertices, matrix, 640, 480), 640, 480, head)
    np.testing.assert_allclose(head[:4], quaternion, atol=0.01)
    np.testing.assert_allclose(head[4:], [0.06, -0.04, -0.55], atol=0.006)


def test_axes_are_those_of_the_frame() -> None:
    """+x is the image's right, +y up, the face looks along +z; a turn to the subject's left is one about +y."""
    pose, vertices = head_pose()
    right_and_up, head = np.eye(4), np.zeros(7, np.float32)
    right_and_up[:3, 3] = (10, 8, -60)
    landmarks = photograph(vertices, right_and_up, 640, 480)
    assert landmarks[1, 0] > 320  # the nose is right of and above the middle
    assert landmarks[1, 1] < 240
    pose.fit(landmarks, 640, 480, head)
    assert head[4] > 0.09
    assert head[5] > 0.07
    assert head[6] < -0.5
    left = np.eye(4)
    left[:3, :3], left[:3, 3] = matrix_of(np.array([0, math.sin(0.2), 0, math.cos(0.2)])), (0, 0, -60)
    landmarks = photograph(vertices, left, 640, 480)
    assert landmarks[1, 0] > 320  # turned to the subject's left, the nose goes to the image's right
    pose.fit(landmarks, 640, 480, head)
    assert head[1] == pytest.approx(math.sin(0.2), abs=0.01)
