"""The lowest seam of capture: the few calls of OpenCV's ``VideoCapture`` that the sources use."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

import cv2

from facewire.bridge.shared.arrays import Image
from facewire.runtime.capture.video.source import CameraWish

# FFmpeg's own words on a damaged file are many: we say it in a line. This is read when the first file opens.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
# One thread: the machine's others belong to the game, and small pictures gain nothing from more.
cv2.setNumThreads(1)

CAMERA_BACKENDS = {"linux": cv2.CAP_V4L2, "darwin": cv2.CAP_AVFOUNDATION, "win32": cv2.CAP_DSHOW}
"""Named, because asking for any backend tries them all, slowly and noisily."""

NETWORK_TIMEOUT_MS = 4000


class VideoCapture(Protocol):
    """The part of ``cv2.VideoCapture`` that is used."""

    def isOpened(self) -> bool: ...  # noqa: N802, the names are OpenCV's
    def grab(self) -> bool: ...
    def retrieve(self, image: Any = ...) -> tuple[bool, Any]: ...
    def get(self, propId: int) -> float: ...  # noqa: N803
    def set(self, propId: int, value: float) -> bool: ...  # noqa: N803
    def release(self) -> None: ...


Opener: TypeAlias = Callable[[int | str], VideoCapture]


def open_camera(target: int | str) -> VideoCapture:
    """Open a camera by index or device path with the platform's own backend."""
    return cv2.VideoCapture(target, CAMERA_BACKENDS.get(sys.platform, cv2.CAP_ANY))


def open_stream(target: int | str) -> VideoCapture:
    """Open a file, a named pipe or a network address with FFmpeg; give up on a silent network after some seconds."""
    timeouts = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, NETWORK_TIMEOUT_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, NETWORK_TIMEOUT_MS]
    return cv2.VideoCapture(str(target), cv2.CAP_FFMPEG, timeouts)


def retrieve(capture: VideoCapture, spare: Image | None) -> Image | None:
    """Decode the grabbed picture, into ``spare`` if its size fits; None if it is not a colour picture."""
    ok, image = capture.retrieve() if spare is None else capture.retrieve(spare)
    if not ok or image is None or image.ndim != 3 or image.shape[2] != 3:
        return None
    return image  # type: ignore[no-any-return]


def ask_for(capture: VideoCapture, wish: CameraWish) -> None:
    """Ask a camera's driver for what is wished; it gives what comes next to that."""
    capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*wish.pixels.upper()))
    capture.set(cv2.CAP_PROP_FRAME_WIDTH, wish.size[0])
    capture.set(cv2.CAP_PROP_FRAME_HEIGHT, wish.size[1])
    capture.set(cv2.CAP_PROP_FPS, wish.rate)
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 2)


def what_it_gives(capture: VideoCapture) -> str:
    """Return size, format and rate as the driver says them; empty if it does not say."""
    size = [round(capture.get(prop)) for prop in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)]
    if min(size) <= 0:
        return ""
    code = int(capture.get(cv2.CAP_PROP_FOURCC))
    letters = (code & 0x7FFFFFFF).to_bytes(4, "little").decode("latin-1") if code > 0 else ""
    pixels = letters.strip() if letters.isascii() and letters.isprintable() else ""
    rate = plausible_rate(capture)
    return ", ".join(
        text for text in (f"{size[0]}x{size[1]}", pixels, f"{rate:g} pictures a second" if rate else "") if text
    )


def plausible_rate(capture: VideoCapture) -> float:
    """Return the pictures a second that it is said to give; 0 if that cannot be."""
    rate = capture.get(cv2.CAP_PROP_FPS)
    return rate if 1.0 <= rate <= 1000.0 else 0.0
