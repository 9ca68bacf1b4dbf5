"""A log that a hostile or broken client cannot flood."""

from __future__ import annotations

import logging
from collections import Counter

from facewire.bridge.shared.text import as_line

MAX_KINDS = 256


class OnceLog:
    """Logs each kind of problem once and counts the rest."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self.counts: Counter[str] = Counter()

    def warning(self, kind: str, message: str) -> None:
        """Log ``message`` unless a problem of the same ``kind`` was logged before."""
        if kind not in self.counts and len(self.counts) >= MAX_KINDS:
            kind = "other"
        self.counts[kind] += 1
        if self.counts[kind] == 1:
            self._logger.warning("%s (further ones of this kind are only counted)", as_line(message))
