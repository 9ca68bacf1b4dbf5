"""wav2vec 2.0 run live: over a sliding window, a hop at a time, on whatever computes a window (torch or ONNX Runtime).

wav2vec 2.0 (Baevski et al., 2020) is not causal: its transformer attends to the whole recording, its positional
convolution reaches 64 features ahead and its first layer normalises over all that there is. So a live run computes a
window of past (``left_context``), a hop that is new, and some future (``look_ahead``), and keeps the hop's features.
They differ from those of the whole recording, the less the more look-ahead there is (benchmarks/speech_decode.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from facewire.bridge.shared.arrays import Float32Array
from facewire.models.errors import ModelError
from facewire.models.sessions import Device, create_session

SAMPLE_RATE = 16000
STRIDE, RECEPTIVE = 320, 400
"""Samples from one feature to the next, and that one looks at: 20 and 25 ms."""
NATIVE_RATE = SAMPLE_RATE // STRIDE
SMALLEST = 1e-7


@dataclass(frozen=True, slots=True)
class Window:
    """What is computed at once, in samples at 16 kHz. ``rate`` is the features': 30 a second, or 50 as they come."""

    rate: int = 30
    left_context: int = 2 * SAMPLE_RATE
    look_ahead: int = SAMPLE_RATE // 5

    def __post_init__(self) -> None:
        """Check the sizes.

        Raises:
            ModelError: there can be no such window.
        """
        if self.rate not in (30, NATIVE_RATE):
            raise ModelError(f"wav2vec features come at 30 or {NATIVE_RATE} a second, not {self.rate}")
        if self.look_ahead < STRIDE:
            raise ModelError(f"wav2vec needs {1000 * STRIDE // SAMPLE_RATE} ms of look-ahead at least")

    @classmethod
    def of_seconds(cls, rate: int, left_context_s: float, look_ahead_s: float) -> Window:
        """Return a window rounded up to whole hops and features."""
        hop = cls(rate).hop
        left = -(-round(left_context_s * SAMPLE_RATE) // hop) * hop
        return cls(rate, left, max(STRIDE, -(-round(look_ahead_s * SAMPLE_RATE) // STRIDE) * STRIDE))

    @property
    def hop(self) -> int:
        """New samples a window: the least in which both rates have whole features (100 ms at 30, 40 ms at 50)."""
        return 1600 if self.rate == 30 else 2 * STRIDE

    @property
    def hop_features(self) -> int:
        """Features given for each window."""
        return self.hop * self.rate // SAMPLE_RATE

    @property
    def length(self) -> int:
        """Samples of a window."""
        return self.left_context + self.hop + self.look_ahead

    @property
    def first_feature(self) -> int:
        """The place in the window of the first feature that is kept."""
        return self.left_context * self.rate // SAMPLE_RATE

    @property
    def delay_ms(self) -> float:
        """How far behind the newest sample a hop's oldest feature is: hop and look-ahead; computing comes on top."""
        return 1000.0 * (self.hop + self.look_ahead) / SAMPLE_RATE


class WindowEncoder(Protocol):
    """Computes windows."""

    window: Window
    width: int

    def encode(self, samples: Float32Array) -> Float32Array:
        """Features [hop_features, width] of a window [length] of mean 0 and variance 1."""


class SlidingEncoder:
    """A stream of samples to a stream of features. State: the samples of one window.

    Before the stream there is silence. Delay: ``window.delay_ms``.
    """

    def __init__(self, encoder: WindowEncoder) -> None:
        self.encoder, self.window = encoder, encoder.window
        self._samples = np.zeros(self.window.length, np.float32)
        self._input = np.zeros_like(self._samples)
        self.reset()

    def reset(self) -> None:
        """Forgets the stream."""
        self._samples[:] = 0.0
        self._heard = 0
        self._missing = self.window.hop + self.window.look_ahead

    def push(self, samples: Float32Array) -> Iterator[Float32Array]:
        """Take samples [n]; yield features [hop_features, width] as often as a hop is complete.

        Samples that are not numbers count as silence.
        """
        start = 0
        while start < len(samples):
            count = min(self._missing, len(samples) - start)
            self._append(samples[start : start + count])
            start += count
            self._missing -= count
            if self._missing == 0:
                self._missing = self.window.hop
                yield self.encoder.encode(self._normalised())

    def _append(self, samples: Float32Array) -> None:
        count = len(samples)
        kept = len(self._samples) - count
        self._samples[:kept] = self._samples[count:]
        self._samples[kept:] = np.where(np.isfinite(samples), samples, np.float32(0.0))
        self._heard = min(self._heard + count, len(self._samples))

    def _normalised(self) -> Float32Array:
        """As the published feature extractor does it, but over what was heard of this window."""
        heard = self._samples[len(self._samples) - self._heard :]
        self._input[:] = 0.0
        self._input[len(self._samples) - self._heard :] = normalise(heard)
        return self._input


def normalise(samples: Float32Array) -> Float32Array:
    """Mean 0, variance 1."""
    scaled: Float32Array = (samples - samples.mean()) / np.sqrt(samples.var() + SMALLEST)
    return scaled.astype(np.float32, copy=False)


class OnnxEncoder:
    """A window encoder that ``facewire models encoder`` exported; needs no torch."""

    def __init__(self, path: Path, *, device: Device = "auto", threads: int = 1) -> None:
        """Load the network.

        Raises:
            ModelError: the file is missing or is anything else.
        """
        self._session: Any = create_session(path, device=device, threads=threads)
        kept = self._session.get_modelmeta().custom_metadata_map
        try:
            self.window = Window(*(int(kept[f"facewire_{name}"]) for name in ("rate", "left_context", "look_ahead")))
            (audio,) = self._session.get_inputs()
            (features,) = self._session.get_outputs()
            fits = list(audio.shape) == [1, self.window.length] and features.shape[0] == self.window.hop_features
        except (KeyError, ValueError):
            fits = False
        if not fits:
            raise ModelError(f"{path} is not a Facewire speech encoder: make one with `facewire models encoder`")
        self.width = int(features.shape[1])

    def encode(self, samples: Float32Array) -> Float32Array:
        """See ``WindowEncoder``."""
        features: Float32Array = self._session.run(None, {"audio": samples[None]})[0]
        return features
