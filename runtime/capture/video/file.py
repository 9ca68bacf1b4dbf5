"""Video files, at their own pace as if they were live, or as fast as they can be read."""

from __future__ import annotations

import stat
from pathlib import Path

import cv2
import numpy as np

from facewire.bridge.shared.arrays import Image
from facewire.bridge.shared.clock import Clock, now_ns
from facewire.bridge.shared.named import for_ffmpeg
from facewire.bridge.shared.regular_file import look_at, open_regular
from facewire.runtime.capture.video.file_end import is_cut, is_mirrored, is_transport_stream, loses_step
from facewire.runtime.capture.video.meeting import Meeting
from facewire.runtime.capture.video.opencv import Opener, VideoCapture, open_stream, retrieve
from facewire.runtime.capture.video.source import CapturedImage, CaptureError, Source, whole_path

DEFAULT_RATE = 30.0
HIGHEST_RATE = 240.0
"""What a file says beyond this is the tick of its clock, and its first pictures tell the rate."""
LOOK_PICTURES = 16
MOST_FAILURES = 5_000
"""A file that gives nothing but damage this often has ended."""
BACK_NS, LEAP_NS = 1_000_000_000, 600_000_000_000
"""A clock that goes back or leaps by more has been set, or is damaged: the pictures go on."""
SHORT_S, SHORT_SHARE = 0.5, 0.02
"""A file whose pictures end by more than either before it says so is short of them: times and rates are rounded."""


