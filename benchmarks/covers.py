"""What the tracker makes of a covered face: headsets, hands, masks, microphones, posters, on people of real clips.

Covers are drawn in 3D (cover_meshes.py, cover_drawing.py) by the pose of the bare face, put on, worn and taken off.
The truth is FaceMesh V2 on the same picture without the cover. A mouth is right where the 40 rim landmarks of the lips
lie within 5 % of the outer-eye distance of the truth, wrong where they are published as seen and lie beyond 12 %.
MediaPipe's FaceLandmarker (video mode) sees the same pictures, in an environment of its own (see tracking.py).

Prints tables and one JSON line. Run: python benchmarks/covers.py [--media FOLDER] [--rows NAME …] [--mesh v2|attention]
The folder is what ``python -m facewire.models.face.training unpack`` fills.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from cover_meshes import Cover, covers
from cover_scenes import Clip, Room, Worn, all_clips, portraits
from parity import NO_FACE, record
from tracking import mediapipe_python

from facewire.bridge.shared.arkit import BLENDSHAPE_INDEX
from facewire.bridge.shared.face import SpeechTick
from facewire.models.assets.store import asset_path, cache_folder
from facewire.models.face.tracker import FaceTracker
from facewire.runtime.pipeline import FacePipeline

Array = np.ndarray[Any, Any]

LIPS = np.array(
    [61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 146, 91, 181, 84, 17, 314, 405, 321, 375,
     78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 95, 88, 178, 87, 14, 317, 402, 318, 324]
)  # fmt: skip
"""The 40 landmarks of the lips' rims."""
RIGHT, WRONG = 0.05, 0.12
"""In outer-eye distances."""
SILENCE = SpeechTick(np.zeros(52, np.float32), 0.0, 0, 0)


@dataclass(slots=True)
class Run:
    """What was streamed of each picture."""

    landmarks: Array
    """[n, 478, 3]; NaN where nothing was published as seen."""
    shapes: Array
    """[n, 52]."""
    head: Array
    """[n, 7]."""
    gaze: Array
    confidence: Array
    trust: Array
    """[n]: the mouth's."""


def follow(images: Iterable[Array], rate: float, mesh: str = "v2", *, speech: bool = True) -> Run:
    """Send pictures through all of the pipeline; ``speech`` has a microphone beside it in which nobody speaks."""
    pipeline = FacePipeline(lambda device: FaceTracker(mesh, device), device="cpu")
    rows = []
    for index, image in enumerate(images):
        now_ns = round((index + 1) * 1e9 / rate)
        if speech:
            pipeline.take_speech(SpeechTick(SILENCE.blendshapes, 0.0, now_ns, now_ns))
        pipeline.track(image, now_ns)
        frame = pipeline.finish(index, now_ns, now_ns, lambda now_ns=now_ns: now_ns)
        seen = frame.landmarks is not None
        landmarks = frame.landmarks.copy() if seen else np.full((478, 3), np.nan)
        rows.append((landmarks, frame.blendshapes, frame.head, frame.gaze, frame.confidence, pipeline.trust.value))
    return Run(*(np.array(column) for column in zip(*rows, strict=True)))


def lip_errors(landmarks: Array, truth: Array) -> Array:
    """Return the mean distance of the lips' landmarks [n] in outer-eye distances; NaN where either has no face."""
    eyes = np.linalg.norm(truth[:, 263, :2] - truth[:, 33, :2], axis=1)
    return np.linalg.norm(landmarks[:, LIPS, :2] - truth[:, LIPS, :2], axis=2).mean(1) / eyes


def shares(landmarks: Array, truth: Array, counted: Array) -> dict[str, float]:
    """Return how often the mouth is right, wrong and not there."""
    errors = lip_errors(landmarks, truth)[counted]
    return {
        "right": float((errors <= RIGHT).mean()),
        "wrong": float((errors > WRONG).mean()),
        "none": float(np.isnan(errors).mean()),
        "pictures": int(counted.sum()),
    }


