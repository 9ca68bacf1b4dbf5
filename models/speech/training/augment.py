"""What happens to speech on its way to a microphone, drawn again for each clip. Samples are float32 at 16 kHz."""

from __future__ import annotations

import numpy as np

from facewire.bridge.shared.arrays import Float32Array

RATE = 16000


def scaled(samples: Float32Array, level_db: float) -> Float32Array:
    """With a root mean square of ``level_db`` under full scale; silence stays silence."""
    power = float(np.mean(samples * samples))
    return samples * np.float32(10.0 ** (level_db / 20.0) / np.sqrt(power)) if power > 1e-12 else samples


def coloured_noise(rng: np.random.Generator, length: int, slope: float) -> Float32Array:
    """Noise whose power falls with frequency to the power of ``slope``: 0 white, 1 pink, 2 brown."""
    size = 1 << (length - 1).bit_length()
    frequency = np.maximum(np.arange(size // 2 + 1), 1.0)
    spectrum = rng.standard_normal(size // 2 + 1, np.float32) + 1j * rng.standard_normal(size // 2 + 1, np.float32)
    shaped = np.fft.irfft(spectrum * frequency ** (-0.5 * slope)).astype(np.float32)[:length]
    return scaled(shaped, 0.0)


def hum(rng: np.random.Generator, length: int) -> Float32Array:
    """Mains hum or a fan: a few harmonics over pink noise."""
    base, time_s = rng.choice([50.0, 60.0, rng.uniform(80, 240)]), np.arange(length, dtype=np.float32) / RATE
    tones = [rng.uniform(0.1, 1) / k * np.sin(2 * np.pi * base * k * time_s + rng.uniform(0, 6)) for k in range(1, 6)]
    return scaled((np.sum(tones, axis=0) + 0.3 * coloured_noise(rng, length, 1.0)).astype(np.float32), 0.0)


def music(rng: np.random.Generator, length: int) -> Float32Array:
    """Chords of decaying tones with a beat."""
    out = np.zeros(length, np.float32)
    beat = int(rng.uniform(0.2, 0.6) * RATE)
    time_s = np.arange(2 * beat, dtype=np.float32) / RATE
    for start in range(0, length, beat):
        span = min(2 * beat, length - start)
        root = 55.0 * 2.0 ** (rng.integers(0, 36) / 12)
        for step in rng.choice([0, 3, 4, 7, 10, 12, 19], 2, replace=False):
            pitch = root * 2.0 ** (step / 12)
            tone = np.sin(2 * np.pi * pitch * time_s[:span]) + 0.5 * np.sin(4 * np.pi * pitch * time_s[:span])
            out[start : start + span] += tone * np.exp(-time_s[:span] * rng.uniform(2, 8))
        if rng.random() < 0.5:
            hit = min(1600, length - start)
            out[start : start + hit] += rng.standard_normal(hit, np.float32) * np.exp(-np.arange(hit) / 200)
    return scaled(out, 0.0)


def clicks(rng: np.random.Generator, length: int) -> Float32Array:
    """Return sounds of a keyboard, a mouse, lips parting: short bursts here and there over faint noise."""
    out = 0.01 * rng.standard_normal(length, np.float32)
    for start in rng.integers(0, length, max(1, int(length / RATE * rng.uniform(1, 8)))):
        span = min(int(rng.uniform(0.004, 0.03) * RATE), length - start)
        out[start : start + span] += (
            rng.uniform(0.3, 1) * rng.standard_normal(span, np.float32) * np.exp(-np.arange(span) / (span / 3 + 1))
        )
    return scaled(out.astype(np.float32), 0.0)


def breath(rng: np.random.Generator, length: int) -> Float32Array:
    """One breath: noise in a band, swelling and fading."""
    noise = coloured_noise(rng, length, rng.uniform(0.0, 1.2))
    shape = np.sin(np.linspace(0, np.pi, length)) ** rng.uniform(0.7, 3)
    return scaled((noise * shape).astype(np.float32), 0.0)


def any_noise(rng: np.random.Generator, length: int, babble: Float32Array | None) -> Float32Array:
    """One of the noises above or, where given, babble, at a root mean square of one."""
    kind = rng.integers(0, 6 if babble is not None else 5)
    if kind == 0:
        return coloured_noise(rng, length, rng.uniform(-0.3, 2.2))
    if kind == 1:
        return coloured_noise(rng, length, rng.choice([0.0, 1.0])) * np.float32(1) + np.float32(0.5) * hum(rng, length)
    if kind == 2:
        return hum(rng, length)
    if kind == 3:
        return music(rng, length)
    if kind == 4 or babble is None:
        return clicks(rng, length) + np.float32(0.3) * coloured_noise(rng, length, 1.0)
    return scaled(babble, 0.0)


def room(rng: np.random.Generator, samples: Float32Array) -> Float32Array:
    """As heard across a room: a decaying tail of 0.1 to 0.7 s behind the direct sound, which stays where it is."""
    length = int(rng.uniform(0.08, 0.5) * RATE)
    response = rng.standard_normal(length, np.float32) * np.exp(
        -6.9 * np.arange(length) / (rng.uniform(0.1, 0.7) * RATE)
    )
    response[: int(rng.uniform(0.001, 0.006) * RATE)] = 0.0
    response *= rng.uniform(0.05, 0.6) / np.sqrt(np.sum(response * response) + 1e-9)
    response[0] = 1.0
    size = 1 << (len(samples) + length - 1).bit_length()
    wet = np.fft.irfft(np.fft.rfft(samples, size) * np.fft.rfft(response, size), size)
    return wet[: len(samples)].astype(np.float32)


def microphone_curve(rng: np.random.Generator, bins: int) -> Float32Array:
    """Return a gain for each bin [bins]: a smooth curve of some decibels, at times a telephone's band."""
    knots = rng.normal(0.0, rng.uniform(0.5, 5.0), 7)
    tilt = rng.uniform(-6, 6)
    curve_db = np.interp(np.linspace(0, 6, bins), np.arange(7), knots) + tilt * np.linspace(-1, 1, bins)
    hertz = np.linspace(0, RATE / 2, bins)
    if rng.random() < 0.12:
        curve_db -= 60.0 * (hertz > rng.uniform(3400, 6500))
    if rng.random() < 0.25:
        curve_db -= 40.0 * (hertz < rng.uniform(60, 300))
    return (10.0 ** (curve_db / 10.0)).astype(np.float32)


def clipped(rng: np.random.Generator, samples: Float32Array) -> Float32Array:
    """Overdriven: the loudest parts cut off."""
    limit = float(np.max(np.abs(samples))) * rng.uniform(0.15, 0.7)
    return np.clip(samples, -limit, limit)
