"""FLAME from landmarks: how long a frame takes, how near it comes, and what identity and personal offsets change.

Time: on the talking-face clip with the open head, and with random bases of the official files' size on its mesh (100
expressions and the first 100 of 300 shapes are fitted), beside the plain Gauss-Newton step that numpy makes of the same
columns. Accuracy: sequences that the open head made of persons whom the fit has not seen, and the clip.

Calm: what the live filter leaves of the fit's trembling on a still photograph with sensor noise, and by how much it
lags on the clip. ``--hour`` fits an hour at 30 frames a second and says how much memory that took (a minute or two).

Prints tables and one JSON line; takes a minute. Run: OMP_NUM_THREADS=1 python benchmarks/flame_fit.py [--hour]
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from facewire.models.assets.store import asset_path
from facewire.models.face.pose import VERTICAL_FIELD_OF_VIEW_RAD
from facewire.models.face.tracker import FaceTracker
from facewire.models.flame import FlameModel, open_flame
from facewire.models.flame.fit.fit_kernels import minimise, observe
from facewire.models.flame.fit.fitter import LEARN_CONFIDENCE, FlameFit, FlameFitter, eye_distance
from facewire.models.flame.fit.state import EXPRESSION
from facewire.models.flame.registration.correspondence import Correspondence
from facewire.models.flame.registration.lookup import correspondence_of
from facewire.models.flame.skin.skinning import Skinner
from facewire.runtime.face.filter_config import FilterConfig
from facewire.runtime.flame.vector import FlameFilter

Array = np.ndarray[Any, Any]

WIDTH, HEIGHT, FRAME_NS = 1280, 720, 33_333_333
FOCAL_PX = 0.5 * HEIGHT / math.tan(0.5 * VERTICAL_FIELD_OF_VIEW_RAD)
SETTLED = 90
"""Frames after which figures are taken: identity is learned in the first 2.5 s."""
ON_FACE_M = 0.015
NOISES = {
    "1 % of the eye distance": (0.00063, SETTLED),
    "the same, after 10 s": (0.00063, 300),
    "1 % of the face's height": (0.0018, SETTLED),
}
"""Metres in x, y and depth, and the frame after which figures are taken."""
SENSOR_NOISE = 4.0
"""Of a pixel, of 255."""
DOUBTFUL = 0.9 * LEARN_CONFIDENCE
"""Landmarks of this confidence teach nothing about identity."""


def clip() -> tuple[list[Array], int, int]:
    """Return the landmarks of the talking-face clip, frame by frame, and its size."""
    tracker, capture, found = (
        FaceTracker("v2", device="cpu", threads=1),
        cv2.VideoCapture(str(asset_path("talking_face"))),
        [],
    )
    height = width = 0
    while (image := capture.read()[1]) is not None:
        height, width = image.shape[:2]
        face = tracker.step(image, len(found) * FRAME_NS)
        if face is not None:
            found.append(face.landmarks.copy())
    return found, width, height


def official_size(on: Correspondence) -> tuple[FlameModel, Correspondence]:
    """Give the open head's mesh random bases of the official files' size: not a face's, but as much to compute."""
    head, rng = open_flame(), np.random.default_rng(1)
    v = len(head.template)
    model = replace(
        head,
        shape_basis=rng.normal(0, 5e-4, (v, 3, 300)).astype(np.float32),
        expression_basis=rng.normal(0, 5e-4, (v, 3, 100)).astype(np.float32),
        pose_basis=rng.normal(0, 1e-4, (v, 3, 36)).astype(np.float32),
        digest="1" * 64,
    )
    return model, replace(on, digest=model.digest)


def timed(model: FlameModel, on: Correspondence, frames: list[Array], width: int, height: int) -> dict[str, float]:
    """Milliseconds: a frame, the slowest of a hundred, and a frame that identity is learned from."""
    fitter, learning, frame = FlameFitter(model, on), [], []
    for i, landmarks in enumerate(frames):  # one in three teaches, and is timed apart
        start = time.perf_counter()
        fitter.step(landmarks, width, height, i * 200_000_000)
        learning.append(time.perf_counter() - start)
    for _ in range(4):
        for landmarks in frames:
            start = time.perf_counter()
            fitter.step(landmarks, width, height, 0, confidence=DOUBTFUL)
            frame.append(time.perf_counter() - start)
    steps = 1e3 * np.array(frame)
    return {
        "frame_ms": float(np.median(steps)),
        "p99_ms": float(np.percentile(steps, 99)),
        "learning_ms": float(1e3 * np.median(learning[:25])),
        "numpy_ms": plain_step(fitter, frames[-1], width, height),
    }


