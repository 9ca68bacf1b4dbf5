"""From pictures and speech to the values of a frame: tracker, calibration, presence, fusion, filters. Live runs and
``bake`` both go through here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import cv2
import numpy as np

from facewire.bridge.frame import FaceFrame, Float32Array
from facewire.runtime.calibrate import Calibrator
from facewire.runtime.capture.source import Image
from facewire.runtime.clock import Clock
from facewire.runtime.filter_config import FilterConfig
from facewire.runtime.filters import FaceFilter
from facewire.runtime.fuse import Fusion, Speech
from facewire.runtime.presence import Observed, Presence, PresenceConfig
from facewire.runtime.sampling import Sampling
from facewire.runtime.trust import MouthTrust


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
        calibrator: Calibrator | None = None,
        fusion: Fusion | None = None,
    ) -> None:
        """Loads the networks and compiles the kernels: after this no step is slower than the others."""
        self._make_tracker, self._device = make_tracker, device
        self._tracker = make_tracker(device)
        self.filter = FaceFilter(filters)
        self.filter.warm_up()
        self.presence = Presence(presence)
        self.calibrator = calibrator or Calibrator()
        self.calibrator.warm_up()
        self.trust = MouthTrust()
        self.fusion = fusion or Fusion()
        self.sampling: Sampling | None = None
        """A capture for calibration that is running, or none."""
        self.mirror = mirror
        self._speech: Speech | None = None
        self._raw: Float32Array | None = None
        self._video_ns = 0
        self._mirrored: Image | None = None
        self._landmarks: Float32Array | None = None

    def track(self, image: Image, now_ns: int) -> None:
        """Looks for the face in a picture taken at ``now_ns``. Raises what the tracker raises."""
        image = self._flipped(image) if self.mirror else image
        self._video_ns = now_ns
        face = self._tracker.step(image, now_ns)
        if self.sampling is not None and self.sampling.step(self.calibrator, face, image, now_ns):
            self.sampling = None
        if face is None:
            self.lose(now_ns)
            return
        # Copies: the frame keeps them, and the owners write theirs again.
        self._landmarks = face.landmarks.copy()
        calibrated = self.calibrator.step(face, now_ns)
        self._raw = self.calibrator.raw.copy()
        if self._speech is not None:  # without a microphone nobody asks
            self.trust.step(image, face.landmarks, face.head, now_ns)
        self.presence.step(calibrated, now_ns)

    def lose(self, now_ns: int) -> None:
        """Says that there was nothing to look at, or that looking failed."""
        self._landmarks = self._raw = None
        self.trust.lose(now_ns)
        self.presence.step(None, now_ns)

    def hear(self, speech: Speech | None) -> None:
        """Takes what the microphone says now; None once there is no microphone any more."""
        self._speech = speech

    @property
    def at_rest(self) -> bool:
        """Whether nothing moves until an input gives something new."""
        return self.presence.at_rest and self.fusion.at_rest

    def finish(self, seq: int, capture_ns: int, step_ns: int, clock: Clock) -> FaceFrame:
        """Fuses and filters what there is at ``step_ns`` and makes the frame; ``clock`` stamps its publication."""
        fusion, speech = self.fusion, self._speech
        trust = 1.0 if speech is None else self.trust.value
        fusion.step(self.presence, trust, speech, self._video_ns, step_ns)
        shapes, head, gaze = self.filter.step(fusion.blendshapes, fusion.head, fusion.gaze, step_ns)
        confidence, sources = _unit(fusion.confidence), fusion.sources
        return FaceFrame(
            seq, capture_ns, clock(), sources, confidence, shapes, head, gaze, self._landmarks,
            raw=self._raw,
            video_ns=fusion.aligner.video_ns if speech is not None and sources in ("video", "both") else None,
            audio_ns=fusion.aligner.speech_ns if sources in ("audio", "both") else None,
        )  # fmt: skip

    def use_tracker(self, make_tracker: TrackerFactory, tracker: Tracker) -> None:
        """Follows the face with another network from the next picture on."""
        self._make_tracker, self._tracker = make_tracker, tracker

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
