"""The index at the end of a session file, read without reading the file.

The library's own summary reader takes several times as long on an hour (7200 chunks): where a take is opened to seek in
it, that is felt.
Opcodes and layouts: the MCAP specification, "Records".
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field
from io import BytesIO
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from mcap.data_stream import ReadDataStream
from mcap.opcode import Opcode
from mcap.records import Channel, Footer, MetadataIndex, Statistics
from mcap.writer import MCAP0_MAGIC

from facewire.bridge.recording.errors import NO_RECORD, CutSessionError, SessionError
from facewire.bridge.recording.layout import sealed_texts

RECORD_HEAD = struct.Struct("<BQ")
MAX_RECORD_BYTES = 1 << 30
FOOTER_BYTES = RECORD_HEAD.size + 20
DATA_END_BYTES = RECORD_HEAD.size + 4
NONSENSE = "the index of this session makes no sense: repair it with 'facewire repair'"
SELF_DAMAGED = "what this session says about itself is damaged: save the rest with 'facewire repair'"
_FOOTER_HEAD = RECORD_HEAD.pack(Opcode.FOOTER, FOOTER_BYTES - RECORD_HEAD.size)
_CRC_BYTES = 4
_LENGTH = struct.Struct("<I")
_CHUNK_INDEX = struct.Struct("<QQQQI")
_CHANNEL_OFFSET_BYTES = 10

Int64Array = npt.NDArray[np.int64]
_Rows = dict[int, list[tuple[int, int, int, int]]]
"""Start, end, offset and length of each chunk, by channel."""


@dataclass(slots=True)
class ChunkTable:
    """Where the chunks of one channel are, in the order of the file; arrays of shape [chunks]."""

    start_ns: Int64Array
    """Log time of each chunk's first message, of whatever channel."""
    end_ns: Int64Array
    offset: Int64Array
    """Byte at which the chunk record begins."""
    length: Int64Array
    """Bytes of the chunk record, its head included."""


@dataclass(slots=True)
class SessionIndex:
    """What the end of the file says about the rest."""

    summary_start: int
    """Byte at which the index begins; right before it the data section ends."""
    has_crc: bool
    """Whether the index has a checksum (which was right): files of other writers may have none."""
    channels: dict[int, Channel] = field(default_factory=dict)
    statistics: Statistics | None = None
    metadata: list[MetadataIndex] = field(default_factory=list)
    chunks: dict[int, ChunkTable] = field(default_factory=dict)
    """By channel id."""
    chunk_offsets: list[int] = field(default_factory=list)
    """Of all chunks, in the order of the index."""


def read_index(file: BinaryIO) -> SessionIndex:
    """Return the index of an MCAP file.

    Raises:
        SessionError: it is not an MCAP file, or its index is damaged or makes no sense.
        CutSessionError: it begins as one and was not finished.
    """
    index, summary = _read_summary(file)
    rows: _Rows = {}
    position = 0
    try:
        while position < len(summary):
            opcode, length = RECORD_HEAD.unpack_from(summary, position)
            position += RECORD_HEAD.size
            if length > len(summary) - position:
                raise ValueError
            _take_record(index, rows, opcode, summary[position : position + length])
            position += length
        for channel_id, found in rows.items():
            start_ns, end_ns, offset, size = np.array(sorted(found, key=lambda row: row[2]), np.int64).T
            index.chunks[channel_id] = ChunkTable(start_ns, end_ns, offset, size)
    except NO_RECORD:
        raise SessionError(NONSENSE) from None
    _check_sums(index)
    return index


def _check_sums(index: SessionIndex) -> None:
    """Compare what the index says in several places: an entry that is missing would hide what it points to.

    Raises:
        SessionError: they differ.
    """
    statistics = index.statistics
    if statistics is None:
        raise SessionError("the index of this session has no statistics: repair it with 'facewire repair'")
    counts = {channel: count for channel, count in statistics.channel_message_counts.items() if count}
    if (
        statistics.chunk_count != len(index.chunk_offsets)
        or len(set(index.chunk_offsets)) != len(index.chunk_offsets)
        or statistics.message_count != sum(counts.values())
        or counts.keys() != index.chunks.keys()
        or not counts.keys() <= index.channels.keys()
    ):
        raise SessionError(NONSENSE)
    topics = [channel.topic for channel_id, channel in index.channels.items() if channel_id in counts]
    if len(set(topics)) != len(topics):
        raise SessionError("two channels of this MCAP file have the same topic: a Facewire session has one of each")


