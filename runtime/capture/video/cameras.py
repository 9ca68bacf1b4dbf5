"""Which cameras there are, what they are, and by what each is known again."""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from facewire.runtime.capture.video.source import CaptureError
from facewire.runtime.capture.video.v4l2 import MAJOR, NodeFacts, ask_node

SYS_CAMERAS = Path("/sys/class/video4linux")
UNLISTED = 4
"""How many numbers are tried where the system lists no cameras (macOS, Windows)."""
MAX_NUMBER = 1000

CameraKind: TypeAlias = Literal["camera", "virtual", "infrared"]
KINDS: tuple[CameraKind, ...] = ("camera", "virtual", "infrared")
"""From the one to take first to the one to take last."""

_INFRARED = re.compile(r"\b(n?ir|infra-?red|hello|depth)\b|: integrated i$", re.IGNORECASE)
"""Names of cameras for logging in with a face. The system cuts names off, so a ThinkPad's ends in ``Integrated I``."""
_VIRTUAL = re.compile(
    r"virtual|loop ?back|dummy|\bobs\b|droidcam|iriun|epoccam|\bcamo\b|manycam|snap camera|webcamoid|xsplit|\bndi\b"
    r"|akvcam|vivid|screen|e2esoft|vcam|mmhmm|\bprism\b|streamlabs|nvidia broadcast",
    re.IGNORECASE,
)
_VIRTUAL_DRIVERS = ("v4l2 loopback", "v4l2loopback", "vivid", "akvcam", "droidcam", "vcam", "vimc")


@dataclass(frozen=True, slots=True)
class CameraInfo:
    """A camera that the system knows."""

    index: int
    name: str
    kind: CameraKind = "camera"
    """As far as its driver or its name tells."""
    hardware: str = ""
    """Maker, product and serial number, if it has them: the same under every number."""

    @property
    def seems(self) -> CameraKind:
        """What it is, by its name if nothing else tells."""
        return kind_of(self.name, None) if self.kind == "camera" else self.kind

    @property
    def identity(self) -> str:
        """What it is known by again, whatever number it has now and however it was chosen."""
        return f"{self.name} {self.hardware}".strip() if self.name else f"camera {self.index}"

    @property
    def called(self) -> str:
        """What people call it."""
        return f"camera {self.name!r}" if self.name else f"camera {self.index}"

    @property
    def label(self) -> str:
        """What tells it from others of its name."""
        return f"camera {self.index} ({self.name})" if self.name else f"camera {self.index}"

    @property
    def formerly(self) -> tuple[str, ...]:
        """What earlier versions called it, by its number or by its name: its profiles lie there."""
        if not self.name:
            return (f"camera {self.index}",)
        numbers = range(max(64, self.index + 1))
        return (f"camera {self.name!r}", *(f"camera {number} ({self.name})" for number in numbers))


def list_cameras(folder: Path = SYS_CAMERAS, ask: Callable[[Path], NodeFacts | None] | None = None) -> list[CameraInfo]:
    """Return the cameras by index, with their names; none if the system does not list them (macOS, Windows).

    ``ask`` asks a node what it is; without it the real nodes of the real folder are asked. Linux shows one camera as
    several nodes, and codecs and programs have nodes too: only those are cameras that pictures come out of.
    """
    if ask is None:
        ask = ask_node if folder == SYS_CAMERAS else lambda _: None
    cameras = []
    for node in folder.glob("video*") if folder.is_dir() else ():
        number = node.name.removeprefix("video")
        if number.isascii() and number.isdigit():
            facts = ask(Path("/dev") / node.name)
            if facts.captures if facts is not None else _read_text(node / "index", "0") == "0":
                cameras.append(_camera(node, int(number), facts))
    return sorted(cameras, key=lambda camera: camera.index)


def ranked(cameras: list[CameraInfo]) -> list[CameraInfo]:
    """Return ``cameras`` from the one to take first to the one to take last: by what they are, then by number."""
    return sorted(cameras, key=lambda camera: (KINDS.index(camera.seems), camera.index))


def kind_of(name: str, facts: NodeFacts | None) -> CameraKind:
    """Return what a camera is, by what its driver says and by its name."""
    if (facts is not None and facts.grey) or _INFRARED.search(name):
        return "infrared"
    if facts is not None and (facts.driver.casefold() in _VIRTUAL_DRIVERS or "v4l2loopback" in facts.bus):
        return "virtual"
    return "virtual" if _VIRTUAL.search(name) else "camera"


def is_called(camera: CameraInfo, name: str) -> bool:
    """Whether its name contains ``name``, capitals or not."""
    return name.casefold() in camera.name.casefold()


def find_camera(name: str, cameras: list[CameraInfo]) -> CameraInfo:
    """Return the camera that is called ``name``: of several one with colours, then the one of exactly this name.

    Raises:
        CaptureError: there is none; the message lists what there is.
    """

    def order(camera: CameraInfo) -> tuple[bool, bool, int]:
        exact = camera.name.casefold() == name.casefold()
        return camera.seems == "infrared", not exact, KINDS.index(camera.seems)

    called = [camera for camera in cameras if is_called(camera, name)]
    if called:
        return min(called, key=order)
    known = "; ".join(f"{camera.index}: {camera.name}" for camera in cameras) or "none"
    hint = "" if sys.platform == "linux" else " (names are known on Linux only: use a number)"
    raise CaptureError(f"no camera or file is called {name!r}; cameras here: {known}{hint}")


def is_device_path(what: str) -> bool:
    """Whether a path is a camera's: a video node, or one of the links to it by which the system knows it again."""
    if sys.platform == "win32":
        return False
    path = Path(what)
    if re.fullmatch(r"/dev/(video\d+|v4l/.+)", what):
        return True
    try:
        found = path.stat()
    except (OSError, ValueError):
        return False
    return stat.S_ISCHR(found.st_mode) and os.major(found.st_rdev) == MAJOR


def number_of(path: str) -> int | None:
    """Return the number that a video node or a link to one has now; None if it has none."""
    found = re.fullmatch(r"/dev/video(\d{1,6})", str(Path(path).resolve()))
    return int(found[1]) if found else None


def _camera(node: Path, number: int, facts: NodeFacts | None) -> CameraInfo:
    name = _read_text(node / "name", node.name)
    return CameraInfo(number, name, kind_of(name, facts), _hardware(node))


def _hardware(node: Path) -> str:
    """Return what a USB camera's plug says: the interface's folder is the device's child."""
    interface = (node / "device").resolve()
    device = interface.parent
    vendor, product = _read_text(device / "idVendor", ""), _read_text(device / "idProduct", "")
    if not (vendor and product):
        return ""
    part = _read_text(interface / "bInterfaceNumber", "00")  # the infrared half of one has another
    serial = _read_text(device / "serial", "")
    return " ".join(text for text in (f"{vendor}:{product}", serial, "" if part == "00" else f"part {part}") if text)


def _read_text(path: Path, default: str) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip() or default
    except OSError:
        return default
