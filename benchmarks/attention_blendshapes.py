"""How near Attention Mesh's blendshapes come to FaceLandmarker's, on people that it was not fitted on.

For each clip: the plain blendshape network on Attention Mesh's landmarks and our own on its codes (a fit without that
person's face and motion), each without and with the anchor (see models/face/anchor.py), the last also as streamed
(through the runtime's filters), and, as what could be hoped for, FaceMesh V2 itself looking at a region that lies two
hundredths aside. A shape counts as active where FaceLandmarker's varies by more than a threshold (standard deviation);
the figure is the median of the active shapes' correlations.

    python -m facewire.models.face.training unpack ARCHIVES MEDIA
    python -m facewire.models.face.training make MEDIA SAMPLES
    python benchmarks/attention_blendshapes.py MEDIA SAMPLES --clips fi wolfgang

Needs the `train` extra, and MediaPipe in an environment of its own; see tracking.py. Prints a table and one JSON line.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
import torch
from parity import ORDER, record
from tracking import mediapipe_python

from facewire.models.assets.store import asset_path, cache_folder
from facewire.models.face.anchor import Anchor
from facewire.models.face.attention_shapes import AttentionBlendshapes
from facewire.models.face.blendshapes import BlendshapeNetwork
from facewire.models.face.meshes import AttentionMesh, FaceMeshV2
from facewire.models.face.tracker import FaceTracker
from facewire.models.face.training.fit import FitConfig, fit, save
from facewire.models.face.training.judge import FOLDS, read
from facewire.models.face.training.media import Clip, clips
from facewire.runtime.face.filters import FaceFilter

THRESHOLDS = (0.02, 0.03, 0.05)
ASIDE = 0.02
COLUMNS = ("plain", "ours", "plain, anchored", "ours, anchored", "streamed", "V2 aside")
FRAME_NS = 33_333_333


def watch(clip: Clip, weights: Path, most: int) -> dict[str, np.ndarray]:
    """Return blendshapes [n, 51] by column; NaN without a face."""
    tracker, plain, v2 = FaceTracker("attention", "cpu"), BlendshapeNetwork(device="cpu"), FaceMeshV2(device="cpu")
    assert isinstance(tracker._mesh, AttentionMesh)
    ours = tracker._shapes = AttentionBlendshapes(tracker._mesh.codes, weights)
    anchor, face_filter, shapes = Anchor(device="cpu"), FaceFilter(), np.zeros(52, np.float32)
    aside, rows = np.zeros((478, 3), np.float32), []
    for index, image in enumerate(clip.frames()):
        if index == most:
            break
        now_ns = index * FRAME_NS
        seen = tracker.step(image, now_ns)
        row = {column: np.full(51, np.nan, np.float32) for column in COLUMNS}
        if seen is not None:
            row["ours, anchored"] = seen.blendshapes[:51].copy()
            row["streamed"] = face_filter.step(seen, now_ns).blendshapes[:51].copy()
            ours.infer(seen.landmarks, seen.head, shapes)
            row["ours"] = shapes[:51].copy()
            plain.infer(seen.landmarks, seen.head, shapes)
            row["plain"] = shapes[:51].copy()
            anchor.step(image, tracker._region, seen.head, now_ns, shapes)
            row["plain, anchored"] = shapes[:51].copy()
            region = tracker._region.copy()
            region[:2] += ASIDE * region[2]
            v2.infer(image, region, aside)
            plain.infer(aside, seen.head, shapes)
            row["V2 aside"] = shapes[:51].copy()
        rows.append(row)
    return {column: np.array([row[column] for row in rows]) for column in COLUMNS}


def compare(ours: dict[str, np.ndarray], theirs: np.ndarray) -> dict[str, dict[str, float]]:
    """Return the figures by threshold, and the mean difference."""
    theirs = theirs[: len(ours["plain"]), ORDER] / 65535
    both = ~np.isnan(ours["plain"][: len(theirs), 0]) & (theirs.max(axis=1) > 0)
    theirs, table = theirs[both], {}
    for threshold in THRESHOLDS:
        active = np.flatnonzero(theirs.std(axis=0) > threshold)
        row = {"active": float(len(active))}
        for column in COLUMNS:
            values = ours[column][: len(both)][both]
            row[column] = float(np.median([np.corrcoef(values[:, k], theirs[:, k])[0, 1] for k in active]))
        table[f"std > {threshold}"] = row
    differences = {column: float(np.abs(ours[column][: len(both)][both] - theirs).mean()) for column in COLUMNS}
    return {**table, "mean difference": differences}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("media", type=Path)
    parser.add_argument("samples", type=Path)
    parser.add_argument("--clips", nargs="*", help="by name (default: all of which the whole image is used)")
    parser.add_argument("--weights", type=Path, help="a folder to keep the fits in, for the next time")
    parser.add_argument("--frames", type=int, default=1500, help="of a clip at most")
    parser.add_argument("--mediapipe", type=Path, help="a Python that has MediaPipe")
    options = parser.parse_args()
    torch.set_num_threads(1)
    asset_path("face_mesh_v2")  # whose original is the task file
    task = cache_folder() / "originals" / "face_landmarker.task"
    chosen = [clip for clip in clips(options.media) if not clip.crop]
    if options.clips:
        chosen = [clip for clip in chosen if clip.name in options.clips]
    everybody, results = read(options.samples), {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.weights or scratch
        for number, held in enumerate(FOLDS):
            weights = Path(folder) / f"{number}.npz"
            for clip in (clip for clip in chosen if clip.person in held):
                if not weights.exists():
                    save(fit(everybody.without(held), FitConfig()), weights)
                theirs = record(options.mediapipe or mediapipe_python(), clip.path, task)["video_blendshapes"]
                results[clip.name] = compare(watch(clip, weights, options.frames), theirs)
                print(f"{clip.name:18}{'active':>8}" + "".join(f"{column:>16}" for column in COLUMNS))
                for name, row in results[clip.name].items():
                    count = f"{row['active']:8.0f}" if "active" in row else " " * 8
                    print(f"{name:18}{count}" + "".join(f"{row[column]:16.4f}" for column in COLUMNS), flush=True)
    print(json.dumps({"benchmark": "attention_blendshapes", "clips": results}))


if __name__ == "__main__":
    main()
