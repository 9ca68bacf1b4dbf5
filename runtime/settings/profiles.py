"""Profiles: a person's calibration and choices for one camera, as TOML files that are plain to read.

They lie in ``<configuration folder>/profiles/<camera>/<name>.toml``. Keys that a version does not know are left alone
by it, keys that are missing keep their default; only a greater ``version`` is refused.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Mapping
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
from facewire.bridge.shared.regular_file import is_inside, is_regular, read_regular
from facewire.bridge.shared.whole_file import write_whole
from facewire.runtime.face.calibration import Calibration
from facewire.runtime.face.filter_config import REGIONS, SMOOTHING_LEVELS
from facewire.runtime.face.geometry import MEASURES
from facewire.runtime.settings.adoption import adopt
from facewire.runtime.settings.mic_gate import LEAST_DB, MOST_DB
from facewire.runtime.settings.naming import alike, is_reserved, slug

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
        try:
            files = list(folder.glob(f"*{SUFFIX}")) if is_inside(folder, self.folder) and folder.is_dir() else []
        except OSError:  # a folder that may not be entered has none for us
            return []
        ours = (file for file in files if NAME.fullmatch(file.stem) and is_inside(file, self.folder))
        return sorted(file.stem for file in ours if is_regular(file))

    def adopt(self, camera: str, formerly: Iterable[str]) -> None:
        """Take over what earlier versions kept under other names of ``camera``, once.

        Raises:
            ProfileError: the disk refuses it.
        """
        try:
            adopt(self.folder, camera, formerly, suffix=SUFFIX, most_bytes=MAX_BYTES)
        except OSError as error:
            raise ProfileError(f"cannot take over this camera's older profiles: {error.strerror or error}") from None

    def load(self, camera: str, name: str = DEFAULT_NAME) -> Profile:
        """Read a profile.

        Raises:
            ProfileError: there is none, it is broken, or a newer Facewire wrote it.
        """
        path = self._path(camera, name)
        try:
            text = read_regular(path, MAX_BYTES, within=self.folder).decode("utf-8")
        except FileNotFoundError:
            raise ProfileError(f"there is no profile {name!r} for {camera}") from None
        except OSError as error:
            why = error.strerror or type(error).__name__
            raise ProfileError(f"the profile {path} cannot be read: {why}; delete it or repair it") from None
        except UnicodeDecodeError as error:
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
        self._check_spelling(profile.camera, profile.name)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if not is_inside(path.parent, self.folder):
                raise ProfileError(f"cannot write the profile {path}: its folder is a link, remove it")
            write_whole(path, tomli_w.dumps(compose(profile)).encode())
        except OSError as error:
            raise ProfileError(f"cannot write the profile {path}: {error.strerror or error}") from None
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

    def _check_spelling(self, camera: str, name: str) -> None:
        """Refuse a name that some systems cannot keep apart: by capitals from another one's, or from a device."""
        if is_reserved(name):
            raise ProfileError(f"a profile cannot be called {name!r}: Windows keeps that name for a device")
        for other in self.names(camera):
            if other != name and alike(other, name):
                raise ProfileError(f"there is a profile called {other!r}: write it like this, or choose another name")

    def _path(self, camera: str, name: str) -> Path:
        if NAME.fullmatch(name) is None:
            raise ProfileError(
                "a profile's name may have letters, digits, spaces, dots, dashes and underscores, 48 at most"
            )
        return self.folder / slug(camera) / f"{name}{SUFFIX}"


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
