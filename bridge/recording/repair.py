"""Saves what is whole in a session file that was cut or damaged.

Two passes, for a damaged file may hold chunks twice or in another order: the first finds every chunk whose content is
right, wherever it lies, and what the file says about itself; the second copies the messages in the order of time.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from mcap.opcode import Opcode
from mcap.records import Channel
from mcap.writer import MCAP0_MAGIC

from facewire.bridge.recording.check import is_whole
from facewire.bridge.recording.chunks import (
    MAX_CHUNK_RECORD_BYTES,
    ChunkBody,
    Stored,
    chunk_channels,
    chunk_messages,
    parse_chunk,
    unpack,
)
from facewire.bridge.recording.errors import NO_RECORD, NewerSessionError, SessionError
from facewire.bridge.recording.index import RECORD_HEAD, metadata_texts, read_index
from facewire.bridge.recording.layout import (
    AUDIO_KEY,
    AUDIO_TOPIC,
    COPY_NAME,
    END_NAME,
    FRAME_TOPIC,
    JSON_KEYS,
    METADATA_NAME,
    REPAIRED_START,
    STATUS_TOPIC,
    AudioBlock,
    AudioFormat,
    SessionMetadata,
    sealed_texts,
)
from facewire.bridge.recording.partfile import reason
from facewire.bridge.recording.reader import Progress, read_frame
from facewire.bridge.recording.writer import SessionWriter
from facewire.bridge.shared.errors import WireError
from facewire.bridge.shared.regular_file import are_same, open_regular
from facewire.bridge.wire.codec import decode_message
from facewire.bridge.wire.streams import Stream, extra_streams

__all__ = ["RepairReport", "is_whole", "repair"]

DATA_END = RECORD_HEAD.pack(Opcode.DATA_END, 4)
FIRST_SEARCH_BYTES, SEARCH_BYTES = 1 << 12, 1 << 20
_LANDMARK = re.compile(rb"\x04\x00\x00\x00zstd|\x03\x00\x00\x00lz4|[\x08\x0c\x0d]\x00\x00\x00facewire")
"""What stands in the head of each chunk, and of each metadata record of ours."""
_BEFORE_COMPRESSION, _BEFORE_NAME = RECORD_HEAD.size + 28, RECORD_HEAD.size
"""How far behind the beginning of its record it stands."""


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
    repeated_chunks: int = 0
    """Chunks that stood there before, and were left out."""
    damaged_messages: int = 0
    """Frames and blocks of sound in whole chunks that make no sense, and were left out."""
    lost_bytes: int = 0
    """At the end of the file, that belong to nothing whole."""
    about: str = "checked"
    """What is known of what the session says about itself (start time, hello, calibration): ``checked``;
    ``unchecked``, for older programs wrote no checksum of it; ``lost``: the start is guessed by the file's own time."""
    end_lost: bool = False
    """Whether the counts at the end were there and are damaged."""

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
        with open_regular(source) as file:
            if are_same(output, source):
                raise SessionError("it would be read and written at the same time: name another output")
            salvage = _Salvage(file, report, progress)
            _write(salvage, salvage.metadata(os.fstat(file.fileno()).st_mtime_ns), output, report, force)
    except OSError as error:
        raise SessionError(f"cannot read {source}: {reason(error)}") from None
    except SessionError as error:
        raise type(error)(f"{source}: {error}" if str(source) not in str(error) else str(error)) from None
    return report


@dataclass(frozen=True, slots=True)
class _Place:
    """A chunk whose content is right."""

    first_ns: int
    last_ns: int
    offset: int


