"""Sound out of files, at its own time: what speech is heard in and what goes into a take both come from here.

Time zero is the first picture of a video. A sound file's is that of its container's clock, so that a track that begins
late does; where the format has no clock of its own, or one that begins anywhere, it is the first sample.
A WAV file is read by ourselves, anything else through PyAV if it is installed.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from facewire.bridge.export.wav import for_take
from facewire.bridge.export.wav_reader import UnknownWavError, WavReader
from facewire.bridge.recording.errors import SessionError
from facewire.bridge.recording.layout import AudioFormat
from facewire.bridge.recording.partfile import check_opens
from facewire.bridge.recording.sound import Int16Array
from facewire.bridge.shared.arrays import Float32Array
from facewire.bridge.shared.install import install_extra
from facewire.bridge.shared.named import for_ffmpeg
from facewire.runtime.sound.channels import ChannelPicker
from facewire.runtime.sound.placing import Placing
from facewire.runtime.sound.resampler import HIGHEST_RATE, LOWEST_RATE

WAV_STARTS = (b"RIFF", b"RF64", b"BW64")
OWN_CLOCK = ("mov", "mp4", "matroska", "webm", "asf", "nut", "avi")
"""Formats whose clock begins where the recording did."""
PRIMING = {"aac": 1024, "mp3": 1105, "mp3float": 1105}
"""Samples that every encoder of the kind puts in front; containers with a clock say so, and raw streams do not."""
MOST_FAILURES = 10_000
"""A file that gives nothing but errors this often has ended."""
LEAST_LOST = 2
"""One packet that cannot be decoded is some 20 ms, and not worth a word."""


class NoSoundError(SessionError):
    """The file is what it should be, and holds no sound."""


class NoReaderError(SessionError):
    """The file may be whole: what would read it is not installed."""


class Track(Protocol):
    """An open sound track, whatever reads it."""

    rate: int
    length_s: float
    """0 if it does not say."""

    @property
    def problem(self) -> str | None: ...
    def runs(self) -> Iterator[Float32Array]: ...
    def close(self) -> None: ...


class MediaSound:
    """The first sound track of a file, from time zero on without a hole. Reads as it goes: an hour takes no room."""

    def __init__(self, path: Path) -> None:
        """Open it.

        Raises:
            SessionError: it cannot be read, has no sound, or needs PyAV, which is not installed.
        """
        self._path = path
        self._track = _open(path)
        self.rate, self.length_s = self._track.rate, self._track.length_s
        if not LOWEST_RATE <= self.rate <= HIGHEST_RATE:
            self.close()
            raise SessionError(f"{path} has {self.rate} samples a second: 4,000 to 384,000 can be used")

    def runs(self) -> Iterator[Float32Array]:
        """Yield samples [n, channels] of full scale 1, from time zero on; once.

        Raises:
            SessionError: it holds none that can be read.
        """
        any_read = False
        for run in self._track.runs():
            any_read = True
            yield run
        if not any_read:
            raise SessionError(f"{self._path} has no sound that can be read")

    @property
    def problem(self) -> str | None:
        """What was wrong with the sound read so far, to go after the file's name; None if it was whole."""
        return self._track.problem

    def close(self) -> None:
        """Close the file; safe to call twice."""
        self._track.close()


def read_sound(path: Path) -> tuple[AudioFormat, Int16Array]:
    """Return a file's sound from time zero on as samples [n, channels]; stereo stays stereo, more channels become one.

    Raises:
        SessionError: it cannot be read, has no sound, or needs PyAV, which is not installed.
    """
    sound = MediaSound(path)
    try:
        pieces = [for_take(run) for run in at_most_stereo(sound)]
    finally:
        sound.close()
    channels = pieces[0].shape[1]
    return AudioFormat(sound.rate, channels), np.concatenate(pieces)


def one_channel(sound: MediaSound) -> Iterator[Float32Array]:
    """Yield the channel that the voice is on [n], as speech is heard.

    Raises:
        SessionError: the file holds no sound that can be read.
    """
    picker = ChannelPicker()
    for run in sound.runs():
        one = np.empty(len(run), np.float32)
        picker.push(run, sound.rate, one)
        yield one


def at_most_stereo(sound: MediaSound) -> Iterator[Float32Array]:
    """Yield samples [n, channels] for a take: of more than two channels the one that the voice is on.

    Raises:
        SessionError: the file holds no sound that can be read.
    """
    runs = sound.runs()
    first = next(runs, None)
    if first is None or first.shape[1] <= 2:
        yield from () if first is None else chain((first,), runs)
        return
    picker = ChannelPicker()
    for run in chain((first,), runs):
        one = np.empty((len(run), 1), np.float32)
        picker.push(run, sound.rate, one[:, 0])
        yield one


def _open(path: Path) -> Track:
    check_opens(path)
    unknown = None
    if _begins_as_wav(path):
        try:
            return _WavTrack(path)
        except UnknownWavError as error:
            unknown = error
    try:
        import av
    except ImportError:
        raise unknown or NoReaderError(
            f"the sound of {path.suffix or 'this file'} needs PyAV: {install_extra('media')}, or give a .wav"
        ) from None
    return _AvTrack(path, av)


