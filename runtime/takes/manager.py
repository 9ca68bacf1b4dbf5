"""Takes of a live server: started and stopped by command, one after the other, in one folder."""

from __future__ import annotations

import contextlib
import platform
import re
import threading
import time
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from facewire.bridge.recording.errors import PathTakenError, RecordingError
from facewire.bridge.recording.layout import SUFFIX, AudioBlock, AudioFormat, SessionMetadata
from facewire.bridge.recording.partfile import MOST_TRIES, free_path, reason
from facewire.bridge.shared.clock import Clock, now_ns
from facewire.bridge.shared.errors import CommandError, FacewireError
from facewire.bridge.wire.codec import Message
from facewire.bridge.wire.frame import FaceFrame
from facewire.runtime.settings.naming import is_reserved
from facewire.runtime.takes.recorder import Recorder
from facewire.runtime.tools.arguments import CommandSpec, Text

if TYPE_CHECKING:
    from facewire.runtime.live import Live

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}")
"""What a client may call a take: nothing that leaves the folder."""
START = CommandSpec(
    "record_start", {"name": Text("letters, digits, spaces, dots, dashes or underscores, 64 at most", NAME)}
)
STOP = CommandSpec("record_stop")

StatusCall = Callable[[], Mapping[str, Any]]


class Takes:
    """Records into ``folder`` from ``record_start`` to ``record_stop``.

    Offers may come from any thread and cost nothing between takes; the commands may come from any thread too.
    """

    def __init__(
        self,
        folder: Path | None,
        *,
        status: StatusCall = dict,
        hello: Callable[[], Message] = dict,
        profile: Callable[[], Mapping[str, Any] | None] = lambda: None,
        flame: Callable[[], Mapping[str, Any] | None] = lambda: None,
        keep_device_names: bool = False,
        notify: Callable[[str], None] = print,
        clock: Clock = now_ns,
        wall_clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """Make ``folder`` if it does not exist; None refuses every take.

        Raises:
            RecordingError: it cannot be made.
        """
        try:
            if folder is not None:
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RecordingError(f"cannot make the folder {folder}: {reason(error)}") from None
        self.folder = folder
        self._status, self._hello, self._profile, self._keep_names = status, hello, profile, keep_device_names
        self._flame, self._notify, self._clock, self._wall_clock_ns = flame, notify, clock, wall_clock_ns
        self._recorder: Recorder | None = None
        self._lock = threading.Lock()

    @property
    def commands(self) -> dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]]:
        """What clients may ask, by name."""
        return {START.name: START.handler(self._start), STOP.name: STOP.handler(self._stop)}

    def offer_frame(self, frame: FaceFrame) -> None:
        """Have ``frame`` recorded if a take is running. Never blocks and raises nothing."""
        if (recorder := self._recorder) is not None:
            recorder.offer_frame(frame)

    def offer_audio(self, block: AudioBlock, audio: AudioFormat) -> None:
        """Have samples recorded if a take is running. Never blocks and raises nothing."""
        if (recorder := self._recorder) is not None:
            recorder.offer_audio(block, audio)

    def start(self, name: str | None = None) -> Path:
        """Begin a take and return its path.

        Raises:
            CommandError: one is running already, or there is no folder for it.
            SessionError, RecordingError: it cannot be written.
        """
        with self._lock:
            if self.folder is None:
                raise CommandError("this server does not record: start it with --record and a folder")
            if self._recorder is not None and self._recorder.active:
                raise CommandError(f"a take is already running: {self._recorder.path.name}; stop it first")
            about = SessionMetadata(
                started_unix_ns=self._wall_clock_ns(),
                started_clock_ns=self._clock(),
                hello=self._hello(),
                profile=self._profile(),
                versions=versions(),
                devices=self._devices(),
            )
            stem = (name or time.strftime("take-%Y%m%d-%H%M%S")).removesuffix(SUFFIX)
            if is_reserved(stem):
                raise CommandError(f"a take cannot be called {stem!r}: Windows keeps that name for a device")
            recorder = self._make_recorder(self.folder / f"{stem}{SUFFIX}", about)
            recorder.start()
            self._recorder = recorder
            return recorder.path

    def _make_recorder(self, path: Path, about: SessionMetadata) -> Recorder:
        """At ``path`` or, if that is taken, with a number behind it; another server may take names there, too."""
        status = recorded_status(self._status, keep_device_names=self._keep_names)
        for _ in range(MOST_TRIES):
            with contextlib.suppress(PathTakenError):
                return Recorder(
                    free_path(path),
                    about,
                    status=status,
                    profile=self._profile,
                    flame=self._flame,
                    notify=self._notify,
                    clock=self._clock,
                )
        raise RecordingError(f"other takes have every name like {path}: start the take again, or give it a name")

    def stop(self, *, keep_empty: bool = True) -> Path | None:
        """End the running take and return its path; None if none is running, or it was empty and is not to be kept.

        Raises:
            RecordingError: it could not be finished, or had failed before.
        """
        with self._lock:
            recorder, self._recorder = self._recorder, None
            if recorder is None:
                return None
            path = recorder.stop()
            if recorder.counts.frames or recorder.counts.audio_blocks or keep_empty:
                return path
            remove_empty(path)
            return None

    def state(self) -> dict[str, Any]:
        """Return the keys that the status message gets."""
        recorder = self._recorder
        if recorder is None:
            return {"recording": None}
        return {
            "recording": {
                "file": recorder.path.name,
                "seconds": round(recorder.length_s, 1),
                "frames": recorder.counts.frames,
                "refused": recorder.counts.refused_frames + recorder.counts.refused_audio,
                "error": None if recorder.error is None else str(recorder.error),
            }
        }

    def _start(self, args: dict[str, Any]) -> dict[str, Any]:
        return {"file": self.start(args.get("name")).name}

    def _stop(self, _args: dict[str, Any]) -> dict[str, Any]:
        recorder = self._recorder
        if recorder is None:
            raise CommandError("no take is running")
        path = self.stop()
        if path is None:  # it was stopped meanwhile
            raise CommandError("no take is running")
        return {"file": path.name, "frames": recorder.counts.frames, "refused": recorder.counts.refused_frames}

    def _devices(self) -> dict[str, Any] | None:
        return dict(self._status().get("devices") or {}) if self._keep_names else None


