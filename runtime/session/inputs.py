"""What a run watches and listens to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from facewire.bridge.shared.regular_file import are_same
from facewire.runtime.capture.video.source import CameraWish, CaptureError
from facewire.runtime.session.networks import fetch
from facewire.runtime.session.options import InputOptions

if TYPE_CHECKING:
    from facewire.runtime.capture.sound.sound_source import SoundSource
    from facewire.runtime.capture.video.source import Source

USER_KINDS = ("camera", "phone")
"""Sources that show the user, who may speak; not a file or the demo face, whose mouth is not the user's."""


@dataclass(frozen=True, slots=True)
class InputPlan:
    """What to open."""

    watch: bool
    """Open what ``--video`` names."""
    listen: bool
    """Open what ``--audio`` names."""
    sound_needed: bool = False
    """Without sound there is no run."""
    demo_if_silent: bool = False
    """If there is no sound either, open what ``--video`` names after all: ``auto`` is the demo face then."""


def choose_inputs(options: InputOptions, *, camera_found: bool, kind: str | None) -> InputPlan:
    """Return what to open. Pure: ``kind`` is what ``--video`` names, None if that is not known or nothing.

    A microphone is opened where speech may move the mouth: without a camera, beside a camera or a phone, or if one was
    named.
    """
    mic_disabled = options.mouth == "video" or options.mode == "camera"
    sound_needed = options.mouth == "audio" or options.mode in ("microphone", "mouth")
    no_camera = options.video == "auto" and not mic_disabled and not camera_found
    watch = options.video != "none" and not no_camera
    user_speaks = kind in USER_KINDS and not mic_disabled
    listen = options.audio != "auto" or not watch or sound_needed or user_speaks
    return InputPlan(watch, listen, sound_needed, demo_if_silent=no_camera)


def open_inputs(options: InputOptions, notify: Callable[[str], None]) -> tuple[Source | None, SoundSource | None]:
    """Return the sources of pictures and of sound, either of which may be None.

    Raises:
        CaptureError: an input that was asked for is not there.
    """
    from facewire.runtime.capture.remote.phone import PhoneSource
    from facewire.runtime.capture.video.camera import first_camera
    from facewire.runtime.capture.video.file import FileSource

    found = options.video != "auto" or first_camera() is not None
    plan = choose_inputs(options, camera_found=found, kind=None)
    source = make_source(options, options.video, notify) if plan.watch else None
    if isinstance(source, FileSource):
        source.check()  # now, and not when the networks have been loaded
    plan = choose_inputs(options, camera_found=found, kind=None if source is None else source.kind)
    sound = make_sound(options) if plan.listen else None
    if sound is None and plan.sound_needed:
        raise CaptureError("no microphone found: name what to listen to with --audio, or leave the mouth to the camera")
    if plan.demo_if_silent and sound is not None:
        notify(f"no camera found: {sound.name} moves the face (choose inputs with --video and --audio)")
    elif plan.demo_if_silent:
        source = make_source(options, options.video, notify)
    if isinstance(source, PhoneSource):
        source.open()  # now, so that a port that is taken is said at once
    keep_together(source, sound)
    return source, sound


def keep_together(source: Source | None, sound: SoundSource | None) -> None:
    """Have a video and a sound file begin at one moment; networks are loaded between the two."""
    from facewire.runtime.capture.sound.sound_file import SoundFile
    from facewire.runtime.capture.video.file import FileSource
    from facewire.runtime.capture.video.meeting import Meeting

    if isinstance(source, FileSource) and isinstance(sound, SoundFile):
        same = are_same(source.path, sound.path)
        source.meeting = sound.meeting = Meeting(each_round=same)


def gives_pictures(source: Source | None) -> bool:
    """Return whether there is something to look at, so that networks are needed."""
    return source is not None and source.gives == "pictures"


def make_source(options: InputOptions, what: str, notify: Callable[[str], None]) -> Source | None:
    """Return the source that ``what`` names, with this run's other options.

    Raises:
        CaptureError: no camera or file has that name.
    """
    from facewire.runtime.capture.choose import choose_source

    return choose_source(
        what,
        rate=options.rate,
        loop=options.loop,
        demo_photo=_demo_photo,
        notify=notify,
        wish=camera_wish(options),
    )


def camera_wish(options: InputOptions) -> CameraWish:
    """Return what a camera is asked for, by a run's options."""
    given = {"size": options.camera_size, "pixels": options.camera_format}
    named: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    by_user = frozenset((*named, "rate") if options.rate_named else named)
    return CameraWish(rate=options.rate, named=by_user, **named)


def make_sound(options: InputOptions) -> SoundSource | None:
    """Return the source that ``--audio`` names.

    Raises:
        CaptureError: no microphone or file has that name.
        ModelError: the demo's sound cannot be fetched.
    """
    from facewire.runtime.capture.sound.choose_sound import choose_sound

    return choose_sound(options.audio, loop=options.loop, demo_speech=_demo_speech)


def _demo_photo() -> Path:
    return fetch(["demo_face"])[0]


def _demo_speech() -> Path:
    return fetch(["demo_speech"])[0]
