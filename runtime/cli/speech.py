"""What the commands that listen share: their options, and making the pipeline that these ask for."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from facewire.runtime.cli.usage import UsageError, say

if TYPE_CHECKING:
    from facewire.bridge.frame import FaceFrame
    from facewire.runtime.capture.sound import SoundSource
    from facewire.runtime.capture.source import Source
    from facewire.runtime.mouth import SpeechFace, SpeechMouth
    from facewire.runtime.speak import SpeechDriver, SpeechPipeline

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
    from facewire.runtime.cli.networks import fetch, patience

    fetch(["voice_activity"])
    with patience():
        from facewire.models.speech.voice import VoiceDetector
        from facewire.runtime.speak import SpeechPipeline

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
        )
    from facewire.models.speech.causal import SpeechDriver

    look_ahead_ms = LOOK_AHEAD_MS["causal"] if args.look_ahead is None else args.look_ahead
    return SpeechDriver(look_ahead_ms, args.speech_style, args.expressiveness)


def choose_inputs(args: argparse.Namespace) -> tuple[Source | None, SoundSource | None]:
    """What to watch and what to listen to. Raises CaptureError where an input that was asked for is not there.

    A microphone is opened only where speech moves the mouth, or where one was named.
    """
    from facewire.runtime.capture.camera import first_camera
    from facewire.runtime.capture.choose import choose_source
    from facewire.runtime.capture.choose_sound import choose_sound
    from facewire.runtime.capture.source import CaptureError
    from facewire.runtime.cli.networks import fetch

    alone = args.video == "none" or (args.video == "auto" and args.mouth != "video" and first_camera() is None)
    wanted = alone or args.mouth == "audio" or args.audio != "auto"
    sound = choose_sound(args.audio, loop=args.loop) if wanted else None
    if sound is None and args.mouth == "audio":
        raise CaptureError("no microphone found: name what to listen to with --audio, or leave out --mouth audio")
    if alone and sound is not None:
        if args.video == "auto":
            say(f"no camera found: {sound.name} moves the face (choose inputs with --video and --audio)")
        return None, sound
    source = choose_source(
        args.video, rate=args.rate, loop=args.loop, demo_photo=lambda: fetch(["demo_face"])[0], report=say
    )
    return source, sound


def mouth_of(
    args: argparse.Namespace,
    source: Source | None,
    sound: SoundSource | None,
    publish: Callable[[FaceFrame], None],
) -> SpeechFace | SpeechMouth | None:
    """What makes frames of speech; None where speech moves nothing."""
    from facewire.runtime.clock import now_ns
    from facewire.runtime.mouth import SpeechFace, SpeechMouth

    if sound is None or (source is not None and args.mouth != "audio"):
        return None
    return SpeechFace(publish, now_ns) if source is None else SpeechMouth(publish, now_ns)
