"""Which voices are too quiet to be the user's: what can be chosen."""

from __future__ import annotations

from typing import Literal, TypeAlias

MicGate: TypeAlias = float | Literal["auto", "off"]
"""The quietest level that passes, in dB of full scale; or that it is learned; or that all passes."""
LEAST_DB, MOST_DB = -90.0, 0.0
"""What a level may be."""


def parse_mic_gate(text: str) -> MicGate:
    """Return what ``auto``, ``off`` or a level in dB of full scale says.

    Raises:
        ValueError: it is none of these.
    """
    if text == "auto":
        return "auto"
    if text == "off":
        return "off"
    level = float(text)
    if not LEAST_DB <= level <= MOST_DB:
        raise ValueError(f"a level is {LEAST_DB:g} to {MOST_DB:g} dB")
    return level
