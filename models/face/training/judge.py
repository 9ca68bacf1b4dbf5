"""Judges the fit on people of whom it saw neither face nor motion: five fits, each without a fifth of the people."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np

from facewire.models.errors import ModelError
from facewire.models.face.training.fit import FitConfig, apply, fit
from facewire.models.face.training.samples import Array, Samples, load

FOLDS = (
    ("franck", "obama"),
    ("wolfgang", "bobwoman", "syncnet"),
    ("fi", "bobman"),
    ("cap", "carphone", "biden"),
    ("multi", "single"),
)
PER_CLIP = 300
"""About so many frames of each clip are fitted on, so that no person counts for more than many strangers."""
ACTIVE = 0.02
"""A shape is active in a clip where the teacher's standard deviation is larger."""


def read(folder: Path) -> Samples:
    """All samples to fit on.

    Raises:
        ModelError: there are none.
    """
    made = sorted(folder.glob("made_*.npz"))
    if not made:
        raise ModelError(f"there are no samples in {folder}: make them first")
    parts = [load(made)]
    for path in sorted(folder.glob("clip_*.npz")):
        clip = load([path])
        parts.append(clip.rows(np.arange(0, len(clip.plain), max(1, len(clip.plain) // PER_CLIP))))
    return Samples(*(np.concatenate([getattr(part, entry.name) for part in parts]) for entry in fields(Samples)))


def judge(folder: Path, config: FitConfig) -> None:
    """Print, for each clip, the active shapes' median correlation with V2's before and after, and the mean error."""
    everybody = read(folder)
    for held in FOLDS:
        weights = fit(everybody.without(held), config)
        for path in sorted(folder.glob("clip_*.npz")):
            clip = load([path])
            if clip.person[0] in held:
                after = apply(weights, clip)
                print(
                    f"{path.stem[5:]:14}{verdict(clip.target, clip.plain)} -> {verdict(clip.target, after)}", flush=True
                )


def verdict(target: Array, found: Array) -> str:
    """Median correlation of the active shapes, their number, and the mean absolute error of all."""
    active = np.flatnonzero(target.std(axis=0) > ACTIVE)
    correlations = [np.corrcoef(target[:, k], found[:, k])[0, 1] for k in active]
    return f"{np.median(correlations):7.3f} ({len(active)}) {np.abs(target - found).mean():7.4f}"