def plain_step(fitter: FlameFitter, landmarks: Array, width: int, height: int) -> float:
    """Milliseconds of one Gauss-Newton step in numpy, from columns that are there already: product, solve, no more."""
    points, work, setup = fitter._points, fitter._work, fitter._setup
    observe(landmarks, width, height, points.bases, setup, work)
    minimise(2, points.bases, setup, fitter._state, fitter._kept, work)
    count, times = EXPRESSION + points.expressions, []
    for _ in range(100):
        start = time.perf_counter()
        columns = work.columns[:count]
        np.linalg.solve((columns @ columns.T).astype(np.float64) + np.diag(setup.prior + 1e-6), columns @ work.error)
        times.append(time.perf_counter() - start)
    return 1e3 * float(np.median(times))


def persons(on: Correspondence, seed: int, frames: int, noise_m: float) -> Iterator[tuple[Array, Array, Array]]:
    """Landmarks, vertices and pose of somebody who turns the head, talks and makes faces."""
    model, rng = open_flame(), np.random.default_rng(seed)
    skinner, shape = Skinner(model), rng.normal(size=model.shapes).astype(np.float32)
    phase, speed = rng.uniform(0, 6.28, model.expressions), rng.uniform(0.15, 1.5, model.expressions)
    for i in range(frames):
        t = i / 30
        strength = 0.9 * np.clip(np.sin(1.1 * t + phase[::-1]) + 0.4, 0, 1)
        pose = np.zeros(15, np.float32)
        pose[:3] = 0.15 * math.sin(1.3 * t), 0.35 * math.sin(0.9 * t), 0.1 * math.sin(0.7 * t)
        pose[6:9] = 0.15 + 0.15 * math.sin(7 * t), 0.03 * math.sin(3 * t), 0.0
        place = np.array([0.05 * math.sin(t), 0.03, -0.6], np.float32)
        expression = (np.sin(2 * np.pi * speed * t + phase) * strength).astype(np.float32)
        vertices = skinner.skin(shape, expression, pose, place).copy()
        points = on.landmarks(vertices)
        depth = -points[:, 2]
        pixels = np.stack([WIDTH / 2 + FOCAL_PX * points[:, 0] / depth, HEIGHT / 2 - FOCAL_PX * points[:, 1] / depth,
                           (depth - depth.mean()) * FOCAL_PX / depth.mean()], axis=1)  # fmt: skip
        noisy = pixels + rng.normal(0, noise_m * FOCAL_PX / depth.mean(), pixels.shape)
        yield noisy.astype(np.float32), vertices, pose


def laid_onto(moving: Array, still: Array, by: Array) -> Array:
    """Turn, shift and scale ``moving`` so that the vertices ``by`` lie on ``still``'s."""
    a, b = moving[by] - moving[by].mean(0), still[by] - still[by].mean(0)
    u, d, vt = np.linalg.svd(b.T @ a)
    sign = np.diag([1, 1, np.linalg.det(u @ vt)])
    scale = np.trace(np.diag(d) @ sign) / (a * a).sum()
    return scale * (moving - moving[by].mean(0)) @ (u @ sign @ vt).T + still[by].mean(0)


def skinned(skinner: Skinner, fit: FlameFit) -> Array:
    pose = np.concatenate([fit.rotation, fit.neck, fit.jaw, fit.eyes])
    return skinner.skin(fit.shape, fit.expression, pose, fit.translation)


