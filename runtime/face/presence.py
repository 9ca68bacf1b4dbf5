"""What a face does while nobody is seen: hold for a moment, ease to rest, and come back without a jump."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from facewire.bridge.shared.arrays import Float32Array
from facewire.bridge.shared.face import FaceState

MOST_STEP = 0.09
"""No share of a face changes by more in one frame, however few pictures a second there are."""


@dataclass(frozen=True, slots=True)
class PresenceConfig:
    """Times of the three phases."""

    hold_s: float = 0.3
    """A hand that passes, or one blurred picture, must not show."""
    ease_s: float = 0.7
    return_s: float = 0.5
    """A face that had eased away is followed again in full after this long; one that was only held, at once."""
    home_s: float = 10.0
    """Time constant of the mean position that the head rests at, so that it does not stay where it left the picture."""


class Presence:
    """Holds a face that is lost, eases it to rest, and follows it again. No delay while a face is seen.

    State: the last face seen, when it was lost, how much of it was shown then, and the mean head position.
    """

    def __init__(self, config: PresenceConfig | None = None) -> None:
        self._config = config or PresenceConfig()
        self.face = FaceState()
        """What the face should do, after each step: its ``visibility`` says how much of it is still shown."""
        self._seen = FaceState()
        self._home_m: Float32Array = self.face.head[4:].copy()
        self._seen_ns: int | None = None
        self._lost_ns = self._last_ns = 0
        self._lost_visibility = 1.0
        self.at_rest = True
        """Nothing moves any more: a step without a face changes nothing."""

    def step(self, face: FaceState | None, now_ns: int) -> FaceState:
        """Return what the face does at ``now_ns`` on the session clock, given what was seen then, or None."""
        if face is not None:
            self._follow(face, now_ns)
        elif self._seen_ns is not None:
            self._let_go(now_ns)
        self.face.video_ns = now_ns
        return self.face

    def _follow(self, seen: FaceState, now_ns: int) -> None:
        face, before = self.face, self.face.visibility
        self._seen.copy_from(seen)
        face.copy_from(seen)
        self._move_home(now_ns)
        passed_s = max(now_ns - self._last_ns, 0) * 1e-9
        back = min(passed_s / self._config.return_s, MOST_STEP)
        face.visibility = 1.0 if self._seen_ns is None else min(before + back, 1.0)
        face.sources, self.at_rest = "video", False
        self._seen_ns = self._last_ns = now_ns
        self._show()

    def _move_home(self, now_ns: int) -> None:
        position = self._seen.head[4:]
        if not np.isfinite(position).all():
            return
        if self._seen_ns is None:
            self._home_m[:] = position
        else:
            passed_s = max(now_ns - self._seen_ns, 0) * 1e-9
            self._home_m += (position - self._home_m) * (passed_s / (passed_s + self._config.home_s))

    def _let_go(self, now_ns: int) -> None:
        face = self.face
        if face.sources != "held":
            self._lost_ns, self._lost_visibility, face.sources = now_ns, face.visibility, "held"
        eased = (now_ns - self._lost_ns) * 1e-9 - self._config.hold_s
        share = min(max(eased / self._config.ease_s, 0.0), 1.0)
        eased_to = self._lost_visibility * (1.0 - share * share * (3.0 - 2.0 * share))
        face.visibility = max(eased_to, face.visibility - MOST_STEP)
        face.confidence = self._seen.confidence * face.visibility
        face.landmarks = face.raw = None
        self._last_ns = now_ns
        self.at_rest = face.visibility == 0.0
        self._show()

    def _show(self) -> None:
        face, seen = self.face, self._seen
        np.multiply(seen.blendshapes, face.visibility, out=face.blendshapes)
        np.multiply(seen.gaze, face.visibility, out=face.gaze)
        if face.visibility == 1.0:
            face.head[:] = seen.head
        else:
            self._ease_head(face.visibility)

    def _ease_head(self, visibility: float) -> None:
        """Turn it to none along the great circle's chord, and move it to where it was on average."""
        head, seen = self.face.head, self._seen.head
        np.multiply(seen, visibility, out=head)
        head[3] += (1.0 - visibility) * (-1.0 if seen[3] < 0 else 1.0)
        norm = float(np.linalg.norm(head[:4]))
        if norm > 0:
            head[:4] /= norm
        head[4:] += (1.0 - visibility) * self._home_m
