"""The panel of ``facewire serve``: its options, and what it needs of the command line."""

from __future__ import annotations

import argparse
import ipaddress
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from facewire.runtime.cli.options.networks import tracker_factory
from facewire.runtime.cli.options.speech import chosen_mode, make_source
from facewire.runtime.fusion.modes import MODES
from facewire.runtime.settings.choices import explained
from facewire.runtime.tools.network import own_address

if TYPE_CHECKING:
    from facewire.bridge.server.server import LiveServer
    from facewire.runtime.cli.options.speech import Listener
    from facewire.runtime.live import Live
    from facewire.runtime.panel.commands import Panel
    from facewire.runtime.panel.outputs import OutputSwitches


PANEL_STREAMS = ("blendshapes", "head", "gaze", "landmarks", "raw", "preview")
"""Streams that a run with a panel gives."""


def add_face_options(parser: argparse.ArgumentParser) -> None:
    """The options of calibration and of fusion."""
    parser.add_argument(
        "--mode",
        choices=tuple(MODES),
        default="auto",
        help=f"who drives the face: {explained(MODES)} (default: auto)",
    )
    parser.add_argument(
        "--sync", action="store_true", help="have the faster of camera and microphone wait for the slower one"
    )
    parser.add_argument(
        "--no-learning", action="store_true", help="do not learn the face's range while streaming: profiles only"
    )


def make_panel(
    args: argparse.Namespace,
    live: Live,
    listener: Listener,
    server: Callable[[], LiveServer],
    outputs: OutputSwitches,
) -> Panel:
    """The panel for a run with these options; ``server`` gives what it listens on, once there is one."""
    from facewire.runtime.panel.commands import Panel
    from facewire.runtime.panel.services import PanelServices
    from facewire.runtime.settings.settings import Settings

    settings = Settings(
        video=args.video,
        mesh=args.mesh,
        smoothing=args.smoothing,
        mirror=args.mirror,
        mode=chosen_mode(args),
        sync=args.sync,
        silent=not args.no_learning,
    )
    return Panel(
        live,
        settings,
        PanelServices(
            source=lambda what: make_source(args, what),
            tracker_factory=tracker_factory,
            cameras=lambda: cameras(args.video),
            address=lambda: address(server()),
            microphones=microphones,
            listen_to=listener.listen_to,
            audio=lambda: listener.name,
            speech=lambda: listener.driver,
            speak_with=listener.speak_with,
            outputs=outputs.kept,
            use_outputs=outputs.use,
        ),
    )


def cameras(started_with: str) -> list[dict[str, Any]]:
    """What the panel offers to watch: cameras, the demo face, and what the run was started with."""
    from facewire.runtime.capture.video.camera import list_cameras

    found = [{"id": str(camera.index), "name": camera.name} for camera in list_cameras()]
    found.append({"id": "demo", "name": "demo face"})
    if started_with not in ("none", *(camera["id"] for camera in found)):
        found.append({"id": started_with, "name": started_with})
    return found


def microphones() -> list[dict[str, Any]]:
    """What the panel offers to listen to; nothing where microphones cannot be used."""
    from facewire.runtime.capture.sound.microphone import list_microphones
    from facewire.runtime.capture.video.source import CaptureError

    try:
        return [{"id": str(found.index), "name": found.name} for found in list_microphones()]
    except CaptureError:
        return []


def address(server: LiveServer) -> dict[str, Any]:
    """Where other machines find the panel; ``url`` is None where only this machine may look."""
    host = server.address[0]
    try:
        local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = host == "localhost"
    if local:
        return {"url": None, "hint": "start with --listen 0.0.0.0 to watch from another machine"}
    url = urlsplit(server.page_url)
    if ipaddress.ip_address(host).is_unspecified:
        url = url._replace(netloc=f"{own_address()}:{server.address[1]}")
    return {"url": url.geturl(), "hint": "whoever has this address can watch and control: share it with care"}
