"""From pictures and speech to the values of a frame: tracker, calibration, presence, fusion, filters. Live runs and
``bake`` both go through here."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import cv2
import numpy as np

from facewire.bridge.shared.arrays import Float32Array, Image
from facewire.bridge.shared.clock import Clock
from facewire.bridge.wire.frame import FaceFrame, Sources
from facewire.bridge.wire.sides import mirrored
from facewire.runtime.capture.video.source import Face
from facewire.runtime.face.calibrate import Calibrator
from facewire.runtime.face.filter_config import FilterConfig
from facewire.runtime.face.filters import FaceFilter
from facewire.runtime.face.presence import Observed, Presence, PresenceConfig
from facewire.runtime.face.sampling import DARK, Sampling
from facewire.runtime.face.trust import MouthTrust
from facewire.runtime.fusion.fuse import Fusion
from facewire.runtime.tools.quantize import quantize

if TYPE_CHECKING:
    from facewire.runtime.flame.blend import LiveFlame
    from facewire.runtime.speech.pipeline import SpeechTick


class TrackedFace(Observed, Protocol):
    """What a tracker returns; its arrays are the tracker's own until its next step."""

    @property
    def landmarks(self) -> Float32Array | None: ...


class Tracker(Protocol):
    """Finds and follows one face."""

    def step(self, image_bgr: Image, now_ns: int) -> TrackedFace | None: ...
    def reset(self) -> None: ...


TrackerFactory = Callable[[str], Tracker]
"""Makes a tracker on a device: "auto", "cpu" or "cuda"."""


@dataclass(slots=True)
class _Shown:
    """What the camera gives to fusion: calibrated, eased and filtered."""

    blendshapes: Float32Array
    head: Float32Array
    gaze: Float32Array
    confidence: float
    sources: Sources
    left: float
    at_rest: bool


