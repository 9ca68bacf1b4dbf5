"""Records a live session on a thread of its own: the live path appends to a queue and never waits for the disk."""

from __future__ import annotations

import json
import logging
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from facewire.bridge.recording.errors import RecordingError
from facewire.bridge.recording.layout import AudioBlock, AudioFormat, SessionMetadata
from facewire.bridge.recording.writer import SessionWriter
from facewire.bridge.shared.clock import Clock, now_ns
from facewire.bridge.shared.errors import FacewireError, WireError
from facewire.bridge.shared.worker import Worker
from facewire.bridge.wire.codec import Encoder
from facewire.bridge.wire.frame import FaceFrame
from facewire.bridge.wire.streams import recorded_streams

logger = logging.getLogger("facewire.runtime")

MAX_WAITING = 6000
"""Frames, and sound blocks, that may wait while the disk stalls: a minute of either and 10 MB at the most.
Drop policy: one more of its kind is refused and counted; what waits is written: a stall costs one gap, not the take."""
SOUND_MESSAGE_S = 0.1
"""Blocks that go on from each other are written together up to this length: each message costs some 60 bytes of its
own."""
POLL_S = 0.05
"""How often the thread looks for work."""
COMMIT_NS = 500_000_000
"""A chunk is closed and handed to the system this often: what a killed process loses is less than a second."""
SYNC_NS = 1_000_000_000
"""The system is asked to put it on the disk this often: what a power cut loses, if the disk keeps up."""
STATUS_NS = 1_000_000_000


@dataclass(slots=True)
class RecordingCounts:
    """What happened so far. One thread writes each number; others may read."""

    frames: int = 0
    audio_blocks: int = 0
    refused_frames: int = 0
    """Frames that were dropped because ``MAX_WAITING`` waited already."""
    refused_audio: int = 0
    """Sound blocks that were dropped for that reason, or because their rate is not the take's."""
    bad_frames: int = 0
    """Frames that the wire cannot carry."""


