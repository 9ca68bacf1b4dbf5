"""Tells the voice at the microphone from one across the room, and lets only the first to the networks.

The user's usual level is learned while they speak. What comes close to it passes at once. What is much quieter passes
only if it is a whisper: a whisper has no pitch, and a far voice keeps its pitch through any room. So how clearly the
sound repeats itself, at the lags of a voice's pitch, is gathered over some tenths of a second.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, TypeAlias

import numpy as np

from facewire.bridge.shared.arrays import Float32Array, FloatArray
from facewire.models.jit import kernel

GateSetting: TypeAlias = float | Literal["auto", "off"]
"""The quietest level that passes, in dB of full scale; or that it is learned; or that all passes."""
LEAST_DB, MOST_DB = -90.0, 0.0
"""The range of levels."""
RATE = 16_000
HOP = 160
HOPS_HZ = RATE // HOP
BELOW_DB, BELOW_FIRST_DB = 10.0, 15.0
"""How far below the usual level a voice may be: once that is known, and while few seconds were heard."""
SURE_S, FIRST_S, MEMORY_S = 1.5, 0.5, 30.0
"""Speech after which the level is known well; before which nothing is held back; and that is remembered."""
USUAL = 0.8
"""The share of speech that is quieter than the usual level."""
LOUDER_DB, LOUDER_WEIGHT = 14.0, 2.0
"""Speech far above the usual level counts more: whoever was listened to before was not the user."""
RELEARN_S, RELEARNED_S = 60.0, 5.0
"""So much quiet voice and none at the usual level: the microphone was turned down. It is believed for so much."""
HOLD_S = 1.0
"""How long it stays open after a syllable: a sentence's last words are quieter. A click holds it for a tenth."""
SHUT_S = 0.25
SHUT_SHARE = 0.01
"""What passes when it is shut, -40 dB: a room goes on, and nobody is heard in it."""
PITCH_LAGS = (10, 60)
"""At 4 kHz: 400 to 67 Hz."""
WINDOW = 120
"""30 ms at 4 kHz."""
VOICED = 0.7
"""What is more like the period before it than this has a pitch."""
LEAST_SCORE, MOST_SCORE, REST_SCORE, WHISPER, NO_WHISPER = -6.0, 8.0, 3.0, -1.0, 1.0
REST_STEP = 0.05
ACTIVE_DB, CLEAR_DB, STANDS_OUT_DB = 18.0, 11.0, 6.0
"""How far below the last peak of what is quiet a moment of speech may be, and one that speaks for a whisper, for a far
voice's consonants and echoes are quieter than its vowels; and how far above the background."""
BINS = 100
UNKNOWN_DB = -200.0

(
    _COUNT, _POWER, _LAST_POWER, _SLOW, _SLOWER, _LOW, _LOWER, _SHARE, _TARGET, _HOLD, _RUN, _PEAK, _FLOOR, _SCORE,
    _WHISPER, _USUAL, _HEARD, _AGAIN, _LEVEL, _SINCE_FALL, _PAST,
) = range(21)  # fmt: skip
FALL_HOPS, FALL_DB = 6, 8.0
"""What is near falls so far so fast when a sound ends; an echo that hides the pitch does not."""
FALL_S = 1.5
"""How long ago that may be when a whisper is to pass."""


