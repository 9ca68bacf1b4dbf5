"""What the commands that listen share: their options, and making the pipeline that these ask for."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from facewire.runtime.cli.options.usage import UsageError, say

if TYPE_CHECKING:
    from facewire.models.flame import FlameModel
    from facewire.runtime.capture.video.source import Source
    from facewire.runtime.fusion.modes import Mode
    from facewire.runtime.sound.blocks import SoundSource
    from facewire.runtime.speech.pipeline import SpeechDriver, SpeechPipeline
    from facewire.runtime.speech.thread import Speak, TakeTick, Tap

FACEFORMER = "faceformer:"
LOOK_AHEAD_MS = {"causal": 40, "faceformer": 200}
"""What is taken where nothing is asked for."""


def add_speech_options(parser: argparse.ArgumentParser) -> None:
    """The options of everything that moves a face by speech."""
    parser.add_argument(
        "--mouth",
        choices=("auto", "video", "audio"),
        default="auto",
        help="what moves the mouth: auto takes speech where there is no picture (default: auto)",
    )
    parser.add_argument(
        "--speech",
        metavar="MODEL",
        default="causal",
        help="our own network (causal), or a published FaceFormer as faceformer:FILE.pth (default: causal)",
    )
    parser.add_argument(
        "--speech-encoder",
        metavar="PATH",
        help="a FaceFormer's wav2vec 2.0: a folder, a hub name, or an .onnx of `facewire models encoder`",
    )
    parser.add_argument("--speech-style", metavar="N", type=int, default=0, help="whose way of speaking (default: 0)")
    parser.add_argument(
        "--look-ahead",
        metavar="MS",
        type=int,
        help="how much sound to wait for before moving; later and steadier (causal: 0, 20, 40 or 80, default 40; "
        "faceformer: default 200)",
    )
    parser.add_argument(
        "--expressiveness",
        metavar="X",
        type=float,
        default=1.0,
        help="how strongly speech moves the face, 0 to 2 (default: 1; causal only)",
    )


def check_speech(args: argparse.Namespace) -> None:
    """Raises UsageError for options that do not go together."""
    if args.speech != "causal" and not args.speech.startswith(FACEFORMER):
        raise UsageError(f"--speech is causal or {FACEFORMER}FILE.pth, not {args.speech!r}")
    if args.speech_encoder is not None and args.speech == "causal":
        raise UsageError(f"--speech-encoder goes with --speech {FACEFORMER}FILE.pth: our own network needs none")


def make_speech(args: argparse.Namespace) -> SpeechPipeline:
    """The pipeline for ``add_speech_options``'s options. Raises ModelError."""
    from facewire.runtime.cli.options.networks import fetch, patience

    fetch(["voice_activity"])
    with patience():
        from facewire.models.speech.voice import VoiceDetector
        from facewire.runtime.speech.pipeline import SpeechPipeline

        return SpeechPipeline(make_driver(args), VoiceDetector())


def make_driver(args: argparse.Namespace) -> SpeechDriver:
    """The driver that ``--speech`` names. Raises ModelError."""
    if args.speech.startswith(FACEFORMER):
        from facewire.models.speech.published import open_faceformer

        return open_faceformer(
            Path(args.speech.removeprefix(FACEFORMER)),
            args.speech_encoder,
            look_ahead_ms=LOOK_AHEAD_MS["faceformer"] if args.look_ahead is None else args.look_ahead,
            style=args.speech_style,
            device=args.device,
            flame=spoken_flame(args),
        )
    from facewire.models.speech.causal import SpeechDriver

    look_ahead_ms = LOOK_AHEAD_MS["causal"] if args.look_ahead is None else args.look_ahead
    return SpeechDriver(look_ahead_ms, args.speech_style, args.expressiveness)


def spoken_flame(args: argparse.Namespace) -> FlameModel | None:
    """The FLAME whose parameters a published FaceFormer can give: ``--flame``'s, where it is of VOCASET's mesh; else
    FLAME follows the shapes, as with our own network. Raises ModelError."""
    if getattr(args, "flame", None) is None:
        return None
    from facewire.models.flame.vertices import VOCASET_VERTICES
    from facewire.runtime.cli.options.networks import flame_model

    model = flame_model(args.flame)
    if len(model.template) == VOCASET_VERTICES:
        return model
    say(
        f"{model.name} is not the mesh that FaceFormer moves: FLAME follows its blendshapes (name a FLAME file of "
        f"{VOCASET_VERTICES} vertices with --flame to have its own motion)"
    )
    return None


