"""From timed phones to the movement of a mouth: the targets that our causal model learns.

Each phone asks for some movements and says nothing of others. What a phone asks for fades in before it and out after it
(its dominance), and where several phones ask, the stronger and nearer wins: Cohen and Massaro, "Modeling coarticulation
in synthetic visual speech" (1993). The tables are our own. Times are in seconds, values 0..1.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from facewire.bridge.shared.arkit import BLENDSHAPES
from facewire.bridge.shared.arrays import Float32Array

MOVEMENTS = (
    "jaw",
    "close",
    "press",
    "tuck",
    "pucker",
    "funnel",
    "shrug",
    "stretch",
    "smile",
    "lower",
    "upper",
    "tongue",
)
"""What a phone can ask for; ``close`` is how much of the jaw's opening the lips close again."""

STYLES = ("neutral", "clear", "soft", "cheerful")
"""Ways of speaking: as the tables say, over-articulated, hardly moving the lips, smiling."""

PHONES = (
    "SIL", "AA", "AE", "AH", "AO", "AW", "AY", "B", "CH", "D", "DH", "EH", "ER", "EY", "F", "G", "HH", "IH", "IY", "JH",
    "K", "L", "M", "N", "NG", "OW", "OY", "P", "R", "S", "SH", "T", "TH", "UH", "UW", "V", "W", "Y", "Z", "ZH",
)  # fmt: skip
"""ARPAbet without stress, silence first: the classes of the network's auxiliary task."""

LEAD_S, TAIL_S = 0.10, 0.09
"""How early a mouth begins to open before the first sound, and how long it takes to shut after the last."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What one phone asks for: targets by movement, and how strongly and how early (dominance) where not as usual."""

    targets: dict[str, float]
    strength: float = 1.0
    weak: dict[str, float] = field(default_factory=dict)


def _vowel(jaw: float, **targets: float) -> Ask:
    lips = {"close": 0.0, "press": 0.0, "tuck": 0.0, "pucker": 0.0, "funnel": 0.0, "stretch": 0.0, "smile": 0.0}
    return Ask({**lips, "tongue": 0.0, "shrug": 0.0, "lower": 0.15, "upper": 0.1, "jaw": jaw, **targets})


def _consonant(strength: float = 0.6, **targets: float) -> Ask:
    return Ask({"close": 0.0, "tuck": 0.0, "press": 0.0, **targets}, strength)


def _closure(press: float) -> Ask:
    return Ask({"close": 1.0, "press": press, "jaw": 0.12, "tuck": 0.0, "lower": 0.0, "upper": 0.0, "stretch": 0.05,
                "funnel": 0.0}, 6.0, {"jaw": 0.25, "stretch": 0.15, "funnel": 0.3})  # fmt: skip


def _tuck(upper: float) -> Ask:
    return Ask({"tuck": 1.0, "jaw": 0.1, "close": 0.0, "press": 0.0, "upper": upper, "lower": 0.0, "pucker": 0.0,
                "funnel": 0.0}, 4.0, {"jaw": 0.4, "pucker": 0.15, "funnel": 0.15})  # fmt: skip


def _protruded() -> Ask:
    return Ask({"jaw": 0.1, "funnel": 0.6, "shrug": 0.6, "pucker": 0.3, "lower": 0.15, "close": 0.0, "tuck": 0.0,
                "stretch": 0.0, "smile": 0.0}, 1.3)  # fmt: skip


def _sibilant() -> Ask:
    return _consonant(1.2, jaw=0.08, stretch=0.3, lower=0.35, upper=0.2)


ASKS: dict[str, Ask] = {
    "AA": _vowel(0.75, lower=0.25, upper=0.15),
    "AE": _vowel(0.65, stretch=0.25, lower=0.35, upper=0.25, smile=0.2),
    "AH": _vowel(0.42, lower=0.2),
    "AO": _vowel(0.6, funnel=0.45, pucker=0.2),
    "EH": _vowel(0.5, stretch=0.25, lower=0.3, upper=0.2, smile=0.2),
    "ER": _vowel(0.28, funnel=0.35, pucker=0.3),
    "IH": _vowel(0.28, stretch=0.3, lower=0.25, smile=0.3),
    "IY": _vowel(0.16, stretch=0.45, lower=0.3, upper=0.2, smile=0.5),
    "UH": _vowel(0.28, funnel=0.45, pucker=0.4),
    "UW": _vowel(0.16, pucker=0.9, funnel=0.35, lower=0.05, upper=0.0),
    "P": _closure(0.5), "B": _closure(0.5), "M": _closure(0.35),
    "F": _tuck(0.25), "V": _tuck(0.2),
    "TH": _consonant(1.0, jaw=0.18, tongue=1.0, lower=0.25), "DH": _consonant(0.7, jaw=0.18, tongue=0.6, lower=0.2),
    "T": _consonant(0.7, jaw=0.15, lower=0.2), "D": _consonant(0.7, jaw=0.16, lower=0.2),
    "N": _consonant(0.7, jaw=0.18, lower=0.2), "L": _consonant(0.6, jaw=0.26, lower=0.25),
    "S": _sibilant(), "Z": _sibilant(),
    "SH": _protruded(), "ZH": _protruded(), "CH": _protruded(), "JH": _protruded(),
    "R": _consonant(0.9, jaw=0.2, funnel=0.35, pucker=0.4),
    "W": _consonant(2.5, jaw=0.12, pucker=0.95, funnel=0.3, lower=0.0, upper=0.0, stretch=0.0, smile=0.0),
    "Y": _consonant(0.8, jaw=0.15, stretch=0.35, smile=0.3),
    "K": _consonant(0.4, jaw=0.25), "G": _consonant(0.4, jaw=0.25), "NG": _consonant(0.4, jaw=0.25),
    "HH": _consonant(0.1, jaw=0.3),
}  # fmt: skip

