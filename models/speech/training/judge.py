"""How well a mouth fits what is said, judged by the phones of a recording and nothing that the targets are made of.

A track is any mouth over time: its opening, and how rounded and how tucked under the teeth its lips are. Times are
those at which a value can be on screen, so that a mouth which waits is a mouth which lags.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facewire.bridge.shared.arkit import BLENDSHAPES
from facewire.bridge.shared.arrays import Float32Array
from facewire.models.speech.coarticulation import Phone

FloatArray = NDArray[np.float64]

RATE_HZ = 60
ASKED_OPENING = {
    "AA": 1.0, "AE": 0.9, "AO": 0.8, "AW": 0.85, "AY": 0.85, "AH": 0.6, "EH": 0.7, "OW": 0.6, "OY": 0.6, "EY": 0.55,
    "ER": 0.4, "IH": 0.4, "UH": 0.4, "IY": 0.3, "UW": 0.25, "HH": 0.45, "L": 0.35, "K": 0.3, "G": 0.3, "NG": 0.3,
    "R": 0.3, "Y": 0.3, "TH": 0.25, "DH": 0.25, "T": 0.2, "D": 0.2, "N": 0.25, "S": 0.15, "Z": 0.15, "SH": 0.2,
    "ZH": 0.2, "CH": 0.2, "JH": 0.2, "W": 0.15, "F": 0.08, "V": 0.08, "P": 0.0, "B": 0.0, "M": 0.0, "SIL": 0.0,
}  # fmt: skip
"""How far apart a phone wants the lips, coarsely: vowel height for vowels, place of articulation for consonants."""
BILABIAL, LABIODENTAL = frozenset("PBM"), frozenset("FV")
VOWELS = frozenset(["AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW"])
ROUNDED, SPREAD = frozenset(["UW", "UH", "OW", "OY", "W"]), frozenset(["AA", "AE", "AH", "AY", "EH", "EY", "IH", "IY"])
OPEN, CLOSE = frozenset(["AA", "AE", "AO", "AW", "AY"]), frozenset(["IY", "IH", "UW", "UH"])
SMOOTHING_S = 0.06
CLOSED_BELOW = 0.15
"""Lips count as closed under this part of the recording's 95th percentile of opening in speech."""
LAGS_MS = range(-120, 301, 5)
PAUSE_S, AFTER_SPEECH_S, BEFORE_SPEECH_S = 0.3, 0.12, 0.10
"""Shortest pause that counts, and what is left out at its ends, where a mouth rightly shuts and opens."""


@dataclass(frozen=True, slots=True)
class Track:
    """A mouth at 60 Hz over one recording; value i is on screen at (i + 1) / 60 s of the recording."""

    opening: Float32Array
    rounding: Float32Array
    tuck: Float32Array
    everything: Float32Array  # [frames, shapes]: what motion in pauses is measured on
    phones: list[Phone]

    @classmethod
    def of_shapes(cls, shapes: Float32Array, phones: list[Phone]) -> Track:
        """From ARKit's shapes [frames, 52]."""
        value = {name: shapes[:, index] for index, name in enumerate(BLENDSHAPES)}
        lips = (
            value["mouthLowerDownLeft"]
            + value["mouthLowerDownRight"]
            + value["mouthUpperUpLeft"]
            + value["mouthUpperUpRight"]
        )
        opening = np.maximum(value["jawOpen"] - value["mouthClose"], 0.0) + 0.15 * lips
        return cls(opening, value["mouthPucker"] + value["mouthFunnel"], value["mouthRollLower"], shapes, phones)

    @classmethod
    def of_opening(cls, opening: Float32Array, phones: list[Phone]) -> Track:
        """Make a mouth that only opens."""
        return cls(opening, opening, opening, opening[:, None], phones)


Judgement = dict[str, float]


def judge(tracks: list[Track]) -> Judgement:
    """All figures, pooled over recordings. A figure that does not exist (a still face has no lag) is not a number."""
    lag_ms, correlation = best_lag(tracks)
    shift_s = 0.0 if np.isnan(lag_ms) else lag_ms / 1000.0
    hit, chance = closures(tracks, shift_s)
    motion, opening = pauses(tracks)
    consonant = frozenset(ASKED_OPENING) - VOWELS - {"SIL"}
    return {
        "lag_ms": lag_ms,
        "closed": hit,
        "closed_chance": chance,
        "closed_above_chance": hit - chance,
        "bilabial_auc": _auc(tracks, shift_s, BILABIAL, consonant - BILABIAL, lambda t, s: -t.opening[s].min()),
        "rounding_auc": _auc(tracks, shift_s, ROUNDED, SPREAD, lambda t, s: t.rounding[s].mean()),
        "labiodental_auc": _auc(tracks, shift_s, LABIODENTAL, consonant - LABIODENTAL, lambda t, s: t.tuck[s].max()),
        "vowel_auc": _auc(tracks, shift_s, OPEN, CLOSE, lambda t, s: t.opening[s].mean()),
        "correlation": correlation,
        "pause_motion": motion,
        "pause_opening": opening,
        "jerk_hz": jerk_hz(tracks),
    }


def asked_opening(phones: list[Phone], times_s: FloatArray) -> FloatArray:
    """Return what the phones ask of the lips [times], 0..1, smoothed over 60 ms."""
    fine_hz = 1000
    fine = np.arange(int((times_s[-1] + 1.0) * fine_hz)) / fine_hz
    ends = np.array([end for _, _, end in phones])
    steps = np.array([*(ASKED_OPENING[name] for name, _, _ in phones), 0.0])[np.searchsorted(ends, fine, side="right")]
    kernel = np.hanning(int(SMOOTHING_S * fine_hz) + 2)[1:-1]
    return np.interp(times_s, fine, np.convolve(steps, kernel / kernel.sum(), "same"))