def chosen_mode(args: argparse.Namespace) -> Mode:
    """Who drives the face: ``--mode``, or what ``--mouth`` makes of it. The demo face is given the demo's speech."""
    speaks = args.mouth == "audio" or (args.mouth == "auto" and args.video == args.audio == "demo")
    return "mouth" if speaks and args.mode == "auto" else args.mode


def choose_inputs(args: argparse.Namespace) -> tuple[Source | None, SoundSource | None]:
    """What to watch and what to listen to. Raises CaptureError where an input that was asked for is not there.

    A microphone is opened where speech may move the mouth: without a camera, beside a camera or a phone, or where one
    was named; not beside a file or the demo face, whose mouth is not the user's.
    """
    from facewire.runtime.capture.remote.phone import PhoneSource
    from facewire.runtime.capture.video.camera import first_camera
    from facewire.runtime.capture.video.source import CaptureError

    deaf = args.mouth == "video" or args.mode == "camera"
    spoken = args.mouth == "audio" or args.mode in ("microphone", "mouth")
    blind = args.video == "none" or (args.video == "auto" and not deaf and first_camera() is None)
    source = None if blind else make_source(args, args.video)
    user = source is not None and source.kind in ("camera", "phone")
    wanted = args.audio != "auto" or blind or spoken or (user and not deaf)
    sound = make_sound(args) if wanted else None
    if sound is None and spoken:
        raise CaptureError("no microphone found: name what to listen to with --audio, or leave the mouth to the camera")
    if blind and sound is not None:
        if args.video == "auto":
            say(f"no camera found: {sound.name} moves the face (choose inputs with --video and --audio)")
        return None, sound
    if blind:
        source = make_source(args, args.video)  # The demo, unless nothing is to be watched.
    if isinstance(source, PhoneSource):
        source.open()  # now, so that a port that is taken is said at once
    return source, sound


def gives_pictures(source: Source | None) -> bool:
    """Whether there is something to look at, so that networks are needed."""
    return source is not None and source.gives == "pictures"


def make_source(args: argparse.Namespace, what: str) -> Source | None:
    """The source that ``what`` names, with this run's other options. Raises CaptureError."""
    from facewire.runtime.capture.choose import choose_source
    from facewire.runtime.cli.options.networks import fetch

    return choose_source(what, rate=args.rate, loop=args.loop, demo_photo=lambda: fetch(["demo_face"])[0], report=say)


def make_sound(args: argparse.Namespace) -> SoundSource | None:
    """The source that ``--audio`` names. Raises CaptureError, and ModelError where the demo's cannot be had."""
    from facewire.runtime.capture.sound.choose_sound import choose_sound
    from facewire.runtime.cli.options.networks import fetch

    return choose_sound(args.audio, loop=args.loop, demo_speech=lambda: fetch(["demo_speech"])[0])


class Listener:
    """What a run listens to, which may change while it runs. ``take_tick`` gets speech, ``tap`` the sound itself."""

    def __init__(self, args: argparse.Namespace, sound: SoundSource | None, take_tick: TakeTick, tap: Tap) -> None:
        from facewire.runtime.speech.thread import Speak

        self._args = args
        self._make: Callable[[SoundSource], Speak] = lambda source: Speak(source, take_tick, tap=tap, report=say)
        self.speak = None if sound is None else self._make(sound)

    @property
    def name(self) -> str | None:
        """What is listened to, or None."""
        return None if self.speak is None else self.speak.capture.source.name

    def start(self) -> None:
        """Loads the networks and listens. Raises ModelError."""
        if self.speak is not None:
            self.speak.start(lambda: make_speech(self._args))

    def stop(self) -> None:
        """Ends it; safe to call twice."""
        if self.speak is not None:
            self.speak.stop()

    def status(self) -> dict[str, Any]:
        """The microphone's part of the status message."""
        return {} if self.speak is None else self.speak.status()

    def listen_to(self, what: str) -> None:
        """Listens to the microphone with this number from now on. Raises CaptureError, ModelError and CommandError."""
        from facewire.bridge.shared.errors import CommandError
        from facewire.runtime.capture.sound.microphone import Microphone, find_microphone, list_microphones

        if not what.isdigit():
            raise CommandError("choose a microphone by the id that devices lists")
        find_microphone(what, list_microphones())
        fresh, old = self._make(Microphone(what)), self.speak
        fresh.start(lambda: make_speech(self._args))
        self.speak = fresh
        if old is not None:
            old.stop()
