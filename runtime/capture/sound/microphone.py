"""Microphones by number or name, through PyAudio (PortAudio)."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from facewire.bridge.shared.clock import NS_PER_S, Clock, now_ns
from facewire.bridge.shared.install import install_extra
from facewire.runtime.capture.sound import device_list
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
LONGEST_DELAY_S = 0.5
"""A driver that claims an older sound than this does not know."""
PORTAUDIO = {
    "linux": " (on Debian and Ubuntu, first: sudo apt install portaudio19-dev python3-dev gcc)",
    "darwin": " (first: brew install portaudio)",
}
"""What PyAudio is built from where it has no wheels."""


LIST_S = 10.0
"""What the list of devices may take; a driver that hangs is left out."""
SERVER = "pulse"
"""What PortAudio calls a sound server; a source of it is opened by that."""
_SERVER_ENVIRONMENT = threading.Lock()


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
    """Return what can be recorded from now, those that were plugged in while one is open, too.

    Raises:
        CaptureError: PyAudio is not installed.
    """
    pyaudio = load_pyaudio()
    listed = _listed_by_another_process()
    if listed is not None:
        return listed
    system = pyaudio.PyAudio()
    try:
        return _list(system)
    finally:
        system.terminate()


def _listed_by_another_process() -> list[MicrophoneInfo] | None:
    """Return what ``device_list`` prints; None where no Python of its own can be started."""
    script = Path(device_list.__file__)
    if "python" not in Path(sys.executable or "").name.lower() or not script.is_file():
        return None  # Inside another program, which is not to be started again.
    try:
        done = subprocess.run(
            [sys.executable, str(script)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            timeout=LIST_S, creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )  # fmt: skip
        return [MicrophoneInfo(**device) for device in json.loads(done.stdout)] if done.returncode == 0 else None
    except (OSError, subprocess.SubprocessError, ValueError, TypeError):
        return None


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
    return what.isdigit() is False and what.casefold() in microphone.name.casefold()


class Microphone(SoundSource):
    """One microphone. PortAudio's thread writes its blocks of 10 ms to the ring, stamped when they were captured."""

    kind = "microphone"
    returns = True

    def __init__(
        self, what: str | MicrophoneInfo = "auto", *, load: Callable[[], Any] = load_pyaudio, clock: Clock = now_ns
    ) -> None:
        """Note what to open; it is looked up each time, for one that is plugged in again may have another number."""
        super().__init__()
        named = what if isinstance(what, str) else what.name
        self.name = "microphone" if what == "auto" else f"microphone {named}"
        self.device: MicrophoneInfo | None = None
        """What is open, or was last."""
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
        device = self._find(_list(self._system))
        self.name = f"microphone {device.id} ({device.name})" if device.source is None else f"microphone {device.name}"
        self.device = device
        self.rate, self._silent_s = device.rate, 0.0
        self._heard.clear()
        self._any_heard = False
        channels = min(max(device.channels, 1), MAX_CHANNELS)
        # Some give a number of channels that they then refuse.
        refused: Exception | None = None
        for count in dict.fromkeys((channels, *(few for few in FEWER_CHANNELS if few < channels), 1, 2)):
            refused = self._try(pyaudio, device, count, ring)
            if refused is None:
                return
        raise CaptureError(
            f"{self.name} cannot be opened ({plain(refused)}): is it free of other programs, and are they allowed "
            "to use the microphone?"
        )

    def _try(self, pyaudio: Any, device: MicrophoneInfo, channels: int, ring: SoundRing) -> Exception | None:
        """Open it with so many channels; return why it refuses them."""
        try:
            with _server_uses(device.source):
                self._stream = self._open(pyaudio, device, channels, ring)
        except (OSError, ValueError) as error:
            return error
        return None

    def _find(self, here: list[MicrophoneInfo]) -> MicrophoneInfo:
        """Return what to open among what PortAudio has, or a server's source with PortAudio's number of the server.

        Raises:
            CaptureError: it is not there.
        """
        wanted = self._what
        if isinstance(wanted, str) and find_without_error(wanted, here) is None and SERVER in (d.name for d in here):
            # PortAudio does not know the sources of a sound server.
            wanted = find_without_error(wanted, [d for d in list_microphones() if d.source is not None]) or wanted
        if isinstance(wanted, str):
            return find_microphone(wanted, here)
        if wanted.source is not None:
            server = find_microphone(SERVER, here)
            return replace(wanted, index=server.index, channels=server.channels)
        same = [device for device in here if device.name == wanted.name]
        numbered = [device for device in same if device.index == wanted.index]
        return (numbered or same or [find_microphone(wanted.name, here)])[0]

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
    return [MicrophoneInfo(**device) for device in device_list.portaudio_devices(system)]


@contextlib.contextmanager
def _server_uses(source: str | None) -> Iterator[None]:
    """Have a stream that is opened meanwhile record from ``source`` of the sound server."""
    if source is None:
        yield
        return
    with _SERVER_ENVIRONMENT:  # The server's library reads it when a stream is opened, and only then.
        before = os.environ.get("PULSE_SOURCE")
        os.environ["PULSE_SOURCE"] = source
        try:
            yield
        finally:
            if before is None:
                del os.environ["PULSE_SOURCE"]
            else:
                os.environ["PULSE_SOURCE"] = before


def plain(error: Exception | None) -> str:
    """PyAudio's errors carry a number beside the text."""
    arguments = error.args if error is not None else ()
    return next((str(part) for part in reversed(arguments) if isinstance(part, str)), type(error).__name__)


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
