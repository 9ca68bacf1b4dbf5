"""What calibration, filters and fusion do to a face: jitter, delay, range, blinks, and the hand-over to speech.

Jitter is measured on a still photograph with sensor noise, beside MediaPipe's own smoothing (FaceLandmarker's video
mode: One-Euro on the landmarks, the same networks after it). Its delay and ours are those against the unsmoothed shapes
of a talking face. The filters' own delay is that of a blink of 100 ms and a mouth that opens within 150 ms, at 60
frames a second, on top of the noise that the tracked photograph has. Ranges are measured on clips: poses come from the
even stretches of two seconds, their reach is measured in the odd ones, which calibration does not see, wherever a shape
is again as far out as it was in the even ones. What is left at rest is measured wherever the landmarks lie as in the
half second that showed rest to calibration, without that half second. The clips of the documentation are those of
models/face/training/media.json that have no crop.

Prints tables and one JSON line. Run: python benchmarks/calibration.py [--clip VIDEO …] [--noise LEVELS]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from facewire.bridge.shared.arkit import BLENDSHAPE_INDEX, BLENDSHAPES
from facewire.bridge.shared.face import FaceState, SpeechTick
from facewire.models.assets.store import asset_path
from facewire.models.face.tracker import FaceTracker
from facewire.runtime.face.calibrate import Calibrator
from facewire.runtime.face.calibration import BLINK, Calibration
from facewire.runtime.face.filters import FaceFilter
from facewire.runtime.face.guided import LEAST_VISIBLE, REACH, CalibrationError, calibrate_neutral
from facewire.runtime.pipeline import FacePipeline

Array = np.ndarray[Any, Any]

JAW, LID = BLENDSHAPE_INDEX["jawOpen"], BLENDSHAPE_INDEX["eyeBlinkLeft"]
STRETCH_S = 2.0
RIGID = (
    1, 2, 4, 5, 6, 10, 33, 93, 98, 127, 133, 152, 168, 195, 197, 234, 263, 323, 327, 356, 362, 454,
)  # fmt: skip
"""Landmarks by which faces are laid over each other: nose, corners of the eyes, outline."""
REGIONS = {
    "lips": (
        (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 185, 40, 39, 37, 0, 267, 269, 270, 409, 78, 95, 88, 178, 87,
         14, 317, 402, 318, 324, 308, 191, 80, 81, 82, 13, 312, 311, 310, 415), 0.02),
    "brows": (
        (70, 63, 105, 66, 107, 55, 65, 52, 53, 46, 336, 296, 334, 293, 300, 276, 283, 282, 295, 285), 0.02),
    "lids": (
        (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246, 263, 249, 390, 373, 374, 380, 381,
         382, 362, 398, 384, 385, 386, 387, 388, 466), 0.01),
}  # fmt: skip
"""Landmarks of what moves, and how far they may lie from those of rest on average, in eye distances, for a face to be
at rest: what the shapes say of it is what is measured, so they are not asked."""
MOUTH_NAMES = ("jawOpen", "mouthSmileLeft", "mouthUpperUpLeft", "mouthPucker")


def pictures(path: Path, most: int) -> tuple[list[Array], float]:
    """Return a clip's pictures and its rate."""
    capture, images = cv2.VideoCapture(str(path)), []
    rate = capture.get(cv2.CAP_PROP_FPS) or 30.0
    while len(images) < most:
        done, image = capture.read()
        if not done:
            break
        images.append(image)
    return images, rate


def observe(images: Iterable[Array], rate: float, *, smoothing: bool) -> list[Any]:
    """Return the faces in pictures, with their times; ``smoothing`` is MediaPipe's."""
    tracker, faces = FaceTracker("v2", device="cpu", smoothing=smoothing), []
    for i, image in enumerate(images):
        now_ns = round(i * 1e9 / rate)
        face = tracker.step(image, now_ns)
        if face is not None:
            kept = FaceState()
            kept.copy_from(face)
            kept.detach()
            kept.video_ns = now_ns
            faces.append(kept)
    return faces


def filtered(faces: Sequence[Any], calibrator: Calibrator | None = None) -> Array:
    """Shapes [n, 52] after our filters, and after calibration if there is one."""
    filters, out = FaceFilter(), []
    for face in faces:
        seen = face if calibrator is None else calibrator.step(face, face.video_ns)
        out.append(filters.step(seen, face.video_ns).blendshapes.copy())
    return np.array(out)


def shapes_of(faces: Sequence[Any]) -> Array:
    return np.array([face.blendshapes for face in faces])


