"""The course of a training run as a picture: an SVG that any browser shows, drawn without a plotting library."""

from __future__ import annotations

from pathlib import Path
from typing import Any

WIDTH, HEIGHT, MARGIN = 900, 360, 48
COLOURS = {"loss": "#4477aa", "held_out": "#cc6677"}
NAMES = {"loss": "training", "held_out": "held-out voices, free-running"}
SMOOTHING = 0.05


def draw(curve: list[dict[str, Any]], path: Path) -> None:
    """Losses over all steps of all stages. A run without steps draws an empty picture."""
    lines = {name: _points(curve, name) for name in COLOURS}
    highest = max((value for points in lines.values() for _, value in points), default=1.0)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-size="12">']
    parts.append(f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>')
    for tick in range(5):
        value = highest * tick / 4
        y = _y(value, highest)
        parts.append(
            f'<path d="M{MARGIN} {y:.1f}H{WIDTH - 10}" stroke="#ddd"/><text x="6" y="{y + 4:.1f}">{value:.2f}</text>'
        )
    for row, (name, points) in enumerate(lines.items()):
        if points:
            way = " ".join(f"{_x(step, len(curve)):.1f},{_y(value, highest):.1f}" for step, value in points)
            parts.append(f'<polyline points="{way}" fill="none" stroke="{COLOURS[name]}" stroke-width="1.5"/>')
        parts.append(f'<text x="{WIDTH - 240}" y="{24 + 16 * row}" fill="{COLOURS[name]}">{NAMES[name]}</text>')
    parts.append(f'<text x="{WIDTH / 2}" y="{HEIGHT - 8}">{len(curve)} steps</text></svg>')
    path.write_text("\n".join(parts), "utf-8")


def _points(curve: list[dict[str, Any]], name: str) -> list[tuple[int, float]]:
    """(step, value) of what is recorded under a name; the training loss is smoothed."""
    points: list[tuple[int, float]] = []
    for step, entry in enumerate(curve):
        if name not in entry:
            continue
        value = float(entry[name])
        if name == "loss" and points and entry["step"] > 1:
            value = points[-1][1] + SMOOTHING * (value - points[-1][1])
        points.append((step, value))
    return points


def _x(step: int, steps: int) -> float:
    return MARGIN + (WIDTH - MARGIN - 10) * step / max(steps - 1, 1)


def _y(value: float, highest: float) -> float:
    return HEIGHT - 32 - (HEIGHT - 56) * value / max(highest, 1e-9)
