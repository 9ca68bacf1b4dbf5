"""``facewire info``: what a session holds."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

from facewire.runtime.cli.options.files import duration_text, progress_bar, size_text
from facewire.runtime.cli.options.usage import Subparsers, command_parser

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from facewire.bridge.recording.info import SessionInfo, SourceSpan
    from facewire.bridge.recording.track import Track

_GUESSED = "; the start is a guess by the damaged file's own time"
_UNCHECKED = "frames and sound; not its start time and calibration, for an older program wrote no checksum of them"
BARS = "▁▂▃▄▅▆▇█"
WIDTH = 60
SOURCE_MARKS = {"video": "v", "audio": "a", "both": "b", "held": "·"}


def add_parser(commands: Subparsers) -> None:
    """Add the command."""
    parser = command_parser(
        commands,
        "info",
        "show what a session holds",
        "Shows a session's length, rate, drops, what drove it when, and its main shapes over time.",
        "facewire info take.mcap\nfacewire info take.mcap --json",
    )
    parser.add_argument("input", metavar="FILE", type=Path, nargs="+", help="a session")
    parser.add_argument("--json", action="store_true", help="the figures as one JSON line for each session")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print a session's figures.

    Raises:
        SessionError: the session cannot be read.
    """
    from facewire.bridge.recording.info import describe
    from facewire.bridge.recording.reader import open_session

    for number, path in enumerate(args.input):
        with open_session(path) as session, progress_bar(f"reading {path.name}") as progress:
            info, track = describe(session, progress)
        if args.json:
            print(json.dumps(info.as_dict()))
        else:
            print("\n" * bool(number) + "\n".join(report(info, track)))
    return 0


def report(info: SessionInfo, track: Track | None) -> list[str]:
    """Return the lines that describe a session to a person."""
    lines = [
        f"{info.path}",
        f"  recorded    {time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(info.started_unix_ns / 1e9))}"
        f" ({info.origin}, {info.program}){_GUESSED if info.start_guessed else ''}",
        f"  length      {duration_text(info.duration_s)}, {size_text(info.size_bytes)}",
        f"  frames      {info.frames} at {info.rate:.1f} a second (mean {info.mean_rate:.1f})",
        f"  missing     {_missing(info)}",
        f"  latency     {info.latency_ms[0]:.1f} ms to publication, 99 % within {info.latency_ms[1]:.1f} ms",
        f"  sound       {_sound(info)}",
        f"  checked     {'every byte' if info.checked else _UNCHECKED}",
    ]
    if track is not None:
        shares = ", ".join(f"{name} {100 * share:.0f} %" for name, share in info.shares.items())
        lines += [f"  driven by   {shares}", f"              {source_line(info.sources, info.duration_s)}", ""]
        lines += [
            f"  {name:12}{sparkline(curve, track.times_s)} {info.shapes[name][1]:.2f}" for name, curve in _curves(track)
        ]
        lines += [f"  {'':12}{duration_text(0)}{duration_text(info.duration_s):>{WIDTH - 5}} greatest"]
    return lines


def sparkline(curve: npt.NDArray[np.float32], times_s: npt.NDArray[np.float64], width: int = WIDTH) -> str:
    """Return a row of bars over time, each the greatest value of its stretch: a blink must not vanish in a mean. A
    stretch without a frame shows the one before it."""
    import numpy as np

    length_s = max(float(times_s[-1]), 1e-9)
    columns = np.minimum(times_s / length_s * width, width - 1).astype(int)
    most = np.full(width, -1.0)
    np.maximum.at(most, columns, curve)
    most = most[np.maximum.accumulate(np.where(most >= 0, np.arange(width), 0))]
    levels = np.clip(np.round(most * (len(BARS) - 1)), 0, len(BARS) - 1).astype(int)
    return "".join(BARS[level] for level in levels)


def source_line(spans: list[SourceSpan], duration_s: float, width: int = WIDTH) -> str:
    """One letter for each stretch: v video, a audio, b both, · held; the one that had most of it."""
    step_s = max(duration_s, 1e-9) / width
    line = ""
    for column in range(width):
        start_s, end_s = column * step_s, (column + 1) * step_s
        shares = {span.source: 0.0 for span in spans}
        for span in spans:
            shares[span.source] += max(0.0, min(end_s, span.end_s) - max(start_s, span.start_s))
        line += SOURCE_MARKS[max(shares, key=lambda name: shares[name])]
    return line


def _curves(track: Track) -> list[tuple[str, npt.NDArray[np.float32]]]:
    from facewire.bridge.recording.info import MAIN_SHAPES, shape_curve

    return [(name, shape_curve(track, name)) for name in MAIN_SHAPES]


def _missing(info: SessionInfo) -> str:
    if info.dropped == info.refused == 0:
        return "nothing"
    disk = f", {info.refused} of them because the disk was too slow" if info.refused else ""
    return f"{info.dropped} frames by their numbers{disk}"


def _sound(info: SessionInfo) -> str:
    if info.audio is None:
        return "none"
    return f"{info.audio['rate']} Hz, {info.audio['channels']} channel{'s' * (info.audio['channels'] > 1)}"
