"""The camera's picture for people who look at the panel: small, a few times a second, and only while somebody looks."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from facewire.bridge.shared.arrays import Image
from facewire.runtime.tools.slots import NewestSlot

WIDTH_PX = 400
RATE = 15.0
QUALITY = 70


class Preview:
    """``offer`` belongs to the track thread and costs a comparison while nobody looks, a small resize otherwise.

    Encoding has a thread of its own. A picture that it has not come to is replaced by the next (drop policy: newest
    wins).
    """

    def __init__(self, wanted: Callable[[], bool], send: Callable[[dict[str, Any]], None]) -> None:
        """``wanted`` says whether anybody looks; ``send`` accepts a ``preview`` message (wire.md, 3.9)."""
        self._wanted, self._send = wanted, send
        self._slot: NewestSlot[tuple[Image, int, int, int]] = NewestSlot()
        self._last_ns: int | None = None
        self._thread = threading.Thread(target=self._run, name="facewire-preview", daemon=True)

    def start(self) -> None:
        """Begin to encode what is offered."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread; safe to call twice, and without a start."""
        self._slot.close()
        if self._thread.is_alive():
            self._thread.join(0.5)

    def offer(self, image_bgr: Image, capture_ns: int) -> None:
        """Show the picture if one is due. Never blocks; keeps nothing of ``image_bgr``."""
        if not self._wanted():
            return
        if self._last_ns is not None and 0 <= capture_ns - self._last_ns < 1e9 / RATE:
            return
        self._last_ns = capture_ns
        height, width = image_bgr.shape[:2]
        scale = min(WIDTH_PX / max(width, 1), 1.0)
        size = (max(round(width * scale), 1), max(round(height * scale), 1))
        small = cv2.resize(image_bgr, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST)
        self._slot.put((np.asarray(small, np.uint8), capture_ns, width, height))

    def _run(self) -> None:
        while not self._slot.exhausted:
            taken = self._slot.take()
            if taken is not None:
                small, capture_ns, width, height = taken
                done, jpeg = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
                if done:
                    message = {"capture_ns": capture_ns, "width": width, "height": height, "jpeg": jpeg.tobytes()}
                    self._send({"type": "preview", **message})
