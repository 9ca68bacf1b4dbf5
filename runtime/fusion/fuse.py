"""Microphone and camera as one face: who drives the mouth now, and what the rest does meanwhile.

The camera leads the upper face, head and gaze. The mouth follows the source that can be trusted: the camera while its
mouth is seen, else speech; where neither can be, it eases to rest. Weights move at a limited rate, so a hand-over has
no step, and a change of lead has to last, so it does not flicker. Carries over weights, lead and idle eyes; adds no
delay unless ``sync`` asks for it.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from facewire.bridge.shared.arkit import BLENDSHAPES
from facewire.bridge.shared.arrays import Float32Array
from facewire.bridge.wire.frame import Sources
from facewire.runtime.face.presence import MOST_STEP
from facewire.runtime.fusion.idle import IdleEyes
from facewire.runtime.fusion.modes import Mode
from facewire.runtime.fusion.sync import Aligner

RATE_PER_S = 2.0
"""Fastest change of a weight: 0.067 of a shape's range in a frame at 30 frames a second; at fewer, ``MOST_STEP``."""
ALONE_FASTER = 10.0
"""How much faster speech comes in where there was no camera yet: there is no hand-over to soften."""
LEAVE_CAMERA_S, LEAVE_SPEECH_S = 0.12, 0.40
"""So long the other source has to be the better one before the mouth follows it."""
CAMERA_GONE, CAMERA_BACK = 0.35, 0.65
"""Trust in the camera's mouth below which it loses the lead, and above which it gets it back."""
STALE_SPEECH_NS = 300_000_000
"""Speech that is older says nothing about now."""
SNR_DB = (3.0, 12.0)
"""Signal-to-noise ratio at which speech is worth nothing, and at which it is worth all."""
VOICE_ATTACK_S, VOICE_RELEASE_S = 0.06, 0.5
LEAST_SHARE = 0.02
"""A source with less weight does not count as driving."""

MOUTH = np.array([
    i for i, name in enumerate(BLENDSHAPES) if name.startswith(("jaw", "mouth", "tongue")) or name == "cheekPuff"
])  # fmt: skip
"""Shapes that speech may drive, in a frame's order."""


class Speech(Protocol):
    """What the microphone says about the face: ``speak.SpeechTick``."""

    @property
    def blendshapes(self) -> Float32Array:
        """[52], 0..1; upper-face shapes are small companions of the voice. Nobody writes it again."""

    @property
    def capture_ns(self) -> int:
        """Session clock when the newest sound behind it was captured."""

    @property
    def sound_ns(self) -> int:
        """Session clock of the sound that it shows: earlier by the look-ahead."""

    @property
    def confidence(self) -> float:
        """0..1, how surely somebody speaks."""

    @property
    def snr_db(self) -> float:
        """Speech against the background."""


class Seen(Protocol):
    """What the camera gives: ``Presence``."""

    blendshapes: Float32Array
    head: Float32Array
    gaze: Float32Array
    confidence: float
    sources: Sources
    left: float
    at_rest: bool


