"""Frames to everybody who wants them."""

from __future__ import annotations

from collections.abc import Callable

from facewire.bridge.wire.frame import FaceFrame


class Broadcast:
    """Hands each frame to those who joined, in that order, on the thread that publishes.

    It is made before those who publish and those who subscribe, so that neither has to name the other.
    """

    def __init__(self) -> None:
        self._takers: tuple[Callable[[FaceFrame], None], ...] = ()

    def join(self, *take: Callable[[FaceFrame], None]) -> None:
        """Hand frames to these, too; they must not block."""
        self._takers = (*self._takers, *take)

    def publish(self, frame: FaceFrame) -> None:
        """Hand a frame to each."""
        for take in self._takers:
            take(frame)
