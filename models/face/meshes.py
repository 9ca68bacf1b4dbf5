"""The networks that find the 478 landmarks within a region."""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np

from facewire.bridge.shared.arrays import Float32Array, Float64Array, Image
from facewire.models.face.landmarks import EYE_CONTOUR_COUNT, LANDMARK_COUNT, LEFT_EYE, LIPS, MESH_COUNT, RIGHT_EYE
from facewire.models.face.network import Device, Network
from facewire.models.face.region import crop, project
from facewire.models.jit import kernel


class Mesh(Protocol):
    """Finds landmarks in a region of an image."""

    def infer(self, image: Image, region: Float64Array, landmarks: Float32Array) -> float:
        """Write landmarks [478, 3] in pixels of the contiguous BGR image; return the probability of a face."""


class FaceMeshV2:
    """FaceMesh V2 (256 px): what the blendshape network was trained on. Accurate, the slower of the two."""

    def __init__(self, *, device: Device = "auto", threads: int = 1) -> None:
        """Load the network.

        Raises:
            ModelError: it cannot be fetched or started.
        """
        self._network = Network("face_mesh_v2", "image", ("landmarks", "face_flag"), device=device, threads=threads)

    def infer(self, image: Image, region: Float64Array, landmarks: Float32Array) -> float:
        """See ``Mesh``."""
        tensor = self._network.input[0]
        crop(image, region, 0.0, 1.0, True, tensor)
        points, flag = self._network.run()
        project(points.reshape(LANDMARK_COUNT, 3), region, tensor.shape[1], landmarks)
        return probability(float(flag.flat[0]))


class AttentionMesh:
    """Attention Mesh (192 px, Grishchenko et al. 2020, arXiv 2006.10962): light, attends to lips, eyes, irises."""

    _OUTPUTS = ("mesh", "lips", "left_eye", "right_eye", "left_iris", "right_iris", "face_flag")
    _CODES = ("face_code", "lips_code", "left_eye_code", "left_iris_code", "right_eye_code", "right_iris_code")

    def __init__(self, *, device: Device = "auto", threads: int = 1) -> None:
        """Load the network.

        Raises:
            ModelError: it cannot be fetched or started.
        """
        outputs = (*self._OUTPUTS, *self._CODES)
        self._network = Network("attention_mesh", "image", outputs, device=device, threads=threads)
        self._codes = self._network.run()[len(self._OUTPUTS) :]
        self._points = np.empty((LANDMARK_COUNT, 3), np.float32)

    @property
    def codes(self) -> tuple[Float32Array, ...]:
        """What the landmarks of the last ``infer`` were made from: always the same arrays, overwritten by the next."""
        return self._codes

    def infer(self, image: Image, region: Float64Array, landmarks: Float32Array) -> float:
        """See ``Mesh``."""
        tensor = self._network.input[0]
        crop(image, region, 0.0, 1.0, True, tensor)
        mesh, lips, left_eye, right_eye, left_iris, right_iris, flag, *_ = self._network.run()
        refine(mesh[0], lips[0], left_eye[0], right_eye[0], left_iris[0], right_iris[0], self._points)
        project(self._points, region, tensor.shape[1], landmarks)
        return probability(float(flag.flat[0]))


@kernel
def refine(
    mesh: Float32Array,
    lips: Float32Array,
    image_left_eye: Float32Array,
    image_right_eye: Float32Array,
    image_left_iris: Float32Array,
    image_right_iris: Float32Array,
    points: Float32Array,
) -> None:
    """Put the attended points' x, y in place of the mesh's; depth stays the mesh's, an iris takes that of its lids."""
    points[:MESH_COUNT] = mesh
    for i in range(LIPS.shape[0]):
        points[LIPS[i], :2] = lips[i]
    for i in range(RIGHT_EYE.shape[0]):
        points[RIGHT_EYE[i], :2] = image_left_eye[i]
        points[LEFT_EYE[i], :2] = image_right_eye[i]
    right_depth = left_depth = 0.0
    for i in range(EYE_CONTOUR_COUNT):
        right_depth += points[RIGHT_EYE[i], 2] / EYE_CONTOUR_COUNT
        left_depth += points[LEFT_EYE[i], 2] / EYE_CONTOUR_COUNT
    for i in range(5):
        points[MESH_COUNT + i, :2] = image_left_iris[i]
        points[MESH_COUNT + i, 2] = right_depth
        points[MESH_COUNT + 5 + i, :2] = image_right_iris[i]
        points[MESH_COUNT + 5 + i, 2] = left_depth


def probability(logit: float) -> float:
    """Return the logistic function of a logit, without overflow."""
    return 1.0 / (1.0 + math.exp(-min(max(logit, -60.0), 60.0)))
