"""Sound out of the files that takes come with: WAV by ourselves, videos through PyAV if it is installed."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

import numpy as np

from facewire.bridge.export.wav import read_wav
from facewire.bridge.recording.errors import SessionError
from facewire.bridge.recording.layout import AudioFormat
from facewire.bridge.recording.sound import Int16Array
from facewire.bridge.shared.install import install_extra


def read_sound(path: Path) -> tuple[AudioFormat, Int16Array]:
    """Return a file's sound as samples [n, channels]; stereo stays stereo, more channels become one.

    Raises:
        SessionError: it cannot be read, has no sound, or needs PyAV, which is not installed.
    """
    if not path.is_file():
        raise SessionError(f"{path} does not exist: check the name")
    if path.suffix.lower() == ".wav":
        return read_wav(path)
    try:
        import av
    except ImportError:
        raise SessionError(
            f"the sound of {path.suffix or 'this file'} needs PyAV: {install_extra('media')}, or give a .wav"
        ) from None
    try:
        with av.open(str(path.absolute())) as container:
            return _decode(container, path)
    except (av.error.FFmpegError, ValueError, MemoryError):
        raise SessionError(f"{path} is not a sound or video file that can be read") from None


def _decode(container: object, path: Path) -> tuple[AudioFormat, Int16Array]:
    import av

    assert isinstance(container, av.container.InputContainer)
    if not container.streams.audio:
        raise SessionError(f"{path} has no sound")
    stream = container.streams.audio[0]
    layout = "stereo" if stream.channels == 2 else "mono"
    channels, rate = (2 if layout == "stereo" else 1), stream.rate
    resampler = av.AudioResampler(format="s16", layout=layout, rate=rate)
    pieces: list[Int16Array] = []
    for frame in chain(container.decode(stream), (None,)):
        pieces.extend(
            converted.to_ndarray().reshape(-1, channels).astype(np.int16, copy=False)
            for converted in resampler.resample(frame)
        )
    if not pieces:
        raise SessionError(f"{path} has no sound")
    return AudioFormat(rate, channels), np.concatenate(pieces)
