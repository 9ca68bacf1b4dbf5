"""One channel out of several: the one that the voice is on.

A mean of all channels is silence where two are in opposite phase, and an eighth of the voice where one of eight is
live. So one is taken as it is: the one whose sound rises furthest above its own background, which a hum never does.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from facewire.bridge.shared.arrays import Float32Array, FloatArray
from facewire.models.jit import kernel

MAX_CHANNELS = 64
"""What is beyond is not listened to."""
LONGEST_RUN = 4096
"""Samples that are copied at once."""
HOPS_HZ = 200
"""Decisions a second."""
RUMBLE_HZ = 200.0
"""What lies below does not count: mains hum, rumble, a constant offset."""
SHORT_S, SCORE_S = 0.01, 2.0
"""Time constants: of a channel's level, and of how long it is remembered that it rose."""
FLOOR_RISE_DB_PER_S = 3.0
CLEARLY = 2.0
"""How much more power another channel must show before it is taken: 3 dB."""
_ACC, _LEVEL, _FLOOR, _SCORE, _SLOW, _SLOWER = range(6)
_NOW, _BEFORE, _COUNT, _HOPS = range(4)


class ChannelPicker:
    """Passes on one channel of several. However the stream is cut, the same samples come out. Delay: none.

    A change of channels is faded over one hop (5 ms), and shows one hop after the voice begins on another channel.
    State: each channel's levels and filters, which one is passed on, and the place in the hop.
    """

    def __init__(self) -> None:
        """Allocate all memory and compile what is to be compiled."""
        self._levels = np.zeros((MAX_CHANNELS, 6))
        self._place = np.zeros(4, np.int64)
        self._many = np.zeros(MAX_CHANNELS * LONGEST_RUN, np.float32)
        pick(np.zeros((1, 2), np.float32), self._levels, self._place, 48_000, np.zeros(1, np.float32))
        self.reset()

    def reset(self) -> None:
        """Forget the stream."""
        self._levels[:] = 0.0
        self._place[:] = 0

    @property
    def channel(self) -> int:
        """The channel that is passed on now, counted from 0."""
        return int(self._place[_NOW])

    def push(self, samples: Float32Array, rate: int, out: Float32Array) -> None:
        """Write one channel of samples [n, channels] to ``out`` [n]; one channel alone passes as it is."""
        channels = min(samples.shape[1], MAX_CHANNELS)
        if channels == 1:
            out[:] = samples[:, 0]
            return
        for start in range(0, len(samples), LONGEST_RUN):
            part = samples[start : start + LONGEST_RUN, :channels]
            # A copy, so that one kernel does for what is read-only or has gaps.
            own = self._many[: len(part) * channels].reshape(len(part), channels)
            own[:] = part
            pick(own, self._levels, self._place, rate, out[start : start + len(part)])


@kernel
def pick(samples: FloatArray, levels: FloatArray, place: npt.NDArray[np.int64], rate: int, out: FloatArray) -> None:
    """Take samples [n, channels] in; write the channel that has the voice to ``out``, faded where it changes."""
    channels = samples.shape[1]
    hop = max(rate // HOPS_HZ, 1)
    low = 1.0 - math.exp(-2.0 * math.pi * RUMBLE_HZ / rate)
    for i in range(samples.shape[0]):
        for c in range(channels):
            value = float(samples[i, c])
            if not abs(value) < 1e3:
                value = 0.0
            levels[c, _SLOW] += low * (value - levels[c, _SLOW])
            value -= levels[c, _SLOW]
            levels[c, _SLOWER] += low * (value - levels[c, _SLOWER])
            value -= levels[c, _SLOWER]
            levels[c, _ACC] += value * value
        new = (place[_COUNT] + 1) / hop
        out[i] = samples[i, place[_NOW]] * new + samples[i, place[_BEFORE]] * (1.0 - new)
        place[_COUNT] += 1
        if place[_COUNT] == hop:
            _decide(levels[:channels], place, hop)


@kernel
def _decide(levels: FloatArray, place: npt.NDArray[np.int64], hop: int) -> None:
    """Move every channel's levels on by a hop, and choose."""
    short = 1.0 - math.exp(-1.0 / (HOPS_HZ * SHORT_S))
    fading = math.exp(-1.0 / (HOPS_HZ * SCORE_S))
    rise = 10.0 ** (FLOOR_RISE_DB_PER_S / 10.0 / HOPS_HZ)
    first = place[_HOPS] == 0
    best, current = 0, place[_NOW]
    for c in range(levels.shape[0]):
        power, levels[c, _ACC] = levels[c, _ACC] / hop, 0.0
        levels[c, _LEVEL] = power if first else levels[c, _LEVEL] + short * (power - levels[c, _LEVEL])
        levels[c, _FLOOR] = power if first else min(levels[c, _FLOOR] * rise + 1e-14, levels[c, _LEVEL])
        risen = max(levels[c, _LEVEL] - 2.0 * levels[c, _FLOOR], 0.0)
        levels[c, _SCORE] = max(risen, levels[c, _SCORE] * fading)
        # At first no background is known, and what is loudest may be a voice already.
        if levels[c, _LEVEL if first else _SCORE] > levels[best, _LEVEL if first else _SCORE]:
            best = c
    place[_BEFORE], place[_COUNT] = current, 0
    place[_HOPS] += 1
    if first or levels[best, _SCORE] > CLEARLY * levels[current, _SCORE]:
        place[_NOW] = best
