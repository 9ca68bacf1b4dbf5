"""The option of commands that can feed other programs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from typing import TextIO


def add_output_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--output``, as often as there are programs to feed."""
    parser.add_argument(
        "--output",
        metavar="NAME[:WHERE]",
        action="append",
        default=[],
        help="also send the face to another program: vmc, vmc:192.168.1.5:39539, csv:take.csv, jsonl:- and others "
        "(docs/outputs.md); repeatable",
    )


def people_stream(specs: Iterable[str]) -> TextIO:
    """Return where a command tells people what it does: not where an output writes frames.

    Raises:
        UsageError: one is not an output.
    """
    from facewire.bridge.outputs.base import OutputError
    from facewire.runtime.cli.options.usage import UsageError
    from facewire.runtime.panel.outputs import writes_to_stdout

    try:
        return sys.stderr if writes_to_stdout(specs) else sys.stdout
    except OutputError as error:
        raise UsageError(f"--output: {error}") from None
