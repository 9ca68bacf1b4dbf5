"""A block of sound as it was captured, and the ring that blocks wait in. No thread, no device, no clock."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np

from facewire.bridge.shared.arrays import Float32Array
from facewire.bridge.shared.clock import NS_PER_S
from facewire.runtime.sound.channels import ChannelPicker

BLOCK_S = 0.01
RING_BLOCKS = 200
"""Two seconds of blocks of 10 ms."""
LARGEST_BLOCK = 4096
"""Samples that one block of the ring holds; longer runs are cut."""


@dataclass(frozen=True, slots=True)
class SoundBlock:
    """A run of samples as it was captured, one channel, full scale 1."""

    samples: Float32Array
    """[n]; the reader's buffer, valid until it takes the next block."""
    rate: int
    first_sample: int
    """The number of its first sample in the stream; a jump says that samples were lost."""
    start_ns: int
    """Session clock when the first sample was captured, as far as the device says; it jitters."""
    stream: int
    """Counts up each time the device was opened: nothing goes on from one stream to the next."""


class SoundRing:
    """Blocks from the thread that captures to the one that listens. All memory is allocated here.

    ``write`` never waits. Drop policy: when the ring is full the oldest block goes, and ``overruns`` counts it.
    """

    def __init__(self, blocks: int = RING_BLOCKS) -> None:
        self._samples = np.zeros((blocks, LARGEST_BLOCK), np.float32)
        self._counts, self._rates, self._streams = (np.zeros(blocks, np.int64) for _ in range(3))
        self._firsts, self._starts_ns = np.zeros(blocks, np.int64), np.zeros(blocks, np.int64)
        self._out = np.zeros(LARGEST_BLOCK, np.float32)
        self._ready = threading.Condition()
        self._written = self._taken = 0
        self._closed = False
        self.overruns = 0
        """Blocks lost because nobody took them in time."""
        self.device_overruns = 0
        """How often the device said that it lost samples before we saw them."""
        self.stream = 0
        self._next_sample = 0
        self._channels = ChannelPicker()

    def begin(self) -> None:
        """Note that the device was opened: a new stream, its samples counted from 0."""
        self.stream += 1
        self._next_sample = 0
        self._channels.reset()

    def write(self, samples: Float32Array, rate: int, start_ns: int) -> None:
        """Take samples [n] or [n, channels], of which the channel that has the voice is kept."""
        for first in range(0, len(samples), LARGEST_BLOCK):
            part = samples[first : first + LARGEST_BLOCK]
            self._write(part, rate, start_ns + first * NS_PER_S // rate)

    def _write(self, samples: Float32Array, rate: int, start_ns: int) -> None:
        with self._ready:
            blocks = len(self._counts)
            if self._written - self._taken == blocks:
                self._taken += 1
                self.overruns += 1
            slot, count = self._written % blocks, len(samples)
            if samples.ndim == 2 and samples.shape[1] > 1:
                self._channels.push(samples, rate, self._samples[slot, :count])
            else:
                self._samples[slot, :count] = samples.reshape(-1)
            self._counts[slot], self._rates[slot], self._streams[slot] = count, rate, self.stream
            self._firsts[slot], self._starts_ns[slot] = self._next_sample, start_ns
            self._next_sample += count
            self._written += 1
            self._ready.notify()

    def wait(self, timeout_s: float) -> None:
        """Wait until there is a block to take or nothing more will come, or for ``timeout_s``."""
        with self._ready:
            self._ready.wait_for(lambda: self._written > self._taken or self._closed, timeout_s)

    def take(self, timeout_s: float) -> SoundBlock | None:
        """Take the oldest block, waiting for one; None after ``timeout_s``, or when the ring is closed and empty."""
        with self._ready:
            if not self._ready.wait_for(lambda: self._written > self._taken or self._closed, timeout_s):
                return None
            if self._written == self._taken:
                return None
            slot = self._taken % len(self._counts)
            self._taken += 1
            count = int(self._counts[slot])
            self._out[:count] = self._samples[slot, :count]
            return SoundBlock(
                self._out[:count],
                int(self._rates[slot]),
                int(self._firsts[slot]),
                int(self._starts_ns[slot]),
                int(self._streams[slot]),
            )

    @property
    def waiting(self) -> int:
        """Blocks that nobody has taken yet."""
        return self._written - self._taken

    def close(self) -> None:
        """Say that nothing more will come; waiting threads wake up."""
        with self._ready:
            self._closed = True
            self._ready.notify_all()

    @property
    def exhausted(self) -> bool:
        """Whether it is closed and the last block taken."""
        with self._ready:
            return self._closed and self._written == self._taken
