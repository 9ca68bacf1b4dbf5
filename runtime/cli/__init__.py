"""The command line: ``facewire``. What a command needs is imported when it runs, so that ``--help`` is quick."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import metadata
from typing import NoReturn

from facewire.bridge.shared.errors import FacewireError
from facewire.bridge.shared.text import as_line
from facewire.runtime.cli.commands import (
    bake,
    bench,
    cut,
    doctor,
    export,
    flame,
    import_,
    info,
    models,
    plot,
    record,
    repair,
    replay,
    serve,
    tail,
    train,
)
from facewire.runtime.tools.terminal import for_terminal

COMMANDS = (
    serve,
    bake,
    tail,
    record,
    replay,
    info,
    plot,
    cut,
    repair,
    export,
    import_,
    models,
    flame,
    doctor,
    bench,
    train,
)


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line instead of repeating the usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, for_terminal(f"facewire: error: {message} (help: {self.prog} --help)") + "\n")


def make_parser() -> argparse.ArgumentParser:
    """Return the parser with all commands; each module adds its own."""
    parser = Parser(
        prog="facewire",
        description="Turns a camera's picture into ARKit blendshapes, head pose and gaze, and streams them.",
        epilog="example:\n  facewire serve --open",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"facewire {metadata.version('facewire')}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add_parser(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0 done, 1 could not, 2 was asked wrongly."""
    args = make_parser().parse_args(argv)
    try:
        return int(args.run(args))
    except FacewireError as error:
        return _fail(error, error.exit_code)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of our output (head, less) has gone; Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _fail(error: Exception, status: int) -> int:
    print(for_terminal(f"facewire: error: {as_line(str(error))}"), file=sys.stderr)
    return status
