"""Eyes for a face that no camera sees: blinks and small looks around, from a seed, the same on every run.

People blink every two to ten seconds when they talk, most often about every four, a tenth of a second down and longer
up (Bentivoglio et al. 1997, Movement Disorders 12(6)), and their eyes jump a few degrees once or twice a second.
"""

from __future__ import annotations

import math
import random

import numpy as np

from facewire.bridge.shared.arkit import BLENDSHAPE_INDEX, BLENDSHAPES
from facewire.bridge.shared.arrays import Float32Array

CLOSE_S, SHUT_S, OPEN_S = 0.09, 0.04, 0.17
BLINK_EVERY_S = (1.2, 9.0)
BLINK_MEDIAN_S = 3.6
LOOK_EVERY_S = (0.5, 2.6)
LOOK_S = 0.05
"""How long the eyes take to get there."""
LOOK_RAD = (0.09, 0.04)
"""Standard deviations of yaw and pitch."""
LOOK_LIMIT_RAD = 0.2
FULL_LOOK_RAD = 0.55
"""Turn at which an eyeLook shape is 1."""

_BLINK = [BLENDSHAPE_INDEX["eyeBlinkLeft"], BLENDSHAPE_INDEX["eyeBlinkRight"]]
_LOOK = {name: BLENDSHAPE_INDEX[name] for name in BLENDSHAPES if name.startswith("eyeLook")}


class IdleEyes:
    """Blinks and looks around a little. State: the next blink, the next look and the directions between which it is.

    After ``step``, ``blendshapes`` [52] (eye shapes only) and ``gaze`` [4] in radians say what they do. Delay: none.
    """

    def __init__(self, seed: int = 1) -> None:
        self._random = random.Random(seed)
        self.blendshapes: Float32Array = np.zeros(len(BLENDSHAPES), np.float32)
        self.gaze: Float32Array = np.zeros(4, np.float32)
        self._blink_ns: int | None = None
        self._look_ns = 0
        self._wait_s = 0.0
        self._from = self._to = (0.0, 0.0)

    def step(self, now_ns: int) -> None:
        """Move the eyes to ``now_ns``."""
        if self._blink_ns is None or now_ns - self._blink_ns > 60_000_000_000:
            self._blink_ns, self._look_ns = now_ns + self._until_blink_ns(), now_ns
        while now_ns - self._blink_ns > (CLOSE_S + SHUT_S + OPEN_S) * 1e9:
            self._blink_ns += self._until_blink_ns()
        while now_ns >= self._look_ns + LOOK_S * 1e9 and now_ns >= self._next_look_ns():
            self._start_look()
        self._write(now_ns)

    def _next_look_ns(self) -> int:
        return self._look_ns + round(self._wait_s * 1e9)

    def _start_look(self) -> None:
        self._look_ns = self._next_look_ns()
        self._wait_s = self._random.uniform(*LOOK_EVERY_S)
        away = self._random.random() < 0.6  # the other times they come back to the front
        yaw, pitch = (self._random.gauss(0.0, deviation) if away else 0.0 for deviation in LOOK_RAD)
        self._from, self._to = self._to, (_limited(yaw), _limited(pitch))

    def _until_blink_ns(self) -> int:
        wait_s = self._random.lognormvariate(math.log(BLINK_MEDIAN_S), 0.5)
        return round(min(max(wait_s, BLINK_EVERY_S[0]), BLINK_EVERY_S[1]) * 1e9)

    def _write(self, now_ns: int) -> None:
        assert self._blink_ns is not None
        share = _smooth((now_ns - self._look_ns) * 1e-9 / LOOK_S)
        yaw, pitch = (a + (b - a) * share for a, b in zip(self._from, self._to, strict=True))
        self.gaze[:] = (yaw, pitch, yaw, pitch)
        self.blendshapes[_BLINK] = blink((now_ns - self._blink_ns) * 1e-9)
        for name, index in _LOOK.items():
            self.blendshapes[index] = look_shape(name, yaw, pitch)


def blink(since_s: float) -> float:
    """Return how far the lids are closed at this time after a blink began."""
    if since_s <= CLOSE_S:
        return _smooth(since_s / CLOSE_S)
    return 1.0 - _smooth((since_s - CLOSE_S - SHUT_S) / OPEN_S)


def look_shape(name: str, yaw_rad: float, pitch_rad: float) -> float:
    """Return the value of an eyeLook shape for eyes that look there: +yaw to the subject's left, +pitch up."""
    if "Up" in name or "Down" in name:
        turn = pitch_rad if "Up" in name else -pitch_rad
    else:
        # Out is away from the nose: to the left for the left eye.
        turn = yaw_rad if name in ("eyeLookOutLeft", "eyeLookInRight") else -yaw_rad
    return min(max(turn / FULL_LOOK_RAD, 0.0), 1.0)


def _limited(turn_rad: float) -> float:
    return min(max(turn_rad, -LOOK_LIMIT_RAD), LOOK_LIMIT_RAD)


def _smooth(share: float) -> float:
    share = min(max(share, 0.0), 1.0)
    return share * share * (3.0 - 2.0 * share)
