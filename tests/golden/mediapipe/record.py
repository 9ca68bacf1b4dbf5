"""Record what MediaPipe itself says about a clip, as golden numbers for the tracking tests.

MediaPipe needs numpy<2, so this runs in an environment of its own:

    python3.11 -m venv /tmp/mediapipe && /tmp/mediapipe/bin/pip install mediapipe==0.10.21 "numpy<2"
    /tmp/mediapipe/bin/python tests/golden/mediapipe/record.py CLIP.mp4 face_landmarker.task talking_face.npz

``facewire models pull`` leaves both inputs in its cache folder. What is stored (N frames of the clip):

- ``step``: landmarks are stored for every step-th frame, blendshapes and matrices for every frame.
- ``mesh``: FaceMesh, refined: int16[N/step, 478, 3], pixels of the image times ``scale``.
- ``video_landmarks``, ``video_blendshapes``, ``video_matrix``: FaceLandmarker in video mode, frames 1/30 s apart:
  int16 as above, uint16[N, 52] of 0..65535 in the network's order, float32[N, 4, 4] in centimetres.
- ``image_frames``, ``image_landmarks``, ``image_blendshapes``, ``image_matrix``: the same for a few frames in image
  mode (no tracking, no smoothing: every frame starts at the detector).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import cv2
import mediapipe as mp
import numpy as np
from mediapipe.tasks.python import vision
from mediapipe.tasks.python.core.base_options import BaseOptions

SCALE = 32  # int16 holds up to 1023 px; the rounding error of 1/64 px is far under the tolerances
FRAME_MS = 1000 / 30


def frames(path: str) -> Iterator[np.ndarray]:
    capture = cv2.VideoCapture(path)
    while True:
        ok, image_bgr = capture.read()
        if not ok:
            return
        yield cv2.cvtColor(image_bgr, cv2.COLOR_BGR2RGB)


def pixels(landmarks, width: int, height: int) -> np.ndarray:
    return np.array([(p.x * width, p.y * height, p.z * width) for p in landmarks], np.float32)


def record_mesh(path: str) -> np.ndarray:
    network = mp.solutions.face_mesh.FaceMesh(max_num_faces=1, refine_landmarks=True)
    rows = []
    for image in frames(path):
        faces = network.process(image).multi_face_landmarks
        height, width = image.shape[:2]
        rows.append(pixels(faces[0].landmark, width, height) if faces else np.full((478, 3), np.nan, np.float32))
    network.close()
    return np.stack(rows)


def landmarker(task: str, mode: vision.RunningMode) -> vision.FaceLandmarker:
    return vision.FaceLandmarker.create_from_options(
        vision.FaceLandmarkerOptions(
            base_options=BaseOptions(model_asset_path=task),
            running_mode=mode,
            output_face_blendshapes=True,
            output_facial_transformation_matrixes=True,
        )
    )


def read_result(result: vision.FaceLandmarkerResult, width: int, height: int) -> tuple[np.ndarray, ...]:
    if not result.face_landmarks:
        return tuple(np.full(shape, np.nan, np.float32) for shape in ((478, 3), (52,), (4, 4)))
    return (
        pixels(result.face_landmarks[0], width, height),
        np.array([c.score for c in result.face_blendshapes[0]], np.float32),
        np.asarray(result.facial_transformation_matrixes[0], np.float32),
    )


def record_landmarker(path: str, task: str, *, video: bool, step: int = 1) -> list[np.ndarray]:
    network = landmarker(task, vision.RunningMode.VIDEO if video else vision.RunningMode.IMAGE)
    rows = []
    for index, rgb in enumerate(frames(path)):
        if index % step:
            continue
        image = mp.Image(mp.ImageFormat.SRGB, rgb)
        result = network.detect_for_video(image, int(index * FRAME_MS)) if video else network.detect(image)
        rows.append(read_result(result, rgb.shape[1], rgb.shape[0]))
    network.close()
    return [np.stack(column) for column in zip(*rows, strict=True)]


def quantised(landmarks: np.ndarray) -> np.ndarray:
    """Round to int16; a frame without a face is all -32768."""
    return np.where(np.isnan(landmarks), -32768, np.round(landmarks * SCALE)).astype(np.int16)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip")
    parser.add_argument("task")
    parser.add_argument("output")
    parser.add_argument("--step", type=int, default=6, help="keep landmarks of every step-th frame (default 6)")
    parser.add_argument("--image-step", type=int, default=30, help="run image mode on every n-th frame (default 30)")
    options = parser.parse_args()
    mesh = record_mesh(options.clip)
    video = record_landmarker(options.clip, options.task, video=True)
    image = record_landmarker(options.clip, options.task, video=False, step=options.image_step)
    np.savez_compressed(
        options.output,
        mediapipe=np.array(mp.__version__),
        scale=np.int32(SCALE),
        step=np.int32(options.step),
        mesh=quantised(mesh[:: options.step]),
        video_landmarks=quantised(video[0][:: options.step]),
        video_blendshapes=np.round(video[1] * 65535).astype(np.uint16),
        video_matrix=video[2],
        image_frames=np.arange(0, len(mesh), options.image_step, dtype=np.int32),
        image_landmarks=quantised(image[0]),
        image_blendshapes=np.round(image[1] * 65535).astype(np.uint16),
        image_matrix=image[2],
    )


if __name__ == "__main__":
    main()
