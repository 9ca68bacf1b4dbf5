"""Eyeballs with iris and pupil, for a head whose data has plain ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Quads = npt.NDArray[np.int64]

SEGMENTS = 24
RINGS_DEG = (0.0, 11.0, 29.0, 45.0, 65.0, 90.0, 120.0)
"""From the middle of the pupil; its edge is at 11 degrees, the iris's at 29. The back of the ball is never seen."""
PARTS = (("pupil", 0, 1), ("iris", 1, 2), ("sclera", 2, len(RINGS_DEG) - 1))
"""Material, first and last ring of each part."""


@dataclass(frozen=True)
class Eyeball:
    """Vertices [n, 3] about ``centre``, and quads [q, 4] by material."""

    vertices: Array
    quads: dict[str, Quads]
    centre: Array

    def follow(self, places: Array, motion: Array, *, grow: bool = False) -> Array:
        """Return the motion of this ball that turns and moves it as ``motion`` does with ``places`` of another.

        The best rigid motion (Kabsch 1976): eyeballs turn, they do not stretch. ``grow`` lets the size change instead,
        without a turn: that is how two people's eyes differ.
        """
        if np.abs(motion).max() < 1e-9:
            return np.zeros_like(self.vertices)
        before, after = places - places.mean(0), places + motion - (places + motion).mean(0)
        if grow:
            size = np.sum(before * after) / np.sum(before * before)
            grown: Array = (self.vertices - self.centre) * (size - 1) + self._shift(places, motion, size)
            return grown
        left, _, right = np.linalg.svd(before.T @ after)
        sign = np.sign(np.linalg.det(left @ right))
        turn = (left * [1, 1, sign]) @ right
        moved: Array = (self.vertices - self.centre) @ turn + self.centre + motion.mean(0)
        return moved - self.vertices

    def _shift(self, places: Array, motion: Array, size: float) -> Array:
        """How far the centre moves where ``places`` move on the whole and grow about their own mean."""
        shift: Array = motion.mean(0) + (size - 1) * (self.centre - places.mean(0))
        return shift


def make_eyeball(outline: Array, *, mirrored: bool) -> Eyeball:
    """Return a ball that fills ``outline`` [n, 3] and looks along z.

    ``mirrored`` puts its vertices in the order of the other eye's, flipped.
    """
    low, high = outline.min(0), outline.max(0)
    centre = (low + high) / 2
    radius = (high - low)[:2].mean() / 2
    # The cornea stands out a little; the front of the outline tells how far.
    depth = high[2] - centre[2]
    ring = np.radians(RINGS_DEG)[:, None]
    turn = np.linspace(0, 2 * np.pi, SEGMENTS, endpoint=False)[None, :]
    x, y, z = np.sin(ring) * np.cos(turn), np.sin(ring) * np.sin(turn), np.cos(ring) * np.ones_like(turn)
    vertices = np.stack([x * radius, y * radius, z * np.where(z > 0, depth, radius)], -1).reshape(-1, 3)
    quads = {material: _quads(first, last) for material, first, last in PARTS}
    if mirrored:
        vertices = vertices * [-1, 1, 1]
        quads = {material: part[:, ::-1] for material, part in quads.items()}
    return Eyeball(vertices + centre, quads, centre)


def _quads(first: int, last: int) -> Quads:
    ring, segment = np.meshgrid(np.arange(first, last), np.arange(SEGMENTS), indexing="ij")
    after = (segment + 1) % SEGMENTS
    corners = [
        ring * SEGMENTS + segment,
        (ring + 1) * SEGMENTS + segment,
        (ring + 1) * SEGMENTS + after,
        ring * SEGMENTS + after,
    ]
    return np.stack(corners, -1).reshape(-1, 4)
