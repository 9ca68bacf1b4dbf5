"""What a user chose for a run, parsed once: the command line makes these, and nothing else reads its arguments."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from facewire.models.face.trackers import DEFAULT_TRACKER
from facewire.models.speech.drivers import DEFAULT_DRIVER
from facewire.runtime.face.filter_config import DEFAULT_SMOOTHING, Smoothing
from facewire.runtime.fusion.modes import Mode
from facewire.runtime.settings.mic_gate import MicGate

if TYPE_CHECKING:
    from facewire.bridge.server.config import ServerConfig

OPEN_FLAME = "open"
"""What ``--flame`` accepts for the open head, apart from no value."""


CAMERA_RATE = 60.0
"""Pictures a second that a camera is asked for, unless a user says otherwise."""


@dataclass(frozen=True, slots=True)
class InputOptions:
    """What to watch, what to listen to, and which of them drives the face."""

    video: str = "auto"
    audio: str = "auto"
    mouth: Literal["auto", "video", "audio"] = "auto"
    mode: Mode = "auto"
    """As it was asked for; ``driven_by`` is what becomes of it."""
    rate: float = CAMERA_RATE
    """Pictures a second to ask a camera for."""
    loop: bool = False
    camera_size: tuple[int, int] | None = None
    """Width and height to ask a camera for; None is Facewire's choice, as with the format."""
    camera_format: str | None = None
    rate_named: bool = False
    """Whether the user asked for ``rate``."""

    @property
    def driven_by(self) -> Mode:
        """Who drives the face: ``mode``, or what ``mouth`` makes of it. The demo face is given the demo's speech."""
        speaks = self.mouth == "audio" or (self.mouth == "auto" and self.video == self.audio == "demo")
        return "mouth" if speaks and self.mode == "auto" else self.mode


@dataclass(frozen=True, slots=True)
class TrackingOptions:
    """How a face is tracked."""

    mesh: str = DEFAULT_TRACKER
    device: str = "auto"
    mirror: bool = False
    smoothing: Smoothing = DEFAULT_SMOOTHING


@dataclass(frozen=True, slots=True)
class SpeechOptions:
    """How speech moves a face."""

    driver: str = DEFAULT_DRIVER
    """As ``--speech`` accepts it."""
    encoder: str | None = None
    style: int = 0
    look_ahead_ms: int | None = None
    """None is the driver's default."""
    expressiveness: float = 1.0
    mic_gate: MicGate = "auto"
    """Which voices are too quiet to be the user's."""


@dataclass(frozen=True, slots=True)
class LiveOptions:
    """A live run, whatever becomes of its frames."""

    inputs: InputOptions = field(default_factory=InputOptions)
    tracking: TrackingOptions = field(default_factory=TrackingOptions)
    speech: SpeechOptions = field(default_factory=SpeechOptions)
    flame: str | None = None
    """A FLAME model's file, ``OPEN_FLAME``, or None for no FLAME."""
    sync: bool = False
    learning: bool = True
    """Whether the face's range is learned while streaming."""
    keep_device_names: bool = False


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """A live run that is streamed."""

    live: LiveOptions
    server: ServerConfig
    record: Path | None = None
    """The folder of the takes."""
    outputs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BakeOptions:
    """How files become takes."""

    tracking: TrackingOptions
    speech: SpeechOptions
    flame: str | None = None
    by_speech: bool = False
    """Whether speech moves the mouth of a video."""
    as_live: bool = False
    """Whether what speech moves is stamped when a live listener could have had it."""
    force: bool = False


@dataclass(frozen=True, slots=True)
class RecordOptions:
    """A live run that is recorded into one file."""

    live: LiveOptions
    output: Path
    force: bool = False
    duration_s: float | None = None
