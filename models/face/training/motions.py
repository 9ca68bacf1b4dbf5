"""Expressions of real faces, as displacements of the 478 landmarks in a frame that the skull carries.

The frame is MediaPipe's canonical face (centimetres, y down here as in images): landmarks that hardly move with
expressions are aligned to it by rotation, shift and scale (Umeyama 1991, PAMI 13(4)).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from facewire.models.assets.store import asset_path
from facewire.models.face.landmarks import EYE_CONTOUR_COUNT, LEFT_EYE, MESH_COUNT, RIGHT_EYE

Points = npt.NDArray[np.floating[Any]]

RIGID = np.array([33, 133, 362, 263, 168, 6, 197, 195, 5, 4, 10, 151, 127, 356, 234, 454, 9, 8, 67, 297])
NOSE_TIP, NOSE_BASE = 4, 2


def canonical() -> Points:
    """[478, 3] in cm, y down, z away from the camera: the canonical mesh, with irises in the middle of the eyes."""
    with np.load(asset_path("face_geometry")) as file:
        mesh = file["vertices"].astype(np.float64) * (1, -1, -1)
    irises = [np.repeat(mesh[eye[:EYE_CONTOUR_COUNT]].mean(axis=0)[None], 5, axis=0) for eye in (RIGHT_EYE, LEFT_EYE)]
    return np.concatenate([mesh, *irises])


def mirror_table(face: Points) -> npt.NDArray[np.intp]:
    """For each landmark the one on the other side."""
    apart = np.linalg.norm(face[:MESH_COUNT, None] * (-1, 1, 1) - face[None, :MESH_COUNT], axis=2)
    table: npt.NDArray[np.intp] = np.concatenate(
        [apart.argmin(axis=1), [473, 476, 475, 474, 477, 468, 471, 470, 469, 472]]
    )
    return table


@dataclass(frozen=True, slots=True)
class Pose:
    """Takes a face into the canonical frame: scale · rotation · point + shift."""

    scale: float
    rotation: Points
    shift: Points

    @classmethod
    def of(cls, landmarks: Points, face: Points) -> Pose:
        """Return the pose that aligns the landmarks' rigid part best."""
        source, target = landmarks[RIGID].astype(np.float64), face[RIGID]
        middle, goal = source.mean(axis=0), target.mean(axis=0)
        u, s, v = np.linalg.svd((target - goal).T @ (source - middle))
        signs = np.array([1, 1, np.sign(np.linalg.det(u @ v))])
        rotation = (u * signs) @ v
        scale = float((s * signs).sum() / ((source - middle) ** 2).sum())
        return cls(scale, rotation, goal - scale * rotation @ middle)

    def into(self, landmarks: Points) -> Points:
        """To the canonical frame."""
        result: Points = self.scale * landmarks @ self.rotation.T + self.shift
        return result

    def back(self, points: Points) -> Points:
        """From the canonical frame."""
        result: Points = (points - self.shift) @ self.rotation / self.scale
        return result


@dataclass
class Motions:
    """Faces of people in several expressions, from which differences are drawn."""

    random: np.random.Generator
    face: Points = field(default_factory=canonical)
    people: list[tuple[str, Points]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.mirror = mirror_table(self.face)
        width = np.ptp(self.face[:, 0])
        self._lower = np.clip((self.face[:, 1] - self.face[NOSE_BASE, 1] + 0.12 * width) / (0.15 * width), 0, 1)[
            :, None
        ]
        self._left = np.clip(0.5 + (self.face[:, :1] - self.face[NOSE_TIP, 0]) / (0.15 * width), 0, 1)

    def add(self, person: str, landmarks: list[Points]) -> None:
        """Add a person's expressions; ``person`` is empty for one that is never judged."""
        self.people.append((person, np.array([Pose.of(points, self.face).into(points) for points in landmarks])))

    def draw(self) -> tuple[Points, set[str]]:
        """Draw a displacement [478, 3], and whose: upper and lower face of two people, at times a third's side."""
        random, lower = self.random, self._lower
        (above, one), (below, two) = self._difference(), self._difference()
        moved = above * (1 - lower) * random.uniform(0.5, 1.3) + below * lower * random.uniform(0.5, 1.3)
        whose = {one, two}
        if random.random() < 0.3:
            other, three = self._difference()
            moved = moved * (1 - self._left) + self._left * (other * (1 - lower) + moved * lower)
            whose.add(three)
        return moved, whose

    def _difference(self) -> tuple[Points, str]:
        person, faces = self.people[self.random.integers(len(self.people))]
        first, second = self.random.integers(len(faces), size=2)
        moved = faces[second] - faces[first]
        return (moved[self.mirror] * (-1, 1, 1) if self.random.random() < 0.5 else moved), person
