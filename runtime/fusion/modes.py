"""Who may drive the face. What offers modes reads this; ``fuse`` has what each does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Mode: TypeAlias = Literal["auto", "camera", "microphone", "mouth"]


@dataclass(frozen=True, slots=True)
class ModeKind:
    """One mode."""

    about: str
    """Who drives the face, in a few words for people."""


MODES: dict[Mode, ModeKind] = {
    "auto": ModeKind("whichever can be trusted"),
    "camera": ModeKind("the camera only"),
    "microphone": ModeKind("the microphone only"),
    "mouth": ModeKind("the camera, and the mouth by the microphone"),
}
"""By name, in the order in which they are shown; the first is the default."""
