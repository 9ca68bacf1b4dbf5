"""FLAME beside the shapes: fitted where the camera leads, translated from the shapes where anything else does.

A frame's FLAME is

    M(frame) + share · (fit - M(camera)),

where M is the map from shapes and gaze to FLAME, ``camera`` is what the camera alone gives to fusion, and share is the
camera's share of the mouth. Where it leads alone, the frame is the camera's, and this is the fit; where speech has the
mouth it is the map, so the FLAME is the same face as the shapes; in between it goes over as smoothly as the share does.
Speech that knows FLAME itself (FaceFormer) adds in the same way what it knows better than the map.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from facewire.bridge.shared.arrays import Float32Array
from facewire.bridge.wire.frame import FlameParameters
from facewire.models.flame.fit.fitter import FlameFitter
from facewire.models.flame.maps.arkit_map import ArkitToFlame
from facewire.models.flame.registration.correspondence import correspondence_of
from facewire.runtime.face.filter_config import FilterConfig
from facewire.runtime.face.filters import FIRST_NOISE, MIN_STEP_S, smooth_lines
from facewire.runtime.flame.place import HeadInModel
from facewire.runtime.tools.arguments import CommandSpec
from facewire.runtime.tools.quantize import quantize

if TYPE_CHECKING:
    from facewire.models.flame import FlameModel
    from facewire.runtime.fusion.fuse import Fusion
    from facewire.runtime.pipeline import TrackedFace
    from facewire.runtime.speech.pipeline import SpeechTick

LEAST_CONFIDENCE = 0.02
"""A fit with less changes nothing."""
STD_UNIT, RAD_UNIT = 1.2, 0.25
"""What counts for the filter as much as a shape that goes from 0 to 1."""
MOST_UNITS = 4.0
AWAY_NS = 3_000_000_000
"""After so long without a face the next may be another person's."""
CHANGE_NS = 500_000_000
"""So long goes FLAME over from how one person was fitted to how the next is."""
TURNS = 9
"""Jaw [3] and eyes [6], which follow the expression in all arrays here."""


class FlameFilter:
    """The mouth's One-Euro filter on FLAME's parameters, [e + 9]. Carries over what ``smooth_lines`` does."""

    def __init__(self, expressions: int) -> None:
        count = expressions + TURNS
        self._units = np.full(count, RAD_UNIT, np.float32)
        self._units[:expressions] = STD_UNIT
        self._scaled = np.zeros(count, np.float32)
        self._parameters = np.zeros((count, 6))
        self._value, self._speed, self._noise, self._last = (np.zeros(count) for _ in range(4))
        self._config: FilterConfig | None = None
        self._last_ns: int | None = None

    def step(self, raw: Float32Array, config: FilterConfig, now_ns: int, out: Float32Array) -> None:
        """Filter ``raw`` of ``now_ns`` into ``out``; the first goes through as it is."""
        if config is not self._config:
            self._config, one = config, config.mouth
            self._parameters[:] = (
                one.min_cutoff_hz, one.beta, one.speed_cutoff_hz, one.quiet, one.noise, one.pull_hz,
            )  # fmt: skip
        np.divide(raw, self._units, out=self._scaled)
        if self._last_ns is None:
            self._value[:] = self._last[:] = np.clip(self._scaled, -MOST_UNITS, MOST_UNITS)
            self._noise[:] = FIRST_NOISE
        else:
            step_s = max((now_ns - self._last_ns) * 1e-9, MIN_STEP_S)
            state = self._value, self._speed, self._noise, self._last
            smooth_lines(self._scaled, -MOST_UNITS, MOST_UNITS, step_s, self._parameters, *state)
        self._last_ns = now_ns
        np.multiply(self._value, self._units, out=out, casting="same_kind")


RESET = CommandSpec("flame_reset")


