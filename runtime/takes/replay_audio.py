"""Plays a session's sound along with its replay, through PyAudio if there is a device."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Protocol

from facewire.bridge.recording.layout import AudioFormat
from facewire.bridge.recording.reader import Session
from facewire.bridge.recording.sound import Int16Array, SoundStream
from facewire.bridge.shared.errors import FacewireError
from facewire.bridge.shared.install import install_extra
from facewire.runtime.capture.sound.pyaudio_library import load_pyaudio, plain
from facewire.runtime.capture.video.source import CaptureError

BLOCK_S = 0.02
RESYNC_NS = 60_000_000
"""If sound and picture have come apart by more than this, the sound jumps."""
IDLE_S = 0.01


class Output(Protocol):
    """Where samples go."""

    latency_ns: int
    """From ``write`` to the ear."""

    def write(self, samples: Int16Array) -> None:
        """Play samples [n, channels]; returns when the device wants more.

        Raises:
            OSError: the device is gone.
        """

    def close(self) -> None:
        """Let go of the device."""


class PlayAlong:
    """Feeds an output from a session so that what is heard now is what ``place`` says is shown now, on a thread of its
    own.

    State: the place of the next sample; it is silent while ``place`` gives None.
    """

    def __init__(self, session: Session, place: Callable[[], int | None], output: Output) -> None:
        """Prepare to play; the session (with audio) and the output belong to it from now on.

        Args:
            place: returns where the replay is on the session's time line in nanoseconds; None while it is paused or
            does
                not run at its own speed.
        """
        assert session.audio is not None
        self._session, self._place, self._output = session, place, output
        self._block = max(1, round(BLOCK_S * session.audio.rate))
        self._rate = session.audio.rate
        self._stream: SoundStream | None = None
        self._start_ns = self._played = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="facewire-sound", daemon=True)
        self.resyncs = 0
        """How often the sound jumped to the picture, the start included."""

    def start(self) -> None:
        """Begin to follow the replay."""
        self._thread.start()

    def stop(self, timeout_s: float = 1.0) -> None:
        """End the thread, the device and the session."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        if not self._thread.is_alive():  # Nobody may close a device that is being written to.
            self._output.close()
            self._session.close()

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                if not self.step():
                    self._stopping.wait(IDLE_S)
        except (OSError, FacewireError):  # The device was unplugged, or the file is damaged: the frames go on.
            return

    def step(self) -> bool:
        """Play one block; False if there is nothing to play now."""
        place_ns = self._place()
        if place_ns is None:
            self._stream = None
            return False
        heard_ns = place_ns + self._output.latency_ns
        if self._stream is None or abs(heard_ns - self._next_ns()) > RESYNC_NS:
            self._start_ns, self._played = heard_ns, 0
            self._stream = SoundStream(self._session, heard_ns, self._session.end_ns)
            self.resyncs += 1
        self._output.write(self._stream.read(self._block))
        self._played += self._block
        return True

    def _next_ns(self) -> int:
        return self._start_ns + self._played * 1_000_000_000 // self._rate


class PyAudioOutput:
    """The default output device, through PyAudio."""

    def __init__(self, pyaudio: Any, audio: AudioFormat) -> None:
        """Open the device.

        Raises:
            OSError: there is none, or it does not take that format.
        """
        self._system = pyaudio.PyAudio()
        try:
            self._stream = self._system.open(
                format=pyaudio.paInt16,
                channels=audio.channels,
                rate=audio.rate,
                output=True,
                frames_per_buffer=round(BLOCK_S * audio.rate),
            )
        except OSError:
            self._system.terminate()
            raise
        self.latency_ns = round(self._stream.get_output_latency() * 1e9)

    def write(self, samples: Int16Array) -> None:
        """Play samples; PyAudio waits until the device has room."""
        self._stream.write(samples.tobytes(), exception_on_underflow=False)

    def close(self) -> None:
        """Stop and let go of the device."""
        self._stream.close()
        self._system.terminate()


def open_output(audio: AudioFormat, notify: Callable[[str], None]) -> Output | None:
    """Return the default output device, or None after one line to ``notify`` that says why there is none."""
    try:
        pyaudio = load_pyaudio()
    except CaptureError:
        notify(f"sound needs PyAudio: {install_extra('mic')}; playing silently")
        return None
    try:
        return PyAudioOutput(pyaudio, audio)
    except OSError as error:
        notify(f"there is no output device for the sound ({plain(error)}); playing silently")
        return None
