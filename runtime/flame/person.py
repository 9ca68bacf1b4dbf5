"""Whose face is fitted: known after a while, learned again for the next person, and changed over without a jump."""

from __future__ import annotations

from typing import Any

import numpy as np

from facewire.bridge.shared.arrays import Float32Array
from facewire.bridge.shared.face import FaceState
from facewire.models.flame.fit.fitter import FlameFitter
from facewire.models.flame.model import FlameModel
from facewire.runtime.flame.place import HeadInModel

AWAY_NS = 3_000_000_000
"""After this long without a face the next may be another person's."""
CHANGE_NS = 500_000_000
"""How long FLAME takes to go over from how one person was fitted to how the next is."""


class Person:
    """Who is before the camera, as the fitter learns it and where a frame's head is in them.

    State: the fitter's and the place's, when a face was seen last, whether a change was asked for, and the last person
    who was known when the next one began.
    """

    def __init__(self, model: FlameModel, fitter: FlameFitter) -> None:
        self.place = HeadInModel()
        self._model, self._fitter = model, fitter
        self._seen_ns: int | None = None
        self._is_asked = False
        self._known: dict[str, Any] | None = None

    @property
    def greeting(self) -> dict[str, Any]:
        """What hello says of the model (wire.md, 3.1)."""
        last = self._fitter.last
        return {
            "model": self._model.name,
            "digest": self._model.digest,
            "expressions": len(last.expression),
            "shapes": len(last.shape),
        }

    @property
    def shape(self) -> list[float]:
        """The identity as far as it is known."""
        return [round(value, 4) for value in self._fitter.last.shape.tolist()]

    def describe(self) -> dict[str, Any]:
        """Return what a session's end says: the model, the identity as it is known by then (while that of another
        person is learned, the last one's), and where ``head`` is in it.

        ``head`` [8] takes a point of a frame's head to the model: quaternion xyzw, metres, and by how much the person
        is larger than the canonical face; ``root`` [3] is the root's joint.
        """
        if self._known is not None and not self._fitter.frozen:
            return self._known
        head = [round(value, 6) for value in self.place.placed(self._fitter.rest).tolist()]
        root = [round(value, 6) for value in self._fitter.root.tolist()]
        about = {"shape": self.shape, "learned": round(self._fitter.learned, 2), "head": head, "root": root}
        return {**self.greeting, **about}

    def relearn(self) -> None:
        """Forget who it is, for it is somebody else from the next picture on; from any thread."""
        self._is_asked = True

    def note_seen(self, now_ns: int) -> bool:
        """Take note of a face that is seen; True, and the person is forgotten, if it may be another's."""
        away = self._seen_ns is not None and now_ns - self._seen_ns >= AWAY_NS
        is_new = self._fitter.learned > 0.0 and (away or self._is_asked)
        if is_new:
            self._known = self.describe() if self._fitter.frozen else self._known
            self._fitter.reset()
            self.place.reset()
        self._seen_ns, self._is_asked = now_ns, False
        return is_new

    def look(self, face: FaceState) -> None:
        """Learn where the head of a face is in the model, which was just fitted to it."""
        fit = self._fitter.last
        self.place.look(face.head, fit.rotation, fit.translation, self._fitter.root)


class ChangeOver:
    """Leads from what was to what is within ``CHANGE_NS``. State: what was, when it ended, and whether it is to end."""

    def __init__(self, count: int) -> None:
        self._before: Float32Array = np.zeros(count, np.float32)
        self._changed_ns = -CHANGE_NS
        self._is_due = False

    def begin(self) -> None:
        """Make the next values go over from the values at that time."""
        self._is_due = True

    def mark(self, values: Float32Array, now_ns: int) -> None:
        """Keep ``values``, about to be overwritten, if a change is due."""
        if self._is_due:
            self._before[:], self._changed_ns, self._is_due = values, now_ns, False

    def ease(self, values: Float32Array, now_ns: int) -> None:
        """Make part of ``values`` what they were before, for a moment after the change."""
        share = (now_ns - self._changed_ns) / CHANGE_NS
        if 0.0 <= share < 1.0:
            values -= self._before
            values *= share
            values += self._before