class NearGate:
    """Lets the voice at the microphone pass. Used from one thread. Delay: none; it opens within a hop of 10 ms.

    However the stream is cut, the same shares come out. State: the usual level and the levels that it was learned from,
    which outlive ``reset``; filters, a tenth of a second of sound at 4 kHz, and how open it is.
    """

    def __init__(self, setting: GateSetting = "auto") -> None:
        """Allocate all memory and compile what is to be compiled."""
        self.setting: GateSetting = setting
        self.recall: Callable[[], float | None] = lambda: None
        """Says at the beginning of a stream how loud the user is, if that is known from before."""
        self._expected: tuple[float | None] | None = None
        self._state = np.zeros(_PAST + FALL_HOPS)
        self._low = np.zeros(WINDOW + PITCH_LAGS[1])
        self._usual, self._quiet = np.zeros(BINS), np.zeros(BINS)
        self._state[_USUAL] = UNKNOWN_DB
        self.reset()
        self.shares(np.zeros(HOP, np.float32), 0.0, np.zeros(HOP, np.float32))
        self.reset()

    def reset(self) -> None:
        """Forget the stream, but not how loud the user is."""
        usual, heard = self._state[_USUAL], self._state[_HEARD]
        self._state[:] = 0.0
        self._state[_USUAL], self._state[_HEARD] = usual, heard
        self._state[_PEAK] = self._state[_FLOOR] = self._state[_LEVEL] = LEAST_DB
        self._state[_SHARE] = self._state[_TARGET] = 1.0
        self._state[_SCORE] = REST_SCORE
        self._state[_PAST:] = LEAST_DB
        self._state[_SINCE_FALL] = FALL_S * HOPS_HZ
        self._low[:] = 0.0
        if heard == 0.0 and (known := self.recall()) is not None:
            self.expect(known)

    @property
    def usual_db(self) -> float | None:
        """The user's usual level, dB of full scale; None if it is not known."""
        return None if self._state[_USUAL] == UNKNOWN_DB else float(self._state[_USUAL])

    def expect(self, usual_db: float | None) -> None:
        """Begin with a level that is known from before, as if some seconds had been heard; None knows none.

        May be called from another thread: it counts from the next samples on.
        """
        self._expected = (usual_db,)

    def _begin_with(self, usual_db: float | None) -> None:
        self._usual[:] = self._quiet[:] = 0.0
        self._state[_HEARD] = 0.0
        self._state[_USUAL] = UNKNOWN_DB
        if usual_db is not None:
            level = min(max(usual_db, LEAST_DB), MOST_DB)
            self._usual[min(int(level - LEAST_DB), BINS - 1)] = self._state[_HEARD] = SURE_S * HOPS_HZ
            self._state[_USUAL] = level

    @property
    def share(self) -> float:
        """How much of the sound passes now, 0..1."""
        return float(self._state[_SHARE])

    @property
    def hears_whisper(self) -> bool:
        """Whether what passes now is much quieter than the user's voice, and has no pitch."""
        state = self._state
        known = self.setting == "auto" and state[_USUAL] != UNKNOWN_DB
        return bool(known and state[_WHISPER] > 0.0 and state[_HOLD] == 0.0)

    def shares(self, samples: Float32Array, voice: float, out: Float32Array) -> None:
        """Write how much of each of the samples [n] at 16 kHz, full scale 1, passes to ``out`` [n].

        ``voice`` 0..1 is how surely somebody speaks in what passed so far: only speech is learned from.
        """
        if self._expected is not None:
            self._begin_with(*self._expected)
            self._expected = None
        fixed = self.setting if isinstance(self.setting, float) else UNKNOWN_DB
        listen(samples, voice, fixed, self.setting == "off", self._state, self._low, self._usual, self._quiet, out)


