"""What the panel of a run needs of it."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from facewire.runtime.tools.network import own_address

if TYPE_CHECKING:
    from facewire.bridge.server.server import LiveServer
    from facewire.runtime.session.listener import Listener
    from facewire.runtime.session.options import LiveOptions
    from facewire.runtime.settings.settings import Settings


def first_settings(options: LiveOptions) -> Settings:
    """Return what the panel shows at the start."""
    from facewire.runtime.settings.settings import Settings

    tracking = options.tracking
    return Settings(
        video=options.inputs.video,
        mesh=tracking.mesh,
        smoothing=tracking.smoothing,
        mirror=tracking.mirror,
        mode=options.inputs.driven_by,
        sync=options.sync,
        silent=options.learning,
        mic_gate=options.speech.mic_gate,
    )


def cameras(started_with: str) -> list[dict[str, Any]]:
    """Return what the panel offers to watch: cameras, the demo face, and what the run was started with."""
    from facewire.runtime.capture.video.camera import list_cameras

    found = [{"id": str(camera.index), "name": camera.name} for camera in list_cameras()]
    found.append({"id": "demo", "name": "demo face"})
    if started_with not in ("none", *(camera["id"] for camera in found)):
        found.append({"id": started_with, "name": started_with})
    return found


def microphones(listener: Listener) -> list[dict[str, Any]]:
    """Return what the panel offers to listen to."""
    return [{"id": found.id, "name": found.name} for found in listener.microphones()]


def address(server: LiveServer) -> dict[str, Any]:
    """Return where other machines find the panel; ``url`` is None if only this machine may look."""
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
    return {"url": url.geturl(), "hint": "anyone who has this address can watch and control: share it with care"}
