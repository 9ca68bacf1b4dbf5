"""FLAME beside the shapes: fitted while the camera leads, translated from the shapes while anything else does.

A frame's FLAME is

    M(frame) + share · (fit - M(camera)),

where M is the map from shapes and gaze to FLAME, ``camera`` is what the camera alone gives to fusion, and share is the
camera's share of the mouth. While it leads alone, the frame is the camera's, and this is the fit; while speech has the
mouth it is the map, so the FLAME is the same face as the shapes; in between it goes over as smoothly as the share does.
Speech that knows FLAME itself (FaceFormer) adds in the same way what it knows better than the map.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from facewire.bridge.shared.arrays import Float32Array
from facewire.bridge.shared.face import FaceState, SpeechTick
from facewire.bridge.wire.frame import FlameParameters
from facewire.models.flame.fit.fitter import FlameFitter
from facewire.models.flame.maps.arkit_map import ArkitToFlame
from facewire.models.flame.model import FlameModel
from facewire.models.flame.registration.lookup import correspondence_of
from facewire.runtime.face.filter_config import FilterConfig
from facewire.runtime.flame.person import ChangeOver, Person
from facewire.runtime.flame.vector import TURNS, FlameFilter, FlameVector
from facewire.runtime.tools.arguments import CommandSpec

LEAST_CONFIDENCE = 0.02
"""A fit with less changes nothing."""
_NO_GAZE: Float32Array = np.zeros(4, np.float32)


class Excess:
    """By how much the last fit is more than the map of the camera's shapes; it goes with the face if that is lost.

    State: the filter's, the excess, how much of the face was shown then, and the change-over between two people.
    """

    def __init__(self, expressions: int) -> None:
        self.values: Float32Array = np.zeros(expressions + TURNS, np.float32)
        self._filter = FlameFilter(expressions)
        self._filtered: Float32Array = np.zeros(expressions + TURNS, np.float32)
        self._visibility = 0.0
        self._change = ChangeOver(expressions + TURNS)

    def change_person(self) -> None:
        """Go over from this person to the next one, without a jump."""
        self._change.begin()

    def filter(self, fit: FlameVector, config: FilterConfig, now_ns: int) -> None:
        """Take a fit of ``now_ns``, which ``measure`` compares with the map."""
        self._filter.step(fit.values, config, now_ns, self._filtered)

    def measure(self, mapped: FlameVector, visibility: float, now_ns: int) -> None:
        """Compare the fit, ``visibility`` 0..1 of it, with what the map says of the same moment."""
        self._change.mark(self.values, now_ns)
        np.multiply(self._filtered, visibility, out=self.values)
        self.values -= mapped.values
        self._change.ease(self.values, now_ns)
        self._visibility = visibility

    def ease(self, visibility: float) -> None:
        """Without a new fit: let it go as the face does."""
        if self._visibility > 0.0:
            self.values *= visibility / self._visibility
        self._visibility = visibility

    def forget(self) -> None:
        """Drop it: nothing was fitted that goes with the camera's face."""
        self.values[:] = 0.0
        self._visibility = 0.0


RESET = CommandSpec("flame_reset")


