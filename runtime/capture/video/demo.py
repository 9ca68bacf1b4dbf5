"""The input that needs no device: a moving photograph that goes through the real networks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2

from facewire.bridge.shared.arrays import Image
from facewire.bridge.shared.clock import Clock, now_ns
from facewire.runtime.capture.video.demo_face import PHOTO_SHAPE, DemoFace, demo_pose
from facewire.runtime.capture.video.source import CapturedImage, CaptureError, Source


class DemoSource(Source):
    """Picture ``n`` shows the pose at ``n / rate`` seconds, paced as live or as fast as possible; it never ends."""

    name = "demo"
    kind = "demo"
    returns = False

    def __init__(
        self, photo_path: Callable[[], Path], *, rate: float = 30.0, paced: bool = True, clock: Clock = now_ns
    ) -> None:
        """``photo_path`` may fetch the photograph, so it is called by ``open`` and not here."""
        super().__init__()
        self.rate = rate
        self._photo_path, self._paced, self._clock = photo_path, paced, clock
        self._face: DemoFace | None = None

    def open(self) -> None:
        path = self._photo_path()
        photo = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if photo is None or photo.shape != PHOTO_SHAPE:
            raise CaptureError(f"the demo photograph {path} is damaged: delete it and run: facewire models pull")
        self._face = DemoFace(photo)  # type: ignore[arg-type]
        self._index, self._start_ns = 0, self._clock()

    def read(self, spare: Image | None = None) -> CapturedImage | None:
        if self._face is None:
            raise CaptureError("the demo is not open")
        media_ns = int(self._index * 1e9 / self.rate)
        if not self._sleep_until(self._start_ns + media_ns if self._paced else 0, self._clock):
            return None
        # If the machine is too slow, whole pictures are left out: the demo keeps the pace of its time.
        late = int((self._clock() - self._start_ns - media_ns) * 1e-9 * self.rate) if self._paced else 0
        self._index += max(late, 0)
        capture_ns = self._clock() if self._paced else media_ns
        image = self._face.render(demo_pose(self._index / self.rate), spare)
        self._index += 1
        return CapturedImage(image, capture_ns)

    def close(self) -> None:
        self._face = None