def remove_empty(path: Path) -> None:
    """Delete a take that holds nothing.

    Raises:
        RecordingError: the disk does not let us.
    """
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise RecordingError(f"cannot delete the empty take {path}: {reason(error)}") from None


def versions() -> dict[str, str]:
    """Return what a take is recorded with: Python, the system, and the libraries whose versions change results."""
    found = {"python": platform.python_version(), "system": f"{platform.system()} {platform.machine()}"}
    for name in ("onnxruntime-gpu", "onnxruntime", "opencv-python", "numpy", "numba", "mcap"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def recorded_profile(live: Live) -> dict[str, Any] | None:
    """Return the calibration of a live run as a profile holds it, without the camera's name; None before it starts."""
    from facewire.runtime.settings.profiles import Profile, compose

    try:
        calibration = live.pipeline.calibrator.calibration
    except CommandError:
        return None
    return compose(Profile("recorded", "", calibration))


def recorded_status(status: StatusCall, *, keep_device_names: bool) -> StatusCall:
    """Return ``status`` as it is recorded: without the devices' names unless the user agreed to keep them."""

    def call() -> Mapping[str, Any]:
        message = dict(status())
        if not keep_device_names:
            devices = message.get("devices") or {}
            message["devices"] = {part: without_names(device) for part, device in devices.items()}
        return message

    return call


def without_names(device: Mapping[str, Any]) -> dict[str, Any]:
    """Return a device's state without what could tell whose it is: its name, and errors, which quote it."""
    return {key: value for key, value in device.items() if key not in ("name", "error")}


def finish(takes: Takes, notify: Callable[[str], None]) -> None:
    """End the running take at the end of the program, and say in one line where it is or what went wrong."""
    try:
        path = takes.stop(keep_empty=False)
    except FacewireError as error:
        notify(str(error))
        return
    if path is not None:
        notify(f"recorded {path}")
