"""The changes that the panel can make to a live run. They touch the pipeline only by ``Live.request``."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeAlias

from facewire.bridge.shared.errors import CommandError
from facewire.runtime.face.calibrate import with_gain
from facewire.runtime.face.calibration import Calibration
from facewire.runtime.face.filter_config import FilterConfig
from facewire.runtime.face.sampling import PATIENCE_S, Sampling
from facewire.runtime.face.tracking import Tracker
from facewire.runtime.live import Live
from facewire.runtime.panel.state import PanelState
from facewire.runtime.pipeline import FacePipeline
from facewire.runtime.settings.profiles import Profile
from facewire.runtime.sound.mic_gate import MicGate

Change: TypeAlias = Callable[[FacePipeline], object]

LATE_S = 3.0
"""How much longer than asked a capture may take before the camera counts as stopped."""


class PanelChanges:
    """What a handler has checked is done here, between two frames, with the settings that show it."""

    def __init__(self, live: Live, state: PanelState) -> None:
        self._live, self._state = live, state
        self._following = threading.Lock()

    def smooth(self, pipeline: FacePipeline) -> None:
        """Have ``pipeline`` smooth each region as the settings say; if it runs already, on its own thread."""
        settings = self._state.settings
        pipeline.filter.configure(FilterConfig.by_region(settings.smoothing, settings.regions))

    def set(self, values: Mapping[str, Any]) -> None:
        """Change settings, all between the same two frames.

        Raises:
            CommandError: no face is tracked now.
        """
        changes: dict[str, Callable[[Any, FacePipeline], object]] = {
            "smoothing": self._smoothing,
            "mirror": self._mirror,
            "sync": self._sync,
            "silent": self._silent,
            "mode": self._mode,
            "gain": self._gain,
            "mic_gate": self._mic_gate,
        }
        wanted = [partial(changes[name], value) for name, value in values.items()]
        self.request(lambda pipeline: [change(pipeline) for change in wanted])

    def _smoothing(self, value: str | dict[str, str], pipeline: FacePipeline) -> None:
        settings = self._state.settings
        if isinstance(value, dict):
            settings.regions = {**settings.regions, **value}
        else:
            settings.smoothing, settings.regions = value, {}  # type: ignore[assignment]
        self.smooth(pipeline)

    def _mirror(self, value: bool, pipeline: FacePipeline) -> None:
        self._state.settings.mirror = pipeline.mirror = value

    def _sync(self, value: bool, pipeline: FacePipeline) -> None:
        self._state.settings.sync = pipeline.fusion.aligner.sync = value

    def _silent(self, value: bool, pipeline: FacePipeline) -> None:
        self._state.settings.silent = pipeline.calibrator.silent = value

    def _mode(self, value: Any, pipeline: FacePipeline) -> None:
        self._state.settings.mode = pipeline.fusion.mode = value

    def _gain(self, value: Mapping[str, float], pipeline: FacePipeline) -> None:
        pipeline.calibrator.calibration = with_gain(pipeline.calibrator.calibration, value)

    def _mic_gate(self, value: MicGate, _pipeline: FacePipeline) -> None:
        self._state.settings.mic_gate = value
        self._state.services.gate(value)

    def watch(self, what: str) -> None:
        """Watch another source, with its default profile.

        Raises:
            CommandError: there is no such source, or no face is tracked now.
            FacewireError: it cannot be opened.
        """
        source = self._state.services.source(what)
        if source is None:
            raise CommandError("choose a camera, or stop the server to run without one")
        if source.gives == "pictures" and not self._live.pipeline.has_tracker:
            self.track_with(self._state.settings.mesh)  # the run began with a phone, which needs no networks
        self._live.switch(source)
        self._state.settings.video = what
        self.request(self._with_default_profile())

    def follow_camera(self) -> None:
        """Use the default profile of the camera or phone that a source has become, soon: the caller does not wait."""
        threading.Thread(target=self._follow, name="facewire-profile", daemon=True).start()

    def _follow(self) -> None:
        with self._following, contextlib.suppress(CommandError):  # too much waits: the next change may do better
            self._live.request(self._with_default_profile())
            self._state.changed()

    def _with_default_profile(self) -> Callable[[FacePipeline], None]:
        calibration = self._state.load_default()

        def change(pipeline: FacePipeline) -> None:
            pipeline.calibrator.use(calibration)
            pipeline.trust.forget()
            self.smooth(pipeline)

        return change

    def track_with(self, mesh: str) -> None:
        """Track with another tracker.

        Raises:
            CommandError: no face is tracked now.
            ModelError: it cannot be loaded.
        """
        make = self._state.services.tracker_factory(mesh)
        tracker: Tracker = make(self._live.pipeline.device)

        def change(pipeline: FacePipeline) -> None:
            pipeline.use_tracker(make, tracker)
            self._state.settings.mesh = mesh

        self.request(change)

    def look(self, seconds: float) -> Sampling:
        """Collect the face for some seconds.

        Raises:
            CommandError: no pictures come.
            CalibrationError: they are dark.
        """
        sampling = Sampling(seconds)

        def begin(pipeline: FacePipeline) -> None:
            pipeline.sampling = sampling

        self._live.request(begin)
        if not sampling.done.wait(sampling.seconds + PATIENCE_S + LATE_S):
            raise CommandError("no pictures come: is the camera running?")
        sampling.check()
        return sampling

    def calibrate(self, calibration: Calibration) -> None:
        """Use another calibration.

        Raises:
            CommandError: no face is tracked now.
        """
        self.request(lambda pipeline: pipeline.calibrator.use(calibration))

    def use_profile(self, profile: Profile) -> None:
        """Use a profile: calibration, smoothing, then its outputs.

        Raises:
            CommandError: no face is tracked now, or it is another camera's, which was chosen meanwhile.
        """

        def change(pipeline: FacePipeline) -> None:
            if profile.camera != self._state.camera_id:
                raise CommandError("another camera is in use since: load the profile again")
            self._state.use_profile(profile)
            self.smooth(pipeline)
            pipeline.calibrator.use(profile.calibration)

        self.request(change)
        self._state.services.use_outputs(profile.outputs)

    def request(self, change: Change) -> None:
        """Have a change made and wait for it, so that a command's answer comes when it counts; one that was said to
        have failed is not made later.

        Raises:
            CommandError: it was not made in time, the networks are still being loaded, or ``change`` says so.
        """
        done, given_up = threading.Event(), threading.Event()
        refused: list[CommandError] = []

        def run(pipeline: FacePipeline) -> None:
            if given_up.is_set():
                return
            try:
                change(pipeline)
            except CommandError as error:
                refused.append(error)
            done.set()

        self._live.pipeline  # noqa: B018, raises while there is none
        self._live.request(run)
        if not done.wait(LATE_S):
            given_up.set()
            raise CommandError("the face is not being tracked now: is the camera running?")
        if refused:
            raise refused[0]
        self._state.changed()
