"""The speech drivers that can be chosen. A new one joins with an entry here; everything that offers them reads this."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facewire.bridge.shared.maker import find_maker
from facewire.models.errors import ModelError


@dataclass(frozen=True, slots=True)
class DriverOptions:
    """What a user asks of a driver; each uses what it knows."""

    file: Path | None = None
    """Its weights, if the user named a file."""
    look_ahead_ms: int = 0
    """How much sound to wait for."""
    style: int = 0
    expressiveness: float = 1.0
    encoder: str | None = None
    device: str = "auto"
    flame: Any = None
    """The ``FlameModel`` that a run streams, for drivers that move it themselves."""


@dataclass(frozen=True, slots=True)
class DriverKind:
    """One speech driver. Importing this module loads no network and no library that runs one."""

    maker: str
    """``module:attribute``, called with ``DriverOptions``."""
    about: str
    """What it is, in a few words for people."""
    look_ahead_ms: int
    """How much sound it waits for by default."""
    look_aheads_ms: tuple[int, ...] = ()
    """How much it may wait for, if it knows only some."""
    needs_file: str = ""
    """The suffix of the file without which it is nothing, written behind its name: NAME:FILE."""
    weights_suffix: str = ""
    """The suffix of files that are weights for it, written without its name."""
    takes_encoder: bool = False
    """Whether it works on the features of another network, which ``--speech-encoder`` names."""
    moves_flame: bool = False
    """Whether it may give FLAME parameters of its own."""
    assets: tuple[str, ...] = ()
    """What it loads, by the names of ``models/assets/manifest.py``."""


DRIVERS: dict[str, DriverKind] = {
    "causal": DriverKind(
        "facewire.models.speech.causal:make_driver",
        "our own network",
        look_ahead_ms=40,
        look_aheads_ms=(0, 20, 40, 80),
        weights_suffix=".npz",
    ),
    "faceformer": DriverKind(
        "facewire.models.speech.published:make_driver",
        "a published FaceFormer",
        look_ahead_ms=200,
        needs_file=".pth",
        takes_encoder=True,
        moves_flame=True,
    ),
}
"""By name, in the order in which they are shown; the first is the default."""

DEFAULT_DRIVER = next(iter(DRIVERS))


def usages(name: str) -> list[str]:
    """Return how a driver is written where one is chosen, such as ``faceformer:FILE.pth``."""
    kind = DRIVERS[name]
    own = f"{name}:FILE{kind.needs_file}" if kind.needs_file else name
    return [own, *([f"FILE{kind.weights_suffix}"] if kind.weights_suffix else [])]


def parse_driver(text: str) -> tuple[str, Path | None]:
    """Return the name and the file of a driver as a user writes it, such as ``run/causal.npz``.

    Raises:
        ModelError: it is not such a driver.
    """
    if text in DRIVERS and not DRIVERS[text].needs_file:
        return text, None
    name, _, file = text.partition(":")
    if name in DRIVERS and DRIVERS[name].needs_file and file:
        return name, Path(file)
    for name, kind in DRIVERS.items():
        if kind.weights_suffix and text.lower().endswith(kind.weights_suffix):
            return name, Path(text)
    known = ", ".join(usage for name in DRIVERS for usage in usages(name))
    raise ModelError(f"there is no speech driver {text!r}: choose one of {known}")


def free_drivers() -> dict[str, DriverKind]:
    """Return the drivers that need no file of the user's: those that a client may choose while a run goes on."""
    return {name: kind for name, kind in DRIVERS.items() if not kind.needs_file}


def make_driver(name: str, options: DriverOptions) -> Any:
    """Load the driver of that name.

    Raises:
        ModelError: its weights cannot be read, or it does not take what is asked of it.
    """
    return find_maker(DRIVERS[name].maker)(options)
