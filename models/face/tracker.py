"""Follow one face from image to image: landmarks, blendshapes, head pose and gaze."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from facewire.bridge.shared.arrays import Float32Array, Float64Array, Image
from facewire.bridge.shared.face import FaceState
from facewire.models.assets.store import asset_path
from facewire.models.errors import ModelError
from facewire.models.face.anchor import Anchor
from facewire.models.face.attention_shapes import AttentionBlendshapes
from facewire.models.face.blendshapes import BlendshapeNetwork, BlendshapeStage
from facewire.models.face.detector import CLOSER, TURNED, WHOLE, Detection, FaceDetector, View
from facewire.models.face.gaze import Gaze
from facewire.models.face.landmarks import LANDMARK_COUNT
from facewire.models.face.meshes import AttentionMesh, FaceMeshV2, Mesh
from facewire.models.face.network import Device
from facewire.models.face.pose import HeadPose
from facewire.models.face.region import region_from_landmarks
from facewire.models.face.smoothing import LandmarkSmoother

FIND_PROBABILITY = 0.5
"""A face that was not there has to be this probable to be taken."""
SURE_PROBABILITY = 0.95
"""A face found with less is compared with what is seen in the other orientations."""
KEEP_PROBABILITY = 0.35
"""A face that is being followed has to fall below this to be lost: one doubtful image does not drop it."""
UPRIGHT_SCORE = 0.9
"""No face that stands on its head is given as much by the detector, which takes it for an upright one: at most 0.873
in 155 photographs. The meshes do so with a probability of up to 1."""
UPRIGHT_MARGIN, UPRIGHT_ROOM = 0.05, 1.3
"""Below that the face is compared with itself turned by half a turn, in a square this much larger than its region: the
right way up scored 0.10 more in each of 175 photographs and their turned ones."""
LOYALTY_NS = 500_000_000
"""For this long after the loss of a face only one near its place counts, so that a neighbour is not mistaken for it."""
STEADY_NS = 1_000_000_000
"""Loyalty is for a face that was followed for at least this long."""
OTHER_VIEWS = tuple(view for pair in zip(TURNED, CLOSER, strict=True) for view in pair)
"""Where to look, one an image, while the whole image upright shows no face: a camera on its side, a face far away."""
THREADS = min(2, os.cpu_count() or 1)
"""More than two gain nothing for networks this small."""
MIN_SIDE_PX = 16
"""An image with a shorter side holds no face that the detector could find."""


class FaceTracker:
    """Follows the largest face, from image to image.

    The detector runs only while there is no face. While there is one, its region comes from its own landmarks in the
    previous image, so it cannot be swapped for another. A face is looked for in the whole image and then, without
    success, in one of ``OTHER_VIEWS``, the next one each time. State: the region, and where and when a face was lost.
    Delay: none.
    """

    def __init__(
        self, mesh: str = "v2", device: Device = "auto", threads: int = THREADS, *, smoothing: bool = False
    ) -> None:
        """Load and warm up the networks.

        ``threads`` of each network: two are quicker if cores are idle, one takes less of a busy processor.
        ``smoothing`` steadies the landmarks as FaceLandmarker does, before anything is derived from them: for those
        who use the faces as they are. A live run filters what is derived, and both would only add delay.

        Raises:
            ModelError: a network cannot be fetched or started.
        """
        self._detector = FaceDetector(device=device, threads=threads)
        if mesh not in PARTS:
            raise ModelError(f"there is no mesh {mesh!r}: choose one of {', '.join(PARTS)}")
        self._mesh, self._shapes, self._anchor = PARTS[mesh](device, threads)
        with np.load(asset_path("face_geometry")) as geometry:
            vertices = geometry["vertices"]
            self._pose = HeadPose(vertices, geometry["landmark_ids"], geometry["landmark_weights"])
        self._gaze = Gaze(vertices)
        self._smoother = LandmarkSmoother(LANDMARK_COUNT) if smoothing else None
        self._raw = np.zeros((LANDMARK_COUNT, 3), np.float32)
        self._landmarks: Float32Array = np.zeros((LANDMARK_COUNT, 3), np.float32)
        self._face = FaceState()
        self._face.sources, self._face.visibility, self._face.landmarks = "video", 1.0, self._landmarks
        self._region: Float64Array = np.zeros(4, np.float64)
        self._image: Image = np.zeros((0, 0, 3), np.uint8)
        self._warm()

    def reset(self) -> None:
        """Forget the face: the next step takes the largest one in the image."""
        self._following = False
        self._found_ns = 0
        self._lost_ns: int | None = None
        self._view = 0
        if self._anchor:
            self._anchor.reset()

    @property
    def following(self) -> bool:
        """Whether the last step saw a face."""
        return self._following

    def step(self, image_bgr: Image, now_ns: int) -> FaceState | None:
        """Return the face in an image uint8[h, w, 3] taken at ``now_ns``; None if there is none.

        It is the tracker's own until the next step: unfiltered, and with landmarks.

        Raises:
            ModelError: the array is not such an image.
        """
        image = self._contiguous(image_bgr)
        if min(image.shape[:2]) < MIN_SIDE_PX:
            self._following = False
            return None
        if not (self._following and self._see(image, KEEP_PROBABILITY)):
            if self._following:
                self._lost_ns = now_ns if now_ns - self._found_ns >= STEADY_NS else None
            self._following = self._find(image, now_ns)
        return self._observe(image, now_ns) if self._following else None

    def _contiguous(self, image: Image) -> Image:
        """Check an image and return it, or a copy if it is read-only or in pieces: no kernel is made for those."""
        if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            found = f"{image.dtype}{list(image.shape)}" if isinstance(image, np.ndarray) else type(image).__name__
            raise ModelError(f"an image must be a BGR array uint8[height, width, 3], not {found}")
        if image.flags.carray:
            return image
        if self._image.shape != image.shape:
            self._image = np.empty(image.shape, np.uint8)
        np.copyto(self._image, image)
        return self._image

    def _see(self, image: Image, least_probability: float) -> bool:
        """Look for landmarks in the region; if they are a face's, move the region to them."""
        probability = self._mesh.infer(image, self._region, self._raw)
        if not probability >= least_probability:  # NaN is not a face either
            return False
        self._face.confidence = probability
        region_from_landmarks(self._raw, self._region)
        return True

    def _find(self, image: Image, now_ns: int) -> bool:
        """Look for a face in the whole image, then in one other view; a doubtful one has to beat all orientations."""
        loyal = self._lost_ns is not None and now_ns - self._lost_ns < LOYALTY_NS
        near = self._region if loyal else None
        probability, face = self._best(image, (WHOLE,), near)
        if probability < SURE_PROBABILITY:
            other, other_face = self._best(image, TURNED if probability else (OTHER_VIEWS[self._view],), near)
            self._view = (self._view + 1) % len(OTHER_VIEWS)
            if other > probability:
                probability, face = other, other_face
        if face is None or probability < FIND_PROBABILITY:
            return False
        self._region[:] = face.region
        if face.score < UPRIGHT_SCORE:
            self._stand_up(image)
        self._found_ns = now_ns
        if self._smoother:
            self._smoother.reset()
        if self._anchor:
            self._anchor.reset()
        return self._see(image, FIND_PROBABILITY)

    def _stand_up(self, image: Image) -> None:
        """Turn the region by half a turn if the face in it stands on its head: it is found so, too."""
        frame = self._region.copy()
        frame[2] *= UPRIGHT_ROOM
        score = self._detector.score(image, frame)
        frame[3] = math.remainder(frame[3] + math.pi, math.tau)
        if self._detector.score(image, frame) > score + UPRIGHT_MARGIN:
            self._region[3] = frame[3]

    def _best(self, image: Image, views: Sequence[View], near: Float64Array | None) -> tuple[float, Detection | None]:
        """Return the first sure face with its probability, else the most probable one."""
        best, best_face = 0.0, None
        for view in views:
            for face in candidates(self._detector.detect(image, view), near):
                probability = self._mesh.infer(image, face.region, self._raw)
                if probability > best:
                    best, best_face = probability, face
                if probability >= SURE_PROBABILITY:
                    return best, best_face
        return best, best_face

    def _observe(self, image: Image, now_ns: int) -> FaceState:
        """Derive the rest from the landmarks."""
        height, width = image.shape[:2]
        face, landmarks = self._face, self._landmarks
        if self._smoother:
            self._smoother.smooth(self._raw, now_ns, landmarks)
        else:
            landmarks[:] = self._raw
        self._pose.fit(landmarks, width, height, face.head)
        self._gaze.measure(landmarks, width, height, self._pose.matrix, face.gaze)
        self._shapes.infer(landmarks, face.head, face.blendshapes)
        if self._anchor:
            self._anchor.step(image, self._region, face.head, now_ns, face.blendshapes)
        return face

    def _warm(self) -> None:
        """Run every kernel and network once, so that nothing compiles or allocates at the first image."""
        image = np.zeros((64, 64, 3), np.uint8)
        self._detector.detect(image)
        self._region[:] = (32.0, 32.0, 32.0, 0.0)
        self._see(image, 0.0)
        self._observe(image, 0)
        self.reset()


