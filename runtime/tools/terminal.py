"""Lines for the person at the terminal."""

from __future__ import annotations

import sys

from facewire.bridge.shared.text import as_line


def notify(line: str) -> None:
    """Print one line for the person who runs the program, apart from its output."""
    print(for_terminal(f"facewire: {as_line(line)}"), file=sys.stderr, flush=True)


def for_terminal(line: str) -> str:
    """Return the line broken between words if the terminal is narrower; in a pipe it stays one line."""
    if not sys.stderr.isatty():
        return line
    import shutil
    import textwrap

    width = shutil.get_terminal_size().columns
    return textwrap.fill(line, width, break_long_words=False, break_on_hyphens=False)
