"""Cameras by index, name or device path, and network addresses."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2

from facewire.bridge.shared.arrays import Image
from facewire.bridge.shared.clock import Clock, now_ns
from facewire.runtime.capture.video.opencv import Opener, VideoCapture, open_camera, open_stream, retrieve
from facewire.runtime.capture.video.source import CapturedImage, CaptureError, Source

SYS_CAMERAS = Path("/sys/class/video4linux")


@dataclass(frozen=True, slots=True)
class CameraInfo:
    """A camera that the system knows."""

    index: int
    name: str


def list_cameras(folder: Path = SYS_CAMERAS) -> list[CameraInfo]:
    """Return the cameras by index, with their names; none if the system does not list them (macOS, Windows).

    Linux shows one camera as several nodes; only its first gives pictures (the others carry metadata).
    """
    cameras = []
    for node in folder.glob("video*") if folder.is_dir() else ():
        number = node.name.removeprefix("video")
        if number.isdigit() and _read_text(node / "index", "0") == "0":
            cameras.append(CameraInfo(int(number), _read_text(node / "name", node.name)))
    return sorted(cameras, key=lambda camera: camera.index)


def is_called(camera: CameraInfo, name: str) -> bool:
    """Whether its name contains ``name``, capitals or not."""
    return name.casefold() in camera.name.casefold()


def find_camera(name: str, cameras: list[CameraInfo]) -> CameraInfo:
    """Return the first camera that is called ``name``.

    Raises:
        CaptureError: there is none; the message lists what there is.
    """
    for camera in cameras:
        if is_called(camera, name):
            return camera
    known = "; ".join(f"{camera.index}: {camera.name}" for camera in cameras) or "none"
    hint = "" if sys.platform == "linux" else " (names are known on Linux only: use a number)"
    raise CaptureError(f"no camera or file is called {name!r}; cameras here: {known}{hint}")


def first_camera(opener: Opener = open_camera) -> int | None:
    """Index of the camera that "auto" means; where the system does not list them, 0 if it opens."""
    if sys.platform == "linux":
        cameras = list_cameras()
        return cameras[0].index if cameras else None
    return 0 if opens(0, opener) else None


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
        rate: float = 60.0,
        opener: Opener = open_camera,
        clock: Clock = now_ns,
    ) -> None:
        """``target`` is asked at each opening: a camera that is plugged in again may have another number."""
        super().__init__()
        self.name, self.kind = name, kind
        self._target, self._opener, self._clock, self._asked_rate = target, opener, clock, rate
        self._capture: VideoCapture | None = None

    def open(self) -> None:
        target = self._target()
        capture = self._opener(target)
        if not capture.isOpened():
            capture.release()
            raise CaptureError(f"{self.name} {_why_closed(target)}")
        if self.kind == "camera":
            _ask_for(capture, self._asked_rate)
        self.rate = _plausible_rate(capture)
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


def camera_source(index: int, *, rate: float = 60.0, opener: Opener = open_camera) -> DeviceSource:
    """Return the camera with this index."""
    names = {camera.index: camera.name for camera in list_cameras()}
    name = f"camera {index}" + (f" ({names[index]})" if index in names else "")
    return DeviceSource(name, lambda: index, rate=rate, opener=opener)


def named_camera_source(name: str, *, rate: float = 60.0) -> DeviceSource:
    """Return the camera whose name contains ``name``.

    Raises:
        CaptureError: there is none now.
    """
    camera = find_camera(name, list_cameras())
    return DeviceSource(f"camera {camera.name!r}", lambda: find_camera(name, list_cameras()).index, rate=rate)


def stream_source(address: str) -> DeviceSource:
    """Return the source of a network address that FFmpeg reads, or a named pipe."""
    kind = "url" if "://" in address else "pipe"
    shown = re.sub(r"//[^/@]*@", "//", address)  # never show a password
    return DeviceSource(shown, lambda: address, kind=kind, opener=open_stream)


def _ask_for(capture: VideoCapture, rate: float) -> None:
    """Ask for a small picture: the networks see 256 pixels at most, so a high rate is worth more."""
    capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))  # most cameras are slow without compression
    capture.set(cv2.CAP_PROP_FRAME_WIDTH, 640)
    capture.set(cv2.CAP_PROP_FRAME_HEIGHT, 480)
    capture.set(cv2.CAP_PROP_FPS, rate)
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 2)


def _plausible_rate(capture: VideoCapture) -> float:
    rate = capture.get(cv2.CAP_PROP_FPS)
    return rate if 1.0 <= rate <= 1000.0 else 0.0


def _why_closed(target: int | str) -> str:
    if isinstance(target, str):
        return "cannot be opened: check the address, and that something is sending there"
    device = Path(f"/dev/video{target}")
    if sys.platform == "linux" and not device.exists():
        return "was not found: plug it in, or list the devices with: facewire doctor"
    if sys.platform == "linux" and not os.access(device, os.R_OK | os.W_OK):
        return f"is not open to you: add yourself to the group that owns {device} (often: video)"
    return "cannot be opened: is it free of other programs, and are they allowed to use the camera?"


def _read_text(path: Path, default: str) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip() or default
    except OSError:
        return default