class Fusion:
    """After ``step``: ``blendshapes`` [52], ``head`` [7], ``gaze`` [4], ``sources`` and ``confidence`` as in FaceFrame.

    The arrays are this object's own and hold until the next step.
    """

    def __init__(self, mode: Mode = "auto", *, sync: bool = False, seed: int = 1) -> None:
        self.mode: Mode = mode
        self.aligner = Aligner(sync)
        self.idle = IdleEyes(seed)
        self.blendshapes: Float32Array = np.zeros(len(BLENDSHAPES), np.float32)
        self.head: Float32Array = np.array([0, 0, 0, 1, 0, 0, 0], np.float32)
        self.gaze: Float32Array = np.zeros(4, np.float32)
        self._mouth: Float32Array = np.zeros(len(MOUTH), np.float32)
        self.sources: Sources = "held"
        self.confidence = 0.0
        self.video_weight = self.speech_weight = self.idle_weight = 0.0
        """Shares of the mouth that the camera and speech have, and how alive the idle eyes are."""
        self.speech_trust = 0.0
        self._camera_share = 0.0 if mode == "microphone" else 1.0
        self._camera = 0.0
        self._camera_leads = True
        self._camera_seen = False
        self._challenged_s = 0.0
        self._last_ns: int | None = None

    @property
    def at_rest(self) -> bool:
        """Whether nothing moves, and nothing will until an input gives something new."""
        return self.speech_weight == self.idle_weight == 0.0

    def step(self, seen: Seen, camera_trust: float, speech: Speech | None, video_ns: int | None, now_ns: int) -> None:
        """Makes the face of ``now_ns``.

        ``seen`` was captured at ``video_ns``; ``camera_trust`` 0..1 is for its mouth; ``speech`` is the newest or None.
        """
        passed_s = 0.0 if self._last_ns is None else min(max(now_ns - self._last_ns, 0) * 1e-9, 0.1)
        first, self._last_ns = self._last_ns is None, now_ns
        if speech is not None and now_ns - speech.capture_ns > STALE_SPEECH_NS:
            speech = None
        most = 1.0 if first else min(RATE_PER_S * passed_s, MOST_STEP)
        if seen.left > 0.0 and self.idle_weight > 0.0 and not self._camera_seen:
            self._camera_share = 0.0  # speech had the face to itself until now: the first sight of it is a hand-over
        self._camera_share = _towards(self._camera_share, 0.0 if self.mode == "microphone" else 1.0, most)
        camera = seen.left * self._camera_share
        self._trust_speech(speech, passed_s)
        self._choose_lead(camera_trust if seen.sources == "video" else 0.0, speech is not None, passed_s)
        self._move_weights(camera, speech, most)
        self.aligner.step(seen, speech, video_ns, now_ns)
        self._mix(camera, now_ns)
        self._name_sources(seen, camera)

    def _trust_speech(self, speech: Speech | None, passed_s: float) -> None:
        """Follows voice and noise: quickly up, slowly down, so that a pause between words changes nothing."""
        target = 0.0
        if speech is not None:
            clear = (speech.snr_db - SNR_DB[0]) / (SNR_DB[1] - SNR_DB[0])
            target = min(max(speech.confidence, 0.0), 1.0) * min(max(clear, 0.0), 1.0)
        constant_s = VOICE_ATTACK_S if target > self.speech_trust else VOICE_RELEASE_S
        self.speech_trust += (1.0 - np.exp(-passed_s / constant_s)) * (target - self.speech_trust)

    def _choose_lead(self, camera_trust: float, speech_there: bool, passed_s: float) -> None:
        if self.mode != "auto":
            self._camera_leads = self.mode == "camera"
            return
        if self._camera_leads:
            challenged = camera_trust < CAMERA_GONE and speech_there
        else:
            challenged = camera_trust > CAMERA_BACK or (not speech_there and camera_trust > CAMERA_GONE)
        self._challenged_s = self._challenged_s + passed_s if challenged else 0.0
        if self._challenged_s >= (LEAVE_CAMERA_S if self._camera_leads else LEAVE_SPEECH_S):
            self._camera_leads, self._challenged_s = not self._camera_leads, 0.0

    def _move_weights(self, camera: float, speech: Speech | None, most: float) -> None:
        heard = self.mode != "camera" and speech is not None
        # A face that eases away or back takes its mouth along, and speech may go at the same time: together they are no
        # faster than one alone.
        eased, self._camera = 0.0 if most == 1.0 else abs(self._camera - camera), camera
        before = self.video_weight
        self.video_weight = _towards(before, 1.0 if self._camera_leads else 0.0, max(most - eased, 0.0))
        speech_leads = heard and not self._camera_leads
        # Without a camera there is nothing to go back to, and speech eases by itself where nobody speaks: weighing it
        # by trust would only swallow the beginning of each sentence.
        self._camera_seen = self._camera_seen or camera > 0.0
        alone = not self._camera_seen and speech is not None and speech.snr_db >= SNR_DB[0]
        target = (1.0 if alone else self.speech_trust) if speech_leads else 0.0
        if target < self.speech_weight:
            left = max(most - eased - max(before - self.video_weight, 0.0), 0.0)
            self.speech_weight = _towards(self.speech_weight, target, left)
        else:
            self.speech_weight = _towards(self.speech_weight, target, most * ALONE_FASTER if alone else most)
        self.idle_weight = _towards(self.idle_weight, 1.0 if heard else 0.0, most)

    def _mix(self, camera: float, now_ns: int) -> None:
        video, spoken = self.aligner.video, self.aligner.speech
        shapes, upper = self.blendshapes, (1.0 - camera) * self.idle_weight
        # ``seen`` has eased with ``left`` already: only a mode that shuts the camera out takes it away here.
        share = self._camera_share
        np.multiply(video[:52], share, out=shapes)
        np.multiply(video[MOUTH], self.video_weight, out=self._mouth)
        shapes[MOUTH] = self._mouth
        np.multiply(video[59:], share, out=self.gaze)
        self._turn_head(video[52:59], share)
        if upper > 0.0:
            self.idle.step(now_ns)
            shapes += upper * self.idle.blendshapes
            self.gaze += upper * self.idle.gaze
        if self.speech_weight > 0.0 or upper > 0.0:
            mouth = shapes[MOUTH] + self.speech_weight * spoken[MOUTH]
            shapes += upper * self.speech_trust * spoken
            shapes[MOUTH] = mouth
        np.clip(shapes, 0.0, 1.0, out=shapes)

    def _turn_head(self, seen: Float32Array, share: float) -> None:
        """The camera's head, or the way from it to none where the camera is shut out; where it stands it stays."""
        self.head[:] = seen
        if share < 1.0:
            turn = self.head[:4]
            turn *= share if turn[3] >= 0 else -share
            turn[3] += 1.0 - share
            turn /= max(float(np.linalg.norm(turn)), 1e-6)

    def _name_sources(self, seen: Seen, camera: float) -> None:
        watched = camera > 0.0 and seen.sources == "video"
        heard = self.speech_weight > LEAST_SHARE or (self.idle_weight > 0.0 and not watched)
        if watched:
            self.sources = "both" if heard else "video"
            self.confidence = seen.confidence
        else:
            self.sources = "audio" if heard else "held"
            self.confidence = self.speech_trust if heard else seen.confidence


def _towards(value: float, target: float, most: float) -> float:
    return min(target, value + most) if target > value else max(target, value - most)
