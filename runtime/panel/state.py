"""What the panel knows of a live run, and what it says of that."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from typing import Any

from facewire.bridge.shared.arkit import BLENDSHAPES
from facewire.models.face.trackers import TRACKERS
from facewire.models.speech.drivers import free_drivers
from facewire.runtime.face.calibration import Calibration
from facewire.runtime.face.filter_config import REGIONS, SMOOTHING_LEVELS
from facewire.runtime.face.guided import POSES
from facewire.runtime.fusion.modes import MODES
from facewire.runtime.live import Live
from facewire.runtime.panel.problems import find_problems
from facewire.runtime.panel.services import PanelServices
from facewire.runtime.settings.choices import descriptions
from facewire.runtime.settings.profiles import DEFAULT_NAME, MAX_GAIN, Profile, ProfileError, ProfileStore
from facewire.runtime.settings.settings import Settings

logger = logging.getLogger("facewire.runtime")


DISK_LATE_S = 1.0
"""How long a disk is waited for before what it said last is taken."""


class ProfileNames:
    """Which profiles there are, without waiting long for the disk that they lie on: who wants to see the settings shall
    see them while it hangs. State: what it said last, and the question that it does not answer."""

    def __init__(self, store: ProfileStore) -> None:
        self._store = store
        self._known: dict[str, list[str]] = {}
        self._late: threading.Thread | None = None

    def of(self, camera: str) -> list[str]:
        """Return the names of a camera's profiles, in order."""
        found: list[list[str]] = []
        if self._late is None or not self._late.is_alive():
            asking = threading.Thread(
                target=lambda: found.append(self._store.names(camera)), name="facewire-profiles", daemon=True
            )
            asking.start()
            asking.join(DISK_LATE_S)
            self._late = asking if asking.is_alive() else None
        if found:
            self._known = {camera: found[0]}
        return self._known.get(camera, [])


class PanelState:
    """State: the settings, the profile in use, and a count of changes that clients watch in the status."""

    def __init__(self, live: Live, settings: Settings, services: PanelServices, store: ProfileStore) -> None:
        self.settings, self.services, self.store = settings, services, store
        self.profile = DEFAULT_NAME
        self.profile_problem: str | None = None
        self._live, self._names = live, ProfileNames(store)
        self._revision = 0
        self._lock = threading.Lock()

    @property
    def camera(self) -> str:
        """Name of the camera in use."""
        source = self._live.source
        return "none" if source is None else source.name

    @property
    def camera_id(self) -> str:
        """What the camera in use is known by again: profiles belong to this."""
        source = self._live.source
        return "none" if source is None else source.identity

    def changed(self) -> None:
        """Count a change, so that clients ask for the state again."""
        with self._lock:
            self._revision += 1

    def use_profile(self, profile: Profile) -> None:
        """Take a profile's name and smoothing as what is in use."""
        self.profile, self.profile_problem = profile.name, None
        self.settings.regions = profile.smoothing
        self.services.expect_voices(profile.voices)

    def load_default(self) -> Calibration:
        """Return the calibration that this camera's default profile has, and take its smoothing and outputs; a broken
        one is reported and ignored."""
        self.profile, self.profile_problem = DEFAULT_NAME, None
        self._adopt()
        try:
            profile = self.store.load(self.camera_id, DEFAULT_NAME)
        except ProfileError as error:
            if DEFAULT_NAME in self.store.names(self.camera_id):
                self.profile_problem = f"{error}; going on without it"
                logger.warning(self.profile_problem)
            return Calibration()
        self.use_profile(profile)
        self.services.use_outputs(profile.outputs)
        return profile.calibration

    def _adopt(self) -> None:
        """Find the profiles that earlier versions kept for this camera under its number, or otherwise."""
        try:
            self.store.adopt(self.camera_id, () if (source := self._live.source) is None else source.formerly)
        except ProfileError as error:
            self.profile_problem = str(error)
            logger.warning(self.profile_problem)

    def status(self, status: Mapping[str, Any]) -> dict[str, Any]:
        """Return ``status``, what the inputs say of themselves, with what is wrong and how often settings changed."""
        problems = find_problems(status)
        if self.profile_problem:
            problems.append(self.profile_problem)
        return {**status, "revision": self._revision, "problems": problems}

    def describe(self) -> dict[str, Any]:
        """Return all settings with what can be chosen, as the command ``state`` answers."""
        return {**self._settings(), **self._choices(), **self._person(), "revision": self._revision}

    def _settings(self) -> dict[str, Any]:
        settings, services = self.settings, self.services
        return {
            "video": settings.video,
            "camera": self.camera,
            "audio": services.audio(),
            "mesh": settings.mesh,
            "speech": services.speech(),
            "mirror": settings.mirror,
            "smoothing": settings.smoothing,
            "regions": {region: settings.regions.get(region, settings.smoothing) for region in REGIONS},
            "mode": settings.mode,
            "sync": settings.sync,
            "silent": settings.silent,
            "mic_gate": settings.mic_gate,
            "address": services.address(),
        }

    def _choices(self) -> dict[str, Any]:
        return {
            "meshes": list(TRACKERS),
            "drivers": list(free_drivers()),
            "levels": list(SMOOTHING_LEVELS),
            "modes": list(MODES),
            "poses": list(POSES),
            "max_gain": MAX_GAIN,
            "about": descriptions(),
        }

    def _person(self) -> dict[str, Any]:
        own = self._live.pipeline.calibrator.calibration
        return {
            "gains": {name: round(float(own.gain[i]), 3) for i, name in enumerate(BLENDSHAPES) if own.gain[i] != 1.0},
            "calibrated": own.neutral_known,
            "profile": self.profile,
            "profiles": self._names.of(self.camera_id),
        }
