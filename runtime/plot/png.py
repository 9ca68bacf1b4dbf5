"""A session as one picture: curves on top, sound beneath, on one time axis."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from facewire.bridge.shared.arrays import Float32Array, Image
from facewire.runtime.plot.data import PlotData, SoundPicture

Colour = tuple[int, int, int]

WIDTH, LEFT, RIGHT = 1600, 130, 20
HEADER, CURVE, GAP, BAND, WAVE, SPECTROGRAM, AXIS = 56, 64, 8, 16, 90, 170, 44
INK: Colour = (70, 60, 50)
GRID: Colour = (232, 228, 224)
PAPER: Colour = (255, 255, 255)
CURVES: tuple[Colour, ...] = (
    (180, 119, 31),
    (14, 127, 255),
    (44, 160, 44),
    (40, 39, 214),
    (189, 103, 148),
    (75, 86, 140),
)
SOURCES: dict[str, Colour] = {
    "video": (180, 140, 60),
    "audio": (60, 150, 240),
    "both": (90, 170, 90),
    "held": (200, 200, 200),
}
"""OpenCV's order: blue, green, red."""
FULL_SCALES = (0.1, 0.25, 0.5, 1.0)
"""What the top of a row may stand for: a mouth that speaks softly must be seen too."""
TICKS_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600)


def render_png(data: PlotData) -> bytes:
    """Return the picture as PNG."""
    sound_height = WAVE + SPECTROGRAM + 2 * GAP if data.sound else 0
    height = HEADER + BAND + GAP + len(data.main) * (CURVE + GAP) + sound_height + AXIS
    image = np.full((height, WIDTH, 3), 255, np.uint8)
    draw_text(image, data.title, (LEFT, 34), 0.75)
    top = HEADER
    _draw_sources(image, data, top)
    top += BAND + GAP
    bottom = height - AXIS
    _draw_grid(image, data, top, bottom)
    for number, (name, curve) in enumerate(data.main.items()):
        _draw_curve(image, data, name, curve, top, CURVES[number % len(CURVES)])
        top += CURVE + GAP
    if data.sound is not None:
        _draw_wave(image, data.sound, top)
        _draw_spectrogram(image, data.sound, top + WAVE + GAP)
    done, encoded = cv2.imencode(".png", image)
    assert done
    return bytes(encoded.tobytes())


def tick_step_s(duration_s: float, most: int = 16) -> float:
    """Return a round number of seconds that divides ``duration_s`` into at most ``most`` parts."""
    return next((step for step in TICKS_S if duration_s / step <= most), duration_s / most)


def time_text(time_s: float, step_s: float) -> str:
    """Return a tick's text: ``2.5``, ``12`` or ``1:05``."""
    if time_s >= 60 and step_s >= 1:
        return f"{int(time_s) // 60}:{int(time_s) % 60:02d}"
    return f"{time_s:.1f}" if step_s < 1 else f"{time_s:.0f}"


def _columns(data: PlotData, times_s: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return LEFT + times_s / data.duration_s * (WIDTH - LEFT - RIGHT - 1)


def _draw_sources(image: Image, data: PlotData, top: int) -> None:
    draw_text(image, "driven by", (12, top + 13), 0.42)
    for span in data.sources:
        first, last = (int(x) for x in _columns(data, np.array([span.start_s, span.end_s])))
        cv2.rectangle(image, (first, top), (last, top + BAND - 1), SOURCES[span.source], -1)
    for number, source in enumerate(SOURCES):
        left = WIDTH - RIGHT - 90 * (len(SOURCES) - number)
        cv2.rectangle(image, (left, 22), (left + 12, 34), SOURCES[source], -1)
        draw_text(image, source, (left + 18, 33), 0.42)


def _draw_grid(image: Image, data: PlotData, top: int, bottom: int) -> None:
    step_s = tick_step_s(data.duration_s)
    first = np.ceil(data.offset_s / step_s) * step_s
    for time_s in np.arange(first, data.offset_s + data.duration_s + 1e-9, step_s):
        x = int(_columns(data, np.array([time_s - data.offset_s]))[0])
        cv2.line(image, (x, top), (x, bottom), GRID, 1)
        text = time_text(float(time_s), step_s)
        draw_text(image, text, (x - 4 * len(text), bottom + 20), 0.42)
    draw_text(image, "seconds" if data.offset_s + data.duration_s < 60 else "time", (12, bottom + 20), 0.42)


def _draw_curve(image: Image, data: PlotData, name: str, curve: Float32Array, top: int, colour: Colour) -> None:
    draw_text(image, name, (12, top + CURVE // 2 + 5), 0.48)
    base = top + CURVE - 1
    cv2.line(image, (LEFT, base), (WIDTH - RIGHT, base), GRID, 1)
    full = next((one for one in FULL_SCALES if curve.max() <= one), 1.0)
    x, low, high = envelope(_columns(data, data.times_s), curve * np.float32((CURVE - 4) / full))
    for column, least, most in zip(x, low, high, strict=True):  # A blink of one frame must be seen in an hour.
        cv2.line(image, (column, base - int(least)), (column, base - int(most)), colour, 1)
    middle = np.stack([x, base - np.round((low + high) / 2).astype(int)], axis=1)
    cv2.polylines(image, [middle.astype(np.int32)], False, colour, 1, cv2.LINE_AA)
    draw_text(image, f"{full:g}", (LEFT - 38, top + 12), 0.36)


def envelope(
    columns: npt.NDArray[np.float64], values: Float32Array
) -> tuple[npt.NDArray[np.int64], Float32Array, Float32Array]:
    """Return each picture column that has values, with their least and greatest."""
    x = np.round(columns).astype(np.int64)
    starts = np.concatenate(([0], np.flatnonzero(np.diff(x)) + 1))
    return x[starts], np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)


def _draw_wave(image: Image, sound: SoundPicture, top: int) -> None:
    draw_text(image, "sound", (12, top + WAVE // 2 + 5), 0.48)
    middle, scale = top + WAVE // 2, (WAVE // 2 - 2) / max(0.05, float(np.abs([sound.low, sound.high]).max()))
    x = LEFT + np.arange(len(sound.low)) * (WIDTH - LEFT - RIGHT - 1) / len(sound.low)
    columns, low, _ = envelope(x, sound.low)
    _, _, high = envelope(x, sound.high)
    for column, least, most in zip(columns, low, high, strict=True):
        cv2.line(image, (column, middle - int(most * scale)), (column, middle - int(least * scale)), INK, 1)


def _draw_spectrogram(image: Image, sound: SoundPicture, top: int) -> None:
    draw_text(image, f"{sound.top_hz / 1000:.0f} kHz", (12, top + 12), 0.42)
    draw_text(image, "0", (12, top + SPECTROGRAM), 0.42)
    picture = cv2.resize(sound.spectrogram[::-1], (WIDTH - LEFT - RIGHT, SPECTROGRAM), interpolation=cv2.INTER_AREA)
    image[top : top + SPECTROGRAM, LEFT : WIDTH - RIGHT] = cv2.applyColorMap(255 - picture, cv2.COLORMAP_BONE)


def draw_text(image: Image, text: str, place: tuple[int, int], size: float) -> None:
    """Write a line of text whose lower left corner is at ``place``."""
    plain = "".join(character if " " <= character <= "~" else "?" for character in text)  # OpenCV's font is ASCII.
    cv2.putText(image, plain, place, cv2.FONT_HERSHEY_SIMPLEX, size, INK, 1, cv2.LINE_AA)
