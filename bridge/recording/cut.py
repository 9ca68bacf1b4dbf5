"""Trims and joins sessions: messages are copied as they are, only their places on the time line move."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from heapq import merge
from pathlib import Path

from facewire.bridge.recording.chunks import Stored
from facewire.bridge.recording.errors import SessionError
from facewire.bridge.recording.layout import (
    AUDIO_TOPIC,
    FRAME_TOPIC,
    REPAIRED_START,
    STATUS_TOPIC,
    AudioBlock,
    AudioFormat,
)
from facewire.bridge.recording.reader import PROGRESS_EVERY, Progress, Session, open_session
from facewire.bridge.recording.sound import LEAD_NS
from facewire.bridge.recording.writer import SessionWriter
from facewire.bridge.shared.clock import NS_PER_S
from facewire.bridge.shared.regular_file import are_same

JOIN_GAP_NS = NS_PER_S // 60
"""Between the last frame of one part and the first of the next if their rates are not known."""


@dataclass(frozen=True, slots=True)
class TimeRange:
    """A part of a session, in seconds from its first frame; None is the session's own start or end."""

    start_s: float | None = None
    end_s: float | None = None

    def resolve_ns(self, session: Session) -> tuple[int, int]:
        """Return the first and the last log time of the part, both included.

        Raises:
            SessionError: it is empty or outside the session.
        """
        duration_s = session.duration_ns / NS_PER_S
        start_s = 0.0 if self.start_s is None else self.start_s
        end_s = duration_s if self.end_s is None else self.end_s
        if not 0 <= start_s <= duration_s:
            raise SessionError(
                f"{session.path}: start {start_s:g} s is outside the session, which is {duration_s:.2f} s long"
            )
        if not start_s <= end_s or (self.end_s is not None and end_s > duration_s + 0.001):
            raise SessionError(
                f"{session.path}: end {end_s:g} s is before the start or past the end ({duration_s:.2f} s)"
            )
        start_ns = session.start_ns + round(start_s * NS_PER_S)
        end_ns = (
            session.end_ns if self.end_s is None else min(session.end_ns, session.start_ns + round(end_s * NS_PER_S))
        )
        return start_ns, end_ns


@dataclass(slots=True)
class CutReport:
    """What was written."""

    frames: int = 0
    duration_ns: int = 0


def cut(
    sources: Sequence[Path], output: Path, part: TimeRange, *, force: bool = False, progress: Progress | None = None
) -> CutReport:
    """Write ``part`` of each source, one behind the other, into the session ``output``.

    Frames keep their bytes; the time line goes on from one source to the next by one frame's time.

    Raises:
        SessionError: a source cannot be used, the part is outside it, ``output`` already exists or is a source, or
            the audio formats of the sources differ.
        RecordingError: ``output`` cannot be written.
    """
    with ExitStack() as stack:
        sessions = [stack.enter_context(open_session(path)).require_frames() for path in sources]
        ranges = [part.resolve_ns(session) for session in sessions]
        audio = _common_audio(sessions)
        if any(are_same(path, output) for path in sources):
            raise SessionError(f"{output} would be read and written at the same time: name another output")
        first, (start_ns, _) = sessions[0], ranges[0]
        origin = "cut" if len(sessions) == 1 else "join"
        started_unix_ns = first.metadata.started_unix_ns + start_ns - first.metadata.started_clock_ns
        metadata = replace(first.metadata, origin=origin, started_clock_ns=start_ns, started_unix_ns=started_unix_ns)
        writer = SessionWriter(output, metadata, audio=audio, force=force)
        try:
            report = _copy_all(writer, sessions, ranges, progress)
            writer.finish(_common_end(sessions))
        except BaseException:
            writer.discard()
            raise
    return report


def _common_end(sessions: Sequence[Session]) -> dict[str, str]:
    """Return what their end records say alike of who it is; the counts are those of the whole recordings."""
    said, *others = {session.end.get("flame") for session in sessions}
    end = {} if said is None or others else {"flame": said}
    return end | ({REPAIRED_START: "guessed"} if sessions[0].start_guessed else {})


def _common_audio(sessions: Sequence[Session]) -> AudioFormat | None:
    formats = {session.audio for session in sessions if session.audio is not None}
    if len(formats) > 1:
        texts = ", ".join(sorted(f"{audio.rate} Hz × {audio.channels}" for audio in formats))
        raise SessionError(f"the audio of these sessions differs ({texts}): they cannot be joined")
    return next(iter(formats), None)


def _copy_all(
    writer: SessionWriter, sessions: Sequence[Session], ranges: Sequence[tuple[int, int]], progress: Progress | None
) -> CutReport:
    report = CutReport()
    place_ns = ranges[0][0]
    first_ns = place_ns
    total = sum(session.frame_count for session in sessions)
    for session, (start_ns, end_ns) in zip(sessions, ranges, strict=True):
        shift_ns = place_ns - start_ns
        last_ns = place_ns
        for topic, stored in _merged(session, start_ns, end_ns):
            log_ns = stored.log_ns + shift_ns
            _copy(writer, session, topic, stored, log_ns, place_ns)
            if topic == FRAME_TOPIC:
                report.frames += 1
                last_ns = log_ns
                if progress is not None and report.frames % PROGRESS_EVERY == 0:
                    progress(report.frames, total)
        report.duration_ns = last_ns - first_ns
        place_ns = last_ns + _frame_interval_ns(session)
    return report


def _merged(session: Session, start_ns: int, end_ns: int) -> Iterator[tuple[str, Stored]]:
    def tagged(topic: str) -> Iterator[tuple[str, Stored]]:
        begin_ns = start_ns - LEAD_NS if topic == AUDIO_TOPIC else start_ns
        return ((topic, stored) for stored in session.messages(topic, begin_ns, end_ns))

    return merge(*map(tagged, (FRAME_TOPIC, AUDIO_TOPIC, STATUS_TOPIC)), key=lambda item: item[1].log_ns)


def _copy(writer: SessionWriter, session: Session, topic: str, stored: Stored, log_ns: int, begin_ns: int) -> None:
    """Copy a message to ``log_ns``; of a block of sound that begins before ``begin_ns`` what lies behind that."""
    if topic == FRAME_TOPIC:
        writer.add_frame(stored.data, stored.sequence, log_ns)
    elif topic == STATUS_TOPIC:
        writer.add_status(stored.data, log_ns)
    elif session.audio is not None:
        block = replace(AudioBlock.unpack(stored.log_ns, stored.data), log_ns=log_ns)
        if (rest := _from(block, session.audio, begin_ns)) is not None:
            writer.add_audio(rest, session.audio)


def _from(block: AudioBlock, audio: AudioFormat, begin_ns: int) -> AudioBlock | None:
    """Return the samples of a block that are not before ``begin_ns``."""
    left_out = max(0, -((block.log_ns - begin_ns) * audio.rate // NS_PER_S))
    samples = block.samples[left_out * audio.block_bytes :]
    log_ns = block.log_ns + left_out * NS_PER_S // audio.rate
    return AudioBlock(log_ns, block.first_sample + left_out, samples) if samples else None


def _frame_interval_ns(session: Session) -> int:
    return session.duration_ns // (session.frame_count - 1) if session.frame_count > 1 else JOIN_GAP_NS
