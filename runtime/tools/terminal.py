"""Lines for the person at the terminal."""

from __future__ import annotations

import codecs
import contextlib
import sys

from facewire.bridge.shared.text import as_line

ASCII = "facewire.ascii"
"""The name of the error handler that ``write_anything`` sets."""
LOOK_ALIKES = {
    "…": "...", "–": "-", "—": "-", "−": "-", "‘": "'", "’": "'", "“": '"', "”": '"', "≤": "<=", "≥": ">=", "×": "x",
    "→": "->", "←": "<-", "↔": "<->", "°": " deg", "±": "+-", "µ": "u", "·": ".", "•": "*", "✓": "+", "✗": "x",
    "█": "#", "▉": "#", "▊": "#", "▋": "#", "▌": "#", "▍": "=", "▎": "-", "▏": "-", "░": ".", "▒": ":", "▓": "#",
    "─": "-", "━": "-", "│": "|", "┃": "|", "╸": "-", "╺": "-", "\N{NO-BREAK SPACE}": " ",
}  # fmt: skip
"""Signs that we use, as a code page shows them that lacks them."""


def write_anything() -> None:
    """Have what is printed go through, whatever the terminal's or the pipe's encoding lacks: a code page of Windows
    has no ``…`` and no letters of other scripts. They are written as what looks alike, or as in Python's source."""
    codecs.register_error(ASCII, _look_alike)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=ASCII)


def _look_alike(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    shown = "".join(LOOK_ALIKES.get(sign, sign) for sign in lacking)
    return shown.encode("ascii", "backslashreplace").decode("ascii"), error.end


def notify(line: str) -> None:
    """Print one line for the person who runs the program, apart from its output; nothing if nobody is there to read
    it, for the terminal may have been closed."""
    with contextlib.suppress(OSError, ValueError):
        print(for_terminal(f"facewire: {as_line(line)}"), file=sys.stderr, flush=True)


def for_terminal(line: str) -> str:
    """Return the line broken between words if the terminal is narrower; in a pipe it stays one line."""
    with contextlib.suppress(OSError, ValueError):
        if sys.stderr.isatty():
            import shutil
            import textwrap

            width = shutil.get_terminal_size().columns
            return textwrap.fill(line, width, break_long_words=False, break_on_hyphens=False)
    return line
