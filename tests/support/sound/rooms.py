"""Voices across a room and whispers, made of recordings: for the tests and ``benchmarks/far_voice.py``."""

from __future__ import annotations

import numpy as np

RATE = 16_000
ORDER = 18


def speech_db(samples: np.ndarray) -> float:
    """Return the level of speech without its pauses, in dB of full scale."""
    power = np.mean(samples[: len(samples) // 320 * 320].reshape(-1, 320) ** 2, axis=1) + 1e-12
    spoken = power[power > 1e-3 * np.percentile(power, 95)]
    return float(10 * np.log10(spoken.mean()))


def at_db(samples: np.ndarray, level_db: float) -> np.ndarray:
    """Return samples whose speech has that level."""
    return samples * 10 ** ((level_db - speech_db(samples)) / 20)


def in_room(samples: np.ndarray, rt60_s: float, direct_db: float, rng: np.random.Generator) -> np.ndarray:
    """Return what is heard across a room: the direct sound and, ``direct_db`` below it, a tail of noise.

    The tail falls by 60 dB in ``rt60_s``.
    """
    n = round(1.1 * rt60_s * RATE)
    tail = rng.standard_normal(n) * 10 ** (-3 * np.arange(n) / RATE / rt60_s)
    tail[: round(rng.uniform(0.001, 0.006) * RATE)] = 0
    response = tail * np.sqrt(10 ** (-direct_db / 10) / np.sum(tail**2))
    response[0] += 1
    size = 1 << (len(samples) + n).bit_length()
    heard = np.fft.irfft(np.fft.rfft(samples, size) * np.fft.rfft(response, size), size)
    return heard[: len(samples)]


def whispered(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the same words without a voice: noise through each moment's vocal tract, and a flatter spectrum."""
    size, step = 480, 240
    window, out = np.hanning(size + 1)[:-1], np.zeros(len(samples) + size)
    for start in range(0, len(samples) - size, step):
        part = samples[start : start + size] * window
        power = np.mean(part**2)
        if power > 1e-9:
            noise = _through(_prediction(part), rng.standard_normal(size + 200))[200:] * window
            out[start : start + size] += noise * np.sqrt(power / (np.mean(noise**2) + 1e-12))
    return np.append(out[0], out[1:] - 0.9 * out[:-1])[: len(samples)]


def _prediction(part: np.ndarray) -> np.ndarray:
    """Levinson and Durbin."""
    lags = np.correlate(part, part, "full")[len(part) - 1 : len(part) + ORDER]
    lags[0] = lags[0] * 1.0001 + 1e-9
    filter_, error = np.zeros(ORDER + 1), lags[0]
    filter_[0] = 1
    for i in range(1, ORDER + 1):
        k = -(lags[i] + np.dot(filter_[1:i], lags[i - 1 : 0 : -1])) / error
        filter_[1 : i + 1] += k * np.concatenate([filter_[i - 1 : 0 : -1], [1]])
        error *= 1 - k * k
    return filter_


def _through(filter_: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Filter by all poles, by their impulse response: a moment's is short."""
    impulse = np.zeros(256)
    impulse[0] = 1
    for n in range(256):
        for k in range(1, min(n, ORDER) + 1):
            impulse[n] -= filter_[k] * impulse[n - k]
    return np.convolve(noise, impulse)[: len(noise)]
