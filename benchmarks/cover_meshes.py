"""What can cover a face, as meshes in the canonical face's frame: centimetres, +x to its left, +y up, +z forwards.

Everything is made of formulas, so that nothing here stems from pictures, and nothing of it is ever trained on: what
``models/face/training`` learns from has meshes of its own.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Colour = tuple[int, int, int]
"""Blue, green, red."""


@dataclass(frozen=True, slots=True)
class Part:
    """A mesh of one colour."""

    vertices: Array
    """[n, 3]."""
    triangles: Array
    """[m, 3]; both sides show."""
    colour: Colour
    opacity: float = 1.0
    grain: float = 0.04
    """How much its brightness varies from triangle to triangle."""
    smooth: bool = False
    """Whether light goes over its edges, as over cloth."""


@dataclass(frozen=True, slots=True)
class Cover:
    """Something that is put before a face."""

    parts: tuple[Part, ...]
    comes_from: tuple[float, float, float]
    """Where it is before it is put on and after it is taken off, from its place."""
    hides: frozenset[str]
    """The regions of the face that it hides: brows, eyes, nose, mouth, outline."""


def box(centre: Array, size: Array, roundness: float = 0.35, steps: int = 14) -> tuple[Array, Array]:
    """Return a box [3] of that size whose edges are rounded: a superellipsoid."""
    u, v = np.meshgrid(np.linspace(-np.pi, np.pi, 2 * steps + 1), np.linspace(-np.pi / 2, np.pi / 2, steps + 1))

    def power(values: Array) -> Array:
        return np.sign(values) * np.abs(values) ** roundness

    points = np.stack([power(np.cos(v)) * power(np.sin(u)), power(np.sin(v)), power(np.cos(v)) * power(np.cos(u))], -1)
    return points.reshape(-1, 3) * size / 2 + centre, grid(steps + 1, 2 * steps + 1)


def tube(a: Array, b: Array, radius_a: float, radius_b: float, steps: int = 16) -> tuple[Array, Array]:
    """Return a closed cylinder or cone from ``a`` to ``b``."""
    axis = (b - a) / np.linalg.norm(b - a)
    side = np.cross(axis, (0.0, 1.0, 0.0) if abs(axis[1]) < 0.9 else (1.0, 0.0, 0.0))
    side /= np.linalg.norm(side)
    up = np.cross(axis, side)
    turn = np.linspace(0, 2 * np.pi, steps + 1)
    ring = np.cos(turn)[:, None] * side + np.sin(turn)[:, None] * up
    rows = [a + 0 * ring, a + radius_a * ring, b + radius_b * ring, b + 0 * ring]
    return np.concatenate(rows), grid(4, steps + 1)


def capsule(a: Array, b: Array, radius: float, steps: int = 12) -> tuple[Array, Array]:
    """Return a cylinder with round ends: a finger."""
    axis = (b - a) / max(float(np.linalg.norm(b - a)), 1e-9)
    side = np.cross(axis, (0.0, 1.0, 0.0) if abs(axis[1]) < 0.9 else (1.0, 0.0, 0.0))
    side /= np.linalg.norm(side)
    up, turn, rows = np.cross(axis, side), np.linspace(0, 2 * np.pi, steps + 1), []
    for end, tilts in ((a, np.linspace(-np.pi / 2, 0, 5)), (b, np.linspace(0, np.pi / 2, 5))):
        for tilt in tilts:
            ring = np.cos(turn)[:, None] * side + np.sin(turn)[:, None] * up
            rows.append(end + radius * (math.cos(tilt) * ring + math.sin(tilt) * axis))
    return np.concatenate(rows), grid(len(rows), steps + 1)


def disc(centre: Array, normal: Array, radii: tuple[float, float], steps: int = 28) -> tuple[Array, Array]:
    """Return a flat ellipse: a lens, a camera's window, a pop filter."""
    normal = normal / np.linalg.norm(normal)
    side = np.cross((0.0, 1.0, 0.0), normal)
    side /= np.linalg.norm(side)
    up, turn = np.cross(normal, side), np.linspace(0, 2 * np.pi, steps + 1)
    rim = centre + radii[0] * np.cos(turn)[:, None] * side + radii[1] * np.sin(turn)[:, None] * up
    return np.concatenate([0 * rim + centre, rim]), grid(2, steps + 1)