GLIDES = {"AY": ("AA", "IY"), "EY": ("EH", "IY"), "OW": ("AO", "UW"), "AW": ("AA", "UW"), "OY": ("AO", "IY")}
"""Vowels that move from one to another."""

FADE_IN_S = dict.fromkeys(MOVEMENTS, 0.045) | {
    "close": 0.022,
    "press": 0.025,
    "tuck": 0.028,
    "pucker": 0.09,
    "funnel": 0.08,
}
FADE_OUT_S = dict.fromkeys(MOVEMENTS, 0.05) | {
    "close": 0.025,
    "press": 0.03,
    "tuck": 0.03,
    "pucker": 0.05,
    "funnel": 0.05,
}
"""Time constants of the dominance before and after a phone: lips round early and part quickly."""

EARLY_S = 0.008
"""How much sooner a mouth takes its shape than the sound says; what closes the lips is part of the sound and is not."""

Phone = tuple[str, float, float]


def movements(phones: list[Phone], loudness: list[float], times_s: NDArray[np.float64]) -> Float32Array:
    """Return the movements [times, 12] and, last, how surely somebody speaks [times, 13] at the given times.

    ``phones`` are (name, start, end) in order, SIL included; ``loudness`` is each phone's level over the speaker's
    usual one in decibels: the jaw opens wider for a louder vowel.
    """
    segments = [part for phone, level in zip(phones, loudness, strict=True) for part in _segments(phone, level)]
    total = np.zeros((len(times_s), len(MOVEMENTS)))
    weight = np.full((len(times_s), len(MOVEMENTS)), 1e-4)
    for name, start, end, level in segments:
        ask = ASKS[name] if name != "SIL" else None
        near = slice(*np.searchsorted(times_s, (start - 0.5, end + 0.4)))
        for movement, target, strength in _targets(ask, end - start, level):
            index = MOVEMENTS.index(movement)
            dominance = strength * _dominance(times_s[near], name, start, end, movement)
            total[near, index] += dominance * target
            weight[near, index] += dominance
    speaking = _speaking(phones, times_s)
    moved = total / weight * np.minimum(1.0, speaking * 1.6)[:, None]
    return np.concatenate([moved, speaking[:, None]], axis=1).astype(np.float32)


def _segments(phone: Phone, level: float) -> list[tuple[str, float, float, float]]:
    name, start, end = phone
    if name not in GLIDES:
        return [(name, start, end, level)]
    middle = start + 0.6 * (end - start)
    first, second = GLIDES[name]
    return [(first, start, middle, level), (second, middle, end, level)]


def _targets(ask: Ask | None, length_s: float, level_db: float) -> list[tuple[str, float, float]]:
    if ask is None:
        return [(movement, 0.0, min(1.0, length_s / 0.15)) for movement in MOVEMENTS]
    wider = float(np.clip(1.0 + level_db / 30.0, 0.7, 1.3))
    return [
        (
            movement,
            target * wider if movement in ("jaw", "lower", "upper") else target,
            ask.strength * ask.weak.get(movement, 1.0),
        )
        for movement, target in ask.targets.items()
    ]


def _dominance(times_s: NDArray[np.float64], name: str, start: float, end: float, movement: str) -> NDArray[np.float64]:
    # Lips meet as the sound stops, and a burst near the segment's end parts them.
    if name in ("P", "B", "M"):
        start, end = start - 0.004, end - 0.12 * (end - start)
    else:
        inner = 0.2 * (end - start)
        start, end = start + inner, end - inner
    if movement not in ("close", "press", "tuck"):
        start, end = start - EARLY_S, end - EARLY_S
    before, after = np.maximum(0.0, start - times_s), np.maximum(0.0, times_s - end)
    faded: NDArray[np.float64] = np.exp(-before / FADE_IN_S[movement] - after / FADE_OUT_S[movement])
    return faded


