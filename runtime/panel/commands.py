"""What the control panel, Unity and scripts can ask of a live run, and what the run says of itself.

Everything goes through commands (docs/wire.md, 3.6): each checks all it is given before anything changes. The handlers
run on a command thread, one at a time, and touch the pipeline only by ``Live.request``.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from facewire.bridge.shared.arkit import BLENDSHAPE_INDEX, BLENDSHAPES
from facewire.bridge.shared.errors import CommandError
from facewire.runtime.capture.video.source import Source
from facewire.runtime.face.calibrate import with_gain
from facewire.runtime.face.calibration import Calibration
from facewire.runtime.face.filter_config import REGIONS, SMOOTHING_LEVELS, FilterConfig, Smoothing
from facewire.runtime.face.guided import NEUTRAL_S, POSE_S, POSES, calibrate_neutral, calibrate_pose
from facewire.runtime.face.sampling import PATIENCE_S, Sampling
from facewire.runtime.face.tracking import Tracker, TrackerFactory
from facewire.runtime.fusion.modes import MODES, Mode
from facewire.runtime.live import Live
from facewire.runtime.panel.problems import find_problems
from facewire.runtime.pipeline import FacePipeline
from facewire.runtime.settings.profiles import DEFAULT_NAME, MAX_GAIN, NAME, Profile, ProfileError, ProfileStore

logger = logging.getLogger("facewire.runtime")

MESHES = ("v2", "attention")
LATE_S = 3.0
"""How much longer than asked a capture may take before the camera counts as stopped."""


@dataclass(slots=True)
class Settings:
    """What the user has chosen, as the panel shows it."""

    video: str
    """As ``--video`` takes it."""
    mesh: str
    smoothing: Smoothing = "medium"
    mirror: bool = False
    mode: Mode = "auto"
    sync: bool = False
    silent: bool = True
    regions: dict[str, str] = field(default_factory=dict)
    """Smoothing levels of regions that have their own."""


@dataclass(slots=True)
class Makers:
    """What only the program around knows how to make."""

    source: Callable[[str], Source | None]
    """From what ``--video`` takes. Raises FacewireError."""
    tracker_factory: Callable[[str], TrackerFactory]
    """From a mesh's name. May fetch weights. Raises ModelError."""
    cameras: Callable[[], list[dict[str, Any]]]
    """What can be chosen: maps with ``id`` and ``name``."""
    address: Callable[[], dict[str, Any]]
    """Where other machines find the panel."""
    microphones: Callable[[], list[dict[str, Any]]] = list
    listen_to: Callable[[str], None] | None = None
    """Listens to another microphone. Raises FacewireError."""
    audio: Callable[[], str | None] = lambda: None
    outputs: Callable[[], tuple[str, ...]] = tuple
    """Outputs that run and may be kept in a profile."""
    use_outputs: Callable[[tuple[str, ...] | None], None] = lambda _: None
    """Has a profile's outputs run."""