class LiveFlame:
    """FLAME of one live face.

    ``fit`` is for the thread that tracks; ``show``, ``forget`` and ``frame`` are called under the pipeline's lock.
    State: the fitter's, the ``person``'s, the ``Excess``, and whether the last picture gave a fit. Who it is is learned
    again after ``AWAY_NS`` without a face, and if ``relearn_identity`` asks for it.
    """

    def __init__(self, model: FlameModel) -> None:
        """Register and map the model if that was not done yet (seconds), and compile.

        Raises:
            ModelError: the model cannot be registered.
        """
        self.model = model
        self.fitter = FlameFitter(model, correspondence_of(model))
        self._person = Person(model, self.fitter)
        self.wanted: Callable[[], bool] = lambda: True
        """Whether any client wants FLAME now: otherwise nothing is computed."""
        self.expressions = len(self.fitter.last.expression)
        self._map = ArkitToFlame(model)
        self._frame, self._scratch = FlameVector(self.expressions), FlameVector(self.expressions)
        self._has_fit = False
        self._excess = Excess(self.expressions)
        self._warm_up()

    def _warm_up(self) -> None:
        face = FaceState()
        face.visibility = 1.0
        for now_ns in range(2):
            self._has_fit = True
            self.show(face, FilterConfig(), now_ns)
        self._excess = Excess(self.expressions)

    @property
    def commands(self) -> dict[str, Callable[[Mapping[str, Any]], None]]:
        """What clients may ask, by name."""
        return {RESET.name: RESET.handler(lambda _: self.relearn_identity())}

    @property
    def greeting(self) -> dict[str, Any]:
        """What hello says of it (wire.md, 3.1)."""
        return self._person.greeting

    def person(self) -> dict[str, Any]:
        """Return what a session's end says of the person: see ``Person.describe``."""
        return self._person.describe()

    def state(self) -> dict[str, Any]:
        """Return the key that the status message gets; from any thread."""
        fit, frozen = self.fitter.last, self.fitter.frozen
        about = {
            "learned": round(self.fitter.learned, 2),
            "confidence": round(fit.confidence, 3),
            "residual_px": round(fit.residual_px, 2),
            "shape": self._person.shape if frozen else None,
        }
        return {"flame": about}

    def relearn_identity(self) -> None:
        """Forget who it is, for it is somebody else from the next picture on; from any thread."""
        self._person.relearn()

    def fit(self, face: FaceState, width: int, height: int, now_ns: int) -> None:
        """Fit what the tracker saw in a picture of ``now_ns``, if anybody wants it."""
        self._has_fit = False
        if self._person.note_seen(now_ns):
            self._excess.change_person()
        if face.landmarks is None or not self.wanted():
            return
        fit = self.fitter.step(face.landmarks, width, height, now_ns, face.confidence)
        self._has_fit = fit.confidence > LEAST_CONFIDENCE
        if self._has_fit:
            self._person.look(face)

    def show(self, face: FaceState, config: FilterConfig, now_ns: int) -> None:
        """Take the last fit, if there is a new one, and the camera's face as fusion gets it at ``now_ns``."""
        if not self._has_fit:
            self._excess.ease(face.visibility)
            return
        fit, scratch = self.fitter.last, self._scratch
        scratch.put(fit.expression, fit.jaw, fit.eyes)
        self._excess.filter(scratch, config, now_ns)
        scratch.put(*self._map.step(face.blendshapes, face.gaze))
        self._excess.measure(scratch, face.visibility, now_ns)
        self._has_fit = False

    def forget(self) -> None:
        """Note that no fit goes with what the camera gives: there are no landmarks, or nobody wants one."""
        self._excess.forget()

    def frame(self, face: FaceState, speech: SpeechTick | None) -> FlameParameters | None:
        """Return the FLAME of a face that fusion has just made; None if nobody wants it."""
        if not self.wanted():
            self.forget()
            return None
        out, scratch = self._frame, self._scratch
        out.put(*self._map.step(face.blendshapes, face.gaze))
        np.multiply(self._excess.values, face.camera_weight, out=scratch.values)
        out.values[:] += scratch.values
        if speech is not None and speech.flame is not None and face.speech_weight > 0.0:
            self._add_spoken(speech, speech.flame, face.speech_weight)
        return out.parameters()

    def _add_spoken(self, speech: SpeechTick, flame: Float32Array, weight: float) -> None:
        """Take what the driver knows of expression and jaw in place of what its shapes say."""
        out, said = self._frame, self._scratch
        said.put(*self._map.step(speech.blendshapes, _NO_GAZE))
        out.expression[:] += weight * (flame[: self.expressions] - said.expression)
        out.jaw[:] += weight * (flame[-3:] - said.jaw)