class FacePipeline:
    """One face's way from pictures and speech to frames. Explicit state, no clock, no thread.

    ``track`` and ``lose`` are for one thread, ``hear`` and ``finish`` for any: a lock guards what they share, and the
    networks run outside it.
    """

    def __init__(
        self,
        make_tracker: TrackerFactory | None,
        *,
        device: str = "auto",
        filters: FilterConfig | None = None,
        presence: PresenceConfig | None = None,
        mirror: bool = False,
        calibrator: Calibrator | None = None,
        fusion: Fusion | None = None,
    ) -> None:
        """Loads the networks and compiles the kernels: after this no step is slower than the others.

        Without ``make_tracker`` there is no camera: a phone or speech alone drives the face.
        """
        self._make_tracker, self._device = make_tracker, device
        self._tracker = None if make_tracker is None else make_tracker(device)
        self.filter = FaceFilter(filters)
        self.filter.warm_up()
        self.presence = Presence(presence)
        self.calibrator = calibrator or Calibrator()
        self.calibrator.warm_up()
        self.trust = MouthTrust()
        self.fusion = fusion or Fusion()
        self.sampling: Sampling | None = None
        """A capture for calibration that is running, or none."""
        self.watch: Callable[[Image, int], None] | None = None
        """Gets every picture as it is tracked, with its time; must be quick and keep nothing of it."""
        self.flame: LiveFlame | None = None
        """Makes each frame's FLAME parameters, where a run has any."""
        self.mirror = mirror
        self._lock = threading.RLock()
        self._speech: SpeechTick | None = None
        self._raw: Float32Array | None = None
        self._video_ns: int | None = None
        self._seen_ns: int | None = None
        self._dark = False
        self._mirrored: Image | None = None
        self._landmarks: Float32Array | None = None
        seen = self.presence
        self._shown = _Shown(seen.blendshapes, seen.head, seen.gaze, 0.0, "held", 0.0, True)

    def track(self, image: Image, now_ns: int) -> None:
        """Looks for the face in a picture taken at ``now_ns``. Raises what the tracker raises."""
        assert self._tracker is not None
        image = self._flipped(image) if self.mirror else image
        if self.watch is not None:
            self.watch(image, now_ns)
        face = self._tracker.step(image, now_ns)
        if face is not None and face.landmarks is not None and self._speech is not None:  # else nobody asks
            self.trust.step(image, face.landmarks, face.head, now_ns)
        if face is not None and self.flame is not None:
            height, width = image.shape[:2]
            self.flame.fit(face, width, height, now_ns)
        self._take(face, image, now_ns)

    def follow(self, face: Face | None, now_ns: int) -> None:
        """Takes what a phone or another program says of the face at ``now_ns``; None where it sees none.

        There is no picture, so the mouth is trusted while the phone sees the face.
        """
        if face is not None:
            self.trust.follow(now_ns)
            if self.mirror:
                face = Face(face.confidence, *mirrored(face.blendshapes, face.head, face.gaze))
        if self.flame is not None:
            with self._lock:
                self.flame.forget()  # a phone gives no landmarks to fit
        self._take(face, None, now_ns)

    def _take(self, face: TrackedFace | None, image: Image | None, now_ns: int) -> None:
        if self.sampling is not None and self.sampling.step(self.calibrator, face, image, now_ns):
            self.sampling = None
        if face is None:
            self._seen_ns = self._seen_ns or now_ns  # unseen from the first picture on
            self._dark = image is not None and bool(image[::16, ::16].mean() < DARK)
            self.lose(now_ns)
            return
        calibrated = self.calibrator.step(face, now_ns)
        with self._lock:
            # Copies: the frame keeps them, and the owners write theirs again.
            self._landmarks = None if face.landmarks is None else face.landmarks.copy()
            self._raw = self.calibrator.raw.copy()
            self._seen_ns, self._dark = now_ns, False
            self._show(calibrated, now_ns)

    def lose(self, now_ns: int) -> None:
        """Says that there was nothing to look at, or that looking failed."""
        self.trust.lose(now_ns)
        with self._lock:
            self._landmarks = self._raw = None
            self._show(None, now_ns)

    def _show(self, face: Observed | None, now_ns: int) -> None:
        """Eases and filters the camera's face; speech is not filtered, so that it is not late."""
        seen, shown = self.presence, self._shown
        seen.step(face, now_ns)
        shown.blendshapes, shown.head, shown.gaze = self.filter.step(seen.blendshapes, seen.head, seen.gaze, now_ns)
        shown.confidence, shown.sources, shown.left, shown.at_rest = (
            seen.confidence,
            seen.sources,
            seen.left,
            seen.at_rest,
        )
        self._video_ns = now_ns
        if self.flame is not None:
            self.flame.show(shown.blendshapes, shown.gaze, shown.left, self.filter.config, now_ns)

    def hear(self, speech: SpeechTick | None) -> None:
        """Takes what the microphone says now; None once there is no microphone any more."""
        with self._lock:
            self._speech = speech

    @property
    def device(self) -> str:
        """Where the networks run: what was asked for, or "cpu" once the GPU has failed."""
        return self._device

    @property
    def at_rest(self) -> bool:
        """Whether nothing moves until an input gives something new."""
        return self.presence.at_rest and self.fusion.at_rest

    @property
    def needs_speech(self) -> bool:
        """Whether a tick of speech changes the face: it moves the mouth, or what no camera moves."""
        unseen = self._shown.sources != "video"
        return self.fusion.speech_weight > 0.0 or (unseen and self.fusion.idle_weight > 0.0)

    def state(self, now_ns: int) -> dict[str, Any]:
        """Returns what the status message says of the face; may be called from any thread, at worst one frame late."""
        fusion, seen_ns = self.fusion, self._seen_ns
        unseen = self.presence.sources != "video" and seen_ns is not None
        return {
            "confidence": round(_unit(fusion.confidence), 3),
            "unseen_s": round(max(now_ns - (seen_ns or now_ns), 0) * 1e-9, 1) if unseen else 0.0,
            "dark": self._dark,
            "mouth_trust": round(self.trust.value, 3) if self._speech is not None else None,
            "speech_trust": round(float(fusion.speech_trust), 3),
            "camera_share": round(fusion.video_weight * self.presence.left, 3),
            "speech_share": round(fusion.speech_weight, 3),
            "delays_ms": fusion.aligner.delays_ms,
        }

    def finish(self, seq: int, capture_ns: int, step_ns: int, clock: Clock) -> FaceFrame:
        """Fuses what there is at ``step_ns`` and makes the frame; ``clock`` stamps its publication."""
        with self._lock:
            fusion, speech = self.fusion, self._speech
            trust = 1.0 if speech is None else self.trust.value
            fusion.step(self._shown, trust, speech, self._video_ns, step_ns)
            sources, aligner = fusion.sources, fusion.aligner
            return FaceFrame(
                seq, capture_ns, clock(), sources, _unit(fusion.confidence),
                quantize(fusion.blendshapes), quantize(fusion.head), quantize(fusion.gaze), self._landmarks,
                flame=None if self.flame is None else self.flame.frame(fusion, speech),
                raw=self._raw,
                video_ns=aligner.video_ns if speech is not None and sources in ("video", "both") else None,
                audio_ns=aligner.speech_ns if sources in ("audio", "both") else None,
            )  # fmt: skip

    @property
    def has_tracker(self) -> bool:
        """Whether it can look for a face in pictures."""
        return self._tracker is not None

    def use_tracker(self, make_tracker: TrackerFactory, tracker: Tracker) -> None:
        """Follows the face with another network from the next picture on."""
        self._make_tracker, self._tracker = make_tracker, tracker

    def fall_back_to_cpu(self) -> bool:
        """Makes the tracker anew on the processor; False when it is there already."""
        if self._device == "cpu" or self._make_tracker is None:
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
