"""Small real media files: a picture that turns white and a click at the same moment, with whatever is wrong."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

WIDTH, HEIGHT, RATE, PICTURES, FLASH = 64, 48, 30, 90, 45
FLASH_S = FLASH / RATE
"""When the picture turns white and the click sounds, after the first picture."""


def clicking(count: int, at: int, rate: int) -> npt.NDArray[np.float32]:
    """Return a quiet tone with a loud click of 5 ms at a sample."""
    samples = (0.02 * np.sin(2 * np.pi * 300 * np.arange(count) / rate)).astype(np.float32)
    click = 0.9 * np.sin(2 * np.pi * 2000 * np.arange(rate // 200) / rate)
    samples[at : at + len(click)] = click[: max(0, count - at)]
    return samples


def click_s(samples: npt.NDArray[Any], rate: int) -> float:
    """Return when the click begins."""
    loud = np.abs(samples.reshape(len(samples), -1)).max(axis=1) > 0.45
    assert loud.any(), "no click"
    return int(np.argmax(loud)) / rate


def make_media(
    path: Path,
    video: str | None = "mpeg4",
    sound: str | None = None,
    *,
    sound_starts_s: float = 0.0,
    pictures_start_s: float = 0.0,
    times_s: Sequence[float] | None = None,
    without: Iterable[tuple[float, float]] = (),
    rate: int = 48_000,
    form: str | None = None,
    options: dict[str, str] | None = None,
    in_pieces: bool = False,
    noise: bool = False,
    count: int = PICTURES,
) -> Path:
    """Write a file whose click sounds when its picture turns white.

    ``times_s`` are the pictures' own times; ``without`` are stretches of which no sound is written. Without pictures
    the click is ``FLASH_S`` after the sound's own beginning. ``noise`` gives pictures that take room.
    """
    pieces = {"movflags": "frag_keyframe+empty_moov"} if in_pieces else {}
    with av.open(str(path), "w", format=form, options=pieces) as container:
        pictures: Any = container.add_stream(video, rate=RATE) if video else None
        track: Any = container.add_stream(sound, rate=rate) if sound else None
        if track is not None:
            track.layout = "mono"
        if pictures is not None:
            pictures.width, pictures.height, pictures.pix_fmt, pictures.options = (
                WIDTH,
                HEIGHT,
                "yuv420p",
                options or {},
            )
            pictures.time_base = pictures.codec_context.time_base = Fraction(1, RATE if times_s is None else 1000)
            _write_pictures(container, pictures, times_s or [i / RATE for i in range(count)], pictures_start_s, noise)
        if track is not None:
            click_at_s = FLASH_S + pictures_start_s if video else FLASH_S + sound_starts_s
            _write_sound(container, track, rate, sound_starts_s, click_at_s, list(without))
    return path


def _write_pictures(container: Any, stream: Any, times_s: Sequence[float], start_s: float, noise: bool) -> None:
    dice = np.random.default_rng(1)
    for time_s in times_s:
        picture = np.full((HEIGHT, WIDTH, 3), 255 if time_s >= FLASH_S - 1e-6 else 0, np.uint8)
        if noise:
            picture = dice.integers(0, 100, picture.shape, np.uint8)
        frame = av.VideoFrame.from_ndarray(picture, "bgr24").reformat(format="yuv420p")
        frame.time_base = stream.codec_context.time_base
        frame.pts = round((time_s + start_s) / frame.time_base)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def _write_sound(
    container: Any, stream: Any, rate: int, start_s: float, click_at_s: float, without: list[tuple[float, float]]
) -> None:
    samples = clicking(round(3.2 * rate), round((click_at_s - start_s) * rate), rate)
    convert = av.AudioResampler(format=stream.codec_context.format.name, layout="mono", rate=rate)
    packets = []
    for first in range(0, len(samples), 1024):
        frame = av.AudioFrame.from_ndarray(samples[None, first : first + 1024], "flt", "mono")
        frame.sample_rate, frame.time_base, frame.pts = rate, Fraction(1, rate), first + round(start_s * rate)
        for converted in convert.resample(frame):
            packets += stream.encode(converted)
    for packet in packets + list(stream.encode(None)):
        time_s = float(packet.pts * packet.time_base)
        if not any(begin <= time_s < end for begin, end in without):
            container.mux(packet)


def damage_packets(path: Path, kind: str, first: int, count: int) -> None:
    """Overwrite some packets of the file's first sound or video track with random bytes."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0] if kind == "audio" else container.streams.video[0]
        places = [(packet.pos, packet.size) for packet in container.demux(stream) if packet.size]
    content, dice = bytearray(path.read_bytes()), random.Random(1)
    for place, size in places[first : first + count]:
        content[place : place + size] = dice.randbytes(size)
    path.write_bytes(content)


def damage_middle(path: Path, share: float = 0.2) -> None:
    """Overwrite the middle of a file with random bytes."""
    content, size = bytearray(path.read_bytes()), round(share * path.stat().st_size)
    start = (len(content) - size) // 2
    content[start : start + size] = random.Random(2).randbytes(size)
    path.write_bytes(content)
