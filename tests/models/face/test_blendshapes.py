"""Blendshapes: the order, and what the network makes of a face."""

from __future__ import annotations

import numpy as np

from facewire.bridge.shared.arkit import BLENDSHAPES
from facewire.models.face.blendshapes import FROM_NETWORK, NETWORK_NAMES, gather, scatter
from facewire.models.face.landmarks import BLENDSHAPE_INPUT, LEFT_EYE, LIPS, RIGHT_EYE


def test_the_order_is_the_frames() -> None:
    assert BLENDSHAPES == BLENDSHAPES


def test_the_network_knows_all_but_the_tongue() -> None:
    assert len(NETWORK_NAMES) == 52
    assert set(BLENDSHAPES) - set(NETWORK_NAMES) == {"tongueOut"}
    assert set(NETWORK_NAMES) - set(BLENDSHAPES) == {"_neutral"}


def test_scores_land_under_their_names_within_bounds() -> None:
    scores, shapes = np.linspace(-0.2, 1.2, 52, dtype=np.float32), np.full(52, 7, np.float32)
    scatter(scores, shapes)
    for name, value in zip(BLENDSHAPES, shapes, strict=True):
        expected = 0.0 if name == "tongueOut" else np.clip(scores[NETWORK_NAMES.index(name)], 0, 1)
        assert value == expected
    assert sorted(FROM_NETWORK) == [-1, *range(1, 52)]


def test_the_network_reads_the_landmarks_it_names() -> None:
    landmarks, points = np.random.default_rng(0).random((478, 3), np.float32), np.empty((146, 2), np.float32)
    gather(landmarks, points)
    np.testing.assert_array_equal(points, landmarks[BLENDSHAPE_INPUT, :2])
    assert len(set(BLENDSHAPE_INPUT.tolist())) == 146


def test_refined_regions_name_each_landmark_once() -> None:
    named = np.concatenate([LIPS, LEFT_EYE, RIGHT_EYE])
    assert len(set(named.tolist())) == 80 + 71 + 71
    assert named.max() < 468
