"""What a step of tracking costs, stage by stage and as a whole, beside MediaPipe on the same frames in the same run.

A step is all from a BGR image to a packed message: landmarks, blendshapes, head pose, gaze, filters, encoding.
MediaPipe's FaceMesh (refined landmarks) gives landmarks only; its FaceLandmarker (video mode) blendshapes and a pose
too. FaceMesh V2 joins every fifth of our Attention Mesh's steps (see anchor.py), which the mean shows and the median
hides. Blocks of frames alternate between ours and theirs, so that whatever else the machine does falls on all alike.
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
from typing import Any

import cv2
import numpy as np

from facewire.bridge.shared.face import FaceState
from facewire.bridge.wire.codec import Encoder
from facewire.bridge.wire.frame import FaceFrame
from facewire.models.assets.store import asset_path, cache_folder
from facewire.models.face.region import crop
from facewire.models.face.tracker import THREADS, FaceTracker
from facewire.runtime.face.filters import FaceFilter

Block = tuple[list[float], float]
"""Milliseconds of each frame, and the mean processor time of a frame over all threads."""

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
        self.answer()  # it says when it is ready

    def answer(self) -> Any:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def run(self, network: str) -> Callable[[int, int], Block]:
        def run_block(first: int, count: int) -> Block:
            assert self.process.stdin is not None
            self.process.stdin.write(f"{network} {first} {count}\n")
            self.process.stdin.flush()
            times_ms, cpu_ms = self.answer()
            return times_ms, cpu_ms

        return run_block


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

    def pack(self, seen: FaceState) -> bytes:
        face = self.filter.step(seen, self.time_ns)
        values = face.blendshapes, face.head, face.gaze
        frame = FaceFrame(0, self.time_ns, self.time_ns, "video", face.confidence, *values)
        return self.encoder.frame(frame)

    def run(self, first: int, count: int) -> Block:
        times_ms, cpu_start_ns = [], time.process_time_ns()
        for index in range(first, first + count):
            start_ns = time.perf_counter_ns()
            self.step(self.frames[index % len(self.frames)])
            times_ms.append((time.perf_counter_ns() - start_ns) / 1e6)
        return times_ms, (time.process_time_ns() - cpu_start_ns) / 1e6 / count


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


def alternate(
    runs: dict[str, Callable[[int, int], Block]], rounds: int, block: int
) -> tuple[dict[str, list[float]], dict[str, float]]:
    """Run a block of frames on each in turn, over and over; the first frames of a turn warm the caches, uncounted.

    Only the quieter half of the rounds counts, judged by all together: what else the machine did was least there.
    """
    settle = 5
    for run in runs.values():
        run(0, block)  # finds the face and warms everything up
    measured = [{name: run(turn * block, block) for name, run in runs.items()} for turn in range(rounds)]
    measured.sort(key=lambda blocks: sum(float(np.median(times_ms)) for times_ms, _ in blocks.values()))
    quiet = measured[: (rounds + 1) // 2]
    times = {name: [time_ms for blocks in quiet for time_ms in blocks[name][0][settle:]] for name in runs}
    return times, {name: float(np.median([blocks[name][1] for blocks in quiet])) for name in runs}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clip", type=Path, help="a video with a face throughout (default: the talking face)")
    parser.add_argument("--task", type=Path, help="face_landmarker.task (default: the one in the cache)")
    parser.add_argument("--mediapipe", type=Path, help="a Python that has MediaPipe")
    parser.add_argument("--threads", type=int, default=THREADS, help=f"of each of our networks (default {THREADS})")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=24)
    parser.add_argument("--block", type=int, default=25)
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
    times, cpu_ms = alternate(runs, options.rounds, options.block)
    peer.process.kill()
    report(times, cpu_ms, {mesh: stages_ms(ours[mesh], 200) for mesh in ours}, options.threads)


def report(
    times: dict[str, list[float]], cpu_ms: dict[str, float], stages: dict[str, dict[str, float]], threads: int
) -> None:
    medians = {name: float(np.median(values)) for name, values in times.items()}
    means = {name: float(np.mean(values)) for name, values in times.items()}
    columns = ("median ms", "mean ms", "p95 ms", "CPU ms", "× FaceMesh", "× FaceLandmarker")
    print(f"{'whole step':34}" + "".join(f"{column:>17}" for column in columns))
    for name, values in times.items():
        ratios = [medians[name] / medians[peer] for peer in ("MediaPipe FaceMesh", "MediaPipe FaceLandmarker")]
        row = (medians[name], means[name], float(np.percentile(values, 95)), cpu_ms[name], *ratios)
        print(f"{name:34}" + "".join(f"{value:17.2f}" for value in row))
    print(f"\n{'stage alone, median ms':34}{'attention':>12}{'v2':>10}")
    for stage in stages["v2"]:
        print(f"{stage:34}{stages['attention'][stage]:12.3f}{stages['v2'][stage]:10.3f}")
    steps = {"step_ms": medians, "mean_ms": means, "cpu_ms": cpu_ms}
    print(json.dumps({"benchmark": "tracking", "threads": threads, **steps, "stages_ms": stages}))


if __name__ == "__main__":
    main()
