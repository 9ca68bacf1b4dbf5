"""What can be recorded from now, as a program of its own: ``python device_list.py`` prints it as JSON.

PortAudio looks for devices only when it starts, and does not start again while a stream is open in the same process. So
the list is made in another process, which sees what was plugged in meanwhile and disturbs no stream. It imports nothing
of Facewire, so that it starts at once. PortAudio knows a sound server (PulseAudio, PipeWire) as one device; its sources
are asked for beside that.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import sys
from typing import Any, TypedDict

READY, FAILED = 4, 5
"""States of a connection to PulseAudio (``pa_context_state``)."""
NO_AUTOSPAWN = 1
NOBODY = 0xFFFFFFFF


class Device(TypedDict):
    """A device; ``source`` is its name at the sound server, None if PortAudio opens it by its number."""

    index: int
    name: str
    rate: int
    channels: int
    is_default: bool
    source: str | None


class SampleSpec(ctypes.Structure):
    """As ``pulse/sample.h`` has it."""

    _fields_ = (("format", ctypes.c_int), ("rate", ctypes.c_uint32), ("channels", ctypes.c_uint8))


class ChannelMap(ctypes.Structure):
    """As ``pulse/channelmap.h`` has it."""

    _fields_ = (("channels", ctypes.c_uint8), ("map", ctypes.c_int * 32))


class Volume(ctypes.Structure):
    """As ``pulse/volume.h`` has it."""

    _fields_ = (("channels", ctypes.c_uint8), ("values", ctypes.c_uint32 * 32))


class SourceInfo(ctypes.Structure):
    """The beginning of what ``pulse/introspect.h`` has."""

    _fields_ = (
        ("name", ctypes.c_char_p), ("index", ctypes.c_uint32), ("description", ctypes.c_char_p), ("spec", SampleSpec),
        ("map", ChannelMap), ("owner", ctypes.c_uint32), ("volume", Volume), ("mute", ctypes.c_int),
        ("monitor_of_sink", ctypes.c_uint32),
    )  # fmt: skip


SOURCE_CALLBACK = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.POINTER(SourceInfo), ctypes.c_int, ctypes.c_void_p)


def portaudio_devices(system: Any) -> list[Device]:
    """Return what a started PortAudio (``pyaudio.PyAudio()``) can record from."""
    try:
        default = int(system.get_default_input_device_info()["index"])
    except (OSError, KeyError):
        default = -1
    found: list[Device] = []
    for index in range(system.get_device_count()):
        info = system.get_device_info_by_index(index)
        if info["maxInputChannels"] > 0:
            # PyAudio may give names as bytes that it could not decode.
            name = info["name"] if isinstance(info["name"], str) else info["name"].decode("utf-8", "replace")
            # A sound server offers dozens. Asked for fewer, it mixes those of its device, and opposite ones cancel.
            rate, channels = round(info["defaultSampleRate"]), int(info["maxInputChannels"])
            found.append(Device(
                index=index, name=name, rate=rate, channels=channels, is_default=index == default, source=None
            ))  # fmt: skip
    return found


def server_sources() -> list[Device]:
    """Return a sound server's sources, those that hear what is played last; none where no server runs."""
    try:
        library = ctypes.CDLL("libpulse.so.0")
    except OSError:
        return []
    for name in ("pa_mainloop_new", "pa_mainloop_get_api", "pa_context_new", "pa_context_get_source_info_list"):
        getattr(library, name).restype = ctypes.c_void_p
    loop = ctypes.c_void_p(library.pa_mainloop_new())
    context = ctypes.c_void_p(library.pa_context_new(ctypes.c_void_p(library.pa_mainloop_get_api(loop)), b"facewire"))
    if library.pa_context_connect(context, None, NO_AUTOSPAWN, None) < 0:
        return []
    while (state := library.pa_context_get_state(context)) != READY:
        if state >= FAILED or library.pa_mainloop_iterate(loop, 1, None) < 0:
            return []
    return _ask(library, loop, context)


def _ask(library: Any, loop: ctypes.c_void_p, context: ctypes.c_void_p) -> list[Device]:
    found: list[tuple[bool, Device]] = []
    ended: list[bool] = []

    def take(_context: Any, info: Any, end: int, _data: Any) -> None:
        if end:
            ended.append(True)
            return
        source = info.contents
        name = source.name.decode("utf-8", "replace")
        known_as = (source.description or source.name).decode("utf-8", "replace")
        device = Device(
            index=-1, name=known_as, rate=source.spec.rate, channels=source.spec.channels, is_default=False, source=name
        )
        found.append((source.monitor_of_sink != NOBODY, device))

    callback = SOURCE_CALLBACK(take)
    library.pa_context_get_source_info_list(context, callback, None)
    while not ended and library.pa_mainloop_iterate(loop, 1, None) >= 0:
        pass
    library.pa_context_disconnect(context)
    return [device for _, device in sorted(found, key=lambda each: each[0])]


def main() -> None:
    """Print the list as one line of JSON."""
    import pyaudio

    system = pyaudio.PyAudio()
    try:
        found = portaudio_devices(system)
    finally:
        system.terminate()
    if sys.platform.startswith("linux") and any(device["name"] == "pulse" for device in found):
        with contextlib.suppress(AttributeError, ValueError):
            found += server_sources()
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
