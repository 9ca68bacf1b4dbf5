"""Cameras by index, name or device path, and network addresses."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from facewire.bridge.shared.arrays import Image
from facewire.bridge.shared.clock import Clock, now_ns
from facewire.bridge.shared.named import for_ffmpeg
from facewire.runtime.capture.video.cameras import (
    UNLISTED,
    CameraInfo,
    find_camera,
    number_of,
    ranked,
)
from facewire.runtime.capture.video.cameras import list_cameras as list_cameras
from facewire.runtime.capture.video.opencv import (
    Opener,
    VideoCapture,
    ask_for,
    open_camera,
    open_stream,
    plausible_rate,
    retrieve,
    what_it_gives,
)
from facewire.runtime.capture.video.source import CameraWish, CapturedImage, CaptureError, Source, whole_path

Find: TypeAlias = Callable[["CameraInfo | None", list[CameraInfo]], tuple["int | str", "CameraInfo | None"]]
"""From the camera that it was before, if it was one, and those that there are now, to what is to be opened."""


def first_camera(opener: Opener = open_camera) -> int | None:
    """Index of the camera that "auto" tries first; where the system does not list them, of the first that opens."""
    if sys.platform == "linux":
        cameras = ranked(list_cameras())
        return cameras[0].index if cameras else None
    return next((index for index in range(UNLISTED) if opens(index, opener)), None)


def opens(index: int, opener: Opener = open_camera) -> bool:
    """Whether this camera can be opened now."""
    capture = opener(index)
    try:
        return capture.isOpened()
    finally:
        capture.release()


class DeviceSource(Source):
    """A device that gives pictures at its own pace: a camera, a network address or a named pipe."""

    returns = True

    def __init__(
        self,
        name: str,
        target: Callable[[], int | str],
        *,
        kind: str = "camera",
        wish: CameraWish | None = None,
        opener: Opener = open_camera,
        clock: Clock = now_ns,
    ) -> None:
        """``target`` is asked at each opening: a camera that is plugged in again may have another number."""
        super().__init__()
        self.name, self.kind = name, kind
        self._target, self._opener, self._clock = target, opener, clock
        self._wish = wish or CameraWish()
        self.gives_now = ""
        """Size, format and rate of its pictures as the driver says them, for people; empty if it does not say."""
        self._capture: VideoCapture | None = None

    def be_known_as(self, identity: str) -> None:
        """Be known again by this in place of the name."""
        self._be(self.name, identity, (self.name,))

    def open(self) -> None:
        target = self._target()
        capture = self._opener(target)
        if not capture.isOpened():
            capture.release()
            raise CaptureError(f"{self.name} {_why_closed(target, self.kind)}")
        if self.kind == "camera":
            ask_for(capture, self._wish)
            self.gives_now = what_it_gives(capture)
        self.rate = plausible_rate(capture)
        self._capture = capture

    def read(self, spare: Image | None = None) -> CapturedImage | None:
        if self._capture is None:
            raise CaptureError(f"{self.name} is not open")
        if self._interrupted.is_set():
            return None
        grabbed = self._capture.grab()
        capture_ns = self._clock()
        image = retrieve(self._capture, spare) if grabbed else None
        if image is None:
            hint = (
                "is it unplugged, or used by another program?" if self.kind == "camera" else "has the sender stopped?"
            )
            raise CaptureError(f"{self.name} gives no picture: {hint}")
        return CapturedImage(image, capture_ns)

    def close(self) -> None:
        if self._capture is not None:
            self._capture.release()
            self._capture = None


class CameraSource(DeviceSource):
    """A camera, looked up again at each opening: it may have come back under another number.

    State: the camera that it was, and what was said of its pictures.
    """

    def __init__(
        self,
        name: str,
        find: Find,
        *,
        wish: CameraWish | None = None,
        notify: Callable[[str], None] = lambda _: None,
        opener: Opener = open_camera,
        clock: Clock = now_ns,
    ) -> None:
        """``notify`` gets a line with what the camera really gives, once."""
        super().__init__(name, self._look_up, wish=wish, opener=opener, clock=clock)
        self._find, self._notify = find, notify
        self._camera: CameraInfo | None = None
        self._said = ""
        self._look_up()

    def open(self) -> None:
        super().open()
        line = f"{self.name} gives {self.gives_now}{self._wish.missed(self.gives_now)}"
        if self.gives_now and line != self._said:
            self._said = line
            self._notify(line)

    def _look_up(self) -> int | str:
        target, camera = self._find(self._camera, list_cameras())
        if camera is not None:
            self._camera = camera
            self._be(camera.called, camera.identity, camera.formerly)
        return target


def camera_source(
    index: int,
    *,
    wish: CameraWish | None = None,
    notify: Callable[[str], None] = lambda _: None,
    opener: Opener = open_camera,
) -> CameraSource:
    """Return the camera with this index; if it comes back under another one, it is taken there."""

    def find(before: CameraInfo | None, cameras: list[CameraInfo]) -> tuple[int | str, CameraInfo | None]:
        same = [camera for camera in cameras if before is not None and camera.identity == before.identity]
        here = [camera for camera in cameras if camera.index == index]
        found = next((camera for camera in here if camera in same), None) or next(iter((*same, *here)), None)
        return (index, None) if found is None else (found.index, found)

    return CameraSource(f"camera {index}", find, wish=wish, notify=notify, opener=opener)


def named_camera_source(
    name: str, *, wish: CameraWish | None = None, notify: Callable[[str], None] = lambda _: None
) -> CameraSource:
    """Return the camera whose name contains ``name``.

    Raises:
        CaptureError: there is none now.
    """

    def find(_before: CameraInfo | None, cameras: list[CameraInfo]) -> tuple[int | str, CameraInfo | None]:
        camera = find_camera(name, cameras)
        return camera.index, camera

    return CameraSource(f"camera {name!r}", find, wish=wish, notify=notify)


def device_camera_source(
    path: str, *, wish: CameraWish | None = None, notify: Callable[[str], None] = lambda _: None
) -> CameraSource:
    """Return the camera at a video node, or at a link to one: where that leads is looked up at each opening."""

    def find(_before: CameraInfo | None, cameras: list[CameraInfo]) -> tuple[int | str, CameraInfo | None]:
        number = number_of(path)
        camera = next((camera for camera in cameras if camera.index == number), None)
        return path if number is None else number, camera

    return CameraSource(f"camera {path}", find, wish=wish, notify=notify)


def stream_source(address: str) -> DeviceSource:
    """Return the source of a network address that FFmpeg reads."""
    shown = re.sub(r"//[^/@]*@", "//", address)  # never show a password
    return DeviceSource(shown, lambda: address, kind="url", opener=open_stream)


def pipe_source(path: Path) -> DeviceSource:
    """Return the source of a named pipe, or of a device that is no camera, which FFmpeg reads."""
    source = DeviceSource(str(path), lambda: for_ffmpeg(path), kind="pipe", opener=open_stream)
    source.be_known_as(whole_path(path))
    return source


def _why_closed(target: int | str, kind: str) -> str:
    if kind != "camera":
        what = "address" if kind == "url" else "name"
        return f"cannot be opened: check the {what}, and that something is sending there"
    device = Path(target if isinstance(target, str) else f"/dev/video{target}")
    if sys.platform == "linux" and not os.path.exists(device):  # noqa: PTH110, which raises for some names
        return "was not found: plug it in, or list the devices with: facewire doctor"
    if sys.platform == "linux" and not os.access(device, os.R_OK | os.W_OK):
        return f"is not open to you: add yourself to the group that owns {device} (often: video)"
    return "cannot be opened: is it free of other programs, and are they allowed to use the camera?"