def grid(rows: int, columns: int) -> Array:
    """Return the triangles of points in rows and columns."""
    row, column = np.meshgrid(np.arange(rows - 1), np.arange(columns - 1), indexing="ij")
    first = (row * columns + column).ravel()
    quads = np.stack([first, first + 1, first + columns + 1, first + columns], 1)
    return np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])


def _at(*values: float) -> Array:
    return np.array(values, float)


def headset(*, cameras: bool) -> Cover:
    """Return one of two makes: a smooth dark one, and a pale one with cameras on its front. Bands go round the head."""
    colour: Colour = (215, 216, 214) if cameras else (46, 44, 43)
    size, centre = (_at(17.0, 9.4, 8.0), _at(0, 4.3, 7.2)) if cameras else (_at(18.5, 10.0, 9.0), _at(0, 4.4, 7.8))
    parts = [Part(*box(centre, size), colour)]
    for side in (-1.0, 1.0):
        band = box(_at(side * 8.3, 4.6, -1.5), _at(1.2, 3.2, 12.0), 0.6)
        parts.append(Part(*band, (60, 60, 62)))
    parts.append(Part(*box(_at(0, 11.6, 1.5), _at(3.4, 1.6, 9.0), 0.6), (60, 60, 62)))
    if cameras:
        front = centre[2] + size[2] / 2 + 0.15
        for x, half in ((-4.2, (1.0, 2.6)), (0.0, (0.9, 2.6)), (4.2, (1.0, 2.6))):
            parts.append(Part(*disc(_at(x, 4.6, front), _at(0, 0, 1), half), (18, 18, 20), grain=0.0))
        for x, y in ((-7.2, 1.2), (7.2, 1.2)):
            parts.append(Part(*disc(_at(x, y, front - 0.5), _at(np.sign(x) * 0.3, -0.2, 1), (0.8, 0.8)), (24, 24, 26)))
    return Cover(tuple(parts), (0.0, 19.0, 5.0), frozenset({"brows", "eyes"}))


def mask(face: Array, triangles: Array) -> Cover:
    """Return a surgical mask over nose, mouth and chin of the canonical ``face``, with its loops."""
    inside = (face[:, 1] < 1.7 - 0.16 * np.abs(face[:, 0])) & (np.abs(face[:, 0]) < 6.6)
    kept = triangles[inside[triangles].all(1)]
    centre = _at(0, -4.5, 0)
    out = (face - centre) / np.linalg.norm(face - centre, axis=1, keepdims=True)
    cloth = face + out * 0.8
    # Cloth hangs straight from the tip of the nose to the chin: no lips show.
    front = 7.9 - 0.05 * (face[:, 0] ** 2) - 0.06 * np.maximum(-1.5 - face[:, 1], 0) ** 1.2
    cloth[:, 2] = np.where(np.abs(face[:, 0]) < 4.5, np.maximum(cloth[:, 2], front), cloth[:, 2])
    parts = [Part(cloth, kept, (206, 190, 150), grain=0.015, smooth=True)]
    for side in (-1.0, 1.0):
        for y, end in ((1.0, 2.2), (-6.0, 0.2)):
            parts.append(Part(*capsule(_at(side * 6.3, y, 2.6), _at(side * 7.8, end, -2.5), 0.18, 8), (225, 225, 220)))
    return Cover(tuple(parts), (0.0, -17.0, 4.0), frozenset({"nose", "mouth"}))


def hand() -> Cover:
    """Return a hand laid over the mouth, from the right below."""
    skin: Colour = (142, 168, 214)
    parts = [Part(*box(_at(-4.2, -7.6, 8.3), _at(7.6, 7.8, 2.8), 0.75), skin, grain=0.03)]
    for i, (y, reach) in enumerate(((-2.9, 5.0), (-4.7, 5.8), (-6.5, 5.4), (-8.1, 4.0))):
        knuckle, tip = _at(-1.8, y - 0.4, 9.2), _at(reach, y + 0.9, 7.2 + 0.2 * i)
        middle = (knuckle + tip) / 2 + _at(0, 0, 0.7)
        parts.append(Part(*capsule(knuckle, middle, 0.98), skin, grain=0.03))
        parts.append(Part(*capsule(middle, tip, 0.88), skin, grain=0.03))
    parts.append(Part(*capsule(_at(-6.2, -4.6, 7.2), _at(-5.2, -0.4, 6.6), 1.05), skin, grain=0.03))
    parts.append(Part(*tube(_at(-5.5, -9.5, 8.0), _at(-13.0, -24.0, 8.0), 3.0, 3.9), skin, grain=0.03))
    return Cover(tuple(parts), (-9.0, -18.0, 3.0), frozenset({"mouth"}))


