"""What the user of a live run has chosen."""

from __future__ import annotations

from dataclasses import dataclass, field

from facewire.runtime.face.filter_config import DEFAULT_SMOOTHING, Smoothing
from facewire.runtime.fusion.modes import Mode
from facewire.runtime.settings.mic_gate import MicGate


@dataclass(slots=True)
class Settings:
    """What the user has chosen, as the panel shows it."""

    video: str
    """As ``--video`` accepts it."""
    mesh: str
    smoothing: Smoothing = DEFAULT_SMOOTHING
    mirror: bool = False
    mode: Mode = "auto"
    sync: bool = False
    silent: bool = True
    """Whether the face's range is learned while streaming."""
    mic_gate: MicGate = "auto"
    """Which voices are too quiet to be the user's: ``auto``, ``off``, or a level in dB."""
    regions: dict[str, str] = field(default_factory=dict)
    """Smoothing levels of regions that have their own."""
