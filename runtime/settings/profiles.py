"""Profiles: a person's calibration and choices for one camera, as TOML files that are plain to read.

They lie in ``<configuration folder>/profiles/<camera>/<name>.toml``. Keys that a version does not know are left alone
by it, keys that are missing keep their default; only a greater ``version`` is refused.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
import tomli_w

from facewire.bridge.outputs.base import OutputError
from facewire.bridge.outputs.choose import check_remote
from facewire.bridge.outputs.runner import MAX_OUTPUTS
from facewire.bridge.shared.arkit import BLENDSHAPES
from facewire.bridge.shared.arrays import Float32Array
from facewire.bridge.shared.errors import FacewireError
from facewire.runtime.face.calibration import Calibration
from facewire.runtime.face.filter_config import REGIONS, SMOOTHING_LEVELS
from facewire.runtime.face.geometry import MEASURES
from facewire.runtime.settings.mic_gate import LEAST_DB, MOST_DB

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

VERSION = 1
SUFFIX = ".toml"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.-]{0,47}")
"""What a profile may be called: nothing that leaves the folder."""
MAX_BYTES = 100_000
MAX_GAIN = 4.0
MAX_VOICES = 32
DEFAULT_NAME = "default"
_SHAPE_KEYS = {"neutral": (0.0, 1.0), "spread": (0.0, 0.5), "top": (0.0, 2.0), "gain": (0.0, MAX_GAIN)}
# A top may lie beyond 1: whoever smiles at rest has a range that no smile fills, and noise is not motion there.


class ProfileError(FacewireError):
    """A profile cannot be read, written or found."""


@dataclass(slots=True)
class Profile:
    """What is kept for one person at one camera."""

    name: str
    camera: str
    calibration: Calibration = field(default_factory=Calibration)
    smoothing: dict[str, str] = field(default_factory=dict)
    """Level by region; a region that is missing has the level of the command line."""
    outputs: tuple[str, ...] | None = None
    """Outputs that run with it, as ``--output`` accepts them; None says nothing of them."""
    voices: dict[str, float] = field(default_factory=dict)
    """How loud the person usually is at a microphone, by its name, in dB of full scale."""


def config_folder() -> Path:
    """Return the folder of Facewire's configuration: ``FACEWIRE_CONFIG``, or the system's place for such files."""
    chosen = os.environ.get("FACEWIRE_CONFIG")
    return Path(chosen) if chosen else Path(platformdirs.user_config_dir("facewire", appauthor=False))


class ProfileStore:
    """The profiles in a folder. Every method touches the disk: call none on the live path."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = (folder or config_folder()) / "profiles"

    def names(self, camera: str) -> list[str]:
        """Return the names of the profiles for ``camera``, in order."""
        folder = self.folder / slug(camera)
        return sorted(file.stem for file in folder.glob(f"*{SUFFIX}")) if folder.is_dir() else []

    def load(self, camera: str, name: str = DEFAULT_NAME) -> Profile:
        """Read a profile.

        Raises:
            ProfileError: there is none, it is broken, or a newer Facewire wrote it.
        """
        path = self._path(camera, name)
        try:
            if path.stat().st_size > MAX_BYTES:
                raise ProfileError(f"the profile {path} is broken: it is too large; delete it or repair it")
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise ProfileError(f"there is no profile {name!r} for {camera}") from None
        except (OSError, UnicodeDecodeError) as error:
            raise ProfileError(f"the profile {path} cannot be read: {error}; delete it or repair it") from None
        try:
            return parse(tomllib.loads(text), name, camera)
        except (ValueError, RecursionError) as error:  # a TOMLDecodeError is a ValueError
            raise ProfileError(f"the profile {path} is broken: {error}; delete it or repair it") from None

    def save(self, profile: Profile) -> Path:
        """Write a profile under its name, whole or not at all, and return its path.

        Raises:
            ProfileError: the name is not valid, or the disk refuses it.
        """
        path = self._path(profile.camera, profile.name)
        part = path.with_name(f".{path.name}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            part.write_bytes(tomli_w.dumps(compose(profile)).encode())
            part.replace(path)
        except OSError as error:
            raise ProfileError(f"cannot write the profile {path}: {error.strerror or error}") from None
        finally:
            if part.exists():
                part.unlink()
        return path

    def delete(self, camera: str, name: str) -> None:
        """Remove a profile.

        Raises:
            ProfileError: there is none or it cannot be removed.
        """
        path = self._path(camera, name)
        try:
            path.unlink()
        except FileNotFoundError:
            raise ProfileError(f"there is no profile {name!r} for {camera}") from None
        except OSError as error:
            raise ProfileError(f"cannot delete the profile {path}: {error.strerror or error}") from None

    def _path(self, camera: str, name: str) -> Path:
        if NAME.fullmatch(name) is None:
            raise ProfileError(
                "a profile's name may have letters, digits, spaces, dots, dashes and underscores, 48 at most"
            )
        return self.folder / slug(camera) / f"{name}{SUFFIX}"


def slug(camera: str) -> str:
    """Return a folder's name for a camera's: its letters and digits, so that it is plain to read."""
    return re.sub(r"[^a-z0-9]+", "-", camera.lower()).strip("-")[:64] or "camera"


def compose(profile: Profile) -> dict[str, Any]:
    """Return what the file holds, rounded to what a reader can use."""
    own = profile.calibration
    shapes = {name: {key: _number(getattr(own, key)[i]) for key in _SHAPE_KEYS} for i, name in enumerate(BLENDSHAPES)}
    return {
        "version": VERSION,
        "name": profile.name,
        "camera": profile.camera,
        "neutral_known": own.neutral_known,
        "measures_known": own.measures_known,
        "gaze_rad": [_number(value) for value in own.gaze],
        "lid_shut": {"left": _number(own.lid_shut[0]), "right": _number(own.lid_shut[1])},
        "smoothing": profile.smoothing,
        **({} if profile.outputs is None else {"outputs": list(profile.outputs)}),
        **({"voices": {name: _number(level) for name, level in profile.voices.items()}} if profile.voices else {}),
        "measures": {name: _number(own.measures[i]) for i, name in enumerate(MEASURES)},
        "shapes": shapes,
    }


def parse(data: Mapping[str, Any], name: str, camera: str) -> Profile:
    """Return the profile in a file's content; unknown keys are skipped, missing ones keep their default.

    Raises:
        ValueError: a value has the wrong type or is out of range, or the version is newer.
    """
    version = data.get("version")
    if type(version) is not int or version < 1:
        raise ValueError("it has no version")
    if version > VERSION:
        raise ValueError(f"a newer Facewire wrote it (version {version})")
    own = Calibration(
        neutral_known=data.get("neutral_known") is True, measures_known=data.get("measures_known") is True
    )
    for key, value in _table(data, "measures").items():
        if key in MEASURES:
            own.measures[MEASURES.index(key)] = _within(value, -2.0, 2.0, key)
    for i, side in enumerate(("left", "right")):
        own.lid_shut[i] = _within(_table(data, "lid_shut").get(side, own.lid_shut[i]), 0.0, 0.7, "lid_shut")
    _read_shapes(_table(data, "shapes"), own)
    _read_gaze(data.get("gaze_rad", [0.0] * 4), own.gaze)
    smoothing, outputs = _levels(_table(data, "smoothing")), _outputs(data.get("outputs"))
    return Profile(name, camera, own, smoothing, outputs, _voices(_table(data, "voices")))


def _voices(voices: Mapping[str, Any]) -> dict[str, float]:
    if len(voices) > MAX_VOICES:
        raise ValueError(f"voices has at most {MAX_VOICES} microphones")
    return {name[:200]: _within(level, LEAST_DB, MOST_DB, f"voices.{name[:40]}") for name, level in voices.items()}


def _read_shapes(shapes: Mapping[str, Any], own: Calibration) -> None:
    for i, name in enumerate(BLENDSHAPES):
        numbers = _table(shapes, name)
        for key, (low, high) in _SHAPE_KEYS.items():
            if key in numbers:
                getattr(own, key)[i] = _within(numbers[key], low, high, f"{name}.{key}")


def _read_gaze(values: Any, gaze: Float32Array) -> None:
    if not isinstance(values, list) or len(values) != 4:
        raise ValueError("gaze_rad is four numbers")
    gaze[:] = [_within(value, -1.0, 1.0, "gaze_rad") for value in values]


def _levels(smoothing: Mapping[str, Any]) -> dict[str, str]:
    for region, level in smoothing.items():
        if region in REGIONS and level not in tuple(SMOOTHING_LEVELS):
            raise ValueError(f"smoothing.{region} is one of {', '.join(SMOOTHING_LEVELS)}")
    return {region: level for region, level in smoothing.items() if region in REGIONS}


def _outputs(specs: Any) -> tuple[str, ...] | None:
    if specs is None:
        return None
    if not isinstance(specs, list) or len(specs) > MAX_OUTPUTS or not all(isinstance(spec, str) for spec in specs):
        raise ValueError(f"outputs is a list of at most {MAX_OUTPUTS} texts such as 'vmc:127.0.0.1:39539'")
    try:
        return tuple(check_remote(spec) for spec in specs)
    except OutputError as error:
        raise ValueError(f"outputs: {error}") from None


def _table(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    table = data.get(key, {})
    if not isinstance(table, dict):
        raise ValueError(f"{key} is a table")
    return table


def _within(value: Any, low: float, high: float, key: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, np.floating)) or not low <= value <= high:
        raise ValueError(f"{key} is a number from {low:g} to {high:g}")
    return float(value)


def _number(value: Any) -> float:
    return round(float(value), 4)
