"""Regions: where a face is, how it is cut out, and how points come back."""

from __future__ import annotations

import math

import numpy as np
import pytest

from facewire.models.face.landmarks import LEFT_EYE_OUTER, RIGHT_EYE_OUTER
from facewire.models.face.region import MARGIN, crop, project, region_from_landmarks


def plain_crop(image: np.ndarray, region: np.ndarray, side: int, *, replicate: bool) -> np.ndarray:
    """Compute the same in numpy, exactly bilinear: float32[3, side, side] of RGB 0..255."""
    step = region[2] / side
    a, b = step * math.cos(region[3]), step * math.sin(region[3])
    i, j = np.meshgrid(np.arange(side) - side / 2, np.arange(side) - side / 2)
    x, y = region[0] + a * i - b * j, region[1] + b * i + a * j
    u, v = np.floor(x).astype(int), np.floor(y).astype(int)
    total = np.zeros((side, side, 3))
    for du, dv in ((0, 0), (1, 0), (0, 1), (1, 1)):
        weight = np.abs(1 - du - (x - u)) * np.abs(1 - dv - (y - v))
        column, row = np.clip(u + du, 0, image.shape[1] - 1), np.clip(v + dv, 0, image.shape[0] - 1)
        inside = (u + du == column) & (v + dv == row)
        total += np.where((inside | replicate)[..., None], weight[..., None] * image[row, column], 0)
    return total[..., ::-1].transpose(2, 0, 1)


def smooth_image(height: int = 120, width: int = 160) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    waves = [128 + 100 * np.sin(x / 9 + k) * np.cos(y / 11 - k) for k in range(3)]
    return np.stack(waves, axis=2).astype(np.uint8)


@pytest.mark.parametrize("replicate", [True, False])
@pytest.mark.parametrize(
    "region",
    [
        (80, 60, 70, 0.0),
        (80, 60, 70, 0.4),
        (80, 60, 50, -2.6),
        (10, 110, 90, 0.9),
        (80, 60, 400, 0.2),
        (-300, 0, 50, 0),
    ],
)
def test_crop_is_the_plain_bilinear_sample(region: tuple[float, ...], replicate: bool) -> None:
    image, where = smooth_image(), np.array(region, np.float64)
    tensor = np.full((3, 48, 48), np.nan, np.float32)
    crop(image, where, 0.0, 255.0, replicate, tensor)
    # Positions are rounded to 1/32 px: 0.2 an axis where neighbours differ by 12, 255/32 at a black border.
    tolerance = 0.6 if replicate else 8.5
    assert np.abs(tensor - plain_crop(image, where, 48, replicate=replicate)).max() < tolerance


def test_crop_scales_to_the_range_and_gives_rgb() -> None:
    image = np.zeros((40, 40, 3), np.uint8)
    image[..., 0], image[..., 2] = 255, 51  # blue full, red a fifth
    tensor = np.empty((3, 16, 16), np.float32)
    crop(image, np.array([20.0, 20.0, 20.0, 0.3]), -1.0, 1.0, True, tensor)
    np.testing.assert_allclose(tensor[0], -0.6, atol=1e-5)
    np.testing.assert_allclose(tensor[1], -1.0, atol=1e-5)
    np.testing.assert_allclose(tensor[2], 1.0, atol=1e-5)


@pytest.mark.parametrize("angle", [0.0, 0.5, math.pi / 2, math.pi, -2.0])
def test_a_point_seen_in_the_crop_projects_to_where_it_is(angle: float) -> None:
    image = np.zeros((200, 200, 3), np.uint8)
    image[83:86, 120:123] = 255  # a dot around (121, 84)
    where = np.array([100.0, 100.0, 120.0, angle])
    tensor = np.empty((3, 96, 96), np.float32)
    crop(image, where, 0.0, 1.0, True, tensor)
    weights = tensor[0] / tensor[0].sum()
    rows, columns = np.mgrid[:96, :96]
    seen = np.array([[(weights * columns).sum(), (weights * rows).sum(), 2.0]], np.float32)
    landmarks = np.empty((1, 3), np.float32)
    project(seen, where, 96, landmarks)
    np.testing.assert_allclose(landmarks[0, :2], [121, 84], atol=0.1)
    assert landmarks[0, 2] == pytest.approx(2 * 120 / 96)


def test_region_is_the_box_with_a_margin_level_with_the_eyes() -> None:
    landmarks = np.full((478, 3), 100.0, np.float32)
    landmarks[0, :2], landmarks[1, :2] = (60, 90), (140, 190)
    landmarks[RIGHT_EYE_OUTER, :2], landmarks[LEFT_EYE_OUTER, :2] = (80, 110), (120, 130)
    where = np.empty(4)
    region_from_landmarks(landmarks, where)
    np.testing.assert_allclose(where, [100, 140, MARGIN * 100, math.atan2(20, 40)], rtol=1e-6)
