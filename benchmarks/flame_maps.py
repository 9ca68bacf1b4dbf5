"""How well landmarks and ARKit's shapes lie on heads in FLAME's format, and how well the shapes come back.

The open head, and persons drawn from its identity basis, whose landmarks and shapes are known. Then ARKit -> FLAME ->
ARKit on single shapes, combinations and the talking-face clip, and what a frame costs. Prints a table and one JSON
line; about a minute. Run: python benchmarks/flame_maps.py
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable

import cv2
import numpy as np

from facewire.bridge.shared.arkit import BLENDSHAPES
from facewire.models.assets.store import asset_path
from facewire.models.face.landmarks import LEFT_EYE, LIPS, MESH_COUNT, RIGHT_EYE
from facewire.models.face.tracker import FaceTracker
from facewire.models.flame import FlameModel, open_flame
from facewire.models.flame.maps.arkit_map import ArkitToFlame, FlameToArkit, gaze_of
from facewire.models.flame.maps.map_fit import arkit_motions, maps_of
from facewire.models.flame.registration.carry import carry
from facewire.models.flame.registration.lookup import correspondence_of
from facewire.models.flame.registration.registration import register
from facewire.models.flame.skin.skinning import Skinner

PERSONS, COMBINATIONS = 6, 1000
AGAINST = (
    ("jawLeft", "jawRight"),
    ("mouthLeft", "mouthRight"),
    *((f"eyeLookIn{side}", f"eyeLookOut{side}") for side in ("Left", "Right")),
    *((f"eyeLookUp{side}", f"eyeLookDown{side}") for side in ("Left", "Right")),
)
Row = tuple[str, str]


def persons() -> list[FlameModel]:
    """Return the open head as other people, a standard deviation off the mean in each component at random."""
    model, rng = open_flame(), np.random.default_rng(3)
    heads = []
    for number in range(PERSONS):
        template = model.template + model.shape_basis @ rng.normal(0, 1, model.shapes).astype(np.float32)
        heads.append(dataclasses.replace(model, template=template.astype(np.float32), digest=f"{number:064d}"))
    return heads


def registration_rows(results: dict[str, float | str]) -> list[Row]:
    """Landmarks on other persons against the open head's vertices; shapes carried to them against their own."""
    head, known, motions = open_flame(), correspondence_of(open_flame()), arkit_motions()
    with np.load(asset_path("face_geometry")) as stored:
        canonical = dict(stored)
    rims = np.concatenate([LIPS, RIGHT_EYE[:16], LEFT_EYE[:16]])
    apart, at_rims, missing, moving, seconds = [], [], [], [], []
    for person in persons():
        start = time.perf_counter()
        found = register(person, canonical["vertices"], canonical["triangles"])
        seconds.append(time.perf_counter() - start)
        off_mm = 1e3 * np.linalg.norm(found.landmarks(person.template) - known.landmarks(person.template), axis=1)
        apart.append(off_mm[:MESH_COUNT])
        at_rims.append(off_mm[rims])
        carried, weights = carry(person, found, head, known, motions)
        size = 1e3 * np.linalg.norm(motions, axis=2)
        counts = (size > 1.0) & (weights > 0.5)
        missing.append((1e3 * np.linalg.norm(carried - motions, axis=2))[counts])
        moving.append(size[counts])
    residual_mm = 1e3 * known.residual_m[:MESH_COUNT]
    results |= {
        "residual_mm": float(residual_mm.mean()),
        "residual_max_mm": float(residual_mm.max()),
        "persons_mm": float(np.mean(apart)),
        "persons_rims_mm": float(np.mean(at_rims)),
        "carried_mm": float(np.concatenate(missing).mean()),
        "carried_motion_mm": float(np.concatenate(moving).mean()),
        "register_s": float(np.median(seconds)),
    }
    return [
        ("open head: landmarks off the skin, mean, max", f"{residual_mm.mean():.2f}, {residual_mm.max():.2f} mm"),
        (f"{PERSONS} persons: landmarks off their vertices, mean", f"{np.mean(apart):.1f} mm"),
        ("    rims of lips and lids, mean", f"{np.mean(at_rims):.1f} mm"),
        (
            "    shapes carried there, missing of what moves, mean",
            f"{results['carried_mm']:.2f} of {results['carried_motion_mm']:.2f} mm",
        ),
        ("registering takes", f"{results['register_s']:.1f} s"),
    ]


def combinations() -> np.ndarray:
    """Faces [n, 52] with a third of the shapes on at random, but never two that exclude each other."""
    rng = np.random.default_rng(0)
    faces = rng.uniform(0, 1, (COMBINATIONS, 52)) * (rng.uniform(size=(COMBINATIONS, 52)) < 0.35)
    for pair in AGAINST:
        one, other = (BLENDSHAPES.index(name) for name in pair)
        faces[np.arange(COMBINATIONS), np.where(rng.uniform(size=COMBINATIONS) < 0.5, one, other)] = 0
    return faces.astype(np.float32)


