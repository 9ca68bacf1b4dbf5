"""The correspondence of any model: the open head's comes with the package, any other's is made once and kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from facewire.models.assets.store import asset_path
from facewire.models.flame.kept import keep, kept_path
from facewire.models.flame.model import FlameModel
from facewire.models.flame.registration.correspondence import (
    OPEN_PATH,
    Correspondence,
    arrays_of,
    read_correspondence,
)

VERSION = 2
"""Raise this whenever registration gives other places: every kept one is then made again."""


def correspondence_of(model: FlameModel, *, again: bool = False) -> Correspondence:
    """Return the correspondence of a model: as it comes with the package or is kept, else made (seconds) and kept.

    ``again`` makes it once more.

    Raises:
        ModelError: the model is not a human face, or the cache cannot be written.
    """
    if not again:
        for path in (OPEN_PATH, correspondence_path(model)):
            known = read_correspondence(path, model)
            if known is not None:
                return known
    # Only here, as its kernels take a while to compile.
    from facewire.models.flame.registration.registration import register

    with np.load(asset_path("face_geometry")) as geometry:
        made = register(model, geometry["vertices"], geometry["triangles"])
    keep(correspondence_path(model), arrays_of(made))
    return made


def correspondence_path(model: FlameModel) -> Path:
    """Return where a model's correspondence is kept once it was made."""
    return kept_path(model, "correspondence", VERSION)
