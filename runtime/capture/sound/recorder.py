"""A program of its own that lists what can be recorded from, and records one of it: ``python recorder.py``.

PortAudio looks for devices only when it starts, and does not start again while a stream is open in the same process.
And a driver may hang, print without end or crash, and PortAudio's threads then cannot be ended: when a device is pulled
out or the ALSA plugin of a sound server is cut off, one of them may go round for ever inside PortAudio. Another process
sees what was plugged in meanwhile, and can be ended. It imports nothing of Facewire, so that it starts at once.

Told on its standard output, asked on its standard input:

1. told: a line of JSON, what can be recorded from (a list of ``Device``). PortAudio knows a sound server (PulseAudio,
   PipeWire) as one device; its sources are asked for beside that;
2. asked: a line of JSON (``Request``), or nothing;
3. told: a line of JSON, ``{"channels": n}`` or ``{"refused": why}``;
4. told: blocks, each a ``HEADER`` and its samples, 32-bit floats with the channels interleaved.

It ends when its standard input does, and when the driver ends the stream.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import struct
import sys
import threading
import time
from typing import IO, Any, TypedDict

HEADER = struct.Struct("<qII")
"""Session clock when the first sample was captured, in ns; samples of each channel; 1 if some were lost before it."""
SERVER = "pulse"
"""What PortAudio calls a sound server; a source of it is opened by that."""
CHECK_S = 0.1
NS_PER_S = 1_000_000_000
LONGEST_DELAY_S = 0.5
"""A driver that claims an older sound than this does not know."""
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


class Request(TypedDict):
    """What to record."""

    index: int
    """PortAudio's number of the device."""
    source: str | None
    """The source of the sound server, if the device is that."""
    rate: int
    channels: list[int]
    """How many to ask for, the best first: some devices give a number that they then refuse."""
    block: int
    """Samples of each channel."""


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


def all_devices(system: Any) -> list[Device]:
    """Return what a started PortAudio can record from, and a sound server's sources if it knows that."""
    found = portaudio_devices(system)
    if sys.platform.startswith("linux") and any(device["name"] == SERVER for device in found):
        with contextlib.suppress(AttributeError, ValueError):
            found += server_sources()
    return found


def captured_ns(now_ns: int, count: int, rate: int, times: dict[str, float]) -> int:
    """When the first of ``count`` samples was captured: what the driver says, or else that the last is new."""
    age_s = times.get("current_time", 0.0) - times.get("input_buffer_adc_time", 0.0)
    length_s = count / rate
    if not (length_s <= age_s <= LONGEST_DELAY_S + length_s) or not times.get("input_buffer_adc_time"):
        age_s = length_s
    return now_ns - round(age_s * NS_PER_S)


def record(pyaudio: Any, asked: IO[bytes], told: IO[bytes]) -> None:
    """Do all of the above with the module ``pyaudio``."""
    system = pyaudio.PyAudio()
    try:
        _tell(told, all_devices(system))
        line = asked.readline()
        if line:
            _serve(pyaudio, system, json.loads(line), asked, told)
    finally:
        system.terminate()


def _serve(pyaudio: Any, system: Any, request: Request, asked: IO[bytes], told: IO[bytes]) -> None:
    if request["source"] is not None:
        os.environ["PULSE_SOURCE"] = request["source"]  # the server's library reads it when a stream is opened
    refused = ""
    for channels in request["channels"]:
        try:
            stream = _open(pyaudio, system, request, channels, told)
        except (OSError, ValueError) as error:
            # PyAudio's errors carry a number beside the text.
            refused = next((part for part in reversed(error.args) if isinstance(part, str)), type(error).__name__)
            continue
        _tell(told, {"channels": channels})
        ended = threading.Event()
        threading.Thread(target=_wait_for_the_end, args=(asked, ended), daemon=True).start()
        stream.start_stream()
        while not ended.wait(CHECK_S) and stream.is_active():
            pass
        stream.close()
        return
    _tell(told, {"refused": refused})


def _open(pyaudio: Any, system: Any, request: Request, channels: int, told: IO[bytes]) -> Any:
    rate, proceed, overflow = request["rate"], (None, pyaudio.paContinue), pyaudio.paInputOverflow

    def take(data: bytes, count: int, times: dict[str, float], flags: int) -> tuple[None, int]:
        """Run on PortAudio's thread. Drop policy: while nobody reads it waits; the driver loses samples and says so."""
        start_ns = captured_ns(time.perf_counter_ns(), count, rate, times)
        with contextlib.suppress(OSError, ValueError):  # The reader is gone; so is this program soon.
            told.write(HEADER.pack(start_ns, count, 1 if flags & overflow else 0))
            told.write(data)
            told.flush()
        return proceed

    return system.open(
        format=pyaudio.paFloat32, channels=channels, rate=rate, input=True, input_device_index=request["index"],
        frames_per_buffer=request["block"], stream_callback=take, start=False,
    )  # fmt: skip


def _tell(told: IO[bytes], what: Any) -> None:
    told.write(json.dumps(what).encode() + b"\n")
    told.flush()


def _wait_for_the_end(asked: IO[bytes], ended: threading.Event) -> None:
    with contextlib.suppress(OSError, ValueError):
        asked.read()
    ended.set()


def main() -> None:
    """Record what is asked for."""
    try:
        import pyaudio
    except ImportError as error:
        _tell(sys.stdout.buffer, {"missing": str(error)})
        return
    with contextlib.suppress(OSError):
        record(pyaudio, sys.stdin.buffer, sys.stdout.buffer)
    os._exit(0)  # a driver's thread that hangs is not waited for


if __name__ == "__main__":
    main()
