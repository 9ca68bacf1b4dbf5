"""What the commands' parsers share."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from facewire.bridge.shared.errors import FacewireError
from facewire.models.face.trackers import DEFAULT_TRACKER, TRACKERS
from facewire.runtime.face.filter_config import DEFAULT_SMOOTHING, SMOOTHING_LEVELS
from facewire.runtime.session.options import OPEN_FLAME, TrackingOptions
from facewire.runtime.settings.choices import explained

if TYPE_CHECKING:
    from facewire.bridge.formats.timecodes import TimecodeRate

    Subparsers = argparse._SubParsersAction[Any]
else:
    Subparsers = Any


class UsageError(FacewireError):
    """The command was asked for something that it does not do, or of a file that does not exist."""

    exit_code = 2


def command_parser(
    commands: Subparsers, name: str, help_text: str, description: str, example: str
) -> argparse.ArgumentParser:
    """Add a command whose ``--help`` ends with an example."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=help_text,
        description=description,
        epilog="example:\n" + "\n".join(f"  {line}" for line in example.splitlines()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    return parser


def add_tracking_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of everything that tracks a face."""
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
        help="where the networks run; auto uses a GPU if one is usable (default: auto)",
    )
    parser.add_argument("--mirror", action="store_true", help="swap left and right, as in a mirror")
    parser.add_argument(
        "--smoothing",
        choices=tuple(SMOOTHING_LEVELS),
        default=DEFAULT_SMOOTHING,
        help=f"how much the face is smoothed; {explained(SMOOTHING_LEVELS)} (default: {DEFAULT_SMOOTHING})",
    )


def tracking_options(args: argparse.Namespace) -> TrackingOptions:
    """Return what ``add_tracking_options``'s options ask for."""
    return TrackingOptions(args.mesh, args.device, args.mirror, args.smoothing)


def add_flame_option(parser: argparse.ArgumentParser) -> None:
    """Add the option of everything that makes FLAME frames."""
    parser.add_argument(
        "--flame",
        metavar="FILE",
        nargs="?",
        const=OPEN_FLAME,
        help="FLAME parameters beside the shapes: of your FLAME model file, or of the open head if none is named",
    )


def positive(text: str) -> float:
    """Return a number greater than 0, for argparse."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.0 < value < 1e6:
        raise argparse.ArgumentTypeError(f"must be a number greater than 0, not {text!r}")
    return value


def size(text: str) -> tuple[int, int]:
    """Return width and height in ``1280x720``, for argparse."""
    width, cross, height = text.lower().partition("x")
    if not (cross and all(part.isascii() and part.isdigit() and 0 < int(part[:6]) < 20000 for part in (width, height))):
        raise argparse.ArgumentTypeError(f"must be width and height, such as 1280x720, not {text!r}")
    return int(width), int(height)


def timecode_rate(text: str) -> TimecodeRate:
    """Return how a timecode counts, for argparse."""
    from facewire.bridge.formats.timecodes import TimecodeRate

    try:
        return TimecodeRate.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def require_file(path: Path) -> None:
    """Raise UsageError if there is nothing of that name, OSError if nobody may look."""
    if not path.exists():
        raise UsageError(f"{path} does not exist: check the name")


def flame_option(args: argparse.Namespace) -> str | None:
    """Return what ``add_flame_option``'s option asks for.

    Raises:
        UsageError: it names a file that does not exist.
    """
    name: str | None = args.flame
    if name not in (None, OPEN_FLAME):
        require_file(Path(str(name)))
    return name
