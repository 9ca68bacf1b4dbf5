"""Gives a pictured face another expression and a worse camera, by moving the picture with its landmarks.

The networks label whatever they see, so a picture need not be realistic to teach their difference, only like enough to
what cameras show. A mouth that opens is dark inside, at times with teeth.
"""

from __future__ import annotations

import cv2
import numpy as np
from scipy.interpolate import LinearNDInterpolator
from scipy.spatial import Delaunay

from facewire.bridge.shared.arrays import Image
from facewire.models.face.training.motions import Motions, Points, Pose

SIDE = 320
"""Pixels of the square that is cut out around a face."""
GRID = 100
SMALLEST = 80
INNER_LIPS = [78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191]
UPPER_LIP, LOWER_LIP, CORNERS = [13, 82, 312, 80, 310], [14, 87, 317], (78, 308)


def variation(image: Image, landmarks: Points, motions: Motions) -> tuple[Image, Points, set[str]]:
    """Return a new picture of a face, its landmarks [478, 3] in it, and whose motions went into it."""
    random = motions.random
    picture, points = cut_out(image, landmarks, motions)
    whose: set[str] = set()
    if random.random() < 0.85:
        moved, whose = motions.draw()
        pose = Pose.of(points, motions.face)
        canonical = pose.into(points) + moved
        if random.random() < 0.5:
            middle = canonical.mean(axis=0)
            canonical = (canonical - middle) @ small_turn(random).T + middle
        target = pose.back(canonical)
        picture = open_mouth(move(picture, points, target, random), points, target, random)
        points = target
    side = int(np.exp(random.uniform(np.log(SMALLEST), np.log(SIDE))))
    return degrade(picture, side, random), points * (side / SIDE), whose


def cut_out(image: Image, landmarks: Points, motions: Motions) -> tuple[Image, Points]:
    """Return a square around the face, a little turned, at times mirrored."""
    random, plane = motions.random, landmarks[:, :2]
    middle = (plane.max(axis=0) + plane.min(axis=0)) / 2
    scale = SIDE / (np.ptp(plane, axis=0).max() * random.uniform(1.75, 2.2))
    angle = random.normal(0, 0.18)
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    matrix = np.array([[cos, -sin, 0], [sin, cos, 0]])
    matrix[:, 2] = SIDE / 2 + random.uniform(-0.04, 0.04, 2) * SIDE - matrix[:, :2] @ middle
    mirrored = random.random() < 0.5
    if mirrored:
        matrix[0] *= -1
        matrix[0, 2] += SIDE - 1
    border = cv2.BORDER_REPLICATE if random.random() < 0.5 else cv2.BORDER_CONSTANT
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    picture = np.asarray(cv2.warpAffine(image, matrix, (SIDE, SIDE), flags=how, borderMode=border), np.uint8)
    points = np.column_stack([plane @ matrix[:, :2].T + matrix[:, 2], landmarks[:, 2] * scale])
    return picture, points[motions.mirror] if mirrored else points


def small_turn(random: np.random.Generator) -> Points:
    """Draw a rotation by a few degrees of turn and nod."""
    turn, nod = random.normal(0, 0.09, 2)
    about_y = np.array([[np.cos(turn), 0, np.sin(turn)], [0, 1, 0], [-np.sin(turn), 0, np.cos(turn)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(nod), -np.sin(nod)], [0, np.sin(nod), np.cos(nod)]])
    return about_y @ about_x


def move(picture: Image, points: Points, target: Points, random: np.random.Generator) -> Image:
    """Return the picture warped so that ``points`` come to lie at ``target``; its edge stays."""
    steps = np.linspace(0, SIDE, 5)
    edge = np.array([(x, y) for x in steps for y in steps if {x, y} & {0, SIDE}])
    source = np.vstack([points[:, :2], edge])
    goal = np.vstack([target[:, :2], edge]) + random.normal(0, 1e-3, source.shape)  # No two at one place.
    centres = (np.arange(GRID) + 0.5) * SIDE / GRID
    grid = np.stack(np.meshgrid(centres, centres), axis=-1).reshape(-1, 2)
    sampled = LinearNDInterpolator(Delaunay(goal), source, fill_value=-1)(grid)
    field = cv2.resize(sampled.reshape(GRID, GRID, 2).astype(np.float32), (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
    warped = cv2.remap(picture, field[..., 0], field[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(warped, np.uint8)


def gap(points: Points) -> float:
    """How far the lips are apart, in widths of the mouth."""
    plane = points[:, :2]
    return float(np.linalg.norm(plane[13] - plane[14]) / (np.linalg.norm(plane[CORNERS[0]] - plane[CORNERS[1]]) + 1e-6))


def open_mouth(picture: Image, before: Points, after: Points, random: np.random.Generator) -> Image:
    """Darken the inside of lips that have come apart."""
    was, now = gap(before), gap(after)
    if now <= max(was + 0.06, 0.08):
        return picture
    mask = np.zeros((SIDE, SIDE), np.uint8)
    cv2.fillPoly(mask, [np.round(after[INNER_LIPS, :2] * 8).astype(np.int32)], 255, shift=3)
    cover = cv2.GaussianBlur(mask, (0, 0), 1.5)[..., None] / np.float32(255) * np.clip((now - was) / 0.15, 0, 1)
    inside = np.ones((SIDE, SIDE, 3)) * random.uniform([15, 12, 25], [60, 50, 95])
    if random.random() < 0.6:
        upper, lower = after[UPPER_LIP, :2].mean(axis=0), after[LOWER_LIP, :2].mean(axis=0)
        place = np.stack(np.meshgrid(np.arange(SIDE), np.arange(SIDE)), axis=-1) - upper
        depth = place @ (lower - upper) / (((lower - upper) ** 2).sum() + 1e-6)
        teeth = np.clip((random.uniform(0.15, 0.5) - depth) / 0.1, 0, 1)[..., None]
        inside = inside * (1 - teeth) + teeth * random.uniform(110, 215)
    return (picture * (1 - cover) + inside * cover).astype(np.uint8)


def degrade(picture: Image, side: int, random: np.random.Generator) -> Image:
    """Another size, light, colour, sharpness, noise and compression."""
    light: Points = cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    light = light ** random.uniform(0.6, 1.6) * random.uniform(0.55, 1.25)
    if random.random() < 0.5:
        light *= 1 + random.uniform(-0.12, 0.12, 3)
    if random.random() < 0.2:
        light = np.repeat(light.mean(axis=2, keepdims=True), 3, axis=2)
    if random.random() < 0.3:
        slope = 1 + np.linspace(-1, 1, side) * random.uniform(-0.35, 0.35)
        light *= slope[None, :, None] if random.random() < 0.5 else slope[:, None, None]
    if random.random() < 0.35:
        light = np.asarray(cv2.GaussianBlur(light, (0, 0), random.uniform(0.4, 1.0) * max(1, side / 300)), np.float32)
    if random.random() < 0.5:
        light += random.normal(0, random.uniform(0.004, 0.03), light.shape)
    result = (np.clip(light, 0, 1) * 255).astype(np.uint8)
    if random.random() < 0.5:
        quality = int(random.integers(35, 90))
        packed = cv2.imencode(".jpg", result, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        result = np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8)
    return np.ascontiguousarray(result)
