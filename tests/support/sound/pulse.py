"""A PulseAudio server of one's own with a null sink: what is played into it a microphone hears that is not there.

For the tests and for ``benchmarks/microphone.py``. Needs pulseaudio, pactl and ALSA's plugin for it.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from facewire.bridge.shared.clock import NS_PER_S

SINK = "virtual"
SETTLED_S = 60.0
"""How long a server may take to answer on a machine that is busy with other things."""


def is_here() -> bool:
    """Whether this machine has what a server needs."""
    return sys.platform.startswith("linux") and all(map(shutil.which, ("pulseaudio", "pactl")))


class VirtualMicrophone:
    """The server. Programs hear its sink when they run in its ``environment``; other servers are left alone."""

    def __init__(self, folder: Path, rate: int = 48_000) -> None:
        """Its files go to ``folder``; the sink plays one channel at ``rate``."""
        folder.chmod(0o700)  # PulseAudio refuses a folder that others may read.
        # A client would otherwise start a server of its own in place of one that was killed.
        (folder / "client.conf").write_text("autospawn = no\nenable-shm = no\n")
        own = {name: str(folder) for name in ("XDG_RUNTIME_DIR", "XDG_CONFIG_HOME")}
        own |= {"PULSE_CLIENTCONFIG": str(folder / "client.conf"), "PULSE_SOURCE": f"{SINK}.monitor"}
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PULSE_")}
        self.environment, self._rate = {**kept, **own}, rate
        self._server: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server and wait until the sink is there."""
        sink = f"module-null-sink sink_name={SINK} rate={self._rate} channels=1"
        self._server = subprocess.Popen(
            ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no", "--disable-shm=yes",
             "-L", "module-native-protocol-unix", "-L", sink],
            env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        end = time.monotonic() + SETTLED_S
        while f"{SINK}.monitor" not in self.pactl("list", "short", "sources"):
            assert self._server.poll() is None, "PulseAudio did not start"
            assert time.monotonic() < end, "PulseAudio does not answer"
            time.sleep(0.05)

    def pactl(self, *args: str) -> str:
        """Return what the server answers to a command; nothing if it does not run."""
        return subprocess.run(
            ["pactl", *args], env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            timeout=SETTLED_S,
        ).stdout  # fmt: skip

    def kill(self) -> None:
        """End it at once, as if the microphone were pulled out; safe to call twice."""
        if self._server is not None:
            self._server.kill()
            self._server.wait()
            self._server = None


class SampleSpec(ctypes.Structure):
    _fields_ = (("format", ctypes.c_int), ("rate", ctypes.c_uint32), ("channels", ctypes.c_uint8))


class BufferAttributes(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_uint32) for name in ("maxlength", "tlength", "prebuf", "minreq", "fragsize"))


class Player:
    """Plays to the null sink with a short buffer and knows how long it takes until a sample is heard.

    The server is that of the process's own environment. Raises OSError if it does not answer, or no longer does.
    """

    def __init__(self, rate: int = 48_000, buffer_ms: int = 10) -> None:
        self._library, self._rate = ctypes.CDLL("libpulse-simple.so.0"), rate
        pointer, error = ctypes.c_void_p, ctypes.c_int()
        self._library.pa_simple_new.restype = pointer
        self._library.pa_simple_new.argtypes = [
            ctypes.c_char_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_char_p, *[pointer] * 4
        ]  # fmt: skip
        self._library.pa_simple_write.argtypes = [pointer, ctypes.c_char_p, ctypes.c_size_t, pointer]
        self._library.pa_simple_get_latency.restype = ctypes.c_uint64
        self._library.pa_simple_get_latency.argtypes = [pointer, pointer]
        self._library.pa_simple_free.argtypes = [pointer]
        size = rate * 2 * buffer_ms // 1000
        self._stream = self._library.pa_simple_new(
            None, b"sound", 1, SINK.encode(), b"sound", ctypes.byref(SampleSpec(3, rate, 1)), None,
            ctypes.byref(BufferAttributes(0xFFFFFFFF, size, 0, size // 2, size)), ctypes.byref(error),
        )  # fmt: skip
        if not self._stream:
            raise OSError(f"PulseAudio refuses to play (error {error.value})")

    def write(self, samples: np.ndarray) -> int:
        """Plays samples of -32768..32767; returns when the first of them is heard, on the session clock."""
        data, error = samples.astype("<i2").tobytes(), ctypes.c_int()
        if self._library.pa_simple_write(self._stream, data, len(data), ctypes.byref(error)) < 0:
            raise OSError(f"PulseAudio no longer plays (error {error.value})")
        latency_us = self._library.pa_simple_get_latency(self._stream, ctypes.byref(error))
        return time.perf_counter_ns() + latency_us * 1000 - len(samples) * NS_PER_S // self._rate

    def close(self) -> None:
        self._library.pa_simple_free(self._stream)
