"""From any device's rate to the rate that speech is heard at: a polyphase filter of our own, sample by sample.

Output sample j stands for input position j M / L, where L / M is the ratio of the rates in lowest terms: the input
under a Kaiser-windowed sinc (Smith, "Digital Audio Resampling", 2002) whose L shifts are tabled once.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from facewire.bridge.shared.arrays import Float32Array, FloatArray
from facewire.bridge.shared.errors import FacewireError
from facewire.models.jit import kernel

ZEROS = 32
"""Zero crossings of the sinc on each side, at the lower of the two rates."""
BETA = 8.0
"""Of the Kaiser window: about 80 dB of stopband."""
PASSBAND = 0.94
"""The cutoff as a share of the lower rate's half: speech is kept to 7.2 kHz, and 8.4 kHz and above are gone."""
LOWEST_RATE, HIGHEST_RATE = 4_000, 384_000
MAX_BLOCK = 8192
"""Input samples that one call may take."""


class Resampler:
    """Converts a stream from ``rate_in`` to ``rate_out``, both in Hz. Nothing is allocated after it is made.

    State: half a filter of input and the place of the next output. However the stream is cut into blocks, the
    same samples come out. Delay: ``delay_s`` (2 ms to 16 kHz); the output's stamps do not move, for the filter is
    symmetric: output j is the input around j / rate_out.
    """

    def __init__(self, rate_in: int, rate_out: int = 16_000) -> None:
        """Raise FacewireError for a rate beyond 4 to 384 kHz."""
        for rate in (rate_in, rate_out):
            if not LOWEST_RATE <= rate <= HIGHEST_RATE:
                raise FacewireError(f"a sample rate of {rate} Hz is out of range: 4 to 384 kHz can be used")
        divisor = math.gcd(rate_in, rate_out)
        self.up, self.down = rate_out // divisor, rate_in // divisor
        self.table = filter_table(self.up, self.down) if self.up != self.down else np.ones((1, 1), np.float32)
        self.taps = self.table.shape[1]
        self.delay_s = (self.taps // 2) / rate_in
        self._history = np.zeros(self.taps - 1 + MAX_BLOCK, np.float32)
        self.out: Float32Array = np.zeros(MAX_BLOCK * self.up // self.down + 2, np.float32)
        self._place = np.zeros(2, np.int64)
        self.reset()

    def reset(self) -> None:
        """Forget the stream; what comes before the next sample is silence."""
        self._history[:] = 0.0
        # The next output's place in the history: input sample 0 comes after taps - 1 zeros, the filter's middle on it.
        self._place[:] = self.taps - 1, 0

    def push(self, samples: Float32Array) -> Float32Array:
        """Take samples [n], at most ``MAX_BLOCK``; return what is complete, a view of ``out`` for now."""
        if len(samples) > MAX_BLOCK:
            raise FacewireError(f"{len(samples)} samples are more than a block of {MAX_BLOCK}")
        count = int(convert(samples, self._history, self.table, self._place, self.up, self.down, self.out))
        complete: Float32Array = self.out[:count]
        return complete


def filter_table(up: int, down: int) -> Float32Array:
    """Return the filter's shifts [up, taps], float32; row p is for outputs p / up of an input sample after one."""
    scale = min(1.0, up / down)
    half = math.ceil(ZEROS / scale)
    shift = np.arange(up)[:, None] / up
    at = np.arange(-half, half + 1)[None] - shift
    inside = np.clip(1.0 - (at * scale / (ZEROS + 1.0)) ** 2, 0.0, None)
    window = np.i0(BETA * np.sqrt(inside)) / np.i0(BETA) * (inside > 0.0)
    table = np.sinc(at * scale * PASSBAND) * window
    # Constant input stays what it is under every shift, so that none of them can be heard.
    whole: Float32Array = (table / table.sum(axis=1, keepdims=True)).astype(np.float32)
    return whole


@kernel
def convert(
    samples: FloatArray,
    history: FloatArray,
    table: FloatArray,
    place: npt.NDArray[np.intp],
    up: int,
    down: int,
    out: FloatArray,
) -> int:
    """Append samples to the history, write every output whose filter is filled, and move the history on.

    ``place`` is [input place in the history of the next output's filter middle, its phase 0..up-1].
    """
    taps, n = table.shape[1], samples.shape[0]
    half, kept = taps // 2, taps - 1
    for i in range(n):
        history[kept + i] = samples[i]
    at, phase, count = place[0], place[1], 0
    while at + half < kept + n:
        total = np.float32(0.0)
        for i in range(taps):
            total += table[phase, i] * history[at - half + i]
        out[count] = total
        count += 1
        phase += down
        at += phase // up
        phase %= up
    for i in range(kept):
        history[i] = history[n + i]
    place[0], place[1] = at - n, phase
    return count
