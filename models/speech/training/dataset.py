"""Clips for training, made on the fly from a packed corpus: sentences and pauses in noise, with targets at 60 Hz."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from facewire.bridge.shared.arrays import Float32Array
from facewire.models.speech import features
from facewire.models.speech.coarticulation import STYLES, shapes
from facewire.models.speech.training import augment
from facewire.models.speech.training.voices.corpus import SAMPLE_RATE, TARGET_HZ, Corpus

LOOK_AHEADS_MS = (0, 20, 40, 80)
LEAD_MS = 3
"""How much sooner than its look-ahead allows a head must say a shape: what a network says late is late on screen."""
WARPS = tuple(np.round(np.linspace(0.88, 1.13, 12), 3))
_FILTERS = {warp: features.mel_filters(warp) for warp in (1.0, *WARPS)}


class Clip(NamedTuple):
    """One clip; ``ticks`` at 60 Hz, targets for each look-ahead in the order of LOOK_AHEADS_MS."""

    features: Float32Array  # [ticks, 160]
    shapes: Float32Array  # [look-aheads, ticks, 52]
    speaking: Float32Array  # [look-aheads, ticks]
    phones: NDArray[np.int64]  # [look-aheads, ticks]
    style: int


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How likely each treatment is; ``clean`` clips get none at all, as all of validation's clean half."""

    clean: float = 0.3
    noise: float = 0.6
    room: float = 0.3
    clip: float = 0.08
    curve: float = 0.8
    warp: float = 0.85
    speed: float = 0.8
    quiet_clip: float = 0.1
    styled: float = 0.5


CLEAN = Augmentation(1, 0, 0, 0, 0, 0, 0, 0, 0)
HARDER = Augmentation(clean=0.2, noise=0.7, room=0.45, curve=0.9, warp=0.9, speed=0.85, quiet_clip=0.08, styled=0.3)
"""For a network that knows clean speech: real rooms cost it more than foreign voices do (docs/speech.md)."""


