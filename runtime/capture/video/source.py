"""What every source of pictures or of tracked faces offers, and the errors it may raise."""

from __future__ import annotations

import os
import threading
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from facewire.bridge.shared.arrays import Image
from facewire.bridge.shared.clock import Clock
from facewire.bridge.shared.errors import FacewireError
from facewire.bridge.shared.face import FaceState


class CaptureError(FacewireError):
    """A source cannot be opened, or has stopped giving pictures."""


class SourceSilent(CaptureError):  # noqa: N818, it is a state and no failure: the source is open and goes on
    """Nothing comes from a source that is still open and may speak again at any time."""


@dataclass(frozen=True, slots=True)
class CameraWish:
    """What a camera is asked for. By default a small picture, for the networks see 256 pixels at most, compressed, for
    most cameras are slow without: so that its rate is high."""

    rate: float = 60.0
    size: tuple[int, int] = (640, 480)
    pixels: str = "mjpg"
    named: frozenset[str] = frozenset()
    """What of these a user asked for: "rate", "size", "pixels"."""

    def missed(self, gives: str) -> str:
        """Return, for people, what a user asked for and does not get; ``gives`` is what the driver says."""
        asked = {
            "size": f"{self.size[0]}x{self.size[1]}",
            "pixels": self.pixels.upper(),
            "rate": f"{self.rate:g} pictures a second",
        }
        missing = [text for what, text in asked.items() if what in self.named and text not in gives.split(", ")]
        return f" (asked for {', '.join(missing)}: it does not offer that)" if missing else ""


@dataclass(frozen=True, slots=True)
class CapturedImage:
    """One picture and the moment it was grabbed."""

    image: Image
    capture_ns: int
    """Session clock for live sources; time in the file for files that are read as fast as possible."""


@dataclass(frozen=True, slots=True)
class CapturedFace:
    """What a phone or another program says of a face, and when it came."""

    face: FaceState | None
    """None while it sees none; without landmarks, for it comes without a picture."""
    capture_ns: int
    """Session clock on arrival: the sender's own clock is not ours."""


Captured: TypeAlias = CapturedImage | CapturedFace


def whole_path(path: Path) -> str:
    """Return where a file is, from whatever folder it was named, so that a profile of it is found from each."""
    return os.path.abspath(path)  # noqa: PTH100, which would follow links or keep the dots


class Source(ABC):
    """One input. ``open``, ``read`` and ``close`` are called from one thread; ``interrupt`` from any."""

    name: str
    """What people call it, as in "camera 'HD Webcam'"; it may change while it runs, as may ``identity``."""
    kind: str
    """"camera", "url", "file", "demo" or "phone"."""
    gives: Literal["pictures", "faces"] = "pictures"
    returns: bool
    """Whether it may come back after a failure, as a camera does; a file that ends has ended."""
    rate: float = 0.0
    """Pictures a second that it is expected to give, known after ``open``; 0 if it does not say."""
    damage: str | None = None
    """What was wrong with a file, in a line, once it has been read to its end, be it the first of many; None if it was
    whole."""
    opened: str | None = None
    """What it listens on and who may send there, for people; None for what opens nothing."""

    def __init__(self) -> None:
        self._interrupted = threading.Event()
        self._identity: str | None = None
        self._formerly: tuple[str, ...] = ()

    @property
    def identity(self) -> str:
        """What it is known by again: a person's calibration belongs to this. Its name, where nothing else is known."""
        return self.name if self._identity is None else self._identity

    @property
    def formerly(self) -> tuple[str, ...]:
        """What earlier versions knew it by."""
        return self._formerly or (self.name,)

    def _be(self, name: str, identity: str, formerly: tuple[str, ...]) -> None:
        """Be known by these from now on."""
        self.name, self._identity, self._formerly = name, identity, formerly

    @abstractmethod
    def open(self) -> None:
        """Get ready to read; may be called again after ``close``.

        Raises:
            CaptureError: there is no such input, or it is in use.
        """

    @abstractmethod
    def read(self, spare: Image | None = None) -> Captured | None:
        """Wait for the next picture or face; return None at the end. ``spare`` is a picture that may be written over.

        Raises:
            SourceSilent: nothing has come for some time; read on.
            CaptureError: the source is lost.
        """

    @property
    def dropped(self) -> dict[str, int]:
        """What came and was not used, by reason; empty if there is none."""
        return {}

    @abstractmethod
    def close(self) -> None:
        """Lets the device go; safe to call twice."""

    def interrupt(self) -> None:
        """Wakes a ``read`` that waits for its time; it then returns None."""
        self._interrupted.set()

    def _sleep_until(self, due_ns: int, clock: Clock) -> bool:
        """Wait until ``due_ns``; return False when interrupted."""
        wait_s = (due_ns - clock()) * 1e-9
        return not (self._interrupted.wait(wait_s) if wait_s > 0 else self._interrupted.is_set())
