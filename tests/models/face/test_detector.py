"""The detector: its decoding on made-up numbers, then on a real face."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from facewire.models.assets.store import asset_path
from facewire.models.face.detector import SIDE, FaceDetector, View, anchors, decode, region_from_box, suppress
from facewire.models.face.region import MARGIN


def test_anchors_are_two_on_the_fine_grid_and_six_on_the_coarse_one() -> None:
    centres = anchors()
    assert centres.shape == (896, 2)
    np.testing.assert_array_equal(centres[:4], [[4, 4], [4, 4], [12, 4], [12, 4]])
    np.testing.assert_array_equal(centres[32], [4, 12])  # row by row
    np.testing.assert_array_equal(centres[512:519], [[8, 8]] * 6 + [[24, 8]])
    np.testing.assert_array_equal(centres[-1], [120, 120])


def test_decode_adds_the_anchor_and_drops_what_is_no_face() -> None:
    boxes, logits = np.zeros((896, 16), np.float32), np.full(896, -8.0, np.float32)
    boxes[700] = [2, -3, 20, 30, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]
    logits[700] = 2.0
    logits[[5, 6]] = [-1000, -0.001]  # certainly none, and just under one half
    centres, decoded, scores = anchors(), np.empty((896, 16), np.float32), np.empty(896, np.float32)
    assert decode(boxes, logits, centres, decoded, scores) == 1
    x, y = centres[700] + [2, -3]
    np.testing.assert_allclose(decoded[0, :4], [x - 10, y - 15, x + 10, y + 15])
    np.testing.assert_allclose(decoded[0, 4:8], centres[700][[0, 1, 0, 1]] + [1, 2, 3, 4])
    assert scores[0] == pytest.approx(1 / (1 + math.exp(-2)))


def test_overlapping_boxes_become_their_mean_by_score_and_others_stay() -> None:
    boxes = np.zeros((3, 16), np.float32)
    boxes[:, :4] = [[10, 10, 30, 30], [80, 80, 100, 100], [12, 10, 32, 30]]
    merged = suppress(np.array([0.6, 0.7, 0.9], np.float32), boxes)
    assert [score for score, _ in merged] == pytest.approx([0.9, 0.7])
    np.testing.assert_allclose(merged[0][1][:4], [11.2, 10, 31.2, 30], rtol=1e-6)
    np.testing.assert_allclose(merged[1][1][:4], [80, 80, 100, 100])
    assert suppress(np.empty(0, np.float32), np.empty((0, 16), np.float32)) == []


def test_a_box_in_a_turned_view_gives_the_region_in_the_image() -> None:
    box = np.zeros(16, np.float32)
    box[:8] = [54, 44, 74, 64, 60, 50, 70, 50]  # its centre is 10 px above the middle, its eyes are level
    upright = region_from_box(box, np.array([320.0, 240.0, 640.0, 0.0]))
    np.testing.assert_allclose(upright, [320, 240 - 50, MARGIN * 100, 0], atol=1e-4)
    turned = region_from_box(box, np.array([320.0, 240.0, 640.0, math.pi / 2]))
    np.testing.assert_allclose(turned, [320 + 50, 240, MARGIN * 100, math.pi / 2], atol=1e-4)
    assert SIDE == 128


@pytest.mark.models
def test_a_portrait_is_found_upright_and_on_its_side() -> None:
    detector, image = FaceDetector(device="cpu"), cv2.imread(str(asset_path("demo_face")))
    assert image is not None
    (face,) = detector.detect(image)
    # What MediaPipe 0.10.21's FaceDetection (short range) says of the same picture.
    assert face.score == pytest.approx(0.9217, abs=0.002)
    np.testing.assert_allclose(face.region[:2], [225.24, 130.54], atol=0.1)
    assert face.size_px == pytest.approx(95.34, abs=0.1)
    assert face.region[3] == pytest.approx(math.atan2(109.097 - 104.898, 245.846 - 201.495), abs=0.002)
    for turns, code in ((1, cv2.ROTATE_90_CLOCKWISE), (2, cv2.ROTATE_180), (3, cv2.ROTATE_90_COUNTERCLOCKWISE)):
        (turned,) = detector.detect(cv2.rotate(image, code), View(turn=turns))
        assert turned.size_px == pytest.approx(face.size_px, rel=0.05)
        turn = math.remainder(turned.region[3] - face.region[3] - turns * math.pi / 2, math.tau)
        assert abs(turn) < 0.05


def test_views_are_squares_along_the_longer_side() -> None:
    np.testing.assert_allclose(View().frame(1280, 720), [640, 360, 1280, 0])
    np.testing.assert_allclose(View(zoom=2, along=0.25).frame(1280, 720), [320, 360, 640, 0])
    np.testing.assert_allclose(View(turn=1, zoom=2, along=0.75).frame(480, 640), [240, 480, 320, math.pi / 2])


@pytest.mark.models
@pytest.mark.parametrize("shape", [(480, 640), (16, 16), (37, 1000), (1000, 3)])
def test_an_empty_image_has_no_face(shape: tuple[int, int]) -> None:
    assert FaceDetector(device="cpu").detect(np.zeros((*shape, 3), np.uint8)) == []