def tracked() -> tuple[np.ndarray, np.ndarray]:
    """Blendshapes [n, 52] and gaze [n, 4] of the talking-face clip."""
    tracker, video, seen = FaceTracker(threads=1), cv2.VideoCapture(str(asset_path("talking_face"))), []
    number = 0
    while (image := video.read()[1]) is not None:
        observation = tracker.step(image, number * 33_000_000)
        number += 1
        if observation is not None:
            seen.append((observation.blendshapes.copy(), observation.gaze.copy()))
    return np.array([shapes for shapes, _ in seen]), np.array([gaze for _, gaze in seen])


def there_and_back_rows(results: dict[str, float | str]) -> list[Row]:
    """By how much shapes are off after both maps."""
    model = open_flame()
    there, back = ArkitToFlame(model), FlameToArkit(model)
    clip, gaze = tracked()
    sets: dict[str, tuple[np.ndarray, np.ndarray]] = {
        "single": (np.eye(52, dtype=np.float32), np.array([gaze_of(face) for face in np.eye(52, dtype=np.float32)])),
        "combinations": (faces := combinations(), np.array([gaze_of(face) for face in faces])),
        "clip": (clip, np.array([gaze_of(face) for face in clip])),
        "clip, gaze as measured": (clip, gaze),
    }
    rows = []
    for name, (shapes, looks) in sets.items():
        off = np.array(
            [np.abs(back.step(*there.step(face, look)) - face) for face, look in zip(shapes, looks, strict=True)]
        )
        worst = BLENDSHAPES[int(off.max(0).argmax())]
        results[f"{name}: mean"], results[f"{name}: worst"] = float(off.mean()), float(off.max())
        results[f"{name}: worst shape"] = worst
        rows.append((f"there and back, {name}: mean, worst", f"{off.mean():.4f}, {off.max():.3f} ({worst})"))
    return rows


def surface_rows(results: dict[str, float | str]) -> list[Row]:
    """Compare the skinned head with the shapes on the mesh itself."""
    model, motions, maps = open_flame(), arkit_motions(), maps_of(open_flame())
    there, skinner, pose = ArkitToFlame(model), Skinner(model), np.zeros(15, np.float32)
    skin = model.weights[:, 3:].sum(1) < 0.5
    apart = []
    for face in combinations()[:200]:
        expression, pose[6:9], pose[9:] = there.step(face, gaze_of(face))
        posed = skinner.skin(np.zeros(model.shapes, np.float32), expression, pose, np.zeros(3, np.float32))
        apart.append(1e3 * np.linalg.norm(posed - model.template - np.tensordot(face, motions, 1), axis=1)[skin])
    results |= {
        "single_rms_mm": float(1e3 * maps.residual_m.max()),
        "together_mm": float(np.mean(apart)),
        "together_p99_mm": float(np.quantile(apart, 0.99)),
    }
    return [
        ("single shapes, skinned: missing, mean and worst rms", maps.summary()),
        ("combinations, skinned: missing, mean, p99", f"{np.mean(apart):.2f}, {results['together_p99_mm']:.1f} mm"),
    ]


def speed_rows(results: dict[str, float | str]) -> list[Row]:
    """Measure what a frame costs each way, on frames that follow each other."""
    model, (clip, gaze) = open_flame(), tracked()
    there, back = ArkitToFlame(model), FlameToArkit(model)
    inputs = list(zip(clip, gaze, strict=True))
    mapped = [tuple(part.copy() for part in there.step(*frame)) for frame in inputs]
    results["there_us"] = _median_us(there.step, inputs)
    results["back_us"] = _median_us(back.step, mapped)
    return [("a frame there, back", f"{results['there_us']:.1f}, {results['back_us']:.0f} us")]


def _median_us(step: Callable[..., object], inputs: list[tuple[np.ndarray, ...]]) -> float:
    times = []
    for arguments in inputs * 5:
        start = time.perf_counter_ns()
        step(*arguments)
        times.append(time.perf_counter_ns() - start)
    return float(np.median(times)) / 1e3


def main() -> None:
    """Print both."""
    results: dict[str, float | str] = {}
    parts = (registration_rows, there_and_back_rows, surface_rows, speed_rows)
    rows = [row for part in parts for row in part(results)]
    for name, value in rows:
        print(f"{name:58}{value}")
    print(json.dumps({"benchmark": "flame_maps", **results}))


if __name__ == "__main__":
    main()
