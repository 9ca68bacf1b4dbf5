"""What the commands on session files share: times, the bar, and where things are written."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from facewire.bridge.shared.named import file_named, is_address
from facewire.runtime.cli.options.usage import UsageError

Progress = Callable[[int, int], None]
"""Called with how much is done and how much there is."""


def input_file(text: str) -> Path:
    """Return the file of pictures or sound that a user names, for argparse."""
    if is_address(text):
        raise argparse.ArgumentTypeError(f"{text!r} is an address: name a file")
    return file_named(text)


def seconds(text: str) -> float:
    """Seconds as ``12.5``, ``1:02.5`` or ``1:00:00``, for argparse."""
    parts = text.split(":")
    try:
        values = [float(part) for part in parts]
    except ValueError:
        values = []
    if not 1 <= len(values) <= 3 or not all(0 <= value < 1e6 for value in values):
        raise argparse.ArgumentTypeError(f"{text!r} is not a time, such as 12.5 or 1:02.5")
    total = 0.0
    for value in values:
        total = total * 60 + value
    return total


def add_range_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of everything that works on a part of a session."""
    parser.add_argument(
        "--start", metavar="TIME", type=seconds, help="from here, such as 12.5 or 1:02.5 (default: the start)"
    )
    parser.add_argument("--end", metavar="TIME", type=seconds, help="up to here (default: the end)")


def add_output_options(parser: argparse.ArgumentParser, help_text: str) -> None:
    """Add where to write, and whether to replace what is there."""
    parser.add_argument("-o", "--output", metavar="OUT", type=Path, required=True, help=help_text)
    parser.add_argument("--force", action="store_true", help="replace OUT if it exists")


def require_suffix(path: Path, *suffixes: str) -> None:
    """Raise UsageError if a file has none of the suffixes."""
    if path.suffix.lower() not in suffixes:
        what = path.suffix or "a file without a suffix"
        raise UsageError(f"cannot write {what}: name the output {', '.join('*' + suffix for suffix in suffixes)}")


@contextmanager
def progress_bar(what: str) -> Iterator[Progress | None]:
    """Show a bar if a person watches; nothing if the output goes to a file."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task(what, total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)


def duration_text(seconds_: float) -> str:
    """``12.3 s``, ``4:05 min`` or ``1:04:05 h``."""
    if seconds_ < 60:
        return f"{seconds_:.1f} s"
    minutes, rest = divmod(round(seconds_), 60)
    return f"{minutes}:{rest:02d} min" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02d}:{rest:02d} h"


def size_text(size_bytes: int) -> str:
    """``830 kB`` or ``47.1 MB``."""
    return f"{size_bytes / 1e3:.0f} kB" if size_bytes < 1e6 else f"{size_bytes / 1e6:.1f} MB"
