"""Draw the head with some shapes on, to look at: ``python tests/unity_client/render_head.py OUT.jpg``."""

from __future__ import annotations

import sys

import cv2
import numpy as np
import numpy.typing as npt

from facewire.bridge.shared.arrays import Float32Array
from facewire.models.head import HeadMesh, load_head

COLOURS_BGR = {
    "skin": (150, 175, 225),
    "lips": (120, 115, 205),
    "brows": (45, 60, 85),
    "mouth": (50, 45, 110),
    "teeth": (225, 235, 240),
    "tongue": (110, 105, 200),
    "sclera": (240, 240, 240),
    "iris": (150, 110, 60),
    "pupil": (20, 20, 20),
}
PER_ROW = 6
FACES: list[tuple[float, dict[str, float]]] = [
    (0.0, {}),
    (0.7, {}),
    (1.57, {}),
    (0.0, {"eyeBlinkLeft": 1}),
    (0.0, {"jawOpen": 1}),
    (0.0, {"jawOpen": 1, "mouthClose": 1}),
    (0.0, {"mouthSmileLeft": 1, "mouthSmileRight": 1, "cheekSquintLeft": 1, "cheekSquintRight": 1}),
    (0.0, {"jawOpen": 0.6, "tongueOut": 1}),
    (0.0, {"mouthPucker": 1}),
    (0.0, {"mouthFunnel": 1}),
    (0.0, {"cheekPuff": 1}),
    (0.0, {"jawLeft": 1, "mouthLeft": 0.5}),
    (0.0, {"browInnerUp": 1, "browOuterUpLeft": 1, "browOuterUpRight": 1, "eyeWideLeft": 1, "eyeWideRight": 1}),
    (0.0, {"mouthFrownLeft": 1, "mouthFrownRight": 1, "browDownLeft": 1, "browDownRight": 1}),
    (0.0, {"noseSneerLeft": 1, "noseSneerRight": 1, "mouthUpperUpLeft": 1, "mouthUpperUpRight": 1}),
    (0.0, {"eyeLookOutLeft": 1, "eyeLookInRight": 1}),
    (0.0, {"eyeLookUpLeft": 1, "eyeLookUpRight": 1}),
    (0.0, {"mouthPressLeft": 1, "mouthPressRight": 1, "mouthShrugUpper": 0.5}),
]


def render(head: HeadMesh, vertices: Float32Array, yaw_rad: float = 0.0, size: int = 260) -> npt.NDArray[np.uint8]:
    """Return a BGR picture, [size, size, 3], far triangles first."""
    cos, sin = np.cos(yaw_rad), np.sin(yaw_rad)
    places = (vertices - [0, 0.03, 0.03]) @ np.array([[cos, 0, -sin], [0, 1, 0], [sin, 0, cos]])
    colours = np.concatenate([np.tile(COLOURS_BGR[name], (count, 1)) for name, (_, count) in head.materials.items()])
    corners = places[head.triangles]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-12
    smooth = np.zeros_like(places)
    np.add.at(smooth, head.triangles, normals[:, None, :])
    smooth = smooth[head.triangles].mean(1)
    smooth /= np.linalg.norm(smooth, axis=1, keepdims=True) + 1e-12
    light = 0.25 + 0.75 * np.clip(smooth @ np.array([0.3, 0.45, 0.84]), 0, 1)
    picture = np.full((size, size, 3), 60, np.uint8)
    scale = size / 0.3
    pixels = np.stack([size / 2 + corners[:, :, 0] * scale, size / 2 - corners[:, :, 1] * scale], 2)
    for i in np.argsort(corners[:, :, 2].mean(1)):
        if normals[i, 2] > 0:
            colour = (colours[i] * light[i]).tolist()
            cv2.fillConvexPoly(picture, (pixels[i] * 16).astype(np.int32), colour, cv2.LINE_AA, 4)
    return picture


def main() -> None:
    """Write the sheet."""
    head = load_head()
    pictures = [render(head, head.posed(weights), yaw) for yaw, weights in FACES]
    rows = [np.hstack(pictures[i : i + PER_ROW]) for i in range(0, len(pictures), PER_ROW)]
    cv2.imwrite(sys.argv[1], np.vstack(rows), [cv2.IMWRITE_JPEG_QUALITY, 85])


if __name__ == "__main__":
    main()
