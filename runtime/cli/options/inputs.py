"""The options of live runs: what to watch, what to listen to, and what becomes of it."""

from __future__ import annotations

import argparse

from facewire.runtime.cli.options.speech import add_speech_options, speech_options
from facewire.runtime.cli.options.usage import (
    add_flame_option,
    add_tracking_options,
    flame_option,
    positive,
    size,
    tracking_options,
)
from facewire.runtime.fusion.modes import MODES
from facewire.runtime.session.options import CAMERA_RATE, InputOptions, LiveOptions
from facewire.runtime.settings.choices import explained


def add_live_options(parser: argparse.ArgumentParser) -> None:
    """Add all options of a live run."""
    _add_input_options(parser)
    add_tracking_options(parser)
    add_flame_option(parser)
    add_speech_options(parser)
    _add_face_options(parser)
    parser.add_argument(
        "--keep-device-names",
        action="store_true",
        help="put the devices' names, which may reveal who you are, into recordings (default: leave them out)",
    )


def live_options(args: argparse.Namespace) -> LiveOptions:
    """Return what ``add_live_options``'s options ask for.

    Raises:
        UsageError: they do not go together, or name a file that does not exist.
    """
    return LiveOptions(
        inputs=InputOptions(
            args.video,
            args.audio,
            args.mouth,
            args.mode,
            args.rate or CAMERA_RATE,
            args.loop,
            camera_size=args.camera_size,
            camera_format=args.camera_format,
            rate_named=args.rate is not None,
        ),
        tracking=tracking_options(args),
        speech=speech_options(args),
        flame=flame_option(args),
        sync=args.sync,
        learning=not args.no_learning,
        keep_device_names=args.keep_device_names,
    )


def _add_input_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--video",
        metavar="SRC",
        default="auto",
        help="auto, a camera's number, name or path in /dev, a file, an address (rtsp://, http://), demo, none, or a "
        "phone or program that tracks the face already: livelink[:PORT], ifacialmocap:PHONE, vmc[:PORT] "
        "(default: auto)",
    )
    parser.add_argument(
        "--audio",
        metavar="SRC",
        default="auto",
        help="auto (the default microphone, if speech moves the mouth), a microphone's number or name, a file, demo, "
        "or none",
    )
    parser.add_argument("--loop", action="store_true", help="start a file again when it ends")
    parser.add_argument(
        "--camera-size",
        metavar="WxH",
        type=size,
        help="width and height to ask the camera for, such as 1280x720 (default: 640x480, for a high rate)",
    )
    parser.add_argument(
        "--camera-rate",
        "--rate",
        dest="rate",
        metavar="FPS",
        type=positive,
        help="pictures a second to ask the camera for (default: 60)",
    )
    parser.add_argument(
        "--camera-format",
        choices=("mjpg", "yuyv"),
        help="how the camera is to send its pictures: compressed, or as they are, which many do slowly (default: mjpg)",
    )


def _add_face_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--mode",
        choices=tuple(MODES),
        default="auto",
        help=f"who drives the face: {explained(MODES)} (default: auto)",
    )
    parser.add_argument(
        "--sync", action="store_true", help="make the faster of camera and microphone wait for the slower one"
    )
    parser.add_argument(
        "--no-learning", action="store_true", help="do not learn the face's range while streaming: profiles only"
    )