def _speaking(phones: list[Phone], times_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 in speech and in gaps too short to shut the mouth in; eases up before speech and down after it."""
    speaking = np.zeros(len(times_s))
    for start, end in speech_spans(phones, 0.18):
        up = np.clip((times_s - (start - LEAD_S)) / LEAD_S, 0.0, 1.0)
        down = np.clip((end + TAIL_S - times_s) / TAIL_S, 0.0, 1.0)
        both = np.minimum(up, down)
        np.maximum(speaking, both * both * (3.0 - 2.0 * both), out=speaking)
    return speaking


def speech_spans(phones: list[Phone], gap_s: float) -> list[tuple[float, float]]:
    """Start and end of each stretch of speech; silences shorter than ``gap_s`` do not part two."""
    spans: list[tuple[float, float]] = []
    for name, start, end in phones:
        if name == "SIL":
            continue
        if spans and start - spans[-1][1] < gap_s:
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((start, end))
    return spans


def shapes(moved: Float32Array, emphasis: Float32Array, style: int = 0) -> Float32Array:
    """ARKit's 52 shapes [times, 52] from movements [times, 13] and emphasis [times] (0..1, zero in silence)."""
    value = dict(zip(MOVEMENTS, moved[:, :-1].T, strict=True))
    _in_style(value, moved[:, -1], style)
    close, open_lips = value["close"], 1.0 - value["close"]
    rounded = 1.0 - 0.6 * value["pucker"]
    both = {
        "mouthStretch": 0.5 * value["stretch"] * rounded, "mouthSmile": 0.4 * value["smile"] * rounded,
        "mouthDimple": 0.15 * value["smile"], "mouthPress": 0.7 * value["press"],
        "mouthLowerDown": value["lower"] * open_lips * (1.0 - value["tuck"]),
        "mouthUpperUp": value["upper"] * open_lips,
        "browOuterUp": 0.22 * emphasis, "cheekSquint": 0.2 * value["smile"] + 0.12 * emphasis,
        "eyeSquint": 0.12 * value["smile"], "eyeWide": 0.14 * emphasis, "noseSneer": 0.12 * value["upper"] * open_lips,
    }  # fmt: skip
    single = {
        "jawOpen": value["jaw"], "mouthClose": value["jaw"] * close, "mouthFunnel": value["funnel"] * open_lips,
        "mouthPucker": value["pucker"] * (1.0 - 0.4 * close),
        "mouthRollLower": np.maximum(0.8 * value["tuck"], 0.3 * close),
        "mouthRollUpper": 0.22 * close, "mouthShrugLower": 0.4 * value["shrug"] + 0.15 * value["tuck"],
        "mouthShrugUpper": 0.35 * value["shrug"],
        "jawForward": 0.25 * value["shrug"], "tongueOut": 0.45 * value["tongue"],
        "cheekPuff": 0.12 * value["press"], "browInnerUp": 0.3 * emphasis,
    }  # fmt: skip
    out = np.zeros((len(moved), len(BLENDSHAPES)), np.float32)
    for name, curve in single.items():
        out[:, BLENDSHAPES.index(name)] = curve
    for name, curve in both.items():
        out[:, BLENDSHAPES.index(name + "Left")] = curve
        out[:, BLENDSHAPES.index(name + "Right")] = curve
    return np.clip(out, 0.0, 1.0)


def _in_style(value: dict[str, Float32Array], speaking: Float32Array, style: int) -> None:
    name = STYLES[style]
    gains = {"clear": 1.3, "soft": 0.65}
    if name in gains:
        # Lips that must meet still meet: closing and tucking keep their size.
        for movement in ("jaw", "lower", "upper", "stretch", "funnel", "pucker", "shrug", "smile"):
            value[movement] = np.minimum(1.0, value[movement] * np.float32(gains[name]))
    if name == "cheerful":
        value["smile"] = np.minimum(1.0, value["smile"] * np.float32(0.7) + np.float32(0.45) * speaking)


def emphasis_curve(phones: list[Phone], loudness: list[float], times_s: NDArray[np.float64]) -> Float32Array:
    """How much the face stresses what is said [times], 0..1: slow bumps on vowels louder than the speaker's usual."""
    curve = np.zeros(len(times_s))
    for (name, start, end), level in zip(phones, loudness, strict=True):
        if name not in GLIDES and "tongue" not in ASKS.get(name, ASKS["P"]).targets:
            continue
        size = np.clip((level - 2.0) / 6.0, 0.0, 1.0) * np.clip((end - start) / 0.12, 0.3, 1.0)
        bump = size * np.exp(-0.5 * ((times_s - 0.5 * (start + end)) / 0.11) ** 2)
        np.maximum(curve, bump, out=curve)
    return (curve * _speaking(phones, times_s)).astype(np.float32)
