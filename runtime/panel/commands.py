"""What the control panel, Unity and scripts can ask of a live run.

Everything goes through commands (docs/wire.md, 3.6): each checks all it is given before anything changes. The handlers
run on threads of their own, one at a time of those that touch the same thing. ``state`` has what the panel knows,
``changes`` what it can do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from facewire.bridge.shared.arkit import BLENDSHAPES
from facewire.bridge.shared.errors import CommandError
from facewire.models.face.trackers import TRACKERS
from facewire.models.speech.drivers import free_drivers
from facewire.runtime.face.calibration import Calibration
from facewire.runtime.face.filter_config import REGIONS, SMOOTHING_LEVELS
from facewire.runtime.face.guided import NEUTRAL_S, POSE_S, POSES, calibrate_neutral, calibrate_pose
from facewire.runtime.fusion.modes import MODES
from facewire.runtime.live import Live
from facewire.runtime.panel.changes import PanelChanges
from facewire.runtime.panel.services import PanelServices
from facewire.runtime.panel.state import PanelState
from facewire.runtime.pipeline import FacePipeline
from facewire.runtime.settings.profiles import DEFAULT_NAME, MAX_GAIN, NAME, Profile, ProfileStore
from facewire.runtime.settings.settings import Settings
from facewire.runtime.sound.mic_gate import LEAST_DB, MOST_DB
from facewire.runtime.tools.arguments import CommandSpec, Either, Flag, MapOf, Number, OneOf, Text

NEUTRAL = "neutral"
LEVEL = OneOf(SMOOTHING_LEVELS)
PROFILE = {"name": Text("letters, digits, spaces, dots, dashes and underscores, 48 at most", NAME)}

STATE = CommandSpec("state")
DEVICES = CommandSpec("devices")
SET = CommandSpec(
    "set",
    {
        "smoothing": Either(LEVEL, MapOf("region", REGIONS, LEVEL)),
        "mirror": Flag(),
        "sync": Flag(),
        "silent": Flag(),
        "mode": OneOf(MODES),
        "gain": MapOf("shape", BLENDSHAPES, Number(0, MAX_GAIN)),
        "mic_gate": Either(OneOf(("auto", "off")), Number(LEAST_DB, MOST_DB)),
    },
    least=1,
)
CHOOSE = CommandSpec(
    "choose",
    {"video": Text(), "audio": Text(), "mesh": OneOf(TRACKERS), "speech": OneOf(free_drivers)},
    least=1,
    most=1,
)
CALIBRATE = CommandSpec("calibrate", {"pose": OneOf((NEUTRAL, *POSES))})
CALIBRATE_RESET = CommandSpec("calibrate_reset")
PROFILE_SAVE, PROFILE_LOAD, PROFILE_DELETE = (
    CommandSpec(f"profile_{what}", PROFILE) for what in ("save", "load", "delete")
)


class Panel:
    """The handlers. Each raises CommandError, or another FacewireError, before anything has changed."""

    def __init__(
        self, live: Live, settings: Settings, services: PanelServices, store: ProfileStore | None = None
    ) -> None:
        self.state = PanelState(live, settings, services, store or ProfileStore())
        self.changes = PanelChanges(live, self.state)
        self._live, self._services = live, services
        live.on_other_camera = self.changes.follow_camera

    @property
    def commands(self) -> dict[str, Callable[[Mapping[str, Any]], Mapping[str, Any] | None]]:
        """Handlers by name."""
        return {
            STATE.name: STATE.handler(lambda _: self.state.describe()),
            SET.name: SET.handler(self.changes.set),
            DEVICES.name: DEVICES.handler(self._devices),
            CHOOSE.name: CHOOSE.handler(self._choose),
            CALIBRATE.name: CALIBRATE.handler(self._calibrate),
            CALIBRATE_RESET.name: CALIBRATE_RESET.handler(self._reset),
            PROFILE_SAVE.name: PROFILE_SAVE.handler(self._save),
            PROFILE_LOAD.name: PROFILE_LOAD.handler(self._load),
            PROFILE_DELETE.name: PROFILE_DELETE.handler(self._delete),
        }

    @property
    def settings(self) -> Settings:
        """What the user has chosen."""
        return self.state.settings

    def prepare(self, pipeline: FacePipeline) -> None:
        """Have a pipeline that does not run yet smooth as the settings say."""
        self.changes.smooth(pipeline)

    def _devices(self, _args: dict[str, Any]) -> dict[str, Any]:
        return {"video": self._services.cameras(), "audio": self._services.microphones()}

    def _choose(self, args: dict[str, Any]) -> None:
        ((setting, value),) = args.items()
        choose = {
            "video": self._choose_video,
            "audio": self._choose_audio,
            "mesh": self.changes.track_with,
            "speech": self._choose_speech,
        }
        choose[setting](value)
        self.state.changed()

    def _choose_video(self, what: str) -> None:
        known = {str(camera["id"]) for camera in self._services.cameras()} | {self.settings.video}
        if what not in known:  # a client must not open any file or address that it likes
            raise CommandError(f"there is no camera {what[:80]!r}; devices lists what can be chosen")
        self.changes.watch(what)

    def _choose_audio(self, what: str) -> None:
        if self._services.listen_to is None:
            raise CommandError("no microphone is in use: start again with --audio")
        self._services.listen_to(what)

    def _choose_speech(self, name: str) -> None:
        if self._services.choose_driver is None:
            raise CommandError("no microphone is in use: start again with --audio")
        self._services.choose_driver(name)

    def _calibrate(self, args: dict[str, Any]) -> dict[str, Any]:
        """Look at the face for a moment: at rest, or in a pose."""
        pose = args.get("pose", NEUTRAL)
        if pose != NEUTRAL and not self._live.pipeline.calibrator.calibration.neutral_known:
            raise CommandError("show the neutral face first: ranges are measured from it")
        seen = self.changes.look(NEUTRAL_S if pose == NEUTRAL else POSE_S)
        own = self._live.pipeline.calibrator.calibration
        unseen: list[str] = []
        if pose == NEUTRAL:
            new = calibrate_neutral(seen.samples, seen.pictures, own)
        else:
            new, unseen = calibrate_pose(pose, seen.samples, seen.pictures, own)
        self.changes.calibrate(new)
        return {"pose": pose, "unseen": unseen}

    def _reset(self, _args: dict[str, Any]) -> None:
        self.state.profile_problem = None
        self.changes.calibrate(Calibration())

    def _save(self, args: dict[str, Any]) -> dict[str, Any]:
        name, state = args.get("name", DEFAULT_NAME), self.state
        own, regions = self._live.pipeline.calibrator.calibration, dict(self.settings.regions)
        kept = self._services.outputs(), self._services.voices()
        path = state.store.save(Profile(name, state.camera_id, own, regions, *kept))
        state.profile, state.profile_problem = name, None
        state.changed()
        return {"file": str(path)}

    def _load(self, args: dict[str, Any]) -> None:
        self.changes.use_profile(self.state.store.load(self.state.camera_id, args.get("name", DEFAULT_NAME)))

    def _delete(self, args: dict[str, Any]) -> None:
        self.state.store.delete(self.state.camera_id, args.get("name", DEFAULT_NAME))
        self.state.changed()
