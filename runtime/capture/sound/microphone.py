"""Microphones by number or name, through PyAudio (PortAudio)."""

from __future__ import annotations

import contextlib
import ctypes
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from facewire.bridge.shared.clock import NS_PER_S, Clock, now_ns
from facewire.bridge.shared.install import install_extra
from facewire.runtime.capture.sound.sound_source import SoundSource
from facewire.runtime.capture.video.source import CaptureError
from facewire.runtime.sound.blocks import BLOCK_S, LARGEST_BLOCK, SoundRing

SILENT_S = 1.0
"""A device that gives no block for this long is lost: PortAudio does not say when one is unplugged."""
FIRST_S = 5.0
"""What it may take to give its first: sound servers wake their devices."""
CHECK_S = 0.1
MAX_CHANNELS = 8
LONGEST_DELAY_S = 0.5
"""A driver that claims an older sound than this does not know."""
PORTAUDIO = {
    "linux": " (on Debian and Ubuntu, first: sudo apt install portaudio19-dev python3-dev gcc)",
    "darwin": " (first: brew install portaudio)",
}
"""What PyAudio is built from where it has no wheels."""


@dataclass(frozen=True, slots=True)
class MicrophoneInfo:
    """A device that PortAudio can record from."""

    index: int
    name: str
    rate: int
    channels: int
    is_default: bool


def load_pyaudio() -> Any:
    """Return the module, made quiet.

    Raises:
        CaptureError: it is not installed.
    """
    try:
        import pyaudio
    except ImportError:
        raise CaptureError(no_pyaudio()) from None
    _silence_audio_libraries()
    return pyaudio


def no_pyaudio() -> str:
    """Return what to do where PyAudio is missing."""
    return f"the microphone needs PyAudio: {install_extra('mic')}{PORTAUDIO.get(sys.platform, '')}"


def list_microphones() -> list[MicrophoneInfo]:
    """Return what can be recorded from now.

    Raises:
        CaptureError: PyAudio is not installed.
    """
    system = load_pyaudio().PyAudio()
    try:
        return _list(system)
    finally:
        system.terminate()


def find_microphone(what: str, microphones: list[MicrophoneInfo]) -> MicrophoneInfo:
    """Return the microphone with a number, or the first whose name contains ``what``; ``auto`` is the default.


    Raises:
        CaptureError: there is none; the message lists what there is.
    """
    known = "; ".join(f"{microphone.index}: {microphone.name}" for microphone in microphones) or "none"
    for microphone in microphones:
        if microphone.is_default if what == "auto" else _is_called(microphone, what):
            return microphone
    if what == "auto" and microphones:
        return microphones[0]
    called = "was found" if what == "auto" else f"is called {what!r}"
    raise CaptureError(f"no microphone {called}; microphones here: {known}")


def _is_called(microphone: MicrophoneInfo, what: str) -> bool:
    return microphone.index == int(what) if what.isdigit() else what.casefold() in microphone.name.casefold()


