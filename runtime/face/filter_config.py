"""Settings of the filters: how strongly each part of the face is smoothed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

Smoothing: TypeAlias = Literal["off", "low", "medium", "high"]


@dataclass(frozen=True, slots=True)
class SmoothingLevel:
    """One level of smoothing."""

    about: str
    """What it does, in a few words for people."""
    cutoff_scale: float
    """The filters' cutoffs times this: below 1 is calmer and later; infinity lets everything through."""


SMOOTHING_LEVELS: dict[Smoothing, SmoothingLevel] = {
    "off": SmoothingLevel("nothing is smoothed", math.inf),
    "low": SmoothingLevel("quick, a little restless", 2.0),
    "medium": SmoothingLevel("calm at rest, quick in motion", 1.0),
    "high": SmoothingLevel("calmer, a little later", 0.5),
}
"""By name, in the order in which they are shown."""
DEFAULT_SMOOTHING: Smoothing = "medium"


@dataclass(frozen=True, slots=True)
class OneEuro:
    """Parameters of one One-Euro filter (Casiez, Roussel and Vogel, CHI 2012, section 3).

    The cutoff is ``min_cutoff_hz + beta * speed``: the first sets how calm rest is, the second how little motion lags.
    """

    min_cutoff_hz: float
    beta: float
    """Hz of cutoff per unit of speed; the unit is the signal's own per second (1/s, rad/s or m/s)."""
    speed_cutoff_hz: float
    """Cutoff of the low-pass that the speed itself goes through."""
    quiet: float = 0.0
    """Speed that counts as none, so that noise at rest does not open the filter."""
    noise: float = 0.0
    """And so many times the noise's own speed, which is learned from what comes in. Shapes only, as ``pull``."""
    pull_hz: float = 0.0
    """Cutoff that an output too far from its input by 0.1 gains; it grows with the fourth power of the distance."""

    @property
    def numbers(self) -> tuple[float, ...]:
        """All six, as the kernels take them."""
        return self.min_cutoff_hz, self.beta, self.speed_cutoff_hz, self.quiet, self.noise, self.pull_hz

    def scaled(self, factor: float) -> OneEuro:
        """Return the same filter with both cutoffs times ``factor``: below one is smoother and later."""
        return replace(
            self,
            min_cutoff_hz=self.min_cutoff_hz * factor,
            beta=self.beta * factor,
            quiet=self.quiet / factor,
            noise=self.noise / factor,
            pull_hz=self.pull_hz * factor,
        )


@dataclass(frozen=True, slots=True)
class FilterConfig:
    """One filter per part of the face; benchmarks/filters.py prints the delay and calm that these values give."""

    eyes: OneEuro = OneEuro(0.16, 297.0, 0.87, quiet=0.06, noise=3.0, pull_hz=7.2)
    """Lids and eye direction shapes: a blink lasts a tenth of a second and must not be shaved off."""
    brows: OneEuro = OneEuro(0.10, 87.0, 0.50, quiet=0.2, noise=1.0, pull_hz=4.4)
    cheeks: OneEuro = OneEuro(0.10, 87.0, 0.50, quiet=0.2, noise=1.0, pull_hz=4.4)
    """Cheeks and nose."""
    mouth: OneEuro = OneEuro(0.14, 300.0, 0.68, quiet=0.10, noise=3.2, pull_hz=4.0)
    """Jaw, lips and tongue."""
    head_turn: OneEuro = OneEuro(1.0, 8.0, 2.0)
    """Speeds in radians a second."""
    head_move: OneEuro = OneEuro(0.8, 40.0, 2.0)
    """Speeds in metres a second."""
    gaze: OneEuro = OneEuro(2.0, 8.0, 4.0)
    """Speeds in radians a second."""

    def scaled(self, factor: float) -> FilterConfig:
        """Return every filter with its cutoffs times ``factor``."""
        return FilterConfig(**{name: getattr(self, name).scaled(factor) for name in self.__slots__})

    @classmethod
    def preset(cls, level: Smoothing) -> FilterConfig:
        """Return the settings behind a ``--smoothing`` level.

        Raises:
            ValueError: there is no such level.
        """
        if level not in SMOOTHING_LEVELS:
            raise ValueError(f"unknown smoothing {level!r}: use one of {', '.join(SMOOTHING_LEVELS)}")
        scale = SMOOTHING_LEVELS[level].cutoff_scale
        return cls(*[PASS_THROUGH] * len(cls.__slots__)) if math.isinf(scale) else cls().scaled(scale)

    @classmethod
    def by_region(cls, level: Smoothing, regions: Mapping[str, str]) -> FilterConfig:
        """Return the settings of ``level``, with other levels for some regions.

        Raises:
            ValueError: there is no such level.
        """
        chosen = {region: cls.preset(own) for region, own in regions.items()}  # type: ignore[arg-type]
        return replace(cls.preset(level), **{region: getattr(config, region) for region, config in chosen.items()})


REGIONS: tuple[str, ...] = FilterConfig.__slots__
"""Parts of the face whose smoothing can be chosen by itself."""

PASS_THROUGH = OneEuro(math.inf, 0.0, math.inf)
"""Output is input."""
