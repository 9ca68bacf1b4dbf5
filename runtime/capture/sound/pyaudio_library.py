"""PyAudio (PortAudio): whether it is here, what to do where it is missing, and its libraries made quiet."""

from __future__ import annotations

import contextlib
import ctypes
import sys
from typing import Any

from facewire.bridge.shared.install import install_extra
from facewire.runtime.capture.video.source import CaptureError

PORTAUDIO = {
    "linux": " (on Debian and Ubuntu, first: sudo apt install portaudio19-dev python3-dev gcc)",
    "darwin": " (first: brew install portaudio)",
}
"""What PyAudio is built from where it has no wheels."""


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
