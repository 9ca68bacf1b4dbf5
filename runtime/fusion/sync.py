"""Camera and microphone on one time line: their delays are measured, and the faster one waits if it is told to."""

from __future__ import annotations

import numpy as np

from facewire.bridge.shared.arkit import BLENDSHAPES
from facewire.bridge.shared.arrays import Float32Array
from facewire.bridge.shared.face import FACE_VALUES, FaceState, SpeechTick

DEPTH = 64
"""Moments kept: half a second at 120 a second. Drop policy: the oldest goes."""
MOST_NS = 300_000_000
"""No source waits longer, however late the other is."""
SMOOTHING = 0.05
"""Share of a new measurement in a delay."""


class DelayLine:
    """The last moments of one source, with the times that they show. Reading between two of them interpolates.

    State: ``DEPTH`` moments and their times.
    """

    def __init__(self, width: int) -> None:
        self._times_ns = np.full(DEPTH, np.iinfo(np.int64).min, np.int64)
        self._values = np.zeros((DEPTH, width), np.float32)
        self._newest = -1

    def put(self, values: Float32Array, time_ns: int) -> None:
        """Keep ``values`` [width] of ``time_ns``; the same or an earlier time than the newest replaces it."""
        if self._newest < 0 or time_ns > self._times_ns[self._newest]:
            self._newest = (self._newest + 1) % DEPTH
        self._times_ns[self._newest] = time_ns
        self._values[self._newest] = values

    def read(self, time_ns: int, out: Float32Array) -> None:
        """Write the moment of ``time_ns``: the newest if that is later, the oldest if it is earlier."""
        later = self._newest
        for back in range(DEPTH):
            i = (self._newest - back) % DEPTH
            if self._times_ns[i] < 0 and self._times_ns[i] == np.iinfo(np.int64).min:
                break
            if self._times_ns[i] <= time_ns:
                self._between(i, later, time_ns, out)
                return
            later = i
        out[:] = self._values[later]

    def _between(self, earlier: int, later: int, time_ns: int, out: Float32Array) -> None:
        span = int(self._times_ns[later] - self._times_ns[earlier])
        share = min((time_ns - int(self._times_ns[earlier])) / span, 1.0) if span > 0 else 1.0
        np.subtract(self._values[later], self._values[earlier], out=out)
        out *= share
        out += self._values[earlier]


class Aligner:
    """Lets the faster source wait for the slower one; without ``sync`` both pass at once.

    State: both sources' last moments and delays.
    """

    def __init__(self, sync: bool = False) -> None:
        self.sync = sync
        self.video = FaceState()
        """The camera's face of the moment that is shown: its shapes, head and gaze."""
        self.speech: Float32Array = np.zeros(len(BLENDSHAPES), np.float32)
        """[52], speech's shapes of that moment."""
        self.video_ns: int | None = None
        """When what is shown of the camera was captured; None if it never was."""
        self.speech_ns: int | None = None
        self._video_delay_ns = self._speech_delay_ns = 0.0
        self._video_line, self._speech_line = DelayLine(FACE_VALUES), DelayLine(len(BLENDSHAPES))

    @property
    def delays_ms(self) -> dict[str, float]:
        """How long each source takes from the moment that it shows to here."""
        named = {"video": (self.video_ns, self._video_delay_ns), "audio": (self.speech_ns, self._speech_delay_ns)}
        return {name: round(delay_ns * 1e-6, 2) for name, (seen_ns, delay_ns) in named.items() if seen_ns is not None}

    def step(self, seen: FaceState, speech: SpeechTick | None, now_ns: int) -> None:
        """Take what is there at ``now_ns``."""
        video_ns = seen.video_ns
        if video_ns is not None and video_ns != self.video_ns:
            self._video_delay_ns = _smoothed(self._video_delay_ns, now_ns - video_ns, self.video_ns is None)
        self.video_ns = video_ns or self.video_ns
        if speech is not None and speech.capture_ns != self.speech_ns:
            late_ns = now_ns - speech.sound_ns
            self._speech_delay_ns = _smoothed(self._speech_delay_ns, late_ns, self.speech_ns is None)
            self.speech_ns = speech.capture_ns
        if speech is None:
            self.speech *= 0.0 if self.speech_ns is None else 1.0
        if not self.sync or speech is None:
            self.video.values[:] = seen.values
            if speech is not None:
                self.speech[:] = speech.blendshapes
            return
        self._align(speech, seen, now_ns)

    def _align(self, speech: SpeechTick, seen: FaceState, now_ns: int) -> None:
        lead_ns = self._speech_delay_ns - self._video_delay_ns
        lead_ns = min(max(lead_ns, -MOST_NS), MOST_NS)
        # The line of a source runs on arrival here, so a pause in the input is kept as it was.
        self._video_line.put(seen.values, now_ns)
        self._speech_line.put(speech.blendshapes, now_ns)
        self._video_line.read(now_ns - round(max(lead_ns, 0.0)), self.video.values)
        self._speech_line.read(now_ns - round(max(-lead_ns, 0.0)), self.speech)
        turn = self.video.head[:4]
        turn /= max(float(np.linalg.norm(turn)), 1e-6)


def _smoothed(value: float, new: float, first: bool) -> float:
    return new if first else value + SMOOTHING * (new - value)