def recovered(on: Correspondence, noise_m: float, after: int, seeds: int = 10) -> dict[str, float]:
    """Mean distance of the surface, on the face and on the whole head, and of the jaw, over persons and frames."""
    model = open_flame()
    skinner = Skinner(model)
    near = np.linalg.norm(model.template[:, None] - on.landmarks(model.template), axis=2).min(1) < ON_FACE_M
    face_m, head_m, jaw_rad, people, heads = [], [], [], [], []
    for seed in range(seeds):
        fitter = FlameFitter(model, on)
        for i, (landmarks, vertices, pose) in enumerate(persons(on, 100 + seed, after + 60, noise_m)):
            fit = fitter.step(landmarks, WIDTH, HEIGHT, i * FRAME_NS)
            if i >= after and i % 3 == 0:
                got = skinned(skinner, fit)
                for found, by in ((face_m, near), (head_m, near | True)):
                    off = np.linalg.norm(laid_onto(got, vertices, by) - vertices, axis=1)
                    found.append(off[by].mean())
                jaw_rad.append(np.linalg.norm(fit.jaw - pose[6:9]))
        people.append(np.mean(face_m[-20:]))
        heads.append(np.mean(head_m[-20:]))
    return {
        "face_mm": 1e3 * float(np.mean(face_m)),
        "worst_person_mm": 1e3 * float(np.max(people)),
        "head_mm": 1e3 * float(np.mean(head_m)),
        "worst_head_mm": 1e3 * float(np.max(heads)),
        "jaw_deg": math.degrees(float(np.mean(jaw_rad))),
        "jaw_p95_deg": math.degrees(float(np.percentile(jaw_rad, 95))),
    }


def reprojected(on: Correspondence, frames: list[Array], width: int, height: int, *, offsets: bool) -> dict[str, float]:
    """Mean distance of the 468 landmarks from the model's in the picture, percent of the distance between the eyes.

    ``alone``: from where FLAME's own skinning has them with the frame's parameters, which carry no personal offsets.
    """
    fitter, skinner = FlameFitter(open_flame(), on, offsets=offsets), Skinner(open_flame())
    focal_px, shares, alone = 0.5 * height / math.tan(0.5 * VERTICAL_FIELD_OF_VIEW_RAD), [], []
    for i, landmarks in enumerate(frames):
        fit = fitter.step(landmarks, width, height, i * FRAME_NS)
        between = eye_distance(landmarks[:, :2])
        shares.append(100 * fit.residual_px / between)
        if i >= SETTLED:
            x, y, z = on.landmarks(skinned(skinner, fit))[: len(fitter.rest)].T
            seen = np.stack([width / 2 - focal_px * x / z, height / 2 + focal_px * y / z], axis=1)
            alone.append(100 * np.linalg.norm(seen - landmarks[: len(seen), :2], axis=1).mean() / between)
    return {
        "mean_percent": float(np.mean(shares[SETTLED:])),
        "worst_frame_percent": float(np.max(shares[SETTLED:])),
        "alone_percent": float(np.mean(alone)),
        "worst_alone_percent": float(np.max(alone)),
    }


def calm(on: Correspondence, frames: list[Array], width: int, height: int) -> dict[str, float]:
    """Measure the spread of expression and jaw on a still face, fitted and filtered; and the filter's lag on a clip."""
    photo, rng = cv2.imread(str(asset_path("demo_face"))), np.random.default_rng(3)
    tracker, still = FaceTracker("v2", device="cpu", threads=1), []
    for i in range(240):
        noisy = np.clip(photo + rng.normal(0, SENSOR_NOISE, photo.shape), 0, 255).astype(np.uint8)
        face = tracker.step(noisy, i * FRAME_NS)
        assert face is not None
        still.append(face.landmarks.copy())
    raw, out = filtered(on, still, *photo.shape[1::-1])
    moving, late = filtered(on, frames, width, height)
    e = open_flame().expressions
    return {
        "expression_std": float(raw[:, :e].std(0).mean()),
        "expression_filtered": float(out[:, :e].std(0).mean()),
        "jaw_mrad": 1e3 * float(raw[:, e : e + 3].std(0).mean()),
        "jaw_filtered_mrad": 1e3 * float(out[:, e : e + 3].std(0).mean()),
        "lag_ms": lag_frames(moving[:, :e], late[:, :e]) * FRAME_NS * 1e-6,
    }


def filtered(on: Correspondence, frames: list[Array], width: int, height: int) -> tuple[Array, Array]:
    """Fit and filter frames; both once identity is settled, [n, e + 9]."""
    fitter, config = FlameFitter(open_flame(), on), FilterConfig()
    one = FlameFilter(open_flame().expressions)
    raw, out = [], []
    for i, landmarks in enumerate(frames):
        fit = fitter.step(landmarks, width, height, i * FRAME_NS)
        raw.append(np.concatenate([fit.expression, fit.jaw, fit.eyes]))
        out.append(np.zeros_like(raw[-1]))
        one.step(raw[-1], config, i * FRAME_NS, out[-1])
    return np.array(raw)[SETTLED:], np.array(out)[SETTLED:]


