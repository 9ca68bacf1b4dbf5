"""How fast a hand-over goes: each source's weight moves at a limited rate, so that no frame has a step."""

from __future__ import annotations

from typing import NamedTuple

from facewire.runtime.face.presence import MOST_STEP

RATE_PER_S = 2.0
"""Fastest change of a weight: 0.067 of a shape's range in a frame at 30 frames a second; at fewer, ``MOST_STEP``."""
ALONE_FASTER = 10.0
"""How much faster speech comes in if there was no camera yet: there is no hand-over to soften."""


class Wanted(NamedTuple):
    """Where the weights should go."""

    camera_leads: bool
    has_speech: bool
    """Whether speech may have a part: there is some, and the mode does not shut it out."""
    is_clear: bool
    """Whether there is speech, and it stands out from the noise."""
    speech_trust: float


class Weights:
    """Moves the weights of camera, speech and idle eyes towards what is wanted.

    State: the weights, how much of the face the camera had at the last step, and whether it ever had any.
    """

    def __init__(self, *, camera: bool) -> None:
        """Begin with the camera's whole share of the face, or with none."""
        self.video = self.speech = self.idle = 0.0
        """Shares of the mouth that camera and speech have, and how alive the idle eyes are."""
        self.camera_share = 1.0 if camera else 0.0
        """How much of what the camera sees counts at all: a mode may shut it out, and a hand-over moves it."""
        self.camera = 0.0
        """How much of the face is the camera's: what is visible of it, as far as it counts."""
        self._camera_seen = False

    def admit(self, visibility: float, *, camera: bool, most: float) -> None:
        """Move the camera's share by ``most`` at most, with ``visibility`` of the face that it sees."""
        if visibility > 0.0 and self.idle > 0.0 and not self._camera_seen:
            self.camera_share = 0.0  # speech had the face to itself until now: the first sight of it is a hand-over
        self.camera_share = _towards(self.camera_share, 1.0 if camera else 0.0, most)

    def step(self, visibility: float, wanted: Wanted, most: float) -> None:
        """Move the other weights by ``most`` at most."""
        camera = visibility * self.camera_share
        # A face that eases away or back takes its mouth along, and speech may go at the same time: together they are no
        # faster than one alone.
        eased, self.camera = 0.0 if most == 1.0 else abs(self.camera - camera), camera
        before = self.video
        self.video = _towards(before, 1.0 if wanted.camera_leads else 0.0, max(most - eased, 0.0))
        self._camera_seen = self._camera_seen or camera > 0.0
        self._move_speech(wanted, most, max(most - eased - max(before - self.video, 0.0), 0.0))
        self.idle = _towards(self.idle, 1.0 if wanted.has_speech else 0.0, most)

    def _move_speech(self, wanted: Wanted, most: float, most_down: float) -> None:
        # Without a camera there is nothing to go back to, and speech eases by itself while nobody speaks: weighing it
        # by trust would only swallow the beginning of each sentence.
        alone = not self._camera_seen and wanted.is_clear
        target = 0.0
        if wanted.has_speech and not wanted.camera_leads:
            target = 1.0 if alone else wanted.speech_trust
        if target < self.speech:
            self.speech = _towards(self.speech, target, most_down)
        else:
            self.speech = _towards(self.speech, target, most * ALONE_FASTER if alone else most)


def most_of(passed_s: float) -> float:
    """Return how much a weight may move after ``passed_s``."""
    return min(RATE_PER_S * passed_s, MOST_STEP)


def _towards(value: float, target: float, most: float) -> float:
    return min(target, value + most) if target > value else max(target, value - most)
