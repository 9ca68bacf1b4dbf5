"""From sound to the motion of a face: clean up, find speech, drive, ease. Live runs and ``bake`` both go through here.

block ─ resample to 16 kHz ─ offset and gain ─ near? ─ driver (60 steps a second of sound) ─ gate ─ tick
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from facewire.bridge.shared.arrays import Float32Array
from facewire.bridge.shared.face import SpeechTick
from facewire.runtime.sound.blocks import SoundBlock
from facewire.runtime.sound.gain import Gain
from facewire.runtime.sound.level import SoundLevel
from facewire.runtime.sound.nearness import NearGate
from facewire.runtime.sound.resampler import MAX_BLOCK, Resampler
from facewire.runtime.sound.sound_clock import SoundClock

SAMPLE_RATE = 16_000
TICK_HZ = 60
SPEECH_S = 0.6
"""After this long without speech the mouth eases shut, whatever the driver says: it may take a hum for a vowel."""
SHUT_S, OPEN_S = 0.25, 0.03
"""How long it takes to ease shut, and to open again: speech must not wait for the gate."""
VOICE, NO_VOICE, SURE = 0.35, 0.15, 0.9


class SpeechDriver(Protocol):
    """What turns speech into motion: our causal network, or FaceFormer behind wav2vec 2.0."""

    @property
    def delay_ms(self) -> float:
        """How far behind the sound the motion is."""

    @property
    def speaking(self) -> float:
        """How likely it is that somebody speaks, 0..1, as of the last step; 1 if the driver does not know."""

    @property
    def flame(self) -> Float32Array | None:
        """FLAME's parameters as of the last step, expression [E] and jaw [3] in one array; None if it has none."""

    def reset(self) -> None:
        """Forget the stream."""

    def push(self, samples: Float32Array) -> None:
        """Take samples [n] at 16 kHz."""

    def step(self) -> Float32Array | None:
        """Return the next shapes [52], its own array; number k comes once k / 60 s were pushed. None: push more."""


class Voice(Protocol):
    """Tells speech from all else; see ``models.speech.voice``."""

    probability: float

    def push(self, samples: Float32Array) -> float: ...
    def reset(self) -> None: ...


class Gate:
    """Shuts the mouth while nobody speaks. State: when speech was heard last, and how far open it is."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Shut it, until somebody speaks."""
        self._since_s = SPEECH_S
        self.share = 0.0
        """0..1, what is left of the motion."""

    def step(self, voice: float, speaking: float, *, whisper: bool = False) -> float:
        """Return what is left of a tick's motion, given the detector's and the driver's probabilities of speech.

        The detector misses some whispers: of what may be one, the driver is believed if it is sure.
        """
        heard = voice >= VOICE or (speaking >= 0.5 and voice > NO_VOICE) or (whisper and speaking >= SURE)
        self._since_s = 0.0 if heard else self._since_s + 1.0 / TICK_HZ
        if self._since_s < SPEECH_S:
            self.share = min(1.0, self.share + 1.0 / (TICK_HZ * OPEN_S))
        else:
            self.share = max(0.0, self.share - 1.0 / (TICK_HZ * SHUT_S))
        return self.share * self.share * (3.0 - 2.0 * self.share)


class SpeechPipeline:
    """One voice's way from blocks to ticks. No clock, no thread; used from one thread at a time.

    The ticks of a block come in order from ``step`` after ``feed``. State: its parts', and the place in the stream.
    """

    def __init__(self, driver: SpeechDriver, voice: Voice, near: NearGate | None = None) -> None:
        """Compile what is to be compiled: after this no block is slower than the others."""
        self.driver, self._voice = driver, voice
        self.near = near or NearGate()
        """Keeps far voices from both networks."""
        self._gain, self._gate = Gain(), Gate()
        self.level = SoundLevel()
        self._samples = np.zeros(MAX_BLOCK * 4 + 2, np.float32)
        self._passed = np.zeros(MAX_BLOCK * 4 + 2, np.float32)
        self._resampler = Resampler(SAMPLE_RATE)
        self._clock = SoundClock(SAMPLE_RATE)
        self._stream: int | None = None
        self._rate = 0
        self._next_sample = 0
        self._lost = 0
        self._ticks = 0
        Resampler(48_000).push(np.zeros(480, np.float32))

    @property
    def drift(self) -> float:
        """See ``SoundClock.drift``."""
        return self._clock.drift

    @property
    def voice(self) -> float:
        """How surely somebody speaks now, 0..1."""
        return self._voice.probability

    @property
    def gain(self) -> float:
        """What speech is multiplied by."""
        return self._gain.gain

    def feed(self, block: SoundBlock) -> None:
        """Take the next block. A new stream, or another rate, starts everything again but the gain.

        Raises:
            FacewireError: the rate is not within 4 to 384 kHz.
        """
        if block.stream != self._stream or block.rate != self._rate:
            self._begin(block)
        # Samples that were lost leave no hole: what comes after them is only stamped later.
        self._lost += block.first_sample - self._next_sample
        self._next_sample = block.first_sample + len(block.samples)
        self._clock.update(block.first_sample - self._lost, block.start_ns)
        for start in range(0, len(block.samples), MAX_BLOCK):
            self._push(self._resampler.push(block.samples[start : start + MAX_BLOCK]))

    def _push(self, samples: Float32Array) -> None:
        heard, passed = self._samples[: len(samples)], self._passed[: len(samples)]
        heard[:] = samples
        # Levels are those of the microphone: before the gain, and before what the gate takes away.
        self.near.shares(heard, self._voice.probability, passed)
        self._gain.apply(heard, self._voice.probability)
        passed *= heard
        self._voice.push(passed)
        self.level.step(heard, SAMPLE_RATE, self._voice.probability)
        self.driver.push(passed)

    def step(self) -> SpeechTick | None:
        """Return the next tick that is complete, or None until more is fed."""
        shapes = self.driver.step()
        if shapes is None:
            return None
        self._ticks += 1
        open_ = self._gate.step(self._voice.probability, self.driver.speaking, whisper=self.near.hears_whisper)
        share = np.float32(open_)
        sample = self._ticks * SAMPLE_RATE // TICK_HZ * self._rate / SAMPLE_RATE
        capture_ns = self._clock.at_ns(sample)
        flame = self.driver.flame
        return SpeechTick(
            shapes * share,
            min(max(self._voice.probability, 0.0), 1.0),
            capture_ns,
            capture_ns - round(self.driver.delay_ms * 1e6),
            self.level.snr_db,
            None if flame is None else flame * share,
        )

    def _begin(self, block: SoundBlock) -> None:
        if block.rate != self._rate:
            self._resampler, self._clock = Resampler(block.rate), SoundClock(block.rate)
        self._stream, self._rate = block.stream, block.rate
        self._next_sample, self._lost, self._ticks = block.first_sample, block.first_sample, 0
        self._resampler.reset()
        self._clock.reset()
        self._voice.reset()
        self.level.reset()
        self._gate.reset()
        self.near.reset()
        self.driver.reset()