def mediapipe(images: Iterable[Array], rate: float, python: Path, task: Path) -> Array:
    """Return FaceLandmarker's landmarks [n, 478, 3] in video mode; NaN without a face."""
    with tempfile.TemporaryDirectory() as folder:
        path, writer = Path(folder) / "covered.avi", None
        for image in images:
            if writer is None:
                size = (image.shape[1], image.shape[0])
                writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"FFV1"), rate, size)
            writer.write(image)
        assert writer is not None
        writer.release()
        golden = record(python, path, task)
    landmarks = golden["video_landmarks"].astype(float)
    landmarks[golden["video_landmarks"][:, 0, 0] == NO_FACE] = np.nan
    return landmarks / int(golden["scale"])


class Bench:
    """The rows of the table. Each method measures one and returns it."""

    def __init__(self, media: Path | None, mesh: str, peer: Callable[[Iterable[Array], float], Array] | None) -> None:
        self.media, self.mesh, self.peer = media, mesh, peer
        with np.load(asset_path("face_geometry")) as geometry:
            self.covers = covers(geometry["vertices"].astype(float), geometry["triangles"])
        self.clips: list[Clip] = []

    def load(self) -> None:
        self.clips = [clip for clip in all_clips(self.media) if clip.known.mean() > 0.6 and len(clip.images) > 60]

    def worn(self, clip: Clip, cover: Cover) -> Worn:
        seconds = len(clip.images) / clip.rate
        return Worn(clip, cover, min(1.0, 0.15 * seconds), 0.8 * seconds)

    def mouth_while_worn(self, name: str) -> dict[str, Any]:
        """Mouth right, wrong, none while a cover that leaves the mouth free is worn; by clip and over all."""
        rows: dict[str, Any] = {}
        for clip in self.clips:
            worn = self.worn(clip, self.covers[name]())
            run = follow(worn.images(), clip.rate, self.mesh)
            rows[clip.name] = shares(run.landmarks, clip.landmarks, worn.worn)
            rows[clip.name]["trust"] = float(np.mean(run.trust[settled(worn.worn, clip.rate, 2.0)] >= 0.9))
            if self.peer:
                theirs = self.peer(worn.images(), clip.rate)
                rows[clip.name]["theirs"] = shares(theirs, clip.landmarks, worn.worn)
        return rows | {"all": overall(rows)}

    def mouth_covered(self, name: str) -> dict[str, Any]:
        """Trust in a mouth that is covered from the start: the share of pictures, from 2 s on, at or under 0.3."""
        rows: dict[str, Any] = {}
        for clip in self.clips:
            worn = Worn(clip, self.covers[name](), -10.0)
            run = follow(worn.images(), clip.rate, self.mesh)
            rows[clip.name] = {"distrusted": float((run.trust[settled(worn.worn, clip.rate, 2.0)] <= 0.3).mean())}
        return rows

    def bare(self) -> dict[str, Any]:
        """Share of a bare face's pictures in which the mouth is distrusted."""
        rows: dict[str, Any] = {}
        for clip in self.clips:
            run = follow(clip.images, clip.rate, self.mesh)
            counted = settled(clip.known, clip.rate, 0.5)
            rows[clip.name] = {
                "alarm": float((run.trust[counted] < 0.35).mean()),
                **shares(run.landmarks, clip.landmarks, clip.known),
            }
        return rows

    def below_the_edge(self) -> dict[str, Any]:
        """Trust in a mouth that is below the picture's edge."""
        rows: dict[str, Any] = {}
        for clip in self.clips:
            known = clip.landmarks[clip.known]
            cut = int(np.median(known[:, [1, 0], 1]))  # between nose and lips
            if cut < 48:
                continue
            run = follow([image[:cut].copy() for image in clip.images], clip.rate, self.mesh)
            counted = clip.known & (clip.landmarks[:, LIPS, 1].min(1) > cut) & ~np.isnan(run.landmarks[:, 0, 0])
            rows[clip.name] = {"distrusted": float((run.trust[counted] <= 0.3).mean()) if counted.any() else None}
        return rows

    def found_cold(self, name: str) -> dict[str, Any]:
        """Share of people, upright and 180 px high in a headset, who are found within a second, none sideways."""
        found, sideways, people = 0, 0, []
        for clip in portraits(self.media, 180.0):
            worn = Worn(clip, self.covers[name](), -10.0)
            image = next(iter(worn.images()))
            run = follow([image] * 30, 30.0, self.mesh)
            errors = lip_errors(run.landmarks, np.repeat(clip.landmarks, 30, 0))
            roll = turned(run.landmarks)
            found += bool((errors <= RIGHT).any())
            sideways += bool((roll > 0.8).any())
            people.append((clip.name, round(float(np.nanmin(errors)) if not np.isnan(errors).all() else -1.0, 3)))
        return {"people": len(people), "found": found / max(len(people), 1), "sideways": sideways, "errors": people}

    def still_head(self, name: str) -> dict[str, Any]:
        """Head jitter on a still head under a headset, its error, and what the upper face does there."""
        clip = next(clip for clip in self.clips if clip.name == "demo")
        worn, bare = Worn(clip, self.covers[name](), 1.0), follow(clip.images, clip.rate, self.mesh)
        run = follow(worn.images(), clip.rate, self.mesh)
        counted = settled(worn.worn, clip.rate, 0.5)
        steps = angles(run.head[1:], run.head[:-1])[counted[1:]]
        names = ("browInnerUp", "browOuterUpLeft", "browOuterUpRight", "browDownLeft", "browDownRight")
        return {
            "jitter_deg": float(np.mean(steps)),
            "jitter_bare_deg": float(np.mean(angles(bare.head[1:], bare.head[:-1])[counted[1:]])),
            "error_deg": float(np.mean(angles(run.head, bare.head)[counted])),
            "brows": float(np.max(run.shapes[counted][:, [index_of(shape) for shape in names]])),
            "gaze_rad": float(np.max(np.abs(run.gaze[counted]))),
            "blink_range": float(np.ptp(run.shapes[counted][:, index_of("eyeBlinkLeft")])),
        }

    def half_strength(self, name: str) -> dict[str, Any]:
        """jawOpen and smile under a headset after 30 s of it, against the bare face: slope and correlation."""
        rows: dict[str, Any] = {}
        for clip in self.clips:
            if len(clip.images) / clip.rate < 5:
                continue
            turns = int(np.ceil(60 * clip.rate / len(clip.images)))
            worn = Worn(clip, self.covers[name](), -10.0)
            drawn = list(worn.images())
            count, since = len(clip.images) * turns, round(30 * clip.rate)
            run = follow((drawn[i % len(drawn)] for i in range(count)), clip.rate, self.mesh)
            bare = follow((clip.images[i % len(drawn)] for i in range(count)), clip.rate, self.mesh)
            rows[clip.name] = {}
            for shape in ("jawOpen", "mouthSmileLeft"):
                a, b = bare.shapes[since:, index_of(shape)], run.shapes[since:, index_of(shape)]
                if a.std() > 0.03:
                    rows[clip.name][shape] = (float(np.polyfit(a, b, 1)[0]), float(np.corrcoef(a, b)[0, 1]))
        return rows

    def taken_off(self, name: str) -> dict[str, Any]:
        """Greatest difference to a run without the cover, from a second after it was taken off."""
        rows: dict[str, Any] = {}
        for clip in self.clips:
            seconds = len(clip.images) / clip.rate
            if seconds < 6:
                continue
            worn = Worn(clip, self.covers[name](), 1.0, seconds - 3.0)
            run, bare = follow(worn.images(), clip.rate, self.mesh), follow(clip.images, clip.rate, self.mesh)
            after = np.arange(len(clip.images)) / clip.rate > seconds - 3.0 + 0.6 + 1.0
            off = np.abs(run.shapes - bare.shapes)[after & clip.known]
            rows[clip.name] = {
                "mean": float(off.mean()),
                "worst": float(off.max()),
                "p99": float(np.percentile(off, 99)),
            }
        return rows

    def people(self, kind: str) -> dict[str, Any]:
        """Who is followed beside a poster, a television, a bystander; how long after the user's return."""
        rows: dict[str, Any] = {}
        other = next(clip for clip in self.clips if clip.name == ("demo" if kind == "poster" else self.clips[-1].name))
        for clip in self.clips:
            if clip.person == other.person or clip.name == "demo":
                continue
            room, rate = Room(clip, other, kind), 30.0
            images, users, others = zip(*room.frames(rate=rate), strict=True)
            run = follow(images, rate, self.mesh)
            places = run.landmarks[:, [33, 263], :2].mean(1)
            right = np.array([near(place, user) for place, user in zip(places, users, strict=True)])
            wrong = np.array([near(place, user) for place, user in zip(places, others, strict=True)])
            here = np.array([user is not None for user in users])
            since = round((room.comes_s + room.moves_s) * rate)
            returned = np.flatnonzero(right[since:])
            rows[clip.name] = {
                "right": float(right[here].mean()),
                "another": float(wrong[here].mean()),
                "return_s": float(returned[0] / rate) if returned.size else None,
            }
        return rows


