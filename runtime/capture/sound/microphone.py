"""Microphones by number or name."""

from __future__ import annotations

from dataclasses import dataclass

from facewire.runtime.capture.sound.recorder import SERVER, Request
from facewire.runtime.capture.sound.recorder_process import Recorder, Start, start_recorder
from facewire.runtime.capture.sound.sound_source import SoundSource
from facewire.runtime.capture.video.source import CaptureError
from facewire.runtime.sound.blocks import BLOCK_S, LARGEST_BLOCK, SoundRing
from facewire.runtime.sound.channels import MAX_CHANNELS

SILENT_S = 1.0
"""A device that gives no block for this long is lost: PortAudio does not say when one is unplugged."""
FIRST_S = 5.0
"""What it may take to give its first: sound servers wake their devices."""
CHECK_S = 0.1
FEWER_CHANNELS = (32, 16, 8, 2)
"""What a device is asked for that refuses as many as it says that it has."""


@dataclass(frozen=True, slots=True)
class MicrophoneInfo:
    """A device that can be recorded from."""

    index: int
    """PortAudio's number, -1 of a source that only a sound server knows."""
    name: str
    rate: int
    channels: int
    is_default: bool
    source: str | None = None
    """Its name at the sound server, of a source that only that knows."""

    @property
    def id(self) -> str:
        """What chooses it: a number, or ``pulse:`` and its name at the sound server."""
        return str(self.index) if self.source is None else f"{SERVER}:{self.source}"


def list_microphones(start: Start = start_recorder) -> list[MicrophoneInfo]:
    """Return what can be recorded from now, those that were plugged in while one is open, too.

    Raises:
        CaptureError: PyAudio is not installed, or the sound system does not answer.
    """
    recorder = start()
    try:
        return _listed(recorder)
    finally:
        recorder.close()


def _listed(recorder: Recorder) -> list[MicrophoneInfo]:
    return [MicrophoneInfo(**device) for device in recorder.told()]


def find_microphone(what: str, microphones: list[MicrophoneInfo]) -> MicrophoneInfo:
    """Return the microphone with an id, or the first whose name is or contains ``what``; ``auto`` is the default.

    Raises:
        CaptureError: there is none; the message lists what there is.
    """
    known = "; ".join(f"{microphone.id}: {microphone.name}" for microphone in microphones) or "none"
    for is_it in (_is_exactly, _is_called):
        for microphone in microphones:
            if microphone.is_default if what == "auto" else is_it(microphone, what):
                return microphone
    if what == "auto" and microphones:
        return microphones[0]
    called = "was found" if what == "auto" else f"is called {what!r}"
    raise CaptureError(f"no microphone {called}; microphones here: {known}")


def find_without_error(what: str, microphones: list[MicrophoneInfo]) -> MicrophoneInfo | None:
    """Return what ``find_microphone`` does, None if there is none."""
    try:
        return find_microphone(what, microphones)
    except CaptureError:
        return None


def _is_exactly(microphone: MicrophoneInfo, what: str) -> bool:
    return what in (microphone.id, microphone.name, microphone.source)


def _is_called(microphone: MicrophoneInfo, what: str) -> bool:
    return not what.isdigit() and what.casefold() in microphone.name.casefold()


class Microphone(SoundSource):
    """One microphone, recorded by another process, whose blocks of 10 ms come stamped with when they were captured."""

    kind = "microphone"
    returns = True

    def __init__(self, what: str | MicrophoneInfo = "auto", *, start: Start = start_recorder) -> None:
        """Note what to open; it is looked up each time, for one that is plugged in again may have another number."""
        super().__init__()
        named = what if isinstance(what, str) else what.name
        self.name = "microphone" if what == "auto" else f"microphone {named}"
        self.device: MicrophoneInfo | None = None
        """What is open, or was last."""
        self._what, self._start = what, start
        self._recorder: Recorder | None = None
        self._any_heard = False
        self._silent_s = 0.0

    def open(self, ring: SoundRing) -> None:
        """Raise CaptureError if there is none of that name, or it cannot be used."""
        self._recorder = recorder = self._start()
        here = _listed(recorder)
        device = self._find(here)
        self.name = f"microphone {device.id} ({device.name})" if device.source is None else f"microphone {device.name}"
        self.device = device
        self.rate, self._silent_s, self._any_heard = device.rate, 0.0, False
        by = device if device.source is None else find_microphone(SERVER, here)
        most = min(max(by.channels, 1), MAX_CHANNELS)
        channels = list(dict.fromkeys((most, *(few for few in FEWER_CHANNELS if few < most), 1, 2)))
        block = min(max(1, round(BLOCK_S * device.rate)), LARGEST_BLOCK)
        refused = recorder.record(
            Request(index=by.index, source=device.source, rate=device.rate, channels=channels, block=block), ring
        )
        if refused is not None:
            raise CaptureError(
                f"{self.name} cannot be opened ({refused}): is it free of other programs, and are they allowed "
                "to use the microphone?"
            )

    def _find(self, here: list[MicrophoneInfo]) -> MicrophoneInfo:
        """Return what to open among what there is.

        Raises:
            CaptureError: it is not there.
        """
        wanted = self._what
        if isinstance(wanted, str):
            return find_microphone(wanted, here)
        same = [device for device in here if device.name == wanted.name and device.source == wanted.source]
        numbered = [device for device in same if device.index == wanted.index]
        return (numbered or same or [find_microphone(wanted.source or wanted.name, here)])[0]

    def pump(self) -> bool:
        """Wait until a block has come.

        Raises:
            CaptureError: none has for a second.
        """
        recorder = self._recorder
        if self._interrupted.is_set() or recorder is None:
            return False
        if recorder.heard.wait(CHECK_S):
            recorder.heard.clear()
            self._silent_s, self._any_heard = 0.0, True
            self._interrupted.wait(CHECK_S / 2)
            return not self._interrupted.is_set()
        self._silent_s += CHECK_S
        patience_s = SILENT_S if self._any_heard else FIRST_S
        if self._silent_s >= patience_s or recorder.ended:
            raise CaptureError(f"{self.name} gives no sound: is it unplugged, or used by another program?")
        return True

    def close(self) -> None:
        """Let the device go."""
        recorder, self._recorder = self._recorder, None
        if recorder is not None:
            recorder.close()