class Panel:
    """Carries over the settings, the profile in use, and a count of changes that clients watch in the status."""

    def __init__(self, live: Live, settings: Settings, makers: Makers, store: ProfileStore | None = None) -> None:
        self.settings = settings
        self._live, self._makers, self._store = live, makers, store or ProfileStore()
        self._profile = DEFAULT_NAME
        self._profile_problem: str | None = None
        self._revision = 0
        self._lock = threading.Lock()

    @property
    def commands(self) -> dict[str, Callable[[Mapping[str, Any]], Mapping[str, Any] | None]]:
        """Handlers by name."""
        return {
            "state": self._state,
            "set": self._set,
            "devices": self._devices,
            "choose": self._choose,
            "calibrate": self._calibrate,
            "calibrate_reset": self._reset,
            "profile_save": self._save,
            "profile_load": self._load,
            "profile_delete": self._delete,
        }

    def status(self, status: Mapping[str, Any]) -> dict[str, Any]:
        """Returns ``status``, what the inputs say of themselves, with what is wrong and how often settings changed."""
        problems = find_problems(status)
        if self._profile_problem:
            problems.append(self._profile_problem)
        return {**status, "revision": self._revision, "problems": problems}

    @property
    def camera(self) -> str:
        """Name of the camera in use; profiles belong to it."""
        capture = self._live.capture
        return "none" if capture is None else capture.source.name

    def load_default(self) -> Calibration:
        """Returns the calibration that this camera's default profile has, and takes its smoothing and outputs; a broken
        one is reported and ignored."""
        self._profile, self._profile_problem = DEFAULT_NAME, None
        try:
            profile = self._store.load(self.camera, DEFAULT_NAME)
        except ProfileError as error:
            if DEFAULT_NAME in self._store.names(self.camera):
                self._profile_problem = f"{error}; going on without it"
                logger.warning(self._profile_problem)
            return Calibration()
        self.settings.regions = profile.smoothing
        self._makers.use_outputs(profile.outputs)
        return profile.calibration

    def smooth(self, pipeline: FacePipeline) -> None:
        """Has ``pipeline`` smooth each region as the settings say; where it runs already, on its own thread."""
        pipeline.filter.configure(FilterConfig.by_region(self.settings.smoothing, self.settings.regions))

    # Commands. Each raises CommandError, or another FacewireError, before anything has changed.

    def _state(self, args: Mapping[str, Any]) -> dict[str, Any]:
        only(args)
        settings, pipeline = self.settings, self._live.pipeline
        own = pipeline.calibrator.calibration
        gains = {name: round(float(own.gain[i]), 3) for i, name in enumerate(BLENDSHAPES) if own.gain[i] != 1.0}
        return {
            "video": settings.video,
            "camera": self.camera,
            "audio": self._makers.audio(),
            "mesh": settings.mesh,
            "meshes": list(MESHES),
            "mirror": settings.mirror,
            "smoothing": settings.smoothing,
            "levels": list(SMOOTHING_LEVELS),
            "regions": {region: settings.regions.get(region, settings.smoothing) for region in REGIONS},
            "gains": gains,
            "max_gain": MAX_GAIN,
            "mode": settings.mode,
            "modes": list(MODES),
            "sync": settings.sync,
            "silent": settings.silent,
            "calibrated": own.neutral_known,
            "poses": list(POSES),
            "profile": self._profile,
            "profiles": self._store.names(self.camera),
            "address": self._makers.address(),
            "revision": self._revision,
        }

    def _set(self, args: Mapping[str, Any]) -> None:
        """All or nothing: every value is checked before the first is taken."""
        checks: dict[str, Callable[[Any], Callable[[FacePipeline], None]]] = {
            "smoothing": self._check_smoothing,
            "mirror": self._check_flag("mirror"),
            "sync": self._check_flag("sync"),
            "silent": self._check_flag("silent"),
            "mode": self._check_mode,
            "gain": self._check_gain,
        }
        if not args or set(args) - set(checks):
            unknown = ", ".join(repr(str(name)[:40]) for name in sorted(map(str, set(args) - set(checks))))
            raise CommandError(f"set takes {', '.join(checks)}, not {unknown or 'nothing'}")
        changes = [checks[name](value) for name, value in args.items()]

        def change(pipeline: FacePipeline) -> None:
            for one in changes:
                one(pipeline)

        self._request(change)

    def _check_smoothing(self, value: Any) -> Callable[[FacePipeline], None]:
        levels = value if isinstance(value, dict) else {}
        if not isinstance(value, dict) and value not in SMOOTHING_LEVELS:
            raise CommandError(f"smoothing is one of {', '.join(SMOOTHING_LEVELS)}, or a map of levels by region")
        for region, level in levels.items():
            if region not in REGIONS or level not in SMOOTHING_LEVELS:
                raise CommandError(f"smoothing by region: {', '.join(REGIONS)}, each {', '.join(SMOOTHING_LEVELS)}")

        def change(pipeline: FacePipeline) -> None:
            settings = self.settings
            if isinstance(value, dict):
                settings.regions = {**settings.regions, **levels}
            else:
                settings.smoothing, settings.regions = value, {}
            self.smooth(pipeline)

        return change

    def _check_flag(self, name: str) -> Callable[[Any], Callable[[FacePipeline], None]]:
        def check(value: Any) -> Callable[[FacePipeline], None]:
            if not isinstance(value, bool):
                raise CommandError(f"{name} is true or false")

            def change(pipeline: FacePipeline) -> None:
                setattr(self.settings, name, value)
                if name == "mirror":
                    pipeline.mirror = value
                elif name == "sync":
                    pipeline.fusion.aligner.sync = value
                else:
                    pipeline.calibrator.silent = value

            return change

        return check

    def _check_mode(self, value: Any) -> Callable[[FacePipeline], None]:
        if value not in MODES:
            raise CommandError(f"mode is one of {', '.join(MODES)}")

        def change(pipeline: FacePipeline) -> None:
            self.settings.mode = pipeline.fusion.mode = value

        return change

    def _check_gain(self, value: Any) -> Callable[[FacePipeline], None]:
        if not isinstance(value, dict) or not value:
            raise CommandError("gain is a map of factors by shape")
        for name, factor in value.items():
            if name not in BLENDSHAPE_INDEX:
                raise CommandError(f"there is no shape {str(name)[:40]!r}")
            if type(factor) not in (int, float) or not 0 <= factor <= MAX_GAIN:
                raise CommandError(f"the gain of {name} is a number of 0 to {MAX_GAIN:g}")

        def change(pipeline: FacePipeline) -> None:
            pipeline.calibrator.calibration = with_gain(pipeline.calibrator.calibration, value)

        return change

    def _devices(self, args: Mapping[str, Any]) -> dict[str, Any]:
        only(args)
        return {"video": self._makers.cameras(), "audio": self._makers.microphones()}

    def _choose(self, args: Mapping[str, Any]) -> None:
        only(args, "video", "audio", "mesh")
        if len(args) != 1 or not all(isinstance(value, str) and 0 < len(value) <= 500 for value in args.values()):
            raise CommandError("choose takes one of video, audio and mesh, as the command line does")
        if "mesh" in args:
            self._choose_mesh(args["mesh"])
        elif "video" in args:
            self._choose_video(args["video"])
        elif self._makers.listen_to is None:
            raise CommandError("no microphone is in use: start again with --audio")
        else:
            self._makers.listen_to(args["audio"])
        self._changed()

    def _choose_video(self, what: str) -> None:
        known = {str(camera["id"]) for camera in self._makers.cameras()} | {self.settings.video}
        if what not in known:  # a client must not open any file or address that it likes
            raise CommandError(f"there is no camera {what[:80]!r}; devices lists what can be chosen")
        source = self._makers.source(what)
        if source is None:
            raise CommandError("choose a camera, or stop the server to run without one")
        if source.gives == "pictures" and not self._live.pipeline.has_tracker:
            self._choose_mesh(self.settings.mesh)  # the run began with a phone, which needs no networks
        self._live.switch(source)
        self.settings.video = what
        calibration = self.load_default()

        def change(pipeline: FacePipeline) -> None:
            pipeline.calibrator.use(calibration)
            pipeline.trust.forget()
            self.smooth(pipeline)

        self._request(change)

    def _choose_mesh(self, mesh: str) -> None:
        if mesh not in MESHES:
            raise CommandError(f"mesh is one of {', '.join(MESHES)}")
        pipeline = self._live.pipeline
        make = self._makers.tracker_factory(mesh)
        tracker: Tracker = make(pipeline.device)

        def change(pipeline: FacePipeline) -> None:
            pipeline.use_tracker(make, tracker)
            self.settings.mesh = mesh

        self._request(change)

    def _calibrate(self, args: Mapping[str, Any]) -> dict[str, Any]:
        """Looks at the face for a moment: at rest, or in a pose."""
        only(args, "pose")
        pose = args.get("pose", "neutral")
        if not isinstance(pose, str) or (pose != "neutral" and pose not in POSES):
            raise CommandError(f"pose is one of neutral, {', '.join(POSES)}")
        if pose != "neutral" and not self._live.pipeline.calibrator.calibration.neutral_known:
            raise CommandError("show the neutral face first: ranges are measured from it")
        sampling = Sampling(NEUTRAL_S if pose == "neutral" else POSE_S)

        def begin(pipeline: FacePipeline) -> None:
            pipeline.sampling = sampling

        self._live.request(begin)
        if not sampling.done.wait(sampling.seconds + PATIENCE_S + LATE_S):
            raise CommandError("no pictures come: is the camera running?")
        sampling.check()
        own = self._live.pipeline.calibrator.calibration
        unseen: list[str] = []
        if pose == "neutral":
            new = calibrate_neutral(sampling.samples, sampling.pictures, own)
        else:
            new, unseen = calibrate_pose(pose, sampling.samples, sampling.pictures, own)
        self._use(new)
        return {"pose": pose, "unseen": unseen}

    def _reset(self, args: Mapping[str, Any]) -> None:
        only(args)
        self._profile_problem = None
        self._use(Calibration())

    def _save(self, args: Mapping[str, Any]) -> dict[str, Any]:
        name = named(args)
        own, regions = self._live.pipeline.calibrator.calibration, dict(self.settings.regions)
        profile = Profile(name, self.camera, own, regions, self._makers.outputs())
        path = self._store.save(profile)
        self._profile, self._profile_problem = name, None
        self._changed()
        return {"file": str(path)}

    def _load(self, args: Mapping[str, Any]) -> None:
        profile = self._store.load(self.camera, named(args))

        def change(pipeline: FacePipeline) -> None:
            self.settings.regions, self._profile = profile.smoothing, profile.name
            self._profile_problem = None
            self.smooth(pipeline)
            pipeline.calibrator.use(profile.calibration)

        self._request(change)
        self._makers.use_outputs(profile.outputs)

    def _delete(self, args: Mapping[str, Any]) -> None:
        self._store.delete(self.camera, named(args))
        self._changed()

    def _use(self, calibration: Calibration) -> None:
        self._request(lambda pipeline: pipeline.calibrator.use(calibration))

    def _request(self, change: Callable[[FacePipeline], object]) -> None:
        """Has a change made and waits for it, so that a command's answer comes when it counts; one that was said to
        have failed is not made later."""
        done, given_up = threading.Event(), threading.Event()

        def run(pipeline: FacePipeline) -> None:
            if not given_up.is_set():
                change(pipeline)
                done.set()

        self._live.pipeline  # noqa: B018, raises while there is none
        self._live.request(run)
        if not done.wait(LATE_S):
            given_up.set()
            raise CommandError("the face is not being tracked now: is the camera running?")
        self._changed()

    def _changed(self) -> None:
        with self._lock:
            self._revision += 1


def only(args: Mapping[str, Any], *known: str) -> None:
    """Raises CommandError where ``args`` holds anything but ``known``."""
    if unknown := set(args) - set(known):
        raise CommandError(f"unknown: {', '.join(sorted(repr(str(name)[:40]) for name in unknown))}")


def named(args: Mapping[str, Any]) -> str:
    """Returns ``args``' name. Raises CommandError where it is none for a profile."""
    only(args, "name")
    name = args.get("name", DEFAULT_NAME)
    if not isinstance(name, str) or NAME.fullmatch(name) is None:
        raise CommandError("name is letters, digits, spaces, dots, dashes and underscores, 48 at most")
    return name
