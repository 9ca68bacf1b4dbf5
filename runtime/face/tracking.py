"""The network that follows the face: which one, on which device, and what if the device fails."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from facewire.bridge.shared.arrays import Image
from facewire.bridge.shared.face import FaceState


class Tracker(Protocol):
    """Finds and follows one face."""

    def step(self, image_bgr: Image, now_ns: int) -> FaceState | None:
        """Return the face in an image, the tracker's own until its next step; None if there is none."""

    def reset(self) -> None:
        """Forget the face."""


TrackerFactory = Callable[[str], Tracker]
"""Makes a tracker on a device: "auto", "cpu" or "cuda"."""


class Tracking:
    """The tracker in use. State: the tracker's, and the device."""

    def __init__(self, make_tracker: TrackerFactory | None, device: str) -> None:
        """Load the networks; without ``make_tracker`` there is no camera, and so no tracker."""
        self._make_tracker, self.device = make_tracker, device
        self.tracker = None if make_tracker is None else make_tracker(device)

    def step(self, image_bgr: Image, now_ns: int) -> FaceState | None:
        """Return the face in a picture of ``now_ns``, the tracker's own until the next step; None if there is none."""
        assert self.tracker is not None
        return self.tracker.step(image_bgr, now_ns)

    def use(self, make_tracker: TrackerFactory, tracker: Tracker) -> None:
        """Follow the face with another network from the next picture on."""
        self._make_tracker, self.tracker = make_tracker, tracker

    def fall_back_to_cpu(self) -> bool:
        """Make the tracker again, on the processor; False if it is there already."""
        if self.device == "cpu" or self._make_tracker is None:
            return False
        self.device = "cpu"
        self.tracker = self._make_tracker("cpu")
        return True
