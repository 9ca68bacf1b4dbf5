"""The status of a run is that of its parts: one that fails leaves its own part out, and the others are sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


class StatusParts:
    """Asks the parts. State: which of them failed, so that each is said once."""

    def __init__(self, notify: Callable[[str], None]) -> None:
        self._notify = notify
        self._failed: set[str] = set()

    def of(self, name: str, ask: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
        """Return what the part called ``name`` says of itself; nothing if that fails, whatever it raises."""
        try:
            return dict(ask())
        except Exception as error:
            if name not in self._failed:
                self._failed.add(name)
                self._notify(f"the status goes on without a part of it ({name}): {error!r}")
            return {}
