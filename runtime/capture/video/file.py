"""Video files, at their own pace as if they were live, or as fast as they can be read."""

from __future__ import annotations

from pathlib import Path

import cv2

from facewire.bridge.shared.arrays import Image
from facewire.bridge.shared.clock import Clock, now_ns
from facewire.runtime.capture.video.opencv import Opener, VideoCapture, open_stream, retrieve
from facewire.runtime.capture.video.source import CapturedImage, CaptureError, Source, whole_path

DEFAULT_RATE = 30.0


class FileSource(Source):
    """One video file.

    Paced, a picture is grabbed when its time has come and stamped with the session clock then. Not paced, it is
    stamped with its time in the file in nanoseconds, which counts on from one round to the next when looping.
    """

    kind = "file"
    returns = False

    def __init__(
        self, path: Path, *, paced: bool, loop: bool = False, opener: Opener = open_stream, clock: Clock = now_ns
    ) -> None:
        super().__init__()
        self._be(str(path), whole_path(path), (str(path),))
        self._path, self._paced, self._loop, self._opener, self._clock = path, paced, loop, opener, clock
        self._capture: VideoCapture | None = None
        self.frames = 0
        """How many pictures the file says it has; 0 if it does not say."""

    def open(self) -> None:
        if not self._path.exists():
            raise CaptureError(f"{self._path} does not exist: check the name")
        if self._path.is_dir():
            raise CaptureError(f"{self._path} is a folder: name a video file in it")
        self._capture = self._opener(str(self._path.absolute()))  # FFmpeg takes "12:30.mp4" for an address
        if not self._capture.isOpened():
            self.close()
            raise CaptureError(f"{self._path} is not a video that can be read")
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        self.rate = rate if 1.0 <= rate <= 1000.0 else DEFAULT_RATE
        self.frames = max(int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)), 0)
        self._start_ns, self._round_ns, self._media_ns = self._clock(), 0, -1
        self._read_any = False

    def read(self, spare: Image | None = None) -> CapturedImage | None:
        if self._capture is None:
            raise CaptureError(f"{self.name} is not open")
        while self._grab():
            due_ns = self._start_ns + self._media_ns
            if self._paced and not self._sleep_until(due_ns, self._clock):
                return None
            capture_ns = self._clock() if self._paced else self._media_ns
            image = retrieve(self._capture, spare)
            if image is not None:
                self._read_any = True
                return CapturedImage(image, capture_ns)
        if not self._read_any and not self._interrupted.is_set():
            raise CaptureError(f"{self._path} has no picture that can be read")
        return None

    def close(self) -> None:
        if self._capture is not None:
            self._capture.release()
            self._capture = None

    def _grab(self) -> bool:
        """Grab the next picture and note its time in the file; start again at the end when looping."""
        assert self._capture is not None
        if self._interrupted.is_set():
            return False
        grabbed = self._capture.grab()
        if not grabbed and self._loop and self._read_any:
            self._round_ns = self._media_ns + self._frame_ns
            self._capture.set(cv2.CAP_PROP_POS_FRAMES, 0)
            grabbed = self._capture.grab()
        if grabbed:
            position_ns = self._round_ns + int(self._capture.get(cv2.CAP_PROP_POS_MSEC) * 1e6)
            # Some containers give no times, or the same twice: the nominal rate stands in.
            after_last_ns = self._media_ns + self._frame_ns if self._media_ns >= 0 else self._round_ns
            self._media_ns = position_ns if position_ns > self._media_ns else after_last_ns
        return grabbed

    @property
    def _frame_ns(self) -> int:
        return int(1e9 / self.rate)
