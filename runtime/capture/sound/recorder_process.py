"""The process that records a microphone, as the run sees it: ``recorder.py`` is the program."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import queue
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, Protocol, TypeAlias

import numpy as np

from facewire.runtime.capture.sound import recorder
from facewire.runtime.capture.sound.pyaudio_library import no_pyaudio
from facewire.runtime.capture.video.source import CaptureError
from facewire.runtime.sound.blocks import SoundRing

ANSWER_S = 10.0
"""What a sound system may take to list its devices, or to open one."""
LEAVE_S = 0.5
"""What a driver may take to let a device go before its process is killed."""


NO_WINDOW: int = getattr(subprocess, "CREATE_NO_WINDOW", 0)
NEW_GROUP: int = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
"""Of Windows."""


class Process(Protocol):
    """What is asked of a process (``subprocess.Popen``)."""

    stdin: IO[bytes] | None
    stdout: IO[bytes] | None

    def wait(self, timeout: float | None = None) -> int: ...
    def kill(self) -> None: ...


class Recorder:
    """One such process and the thread that reads what it tells: first lines of JSON, then blocks for a ring.

    The thread allocates when the device is opened, and never again.
    """

    def __init__(self, process: Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process, self._asked, self._told = process, process.stdin, process.stdout
        self._lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._request: recorder.Request | None = None
        self._ring: SoundRing | None = None
        self.heard = threading.Event()
        """Set with each block."""
        self.ended = False
        """Whether the process tells nothing more."""
        self._thread = threading.Thread(target=self._read, name="facewire-recorder", daemon=True)
        self._thread.start()

    def told(self) -> Any:
        """Return the next line that it tells.

        Raises:
            CaptureError: it tells none.
        """
        try:
            line = self._lines.get(timeout=ANSWER_S)
        except queue.Empty:
            raise CaptureError(
                f"the sound system has not answered for {ANSWER_S:g} s: is its server running (PulseAudio, PipeWire)?"
            ) from None
        if not line:
            raise CaptureError("the sound system fails when it is asked for its microphones; facewire doctor says more")
        told = json.loads(line)
        if isinstance(told, dict) and "missing" in told:
            raise CaptureError(no_pyaudio())
        return told

    def record(self, request: recorder.Request, ring: SoundRing) -> str | None:
        """Have its blocks written to ``ring`` from now on; return why it refuses, None if it does not.

        Raises:
            CaptureError: it does not answer.
        """
        self._request, self._ring = request, ring
        with contextlib.suppress(OSError):  # it has ended; so says the answer
            self._asked.write(json.dumps(request).encode() + b"\n")
            self._asked.flush()
        refused = self.told().get("refused")
        return None if refused is None else str(refused)

    def close(self) -> None:
        """End the process, at the latest after half a second; safe to call twice."""
        with contextlib.suppress(OSError):
            self._asked.close()
        try:
            self._process.wait(LEAVE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._thread.join(LEAVE_S)
        if not self._thread.is_alive():  # else somebody whom the sound system started has inherited the pipe
            self._told.close()

    def _read(self) -> None:
        try:
            self._lines.put(self._told.readline())
            answer = self._told.readline()
            self._lines.put(answer)
            channels = json.loads(answer).get("channels") if answer else None
            if channels is not None:
                self._read_blocks(channels)
        except (OSError, ValueError):
            pass  # It was killed in the middle of a line.
        finally:
            self.ended = True
            self._lines.put(b"")

    def _read_blocks(self, channels: int) -> None:
        assert self._request is not None
        assert self._ring is not None
        ring, rate, told = self._ring, self._request["rate"], self._told
        header = bytearray(recorder.HEADER.size)
        samples = np.zeros((self._request["block"], channels), np.float32)
        data = samples.data.cast("B")
        while _fill(told, header):
            start_ns, count, lost = recorder.HEADER.unpack(header)
            if count > len(samples) or not _fill(told, data[: count * channels * samples.itemsize]):
                return
            ring.device_overruns += lost
            ring.write(samples[:count], rate, start_ns)
            self.heard.set()


Start: TypeAlias = Callable[[], Recorder]


def start_recorder() -> Recorder:
    """Start the process.

    Raises:
        CaptureError: PyAudio is not installed, or no Python can be started here.
    """
    if importlib.util.find_spec("pyaudio") is None:
        raise CaptureError(no_pyaudio())
    script = Path(recorder.__file__)
    if "python" not in Path(sys.executable or "").name.lower() or not script.is_file():
        raise CaptureError(
            f"microphones are recorded by a Python of their own, and {sys.executable or 'this program'} is none: "
            "start facewire with python"
        )
    try:
        # A group of its own, so that Ctrl-C and a closed terminal are heard by the run alone, which ends it in order.
        return Recorder(
            subprocess.Popen(
                [sys.executable, str(script)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,  # what ALSA, JACK and PortAudio print, without end where a device dies
                start_new_session=True,
                creationflags=NO_WINDOW | NEW_GROUP,
            )
        )
    except OSError as error:
        raise CaptureError(f"the program that records microphones cannot be started: {error}") from None


def _fill(told: IO[bytes], buffer: bytearray | memoryview) -> bool:
    """Read until it is full; return False at the end."""
    view, done = memoryview(buffer), 0
    while done < len(view):
        got = told.readinto(view[done:])  # type: ignore[attr-defined]  # a BufferedReader
        if not got:
            return False
        done += got
    return True
