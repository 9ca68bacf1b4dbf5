"""Saves what is whole in a session file that was cut or damaged."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from mcap.data_stream import ReadDataStream
from mcap.opcode import Opcode
from mcap.records import Channel, Metadata
from mcap.writer import MCAP0_MAGIC

from facewire.bridge.recording.chunks import MAX_CHUNK_BYTES, Stored, chunk_channels, chunk_messages, unpack_chunk
from facewire.bridge.recording.errors import NO_RECORD, NewerSessionError, SessionError
from facewire.bridge.recording.index import RECORD_HEAD, read_index
from facewire.bridge.recording.layout import (
    AUDIO_TOPIC,
    FRAME_TOPIC,
    METADATA_NAME,
    STATUS_TOPIC,
    AudioBlock,
    AudioFormat,
    SessionMetadata,
)
from facewire.bridge.recording.partfile import reason
from facewire.bridge.recording.reader import Progress, Session, counted
from facewire.bridge.recording.writer import SessionWriter
from facewire.bridge.shared.errors import WireError
from facewire.bridge.wire.codec import decode_message

DATA_END_BYTES = 4
IN_CHUNK_HEAD, CHUNK_HEAD_BYTES = b"\4\0\0\0zstd", RECORD_HEAD.size + 28
"""The name of the compression, and how far behind the beginning of a chunk's record it stands."""
SEARCH_BYTES = 1 << 20


@dataclass(slots=True)
class RepairReport:
    """What a repair saved."""

    frames: int = 0
    audio_blocks: int = 0
    statuses: int = 0
    first_ns: int | None = None
    """Log time of the first frame saved."""
    last_ns: int | None = None
    damaged_chunks: int = 0
    """Chunks in the middle, or runs of them, that could not be read."""
    lost_bytes: int = 0
    """At the end of the file, that belong to nothing whole."""

    @property
    def duration_s(self) -> float:
        """From the first frame saved to the last, in seconds."""
        return 0.0 if self.first_ns is None or self.last_ns is None else (self.last_ns - self.first_ns) / 1e9


def repair(source: Path, output: Path, *, force: bool = False, progress: Progress | None = None) -> RepairReport:
    """Write a whole session ``output`` with all that can be read in ``source``, which stays as it is.

    Raises:
        SessionError: ``source`` is not a session, or no frame and sound in it can be read; ``output`` already exists.
        RecordingError: ``output`` cannot be written.
    """
    report = RepairReport()
    try:
        with source.open("rb") as file:
            if output.exists() and output.samefile(source):
                raise SessionError("it would be read and written at the same time: name another output")
            salvage = _Salvage(file, report, progress)
            _write(salvage, output, report, force)
    except OSError as error:
        raise SessionError(f"cannot read {source}: {reason(error)}") from None
    except SessionError as error:
        raise type(error)(f"{source}: {error}" if str(source) not in str(error) else str(error)) from None
    return report