def near(place: Array, where: Array | None) -> bool:
    """Return whether a followed face is the one that is there."""
    return where is not None and bool(np.linalg.norm(place - where) < 40)


def settled(flags: Array, rate: float, seconds: float) -> Array:
    """Return the flags without the first ``seconds`` of each stretch."""
    result, since = np.zeros_like(flags), 0
    for index, flag in enumerate(flags):
        since = since + 1 if flag else 0
        result[index] = since > seconds * rate
    return result


def overall(rows: dict[str, Any]) -> dict[str, Any]:
    """Return the means over clips, each clip the same."""
    names = [key for key in next(iter(rows.values())) if key not in ("pictures", "theirs")]
    result: dict[str, Any] = {key: float(np.mean([row[key] for row in rows.values()])) for key in names}
    if all("theirs" in row for row in rows.values()):
        theirs = [row["theirs"] for row in rows.values()]
        result["theirs"] = {key: float(np.mean([row[key] for row in theirs])) for key in ("right", "wrong", "none")}
    return result


def turned(landmarks: Array) -> Array:
    """Return how far the eyes' line is from level [n], radians; 0 without a face."""
    line = landmarks[:, 263, :2] - landmarks[:, 33, :2]
    return np.nan_to_num(np.abs(np.arctan2(line[:, 1], line[:, 0])))