def lag_frames(reference: Array, late: Array) -> float:
    """By how many frames ``late`` [n, k] follows, between frames: where the sum of all products is greatest."""
    a, b = reference - reference.mean(0), late - late.mean(0)
    scores = np.array([(a[2:-6] * b[2 + k : len(b) - 6 + k]).sum() for k in range(-1, 5)])
    i = int(np.clip(scores.argmax(), 1, len(scores) - 2))
    left, middle, right = scores[i - 1 : i + 2]
    return float(i - 1 + 0.5 * (left - right) / (left - 2 * middle + right))


def an_hour(on: Correspondence, frames: list[Array], width: int, height: int) -> dict[str, float]:
    """Megabytes that 108,000 frames added to the process, after a minute of them."""
    fitter, start_mb = FlameFitter(open_flame(), on), 0.0
    for i in range(108_000):
        if i == 1_800:
            start_mb = resident_mb()
        fitter.step(frames[i % len(frames)], width, height, i * FRAME_NS)
    return {"frames": 108_000, "growth_mb": resident_mb() - start_mb}


def resident_mb() -> float:
    """Memory of this process, as Linux counts it."""
    with Path("/proc/self/statm").open(encoding="utf-8") as file:
        return int(file.read().split()[1]) * 4096 / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hour", action="store_true", help="also fit an hour's frames and measure memory")
    args = parser.parse_args()
    on = correspondence_of(open_flame())
    frames, width, height = clip()
    result: dict[str, Any] = {"benchmark": "flame_fit", "time": {}, "recovered": {}, "clip": {}}
    print(f"{'fit of a frame':44}{'median':>10}{'99 %':>10}{'learning':>10}{'one step, numpy':>17}")
    for name, (model, places) in {
        "open head (50)": (open_flame(), on),
        "official size (100)": official_size(on),
    }.items():
        row = result["time"][name] = timed(model, places, frames, width, height)
        times = "".join(f"{row[key]:8.2f}ms" for key in ("frame_ms", "p99_ms", "learning_ms"))
        print(f"{name:44}{times}{row['numpy_ms']:15.2f}ms", flush=True)
    print(f"\n{'persons of the model, noise':44}{'face':>10}{'worst':>10}{'head':>10}{'worst':>10}{'jaw':>10}")
    for name, (noise_m, after) in NOISES.items():
        row = result["recovered"][name] = recovered(on, noise_m, after)
        keys = ("face_mm", "worst_person_mm", "head_mm", "worst_head_mm")
        lengths = "".join(f"{row[key]:8.2f}mm" for key in keys)
        print(f"{name:44}{lengths}{row['jaw_deg']:8.2f}°", flush=True)
    print(f"\n{'the clip, reprojection':44}{'mean':>10}{'worst':>10}{'parameters alone':>20}{'worst':>10}")
    for name, offsets in {"with personal offsets": True, "without": False}.items():
        row = result["clip"][name] = reprojected(on, frames, width, height, offsets=offsets)
        alone = f"{row['alone_percent']:19.2f}%{row['worst_alone_percent']:9.2f}%"
        print(f"{name:44}{row['mean_percent']:9.2f}%{row['worst_frame_percent']:9.2f}%{alone}", flush=True)
    row = result["calm"] = calm(on, frames, width, height)
    print(f"\n{'a still face, and lag on the clip':44}{'fit':>10}{'filtered':>10}{'lag':>10}")
    print(f"{'expression, standard deviations':44}{row['expression_std']:10.3f}{row['expression_filtered']:10.3f}"
          f"{row['lag_ms']:8.0f}ms")  # fmt: skip
    print(f"{'jaw, milliradians':44}{row['jaw_mrad']:10.2f}{row['jaw_filtered_mrad']:10.2f}")
    if args.hour:
        row = result["hour"] = an_hour(on, frames, width, height)
        print(f"\nan hour at 30 frames a second: {row['growth_mb']:+.2f} MB")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
