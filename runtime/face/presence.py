"""What a face does while nobody is seen: hold for a moment, ease to rest, and come back without a jump."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from facewire.bridge.shared.arkit import BLENDSHAPES
from facewire.bridge.shared.arrays import Float32Array
from facewire.bridge.wire.frame import Sources

REST_DISTANCE_M = 0.5
"""Where the resting head is before anybody was seen: straight before the camera."""
MOST_STEP = 0.09
"""No share of a face changes by more in one frame, however few pictures a second there are."""


@dataclass(frozen=True, slots=True)
class PresenceConfig:
    """Times of the three phases."""

    hold_s: float = 0.3
    """A hand that passes, or one blurred picture, must not show."""
    ease_s: float = 0.7
    return_s: float = 0.5
    """A face that had eased away is followed again in full after so long; one that was only held, at once."""
    home_s: float = 10.0
    """Time constant of the mean position that the head rests at, so that it does not stay where it left the picture."""


class Observed(Protocol):
    """The part of the tracker's observation that is used here."""

    confidence: float
    blendshapes: Float32Array
    head: Float32Array
    gaze: Float32Array


class Presence:
    """Carries over the last face seen, when it was lost, and the mean head position. No delay while a face is seen.

    After ``step`` the attributes hold what the face should do: ``blendshapes`` [52], ``head`` [7] and ``gaze`` [4] as
    in FaceFrame (this object's buffers, valid until the next step), ``confidence`` and ``sources``.
    """

    def __init__(self, config: PresenceConfig | None = None) -> None:
        self._config = config or PresenceConfig()
        self.blendshapes: Float32Array = np.zeros(len(BLENDSHAPES), np.float32)
        self.head: Float32Array = np.array([0, 0, 0, 1, 0, 0, -REST_DISTANCE_M], np.float32)
        self.gaze: Float32Array = np.zeros(4, np.float32)
        self._seen_blendshapes, self._seen_head, self._seen_gaze = self._buffers()
        self._home_m: Float32Array = self.head[4:].copy()
        self._seen_ns: int | None = None
        self._lost_ns = self._last_ns = 0
        self._lost_left = 1.0
        self._confidence = 0.0
        self.left = 0.0
        """How much of the face that was seen is shown: 1 while it is followed, 0 at rest."""
        self.confidence = 0.0
        self.sources: Sources = "held"
        self.at_rest = True
        """Nothing moves any more: a step without a face changes nothing."""

    def step(self, face: Observed | None, now_ns: int) -> None:
        """Takes what was seen at ``now_ns`` on the session clock, or None for no face."""
        if face is not None:
            self._follow(face, now_ns)
        elif self._seen_ns is not None:
            self._let_go(now_ns)

    def _follow(self, face: Observed, now_ns: int) -> None:
        self._seen_blendshapes[:], self._seen_head[:], self._seen_gaze[:] = face.blendshapes, face.head, face.gaze
        self._move_home(now_ns)
        passed_s = max(now_ns - self._last_ns, 0) * 1e-9
        back = min(passed_s / self._config.return_s, MOST_STEP)
        self.left = 1.0 if self._seen_ns is None else min(self.left + back, 1.0)
        self._seen_ns, self.sources, self.at_rest = now_ns, "video", False
        self._confidence = self.confidence = float(face.confidence)
        self._last_ns = now_ns
        self._show()

    def _move_home(self, now_ns: int) -> None:
        position = self._seen_head[4:]
        if not np.isfinite(position).all():
            return
        if self._seen_ns is None:
            self._home_m[:] = position
        else:
            passed_s = max(now_ns - self._seen_ns, 0) * 1e-9
            self._home_m += (position - self._home_m) * (passed_s / (passed_s + self._config.home_s))

    def _let_go(self, now_ns: int) -> None:
        if self.sources != "held":
            self._lost_ns, self._lost_left, self.sources = now_ns, self.left, "held"
        eased = (now_ns - self._lost_ns) * 1e-9 - self._config.hold_s
        share = min(max(eased / self._config.ease_s, 0.0), 1.0)
        eased_to = self._lost_left * (1.0 - share * share * (3.0 - 2.0 * share))
        self.left = max(eased_to, self.left - MOST_STEP)
        self._last_ns = now_ns
        self.confidence = self._confidence * self.left
        self.at_rest = self.left == 0.0
        self._show()

    def _show(self) -> None:
        np.multiply(self._seen_blendshapes, self.left, out=self.blendshapes)
        np.multiply(self._seen_gaze, self.left, out=self.gaze)
        if self.left == 1.0:
            self.head[:] = self._seen_head
        else:
            self._ease_head(self.left)

    def _ease_head(self, left: float) -> None:
        """The turn goes to none along the great circle's chord, the place to where the head was on average."""
        np.multiply(self._seen_head, left, out=self.head)
        self.head[3] += (1.0 - left) * (-1.0 if self._seen_head[3] < 0 else 1.0)
        norm = float(np.linalg.norm(self.head[:4]))
        if norm > 0:
            self.head[:4] /= norm
        self.head[4:] += (1.0 - left) * self._home_m

    def _buffers(self) -> tuple[Float32Array, Float32Array, Float32Array]:
        return self.blendshapes.copy(), self.head.copy(), self.gaze.copy()
