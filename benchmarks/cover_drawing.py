"""Draw covers into pictures, by the head's pose and the camera that models/face/pose.py assumes."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from cover_meshes import Cover, Part

from facewire.models.face.pose import VERTICAL_FIELD_OF_VIEW_RAD

Array = np.ndarray[Any, Any]

Polygon = tuple[float, Array, Array, float]
"""Depth, corners in pixels [3, 2], colour [3] and opacity."""

FINER = 2
"""Drawn so many times larger and averaged, so that edges are smooth."""
LIGHT = np.array([-0.35, 0.65, 0.68])
AMBIENT = 0.45
NEAREST_CM = 5.0


class Painter:
    """Draws covers, farthest triangle first. Holds nothing of a picture but the light that fell into the last one."""

    def __init__(self, seed: int = 1) -> None:
        self._seed = seed

    def draw(self, image: Array, cover: Cover, pose: Array, offset: Array) -> Array:
        """Return a copy of ``image`` with the cover at ``offset`` [3] from its place on a head of ``pose`` [4, 4].

        The pose takes the canonical face to the camera, both in centimetres.
        """
        height, width = image.shape[:2]
        polygons = self._polygons(cover, pose, offset, width, height, brightness(image))
        if not polygons:
            return image.copy()
        corners = np.concatenate([points for _, points, _, _ in polygons])
        left, top = np.maximum(np.floor(corners.min(0)).astype(int) - 2, 0)
        right, bottom = np.minimum(np.ceil(corners.max(0)).astype(int) + 3, (width, height))
        if right <= left or bottom <= top:
            return image.copy()
        return _composite(image, polygons, (int(left), int(top), int(right), int(bottom)))

    def _polygons(
        self, cover: Cover, pose: Array, offset: Array, width: int, height: int, light: float
    ) -> list[Polygon]:
        """Return depth, corners in pixels, colour and opacity of each triangle before the camera, farthest first."""
        result = []
        for number, part in enumerate(cover.parts):
            points = (part.vertices + offset) @ pose[:3, :3].T + pose[:3, 3]
            pixels = project(points, width, height)
            shades = self._shades(part, points, number, light)
            depths = points[part.triangles, 2].mean(1)
            for triangle, depth, shade in zip(part.triangles, depths, shades, strict=True):
                if points[triangle, 2].max() < -NEAREST_CM:
                    result.append((float(depth), pixels[triangle], shade, part.opacity))
        return sorted(result, key=lambda polygon: polygon[0])

    def _shades(self, part: Part, points: Array, number: int, light: float) -> Array:
        a, b, c = (points[part.triangles[:, i]] for i in range(3))
        flat = np.cross(b - a, c - a)
        if part.smooth:
            shared = np.zeros_like(points)
            for i in range(3):
                np.add.at(shared, part.triangles[:, i], flat)
            flat = shared[part.triangles].mean(1)
        normals = flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-9)
        normals *= np.where((normals * a).sum(1, keepdims=True) > 0, -1.0, 1.0)  # towards the camera
        lit = AMBIENT + (1 - AMBIENT) * np.maximum(normals @ (LIGHT / np.linalg.norm(LIGHT)), 0)
        rng = np.random.default_rng(self._seed + number)
        lit *= 1 + part.grain * rng.standard_normal(len(lit))
        return np.clip(light * lit[:, None] * np.array(part.colour, float), 0, 255)


def project(points: Array, width: int, height: int) -> Array:
    """Return the pixels [n, 2] of points [n, 3] in the camera's frame, centimetres, −z forwards."""
    scale = 0.5 * height / math.tan(0.5 * VERTICAL_FIELD_OF_VIEW_RAD)
    depth = np.maximum(-points[:, 2], NEAREST_CM)
    return np.stack([0.5 * width + scale * points[:, 0] / depth, 0.5 * height - scale * points[:, 1] / depth], 1)


def brightness(image: Array) -> float:
    """Return how bright a white thing would be in the picture, from 0.3 to 1.15, by its brighter half."""
    small = cv2.resize(image, (32, 32), interpolation=cv2.INTER_AREA).mean(2)
    return float(np.clip(np.percentile(small, 75) / 150.0, 0.3, 1.15))


def _composite(image: Array, polygons: list[Polygon], box: tuple[int, int, int, int]) -> Array:
    left, top, right, bottom = box
    size = ((bottom - top) * FINER, (right - left) * FINER)
    colour, opacity = np.zeros((*size, 3), np.uint8), np.zeros(size, np.uint8)
    shift = 4
    for _, points, shade, opaque in polygons:
        at = np.round((points - (left, top)) * FINER * (1 << shift)).astype(np.int32)
        cv2.fillConvexPoly(colour, at, [float(v) for v in shade], cv2.LINE_8, shift)
        cv2.fillConvexPoly(opacity, at, round(255 * opaque), cv2.LINE_8, shift)
    over = opacity.astype(np.float32)[..., None] / 255
    drawn = cv2.resize(colour.astype(np.float32) * over, (right - left, bottom - top), interpolation=cv2.INTER_AREA)
    share = cv2.resize(over, (right - left, bottom - top), interpolation=cv2.INTER_AREA)[..., None]
    drawn, share = cv2.GaussianBlur(drawn, (3, 3), 0.6), cv2.GaussianBlur(share, (3, 3), 0.6)
    result = image.copy()
    below = result[top:bottom, left:right].astype(np.float32)
    result[top:bottom, left:right] = np.clip(below * (1 - share.reshape(share.shape[:2])[..., None]) + drawn, 0, 255)
    return result
