"""Attention Mesh's blendshapes held near FaceMesh V2's."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from facewire.models.assets.store import asset_path
from facewire.models.face.anchor import GAIN, INTERVAL_NS, Anchor, add_offset, approach
from facewire.models.face.tracker import FaceTracker

FRAME_NS = 33_333_333


@pytest.fixture(scope="module")
def frames() -> list[np.ndarray]:
    capture, images = cv2.VideoCapture(str(asset_path("talking_face"))), []
    while len(images) < 90 and (read := capture.read())[0]:
        images.append(read[1])
    return images


def test_offset_approaches_what_is_lacking_and_shapes_stay_in_range() -> None:
    shapes, wanted, offset = (np.array(v, np.float32) for v in ([0.2, 0.9], [0.6, 0.1], [0.1, 0.0]))
    approach(shapes, wanted, 0.5, offset)
    np.testing.assert_allclose(offset, [0.25, -0.4], atol=1e-6)
    add_offset(np.array([0.9, -1.0], np.float32), shapes)
    np.testing.assert_allclose(shapes, [1.0, 0.0])


def test_v2_looks_first_and_then_once_an_interval(frames: list[np.ndarray], monkeypatch: pytest.MonkeyPatch) -> None:
    tracker = FaceTracker("attention", "cpu")
    anchor = tracker._anchor
    assert anchor is not None
    looks: list[int] = []
    infer = anchor._mesh.infer
    monkeypatch.setattr(anchor._mesh, "infer", lambda *args: looks.append(now_ns) or infer(*args))
    for index, image in enumerate(frames):
        now_ns = index * FRAME_NS
        assert tracker.step(image, now_ns) is not None
    every = -(-INTERVAL_NS // FRAME_NS)
    assert looks == [i * FRAME_NS for i in range(0, len(frames), every)]
    now_ns = 0  # A clock that starts again must not silence it.
    tracker.step(frames[0], now_ns)
    assert looks[-1] == 0


def test_anchored_shapes_are_nearer_to_v2(frames: list[np.ndarray]) -> None:
    anchored, free, v2 = FaceTracker("attention", "cpu"), FaceTracker("attention", "cpu"), FaceTracker("v2", "cpu")
    free._anchor = None
    seen = [
        [tracker.step(image, i * FRAME_NS).blendshapes.copy() for i, image in enumerate(frames)]
        for tracker in (anchored, free, v2)
    ]
    near, far = (np.abs(np.array(seen[k]) - np.array(seen[2])).mean() for k in (0, 1))
    assert near < 0.7 * far


def test_forgets_a_person_on_reset() -> None:
    anchor = Anchor(device="cpu")
    anchor._offset[:], anchor._gain, anchor._last_ns = 0.3, GAIN, 5
    anchor.reset()
    assert not anchor._offset.any()
    assert anchor._gain == 1.0
    assert anchor._last_ns is None


def test_a_region_without_a_face_is_not_believed() -> None:
    anchor, shapes = Anchor(device="cpu"), np.full(52, 0.4, np.float32)
    grey = np.full((240, 320, 3), 90, np.uint8)
    anchor.step(grey, np.array([160.0, 120.0, 100.0, 0.0]), np.zeros(7, np.float32), 0, shapes)
    np.testing.assert_allclose(shapes, 0.4)
