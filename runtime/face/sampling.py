"""Collects what a calibration looks at: every picture of some seconds, on the track thread, judged on another."""

from __future__ import annotations

import threading

from facewire.bridge.shared.arrays import Image
from facewire.bridge.shared.face import FaceState
from facewire.runtime.face.calibrate import Calibrator, Sample
from facewire.runtime.face.guided import CalibrationError

DARK = 16
"""Mean grey below which a picture shows nothing: a covered lens, or night."""
MAX_SAMPLES = 2000
LEAST_PICTURES = 7
"""A camera that gives fewer in the time asked for is watched for ``PATIENCE_S`` more, until it has given so many."""
PATIENCE_S = 1.5


class Sampling:
    """One capture of ``seconds`` from the first picture on, longer if a camera is slow.

    Bounded: it ends at its time and ``PATIENCE_S``, or at ``MAX_SAMPLES``. State: what was collected, and since when.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.samples: list[Sample] = []
        self.pictures = 0
        self.dark = 0
        self.done = threading.Event()
        self._started_ns: int | None = None

    def step(self, calibrator: Calibrator, face: FaceState | None, image: Image | None, now_ns: int) -> bool:
        """Take one picture, if there is one, and the face in it, or None; True once all is collected."""
        if self._started_ns is None:
            self._started_ns = now_ns
        self.pictures += 1
        sample = None if face is None else calibrator.sample(face)
        if sample is not None:
            self.samples.append(sample)
        elif image is not None and is_dark(image):
            self.dark += 1
        seconds = self.seconds if self.pictures >= LEAST_PICTURES else self.seconds + PATIENCE_S
        if now_ns - self._started_ns < seconds * 1e9 and self.pictures < MAX_SAMPLES:
            return False
        self.done.set()
        return True

    def check(self) -> None:
        """Refuse a capture that shows too little.

        Raises:
            CalibrationError: the pictures are dark.
        """
        if self.dark > 0.3 * max(self.pictures, 1):
            raise CalibrationError("the picture is dark: uncover the camera or turn a light on, then try again")


def is_dark(image: Image) -> bool:
    """Return whether a picture shows nothing."""
    return bool(image[::16, ::16].mean() < DARK)
