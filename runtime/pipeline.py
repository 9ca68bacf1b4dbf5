"""From a picture to the values of a frame: tracker, presence, filters. Live runs and ``bake`` both go through here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import cv2
import numpy as np

from facewire.bridge.frame import FaceFrame, Float32Array
from facewire.runtime.capture.source import Image
from facewire.runtime.clock import Clock
from facewire.runtime.filter_config import FilterConfig
from facewire.runtime.filters import FaceFilter
from facewire.runtime.presence import Observed, Presence, PresenceConfig


class TrackedFace(Observed, Protocol):
    """What a tracker returns; its arrays are the tracker's own until its next step."""

    landmarks: Float32Array


class Tracker(Protocol):
    """Finds and follows one face."""

    def step(self, image_bgr: Image, now_ns: int) -> TrackedFace | None: ...
    def reset(self) -> None: ...


TrackerFactory = Callable[[str], Tracker]
"""Makes a tracker on a device: "auto", "cpu" or "cuda"."""


class FacePipeline:
    """One face's way from pictures to frames. Explicit state, no clock, no thread; used from one thread at a time."""

    def __init__(
        self,
        make_tracker: TrackerFactory,
        *,
        device: str = "auto",
        filters: FilterConfig | None = None,
        presence: PresenceConfig | None = None,
        mirror: bool = False,
    ) -> None:
        """Loads the networks and compiles the kernels: after this no step is slower than the others."""
        self._make_tracker, self._device = make_tracker, device
        self._tracker = make_tracker(device)
        self.filter = FaceFilter(filters)
        self.filter.warm_up()
        self.presence = Presence(presence)
        self.mirror = mirror
        self._mirrored: Image | None = None
        self._landmarks: Float32Array | None = None

    def track(self, image: Image, now_ns: int) -> None:
        """Looks for the face in a picture taken at ``now_ns``. Raises what the tracker raises."""
        face = self._tracker.step(self._flipped(image) if self.mirror else image, now_ns)
        # A copy: the frame keeps it, and the tracker's own is written over.
        self._landmarks = None if face is None else face.landmarks.copy()
        self.presence.step(face, now_ns)

    def lose(self, now_ns: int) -> None:
        """Says that there was nothing to look at, or that looking failed."""
        self._landmarks = None
        self.presence.step(None, now_ns)

    def finish(self, seq: int, capture_ns: int, step_ns: int, clock: Clock) -> FaceFrame:
        """Filters what was tracked at ``step_ns`` and makes the frame; ``clock`` stamps its publication."""
        presence = self.presence
        shapes, head, gaze = self.filter.step(presence.blendshapes, presence.head, presence.gaze, step_ns)
        confidence, sources = _unit(presence.confidence), presence.sources
        return FaceFrame(seq, capture_ns, clock(), sources, confidence, shapes, head, gaze, self._landmarks)

    def fall_back_to_cpu(self) -> bool:
        """Makes the tracker anew on the processor; False when it is there already."""
        if self._device == "cpu":
            return False
        self._device = "cpu"
        self._tracker = self._make_tracker("cpu")
        return True

    def _flipped(self, image: Image) -> Image:
        if self._mirrored is None or self._mirrored.shape != image.shape:
            self._mirrored = np.empty_like(image)
        cv2.flip(image, 1, dst=self._mirrored)
        return self._mirrored


def _unit(value: float) -> float:
    return min(max(value, 0.0), 1.0) if value == value else 0.0