def _read_summary(file: BinaryIO) -> tuple[SessionIndex, bytes]:
    size = file.seek(0, 2)
    file.seek(0)
    begins = file.read(len(MCAP0_MAGIC)) == MCAP0_MAGIC
    tail = FOOTER_BYTES + len(MCAP0_MAGIC)
    file.seek(max(len(MCAP0_MAGIC), size - tail))
    end = file.read()
    ends = len(end) == tail and end.endswith(MCAP0_MAGIC) and end.startswith(_FOOTER_HEAD)
    if not begins:
        if ends:
            raise SessionError("the beginning of this session is damaged: repair it with 'facewire repair'")
        raise SessionError("this is not a session: it is not an MCAP file")
    if not ends:
        raise CutSessionError("this session was cut before its end: repair it with 'facewire repair'")
    footer = Footer.read(ReadDataStream(BytesIO(end[RECORD_HEAD.size :])))
    if not len(MCAP0_MAGIC) + DATA_END_BYTES <= footer.summary_start <= size - tail:
        raise SessionError("this MCAP file has no index: repair it with 'facewire repair'")
    file.seek(footer.summary_start)
    summary = file.read(size - tail - footer.summary_start)
    said = end[: FOOTER_BYTES - _CRC_BYTES]  # the specification, "Footer": the checksum goes up to its own place
    if footer.summary_crc and zlib.crc32(said, zlib.crc32(summary)) != footer.summary_crc:
        raise SessionError("the index of this session is damaged: repair it with 'facewire repair'")
    return SessionIndex(footer.summary_start, footer.summary_crc != 0), summary


def _take_record(index: SessionIndex, rows: _Rows, opcode: int, body: bytes) -> None:
    if opcode == Opcode.CHUNK_INDEX:
        start_ns, end_ns, offset, length, size = _CHUNK_INDEX.unpack_from(body)
        index.chunk_offsets.append(offset)
        for at in range(_CHUNK_INDEX.size, _CHUNK_INDEX.size + size, _CHANNEL_OFFSET_BYTES):
            rows.setdefault(body[at] | body[at + 1] << 8, []).append((start_ns, end_ns, offset, length))
        return
    stream = ReadDataStream(BytesIO(body))
    if opcode == Opcode.CHANNEL:
        channel = Channel.read(stream)
        index.channels[channel.id] = channel
    elif opcode == Opcode.STATISTICS:
        index.statistics = Statistics.read(stream)
    elif opcode == Opcode.METADATA_INDEX:
        index.metadata.append(MetadataIndex.read(stream))


def read_metadata(file: BinaryIO, entry: MetadataIndex) -> tuple[dict[str, str], bool]:
    """Return the texts of the metadata record that ``entry`` points to, and whether a checksum in it was right.

    Raises:
        SessionError: there is none, or it is damaged.
    """
    try:
        file.seek(entry.offset)
        opcode, length = RECORD_HEAD.unpack(file.read(RECORD_HEAD.size))
        if opcode != Opcode.METADATA or length > MAX_RECORD_BYTES or length + RECORD_HEAD.size != entry.length:
            raise ValueError
        name, pairs = metadata_texts(file.read(length))
        if name != entry.name:
            raise ValueError
        return sealed_texts(pairs)
    except NO_RECORD:
        raise SessionError(SELF_DAMAGED) from None


def metadata_texts(body: bytes) -> tuple[str, list[tuple[str, str]]]:
    """Return the name of a metadata record and its texts by key, in their order. Strict: every length must fit.

    Raises:
        ValueError, struct.error: ``body`` is not such a record.
    """
    name, position = _text(body, 0)
    (size,) = _LENGTH.unpack_from(body, position)
    position += _LENGTH.size
    if size != len(body) - position:
        raise ValueError
    pairs: list[tuple[str, str]] = []
    while position < len(body):
        key, position = _text(body, position)
        value, position = _text(body, position)
        pairs.append((key, value))
    return name, pairs


def _text(body: bytes, position: int) -> tuple[str, int]:
    (size,) = _LENGTH.unpack_from(body, position)
    position += _LENGTH.size
    if size > len(body) - position:
        raise ValueError
    return body[position : position + size].decode(), position + size