class _Salvage:
    """Finds the chunks of a file that are right. A record's length is believed only if nothing of ours lies inside."""

    def __init__(self, file: BinaryIO, report: RepairReport, progress: Progress | None) -> None:
        self._file, self._report, self._progress = file, report, progress
        self._size = file.seek(0, 2)
        self._topics: dict[int, str] = {}
        self._indexed: list[int] = []
        self.audio: AudioFormat | None = None
        self.end: dict[str, str] = {}
        self._about: dict[str, tuple[dict[str, str], bool]] = {}
        self._chunks: list[_Place] = []
        self._seen: set[bytes] = set()
        self._search_from = 0
        self._found: int | None = -1
        with contextlib.suppress(SessionError):  # Where the end is whole, it repeats what the chunks say.
            index = read_index(file)
            self._indexed = sorted(index.chunk_offsets)
            self._note(index.channels.values())
        file.seek(0)
        self._is_mcap = file.read(len(MCAP0_MAGIC)) == MCAP0_MAGIC
        self._walk()
        self._chunks.sort(key=lambda place: place.first_ns)

    def metadata(self, file_ns: int) -> SessionMetadata:
        """Return what the session says about itself: checked, from the copy, unchecked, or else a guess.

        Raises:
            SessionError: nothing of a session was found.
            NewerSessionError: its format is newer.
        """
        known = sorted(self._about.items(), key=lambda item: (not item[1][1], item[0] != METADATA_NAME))
        for _, (record, sealed) in known:
            self._report.about = "checked" if sealed else "unchecked"
            if (found := _session_metadata(record)) is not None:
                return replace(found, origin="repair")
        if not self._chunks:
            raise SessionError(
                "nothing of a Facewire session can be read in it: there is nothing to save"
                if self._is_mcap
                else "this is not a session: it is not an MCAP file"
            )
        self._report.about = "lost"
        first_ns, last_ns = self._chunks[0].first_ns, max(place.last_ns for place in self._chunks)
        return SessionMetadata(max(0, file_ns - (last_ns - first_ns)), first_ns, origin="repair")

    def messages(self) -> Iterator[Stored]:
        """Yield all messages that can be read, chunk by chunk in the order of time."""
        for done, place in enumerate(self._chunks):
            if self._progress is not None:
                self._progress(len(self._chunks) + done, 2 * len(self._chunks))
            found = self._chunk_at(place.offset)
            if found is not None:
                yield from chunk_messages(found[1])

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

    def _walk(self) -> None:
        """Go from record to record, and on at the next one of ours where they make no sense."""
        place, whole_up_to, lost = len(MCAP0_MAGIC), len(MCAP0_MAGIC), False
        while place < self._size:
            if self._progress is not None:
                self._progress(place, 2 * self._size)
            head = self._read(place, RECORD_HEAD.size)
            if head == DATA_END or (place + len(MCAP0_MAGIC) == self._size and head == MCAP0_MAGIC):
                whole_up_to = self._size  # Behind it is the index alone: nothing that was recorded is lost.
                break
            end = self._take(place, head)
            if end is None:
                following = self._next(place + 1)
                lost |= following is not None
                if following is None:
                    break
                place = following
                continue
            self._report.damaged_chunks += lost
            lost, place = False, end
            whole_up_to = end
        self._report.lost_bytes = self._size - whole_up_to

    def _take(self, place: int, head: bytes) -> int | None:
        """Note the record at ``place`` if it is of use; return where the next one begins, None if nothing says so."""
        if (found := self._chunk_at(place)) is not None:
            self._take_chunk(place, found[1])
            return place + RECORD_HEAD.size + found[0].end
        if len(head) < RECORD_HEAD.size:
            return None
        opcode, length = RECORD_HEAD.unpack(head)
        end: int = place + RECORD_HEAD.size + length
        if opcode == 0 or end > self._size:
            return None
        if opcode == Opcode.METADATA and self._take_metadata(self._read(place + RECORD_HEAD.size, length)):
            return end
        if opcode == Opcode.ATTACHMENT and self._is_attachment(place + RECORD_HEAD.size, length):
            return end
        inside = self._next(place + 1)
        while inside is not None and inside < end:
            if self._chunk_at(inside) is not None:
                return None  # its length is a lie
            inside = self._next(inside + 1)
        self._report.damaged_chunks += opcode == Opcode.CHUNK
        return end

    def _chunk_at(self, place: int) -> tuple[ChunkBody, bytes] | None:
        """Return the chunk at ``place`` and its records, if its content is right; its head may be damaged."""
        head = self._read(place, RECORD_HEAD.size + 28 + 16)
        if len(head) < RECORD_HEAD.size + 28 + 12:
            return None
        opcode, length = RECORD_HEAD.unpack_from(head)
        if _LANDMARK.match(head, _BEFORE_COMPRESSION):
            at = _BEFORE_COMPRESSION + 4 + head[_BEFORE_COMPRESSION]
            length = at + 8 - RECORD_HEAD.size + int.from_bytes(self._read(place + at, 8), "little")
        elif opcode != Opcode.CHUNK:
            return None
        if length > min(MAX_CHUNK_RECORD_BYTES, self._size - place):
            return None
        try:
            chunk = parse_chunk(self._read(place + RECORD_HEAD.size, length))
            records = unpack(chunk)
            list(chunk_messages(records))
        except (*NO_RECORD, SessionError):
            return None
        return (chunk, records) if chunk.crc or opcode == Opcode.CHUNK else None

    def _take_chunk(self, place: int, records: bytes) -> None:
        digest = hashlib.blake2b(records, digest_size=16).digest()
        if digest in self._seen:
            self._report.repeated_chunks += 1
            return
        self._seen.add(digest)
        with contextlib.suppress(SessionError):
            self._note(chunk_channels(records))
        if times := [stored.log_ns for stored in chunk_messages(records)]:
            self._chunks.append(_Place(min(times), max(times), place))

    def _take_metadata(self, body: bytes) -> bool:
        """Note what the file says about itself; return whether that is a whole record, of whatever name."""
        ours = re.match(rb"[\x08\x0c\x0d]\x00\x00\x00facewire", body) is not None
        try:
            name, pairs = metadata_texts(body)
            record, sealed = sealed_texts(pairs)
        except NO_RECORD:
            self._report.end_lost |= body[4:].startswith(END_NAME.encode())
            return False
        if name == END_NAME:
            lost = not sealed and any(known for _, known in self._about.values())  # a writer has all checksums or none
            self._report.end_lost |= lost
            self.end = {} if lost else record
        elif name in (METADATA_NAME, COPY_NAME) and (sealed or name not in self._about):
            with contextlib.suppress(ValueError, TypeError, RecursionError, SessionError):
                audio = json.loads(record.pop(AUDIO_KEY, "null"))
                self.audio = self.audio if audio is None else AudioFormat.from_channel_metadata(audio)
            self._about[name] = record, sealed
        return sealed or not ours

    def _is_attachment(self, place: int, length: int) -> bool:
        body = self._read(place, length) if 4 < length <= MAX_CHUNK_RECORD_BYTES else b""
        return len(body) > 4 and zlib.crc32(body[:-4]) == int.from_bytes(body[-4:], "little") != 0

    def _next(self, start: int) -> int | None:
        """Return where the next chunk or metadata record of ours may begin, at ``start`` or behind it."""
        if start < self._search_from or (self._found is not None and start > self._found):
            self._search_from, self._found = start, self._search(start)
        indexed = next((offset for offset in self._indexed if offset >= start), None)
        return min((place for place in (self._found, indexed) if place is not None), default=None)

    def _search(self, start: int) -> int | None:
        """Look for the landmark, in blocks that grow: mostly the next record is near."""
        self._file.seek(start)
        kept, place, size = b"", start, min(FIRST_SEARCH_BYTES, SEARCH_BYTES)
        while block := self._file.read(size):
            size = min(2 * size, SEARCH_BYTES)
            kept += block
            for match in _LANDMARK.finditer(kept):
                name = match[0].endswith(b"facewire")
                begin = place + match.start() - (_BEFORE_NAME if name else _BEFORE_COMPRESSION)
                if begin >= start:
                    return begin
            place += max(0, len(kept) - 16)
            kept = kept[-16:]
        return None

    def _read(self, place: int, length: int) -> bytes:
        self._file.seek(place)
        return self._file.read(length)


