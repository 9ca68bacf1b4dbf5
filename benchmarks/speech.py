"""How well speech drives the mouth, on real recordings that the model never heard; and what a frame costs.

Prints a table and one JSON line; --plot FILE draws curves over waveform and phones. Needs the extra `train`.
Run: python benchmarks/speech.py [--weights FILE] [--plot FILE]
"""

from __future__ import annotations

import argparse
import gc
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from speech_recordings import RATE, Recording, load

from facewire.models.speech.causal import LOOK_AHEADS_MS, SpeechDriver
from facewire.models.speech.coarticulation import Phone, movements, shapes
from facewire.models.speech.training.augment import coloured_noise, hum, scaled
from facewire.models.speech.training.judge import Judgement, Track, judge

Mouth = Callable[[np.ndarray, list[Phone]], Track]
"""From samples (and, for the targets alone, phones) to a mouth at 60 Hz, each value at the time it can be on screen."""

ROWS = {
    "lag_ms": "lag behind the sound, ms",
    "closed_above_chance": "P B M closed, above chance",
    "closed": "  closed",
    "closed_chance": "  by chance",
    "bilabial_auc": "P B M / other consonants, AUC",
    "rounding_auc": "rounded / spread, AUC",
    "labiodental_auc": "F V / other consonants, AUC",
    "vowel_auc": "open / close vowels, AUC",
    "correlation": "opening, correlation",
    "pause_motion": "motion in pauses / speech",
    "pause_opening": "opening in pauses / speech",
    "jerk_hz": "jerk, Hz",
}


def driven(driver: SpeechDriver) -> Mouth:
    def mouth(samples: np.ndarray, phones: list[Phone]) -> Track:
        driver.reset()
        out = []
        for start in range(0, len(samples), 160):
            driver.push(samples[start : start + 160])
            while (value := driver.step()) is not None:
                out.append(value.copy())
        return Track.of_shapes(np.array(out), phones)

    return mouth


