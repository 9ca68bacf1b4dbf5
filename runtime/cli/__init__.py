"""The command line: ``facewire``. What a command needs is imported when it runs, so that ``--help`` is quick."""

from __future__ import annotations

import argparse
import contextlib
import errno
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
from facewire.runtime.cli.options.listening import ending_in_order
from facewire.runtime.tools.terminal import for_terminal, write_anything

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


REFUSED = frozenset({
    errno.EACCES, errno.EPERM, errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.ENOENT, errno.EISDIR, errno.EROFS,
})  # fmt: skip
"""What the system says of a name or a folder that cannot be used, wherever a command meets it."""


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
    """Run one command and return its exit status: 0 done, 1 could not, 2 was asked wrongly, 128 and a signal's number
    if one ended it."""
    write_anything()
    args = make_parser().parse_args(argv)
    try:
        return ending_in_order(lambda: int(args.run(args)))
    except FacewireError as error:
        return _fail(error, error.exit_code)
    except OSError as error:
        if not isinstance(error, BrokenPipeError) and error.errno != errno.EIO:
            return _fail(named_in(error), 2)
        # The reader of our output (head, less) has gone, or its terminal; Python would complain once more when it
        # flushes at exit.
        for stream in (sys.stdout, sys.stderr) if error.errno == errno.EIO else (sys.stdout,):
            with contextlib.suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return 0 if isinstance(error, BrokenPipeError) else 1


def named_in(error: OSError) -> FacewireError:
    """Return what to say of a file or folder that the user has named and the system does not let us use.

    Raises:
        OSError: the error is about something else, so it is a mistake of ours.
    """
    if error.errno not in REFUSED or error.filename is None:
        raise error
    return FacewireError(f"{os.fsdecode(error.filename)}: {error.strerror}: check the name and who may use it")


def _fail(error: Exception, status: int) -> int:
    with contextlib.suppress(OSError):  # nobody is there to read it
        print(for_terminal(f"facewire: error: {as_line(str(error))}"), file=sys.stderr)
    return status
