"""Whose mouth a frame has: the camera's face, or the microphone's speech, or the one on the other's head."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np

from facewire.bridge.frame import BLENDSHAPES, FaceFrame, Float32Array, Sources
from facewire.runtime.clock import Clock
from facewire.runtime.presence import REST_DISTANCE_M
from facewire.runtime.speak import SpeechTick

MOUTH = np.array([name.startswith(("jaw", "mouth", "cheekPuff", "tongue")) for name in BLENDSHAPES])
"""Which shapes [52] speech drives where a camera drives the others."""
LATE_NS = 100_000_000
"""Sound that is later than this has stalled: the frames go on with the camera's pictures."""
BLEND_NS = 300_000_000
"""How long the mouth then takes to become the camera's."""


class SpeechFace:
    """Frames of speech alone: a head at rest whose mouth moves. Thread safe; ``publish`` must not block."""

    def __init__(self, publish: Callable[[FaceFrame], None], clock: Clock) -> None:
        self._publish, self._clock = publish, clock
        self._seq = 0
        self._head: Float32Array = np.array([0, 0, 0, 1, 0, 0, -REST_DISTANCE_M], np.float32)
        self._gaze: Float32Array = np.zeros(4, np.float32)

    def see(self, face: FaceFrame) -> None:
        """Nothing is seen where there is no camera."""

    def take(self, tick: SpeechTick, sources: Sources) -> int:
        """Publishes a tick as a frame; returns when."""
        shapes = tick.blendshapes
        frame = FaceFrame(
            self._seq, tick.capture_ns, self._clock(), sources, tick.confidence, shapes, self._head, self._gaze
        )
        self._seq += 1
        self._publish(frame)
        return frame.publish_ns


class SpeechMouth:
    """The camera's face with the mouth of speech (``--mouth audio``), until both are really fused.

    Every tick of speech makes a frame. While sound stalls every picture makes one, and its mouth eases from the last of
    speech to the camera's. Thread safe; ``publish`` must not block.
    """

    def __init__(self, publish: Callable[[FaceFrame], None], clock: Clock) -> None:
        self._publish, self._clock = publish, clock
        self._lock = threading.Lock()
        self._face: FaceFrame | None = None
        self._tick: SpeechTick | None = None
        self._heard_ns = 0
        self._seq = 0

    def see(self, face: FaceFrame) -> None:
        """Takes a frame of the camera."""
        with self._lock:
            self._face = face
            now_ns = self._clock()
            if self._tick is None or now_ns - self._heard_ns > LATE_NS:
                self._send(face, self._eased(face, now_ns), now_ns, face.sources)

    def take(self, tick: SpeechTick, sources: Sources) -> int:
        """Takes a tick of speech; one that is held counts as stalled sound. Returns when it was published."""
        with self._lock:
            now_ns = self._clock()
            if sources == "held" and self._face is not None:
                return now_ns
            self._tick, self._heard_ns = tick, now_ns
            if self._face is not None:
                self._send(self._face, np.where(MOUTH, tick.blendshapes, self._face.blendshapes), now_ns, "both")
            return now_ns

    def _eased(self, face: FaceFrame, now_ns: int) -> Float32Array:
        if self._tick is None:
            return face.blendshapes
        share = min((now_ns - self._heard_ns - LATE_NS) / BLEND_NS, 1.0)
        mouth = self._tick.blendshapes * (1.0 - share) + face.blendshapes * share
        return np.where(MOUTH, mouth, face.blendshapes).astype(np.float32)

    def _send(self, face: FaceFrame, shapes: Float32Array, now_ns: int, sources: Sources) -> None:
        newest_ns = face.capture_ns if self._tick is None or sources != "both" else self._tick.capture_ns
        frame = FaceFrame(
            self._seq, max(newest_ns, face.capture_ns), now_ns, sources, face.confidence, shapes.astype(np.float32),
            face.head, face.gaze, face.landmarks, face.flame,
        )  # fmt: skip
        self._seq += 1
        self._publish(frame)