def still_faces(rate: float, noise: float, frames: int = 240) -> tuple[list[Any], list[Any]]:
    """Return the face in a still picture with sensor noise, unsmoothed and smoothed by MediaPipe."""
    photo, rng = cv2.imread(str(asset_path("demo_face"))), np.random.default_rng(3)
    still = [np.clip(photo + rng.normal(0, noise, photo.shape), 0, 255).astype(np.uint8) for _ in range(frames)]
    return observe(still, rate, smoothing=False), observe(still, rate, smoothing=True)


def jitter(raw: list[Any], theirs: list[Any], rate: float) -> dict[str, float]:
    """Mean standard deviation over the shapes that live, on a still picture with noise."""
    rows = {
        "unsmoothed": shapes_of(raw),
        "mediapipe": shapes_of(theirs),
        "filters": filtered(raw),
        "streamed": filtered(raw, Calibrator()),
    }
    settled = round(2 * rate)
    live = shapes_of(raw)[settled:].std(axis=0) > 2e-4
    return {name: float(values[settled:, live].std(axis=0).mean()) for name, values in rows.items()}


def filter_delays(raw: Sequence[Any], rate: float) -> dict[str, float]:
    """How much later than its input each motion is half way, in ms, the worst of eight phases against the frames."""
    found = {}
    for name, rise_s in (("eyeBlinkLeft", 0.10), ("jawOpen", 0.15)):
        shape = BLENDSHAPE_INDEX[name]
        late = []
        for phase in np.arange(8) / 8:
            times_s = (np.arange(len(raw)) + phase) / rate
            share = np.clip((times_s - 2.0) / rise_s, 0.0, 1.0)
            moved = []
            for face, height in zip(raw, 0.8 * share * share * (3 - 2 * share), strict=True):
                copy = FaceState()
                copy.copy_from(face)
                copy.blendshapes[shape] += height
                moved.append(copy)
            late.append(half_way(filtered(moved)[:, shape]) - half_way(shapes_of(moved)[:, shape]))
        found[name] = round(max(late) / rate * 1e3, 2)
    return found


def half_way(values: Array) -> float:
    """When values [n] that rise once are half way, in samples."""
    middle = (values[:60].mean() + values[-60:].mean()) / 2
    i = int(np.argmax(values >= middle))
    return float(i - (values[i] - middle) / (values[i] - values[i - 1]))


def lag_ms(reference: Array, late: Array, rate: float) -> float:
    """By how much ``late`` [n] follows ``reference`` [n]: the peak of their correlation, between samples."""
    a, b = reference - reference.mean(), late - late.mean()
    lags = np.arange(-1, 8)
    scores = np.array([np.corrcoef(a[: len(a) - max(k, 0)], np.roll(b, -k)[: len(b) - max(k, 0)])[0, 1] for k in lags])
    i = int(np.clip(scores.argmax(), 1, len(lags) - 2))
    left, middle, right = scores[i - 1 : i + 2]
    return float((lags[i] + 0.5 * (left - right) / (left - 2 * middle + right)) / rate * 1e3)


def delays(images: list[Array], rate: float) -> dict[str, dict[str, float]]:
    """Lag of jaw and lid behind the unsmoothed shapes on a talking face, MediaPipe's smoothing and our filters."""
    raw, theirs = observe(images, rate, smoothing=False), observe(images, rate, smoothing=True)
    reference = shapes_of(raw)
    rows = {"mediapipe": shapes_of(theirs), "filters": filtered(raw)}
    return {
        name: {
            shape: round(lag_ms(reference[:, i], values[:, i], rate), 1) for shape, i in (("jaw", JAW), ("lid", LID))
        }
        for name, values in rows.items()
    }


def rest_length(rate: float) -> int:
    """Pictures in the half second of rest."""
    return max(round(rate / 2), 6)


