"""Whether somebody speaks: Silero's voice activity network (MIT), fetched like the others."""

from __future__ import annotations

from typing import Any

import numpy as np

from facewire.bridge.shared.arrays import Float32Array
from facewire.models.assets.store import asset_path
from facewire.models.sessions import create_session

CHUNK, CONTEXT = 512, 64
"""Samples at 16 kHz that it judges at once (32 ms), and that it sees again of those before."""


class VoiceDetector:
    """How likely it is that somebody speaks, judged every 32 ms. State: the samples of an unfinished chunk.

    Delay: at most one chunk.
    """

    def __init__(self) -> None:
        """Fetch (if need be) and start the network.

        Raises:
            ModelError: it cannot be fetched or started.
        """
        # On the processor whatever the others use: a hand-over to a GPU takes longer than the network.
        self._session: Any = create_session(asset_path("voice_activity"), device="cpu")
        self._input = np.zeros((1, CONTEXT + CHUNK), np.float32)
        self._rate = np.array(16000, np.int64)
        self.reset()
        self.push(np.zeros(CHUNK, np.float32))
        self.reset()

    def reset(self) -> None:
        """Forget the stream."""
        self._state = np.zeros((2, 1, 128), np.float32)
        self._input[:] = 0.0
        self._filled = 0
        self.probability = 0.0
        """0..1, of the last whole chunk."""

    def push(self, samples: Float32Array) -> float:
        """Take samples [n] at 16 kHz, full scale 1; return the probability now."""
        start = 0
        while start < len(samples):
            count = min(CHUNK - self._filled, len(samples) - start)
            at = CONTEXT + self._filled
            self._input[0, at : at + count] = samples[start : start + count]
            start, self._filled = start + count, self._filled + count
            if self._filled == CHUNK:
                self._judge()
        return self.probability

    def _judge(self) -> None:
        feed = {"input": self._input, "state": self._state, "sr": self._rate}
        output, self._state = self._session.run(None, feed)
        self.probability = float(output[0, 0])
        self._input[0, :CONTEXT] = self._input[0, CHUNK:]
        self._filled = 0
