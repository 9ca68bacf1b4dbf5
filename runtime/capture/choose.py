"""From what a user writes after ``--video`` to a source."""

from __future__ import annotations

import stat
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from facewire.bridge.shared.named import file_named, is_address
from facewire.bridge.shared.regular_file import look_at
from facewire.runtime.capture.remote.choose_phone import is_phone, phone_source
from facewire.runtime.capture.video.auto import AutoCamera
from facewire.runtime.capture.video.camera import (
    camera_source,
    device_camera_source,
    first_camera,
    list_cameras,
    named_camera_source,
    opens,
    pipe_source,
    stream_source,
)
from facewire.runtime.capture.video.cameras import MAX_NUMBER, is_called, is_device_path
from facewire.runtime.capture.video.demo import DemoSource
from facewire.runtime.capture.video.file import FileSource
from facewire.runtime.capture.video.source import CameraWish, CaptureError, Source


def choose_source(
    what: str,
    *,
    rate: float,
    loop: bool,
    demo_photo: Callable[[], Path],
    notify: Callable[[str], None],
    wish: CameraWish | None = None,
) -> Source | None:
    """Return the live source that ``what`` names; None for ``none``.

    ``rate`` and ``wish`` are what a camera is asked for. ``notify`` gets a line with the camera that ``auto`` takes, or
    if it finds none, with what a camera really gives, and if a second phone sends.

    Raises:
        CaptureError: no camera or file has that name.
    """
    if what == "none":
        return None
    wish = replace(wish or CameraWish(), rate=rate)
    if what == "auto":
        index = first_camera()
        if index is not None:
            return AutoCamera(index, wish=wish, notify=notify)
        notify("no camera found: running the demo face (choose an input with --video)")
    if what in ("auto", "demo"):
        return DemoSource(demo_photo, rate=min(rate, 30.0))
    if what.isascii() and what.isdigit():
        if len(what) > len(str(MAX_NUMBER)):
            raise CaptureError(f"no camera has the number {what[:20]}; list the cameras with: facewire doctor")
        if sys.platform == "darwin":
            opens(int(what))  # macOS asks for permission on the main thread only, which is where this runs
        return camera_source(int(what), wish=wish, notify=notify)
    if is_phone(what):
        return phone_source(what, notify)
    if is_address(what):
        return stream_source(what)
    return _camera_or_file(what, wish, loop, notify)


def _camera_or_file(what: str, wish: CameraWish, loop: bool, notify: Callable[[str], None]) -> Source:
    """Return the camera that is called so, the one whose path it is, or the file.

    Raises:
        CaptureError: there is neither, or the system does not say.
    """
    path = file_named(what)
    if any(is_called(camera, what) for camera in list_cameras()):  # though a file may be called "Webcam C920 v2.1"
        return named_camera_source(what, wish=wish, notify=notify)
    if is_device_path(what):
        return device_camera_source(what, wish=wish, notify=notify)
    try:
        found = look_at(path)
    except OSError as error:
        raise CaptureError(f"cannot open {path}: {error.strerror or error}") from None
    if found is not None and (stat.S_ISFIFO(found.st_mode) or stat.S_ISCHR(found.st_mode)):
        return pipe_source(path)
    if found is not None or len(path.parts) > 1:
        return FileSource(path, paced=True, loop=loop)
    return named_camera_source(what, wish=wish, notify=notify)