def best_lag(tracks: list[Track]) -> tuple[float, float]:
    """By how many milliseconds the opening follows what the phones ask, and their correlation inside speech then."""
    asked, opened = [], []
    for track in tracks:
        times, inside = _frame_times(track), _in_speech(track)
        asked.append(asked_opening(track.phones, times)[inside])
        shown = [np.interp(times[inside] + lag / 1000.0, times, track.opening) for lag in LAGS_MS]
        opened.append(np.array(shown))
    wanted, given = np.concatenate(asked), np.concatenate(opened, axis=1)
    if given.std() < 1e-6:
        return float("nan"), float("nan")
    scores = np.array([np.corrcoef(wanted, row)[0, 1] for row in given])
    best = int(np.argmax(scores))
    return float(LAGS_MS[best]), float(scores[best])


def closures(tracks: list[Track], shift_s: float) -> tuple[float, float]:
    """Return the part of P, B and M in which the lips close, and the part of equally long spans anywhere in speech."""
    rng = np.random.default_rng(0)
    hits, by_chance = [], []
    for track in tracks:
        inside = _in_speech(track)
        limit = CLOSED_BELOW * float(np.percentile(track.opening[inside], 95)) + 1e-6
        moments = _frame_times(track)[inside]
        for name, start, end in track.phones:
            if name not in BILABIAL:
                continue
            hits.append(track.opening[_frames(track, start, end, shift_s)].min() < limit)
            spans = [_frames(track, at, at + end - start, shift_s) for at in rng.choice(moments, 20)]
            by_chance += [track.opening[span].min() < limit for span in spans]
    return float(np.mean(hits)), float(np.mean(by_chance))


def pauses(tracks: list[Track]) -> tuple[float, float]:
    """Motion and opening in pauses, as parts of those in speech."""
    quiet_motion, motion, quiet_opening, opening = [], [], [], []
    for track in tracks:
        times, inside = _frame_times(track), _in_speech(track)
        moved = np.abs(np.diff(track.everything, axis=0, prepend=track.everything[:1])).sum(axis=1)
        quiet = np.zeros(len(times), bool)
        last = track.phones[-1][2]
        for name, start, end in track.phones:
            if name == "SIL" and end - start >= PAUSE_S:
                begin = start + (AFTER_SPEECH_S if start > 0.02 else 0.05)
                quiet |= (times >= begin) & (times < end - (BEFORE_SPEECH_S if end < last else 0.0))
        quiet_motion.append(moved[quiet])
        motion.append(moved[inside])
        quiet_opening.append(track.opening[quiet])
        opening.append(track.opening[inside])
    still = float(np.mean(np.concatenate(motion)))
    if still < 1e-9:
        return 0.0, 0.0
    return float(np.mean(np.concatenate(quiet_motion))) / still, float(
        np.mean(np.concatenate(quiet_opening)) / np.mean(np.concatenate(opening))
    )


def jerk_hz(tracks: list[Track]) -> float:
    """How trembling the opening is inside speech: the root of (RMS jerk / RMS speed) over 2 pi, a frequency.

    A sine of that frequency has that ratio; lips speak at 3 to 6 Hz.
    """
    speed, jerk = [], []
    for track in tracks:
        inside = _in_speech(track)
        speed.append(np.gradient(track.opening)[inside] * RATE_HZ)
        jerk.append((np.pad(np.diff(track.opening, 3), (1, 2)) * RATE_HZ**3)[inside])
    fast = float(np.sqrt(np.mean(np.concatenate(speed) ** 2)))
    return (
        float(np.sqrt(np.sqrt(np.mean(np.concatenate(jerk) ** 2)) / fast) / (2 * np.pi))
        if fast > 1e-9
        else float("nan")
    )


def auc(positive: FloatArray, negative: FloatArray) -> float:
    """How often a positive scores above a negative, ties counted as half."""
    both = np.concatenate([positive, negative])
    _, inverse, counts = np.unique(both, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2.0)[inverse]
    upper = ranks[: len(positive)].sum() - len(positive) * (len(positive) + 1) / 2.0
    return float(upper / (len(positive) * len(negative))) if len(positive) and len(negative) else float("nan")


def _auc(tracks, shift_s, positive, negative, score) -> float:  # type: ignore[no-untyped-def]
    scores: tuple[list[float], list[float]] = ([], [])
    for track in tracks:
        for name, start, end in track.phones:
            if name in positive or name in negative:
                scores[name in negative].append(float(score(track, _frames(track, start, end, shift_s))))
    return auc(np.array(scores[0]), np.array(scores[1]))


def _frame_times(track: Track) -> FloatArray:
    return np.arange(1, len(track.opening) + 1) / RATE_HZ


def _in_speech(track: Track) -> NDArray[np.bool_]:
    times = _frame_times(track)
    inside = np.zeros(len(times), bool)
    for name, start, end in track.phones:
        if name != "SIL":
            inside |= (times >= start) & (times < end)
    return inside


def _frames(track: Track, start_s: float, end_s: float, shift_s: float) -> slice:
    """Return the frames of a span, at least one."""
    last = len(track.opening) - 1
    first = min(max(round((start_s + shift_s) * RATE_HZ) - 1, 0), last)
    return slice(first, min(max(round((end_s + shift_s) * RATE_HZ) - 1, first + 1), last + 1))