@kernel
def listen(
    samples: FloatArray, voice: float, fixed_db: float, off: bool, state: FloatArray, low: FloatArray,
    usual: FloatArray, quiet: FloatArray, out: FloatArray,
) -> None:  # fmt: skip
    """Follow the stream sample by sample and decide at the end of each hop."""
    offset, edge = 1.0 - math.exp(-2.0 * math.pi * 80.0 / RATE), 1.0 - math.exp(-2.0 * math.pi * 900.0 / RATE)
    kept = low.shape[0]
    for i in range(samples.shape[0]):
        value = float(samples[i])
        if not abs(value) < 1e3:
            value = 0.0
        state[_SLOW] += offset * (value - state[_SLOW])
        value -= state[_SLOW]
        state[_SLOWER] += offset * (value - state[_SLOWER])
        value -= state[_SLOWER]
        state[_POWER] += value * value
        state[_LOW] += edge * (value - state[_LOW])
        state[_LOWER] += edge * (state[_LOW] - state[_LOWER])
        count = int(state[_COUNT])
        if count % 4 == 3:
            if count == 3:
                for k in range(kept - HOP // 4):
                    low[k] = low[k + HOP // 4]
            low[kept - HOP // 4 + count // 4] = state[_LOWER]
        target = 1.0 if off else state[_TARGET]
        step = 1.0 / HOP if target > state[_SHARE] else -1.0 / (SHUT_S * RATE)
        state[_SHARE] = min(state[_SHARE] + step, target) if step > 0.0 else max(state[_SHARE] + step, target)
        out[i] = SHUT_SHARE + (1.0 - SHUT_SHARE) * state[_SHARE]
        state[_COUNT] = count + 1
        if count + 1 == HOP:
            state[_COUNT] = 0.0
            power = state[_POWER] / HOP
            state[_LEVEL] = max(10.0 * math.log10(0.5 * (power + state[_LAST_POWER]) + 1e-12), LEAST_DB)
            state[_LAST_POWER], state[_POWER] = power, 0.0
            _decide(voice, fixed_db, state, low, usual, quiet)


@kernel
def _decide(
    voice: float, fixed_db: float, state: FloatArray, low: FloatArray, usual: FloatArray, quiet: FloatArray
) -> None:
    level = state[_LEVEL]
    state[_FLOOR] = min(level, state[_FLOOR] + 3.0 / HOPS_HZ)
    sure = min(max((state[_HEARD] / HOPS_HZ - FIRST_S) / (SURE_S - FIRST_S), 0.0), 1.0)
    least_db = state[_USUAL] - BELOW_FIRST_DB + sure * (BELOW_FIRST_DB - BELOW_DB)
    if fixed_db != UNKNOWN_DB:
        least_db = fixed_db
    loud = level >= least_db
    state[_PEAK] = max(state[_PEAK] - 6.0 / HOPS_HZ, LEAST_DB if loud else level)
    active = level > max(state[_PEAK] - ACTIVE_DB, state[_FLOOR] + STANDS_OUT_DB)
    # The longer a sound is loud the longer it keeps the gate open.
    state[_RUN] = state[_RUN] + 1.0 if loud else 0.0
    state[_HOLD] = max(state[_HOLD] - 1.0, min(6.0 + 8.0 * (state[_RUN] - 1.0), HOLD_S * HOPS_HZ) if loud else 0.0)
    _note_fall(level, state)
    is_voiced = _judge(active, state, low)
    # All or nothing: the network behind it makes up for what is only turned down.
    target = 1.0 if state[_HOLD] > 0.0 or (state[_WHISPER] > 0.0 and fixed_db == UNKNOWN_DB) else 0.0
    state[_TARGET] = target
    if voice >= 0.5 and level > state[_FLOOR] + STANDS_OUT_DB and (loud or state[_USUAL] == UNKNOWN_DB):
        _learn(level, state, usual)
        state[_AGAIN] += 1.0
        if state[_AGAIN] >= HOPS_HZ:
            quiet[:] = 0.0
    elif is_voiced and target == 0.0:
        _relearn(level, state, usual, quiet)


@kernel
def _note_fall(level: float, state: FloatArray) -> None:
    """Note whether what was clear has just ended as fast as no echo does."""
    before = state[_PAST]
    for k in range(_PAST, _PAST + FALL_HOPS - 1):
        state[k] = state[k + 1]
    state[_PAST + FALL_HOPS - 1] = level
    state[_SINCE_FALL] += 1.0
    if before - level > FALL_DB and state[_PEAK] >= before > state[_PEAK] - CLEAR_DB:
        state[_SINCE_FALL] = 0.0


@kernel
def _judge(active: bool, state: FloatArray, low: FloatArray) -> bool:
    """Gather whether what is heard is a whisper; return whether this moment has a pitch."""
    if not active:
        state[_SCORE] += min(max(REST_SCORE - state[_SCORE], -REST_STEP), REST_STEP)
        if state[_SCORE] > NO_WHISPER:
            state[_WHISPER] = 0.0
        return False
    pitch = _pitch(low)
    step = _evidence(pitch)
    if step > 0.0 or state[_LEVEL] > state[_PEAK] - CLEAR_DB:
        state[_SCORE] = min(max(state[_SCORE] + step, LEAST_SCORE), MOST_SCORE)
    if state[_SCORE] < WHISPER and state[_SINCE_FALL] < FALL_S * HOPS_HZ:
        state[_WHISPER] = 1.0
    elif state[_SCORE] > NO_WHISPER:
        state[_WHISPER] = 0.0
    return pitch > VOICED


@kernel
def _evidence(pitch: float) -> float:
    """Return how much a moment speaks for a voice and against a whisper: the logarithm of the likelihood ratio.

    Measured on fourteen voices; a quarter of it, as neighbouring windows overlap.
    """
    if pitch < 0.4:
        return -0.36
    if pitch < 0.5:
        return -0.26
    if pitch < 0.6:
        return -0.1
    if pitch < 0.7:
        return 0.1
    return 0.4 if pitch < 0.8 else 1.0


@kernel
def _pitch(low: FloatArray) -> float:
    """How well the last 30 ms are like what was a pitch's period before them, at most 1."""
    best, start = 0.0, low.shape[0] - WINDOW
    own = 1e-20
    for i in range(start, start + WINDOW):
        own += low[i] * low[i]
    for lag in range(PITCH_LAGS[0], PITCH_LAGS[1]):
        both, other = 0.0, 1e-20
        for i in range(start, start + WINDOW):
            both += low[i] * low[i - lag]
            other += low[i - lag] * low[i - lag]
        if both > 0.0:
            best = max(best, both / math.sqrt(own * other))
    return best


@kernel
def _learn(level: float, state: FloatArray, usual: FloatArray) -> None:
    """Count a moment of the user's speech, and find the usual level anew."""
    louder = state[_USUAL] != UNKNOWN_DB and level > state[_USUAL] + LOUDER_DB
    usual[min(max(int(level - LEAST_DB), 0), BINS - 1)] += LOUDER_WEIGHT if louder else 1.0
    state[_HEARD] += 1.0
    total = 0.0
    for k in range(BINS):
        total += usual[k]
    if total > MEMORY_S * HOPS_HZ:
        for k in range(BINS):
            usual[k] *= MEMORY_S * HOPS_HZ / total
        total = MEMORY_S * HOPS_HZ
    # Until a second was heard, what is known from before counts, or nothing.
    if total >= FIRST_S * HOPS_HZ:
        state[_USUAL] = _level_of(usual, total)


@kernel
def _level_of(counts: FloatArray, total: float) -> float:
    passed = 0.0
    for k in range(counts.shape[0]):
        passed += counts[k]
        if passed >= USUAL * total:
            return LEAST_DB + k + 0.5
    return MOST_DB


@kernel
def _relearn(level: float, state: FloatArray, usual: FloatArray, quiet: FloatArray) -> None:
    """Count a moment of a voice that was held back; after long enough it is the user's."""
    state[_AGAIN] = 0.0
    quiet[min(max(int(level - LEAST_DB), 0), BINS - 1)] += 1.0
    total = 0.0
    for k in range(BINS):
        total += quiet[k]
    if total >= RELEARN_S * HOPS_HZ:
        for k in range(BINS):
            usual[k] = quiet[k] * RELEARNED_S / RELEARN_S
            quiet[k] = 0.0
        state[_USUAL] = _level_of(usual, RELEARNED_S * HOPS_HZ)
