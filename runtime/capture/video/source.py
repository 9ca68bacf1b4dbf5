"""What every source of pictures or of tracked faces offers, and the errors it may raise."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from dataclasses import dataclass
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


class Source(ABC):
    """One input. ``open``, ``read`` and ``close`` are called from one thread; ``interrupt`` from any."""

    name: str
    """What people call it, as in "camera 0 (HD Webcam)"."""
    kind: str
    """"camera", "url", "file", "demo" or "phone"."""
    gives: Literal["pictures", "faces"] = "pictures"
    returns: bool
    """Whether it may come back after a failure, as a camera does; a file that ends has ended."""
    rate: float = 0.0
    """Pictures a second that it is expected to give, known after ``open``; 0 if it does not say."""
    damage: str | None = None
    """What was wrong with a file, in a line, once it has been read to its end; None if it was whole."""
    opened: str | None = None
    """What it listens on and who may send there, for people; None for what opens nothing."""

    def __init__(self) -> None:
        self._interrupted = threading.Event()

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