class _Salvage:
    """Walks the records of a file from its beginning, and goes on at the next chunk if they make no sense."""

    def __init__(self, file: BinaryIO, report: RepairReport, progress: Progress | None) -> None:
        self._file = file
        self._progress = progress
        self._report = report
        self._topics: dict[int, str] = {}
        self.audio: AudioFormat | None = None
        with contextlib.suppress(SessionError):  # Where the end is whole, it repeats what the first chunk says.
            self._note(read_index(file).channels.values())
        self._size = file.seek(0, 2)
        self._end = len(MCAP0_MAGIC)
        file.seek(0)
        if file.read(len(MCAP0_MAGIC)) != MCAP0_MAGIC:
            raise SessionError("this is not a session: it is not an MCAP file")
        self._records = self._walk()
        self.metadata = self._find_metadata()

    def messages(self) -> Iterator[Stored]:
        """Yield all messages that can be read, then note how many bytes at the end belong to nothing whole."""
        for opcode, body in self._records:
            if opcode != Opcode.CHUNK:
                continue
            try:
                records = unpack_chunk(body)
                self._note(chunk_channels(records))
                found = list(chunk_messages(records))
            except SessionError:
                self._report.damaged_chunks += 1
                continue
            yield from found
        self._report.lost_bytes = self._size - self._end

    def topic(self, stored: Stored) -> str | None:
        """Return what a message is: by its channel or, if the chunk that names that is damaged, by what it says."""
        if stored.channel_id not in self._topics:
            with contextlib.suppress(WireError):
                self._topics[stored.channel_id] = decode_message(stored.data)["type"]
        return self._topics.get(stored.channel_id)

    def _note(self, channels: Iterable[Channel]) -> None:
        for channel in channels:
            self._topics[channel.id] = channel.topic
            if channel.topic == AUDIO_TOPIC:
                self.audio = AudioFormat.from_channel_metadata(channel.metadata)

    def _walk(self) -> Iterator[tuple[int, bytes]]:
        place: int | None = self._end
        while place is not None:
            self._file.seek(place)
            opcode, length = RECORD_HEAD.unpack(self._file.read(RECORD_HEAD.size).ljust(RECORD_HEAD.size, b"\0"))
            if opcode == Opcode.DATA_END and length == DATA_END_BYTES:
                self._end = self._size  # Only the index was damaged: nothing that was recorded is lost.
                return
            body = self._file.read(length) if 0 < opcode < 0x80 and length <= MAX_CHUNK_BYTES else None
            if body is None or len(body) < length:
                place = self._next_chunk(place + 1)
                self._report.damaged_chunks += place is not None
                continue
            place = self._end = self._file.tell()
            if self._progress is not None:
                self._progress(self._end, self._size)
            yield opcode, body

    def _next_chunk(self, start: int) -> int | None:
        """Return where the next chunk begins, at ``start`` or behind it, by what stands in the head of each of ours."""
        self._file.seek(start + CHUNK_HEAD_BYTES)
        kept, place = b"", start
        while block := self._file.read(SEARCH_BYTES):
            kept += block
            if (found := kept.find(IN_CHUNK_HEAD)) >= 0:
                return place + found
            place += max(0, len(kept) - len(IN_CHUNK_HEAD))
            kept = kept[-len(IN_CHUNK_HEAD) :]
        return None

    def _find_metadata(self) -> SessionMetadata:
        for opcode, body in self._records:
            if opcode == Opcode.METADATA:
                try:
                    metadata = Metadata.read(ReadDataStream(BytesIO(body)))
                except NO_RECORD:
                    break
                if metadata.name == METADATA_NAME:
                    return SessionMetadata.from_record(metadata.metadata)
            elif opcode == Opcode.CHUNK:
                break
        raise SessionError("nothing of a Facewire session can be read in it: there is nothing to save")


def _write(salvage: _Salvage, output: Path, report: RepairReport, force: bool) -> None:
    # Not the usual temporary name: that may be the very file that is repaired.
    part = output.with_name(f".{output.name}.repairing")
    writer = SessionWriter(output, replace(salvage.metadata, origin="repair"), force=force, part=part)
    try:
        for stored in salvage.messages():
            _copy(writer, salvage, stored, report)
        if report.frames == 0 and report.audio_blocks == 0:
            raise SessionError("nothing had been saved when it was cut: no frame is in it")
        writer.finish(
            {"repaired_lost_bytes": str(report.lost_bytes), "repaired_damaged_chunks": str(report.damaged_chunks)}
        )
    except BaseException:
        writer.discard()
        raise


def _copy(writer: SessionWriter, salvage: _Salvage, stored: Stored, report: RepairReport) -> None:
    topic = salvage.topic(stored)
    if topic == FRAME_TOPIC:
        writer.add_frame(stored.data, stored.sequence, stored.log_ns)
        report.frames += 1
        report.first_ns = stored.log_ns if report.first_ns is None else report.first_ns
        report.last_ns = stored.log_ns
    elif topic == AUDIO_TOPIC and salvage.audio is not None:
        writer.add_audio(AudioBlock.unpack(stored.log_ns, stored.data), salvage.audio)
        report.audio_blocks += 1
    elif topic == STATUS_TOPIC:
        writer.add_status(stored.data, stored.log_ns)
        report.statuses += 1


def is_whole(path: Path, progress: Progress | None = None) -> bool:
    """Say whether every frame and every block of sound of a session can be read.

    Raises:
        SessionError: the file does not exist, or has a newer format, for which a repair would not help.
    """
    if not path.is_file():
        raise SessionError(f"{path} does not exist: check the name")
    try:
        with Session(path) as session:
            frames = counted(session.frames(), session.frame_count, progress)
            return all(True for _ in frames) and all(True for _ in session.audio_blocks())
    except NewerSessionError:
        raise
    except SessionError:
        return False
