"""Speech that needs no microphone: one recorded sentence over and over, with a pause after each."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np

from facewire.bridge.shared.arrays import Float32Array
from facewire.bridge.shared.clock import Clock, now_ns
from facewire.runtime.capture.sound.sound_source import PacedSound
from facewire.runtime.sound.blocks import BLOCK_S, SoundRing

PAUSE_S = 1.5
"""Long enough to see the mouth come to rest."""


class DemoSound(PacedSound):
    """The sentence in the WAV file ``recording`` at its own pace, as a microphone would give it; it never ends."""

    name = "demo speech"
    kind = "demo"

    def __init__(self, recording: Path, *, clock: Clock = now_ns) -> None:
        super().__init__(clock)
        self._recording = recording

    def open(self, ring: SoundRing) -> None:
        sentence, self.rate = first_channel(self._recording)
        self._round = np.concatenate([sentence, np.zeros(round(PAUSE_S * self.rate), np.float32)])
        self._block = round(BLOCK_S * self.rate)
        self._begin(ring)

    def pump(self) -> bool:
        """Write the next block when it is due."""
        start = self._written % len(self._round)
        return self._write_when_due(self._round[start : start + self._block])

    def close(self) -> None:
        """Nothing is held open."""


def first_channel(path: Path) -> tuple[Float32Array, int]:
    """Return samples [n] of a 16-bit WAV file's first channel, and its rate: CMU ARCTIC's second is the glottis's,
    not a microphone's."""
    with wave.open(str(path)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, file.getnchannels())
        return samples[:, 0] / np.float32(32768), file.getframerate()
