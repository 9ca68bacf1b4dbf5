"""The thread of one source of sound."""

from __future__ import annotations

from collections.abc import Callable

from facewire.runtime.capture.sound.sound_source import SoundSource
from facewire.runtime.capture.video.device_thread import DeviceThread
from facewire.runtime.sound.blocks import SoundRing


class SoundThread(DeviceThread):
    """Makes ``source`` write to ``ring``; see ``DeviceThread``."""

    def __init__(self, source: SoundSource, ring: SoundRing, notify: Callable[[str], None]) -> None:
        super().__init__(source, notify, "facewire-sound-capture")
        self.source, self._ring = source, ring

    def _open(self) -> None:
        self._ring.begin()
        self.source.open(self._ring)

    def _pass_on(self) -> bool:
        if not self.source.pump():
            return False
        self._note_running()
        self._note_damage(self.source.damage)
        return True

    def _end(self) -> None:
        self._ring.close()