class Clips:
    """An endless stream of clips. The same seed gives the same clips."""

    def __init__(self, corpus: Corpus, seconds: float, augmentation: Augmentation, seed: int) -> None:
        self._corpus, self._augmentation = corpus, augmentation
        self._ticks = round(seconds * features.TICK_HZ)
        self._rng = np.random.default_rng(seed)
        self._voices: dict[str, list[int]] = {}
        for number, sentence in enumerate(corpus.index):
            self._voices.setdefault(sentence.voice, []).append(number)

    def __iter__(self) -> Iterator[Clip]:
        while True:
            yield self.draw()

    def draw(self) -> Clip:
        """One clip, made from the next random numbers."""
        rng = self._rng
        likely = CLEAN if rng.random() < self._augmentation.clean else self._augmentation
        length = features.frame_end(2 * self._ticks)
        speed = rng.uniform(0.88, 1.14) if rng.random() < likely.speed else 1.0
        quiet = rng.random() < likely.quiet_clip
        samples, motion, phones = self._speech(int(length * speed) + SAMPLE_RATE // 100, quiet)
        if speed != 1.0:
            samples = np.interp(np.arange(length) * speed, np.arange(len(samples)), samples).astype(np.float32)
        samples = self._through_the_air(samples[:length], quiet, likely)
        style = int(rng.integers(len(STYLES))) if rng.random() < likely.styled else 0
        return Clip(self._features(samples, likely), *self._targets(motion, phones, speed, style), style)

    def _speech(self, length: int, quiet: bool) -> tuple[Float32Array, Float32Array, NDArray[np.uint8]]:
        """Sentences of one voice with pauses between them: samples, motion and phones at the corpus's rates."""
        frames = int(length / SAMPLE_RATE * TARGET_HZ) + 2
        samples = np.zeros(length, np.float32)
        motion, phones = np.zeros((frames, 14), np.float32), np.zeros(frames, np.uint8)
        if quiet:
            return self._pauses(samples, [(0, length)]), motion, phones
        voice = str(self._rng.choice(list(self._voices)))
        pauses = []
        at = int(self._rng.choice([0, self._rng.uniform(0, 1.5)]) * TARGET_HZ)
        pauses.append((0, at * SAMPLE_RATE // TARGET_HZ))
        first = True
        while at < frames:
            sentence = self._corpus.index[int(self._rng.choice(self._voices[voice]))]
            # Often start in the middle, so that long sentences' ends are heard as often as their beginnings.
            skip = int(self._rng.integers(0, sentence.frames // 2)) if first and at == 0 else 0
            count = min(sentence.frames - skip, frames - at)
            span = slice(sentence.frame + skip, sentence.frame + skip + count)
            motion[at : at + count] = self._corpus.motion[span] * np.float32(1 / 255)
            phones[at : at + count] = self._corpus.phones[span]
            begin, source = at * SAMPLE_RATE // TARGET_HZ, sentence.sample + skip * SAMPLE_RATE // TARGET_HZ
            part = self._corpus.audio[source : source + min(count * SAMPLE_RATE // TARGET_HZ, length - begin)]
            samples[begin : begin + len(part)] = part * np.float32(1 / 32768)
            gap = int(self._rng.choice([0.0, self._rng.uniform(0.1, 1.6)]) * TARGET_HZ)
            pauses.append((begin + len(part), begin + len(part) + gap * SAMPLE_RATE // TARGET_HZ))
            at, first = at + count + gap, False
        return self._pauses(samples, pauses), motion, phones

    def _pauses(self, samples: Float32Array, pauses: list[tuple[int, int]]) -> Float32Array:
        """Breaths and clicks of the mouth in the pauses."""
        level = 10.0 * np.log10(float(np.mean(samples * samples)) + 1e-12)
        for start, end in pauses:
            room = min(end, len(samples)) - start
            if room < 2400 or self._rng.random() < 0.35 or not self._augmentation.noise:
                continue
            length = int(self._rng.uniform(1600, min(room, 12000)))
            at = start + int(self._rng.integers(0, room - length + 1))
            maker = augment.breath if self._rng.random() < 0.7 else augment.clicks
            sound = augment.scaled(maker(self._rng, length), max(level, -40.0) - self._rng.uniform(8, 30))
            samples[at : at + length] += sound
        return samples

    def _through_the_air(self, samples: Float32Array, quiet: bool, likely: Augmentation) -> Float32Array:
        rng = self._rng
        if rng.random() < likely.room:
            samples = augment.room(rng, samples)
        if rng.random() < likely.noise or quiet:
            power = max(float(np.mean(samples * samples)), 1e-5)
            noise = augment.any_noise(rng, len(samples), None if quiet else self._babble(len(samples)))
            ratio_db = rng.uniform(4, 30) if rng.random() < 0.75 else rng.uniform(20, 50)
            samples = samples + noise * np.float32(np.sqrt(power) * 10.0 ** (-ratio_db / 20.0))
        if rng.random() < likely.clip:
            samples = augment.clipped(rng, samples)
        if likely.noise:
            samples = samples * np.float32(10.0 ** (rng.uniform(-26, 8) / 20.0))
            samples += np.float32(10.0 ** (rng.uniform(-90, -60) / 20.0)) * rng.standard_normal(
                len(samples), np.float32
            )
        return np.clip(samples, -1.0, 1.0)

    def _babble(self, length: int) -> Float32Array:
        """Several voices at once, from anywhere in the corpus."""
        audio = self._corpus.audio
        starts = self._rng.integers(0, len(audio) - length, int(self._rng.integers(4, 8)))
        return np.sum(
            [audio[start : start + length] * np.float32(1 / 32768) for start in starts], axis=0, dtype=np.float32
        )

    def _features(self, samples: Float32Array, likely: Augmentation) -> Float32Array:
        rng = self._rng
        warp = float(rng.choice(WARPS)) if rng.random() < likely.warp else 1.0
        curve = augment.microphone_curve(rng, features.BINS) if rng.random() < likely.curve else None
        return stream_features(samples, _FILTERS[warp], curve)

    def _targets(
        self, motion: Float32Array, phones: NDArray[np.uint8], speed: float, style: int
    ) -> tuple[Float32Array, Float32Array, NDArray[np.int64]]:
        ticks = np.arange(1, self._ticks + 1) / features.TICK_HZ
        moved, speaking, named = [], [], []
        for look_ahead_ms in LOOK_AHEADS_MS:
            at = np.clip((ticks - (look_ahead_ms - LEAD_MS) / 1000.0) * speed * TARGET_HZ, 0, len(motion) - 1.001)
            low = at.astype(np.int64)
            part = (at - low).astype(np.float32)[:, None]
            now = motion[low] * (1 - part) + motion[low + 1] * part
            moved.append(shapes(now[:, :13], now[:, 13], style))
            speaking.append(now[:, 12])
            named.append(phones[low].astype(np.int64))
        return np.stack(moved), np.stack(speaking), np.stack(named)


def stream_features(samples: Float32Array, filters: Float32Array, curve: Float32Array | None = None) -> Float32Array:
    """Features [ticks, 160] of a whole stream, as a live run computes them step by step; tick 1 is the first row."""
    ticks = len(samples) * features.TICK_HZ // SAMPLE_RATE
    padded = np.concatenate([np.zeros(features.WINDOW, np.float32), samples])
    ends = np.array([features.frame_end(frame) for frame in range(1, 2 * ticks + 1)])
    frames = np.lib.stride_tricks.sliding_window_view(padded, features.WINDOW)[ends]
    frames = frames - frames.mean(axis=1, keepdims=True)
    spectrum = np.fft.rfft(frames * features.window(), features.SPECTRUM) * (2.0 / features.window().sum())
    power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32)
    if curve is not None:
        power *= curve
    out = np.empty((2 * ticks, features.BANDS), np.float32)
    features.normalise_all(power @ filters, out)
    return out.reshape(ticks, features.FRAMES_PER_TICK * features.BANDS)
