"""Clips of bare faces, what FaceMesh V2 says of them, and the same clips with something before the face."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from cover_drawing import Painter
from cover_meshes import Cover

from facewire.models.assets.store import asset_path
from facewire.models.face.tracker import FaceTracker
from facewire.models.face.training.media import clips, stills

Array = np.ndarray[Any, Any]

MOVE_S = 0.6
"""How long a cover takes to its place, or from it."""
NOWHERE = np.full(3, np.nan)


@dataclass(frozen=True, slots=True)
class Clip:
    """A bare face in a clip, and the truth about it."""

    name: str
    person: str
    images: list[Array]
    rate: float
    landmarks: Array
    """[n, 478, 3] by FaceMesh V2 on the bare picture; NaN where it sees no face."""
    pose: Array
    """[n, 4, 4]: canonical face to camera, centimetres; NaN without a face."""

    @property
    def known(self) -> Array:
        """[n]: where there is a face."""
        return ~np.isnan(self.landmarks[:, 0, 0])

    def time_ns(self, index: int) -> int:
        """Return when a picture is taken."""
        return round(index * 1e9 / self.rate)


def look(name: str, person: str, images: list[Array], rate: float) -> Clip:
    """Return the clip with what FaceMesh V2 sees in it."""
    tracker, landmarks, poses = FaceTracker("v2", "cpu"), [], []
    for index, image in enumerate(images):
        face = tracker.step(image, round(index * 1e9 / rate))
        seen = face is not None and face.landmarks is not None
        landmarks.append(face.landmarks.copy() if seen else np.full((478, 3), np.nan))
        poses.append(matrix_of(face.head) if seen else np.full((4, 4), np.nan))
    return Clip(name, person, images, rate, np.array(landmarks), np.array(poses))


def matrix_of(head: Array) -> Array:
    """Return a head [7] as a matrix [4, 4], canonical face to camera, centimetres."""
    x, y, z, w = (float(v) for v in head[:4])
    matrix = np.eye(4)
    matrix[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    matrix[:3, 3] = 100 * head[4:]
    return matrix


def read_clip(path: Path, crop: Sequence[int] | None = None, most_s: float = 12.0) -> tuple[list[Array], float]:
    """Return the pictures of a clip and its rate."""
    capture, images = cv2.VideoCapture(str(path)), []
    rate = capture.get(cv2.CAP_PROP_FPS) or 30.0
    while len(images) < most_s * rate:
        done, image = capture.read()
        if not done:
            break
        if crop:
            image = image[crop[1] : crop[3], crop[0] : crop[2]]
        images.append(np.ascontiguousarray(image))
    return images, rate


def demo(seconds: float = 8.0, rate: float = 30.0) -> tuple[list[Array], float]:
    """Return the demo's photograph with a camera's noise: a head that is still."""
    photo, rng = cv2.imread(str(asset_path("demo_face"))), np.random.default_rng(2)
    noise = [rng.normal(0, 2, photo.shape) for _ in range(8)]
    count = round(seconds * rate)
    return [np.clip(photo + noise[rng.integers(8)], 0, 255).astype(np.uint8) for _ in range(count)], rate


def all_clips(media: Path | None) -> Iterator[Clip]:
    """Yield the talking face, the demo and, with a folder of unpacked media, its clips."""
    yield look("talking face", "franck", *read_clip(asset_path("talking_face")))
    yield look("demo", "demo", *demo())
    for entry in clips(media) if media else []:
        if entry.name not in ("talkingface", "noface"):
            yield look(entry.name, entry.person, *read_clip(entry.path, entry.crop))


def portraits(media: Path | None, height_px: float) -> Iterator[Clip]:
    """Yield one upright face of each person in the stills, its picture scaled so that the face is that high."""
    seen: set[str] = set()
    for still in stills(media) if media else []:
        image = still.read()
        person = still.person or still.path.stem
        if image is None or person in seen or min(image.shape[:2]) < 100:
            continue
        found = _portrait(image, height_px)
        if found is not None:
            seen.add(person)
            clip = look(person, person, [found], 30.0)
            if clip.known[0]:
                yield clip


def _portrait(image: Array, height_px: float) -> Array | None:
    face = FaceTracker("v2", "cpu").step(image, 0)
    if face is None or face.landmarks is None or face.confidence < 0.95:
        return None
    points = face.landmarks
    size = float(np.linalg.norm(points[10, :2] - points[152, :2]))
    eyes = points[263, :2] - points[33, :2]
    middle = (points[33, 0] + points[263, 0]) / 2
    upright = abs(math.atan2(eyes[1], eyes[0])) < 0.3 and abs(points[1, 0] - middle) < 0.3 * abs(eyes[0])
    if not upright or size < 0.6 * height_px:
        return None
    # A desk camera sees more than the face: no closer than the face's own height on each side.
    scaled = cv2.resize(image, None, fx=height_px / size, fy=height_px / size, interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(scaled) if max(scaled.shape) < 2000 else None


class Worn:
    """A clip in which something is put before the face, worn, and taken off again."""

    def __init__(self, clip: Clip, cover: Cover, put_on_s: float, take_off_s: float = math.inf) -> None:
        self.clip, self.cover, self._painter = clip, cover, Painter()
        self._put_on_s, self._take_off_s = put_on_s, take_off_s

    def way(self, time_s: float) -> float:
        """Return how far it is from its place: 0 worn, 1 or more away."""
        coming = 1 - (time_s - self._put_on_s) / MOVE_S
        going = (time_s - self._take_off_s) / MOVE_S
        return max(coming, going, 0.0)

    @property
    def worn(self) -> Array:
        """[n]: where it is in its place, on a face that is known."""
        ways = [self.way(index / self.clip.rate) for index in range(len(self.clip.images))]
        return (np.array(ways) == 0.0) & self.clip.known

    def images(self) -> Iterator[Array]:
        """Yield the pictures; where the bare face is not known for a moment the cover stays where it was."""
        last = None
        for index, image in enumerate(self.clip.images):
            pose, way = self.clip.pose[index], self.way(index / self.clip.rate)
            last = pose if self.clip.known[index] else last
            if last is None or way >= 1.0:
                yield image
            else:
                yield self._painter.draw(image, self.cover, last, way**1.5 * np.array(self.cover.comes_from))


class Room:
    """A wide picture into which clips are put: somebody at the desk, and who or what else is there.

    The user is there, steps out to the right, is away for two seconds and comes back.
    """

    size_px = (1280, 720)
    leaves_s, comes_s, moves_s = 4.0, 6.5, 0.5

    def __init__(self, user: Clip, other: Clip, kind: str, *, user_px: float = 145.0) -> None:
        """Take the clip of the user, whose eyes are ``user_px`` apart, and one of whom else there is.

        ``kind``: "poster" (a flat picture that hangs still), "television" (a small clip), "bystander" (who stands
        behind the user, smaller) or "passer-by" (who walks by close to the camera while the user sits there).
        """
        self.user, self.other, self.kind = user, other, kind
        self._scale = user_px / eye_distance_px(user)
        apart_px = {"poster": 33.0, "television": 45.0, "bystander": 60.0, "passer-by": 190.0}[kind]
        self._other_scale = apart_px / eye_distance_px(other)
        shade = np.linspace(70, 120, self.size_px[0])[None, :, None] * np.array([1.0, 1.02, 0.97])
        self._wall = np.repeat(shade, self.size_px[1], 0).astype(np.uint8)

    def frames(self, seconds: float = 12.0, rate: float = 30.0) -> Iterator[tuple[Array, Array | None, Array | None]]:
        """Yield pictures, where the middle between the user's eyes is, and where the other's is; None if not there."""
        for index in range(round(seconds * rate)):
            time_s, image = index / rate, self._wall.copy()
            user_at, other_at = self._user_at(time_s), self._other_at(time_s)
            order = [(self.other, self._other_scale, other_at, index), (self.user, self._scale, user_at, index)]
            places = [_paste(image, *entry) for entry in (order[::-1] if self.kind == "passer-by" else order)]
            other, user = places[::-1] if self.kind == "passer-by" else places
            if self.kind == "passer-by" and abs(other_at - user_at) < 0.35:
                user = None  # somebody stands before them
            yield image, user, other

    def _user_at(self, time_s: float) -> float:
        """Return the middle of the user, in widths of the picture."""
        if self.kind == "passer-by":
            return 0.5
        out = min(max((time_s - self.leaves_s) / self.moves_s, 0.0), 1.0)
        back = min(max((time_s - self.comes_s) / self.moves_s, 0.0), 1.0)
        return 0.5 + 0.9 * (out - back)

    def _other_at(self, time_s: float) -> float:
        if self.kind == "passer-by":
            return -0.4 + (time_s - 4.0) / 2.0 * 1.8
        return 0.14 if self.kind != "bystander" else 0.2


def eye_distance_px(clip: Clip) -> float:
    """Return the distance of the eyes' outer corners, the median over the clip."""
    points = clip.landmarks[clip.known]
    return float(np.median(np.linalg.norm(points[:, 263, :2] - points[:, 33, :2], axis=1)))


