"""The way of a frame: track → calibrate → presence → filter → fuse → frame. Live runs and ``bake`` go through here.

The first four follow what a camera or a phone sees, at each of its pictures; speech joins at ``fuse``, unfiltered, so
that it is not late. A frame is made at each picture and at each tick of speech.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

import cv2
import numpy as np

from facewire.bridge.shared.arrays import Image
from facewire.bridge.shared.clock import Clock
from facewire.bridge.shared.face import FaceState, SpeechTick
from facewire.bridge.wire.frame import FaceFrame, FlameParameters
from facewire.bridge.wire.sides import mirrored
from facewire.runtime.face.calibrate import Calibrator
from facewire.runtime.face.filter_config import FilterConfig
from facewire.runtime.face.filters import FaceFilter
from facewire.runtime.face.presence import Presence
from facewire.runtime.face.sampling import Sampling, is_dark
from facewire.runtime.face.tracking import Tracker, TrackerFactory, Tracking
from facewire.runtime.face.trust import MouthTrust
from facewire.runtime.fusion.fuse import Fusion
from facewire.runtime.tools.quantize import quantize

Watch: TypeAlias = Callable[[Image, int], None]
"""Gets every picture as it is tracked, with its time; must be quick and keep nothing of it."""


class FlameStage(Protocol):
    """What makes each frame's FLAME parameters: ``runtime.flame.blend.LiveFlame``."""

    def fit(self, face: FaceState, width: int, height: int, now_ns: int) -> None:
        """Fit what was tracked in a picture of that size."""

    def show(self, face: FaceState, config: FilterConfig, now_ns: int) -> None:
        """Take the camera's face as fusion gets it."""

    def forget(self) -> None:
        """Note that no fit goes with what the camera gives."""

    def frame(self, face: FaceState, speech: SpeechTick | None) -> FlameParameters | None:
        """Return the parameters of a face that was just fused; None if nobody wants them."""

    def state(self) -> dict[str, Any]:
        """Return what the status message says of it."""


