"""MediaPipe in an environment of its own, timed on request: the other half of tracking.py, which starts it.

A line "NETWORK FIRST COUNT" on standard input runs frames of the clip through that network; the answer is one line of
JSON with the milliseconds each took. It starts with the clip and the task file as arguments.
"""

from __future__ import annotations

import json
import sys
import time

import cv2
import mediapipe as mp
from mediapipe.tasks.python import vision
from mediapipe.tasks.python.core.base_options import BaseOptions


def read_frames(path: str) -> list:
    """Decode the clip to RGB, so that neither decoding nor the change of colour order is timed."""
    capture, frames = cv2.VideoCapture(path), []
    while True:
        ok, image_bgr = capture.read()
        if not ok:
            return frames
        frames.append(cv2.cvtColor(image_bgr, cv2.COLOR_BGR2RGB))


class FaceMesh:
    def __init__(self, task: str) -> None:
        del task
        self.network = mp.solutions.face_mesh.FaceMesh(max_num_faces=1, refine_landmarks=True)

    def run(self, rgb) -> None:
        self.network.process(rgb)


class FaceLandmarker:
    def __init__(self, task: str) -> None:
        self.time_ms = 0
        self.network = vision.FaceLandmarker.create_from_options(
            vision.FaceLandmarkerOptions(
                base_options=BaseOptions(model_asset_path=task),
                running_mode=vision.RunningMode.VIDEO,
                output_face_blendshapes=True,
                output_facial_transformation_matrixes=True,
            )
        )

    def run(self, rgb) -> None:
        self.time_ms += 33
        self.network.detect_for_video(mp.Image(mp.ImageFormat.SRGB, rgb), self.time_ms)


def main() -> None:
    clip, task = sys.argv[1:3]
    frames = read_frames(clip)
    networks = {"facemesh": FaceMesh(task), "facelandmarker": FaceLandmarker(task)}
    print(json.dumps({"frames": len(frames), "mediapipe": mp.__version__}), flush=True)
    for line in sys.stdin:
        name, first, count = line.split()
        times_ms, cpu_start_ns = [], time.process_time_ns()
        for index in range(int(first), int(first) + int(count)):
            frame = frames[index % len(frames)]
            start_ns = time.perf_counter_ns()
            networks[name].run(frame)
            times_ms.append((time.perf_counter_ns() - start_ns) / 1e6)
        cpu_ms = (time.process_time_ns() - cpu_start_ns) / 1e6 / len(times_ms)
        print(json.dumps([times_ms, cpu_ms]), flush=True)


if __name__ == "__main__":
    main()
