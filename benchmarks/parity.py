"""How close tracking is to MediaPipe, over every frame of a clip: landmarks, blendshapes and head pose.

Attention Mesh's landmarks are compared with FaceMesh's (refined), all else with FaceLandmarker's in video mode. A
blendshape counts as active where FaceLandmarker's varies by more than 0.02 (standard deviation). MediaPipe runs in an
environment of its own; see tracking.py.

Prints a table and one JSON line. Run: python benchmarks/parity.py [VIDEO …] [--device cuda]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

import cv2
import numpy as np
from tracking import mediapipe_python

from facewire.bridge.shared.arkit import BLENDSHAPES
from facewire.models.assets.store import asset_path, cache_folder
from facewire.models.face.blendshapes import NETWORK_NAMES
from facewire.models.face.tracker import FaceTracker
from facewire.runtime.face.filters import FaceFilter

RECORD = Path(__file__).parents[1] / "tests" / "golden" / "mediapipe" / "record.py"
ORDER = [NETWORK_NAMES.index(name) for name in BLENDSHAPES[:-1]]
NO_FACE = -32768
WAYS = {
    "attention": ("attention", False, False),
    "attention, as streamed": ("attention", False, True),
    "v2": ("v2", False, False),
    "v2, smoothed like theirs": ("v2", True, False),
    "v2, as streamed": ("v2", False, True),
}
"""Mesh, whether its landmarks are smoothed as FaceLandmarker does, and whether the runtime's filters follow."""


def record(python: Path, clip: Path, task: Path) -> dict[str, np.ndarray]:
    """Return what MediaPipe says of each frame, as record.py stores it."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "golden.npz"
        command = [python, RECORD, clip, task, output, "--step", "1", "--image-step", "1000000"]
        subprocess.run([str(part) for part in command], check=True, stderr=subprocess.DEVNULL)
        with np.load(output) as stored:
            return dict(stored)


def track(mesh: str, clip: Path, device: str, *, smoothing: bool, streamed: bool) -> dict[str, np.ndarray]:
    """Return ours: landmarks [n, 478, 3], blendshapes [n, 51], quaternion and metres [n, 7]; NaN without a face."""
    tracker, face_filter = FaceTracker(mesh, device, smoothing=smoothing), FaceFilter()
    capture, rows = cv2.VideoCapture(str(clip)), []
    while True:
        ok, image = capture.read()
        if not ok:
            break
        time_ns = len(rows) * 1000 // 30 * 1_000_000
        seen = tracker.step(image, time_ns)
        rows.append((np.full((478, 3), np.nan), np.full(51, np.nan), np.full(7, np.nan)))
        if seen is not None:
            face = face_filter.step(seen, time_ns) if streamed else seen
            rows[-1] = (seen.landmarks.copy(), face.blendshapes[:-1].copy(), face.head.copy())
    return dict(zip(("landmarks", "blendshapes", "head"), map(np.array, zip(*rows, strict=True)), strict=True))


def pixels(ours: np.ndarray, theirs: np.ndarray, scale: int) -> dict[str, float]:
    both = ~np.isnan(ours[:, 0, 0]) & (theirs[:, 0, 0] != NO_FACE)
    off = np.linalg.norm(ours[both][..., :2] - theirs[both][..., :2] / scale, axis=-1)
    return {"mean_px": float(off.mean()), "p99_px": float(np.percentile(off, 99))}


def shapes(ours: np.ndarray, theirs: np.ndarray) -> dict[str, float]:
    theirs = theirs[:, ORDER] / 65535
    both = ~np.isnan(ours[:, 0]) & (theirs.max(axis=1) > 0)
    ours, theirs = ours[both], theirs[both]
    active = np.flatnonzero(theirs.std(axis=0) > 0.02)
    correlations = [np.corrcoef(ours[:, k], theirs[:, k])[0, 1] for k in active]
    return {"shapes_mean": float(np.abs(ours - theirs).mean()), "shapes_correlation": float(np.median(correlations))}


def pose(ours: np.ndarray, theirs: np.ndarray) -> dict[str, float]:
    both = ~np.isnan(ours[:, 0]) & ~np.isnan(theirs[:, 0, 0])
    (x, y, z, w), matrix = ours[both, :4].T, theirs[both]
    forward = np.stack([2 * (x * z + y * w), 2 * (y * z - x * w), 1 - 2 * (x * x + y * y)], axis=1)
    angle = np.arccos(np.clip((forward * matrix[:, :3, 2]).sum(axis=1), -1, 1))
    off = np.linalg.norm(100 * ours[both, 4:] - matrix[:, :3, 3], axis=1)
    return {"head_mean_deg": float(np.degrees(angle).mean()), "head_mean_cm": float(off.mean())}


def delay_ms(ours: np.ndarray, theirs: np.ndarray) -> dict[str, float]:
    """Return by how much ours come later, and how they jitter beside theirs (mean second difference over theirs)."""
    theirs = theirs[:, ORDER] / 65535
    both = ~np.isnan(ours[:, 0]) & (theirs.max(axis=1) > 0)
    ours, theirs = ours[both], theirs[both]
    active, fine = theirs.std(axis=0) > 0.02, np.arange(0, len(ours) - 1, 0.05)
    shifts, lags = range(-40, 41), []
    for a, b in zip(ours[:, active].T, theirs[:, active].T, strict=True):
        a, b = np.interp(fine, np.arange(len(a)), a), np.interp(fine, np.arange(len(b)), b)
        scores = [np.corrcoef(a[40 + shift : len(a) - 40 + shift], b[40:-40])[0, 1] for shift in shifts]
        lags.append(shifts[int(np.argmax(scores))] * 0.05 * 1000 / 30)
    jitter = [np.abs(np.diff(values[:, active], 2, axis=0)).mean() for values in (ours, theirs)]
    return {"lag_ms": float(np.median(lags)), "jitter_ratio": float(jitter[0] / jitter[1])}


def compare(clip: Path, python: Path, task: Path, device: str) -> dict[str, dict[str, float]]:
    golden, rows = record(python, clip, task), {}
    for name, (mesh, smoothing, streamed) in WAYS.items():
        ours = track(mesh, clip, device, smoothing=smoothing, streamed=streamed)
        landmarks = golden["mesh" if mesh == "attention" else "video_landmarks"]
        rows[name] = {
            **pixels(ours["landmarks"], landmarks, int(golden["scale"])),
            **shapes(ours["blendshapes"], golden["video_blendshapes"]),
            **delay_ms(ours["blendshapes"], golden["video_blendshapes"]),
            **pose(ours["head"], golden["video_matrix"]),
        }
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="*", type=Path, help="videos with a face (default: the talking face)")
    parser.add_argument("--task", type=Path, help="face_landmarker.task (default: the one in the cache)")
    parser.add_argument("--mediapipe", type=Path, help="a Python that has MediaPipe")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    asset_path("face_mesh_v2")  # whose original is the task file
    task = options.task or cache_folder() / "originals" / "face_landmarker.task"
    results = {}
    for clip in options.clips or [asset_path("talking_face")]:
        results[clip.stem] = compare(clip, options.mediapipe or mediapipe_python(), task, options.device)
        print(f"{clip.stem:28}" + "".join(f"{column:>20}" for column in results[clip.stem]["v2"]))
        for way, row in results[clip.stem].items():
            print(f"{way:28}" + "".join(f"{value:20.4f}" for value in row.values()))
    print(json.dumps({"benchmark": "parity", "clips": results}))


if __name__ == "__main__":
    main()