class FileSource(Source):
    """One video file. Damaged places are passed over; if pictures are missing, ``damage`` says so at the end, or at
    that of the first round when looping.

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
        self.meeting: Meeting | None = None
        """Where it waits for the sound that is played beside it."""

    def check(self) -> None:
        """Say whether there is such a file.

        Raises:
            CaptureError: there is none, or it may not be read.
        """
        try:
            found = look_at(self._path)
            if found is not None and stat.S_ISREG(found.st_mode):
                open_regular(self._path).close()
        except OSError as error:
            raise CaptureError(f"cannot open {self._path}: {error.strerror or error}") from None
        if found is None:
            raise CaptureError(f"{self._path} does not exist: check the name")
        if stat.S_ISDIR(found.st_mode):
            raise CaptureError(f"{self._path} is a folder: name a video file in it")

    def open(self) -> None:
        self.check()
        self._capture = self._opener(for_ffmpeg(self._path))
        if not self._capture.isOpened():
            self.close()
            raise CaptureError(f"{self._path} is not a video that can be read")
        stated = self._capture.get(cv2.CAP_PROP_FPS)
        self.rate = stated if 1.0 <= stated <= HIGHEST_RATE else self._seen_rate()
        # The count may be worked out from a rate that is none.
        count = self._capture.get(cv2.CAP_PROP_FRAME_COUNT) * (self.rate / stated if stated > 0.0 else 0.0)
        self.frames = int(min(max(count, 0.0), 1e12))
        self._flip = self._find_flip()
        self._start_ns = self._clock() if self.meeting is None else self.meeting.meet(self._interrupted, self._clock)
        self._set_ns, self._media_ns = 0, -1
        self._read_any, self._played, self._grabbed, self._passed_over = False, False, 0, 0
        self.damage = None

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
                if self._flip is not None:
                    cv2.flip(image, self._flip, image)
                self._read_any = True
                return CapturedImage(image, capture_ns)
        if self._interrupted.is_set():
            return None
        if not self._read_any:
            raise CaptureError(f"{self._path} has no picture that can be read")
        self.damage = self._find_damage()
        return None

    def close(self) -> None:
        if self._capture is not None:
            self._capture.release()
            self._capture = None
        if self.meeting is not None:
            self.meeting.leave()
            self.meeting = None

    def _grab(self) -> bool:
        """Grab the next picture and note its time in the file; start again at the end when looping."""
        assert self._capture is not None
        if self._interrupted.is_set():
            return False
        grabbed = self._grab_whole()
        if not grabbed and self._loop and self._read_any:
            if not self._played:
                self.damage, self._played = self._find_damage(), True
            self._set_ns, self._grabbed = self._next_round_ns(), 0
            self._capture.set(cv2.CAP_PROP_POS_FRAMES, 0)
            grabbed = self._grab_whole()
        if grabbed:
            self._note_time(self._capture.get(cv2.CAP_PROP_POS_MSEC))
        return grabbed

    def _find_flip(self) -> int | None:
        """Return how OpenCV's picture has to be flipped, as ``cv2.flip`` has it; None for not at all.

        OpenCV turns a picture to where the file has its upper edge. If the file mirrors, too, what is left is to swap
        the other two edges, and that is how it must not lie: upside down, or left to right if it was turned on a side.
        """
        assert self._capture is not None
        if not is_mirrored(self._path):
            return None
        return 0 if round(self._capture.get(cv2.CAP_PROP_ORIENTATION_META)) % 180 == 0 else 1

    def _next_round_ns(self) -> int:
        """Return when the next round begins, after the first one's beginning."""
        end_ns = self._media_ns + self._frame_ns
        if self.meeting is None or not self.meeting.each_round:
            return end_ns
        self._sleep_until(self._start_ns + end_ns, self._clock)
        return max(end_ns, self.meeting.meet(self._interrupted, self._clock) - self._start_ns)

    def _grab_whole(self) -> bool:
        """Grab the next picture that can be decoded; the end of the file and a damaged picture look the same."""
        assert self._capture is not None
        tries = min(max(self.frames - self._grabbed, 1), MOST_FAILURES)
        for failures in range(tries + 1):
            if self._capture.grab():
                if self._grabbed:  # what comes before the first key picture is not damage
                    self._passed_over += failures
                self._grabbed += 1
                return True
            if self._interrupted.is_set():
                return False
        return False

    def _note_time(self, position_ms: float) -> None:
        # Some containers give no times, or the same twice: the nominal rate stands in.
        after_last_ns = self._media_ns + self._frame_ns if self._media_ns >= 0 else self._set_ns
        if not abs(position_ms) < 1e15:
            self._media_ns = after_last_ns
            return
        position_ns = self._set_ns + int(position_ms * 1e6)
        if self._media_ns >= 0 and not -BACK_NS < position_ns - self._media_ns < LEAP_NS:
            self._set_ns += after_last_ns - position_ns
            position_ns = after_last_ns
        self._media_ns = position_ns if position_ns > self._media_ns else after_last_ns

    def _find_damage(self) -> str | None:
        """Return a line about pictures that the file should hold and does not give; None if it is whole."""
        missing = self._grabbed < self.frames
        count = f" ({self._grabbed} of {self.frames} pictures)" if missing else ""
        # A transport stream counts nothing: how long it is was worked out from its end.
        if (missing or not self.frames or is_transport_stream(self._path)) and is_cut(self._path):
            end_s = (self._media_ns + self._frame_ns) * 1e-9
            return f"{self._path} is cut off: its pictures end at {end_s:.1f} s{count}"
        if self._passed_over or (missing and (self._is_short() or loses_step(self._path))):
            return f"{self._path} is damaged: not all of its pictures could be read{count}"
        return None

    def _is_short(self) -> bool:
        """Whether an AVI, which counts its pictures, ends well before it should. Others may state their sound's length,
        or pictures that an edit has cut off."""
        short_s = self.frames / self.rate - (self._media_ns - self._set_ns) * 1e-9
        return self._path.suffix.lower() == ".avi" and short_s > max(SHORT_S, SHORT_SHARE * self.frames / self.rate)

    def _seen_rate(self) -> float:
        """Return the rate of the first pictures of a file that does not say it."""
        look, times_ms = self._opener(for_ffmpeg(self._path)), list[float]()
        while len(times_ms) < LOOK_PICTURES and look.grab():
            times_ms.append(look.get(cv2.CAP_PROP_POS_MSEC))
        look.release()
        steps_ms = np.diff(times_ms)
        step_ms = float(np.median(steps_ms)) if len(steps_ms) else 0.0
        return 1e3 / step_ms if 1e3 / HIGHEST_RATE <= step_ms <= 1e3 else DEFAULT_RATE

    @property
    def path(self) -> Path:
        """The file."""
        return self._path

    @property
    def _frame_ns(self) -> int:
        return int(1e9 / self.rate)
