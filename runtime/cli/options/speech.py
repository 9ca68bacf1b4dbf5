"""The options of the commands that move a face by speech."""

from __future__ import annotations

import argparse

from facewire.models.errors import ModelError
from facewire.models.speech.drivers import DEFAULT_DRIVER, DRIVERS, parse_driver, usages
from facewire.runtime.cli.options.usage import UsageError, require_file
from facewire.runtime.session.options import SpeechOptions
from facewire.runtime.settings.mic_gate import MicGate, parse_mic_gate


def add_speech_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of everything that moves a face by speech."""
    parser.add_argument(
        "--mouth",
        choices=("auto", "video", "audio"),
        default="auto",
        help="what moves the mouth: auto uses speech if there is no picture (default: auto)",
    )
    parser.add_argument(
        "--speech",
        metavar="MODEL",
        default=DEFAULT_DRIVER,
        help=f"what turns speech into motion: {_drivers()} (default: {DEFAULT_DRIVER})",
    )
    parser.add_argument(
        "--speech-encoder",
        metavar="PATH",
        help="a FaceFormer's wav2vec 2.0: a folder, a hub name, or an .onnx of `facewire models encoder`",
    )
    parser.add_argument(
        "--speech-style", metavar="N", type=int, default=0, help="number of the speaking style (default: 0)"
    )
    parser.add_argument(
        "--look-ahead",
        metavar="MS",
        type=int,
        help=f"how much sound to wait for before moving; more is later and steadier ({_look_aheads()})",
    )
    parser.add_argument(
        "--expressiveness",
        metavar="X",
        type=float,
        default=1.0,
        help="how strongly speech moves the face, 0 to 2 (default: 1; causal only)",
    )
    _add_gate_option(parser)


def _add_gate_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--mic-gate",
        metavar="DB",
        type=_gate,
        default="auto",
        help="voices that are too quiet to be yours and do not move the mouth: auto (far below your usual level, which "
        "is learned; a whisper at the microphone passes), off, or the quietest level that passes, in dB of full scale, "
        "such as -45 (default: auto)",
    )


def _gate(text: str) -> MicGate:
    try:
        return parse_mic_gate(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a level: give auto, off, or a number of dB from -90 to 0, such as -45"
        ) from None


def _drivers() -> str:
    return ", ".join(f"{' or '.join(usages(name))} ({kind.about})" for name, kind in DRIVERS.items())


def _look_aheads() -> str:
    texts = []
    for name, kind in DRIVERS.items():
        known = f"one of {', '.join(map(str, kind.look_aheads_ms))}, " if kind.look_aheads_ms else ""
        texts.append(f"{name}: {known}default {kind.look_ahead_ms}")
    return "; ".join(texts)


def speech_options(args: argparse.Namespace) -> SpeechOptions:
    """Return what ``add_speech_options``'s options ask for.

    Raises:
        UsageError: they name no driver, or do not go together.
    """
    try:
        name, weights = parse_driver(args.speech)
    except ModelError as error:
        raise UsageError(f"--speech: {error}") from None
    if args.speech_encoder is not None and not DRIVERS[name].takes_encoder:
        takers = " or ".join(usage for name, kind in DRIVERS.items() if kind.takes_encoder for usage in usages(name))
        raise UsageError(f"--speech-encoder goes with --speech {takers}: {DRIVERS[name].about} needs none")
    if weights is not None:
        require_file(weights)
    return SpeechOptions(
        driver=args.speech,
        encoder=args.speech_encoder,
        style=args.speech_style,
        look_ahead_ms=args.look_ahead,
        expressiveness=args.expressiveness,
        mic_gate=getattr(args, "mic_gate", "auto"),  # not every command that names a driver listens
    )
