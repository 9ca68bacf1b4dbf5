"""From what a user writes after ``--video`` to a source."""

from __future__ import annotations

import stat
import sys
from collections.abc import Callable
from pathlib import Path

from facewire.runtime.capture.remote.choose_phone import is_phone, phone_source
from facewire.runtime.capture.video.camera import (
    camera_source,
    first_camera,
    is_called,
    list_cameras,
    named_camera_source,
    opens,
    stream_source,
)
from facewire.runtime.capture.video.demo import DemoSource
from facewire.runtime.capture.video.file import FileSource
from facewire.runtime.capture.video.source import Source


def choose_source(
    what: str,
    *,
    rate: float,
    loop: bool,
    demo_photo: Callable[[], Path],
    notify: Callable[[str], None],
) -> Source | None:
    """Return the live source that ``what`` names; None for ``none``.

    ``notify`` gets a line if ``auto`` finds no camera, or if a second phone sends.

    Raises:
        CaptureError: no camera or file has that name.
    """
    if what == "none":
        return None
    if what == "auto":
        index = first_camera()
        if index is not None:
            return camera_source(index, rate=rate)
        notify("no camera found: running the demo face (choose an input with --video)")
    if what in ("auto", "demo"):
        return DemoSource(demo_photo, rate=min(rate, 30.0))
    if what.isdigit():
        if sys.platform == "darwin":
            opens(int(what))  # macOS asks for permission on the main thread only, which is where this runs
        return camera_source(int(what), rate=rate)
    if is_phone(what):
        return phone_source(what, notify)
    if "://" in what:
        return stream_source(what)
    path = Path(what)
    if any(is_called(camera, what) for camera in list_cameras()):
        return named_camera_source(what, rate=rate)  # even if it could be a file's: "HD Pro Webcam C920 v2.1"
    if path.exists() and (stat.S_ISFIFO(path.stat().st_mode) or stat.S_ISCHR(path.stat().st_mode)):
        return stream_source(what)
    if path.exists() or len(path.parts) > 1:
        return FileSource(path, paced=True, loop=loop)
    return named_camera_source(what, rate=rate)