class LiveFlame:
    """FLAME of one live face.

    ``fit`` is for the thread that tracks; ``show``, ``forget`` and ``frame`` are called under the pipeline's lock.
    Carries over the fitter's and the filter's state, and by how much the last fit is more than the map: that is kept
    while landmarks cannot be fitted, and goes with the face where it is lost. Who it is is learned anew after
    ``AWAY_NS`` without a face, and where ``learn_anew`` asks for it; the last person who was known by then is kept for
    ``person``.
    """

    def __init__(self, model: FlameModel) -> None:
        """Register and map the model where that was not done yet (seconds), and compile. Raises ModelError."""
        self.model = model
        self.fitter = FlameFitter(model, correspondence_of(model))
        self._map = ArkitToFlame(model)
        self.place = HeadInModel()
        self.wanted: Callable[[], bool] = lambda: True
        """Whether anybody takes FLAME now: else nothing is computed."""
        self.expressions, self.shapes = len(self.fitter.last.expression), len(self.fitter.last.shape)
        count = self.expressions + TURNS
        self._filter = FlameFilter(self.expressions)
        self._raw, self._shown, self._frame = (np.zeros(count, np.float32) for _ in range(3))
        self._more = np.zeros(count, np.float32)
        """By how much the fit is more than the map of the camera's shapes."""
        self._before = np.zeros(count, np.float32)
        """The same when the person changed."""
        self._left = 0.0
        self._fresh = self._asked = self._changed = False
        self._seen_ns: int | None = None
        self._changed_ns = -CHANGE_NS
        self._known: dict[str, Any] | None = None
        self._warm_up()

    def _warm_up(self) -> None:
        shapes, gaze = np.zeros(52, np.float32), np.zeros(4, np.float32)
        for now_ns in range(2):
            self._fresh = True
            self.show(shapes, gaze, 1.0, FilterConfig(), now_ns)
        self._filter = FlameFilter(self.expressions)
        self.forget()

    @property
    def commands(self) -> dict[str, Callable[[Mapping[str, Any]], None]]:
        """What clients may ask, by name."""
        return {RESET.name: RESET.handler(lambda _: self.learn_anew())}

    @property
    def greeting(self) -> dict[str, Any]:
        """What hello says of it (wire.md, 3.1)."""
        return {
            "model": self.model.name,
            "digest": self.model.digest,
            "expressions": self.expressions,
            "shapes": self.shapes,
        }

    def state(self) -> dict[str, Any]:
        """The key that the status message gets; from any thread."""
        fit, frozen = self.fitter.last, self.fitter.frozen
        about = {
            "learned": round(self.fitter.learned, 2),
            "confidence": round(fit.confidence, 3),
            "residual_px": round(fit.residual_px, 2),
            "shape": self._shape() if frozen else None,
        }
        return {"flame": about}

    def person(self) -> dict[str, Any]:
        """What a session's end says of it: the model, the identity as it is known by then (while that of another person
        is learned, the last one's), and where ``head`` is in it.

        ``head`` [8] takes a point of a frame's head to the model: quaternion xyzw, metres, and by how much the person
        is larger than the canonical face; ``root`` [3] is the root's joint.
        """
        if self._known is not None and not self.fitter.frozen:
            return self._known
        head = [round(value, 6) for value in self.place.placed(self.fitter.rest).tolist()]
        root = [round(value, 6) for value in self.fitter.root.tolist()]
        about = {"shape": self._shape(), "learned": round(self.fitter.learned, 2), "head": head, "root": root}
        return {**self.greeting, **about}

    def _shape(self) -> list[float]:
        return [round(value, 4) for value in self.fitter.last.shape.tolist()]

    def learn_anew(self) -> None:
        """Forget who it is, for it is somebody else from the next picture on; from any thread."""
        self._asked = True

    def _greet(self, now_ns: int) -> None:
        """Forget the person, if the face that is seen now may be another's."""
        away = self._seen_ns is not None and now_ns - self._seen_ns >= AWAY_NS
        if self.fitter.learned > 0.0 and (away or self._asked):
            self._known = self.person() if self.fitter.frozen else self._known
            self.fitter.reset()
            self.place.reset()
            self._changed = True
        self._seen_ns, self._asked = now_ns, False

    def fit(self, face: TrackedFace, width: int, height: int, now_ns: int) -> None:
        """Fit what the tracker saw in a picture of ``now_ns``, if anybody wants it."""
        self._fresh = False
        self._greet(now_ns)
        if face.landmarks is None or not self.wanted():
            return
        fit = self.fitter.step(face.landmarks, width, height, now_ns, face.confidence)
        self._fresh = fit.confidence > LEAST_CONFIDENCE
        if self._fresh:
            self.place.look(face.head, fit.rotation, fit.translation, self.fitter.root)

    def show(self, shapes: Float32Array, gaze: Float32Array, left: float, config: FilterConfig, now_ns: int) -> None:
        """Take the last fit, filtered, and what the camera gives to fusion: shapes [52], gaze [4].

        ``left`` is how much of the face that was seen is still shown; it is in shapes and gaze already.
        """
        if self._fresh:
            if self._changed:
                self._before[:], self._changed_ns, self._changed = self._more, now_ns, False
            fit, e = self.fitter.last, self.expressions
            self._raw[:e], self._raw[e : e + 3], self._raw[e + 3 :] = fit.expression, fit.jaw, fit.eyes
            self._filter.step(self._raw, config, now_ns, self._shown)
            self._translate(shapes, gaze, self._raw)
            np.multiply(self._shown, left, out=self._more)
            self._more -= self._raw
            self._go_over(now_ns)
            self._fresh = False
        elif self._left > 0.0:
            self._more *= left / self._left
        self._left = left

    def _go_over(self, now_ns: int) -> None:
        """For a moment after the person changed, part of ``_more`` is what it was then: no frame jumps."""
        share = (now_ns - self._changed_ns) / CHANGE_NS
        if 0.0 <= share < 1.0:
            self._more -= self._before
            self._more *= share
            self._more += self._before

    def forget(self) -> None:
        """No fit goes with what the camera gives from now on: there are no landmarks, or nobody wants one."""
        self._more[:] = 0.0
        self._left = 0.0

    def frame(self, fusion: Fusion, speech: SpeechTick | None) -> FlameParameters | None:
        """The FLAME of the frame that ``fusion`` has just made; None where nobody wants it."""
        if not self.wanted():
            self.forget()
            return None
        out, e = self._frame, self.expressions
        self._translate(fusion.blendshapes, fusion.gaze, out)
        np.multiply(self._more, fusion.video_weight, out=self._raw)
        out += self._raw
        if speech is not None and speech.flame is not None and fusion.speech_weight > 0.0:
            self._add_spoken(speech, speech.flame, fusion.speech_weight)
        values = quantize(out)
        return FlameParameters(values[:e], values[e : e + 3], np.zeros(3, np.float32), values[e + 3 :])

    def _add_spoken(self, speech: SpeechTick, flame: Float32Array, weight: float) -> None:
        """What the driver knows of expression and jaw, in place of what its shapes say."""
        e = self.expressions
        self._translate(speech.blendshapes, np.zeros(4, np.float32), self._raw)
        self._frame[:e] += weight * (flame[:e] - self._raw[:e])
        self._frame[e : e + 3] += weight * (flame[-3:] - self._raw[e : e + 3])

    def _translate(self, shapes: Float32Array, gaze: Float32Array, out: Float32Array) -> None:
        expression, jaw, eyes = self._map.step(shapes, gaze)
        e = self.expressions
        out[:e], out[e : e + 3], out[e + 3 :] = expression[:e], jaw, eyes
