"""A session's frames as arrays, which is how statistics, plots and exports want them."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from facewire.bridge.recording.errors import SessionError
from facewire.bridge.recording.reader import FOREVER_NS, PROGRESS_EVERY, Progress, Session
from facewire.bridge.shared.arrays import Float32Array
from facewire.bridge.wire.frame import SOURCES, FaceFrame, FlameParameters
from facewire.bridge.wire.streams import Stream

Int64Array = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ExtraTrack:
    """One of the further streams over all frames."""

    stream: Stream
    values: Float32Array
    """Shape [n, *shape]."""


@dataclass(slots=True)
class Track:
    """Frames in the order of the session; every array's first axis is the frame."""

    log_ns: Int64Array
    """Shape [n]: place on the session's time line."""
    seq: Int64Array
    latency_ns: Int64Array
    """Shape [n]: from capture to publication."""
    sources: npt.NDArray[np.uint8]
    """Shape [n]: index into ``SOURCES``."""
    confidence: Float32Array
    blendshapes: Float32Array
    """Shape [n, 52]."""
    head: Float32Array
    """Shape [n, 7]: quaternion xyzw, translation in metres."""
    gaze: Float32Array
    """Shape [n, 4]: radians."""
    flame: list[FlameParameters] | None = None
    """One per frame, if every frame has them and their lengths are the same."""
    extra: tuple[ExtraTrack, ...] = ()
    """The further streams that every frame has, in the same shape."""

    def __len__(self) -> int:
        return len(self.log_ns)

    @property
    def times_s(self) -> npt.NDArray[np.float64]:
        """Shape [n]: seconds from the first frame."""
        return np.asarray((self.log_ns - self.log_ns[0]) / 1e9, np.float64)

    @property
    def rate(self) -> float:
        """Frames a second as most frames follow each other (median); 0 if there are fewer than two."""
        gaps_ns = np.diff(self.log_ns)
        return float(1e9 / max(np.median(gaps_ns), 1)) if len(gaps_ns) else 0.0

    @property
    def dropped(self) -> int:
        """Frames that are missing by their ``seq``; if it goes back, another part begins."""
        steps = np.diff(self.seq)
        return int(np.sum(steps[steps > 1] - 1))


def load_track(
    session: Session, start_ns: int = 0, end_ns: int = FOREVER_NS, progress: Progress | None = None
) -> Track:
    """Return the frames from ``start_ns`` to ``end_ns`` (included) as arrays, in the order of their places.

    Raises:
        SessionError: there is none, or the file is damaged.
    """
    # Bytes, not frames: an hour of frame objects takes half a gigabyte.
    rows: list[tuple[int, int, int, int, float]] = []
    shapes, head, gaze = bytearray(), bytearray(), bytearray()
    flame: list[FlameParameters] = []
    extra: dict[str, list[Float32Array]] = {}
    for log_ns, frame in session.frames(start_ns, end_ns):
        if progress is not None and len(rows) % PROGRESS_EVERY == 0:
            progress(len(rows), session.frame_count)
        rows.append(_row(log_ns, frame))
        shapes += frame.blendshapes.tobytes()
        head += frame.head.tobytes()
        gaze += frame.gaze.tobytes()
        if frame.flame is not None:
            flame.append(frame.flame)
        for name, values in (frame.extra or {}).items():
            extra.setdefault(name, []).append(values)
    if not rows:
        raise SessionError(f"{session.path}: there are no frames in that part of the session")
    log_places, seq, latencies, sources, confidence = zip(*rows, strict=True)
    track = Track(
        log_ns=np.array(log_places, np.int64),
        seq=np.array(seq, np.int64),
        latency_ns=np.array(latencies, np.int64),
        sources=np.array(sources, np.uint8),
        confidence=np.array(confidence, np.float32),
        blendshapes=np.frombuffer(shapes, np.float32).reshape(len(rows), -1),
        head=np.frombuffer(head, np.float32).reshape(len(rows), -1),
        gaze=np.frombuffer(gaze, np.float32).reshape(len(rows), -1),
        flame=_whole(flame, len(rows)),
        extra=_stacked(session, extra, len(rows)),
    )
    return track if np.all(np.diff(track.log_ns) >= 0) else _in_order(track)


def _row(log_ns: int, frame: FaceFrame) -> tuple[int, int, int, int, float]:
    return log_ns, frame.seq, frame.publish_ns - frame.capture_ns, SOURCES.index(frame.sources), frame.confidence


def _stacked(session: Session, extra: dict[str, list[Float32Array]], count: int) -> tuple[ExtraTrack, ...]:
    """Return the further streams that all ``count`` frames have in one shape."""
    return tuple(
        ExtraTrack(session.extra[name], np.stack(values))
        for name, values in extra.items()
        if len(values) == count and len({one.shape for one in values}) == 1
    )


def _whole(flame: list[FlameParameters], count: int) -> list[FlameParameters] | None:
    """Return FLAME parameters if every frame has them in the same length."""
    return flame if len(flame) == count and len({len(one.expression) for one in flame}) == 1 else None


def _in_order(track: Track) -> Track:
    """Return the same frames by their places, for files of writers that do not keep the order."""
    order = np.argsort(track.log_ns, kind="stable")
    flame = None if track.flame is None else [track.flame[index] for index in order]
    extra = tuple(ExtraTrack(one.stream, one.values[order]) for one in track.extra)
    arrays = {one.name: getattr(track, one.name)[order] for one in fields(track) if one.name not in ("flame", "extra")}
    return Track(**arrays, flame=flame, extra=extra)