class Recorder(Worker):
    """One take. ``offer_frame`` and ``offer_audio`` may be called from any thread; each costs a queue's append.

    After a failure (disk full, disk gone) ``error`` says what happened, ``notify`` got it as one line, and offers do
    nothing.
    """

    def __init__(
        self,
        path: Path,
        metadata: SessionMetadata,
        *,
        force: bool = False,
        status: Callable[[], Mapping[str, Any]] | None = None,
        profile: Callable[[], Mapping[str, Any] | None] = lambda: None,
        flame: Callable[[], Mapping[str, Any] | None] = lambda: None,
        notify: Callable[[str], None] = logger.warning,
        clock: Clock = now_ns,
    ) -> None:
        """Create the file.

        Args:
            status: returns the keys of a status message, recorded once a second.
            profile: returns the calibration at the end, if there is one.
            flame: returns whose FLAME it is, if there is any.
            notify: gets one line when the recording has to stop.

        Raises:
            SessionError: there is such a file already, or no such folder.
            RecordingError: the file cannot be made.
        """
        super().__init__("record", clock)
        self.path = path
        self.counts = RecordingCounts()
        self.error: FacewireError | None = None
        self._writer = SessionWriter(path, metadata, force=force)
        self._encoder, self._streams = Encoder(), recorded_streams()
        self._status, self._profile, self._flame, self._notify = status, profile, flame, notify
        self._frames: deque[FaceFrame] = deque()
        self._audio: deque[tuple[AudioBlock, AudioFormat]] = deque()
        self._sound: list[AudioBlock] = []
        self._committed_ns = self._synced_ns = self._status_ns = clock()
        self._first_ns = self._last_ns = 0

    def offer_frame(self, frame: FaceFrame) -> None:
        """Have ``frame`` recorded. Never blocks and raises nothing."""
        if len(self._frames) >= MAX_WAITING:
            self.counts.refused_frames += 1
        elif self.error is None:
            self._frames.append(frame)

    def offer_audio(self, block: AudioBlock, audio: AudioFormat) -> None:
        """Have a run of samples recorded; ``audio`` is the same for a whole take. Never blocks and raises nothing."""
        if len(self._audio) >= MAX_WAITING:
            self.counts.refused_audio += 1
        elif self.error is None:
            self._audio.append((block, audio))

    def stop(self, timeout_s: float = 10.0) -> Path:  # type: ignore[override]
        """Write what waits, close the take and return its path.

        Raises:
            RecordingError: the take could not be finished, or had failed before.
        """
        super().stop(timeout_s)
        if self.running:
            raise RecordingError(f"the disk is too slow for {self.path}: what it took is in {self._writer.file.part}")
        if self.error is not None:
            raise self.error
        return self.path

    @property
    def length_s(self) -> float:
        """Seconds from the first frame recorded to the last."""
        return max(0, self._last_ns - self._first_ns) / 1e9

    @property
    def active(self) -> bool:
        """Whether frames are still taken."""
        return self.error is None and not self._stopping.is_set()

    def wait(self) -> None:
        """Let some work gather: waking for each frame would cost the live path more than appending does."""
        self._stopping.wait(POLL_S)

    def turn(self, now_ns: int) -> bool:
        """Write what waits, and what is due at ``now_ns``: a status, a chunk, a sync."""
        self._drain()
        if self._status is not None and now_ns - self._status_ns >= STATUS_NS:
            self._status_ns = now_ns
            self._add_status(now_ns)
        if now_ns - self._committed_ns >= COMMIT_NS:
            self._committed_ns = now_ns
            self._write_sound()
            self._writer.commit()
        if now_ns - self._synced_ns >= SYNC_NS:
            self._synced_ns = now_ns
            self._writer.sync()
        return True

    def finish(self) -> None:
        """Write the rest and close the take."""
        try:
            self._drain()
            self._write_sound()
            self._writer.commit()
            self.path = self._writer.finish(self._end())
        except Exception as error:
            self.goes_on(error)

    def goes_on(self, error: Exception) -> bool:
        """End the take: whatever a disk does, the live path goes on."""
        self.error = error if isinstance(error, FacewireError) else RecordingError(f"recording failed: {error!r}")
        self._frames.clear()
        self._audio.clear()
        self._writer.close()
        self._notify(f"the recording has stopped: {self.error}")
        return False

    def _drain(self) -> None:
        while self._frames:
            frame = self._frames.popleft()
            try:
                data = self._encoder.frame(frame, self._streams)
            except WireError:
                self.counts.bad_frames += 1
                continue
            self._writer.add_frame(data, frame.seq, frame.publish_ns)
            self._first_ns = self._first_ns if self.counts.frames else frame.publish_ns
            self._last_ns = frame.publish_ns
            self.counts.frames += 1
        while self._audio:
            self._add_sound(*self._audio.popleft())

    def _add_sound(self, block: AudioBlock, audio: AudioFormat) -> None:
        """Gather blocks that go on from each other; write them when they are long enough, or end."""
        if self._writer.audio not in (None, audio):
            if not self.counts.refused_audio:
                self._notify(
                    "the microphone's rate has changed: the take goes on without sound; start a new one for it"
                )
            self.counts.refused_audio += 1
            return
        if self._sound:
            first = self._sound[0].first_sample
            held = sum(len(one.samples) for one in self._sound) // audio.block_bytes
            if block.first_sample != first + held or held >= SOUND_MESSAGE_S * audio.rate:
                self._write_sound()
        self._writer.register_audio(audio)
        self._sound.append(block)
        self.counts.audio_blocks += 1

    def _write_sound(self) -> None:
        if self._sound and self._writer.audio is not None:
            joined = replace(self._sound[0], samples=b"".join(block.samples for block in self._sound))
            self._writer.add_audio(joined, self._writer.audio)
        self._sound.clear()

    def _add_status(self, now: int) -> None:
        assert self._status is not None
        try:
            data, _ = self._encoder.lenient({**self._status(), "type": "status"})
        except Exception as error:  # Another thread's state, read as it changes: a status is missing, not the take.
            logger.debug("no status was recorded: %r", error)
            return
        self._writer.add_status(data, now)

    def _end(self) -> dict[str, str]:
        counts = self.counts
        end = {
            "frames": str(counts.frames),
            "refused_frames": str(counts.refused_frames),
            "refused_audio": str(counts.refused_audio),
            "bad_frames": str(counts.bad_frames),
        }
        about = {"profile": _text(self._profile), "flame": _text(self._flame)}
        return end | {key: text for key, text in about.items() if text is not None}


def _text(ask: Callable[[], Mapping[str, Any] | None]) -> str | None:
    """Return what a run says of itself as JSON; None if that fails, for the take is whole without it."""
    try:
        value = ask()
        return None if value is None else json.dumps(value)
    except Exception as error:
        logger.warning("the take lacks some of the run's details: %r", error)
        return None
