"""A session's frames as arrays, which is how statistics, plots and exports want them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from operator import itemgetter

import numpy as np
import numpy.typing as npt

from facewire.bridge.frame import SOURCES, FaceFrame, FlameParameters, Float32Array
from facewire.bridge.recording.errors import SessionError
from facewire.bridge.recording.reader import FOREVER_NS, PROGRESS_EVERY, Progress, Session

Int64Array = npt.NDArray[np.int64]


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
    """One per frame, where every frame has them and their lengths are the same."""

    def __len__(self) -> int:
        return len(self.log_ns)

    @property
    def times_s(self) -> npt.NDArray[np.float64]:
        """Shape [n]: seconds from the first frame."""
        return np.asarray((self.log_ns - self.log_ns[0]) / 1e9, np.float64)

    @property
    def rate(self) -> float:
        """Frames a second as most frames follow each other (median); 0 where there are fewer than two."""
        gaps_ns = np.diff(self.log_ns)
        return float(1e9 / max(np.median(gaps_ns), 1)) if len(gaps_ns) else 0.0

    @property
    def dropped(self) -> int:
        """Frames that are missing by their ``seq``; where it goes back, another part begins."""
        steps = np.diff(self.seq)
        return int(np.sum(steps[steps > 1] - 1))


def load_track(
    session: Session, start_ns: int = 0, end_ns: int = FOREVER_NS, progress: Progress | None = None
) -> Track:
    """Return the frames from ``start_ns`` to ``end_ns`` (included) as arrays, sorted by their places.

    Raises:
        SessionError: there is none, or the file is damaged.
    """
    found = sorted(_counted(session.frames(start_ns, end_ns), session.frame_count, progress), key=itemgetter(0))
    if not found:
        raise SessionError(f"{session.path}: there are no frames in that part of the session")
    frames = [frame for _, frame in found]
    return Track(
        log_ns=np.array([log_ns for log_ns, _ in found], np.int64),
        seq=np.array([frame.seq for frame in frames], np.int64),
        latency_ns=np.array([frame.publish_ns - frame.capture_ns for frame in frames], np.int64),
        sources=np.array([SOURCES.index(frame.sources) for frame in frames], np.uint8),
        confidence=np.array([frame.confidence for frame in frames], np.float32),
        blendshapes=np.stack([frame.blendshapes for frame in frames]),
        head=np.stack([frame.head for frame in frames]),
        gaze=np.stack([frame.gaze for frame in frames]),
        flame=_flame(frames),
    )


def _counted(
    frames: Iterator[tuple[int, FaceFrame]], total: int, progress: Progress | None
) -> Iterator[tuple[int, FaceFrame]]:
    for number, item in enumerate(frames):
        if progress is not None and number % PROGRESS_EVERY == 0:
            progress(number, total)
        yield item


def _flame(frames: list[FaceFrame]) -> list[FlameParameters] | None:
    parameters = [frame.flame for frame in frames if frame.flame is not None]
    if len(parameters) < len(frames) or len({len(one.expression) for one in parameters}) != 1:
        return None
    return parameters