def find_rest(faces: Sequence[Any], rate: float) -> tuple[int, Calibration] | None:
    """Find the calmest half second of the first half that calibration accepts."""
    length, best = rest_length(rate), None
    calibrator = Calibrator()
    for start in range(5, len(faces) // 2, max(length // 3, 1)):
        part = faces[start : start + length]
        samples = [sample for face in part if (sample := calibrator.sample(face)) is not None]
        try:
            own = calibrate_neutral(samples, len(part), Calibration())
        except CalibrationError:
            continue
        mouth = [BLENDSHAPE_INDEX[name] for name in MOUTH_NAMES]
        lid = np.mean([sample.measures[:2] for sample in samples])  # open eyes: a face at rest does not squint
        score = float(np.median(shapes_of(part)[:, mouth], axis=0).sum()) - 20 * float(lid)
        if best is None or score < best[0]:
            best = (score, start, own)
    return None if best is None else best[1:]


def raw_shapes(faces: Sequence[Any], own: Calibration) -> Array:
    calibrator = Calibrator(own)
    return np.array([calibrator.step(face, face.video_ns).raw.copy() for face in faces])


def steady(values: Array) -> Array:
    """Medians of three neighbours in time."""
    padded = np.concatenate([values[:1], values, values[-1:]])
    return np.median(np.stack([padded[:-2], padded[1:-1], padded[2:]]), axis=0)


def laid_over(landmarks: Array, reference: Array) -> Array:
    """Landmarks [478, 3] turned, moved and scaled onto a reference by what hardly moves (Umeyama 1991)."""
    rigid = list(RIGID)
    middle, target = landmarks[rigid].mean(axis=0), reference[rigid].mean(axis=0)
    a, b = landmarks[rigid] - middle, reference[rigid] - target
    left, strengths, right = np.linalg.svd(a.T @ b)
    signs = np.array([1.0, 1.0, np.sign(np.linalg.det(left @ right))])
    scale = float((strengths * signs).sum() / (a * a).sum())
    moved: Array = (landmarks - middle) @ (left * signs @ right) * scale + target
    return moved


def resting(faces: Sequence[Any], shown: slice) -> Array:
    """Whether each face [n] is at rest by its landmarks; the pictures that showed rest to calibration are left out."""
    landmarks = [face.landmarks.astype(np.float64) for face in faces]
    rest = np.median(landmarks[shown], axis=0)
    for _ in range(2):
        rest = np.median([laid_over(points, rest) for points in landmarks[shown]], axis=0)
    eyes = np.linalg.norm(rest[263] - rest[33])
    offsets = np.array([laid_over(points, rest) for points in landmarks])[..., :2] - rest[:, :2]
    still = np.ones(len(faces), bool)
    for points, most in REGIONS.values():
        still &= np.linalg.norm(offsets[:, list(points)], axis=-1).mean(axis=1) <= most * eyes
    still[shown] = False
    return still


def ranges(faces: Sequence[Any], rate: float) -> dict[str, Any] | None:
    """Reach at the person's own extreme and what is left at rest, in stretches that calibration did not see; both as
    they are streamed, filters included."""
    found = find_rest(faces, rate)
    if found is None:
        return None
    start, own = found
    raw = steady(raw_shapes(faces, own))
    odd = (np.arange(len(faces)) // max(round(STRETCH_S * rate), 1)) % 2 == 1
    new, visible = own.copy(), []
    for i in set(range(len(BLENDSHAPES))) - set(BLINK.tolist()):
        begin = own.neutral[i] + own.spread[i]
        extremes = [float(np.sort(raw[part, i])[-4:].min()) for part in (~odd, odd)]  # held for four pictures
        if min(extremes) - begin >= max(2 * LEAST_VISIBLE, 4 * own.spread[i]):
            new.top[i] = begin + REACH * (extremes[0] - begin)
            visible.append((i, extremes))
    out = filtered(faces, Calibrator(new))  # as it is streamed
    at_rest = resting(faces, slice(start, start + rest_length(rate)))
    # The gaze is never still, and is left out of what is left.
    still = [i for i, name in enumerate(BLENDSHAPES) if not name.startswith("eyeLook")]
    reach = {
        BLENDSHAPES[i]: float(np.max(out[odd & (raw[:, i] >= 0.98 * extremes[0]), i], initial=0.0))
        for i, extremes in visible
        if extremes[1] >= 0.98 * extremes[0]  # the extreme is shown again in what calibration did not see
    }
    left = np.median(out[at_rest][:, still], axis=0) if at_rest.sum() > 5 else None
    return {
        "rest_at": start,
        "visible": len(visible),
        "shown_again": len(reach),
        "least_reach": round(min(reach.values(), default=1.0), 3),
        "rest_frames": int(at_rest.sum()),
        "most_left_at_rest": None
        if left is None
        else [BLENDSHAPES[still[int(left.argmax())]], round(float(left.max()), 3)],
    }


def nods(faces: Sequence[Any]) -> dict[str, float]:
    """Correlation of open lids with the head's pitch: the network's blink and ours."""
    heads = np.array([face.head for face in faces])
    x, y, z, w = heads[:, :4].T
    pitch = np.arcsin(np.clip(2 * (w * x - y * z), -1, 1))
    network = shapes_of(faces)[:, LID]
    calibrator = Calibrator(silent=True)
    ours = np.array([calibrator.step(face, face.video_ns).blendshapes[LID] for face in faces])
    open_eyes = (network < 0.5) & (ours < 0.5)
    pair = [correlation(values[open_eyes], pitch[open_eyes]) for values in (network, ours)]
    return {"network": round(pair[0], 2), "ours": round(pair[1], 2)}


def correlation(a: Array, b: Array) -> float:
    """Correlation of two signals; 0 if one does not move."""
    return float(np.corrcoef(a, b)[0, 1]) if min(a.std(), b.std()) > 1e-6 else 0.0


def hand_over(images: list[Array], rate: float) -> dict[str, float]:
    """Largest step beyond the sources' own when a drawn patch hides the mouth for three seconds and goes again."""
    pipeline = FacePipeline(lambda _: FaceTracker("v2", device="cpu"))
    landmarks, weights, gaps = None, [], []
    first, last = round(2 * rate), round(5 * rate)
    for i, image in enumerate(images):
        now_ns = round(i * 1e9 / rate)
        covered = first <= i < last and landmarks is not None
        picture = patched(image, landmarks) if covered and landmarks is not None else image
        spoken = np.zeros(len(BLENDSHAPES), np.float32)
        pipeline.take_speech(SpeechTick(spoken, 1.0, now_ns, now_ns, 30.0))
        pipeline.track(picture, now_ns)
        frame = pipeline.finish(i, now_ns, now_ns, lambda: 0)
        if not covered:
            landmarks = frame.landmarks
        weights.append(pipeline.fusion.weights.speech)
        gaps.append(float(np.abs(pipeline.fusion.aligner.video.blendshapes - spoken).max()))
    moved = np.abs(np.diff(weights))
    return {"largest_step": float((moved * np.array(gaps)[1:]).max()), "speech_had": float(max(weights))}


def patched(image: Array, landmarks: Array) -> Array:
    middle = landmarks[[61, 291, 13, 14], :2].mean(axis=0)
    size = float(np.linalg.norm(landmarks[263, :2] - landmarks[33, :2]))
    axes = (int(0.42 * size), int(0.36 * size))
    return cv2.ellipse(image.copy(), (int(middle[0]), int(middle[1])), axes, 0, 0, 360, (90, 90, 90), -1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clip", type=Path, nargs="*", default=[], help="more clips for the ranges")
    parser.add_argument("--noise", type=float, default=5.0, help="standard deviation of the sensor noise, of 255")
    args = parser.parse_args()
    figures: dict[str, Any] = {"benchmark": "calibration", "noise": args.noise}
    figures["jitter"] = {}
    print(
        f"{'jitter, 1e-4 of a range':28}{'unsmoothed':>12}{'mediapipe':>12}{'filters':>12}{'streamed':>12}{'ratio':>8}"
    )
    for rate in (30.0, 60.0):
        raw, theirs = still_faces(rate, args.noise)
        row = jitter(raw, theirs, rate)
        ratio = row["filters"] / row["mediapipe"]
        figures["jitter"][f"{rate:g}"] = {**{k: round(v, 6) for k, v in row.items()}, "ratio": round(ratio, 3)}
        cells = "".join(f"{1e4 * row[name]:12.1f}" for name in ("unsmoothed", "mediapipe", "filters", "streamed"))
        print(f"  at {rate:g} a second{'':11}{cells}{ratio:8.2f}")
    figures["filter_delay_ms"] = filter_delays(raw, rate)
    blink_ms, mouth_ms = figures["filter_delay_ms"].values()
    print(f"delay of the filters at {rate:g} a second: blink {blink_ms} ms, mouth {mouth_ms} ms")
    talking, rate = pictures(asset_path("talking_face"), 300)
    figures["lag_ms"] = delays(talking, rate)
    for name, row in figures["lag_ms"].items():
        print(f"lag on a talking face, {name}: jaw {row['jaw']} ms, lid {row['lid']} ms")
    figures["hand_over"] = hand_over(talking, rate)
    print(f"hand-over: largest step {figures['hand_over']['largest_step']:.3f} in a frame at {rate:g} a second")
    figures["clips"] = {}
    for path in [asset_path("talking_face"), *args.clip]:
        images, rate = pictures(path, 900)
        faces = observe(images, rate, smoothing=False)
        figures["clips"][path.stem] = row = {"range": ranges(faces, rate), "pitch": nods(faces)}
        print(f"{path.stem}: {row['range']}; open lids follow pitch: {row['pitch']}")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