def _write(salvage: _Salvage, metadata: SessionMetadata, output: Path, report: RepairReport, force: bool) -> None:
    # Not the usual temporary name: that may be the very file that is repaired.
    part = output.with_name(f".{output.name}.repairing")
    writer = SessionWriter(output, metadata, audio=salvage.audio, force=force, part=part)
    extra = extra_streams(metadata.hello)
    try:
        for stored in salvage.messages():
            report.damaged_messages += not _copied(writer, salvage, stored, report, extra)
        if report.frames == 0 and report.audio_blocks == 0:
            raise SessionError("nothing had been saved when it was cut: no frame is in it")
        writer.finish(_end(salvage, report))
    except BaseException:
        writer.discard()
        raise


def _session_metadata(record: dict[str, str]) -> SessionMetadata | None:
    """Return what a metadata record says, if need be without its maps; None if not even its times make sense.

    Raises:
        NewerSessionError: its format is newer.
    """
    try:
        return SessionMetadata.from_record(record)
    except NewerSessionError:
        raise
    except SessionError:
        pass
    with contextlib.suppress(SessionError):
        return SessionMetadata.from_record({key: value for key, value in record.items() if key not in JSON_KEYS})
    return None


def _copied(
    writer: SessionWriter, salvage: _Salvage, stored: Stored, report: RepairReport, extra: Mapping[str, Stream]
) -> bool:
    """Copy a message; return whether it made sense, or was none of ours."""
    topic = salvage.topic(stored)
    try:
        if topic == FRAME_TOPIC:
            read_frame(stored.data, extra)
            writer.add_frame(stored.data, stored.sequence, stored.log_ns)
            report.frames += 1
            report.first_ns = stored.log_ns if report.first_ns is None else min(report.first_ns, stored.log_ns)
            report.last_ns = stored.log_ns if report.last_ns is None else max(report.last_ns, stored.log_ns)
        elif topic == AUDIO_TOPIC:
            if salvage.audio is None:  # nothing says how it is sampled
                return False
            writer.add_audio(AudioBlock.unpack(stored.log_ns, stored.data), salvage.audio)
            report.audio_blocks += 1
        elif topic == STATUS_TOPIC:
            writer.add_status(stored.data, stored.log_ns)
            report.statuses += 1
    except SessionError:
        return False
    return True


def _end(salvage: _Salvage, report: RepairReport) -> dict[str, str]:
    guessed = {REPAIRED_START: "guessed"} if report.about == "lost" else {}
    return {
        **salvage.end,
        "repaired_lost_bytes": str(report.lost_bytes),
        "repaired_damaged_chunks": str(report.damaged_chunks),
        **guessed,
    }
