"""Which source has the mouth: the one that can be trusted, and not the other one for a moment's doubt."""

from __future__ import annotations

import numpy as np

from facewire.bridge.shared.face import SpeechTick
from facewire.runtime.fusion.modes import Mode

LEAVE_CAMERA_S, LEAVE_SPEECH_S = 0.12, 0.40
"""How long the other source has to be the better one before the mouth follows it."""
CAMERA_GONE, CAMERA_BACK = 0.35, 0.65
"""Trust in the camera's mouth below which it loses the lead, and above which it gets it back."""
SNR_DB = (3.0, 12.0)
"""Signal-to-noise ratio at which speech is worth nothing, and at which it is worth all."""
VOICE_ATTACK_S, VOICE_RELEASE_S = 0.06, 0.5


class SpeechTrust:
    """How far speech can be trusted: quickly up, slowly down, so that a pause between words changes nothing.

    State: ``value``, 0..1.
    """

    def __init__(self) -> None:
        self.value = 0.0

    def step(self, speech: SpeechTick | None, passed_s: float) -> float:
        """Follow voice and noise of the newest tick, or None, over ``passed_s``; return the new value."""
        target = 0.0
        if speech is not None:
            clear = (speech.snr_db - SNR_DB[0]) / (SNR_DB[1] - SNR_DB[0])
            target = min(max(speech.confidence, 0.0), 1.0) * min(max(clear, 0.0), 1.0)
        constant_s = VOICE_ATTACK_S if target > self.value else VOICE_RELEASE_S
        self.value += (1.0 - np.exp(-passed_s / constant_s)) * (target - self.value)
        return self.value


class Lead:
    """Decides whether the camera or speech has the mouth. A change has to last, so the lead does not flicker.

    State: who has it, and for how long the other has been the better one.
    """

    def __init__(self) -> None:
        self.camera = True
        """Whether the camera has it."""
        self._challenged_s = 0.0

    def step(self, mode: Mode, camera_trust: float, has_speech: bool, passed_s: float) -> bool:
        """Decide with ``camera_trust`` 0..1 in the camera's mouth; return whether the camera has it."""
        if mode != "auto":
            self.camera = mode == "camera"
            return self.camera
        if self.camera:
            challenged = camera_trust < CAMERA_GONE and has_speech
        else:
            challenged = camera_trust > CAMERA_BACK or (not has_speech and camera_trust > CAMERA_GONE)
        self._challenged_s = self._challenged_s + passed_s if challenged else 0.0
        if self._challenged_s >= (LEAVE_CAMERA_S if self.camera else LEAVE_SPEECH_S):
            self.camera, self._challenged_s = not self.camera, 0.0
        return self.camera