class Microphone(SoundSource):
    """One microphone. PortAudio's thread writes its blocks of 10 ms to the ring, stamped when they were captured."""

    kind = "microphone"
    returns = True

    def __init__(self, what: str = "auto", *, load: Callable[[], Any] = load_pyaudio, clock: Clock = now_ns) -> None:
        """Note what to open; it is looked up each time, for one that is plugged in again may have another number."""
        super().__init__()
        self.name = "microphone" if what == "auto" else f"microphone {what}"
        self._what, self._load, self._clock = what, load, clock
        self._system: Any = None
        self._stream: Any = None
        self._heard = threading.Event()
        self._any_heard = False
        self._silent_s = 0.0

    def open(self, ring: SoundRing) -> None:
        """Raise CaptureError if there is none of that name, or it cannot be used."""
        pyaudio = self._load()
        # PortAudio lists the devices when it starts, so it is started again each time.
        self._system = pyaudio.PyAudio()
        device = find_microphone(self._what, _list(self._system))
        self.name = f"microphone {device.index} ({device.name})"
        self.rate, self._silent_s = device.rate, 0.0
        self._heard.clear()
        self._any_heard = False
        channels = min(max(device.channels, 1), MAX_CHANNELS)
        try:
            with contextlib.suppress(OSError, ValueError):  # Some give a number of channels that they then refuse.
                self._stream = self._open(pyaudio, device, channels, ring)
            if self._stream is None:
                self._stream = self._open(pyaudio, device, 1 if channels > 1 else 2, ring)
        except (OSError, ValueError) as error:
            raise CaptureError(
                f"{self.name} cannot be opened ({plain(error)}): is it free of other programs, and are they allowed "
                "to use the microphone?"
            ) from None

    def _open(self, pyaudio: Any, device: MicrophoneInfo, channels: int, ring: SoundRing) -> Any:
        rate, proceed, overflow = device.rate, (None, pyaudio.paContinue), pyaudio.paInputOverflow
        heard, clock = self._heard, self._clock

        def take(data: bytes, count: int, times: dict[str, float], flags: int) -> tuple[None, int]:
            """Run on PortAudio's thread."""
            start_ns = captured_ns(clock(), count, rate, times)
            if flags & overflow:
                ring.device_overruns += 1
            ring.write(np.frombuffer(data, np.float32).reshape(-1, channels), rate, start_ns)
            heard.set()
            return proceed

        return self._system.open(
            format=pyaudio.paFloat32,
            channels=channels,
            rate=rate,
            input=True,
            input_device_index=device.index,
            frames_per_buffer=min(max(1, round(BLOCK_S * rate)), LARGEST_BLOCK),
            stream_callback=take,
        )

    def pump(self) -> bool:
        """Wait until a block has come.

        Raises:
            CaptureError: none has for a second.
        """
        if self._interrupted.is_set():
            return False
        if self._heard.wait(CHECK_S):
            self._heard.clear()
            self._silent_s, self._any_heard = 0.0, True
            self._interrupted.wait(CHECK_S / 2)
            return not self._interrupted.is_set()
        self._silent_s += CHECK_S
        patience_s = SILENT_S if self._any_heard else FIRST_S
        if self._silent_s >= patience_s or (self._stream is not None and not self._stream.is_active()):
            raise CaptureError(f"{self.name} gives no sound: is it unplugged, or used by another program?")
        return True

    def close(self) -> None:
        """Let the device go. A driver that fails at that has lost it already."""
        stream, system = self._stream, self._system
        self._stream = self._system = None
        with contextlib.suppress(OSError):
            if stream is not None:
                stream.close()
        with contextlib.suppress(OSError):
            if system is not None:
                system.terminate()


def captured_ns(now_ns: int, count: int, rate: int, times: dict[str, float]) -> int:
    """When the first of ``count`` samples was captured: what the driver says, or else that the last is new."""
    age_s = times.get("current_time", 0.0) - times.get("input_buffer_adc_time", 0.0)
    length_s = count / rate
    if not (length_s <= age_s <= LONGEST_DELAY_S + length_s) or not times.get("input_buffer_adc_time"):
        age_s = length_s
    return now_ns - round(age_s * NS_PER_S)


def _list(system: Any) -> list[MicrophoneInfo]:
    try:
        default = int(system.get_default_input_device_info()["index"])
    except (OSError, KeyError):
        default = -1
    found = []
    for index in range(system.get_device_count()):
        info = system.get_device_info_by_index(index)
        if info["maxInputChannels"] > 0:
            # PyAudio may give names as bytes that it could not decode.
            name = info["name"] if isinstance(info["name"], str) else info["name"].decode("utf-8", "replace")
            rate, channels = round(info["defaultSampleRate"]), int(info["maxInputChannels"])
            # Sound servers offer dozens of channels if they have no device of their own: one is enough then.
            found.append(
                MicrophoneInfo(index, name, rate, channels if channels <= MAX_CHANNELS else 1, index == default)
            )
    return found


def plain(error: Exception) -> str:
    """PyAudio's errors carry a number beside the text."""
    return next((str(part) for part in reversed(error.args) if isinstance(part, str)), type(error).__name__)


def _no_message(*_: object) -> None:
    """Say nothing."""


_HANDLERS: list[Any] = []


def _silence_audio_libraries() -> None:
    """Keep ALSA and JACK from printing what they do not find, dozens of lines, whenever PortAudio starts."""
    if _HANDLERS or not sys.platform.startswith("linux"):
        return
    text, number = ctypes.c_char_p, ctypes.c_int
    for library, setter, arguments in (
        ("libasound.so.2", "snd_lib_error_set_handler", (text, number, text, number, text)),
        ("libjack.so.0", "jack_set_error_function", (text,)),
        ("libjack.so.0", "jack_set_info_function", (text,)),
    ):
        with contextlib.suppress(OSError, AttributeError):
            handler = ctypes.CFUNCTYPE(None, *arguments)(_no_message)
            getattr(ctypes.CDLL(library), setter)(handler)
            _HANDLERS.append(handler)  # The library calls it as long as it lives.
