"""Brings speech to one level, however far away the microphone is and however it is set."""

from __future__ import annotations

import math

import numpy as np

from facewire.bridge.shared.arrays import Float32Array, FloatArray
from facewire.models.jit import kernel

TARGET = 0.06
"""Root mean square of speech that our network was trained around, -24 dB of full scale."""
LEAST_GAIN, MOST_GAIN = 0.1, 30.0
FASTER_S, SLOWER_S = 1.0, 4.0
"""Time constants: a loud voice is turned down sooner than a quiet one is turned up."""
OFFSET_HZ = 20.0
"""What is slower is not speech but the sound card's own offset."""
SPEAKING = 0.5


class Gain:
    """Takes the constant offset away and normalises the level of speech, in place.

    State: the offset filter's two values, the level and the gain; both gains and levels move only while somebody
    speaks, so that pauses are not turned up. No delay.
    """

    def __init__(self, rate: int = 16_000) -> None:
        self._offset_share = 1.0 - math.exp(-2.0 * math.pi * OFFSET_HZ / rate)
        self._rate = rate
        self._state = np.zeros(1)
        self.reset()
        self.apply(np.zeros(16, np.float32), 0.0)

    def reset(self) -> None:
        """Forget the stream."""
        self._state[:] = 0.0
        self.gain = 1.0

    def apply(self, samples: Float32Array, speaking: float) -> None:
        """Normalise samples [n] in place; ``speaking`` 0..1 is how surely there is speech in them.

        What is not finite counts as silence.
        """
        power = float(take_offset(samples, self._state, self._offset_share, self.gain))
        if speaking < SPEAKING or power <= 1e-10 or len(samples) == 0:
            return
        wanted = min(max(TARGET / math.sqrt(power), LEAST_GAIN), MOST_GAIN)
        seconds = FASTER_S if wanted < self.gain else SLOWER_S
        share = 1.0 - math.exp(-len(samples) / self._rate / seconds)
        self.gain *= (wanted / self.gain) ** share


@kernel
def take_offset(samples: FloatArray, state: FloatArray, share: float, gain: float) -> float:
    """Subtract the slow mean, apply the gain within full scale; return the power before the gain."""
    power, offset = 0.0, state[0]
    for i in range(samples.shape[0]):
        value = samples[i]
        if not abs(value) < 1e3:
            value = 0.0
        offset += share * (value - offset)
        value -= offset
        power += value * value
        samples[i] = min(max(value * gain, -1.0), 1.0)
    state[0] = offset
    return float(power / max(samples.shape[0], 1))
