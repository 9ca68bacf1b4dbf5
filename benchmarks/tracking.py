"""What a step of tracking costs, stage by stage and as a whole, beside MediaPipe on the same frames in the same run.

A step is all from a BGR image to a packed message: landmarks, blendshapes, head pose, gaze, filters, encoding.
MediaPipe's FaceMesh (refined landmarks) gives landmarks only; its FaceLandmarker (video mode) blendshapes and a pose
too. Blocks of frames alternate between ours and theirs, so that whatever else the machine does falls on all alike.
MediaPipe needs numpy<2: it runs in an environment of its own, made in the user's cache at the first run (--mediapipe
names a Python that has it).

Prints a table and one JSON line. Run: python benchmarks/tracking.py [--clip VIDEO] [--threads N] [--device cuda]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from facewire.bridge.codec import Encoder
from facewire.bridge.frame import FaceFrame
from facewire.models.assets import asset_path, cache_folder
from facewire.models.face import FaceTracker
from facewire.models.face.region import crop
from facewire.models.face.tracker import FaceObservation
from facewire.runtime.filters import FaceFilter

FRAME_NS = 33_333_333
PEER = Path(__file__).with_name("mediapipe_peer.py")


def mediapipe_python() -> Path:
    """Make (once) an environment with MediaPipe and return its interpreter."""
    folder = cache_folder() / "mediapipe-0.10.21"
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    if not (folder / "complete").exists():
        print("making an environment for MediaPipe (once) …", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", "mediapipe==0.10.21", "numpy<2"], check=True)
        (folder / "complete").touch()
    return python


class Peer:
    """MediaPipe's process."""

    def __init__(self, python: Path, clip: Path, task: Path) -> None:
        command = [str(python), str(PEER), str(clip), str(task)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.ask(None)

    def ask(self, line: str | None) -> list[float]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        if line is not None:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def run(self, network: str) -> Callable[[int, int], list[float]]:
        return lambda first, count: self.ask(f"{network} {first} {count}")


class Ours:
    """Our whole step."""

    def __init__(self, mesh: str, frames: list[np.ndarray], threads: int, device: str) -> None:
        self.tracker = FaceTracker(mesh, device, threads)
        self.filter, self.encoder, self.frames = FaceFilter(), Encoder(), frames
        self.time_ns = 0

    def step(self, image: np.ndarray) -> bytes:
        self.time_ns += FRAME_NS
        seen = self.tracker.step(image, self.time_ns)
        assert seen is not None
        return self.pack(seen)

    def pack(self, seen: FaceObservation) -> bytes:
        shapes, head, gaze = self.filter.step(seen.blendshapes, seen.head, seen.gaze, self.time_ns)
        frame = FaceFrame(0, self.time_ns, self.time_ns, "video", seen.confidence, shapes, head, gaze)
        return self.encoder.frame(frame)

    def run(self, first: int, count: int) -> list[float]:
        times_ms = []
        for index in range(first, first + count):
            start_ns = time.perf_counter_ns()
            self.step(self.frames[index % len(self.frames)])
            times_ms.append((time.perf_counter_ns() - start_ns) / 1e6)
        return times_ms


def stages_ms(ours: Ours, repeats: int) -> dict[str, float]:
    """Return the median milliseconds of each stage alone."""
    tracker, image = ours.tracker, ours.frames[0]
    height, width = image.shape[:2]
    seen = tracker.step(image, ours.time_ns)
    assert seen is not None
    network = tracker._mesh._network
    pose, gaze, raw = tracker._pose, tracker._gaze, tracker._raw
    work: dict[str, Callable[[], object]] = {
        "detector (only without a face)": lambda: tracker._detector.detect(image),
        "crop": lambda: crop(image, tracker._region, 0.0, 1.0, True, network.input[0]),
        "mesh network": network.run,
        "crop, mesh network, landmarks": lambda: tracker._mesh.infer(image, tracker._region, raw),
        "head pose": lambda: pose.fit(seen.landmarks, width, height, seen.head),
        "gaze": lambda: gaze.measure(seen.landmarks, width, height, pose.matrix, seen.gaze),
        "blendshapes": lambda: tracker._shapes.infer(seen.landmarks, seen.head, seen.blendshapes),
        "filters and packing": lambda: ours.pack(seen),
    }
    return {name: median_ms(call, repeats) for name, call in work.items()}


def median_ms(call: Callable[[], object], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        start_ns = time.perf_counter_ns()
        call()
        times.append(time.perf_counter_ns() - start_ns)
    return float(np.median(times)) / 1e6


def read_frames(clip: Path) -> list[np.ndarray]:
    capture, frames = cv2.VideoCapture(str(clip)), []
    while True:
        ok, image = capture.read()
        if not ok:
            return frames
        frames.append(image)


def alternate(runs: dict[str, Callable[[int, int], list[float]]], rounds: int, block: int) -> dict[str, list[float]]:
    """Run a block of frames on each in turn, over and over; the first frames of a turn warm the caches, uncounted."""
    settle = 5
    times: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(-1, rounds):
        for name, run in runs.items():
            measured = run(max(turn, 0) * block, block)[settle:]
            if turn >= 0:  # the round before the first finds the face and warms everything up
                times[name] += measured
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clip", type=Path, help="a video with a face throughout (default: the talking face)")
    parser.add_argument("--task", type=Path, help="face_landmarker.task (default: the one in the cache)")
    parser.add_argument("--mediapipe", type=Path, help="a Python that has MediaPipe")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--block", type=int, default=30)
    options = parser.parse_args()
    clip = options.clip or asset_path("talking_face")
    asset_path("face_mesh_v2")  # whose original is the task file
    task = options.task or cache_folder() / "originals" / "face_landmarker.task"
    frames = read_frames(clip)
    ours = {mesh: Ours(mesh, frames, options.threads, options.device) for mesh in ("attention", "v2")}
    peer = Peer(options.mediapipe or mediapipe_python(), clip, task)
    runs = {
        "facewire attention": ours["attention"].run,
        "MediaPipe FaceMesh": peer.run("facemesh"),
        "facewire v2": ours["v2"].run,
        "MediaPipe FaceLandmarker": peer.run("facelandmarker"),
    }
    times = alternate(runs, options.rounds, options.block)
    peer.process.kill()
    report(times, {mesh: stages_ms(ours[mesh], 200) for mesh in ours}, options.threads)


def report(times: dict[str, list[float]], stages: dict[str, dict[str, float]], threads: int) -> None:
    medians = {name: float(np.median(values)) for name, values in times.items()}
    print(f"{'whole step':34}{'median ms':>12}{'p95 ms':>10}{'× FaceMesh':>12}{'× FaceLandmarker':>18}")
    for name, values in times.items():
        ratios = [medians[name] / medians[peer] for peer in ("MediaPipe FaceMesh", "MediaPipe FaceLandmarker")]
        print(f"{name:34}{medians[name]:12.2f}{np.percentile(values, 95):10.2f}{ratios[0]:12.2f}{ratios[1]:18.2f}")
    print(f"\n{'stage alone, median ms':34}{'attention':>12}{'v2':>10}")
    for stage in stages["v2"]:
        print(f"{stage:34}{stages['attention'][stage]:12.3f}{stages['v2'][stage]:10.3f}")
    print(json.dumps({"benchmark": "tracking", "threads": threads, "step_ms": medians, "stages_ms": stages}))


if __name__ == "__main__":
    main()