def _paste(image: Array, clip: Clip, scale: float, at: float, index: int) -> Array | None:
    """Put a clip's picture into ``image`` with its face at ``at`` widths; return where the face is, or None."""
    turn = index % (2 * len(clip.images) - 2) if len(clip.images) > 1 else 0
    number = turn if turn < len(clip.images) else 2 * len(clip.images) - 2 - turn  # to and fro: no jump
    middle, eyes = np.median(clip.landmarks[clip.known][:, [33, 263], :2].mean(1), 0), eye_distance_px(clip)
    # Head and shoulders only, so that nobody's background covers another person.
    low = np.maximum(np.round(middle - 2.2 * eyes), 0).astype(int)
    high = np.round(middle + eyes * np.array([2.2, 3.6])).astype(int)
    cut = clip.images[number][low[1] : high[1], low[0] : high[0]]
    picture = cv2.resize(cut, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    left = round(at * image.shape[1] - (middle[0] - low[0]) * scale)
    top = round(0.45 * image.shape[0] - (middle[1] - low[1]) * scale)
    x0, y0 = max(left, 0), max(top, 0)
    x1, y1 = min(left + picture.shape[1], image.shape[1]), min(top + picture.shape[0], image.shape[0])
    if x1 <= x0 or y1 <= y0 or not clip.known[number]:
        return None
    image[y0:y1, x0:x1] = picture[y0 - top : y1 - top, x0 - left : x1 - left]
    place = (clip.landmarks[number, [33, 263], :2].mean(0) - low) * scale + (left, top)
    return place if 0 <= place[0] < image.shape[1] else None
