"""Facewire as a program of its own, as its users start it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

FACEWIRE = [sys.executable, "-m", "facewire.runtime.cli"]


def addresses_of(process: subprocess.Popen[str]) -> dict[str, str]:
    """Read the lines that a serving program prints once it runs, and return them by their first words.

    The last is "stop". It ends, instead of waiting forever, if the program does.
    """
    assert process.stdout is not None
    found: dict[str, str] = {}
    for line in process.stdout:
        key, _, value = line.strip().partition(" ")
        found[key] = value.strip()
        if key == "stop":
            break
    return found


def started(
    command: str, *args: object, program: Sequence[str] = FACEWIRE
) -> tuple[subprocess.Popen[str], dict[str, str]]:
    """Start a serving program on a free port; return it and what it says once it runs."""
    words = [*program, command, "--listen", "127.0.0.1:0", *map(str, args)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return process, addresses_of(process)


@contextmanager
def serving(*args: object, program: Sequence[str] = FACEWIRE) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    """Run ``facewire serve`` and give it and what it says once it runs; end it at the end."""
    process, addresses = started("serve", *args, program=program)
    try:
        yield process, addresses
    finally:
        process.kill()
        process.communicate()


def without_slow_notice(said: str) -> str:
    """Return what was said on stderr without the line that a start which takes long adds on a busy machine."""
    return "".join(line for line in said.splitlines(keepends=True) if "getting ready" not in line)