def angles(a: Array, b: Array) -> Array:
    """Return the angle between heads [n, 7] and [n, 7], in degrees."""
    return np.degrees(2 * np.arccos(np.clip(np.abs((a[:, :4] * b[:, :4]).sum(1)), 0, 1)))


def index_of(shape: str) -> int:
    """Return the place of a blendshape."""
    return BLENDSHAPE_INDEX[shape]


HEADSETS = ("headset", "headset, cameras")
UPPER = ("sunglasses", "fringe, headphones")
MOUTHS = ("mask", "hand", "microphone", "mug")
ROWS: dict[str, Callable[[Bench], Any]] = {
    "worn": lambda bench: {name: bench.mouth_while_worn(name) for name in (*HEADSETS, *UPPER)},
    "covered": lambda bench: {name: bench.mouth_covered(name) for name in MOUTHS},
    "bare": lambda bench: bench.bare(),
    "edge": lambda bench: bench.below_the_edge(),
    "cold": lambda bench: {name: bench.found_cold(name) for name in HEADSETS},
    "still": lambda bench: {name: bench.still_head(name) for name in HEADSETS},
    "strength": lambda bench: {name: bench.half_strength(name) for name in HEADSETS},
    "people": lambda bench: {name: bench.people(name) for name in ("poster", "television", "bystander", "passer-by")},
    "off": lambda bench: {name: bench.taken_off(name) for name in (*HEADSETS, *MOUTHS)},
}


def show(value: Any, depth: int = 0) -> None:
    """Print a table's rows, indented."""
    for key, inner in value.items():
        if isinstance(inner, dict) and any(isinstance(entry, dict) for entry in inner.values()):
            print("  " * depth + str(key))
            show(inner, depth + 1)
        else:
            print("  " * depth + f"{key:<24}{inner}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--media", type=Path, help="a folder of unpacked media (default: the own clips alone)")
    parser.add_argument("--mesh", default="v2")
    parser.add_argument("--rows", nargs="*", default=list(ROWS), choices=list(ROWS))
    parser.add_argument("--no-peer", action="store_true", help="without MediaPipe")
    parser.add_argument("--mediapipe", type=Path, help="a Python that has MediaPipe")
    options = parser.parse_args()
    asset_path("face_mesh_v2")
    task = cache_folder() / "originals" / "face_landmarker.task"
    python = None if options.no_peer else options.mediapipe or mediapipe_python()
    peer = None if python is None else lambda images, rate: mediapipe(images, rate, python, task)
    bench = Bench(options.media, options.mesh, peer)
    bench.load()
    results = {}
    for name in options.rows:
        results[name] = ROWS[name](bench)
        show({name: results[name]})
    print(json.dumps({"benchmark": "covers", "mesh": options.mesh, "rows": results}))


if __name__ == "__main__":
    main()