class FacePipeline:
    """One face's way from pictures and speech to frames. No clock, no thread.

    ``track``, ``follow`` and ``lose`` are for one thread, ``take_speech`` and ``finish`` for any: a lock guards what
    they share, and the networks run outside it. State: the stages', the camera's face and the speech that there are
    now, and when a face was seen last.
    """

    def __init__(
        self,
        make_tracker: TrackerFactory | None,
        *,
        device: str = "auto",
        mirror: bool = False,
        calibrator: Calibrator | None = None,
        presence: Presence | None = None,
        face_filter: FaceFilter | None = None,
        trust: MouthTrust | None = None,
        fusion: Fusion | None = None,
        flame: FlameStage | None = None,
        watch: Watch | None = None,
    ) -> None:
        """Load the networks and compile the kernels: after this no step is slower than the others.

        Without ``make_tracker`` there is no camera: a phone or speech alone drives the face.
        """
        self._tracking = Tracking(make_tracker, device)
        self.calibrator = calibrator or Calibrator()
        self.presence = presence or Presence()
        self.filter = face_filter or FaceFilter()
        self.trust = trust or MouthTrust()
        self.fusion = fusion or Fusion()
        self.flame, self.watch, self.mirror = flame, watch, mirror
        self.sampling: Sampling | None = None
        """A capture for calibration that is running, or none."""
        self._lock = threading.RLock()
        self._shown = FaceState()
        self._speech: SpeechTick | None = None
        self._seen_ns: int | None = None
        self._is_dark = False
        self._flipped: Image = np.zeros((0, 0, 3), np.uint8)
        self.calibrator.warm_up()
        self.filter.warm_up()

    def track(self, image: Image, now_ns: int) -> None:
        """Look for the face in a picture taken at ``now_ns``. Raises what the tracker raises."""
        image = self._flip(image) if self.mirror else image
        if self.watch is not None:
            self.watch(image, now_ns)
        face = self._tracking.step(image, now_ns)
        if face is not None and face.landmarks is not None and self._speech is not None:  # else nobody asks
            self.trust.step(image, face.landmarks, face.head, now_ns)
        if face is not None and self.flame is not None:
            height, width = image.shape[:2]
            self.flame.fit(face, width, height, now_ns)
        self._take(face, image, now_ns)

    def follow(self, face: FaceState | None, now_ns: int) -> None:
        """Take what a phone or another program says of the face at ``now_ns``; None if it sees none.

        There is no picture, so the mouth is trusted while the phone sees the face.
        """
        if face is not None:
            self.trust.follow(now_ns)
            if self.mirror:
                sides = mirrored(face.blendshapes, face.head, face.gaze)
                face = FaceState.of(*sides, confidence=face.confidence)
        if self.flame is not None:
            with self._lock:
                self.flame.forget()  # a phone gives no landmarks to fit
        self._take(face, None, now_ns)

    def _take(self, face: FaceState | None, image: Image | None, now_ns: int) -> None:
        if self.sampling is not None and self.sampling.step(self.calibrator, face, image, now_ns):
            self.sampling = None
        if face is None:
            self._seen_ns = self._seen_ns or now_ns  # unseen from the first picture on
            self._is_dark = image is not None and is_dark(image)
            self.lose(now_ns)
            return
        calibrated = self.calibrator.step(face, now_ns)
        self._seen_ns, self._is_dark = now_ns, False
        self._show(calibrated, now_ns)

    def lose(self, now_ns: int) -> None:
        """Take note that there was nothing to look at, or that looking failed."""
        self.trust.lose(now_ns)
        self._show(None, now_ns)

    def _show(self, calibrated: FaceState | None, now_ns: int) -> None:
        """Bring the camera's face to where speech joins it."""
        with self._lock:
            present = self.presence.step(calibrated, now_ns)
            shown = self.filter.step(present, now_ns)
            shown.detach()  # frames keep its landmarks and raw shapes, and their owners write theirs again
            if self.flame is not None:
                self.flame.show(shown, self.filter.config, now_ns)
            self._shown = shown

    def take_speech(self, speech: SpeechTick | None) -> None:
        """Take what the microphone says now; None once there is no microphone any more."""
        with self._lock:
            self._speech = speech

    def finish(self, seq: int, capture_ns: int, step_ns: int, clock: Clock) -> FaceFrame:
        """Fuse what there is at ``step_ns`` and make the frame; ``clock`` stamps its publication."""
        with self._lock:
            speech, seen = self._speech, self._shown
            seen.mouth_trust = self.trust.value
            face = self.fusion.step(seen, speech, step_ns)
            sources = face.sources
            return FaceFrame(
                seq, capture_ns, clock(), sources, _unit(face.confidence),
                quantize(face.blendshapes), quantize(face.head), quantize(face.gaze), face.landmarks,
                flame=None if self.flame is None else self.flame.frame(face, speech),
                raw=face.raw,
                video_ns=face.video_ns if speech is not None and sources in ("video", "both") else None,
                audio_ns=face.audio_ns if sources in ("audio", "both") else None,
            )  # fmt: skip

    @property
    def at_rest(self) -> bool:
        """Whether nothing moves until an input gives something new."""
        return self.presence.at_rest and self.fusion.at_rest

    @property
    def needs_speech(self) -> bool:
        """Whether a tick of speech changes the face: it moves the mouth, or what no camera moves."""
        weights = self.fusion.weights
        return weights.speech > 0.0 or (self._shown.sources != "video" and weights.idle > 0.0)

    def state(self, now_ns: int) -> dict[str, Any]:
        """Return what the status message says of the face; may be called from any thread, at worst one frame late."""
        fusion, seen, seen_ns = self.fusion, self.presence.face, self._seen_ns
        unseen = seen.sources != "video" and seen_ns is not None
        return {
            "confidence": round(_unit(fusion.face.confidence), 3),
            "unseen_s": round(max(now_ns - (seen_ns or now_ns), 0) * 1e-9, 1) if unseen else 0.0,
            "dark": self._is_dark,
            "mouth_trust": round(self.trust.value, 3) if self._speech is not None else None,
            "speech_trust": round(float(fusion.speech_trust.value), 3),
            "camera_share": round(fusion.weights.video * seen.visibility, 3),
            "speech_share": round(fusion.weights.speech, 3),
            "delays_ms": fusion.aligner.delays_ms,
        }

    @property
    def has_tracker(self) -> bool:
        """Whether it can look for a face in pictures."""
        return self._tracking.tracker is not None

    @property
    def device(self) -> str:
        """Where the networks run: what was asked for, or "cpu" once the GPU has failed."""
        return self._tracking.device

    def use_tracker(self, make_tracker: TrackerFactory, tracker: Tracker) -> None:
        """Follow the face with another network from the next picture on."""
        self._tracking.use(make_tracker, tracker)

    def fall_back_to_cpu(self) -> bool:
        """Make the tracker again, on the processor; False if it is there already."""
        return self._tracking.fall_back_to_cpu()

    def _flip(self, image: Image) -> Image:
        if self._flipped.shape != image.shape:
            self._flipped = np.empty_like(image)
        cv2.flip(image, 1, dst=self._flipped)
        return self._flipped


def _unit(value: float) -> float:
    return min(max(value, 0.0), 1.0) if value == value else 0.0