def candidates(faces: list[Detection], lost_at: Float64Array | None) -> list[Detection]:
    """Order faces by size; if one was just lost, take only those within its region's side of it, nearest first."""
    if lost_at is None:
        return sorted(faces, key=lambda face: -face.size_px)

    def distance(face: Detection) -> float:
        return math.hypot(face.region[0] - lost_at[0], face.region[1] - lost_at[1])

    return sorted((face for face in faces if distance(face) < lost_at[2]), key=distance)


class Parts(NamedTuple):
    """What differs from mesh to mesh."""

    mesh: Mesh
    shapes: BlendshapeStage
    """What makes blendshapes of that mesh's landmarks."""
    anchor: Anchor | None
    """What corrects the shapes from time to time, for a mesh that needs it."""


def _v2_parts(device: Device, threads: int) -> Parts:
    mesh = FaceMeshV2(device=device, threads=threads)
    return Parts(mesh, BlendshapeNetwork(device=device, threads=threads), None)


def _attention_parts(device: Device, threads: int) -> Parts:
    mesh = AttentionMesh(device=device, threads=threads)
    return Parts(mesh, AttentionBlendshapes(mesh.codes), Anchor(device=device, threads=threads))


PARTS: dict[str, Callable[[Device, int], Parts]] = {"v2": _v2_parts, "attention": _attention_parts}
"""By the name of the mesh; ``trackers.py`` says what people choose from."""
