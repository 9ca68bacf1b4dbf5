"""Looks at pictures with both meshes: Attention Mesh gives what we read, FaceMesh V2 what shall be read from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from facewire.bridge.shared.arrays import Float32Array, Float64Array, Image
from facewire.models.face.blendshapes import BlendshapeNetwork
from facewire.models.face.detector import CLOSER, WHOLE, FaceDetector
from facewire.models.face.landmarks import LANDMARK_COUNT
from facewire.models.face.meshes import AttentionMesh, FaceMeshV2, Mesh
from facewire.models.face.region import region_from_landmarks
from facewire.models.face.training.media import Clip

LEAST_PROBABILITY = 0.5
SMALLEST_FACE_PX = 36


@dataclass(frozen=True, slots=True)
class Row:
    """What both say of one picture; see ``Samples``."""

    codes: Float32Array
    plain: Float32Array
    target: Float32Array
    landmarks: Float32Array
    """[478, 3]: FaceMesh V2's."""


class Teacher:
    """State: none but buffers; pictures may come in any order."""

    def __init__(self) -> None:
        """Start the networks, on the CPU so that the same pictures give the same samples.

        Raises:
            ModelError: a network cannot be fetched or started.
        """
        self._v2, self._attention = FaceMeshV2(device="cpu"), AttentionMesh(device="cpu")
        self._blendshapes, self._detector = BlendshapeNetwork(device="cpu"), FaceDetector(device="cpu")
        self._points = np.zeros((LANDMARK_COUNT, 3), np.float32)
        self._shapes, self._head = np.zeros(52, np.float32), np.zeros(7, np.float32)

    def landmarks(self, mesh: Mesh, image: Image, region: Float64Array) -> Float32Array | None:
        """Landmarks in that region; None if there is no face."""
        if mesh.infer(image, region, self._points) < LEAST_PROBABILITY:
            return None
        return self._points.copy()

    def look(self, image: Image, region: Float64Array, attention_region: Float64Array) -> Row | None:
        """Both meshes' view; None if one of them sees no face."""
        theirs = self.landmarks(self._v2, image, region)
        ours = self.landmarks(self._attention, image, attention_region)
        if theirs is None or ours is None:
            return None
        codes = np.concatenate([code.reshape(-1) for code in self._attention.codes])
        return Row(codes, self._shapes_of(ours), self._shapes_of(theirs), theirs)

    def _shapes_of(self, landmarks: Float32Array) -> Float32Array:
        self._blendshapes.infer(landmarks, self._head, self._shapes)
        return self._shapes[:-1].copy()

    def faces(self, image: Image) -> list[Float32Array]:
        """V2's landmarks of every face, each once, found in the whole picture and nearer views of it."""
        found: list[Float32Array] = []
        for view in (WHOLE, *CLOSER):
            for face in self._detector.detect(image, view):
                rough = self.landmarks(self._v2, image, face.region)
                points = None if rough is None else self.landmarks(self._v2, image, region_of(rough))
                if points is not None and np.ptp(points[:, 0]) >= SMALLEST_FACE_PX and is_new(points, found):
                    found.append(points)
        return found

    def follow(self, clip: Clip) -> Iterator[tuple[Image, Row]]:
        """Yield the frames that show the face, each with the regions that the previous one gave, as in a live run."""
        regions: tuple[Float64Array, Float64Array] | None = None
        for image in clip.frames():
            if regions is None:
                faces = self.faces(image)
                regions = (region_of(faces[0]), region_of(faces[0])) if faces else None
            row = self.look(image, *regions) if regions else None
            regions = None if row is None else (region_of(row.landmarks), region_of(self._points))
            if row:
                yield image, row


def region_of(landmarks: Float32Array) -> Float64Array:
    """Return the region that landmarks give for the next picture."""
    region: npt.NDArray[np.float64] = np.zeros(4)
    region_from_landmarks(np.ascontiguousarray(landmarks, np.float32), region)
    return region


def is_new(points: Float32Array, found: list[Float32Array]) -> bool:
    """Whether a face's middle lies apart from those of all that were found."""
    middle = points[:, :2].mean(axis=0)
    return all(np.hypot(*(middle - old[:, :2].mean(axis=0))) > 0.4 * np.ptp(old[:, 0]) for old in found)
