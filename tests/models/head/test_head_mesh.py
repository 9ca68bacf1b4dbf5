"""The head that comes with the package: complete, symmetric, and moving the way the names say."""

from __future__ import annotations

import numpy as np
import pytest

from facewire.bridge.shared.arkit import BLENDSHAPES
from facewire.bridge.shared.arrays import Float32Array
from facewire.models.head import HeadMesh, load_head
from facewire.models.head.export_unity import TARGET, export


@pytest.fixture(scope="module")
def head() -> HeadMesh:
    return load_head()


def vertices_of(head: HeadMesh, material: str) -> Float32Array:
    start, count = head.materials[material]
    return np.unique(head.triangles[start : start + count])


def test_has_all_shapes_and_each_moves_something_by_a_plausible_amount(head: HeadMesh) -> None:
    assert set(head.shapes) == set(BLENDSHAPES)
    for name, motion in head.shapes.items():
        assert 0.002 < np.linalg.norm(motion, axis=1).max() < 0.05, name


def test_is_a_head_of_natural_size_in_whole_triangles(head: HeadMesh) -> None:
    size = np.ptp(head.vertices, axis=0)
    assert 0.15 < size[0] < 0.25
    assert 0.22 < size[1] < 0.32
    assert head.triangles.min() == 0
    assert head.triangles.max() == len(head.vertices) - 1
    assert sum(count for _, count in head.materials.values()) == len(head.triangles)
    assert set(head.materials) >= {"skin", "lips", "teeth", "tongue", "sclera", "iris", "pupil"}


def test_left_and_right_mirror_each_other(head: HeadMesh) -> None:
    flip = np.array([-1, 1, 1], np.float32)
    assert (head.mirror[head.mirror] == np.arange(len(head.vertices))).all()
    np.testing.assert_allclose(head.vertices[head.mirror] * flip, head.vertices, atol=1e-5)
    for name, motion in head.shapes.items():
        other = name.replace("Left", "Right") if "Left" in name else name.replace("Right", "Left")
        np.testing.assert_allclose(motion[head.mirror] * flip, head.shapes[other], atol=1.1e-4, err_msg=name)


def test_shapes_move_the_way_their_names_say(head: HeadMesh) -> None:
    lips, teeth = vertices_of(head, "lips"), vertices_of(head, "teeth")
    iris, tongue = vertices_of(head, "iris"), vertices_of(head, "tongue")
    left_iris = iris[head.vertices[iris, 0] > 0]

    def mean(name: str, which: Float32Array) -> Float32Array:
        motion: Float32Array = head.shapes[name][which].mean(0)
        return motion

    assert mean("jawOpen", lips)[1] < -0.003
    assert mean("jawOpen", teeth)[1] < -0.003
    assert mean("tongueOut", tongue)[2] > 0.01
    assert mean("mouthLeft", lips)[0] > 0.001
    assert mean("jawLeft", teeth)[0] > 0.0005
    assert mean("eyeLookOutLeft", left_iris)[0] > 0.002
    assert mean("eyeLookInLeft", left_iris)[0] < -0.002
    assert mean("eyeLookUpLeft", left_iris)[1] > 0.001
    assert mean("eyeLookDownLeft", left_iris)[1] < -0.001


def test_triangles_face_outwards(head: HeadMesh) -> None:
    start, count = head.materials["skin"]
    corners = head.vertices[head.triangles[start : start + count]]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    outwards = corners.mean(1) - np.array([0, 0.05, 0.04])
    assert (np.sum(normals * outwards, 1) > 0).mean() > 0.8  # All but ears, nostrils and lids.


def test_eyes_lie_where_the_joints_are(head: HeadMesh) -> None:
    pupil = vertices_of(head, "pupil")
    left = head.vertices[pupil[head.vertices[pupil, 0] > 0]].mean(0)
    np.testing.assert_allclose(left[:2], head.joints["left_eye"][:2], atol=0.003)
    assert left[2] > head.joints["left_eye"][2] + 0.008


def test_the_unity_sample_has_this_very_head() -> None:
    assert TARGET.read_bytes() == export()
    assert TARGET.stat().st_size < 1_000_000
