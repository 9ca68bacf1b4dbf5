"""The thread of one source of pictures or of tracked faces."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from facewire.bridge.shared.arrays import Image
from facewire.runtime.capture.video.device_thread import DeviceThread
from facewire.runtime.capture.video.source import Captured, CapturedImage, CaptureError, Source, SourceSilent
from facewire.runtime.tools.slots import NewestSlot
from facewire.runtime.tools.stats import Window


class CaptureThread(DeviceThread):
    """Reads ``source`` into ``slot``; see ``DeviceThread``."""

    def __init__(self, source: Source, slot: NewestSlot[Captured], notify: Callable[[str], None]) -> None:
        super().__init__(source, notify, "facewire-capture")
        self.source, self._slot = source, slot
        self._spare: deque[Image] = deque(maxlen=2)
        self._captured = Window()
        self._identity = source.identity
        self.on_other_camera: Callable[[], None] = lambda: None
        """Called when what comes is of another camera or phone than before, from this thread."""

    def rate(self, now_ns: int) -> float:
        """Pictures a second that came lately."""
        return self._captured.rate(now_ns)

    def recycle(self, image: Image) -> None:
        """Give back a picture that nobody reads any more, so that the next one is written into it."""
        self._spare.append(image)

    def _open(self) -> None:
        self.source.open()

    def _pass_on(self) -> bool:
        try:
            captured = self.source.read(self._spare.popleft() if self._spare else None)
        except SourceSilent as silence:
            self._lose(silence)
            return True
        if captured is None:
            if self.source.damage is not None and not self._damage_noted:
                raise CaptureError(self.source.damage)
            return False
        self._note_running()
        self._note_damage(self.source.damage)
        if self.source.identity != self._identity:
            self._identity = self.source.identity
            self.on_other_camera()
        self._captured.add(captured.capture_ns)
        replaced = self._slot.put(captured)
        if isinstance(replaced, CapturedImage):
            self.recycle(replaced.image)
        return True

    def _end(self) -> None:
        self._slot.close()
