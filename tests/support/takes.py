"""Takes of a face that talks, blinks and nods, and of a voice-like tone: the same on every run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from facewire.bridge.recording.layout import AudioBlock, AudioFormat, SessionMetadata
from facewire.bridge.recording.writer import SessionWriter
from facewire.bridge.shared.arkit import BLENDSHAPE_INDEX, BLENDSHAPES
from facewire.bridge.wire.codec import Encoder
from facewire.bridge.wire.frame import FaceFrame

START_NS = 5_000_000_000
"""Where a test take's clock begins: a session clock has an arbitrary origin."""
STARTED_UNIX_NS = 1_790_000_000_000_000_000

MakeTake = Callable[..., Path]
"""The fixture ``make_take``: ``write_take`` into the test's folder."""
Frames = Callable[..., Iterator[FaceFrame]]
"""The fixture ``frames``: ``talking_frames``."""


def talking_frames(count: int, rate: float = 60.0, start_ns: int = START_NS) -> Iterator[FaceFrame]:
    """Yield frames of a face whose jaw opens three times a second, that blinks every two seconds and nods slowly."""
    rng = np.random.default_rng(7)
    for seq in range(count):
        time_s = seq / rate
        shapes = rng.uniform(0, 0.05, len(BLENDSHAPES)).astype(np.float32)
        shapes[BLENDSHAPE_INDEX["jawOpen"]] = 0.5 - 0.5 * np.cos(2 * np.pi * 3 * time_s)
        blink = max(0.0, 1 - abs(time_s % 2 - 1) / 0.1)
        shapes[[BLENDSHAPE_INDEX["eyeBlinkLeft"], BLENDSHAPE_INDEX["eyeBlinkRight"]]] = blink
        nod = 0.2 * np.sin(2 * np.pi * 0.5 * time_s)
        head = np.array([np.sin(nod / 2), 0, 0, np.cos(nod / 2), 0.01, -0.02, -0.5], np.float32)
        gaze = np.array([0.1, 0.05, 0.08, 0.05], np.float32)
        publish_ns = start_ns + round(seq * 1e9 / rate)
        yield FaceFrame(seq, publish_ns - 9_000_000, publish_ns, "video", 0.97, shapes, head, gaze)


def voice(seconds: float, rate: int = 16_000) -> np.ndarray:
    """Return int16 samples of a 180 Hz tone whose loudness follows ``talking_frames``'s jaw."""
    time_s = np.arange(round(seconds * rate)) / rate
    loudness = 0.5 - 0.5 * np.cos(2 * np.pi * 3 * time_s)
    return np.round(12_000 * loudness * np.sin(2 * np.pi * 180 * time_s)).astype(np.int16)


def write_take(
    path: Path,
    *,
    seconds: float = 2.0,
    rate: float = 60.0,
    audio: AudioFormat | None = None,
    start_ns: int = START_NS,
    commit_every: int = 30,
    finish: bool = True,
    end: dict[str, str] | None = None,
) -> Path:
    """Write a session of ``talking_frames``, with ``voice`` where ``audio`` says how, and return its path."""
    metadata = SessionMetadata(STARTED_UNIX_NS, start_ns, hello={"type": "hello", "rate": rate}, session="test")
    writer, encoder, fed = SessionWriter(path, metadata), Encoder(), 0
    samples = voice(seconds, audio.rate) if audio else np.zeros(0, np.int16)
    block = audio.rate // 50 if audio else 1
    for frame in talking_frames(round(seconds * rate), rate, start_ns):
        while audio and fed < len(samples) and fed * 1e9 / audio.rate + start_ns <= frame.publish_ns:
            data = np.repeat(samples[fed : fed + block], audio.channels).tobytes()
            writer.add_audio(AudioBlock(start_ns + fed * 10**9 // audio.rate, fed, data), audio)
            fed += block
        writer.add_frame(encoder.frame(frame), frame.seq, frame.publish_ns)
        if frame.seq % round(rate) == 0:
            writer.add_status(encoder.message({"type": "status", "drops": {}}), frame.publish_ns)
        if commit_every and frame.seq % commit_every == commit_every - 1:
            writer.commit()
    if finish:
        return writer.finish(end)
    writer.commit()
    writer.close()
    return writer.file.part
