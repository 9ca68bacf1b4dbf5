"""Trackers that see what a test wants."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from support.faces import seen_face
from support.sources import Pictures

from facewire.bridge.shared.face import FaceState


class ScriptedTracker:
    """Sees what it is told, one face a picture."""

    def __init__(self, faces: Iterator[FaceState | None]) -> None:
        self._faces = faces

    def step(self, _image: np.ndarray, _now_ns: int) -> FaceState | None:
        return next(self._faces)

    def reset(self) -> None:
        """Nothing to forget."""


class FakeTracker:
    """Sees a face in every picture of ``source``; ``act`` may do something else with the picture's number."""

    def __init__(
        self,
        act: Callable[[int], Any] = lambda _: None,
        source: Pictures | None = None,
        face: FaceState | None = None,
    ) -> None:
        self.act, self.source = act, source
        self.images: list[np.ndarray] = []
        self.face = face or seen_face(blendshapes=np.full(52, 0.5, np.float32), landmarks=np.ones((478, 3), np.float32))

    def step(self, image_bgr: np.ndarray, _now_ns: int) -> FaceState | None:
        self.images.append(image_bgr)
        if self.source is not None:
            self.source.seen = self.source.sent
        return None if self.act(int(image_bgr[0, 0, 0])) == "no face" else self.face

    def reset(self) -> None:
        """Nothing to forget."""