def loudness(samples: np.ndarray, phones: list[Phone]) -> Track:
    """Open the mouth as far as it is loud: RMS of the last 33 ms over the loudest of late."""
    level, loudest = [], 1e-3
    for tick in range(1, len(samples) * 60 // RATE + 1):
        end = tick * RATE // 60
        now = float(np.sqrt(np.mean(samples[max(0, end - 533) : end] ** 2)))
        loudest = max(now, loudest * 0.9985)
        level.append(now / loudest)
    return Track.of_opening(np.array(level, np.float32), phones)


def random_mouth(samples: np.ndarray, phones: list[Phone]) -> Track:
    """Open and shut the mouth about four times a second, whatever is said."""
    count = len(samples) * 60 // RATE
    noise = np.convolve(np.random.default_rng(len(samples)).standard_normal(count + 20), np.hanning(12), "valid")[
        :count
    ]
    return Track.of_opening(np.clip(0.4 + 0.15 * noise, 0, 1).astype(np.float32), phones)


def still(samples: np.ndarray, phones: list[Phone]) -> Track:
    return Track.of_opening(np.zeros(len(samples) * 60 // RATE, np.float32), phones)


def targets(samples: np.ndarray, phones: list[Phone]) -> Track:
    """Return what the model is trained towards, from the phones themselves: what a perfect listener would show."""
    times = np.arange(1, len(samples) * 60 // RATE + 1) / 60.0
    moved = movements(phones, [0.0] * len(phones), times)
    return Track.of_shapes(shapes(moved, np.zeros(len(times), np.float32)), phones)


def with_noise(recordings: list[Recording], ratio_db: float) -> list[Recording]:
    """Each recording thrice: in pink noise, by a humming fan, and among other readers, at a ratio to its speech."""
    rng = np.random.default_rng(7)
    noisy = []
    for recording in recordings:
        samples = recording.samples
        said = np.zeros(len(samples), bool)
        for name, start, end in recording.phones:
            said[int(start * RATE) : int(end * RATE)] = name != "SIL"
        level = np.sqrt(np.mean(samples[said] ** 2)) * 10 ** (-ratio_db / 20)
        others = [other.samples for other in recordings if other.reader != recording.reader]
        babble = np.sum([scaled(np.resize(other, len(samples)), 0.0) for other in others], axis=0)
        noises = (coloured_noise(rng, len(samples), 1.0), hum(rng, len(samples)), scaled(babble, 0.0))
        mixed = [(samples + level * noise).astype(np.float32) for noise in noises]
        noisy += [Recording(recording.reader, sound, recording.phones) for sound in mixed]
    return noisy


def judged(mouth: Mouth, recordings: list[Recording]) -> Judgement:
    return judge([mouth(recording.samples, recording.phones) for recording in recordings])


def step_us(driver: SpeechDriver, samples: np.ndarray) -> tuple[float, float]:
    """Median and 99th percentile of one step, features to shapes, one core."""
    driver.reset()
    times = []
    for tick in range(6000):
        at = (tick * 267) % (len(samples) - 267)
        driver.push(samples[at : at + 267])
        start = time.perf_counter_ns()
        driver.step()
        times.append(time.perf_counter_ns() - start)
    return float(np.median(times)) / 1e3, float(np.percentile(times, 99)) / 1e3


def resident_mb() -> float:
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return float("nan")


def plot(mouth: Mouth, recording: Recording, path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    ours, wanted = mouth(recording.samples, recording.phones), targets(recording.samples, recording.phones)
    figure, axes = pyplot.subplots(4, 1, figsize=(22, 9), sharex=True)
    axes[0].plot(np.arange(len(recording.samples)) / RATE, recording.samples, linewidth=0.4)
    for axis, name in zip(axes[1:], ("opening", "rounding", "tuck"), strict=True):
        for track, label in ((wanted, "asked by the phones"), (ours, "shown")):
            curve = getattr(track, name)
            axis.plot(np.arange(1, len(curve) + 1) / 60, curve, label=label)
        axis.set_ylabel(name)
        axis.legend(loc="upper right")
    for name, start, end in recording.phones:
        for axis in axes:
            axis.axvline(start, color="0.85", linewidth=0.5, zorder=0)
        axes[0].text((start + end) / 2, float(np.abs(recording.samples).max()), name, ha="center", fontsize=7)
    figure.tight_layout()
    figure.savefig(path, dpi=80)


def print_table(columns: dict[str, Judgement]) -> None:
    print(f"{'':34}" + "".join(f"{name:>13}" for name in columns))
    for key, label in ROWS.items():
        print(f"{label:34}" + "".join(f"{column[key]:13.2f}" for column in columns.values()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, help="a model of facewire train speech (default: the shipped one)")
    parser.add_argument("--recordings", type=Path, help="where the recordings are kept (default: the cache)")
    parser.add_argument("--plot", type=Path, help="draw curves of one recording into this file")
    parser.add_argument("--brief", action="store_true", help="only look-ahead 40 ms, clean and noisy")
    args = parser.parse_args()
    recordings = load(args.recordings)
    gc.collect()
    before_mb = resident_mb()
    driver = SpeechDriver(weights=args.weights)
    memory_mb = resident_mb() - before_mb
    columns = {
        "40 ms": judged(driven(driver), recordings),
        "40, 10 dB": judged(driven(driver), with_noise(recordings, 10.0)),
    }
    plain = SpeechDriver(weights=args.weights, feedback=False)
    columns["plain head"] = judged(driven(plain), recordings)
    columns["plain, 10 dB"] = judged(driven(plain), with_noise(recordings, 10.0))
    if not args.brief:
        for look_ahead_ms in sorted(set(LOOK_AHEADS_MS) - {40}):
            columns[f"{look_ahead_ms} ms"] = judged(
                driven(SpeechDriver(look_ahead_ms, weights=args.weights)), recordings
            )
        for mouth in (loudness, random_mouth, still, targets):
            columns[mouth.__name__.removesuffix("_mouth")] = judged(mouth, recordings)
        columns["loud, 10 dB"] = judged(loudness, with_noise(recordings, 10.0))
    readers, seconds = len({r.reader for r in recordings}), sum(len(r.samples) for r in recordings) / RATE
    print(f"{len(recordings)} recordings, {readers} readers, {seconds:.0f} s\n")
    print_table(columns)
    median_us, slow_us = step_us(driver, recordings[0].samples)
    print(f"\na step: median {median_us:.0f} us, 99th percentile {slow_us:.0f} us; memory {memory_mb:.0f} MB")
    if args.plot:
        plot(driven(driver), recordings[0], args.plot)
    print(
        json.dumps({"benchmark": "speech", "figures": columns, "step_us": [median_us, slow_us], "memory_mb": memory_mb})
    )


if __name__ == "__main__":
    main()
