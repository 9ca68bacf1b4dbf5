"""What the commands' parsers share."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from facewire.bridge.shared.errors import FacewireError
from facewire.models.face.trackers import DEFAULT_TRACKER, TRACKERS
from facewire.runtime.face.filter_config import DEFAULT_SMOOTHING, SMOOTHING_LEVELS
from facewire.runtime.settings.choices import explained

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[Any]
else:
    Subparsers = Any


OPEN_FLAME = "open"
"""What ``--flame`` takes for the open head, as well as nothing."""


class UsageError(FacewireError):
    """The command was asked for something that it does not do, or of a file that is not there."""

    exit_code = 2


def command_parser(
    commands: Subparsers, name: str, help_text: str, description: str, example: str
) -> argparse.ArgumentParser:
    """Adds a command whose ``--help`` ends with an example."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=help_text,
        description=description,
        epilog="example:\n" + "\n".join(f"  {line}" for line in example.splitlines()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    return parser


def add_tracking_options(parser: argparse.ArgumentParser) -> None:
    """The options of everything that tracks a face."""
    parser.add_argument(
        "--mesh",
        choices=tuple(TRACKERS),
        default=DEFAULT_TRACKER,
        help=f"the network that tracks: {explained(TRACKERS)} (default: {DEFAULT_TRACKER})",
    )
    parser.add_argument(
        "--device",
        choices=("auto", "cpu", "cuda"),
        default="auto",
        help="where the networks run; auto takes a usable GPU (default: auto)",
    )
    parser.add_argument("--mirror", action="store_true", help="swap left and right, as in a mirror")
    parser.add_argument(
        "--smoothing",
        choices=tuple(SMOOTHING_LEVELS),
        default=DEFAULT_SMOOTHING,
        help=f"how calm the face is kept; {explained(SMOOTHING_LEVELS)} (default: {DEFAULT_SMOOTHING})",
    )


def add_flame_option(parser: argparse.ArgumentParser) -> None:
    """The option of everything that makes FLAME frames."""
    parser.add_argument(
        "--flame",
        metavar="FILE",
        nargs="?",
        const=OPEN_FLAME,
        help="FLAME parameters beside the shapes: of your FLAME model file, or of the open head where none is named",
    )


def positive(text: str) -> float:
    """A number above zero, for argparse."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.0 < value < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return value


def say(line: str) -> None:
    """One line for the person who runs the command, apart from its output."""
    print(for_terminal(f"facewire: {line}"), file=sys.stderr, flush=True)


def for_terminal(line: str) -> str:
    """The line broken between words where the terminal is narrower; in a pipe it stays one line."""
    if not sys.stderr.isatty():
        return line
    import shutil
    import textwrap

    width = shutil.get_terminal_size().columns
    return textwrap.fill(line, width, break_long_words=False, break_on_hyphens=False)
