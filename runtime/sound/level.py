"""How loud the microphone is, and how far speech stands out from the room: for the meter, and for trust in speech."""

from __future__ import annotations

import math

import numpy as np

from facewire.bridge.shared.arrays import Float32Array

FLOOR_DB = -90.0
SPEECH_DB_PER_S = 30.0
"""How fast the level of speech is followed while somebody speaks."""
NOISE_FALL_DB_PER_S, NOISE_RISE_DB_PER_S = 40.0, 3.0
"""The background is what stays: it falls at once with a quieter moment and rises slowly."""


class SoundLevel:
    """State: the levels of the moment, of the background and of speech, in dB of full scale. No delay."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget the stream."""
        self.level_db = self.noise_db = FLOOR_DB
        self.speech_db = FLOOR_DB
        self._heard_s = 0.0

    @property
    def snr_db(self) -> float:
        """Speech against the background; 0 if nobody has spoken yet."""
        return max(self.speech_db - self.noise_db, 0.0)

    def step(self, samples: Float32Array, rate: int, voice: float) -> None:
        """Take samples [n] at ``rate``; ``voice`` 0..1 is how surely somebody speaks in them."""
        if len(samples) == 0:
            return
        passed_s = len(samples) / rate
        power = float(np.dot(samples, samples)) / len(samples)
        self.level_db = 10.0 * math.log10(power) if power > 1e-9 else FLOOR_DB
        first, self._heard_s = self._heard_s == 0.0, self._heard_s + passed_s
        if first:
            self.noise_db = self.level_db
        rise = NOISE_RISE_DB_PER_S if voice < 0.5 else 0.1 * NOISE_RISE_DB_PER_S
        self.noise_db = _towards(self.noise_db, self.level_db, NOISE_FALL_DB_PER_S * passed_s, rise * passed_s)
        if voice >= 0.5:
            most = SPEECH_DB_PER_S * passed_s
            self.speech_db = self.level_db if self.speech_db == FLOOR_DB else _towards(
                self.speech_db, self.level_db, most / 3, most
            )  # fmt: skip


def _towards(value: float, target: float, most_down: float, most_up: float) -> float:
    return max(target, value - most_down) if target < value else min(target, value + most_up)