def microphone() -> Cover:
    """Return a studio microphone behind a round pop filter, before the mouth."""
    parts = (
        Part(*tube(_at(0, -6.2, 19.0), _at(0, -18.0, 21.0), 2.4, 2.4), (70, 72, 74)),
        Part(*disc(_at(0.3, -5.4, 15.0), _at(0, 0.1, 1), (6.6, 6.6)), (34, 32, 32), opacity=0.94, grain=0.1),
        Part(*capsule(_at(4.5, -10.4, 15.0), _at(12.0, -24.0, 15.0), 0.5, 8), (30, 30, 30)),
    )
    return Cover(parts, (13.0, -14.0, 0.0), frozenset({"mouth"}))


def mug() -> Cover:
    """Return a mug at the lips, tilted as one drinks, with a hand round it."""
    skin: Colour = (140, 166, 212)
    lip, foot = _at(0, -3.2, 9.0), _at(0, -8.3, 17.0)
    parts = [Part(*tube(lip, foot, 4.3, 3.9, 28), (60, 84, 170))]
    for along in (0.25, 0.45, 0.65, 0.85):
        at = lip + along * (foot - lip)
        parts.append(Part(*capsule(at + _at(-4.6, -0.5, 0.3), at + _at(1.0, 2.2, 3.6), 0.95), skin))
    parts.append(Part(*tube(_at(-5.0, -6.5, 14.0), _at(-12.0, -22.0, 14.0), 3.0, 3.8), skin))
    return Cover(tuple(parts), (-6.0, -17.0, 4.0), frozenset({"mouth"}))


def sunglasses() -> Cover:
    """Return sunglasses: two dark lenses, the bridge, the temples."""
    dark: Colour = (26, 26, 30)
    parts = []
    for side in (-1.0, 1.0):
        parts.append(Part(*disc(_at(side * 3.3, 2.5, 6.1), _at(side * 0.28, 0, 1), (2.9, 2.3)), dark, 0.97, 0.0))
        parts.append(Part(*capsule(_at(side * 6.0, 3.2, 5.0), _at(side * 7.9, 2.8, -3.0), 0.28, 8), dark))
    parts.append(Part(*capsule(_at(-0.9, 3.2, 6.7), _at(0.9, 3.2, 6.7), 0.22, 8), dark))
    return Cover(tuple(parts), (0.0, 14.0, 3.0), frozenset({"eyes"}))


def fringe_and_headphones() -> Cover:
    """Return hair that hangs over forehead and brows in strands, and headphones with their band."""
    rng, parts = np.random.default_rng(5), []
    for x in np.linspace(-5.8, 5.8, 22):
        depth = 6.4 - 0.075 * x * x
        end = _at(x + rng.normal(0, 0.5), 3.9 + rng.normal(0, 0.5) - 0.02 * x * x, depth + 0.2)
        parts.append(Part(*capsule(_at(0.86 * x, 9.6, depth - 2.6), end, 0.42, 7), (34, 48, 66), grain=0.12))
    cups = (tube(_at(side * 7.3, 0.6, -1.6), _at(side * 10.2, 0.6, -1.6), 4.0, 3.6) for side in (-1.0, 1.0))
    parts.extend(Part(*cup, (40, 40, 42)) for cup in cups)
    turn = np.linspace(0, np.pi, 13)
    arc = np.stack([9.3 * np.cos(turn), 2.0 + 11.5 * np.sin(turn), 0 * turn - 1.6], 1)
    for a, b in itertools.pairwise(arc):
        parts.append(Part(*capsule(a, b, 0.8, 8), (40, 40, 42)))
    return Cover(tuple(parts), (0.0, 17.0, 2.0), frozenset({"brows"}))


def covers(face: Array, triangles: Array) -> dict[str, Callable[[], Cover]]:
    """Return what makes each cover, by name, for the canonical ``face`` [468, 3] and its ``triangles``."""
    return {
        "headset": lambda: headset(cameras=False),
        "headset, cameras": lambda: headset(cameras=True),
        "hand": hand,
        "mask": lambda: mask(face, triangles),
        "microphone": microphone,
        "mug": mug,
        "sunglasses": sunglasses,
        "fringe, headphones": fringe_and_headphones,
    }