def _begins_as_wav(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            head = file.read(12)
    except OSError:
        return False
    return head[:4] in WAV_STARTS and head[8:12] == b"WAVE"


class _WavTrack:
    """A WAV file, which has no clock but its samples."""

    def __init__(self, path: Path) -> None:
        self._reader = WavReader(path)
        self.rate = self._reader.rate
        self.length_s = self._reader.frames / self.rate

    @property
    def problem(self) -> str | None:
        return "ends before its time: the file is cut off" if self._reader.cut else None

    def runs(self) -> Iterator[Float32Array]:
        return self._reader.runs(self.rate // 4)

    def close(self) -> None:
        self._reader.close()


class _AvTrack:
    """A track that PyAV reads."""

    def __init__(self, path: Path, av: Any) -> None:
        # LookupError: a damaged transport stream shows a track that was not there when it was opened.
        self._av, self._errors = av, (av.error.FFmpegError, ArithmeticError, LookupError, ValueError, MemoryError)
        self._lost = 0
        try:
            self._container = av.open(for_ffmpeg(path))
        except self._errors:
            raise SessionError(f"{path} is not a sound or video file that can be read") from None
        try:
            if not self._container.streams.audio:
                raise NoSoundError(f"{path} has no sound")
            self._stream = self._container.streams.audio[0]
            if self._stream.codec_context is None:
                raise SessionError(f"the sound of {path} is of a kind that cannot be read: save it as .wav")
            self.rate = int(self._stream.rate or 0)
            length = self._container.duration
            self.length_s = length / 1e6 if length and length > 0 else 0.0
        except BaseException:
            self.close()
            raise

    @property
    def problem(self) -> str | None:
        return f"is damaged: {self._lost} pieces could not be read" if self._lost >= LEAST_LOST else None

    def runs(self) -> Iterator[Float32Array]:
        zero_s = self._zero_s()
        begin_s = (self._container.start_time or 0) / 1e6
        placing = Placing(self.rate, begin_s + self.length_s - (zero_s or 0.0) if self.length_s else None)
        convert = _Converter(self._av, self.rate)
        for frame in self._frames():
            time_s = None if frame.pts is None else float(frame.pts * frame.time_base)
            if zero_s is None and time_s is not None:
                zero_s = time_s + self._priming_s(time_s)
            at = None if time_s is None or zero_s is None else round((time_s - zero_s) * self.rate)
            try:
                samples = convert(frame)
            except self._errors:
                self._lost += 1
                continue
            if len(samples):
                yield from placing.put(at, samples)

    def _zero_s(self) -> float | None:
        """Return what the container's clock shows at time zero; None for the first sample's time."""
        for stream in self._container.streams.video:
            picture = self._av.stream.Disposition.attached_pic
            if not stream.disposition & picture and stream.start_time is not None:
                return float(stream.start_time * stream.time_base)
        own_clock = any(name in OWN_CLOCK for name in self._container.format.name.split(","))
        return 0.0 if own_clock else None

    def _priming_s(self, first_s: float) -> float:
        """Return how much of a stream without a clock comes before its sound; 0 if it was taken off already."""
        taken_off = first_s > 0.0 and self._container.format.name == "mp3"
        return 0.0 if taken_off else PRIMING.get(self._stream.codec_context.name, 0) / self.rate

    def _frames(self) -> Iterator[Any]:
        """Yield what can be decoded; a damaged packet costs no other."""
        failures, packets = 0, self._container.demux(self._stream)
        while failures < MOST_FAILURES:
            try:
                packet = next(packets, None)
            except self._errors:
                failures += 1
                packets = self._container.demux(self._stream)  # one that has raised has ended
                continue
            if packet is None:
                return
            try:
                frames = packet.decode()
            except self._errors:
                self._lost += 1
                continue
            failures = 0
            yield from frames

    def close(self) -> None:
        self._container.close()


class _Converter:
    """Decoded frames to samples [n, channels] at one rate, whatever the frames come in; that may change in a file."""

    def __init__(self, av: Any, rate: int) -> None:
        self._av, self._rate, self._channels = av, rate, 0
        self._kind: Any = None
        self._resampler: Any = None
        self._picker: ChannelPicker | None = None
        """For what comes in other channels than the file began with; made when it first does."""

    def __call__(self, frame: Any) -> Float32Array:
        kind = (frame.format.name, frame.layout.name, frame.layout.nb_channels, frame.sample_rate)
        if kind != self._kind:
            # Packed, not planar: PyAV 18 reads one plane too many if there are eight and more, and crashes.
            self._kind, self._resampler = kind, self._av.AudioResampler(format="flt", rate=self._rate)
            if self._picker is not None:
                self._picker.reset()  # these are other channels, even if they are as many
        frame.pts = None  # the resampler would fill gaps in its own way
        pieces = [np.zeros((0, kind[2]), np.float32)]
        pieces += [piece.to_ndarray().reshape(piece.samples, -1) for piece in self._resampler.resample(frame)]
        samples = np.nan_to_num(np.concatenate(pieces), nan=0.0, posinf=1.0, neginf=-1.0)
        self._channels = self._channels or samples.shape[1]
        if samples.shape[1] != self._channels:
            samples = self._in_as_many(np.asarray(samples, np.float32))
        return np.asarray(np.clip(samples, -1.0, 1.0), np.float32)

    def _in_as_many(self, samples: Float32Array) -> Float32Array:
        """Return the channel that the voice is on, in each of as many channels as the file began with."""
        self._picker = self._picker or ChannelPicker()
        one = np.empty(len(samples), np.float32)
        self._picker.push(samples, self._rate, one)
        return np.repeat(one[:, None], self._channels, axis=1)
