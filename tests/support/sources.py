"""Sources of pictures that a test writes the story of."""

from __future__ import annotations

import numpy as np

from facewire.bridge.shared.clock import now_ns
from facewire.runtime.capture.video.source import CapturedImage, CaptureError, Source


class Pictures(Source):
    """``count`` pictures at ``rate``, numbered by their first pixel; then the end, or silence like a hung camera.

    It waits for the tracker before the next picture, so that a machine that is busy drops none; ``hurried`` does not.
    """

    name, kind = "pictures", "test"

    def __init__(self, count, rate=200.0, then="end", returns=False, hurried=False):
        super().__init__()
        self.returns, self.hurried = returns, hurried
        self.count, self.rate, self.then, self.sent, self.seen = count, rate, then, 0, 0

    def open(self):
        pass

    def read(self, _spare=None):
        if self.sent >= self.count:
            if self.then == "silence":
                self._interrupted.wait()
            if self.then == "error":
                raise CaptureError("the pictures are lost")
            return None
        if self._interrupted.wait(1 / self.rate):
            return None
        while not self.hurried and self.seen < self.sent:
            if self._interrupted.wait(0.001):
                return None
        image = np.full((48, 64, 3), self.sent % 256, np.uint8)
        self.sent += 1
        return CapturedImage(image, now_ns())

    def close(self):
        pass
