"""What a user can choose from, for people: the registries' names with a few words each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from facewire.models.face.trackers import TRACKERS
from facewire.models.speech.drivers import DRIVERS
from facewire.runtime.face.filter_config import SMOOTHING_LEVELS
from facewire.runtime.fusion.modes import MODES


class Explained(Protocol):
    """An entry of a registry."""

    @property
    def about(self) -> str: ...


def registries() -> dict[str, Mapping[Any, Explained]]:
    """Return the registries by the setting that they are for."""
    return {"mesh": TRACKERS, "speech": DRIVERS, "mode": MODES, "smoothing": SMOOTHING_LEVELS}


def descriptions() -> dict[str, dict[str, str]]:
    """Return what each choice is, by setting and name."""
    return {
        setting: {name: kind.about for name, kind in registry.items()} for setting, registry in registries().items()
    }


def explained(registry: Mapping[Any, Explained]) -> str:
    """Return what can be chosen, each with what it is, as a line of ``--help`` has it."""
    return ", ".join(f"{name} ({kind.about})" for name, kind in registry.items())
