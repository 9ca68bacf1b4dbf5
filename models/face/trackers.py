"""The trackers that can be chosen. A new one joins with an entry here; everything that offers trackers reads this."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from facewire.bridge.shared.maker import find_maker
from facewire.models.errors import ModelError

_EVERY = ("face_detector", "face_blendshapes", "face_geometry")
"""Assets that every ``FaceTracker`` loads."""


@dataclass(frozen=True, slots=True)
class TrackerKind:
    """One tracker. Importing this module loads no network and no library that runs one."""

    maker: str
    """``module:attribute``, called with the tracker's name and the device ("auto", "cpu" or "cuda")."""
    about: str
    """Whom it suits, in a few words for people."""
    assets: tuple[str, ...]
    """What it loads, by the names of ``models/assets/manifest.py``."""
    gives: tuple[str, ...] = ("landmarks", "blendshapes", "head", "gaze")
    """What it finds in a picture."""


TRACKERS: dict[str, TrackerKind] = {
    "v2": TrackerKind(
        "facewire.models.face.tracker:FaceTracker",
        "the best blendshapes",
        ("face_mesh_v2", *_EVERY),
    ),
    "attention": TrackerKind(
        "facewire.models.face.tracker:FaceTracker",
        "the least work",
        ("attention_mesh", "face_mesh_v2", *_EVERY),  # V2 anchors the other
    ),
}
"""By name, in the order in which they are shown; the first is the default."""

DEFAULT_TRACKER = next(iter(TRACKERS))


def make_tracker(name: str, device: str = "auto") -> Any:
    """Load a tracker.

    Raises:
        ModelError: there is none of that name, or its networks cannot be fetched or started.
    """
    if name not in TRACKERS:
        raise ModelError(f"there is no tracker {name!r}: choose one of {', '.join(TRACKERS)}")
    return find_maker(TRACKERS[name].maker)(name, device)
