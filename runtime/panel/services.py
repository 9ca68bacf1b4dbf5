"""What the panel needs of the program around it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from facewire.runtime.capture.video.source import Source
from facewire.runtime.face.tracking import TrackerFactory


@dataclass(slots=True)
class PanelServices:
    """What only the program around knows how to make."""

    source: Callable[[str], Source | None]
    """From what ``--video`` accepts; raises FacewireError."""
    tracker_factory: Callable[[str], TrackerFactory]
    """From a tracker's name. May fetch weights; raises ModelError."""
    cameras: Callable[[], list[dict[str, Any]]]
    """What can be chosen: maps with ``id`` and ``name``."""
    address: Callable[[], dict[str, Any]]
    """Where other machines find the panel."""
    microphones: Callable[[], list[dict[str, Any]]] = list
    listen_to: Callable[[str], None] | None = None
    """Have another microphone listened to; raises FacewireError."""
    audio: Callable[[], str | None] = lambda: None
    speech: Callable[[], str | None] = lambda: None
    """The speech driver in use, by name, if sound is listened to."""
    choose_driver: Callable[[str], None] | None = None
    """Have another speech driver make the motion; raises FacewireError."""
    gate: Callable[[Any], None] = lambda _: None
    """Have voices held back as ``--mic-gate`` says."""
    voices: Callable[[], dict[str, float]] = dict
    """How loud the user usually is, by microphone."""
    expect_voices: Callable[[Mapping[str, float]], None] = lambda _: None
    """Begin with what a profile knows of that."""
    outputs: Callable[[], tuple[str, ...]] = tuple
    """Outputs that run and may be kept in a profile."""
    use_outputs: Callable[[tuple[str, ...] | None], None] = lambda _: None
    """Have a profile's outputs run."""
