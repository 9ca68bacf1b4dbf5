"""What a session holds, in figures."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from facewire.bridge.recording.check import check_session
from facewire.bridge.recording.layout import AUDIO_TOPIC, STATUS_TOPIC
from facewire.bridge.recording.reader import Progress, Session
from facewire.bridge.recording.track import Track, load_track
from facewire.bridge.shared.arkit import BLENDSHAPE_INDEX
from facewire.bridge.wire.frame import SOURCES

MAIN_SHAPES: dict[str, tuple[str, ...]] = {
    "jaw open": ("jawOpen",),
    "smile": ("mouthSmileLeft", "mouthSmileRight"),
    "pucker": ("mouthPucker",),
    "press": ("mouthPressLeft", "mouthPressRight"),
    "blink left": ("eyeBlinkLeft",),
    "blink right": ("eyeBlinkRight",),
    "brows up": ("browInnerUp", "browOuterUpLeft", "browOuterUpRight"),
    "brows down": ("browDownLeft", "browDownRight"),
}
"""What a person looks for first; several shapes count by the strongest."""


@dataclass(slots=True)
class SourceSpan:
    """A stretch of a session that one set of inputs drove."""

    source: str
    start_s: float
    end_s: float


@dataclass(slots=True)
class SessionInfo:
    """A session in figures; ``as_dict`` is what ``facewire info --json`` prints."""

    path: str
    origin: str
    program: str
    started_unix_ns: int
    start_guessed: bool
    """Whether that was lost, and is a guess by the damaged file's own time."""
    checked: bool
    """Whether every byte could be checked; of takes of older programs only frames, sound and index."""
    size_bytes: int
    duration_s: float
    frames: int
    rate: float
    """Frames a second as most frames follow each other."""
    mean_rate: float
    dropped: int
    """Frames missing by their numbers."""
    refused: int
    """Frames that the recorder had to drop because the disk was too slow."""
    latency_ms: tuple[float, float]
    """Median and 99th percentile from capture to publication."""
    sources: list[SourceSpan]
    shares: dict[str, float]
    """Part of the frames that each source drove."""
    shapes: dict[str, tuple[float, float]]
    """Mean and greatest value of the main shapes."""
    audio: dict[str, Any] | None
    statuses: int

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values for JSON."""
        return asdict(self)


def describe(session: Session, progress: Progress | None = None) -> tuple[SessionInfo, Track | None]:
    """Return a session's figures, and its frames for a caller that wants to draw them (None if it is empty).

    Raises:
        SessionError: any part of the file is damaged.
    """
    checked = check_session(session)
    track = load_track(session, progress=progress) if session.frame_count else None
    duration_s = session.duration_ns / 1e9
    size = session.size_bytes
    info = SessionInfo(
        path=str(session.path),
        origin=session.metadata.origin,
        program=session.metadata.program,
        started_unix_ns=session.metadata.started_unix_ns,
        start_guessed=session.start_guessed,
        checked=checked,
        size_bytes=size,
        duration_s=duration_s,
        frames=session.frame_count,
        rate=0.0 if track is None else track.rate,
        mean_rate=(session.frame_count - 1) / duration_s if duration_s > 0 else 0.0,
        dropped=0 if track is None else track.dropped,
        refused=int(session.end.get("refused_frames", "0")),
        latency_ms=(0.0, 0.0) if track is None else _latency_ms(track),
        sources=[] if track is None else source_spans(track),
        shares={} if track is None else _shares(track),
        shapes={} if track is None else {name: _mean_and_most(track, name) for name in MAIN_SHAPES},
        audio=_audio(session),
        statuses=session.count(STATUS_TOPIC),
    )
    return info, track


def shape_curve(track: Track, name: str) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return one of ``MAIN_SHAPES`` over the frames, shape [n]."""
    columns = [BLENDSHAPE_INDEX[shape] for shape in MAIN_SHAPES[name]]
    curve: np.ndarray[Any, np.dtype[np.float32]] = track.blendshapes[:, columns].max(axis=1)
    return curve


def source_spans(track: Track) -> list[SourceSpan]:
    """Return the stretches of one source each, in order; each ends where the next begins."""
    changes = np.flatnonzero(np.diff(track.sources)) + 1
    starts = np.concatenate(([0], changes))
    ends = np.concatenate((changes, [len(track) - 1]))
    times_s = track.times_s
    return [
        SourceSpan(SOURCES[track.sources[start]], float(times_s[start]), float(times_s[end]))
        for start, end in zip(starts, ends, strict=True)
    ]


def _shares(track: Track) -> dict[str, float]:
    counts = np.bincount(track.sources, minlength=len(SOURCES)) / len(track)
    return {name: float(share) for name, share in zip(SOURCES, counts, strict=True) if share}


def _latency_ms(track: Track) -> tuple[float, float]:
    median, worst = np.percentile(track.latency_ns, [50, 99]) / 1e6
    return float(median), float(worst)


def _mean_and_most(track: Track, name: str) -> tuple[float, float]:
    curve = shape_curve(track, name)
    return float(curve.mean()), float(curve.max())


def _audio(session: Session) -> dict[str, Any] | None:
    if session.audio is None:
        return None
    return {"rate": session.audio.rate, "channels": session.audio.channels, "blocks": session.count(AUDIO_TOPIC)}
