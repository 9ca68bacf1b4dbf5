"""The index at the end of a session file, read without reading the file.

The library's own summary reader takes several times as long on an hour (7200 chunks): where a take is opened to seek in
it, that is felt.
Opcodes and layouts: the MCAP specification, "Records".
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from io import BytesIO
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from mcap.data_stream import ReadDataStream
from mcap.opcode import Opcode
from mcap.records import Channel, Footer, Metadata, MetadataIndex, Statistics
from mcap.writer import MCAP0_MAGIC

from facewire.bridge.recording.errors import NO_RECORD, CutSessionError, SessionError

RECORD_HEAD = struct.Struct("<BQ")
MAX_RECORD_BYTES = 1 << 30
FOOTER_BYTES = RECORD_HEAD.size + 20
_CHUNK_INDEX = struct.Struct("<QQQQI")
_CHANNEL_OFFSET_BYTES = 10

Int64Array = npt.NDArray[np.int64]


@dataclass(slots=True)
class ChunkTable:
    """Where the chunks of one channel are, in the order of the file; arrays of shape [chunks]."""

    start_ns: Int64Array
    """Log time of each chunk's first message, of whatever channel."""
    end_ns: Int64Array
    offset: Int64Array
    """Byte at which the chunk record begins."""


@dataclass(slots=True)
class SessionIndex:
    """What the end of the file says about the rest."""

    channels: dict[int, Channel] = field(default_factory=dict)
    statistics: Statistics | None = None
    metadata: list[MetadataIndex] = field(default_factory=list)
    chunks: dict[int, ChunkTable] = field(default_factory=dict)
    """By channel id."""


def read_index(file: BinaryIO) -> SessionIndex:
    """Return the index of an MCAP file.

    Raises:
        SessionError: it is not an MCAP file, or its index makes no sense.
        CutSessionError: it begins as one and was not finished.
    """
    summary = _read_summary(file)
    index = SessionIndex()
    rows: dict[int, list[tuple[int, int, int]]] = {}
    position = 0
    try:
        while position < len(summary):
            opcode, length = RECORD_HEAD.unpack_from(summary, position)
            position += RECORD_HEAD.size
            _take_record(index, rows, opcode, summary[position : position + length])
            position += length
        for channel_id, found in rows.items():
            start_ns, end_ns, offset = np.array(found, np.int64).T
            index.chunks[channel_id] = ChunkTable(start_ns, end_ns, offset)
    except NO_RECORD:
        raise SessionError("the index of this session makes no sense: repair it with 'facewire repair'") from None
    return index


def _read_summary(file: BinaryIO) -> bytes:
    size = file.seek(0, 2)
    file.seek(0)
    if file.read(len(MCAP0_MAGIC)) != MCAP0_MAGIC:
        raise SessionError("this is not a session: it is not an MCAP file")
    tail = FOOTER_BYTES + len(MCAP0_MAGIC)
    file.seek(max(len(MCAP0_MAGIC), size - tail))
    end = file.read()
    if len(end) != tail or not end.endswith(MCAP0_MAGIC) or end[0] != Opcode.FOOTER:
        raise CutSessionError("this session was cut before its end: repair it with 'facewire repair'")
    footer = Footer.read(ReadDataStream(BytesIO(end[RECORD_HEAD.size :])))
    if not 0 < footer.summary_start <= size - tail:
        raise SessionError("this MCAP file has no index: repair it with 'facewire repair'")
    file.seek(footer.summary_start)
    return file.read(size - tail - footer.summary_start)


def _take_record(index: SessionIndex, rows: dict[int, list[tuple[int, int, int]]], opcode: int, body: bytes) -> None:
    if opcode == Opcode.CHUNK_INDEX:
        start_ns, end_ns, offset, _length, size = _CHUNK_INDEX.unpack_from(body)
        for at in range(_CHUNK_INDEX.size, _CHUNK_INDEX.size + size, _CHANNEL_OFFSET_BYTES):
            rows.setdefault(body[at] | body[at + 1] << 8, []).append((start_ns, end_ns, offset))
        return
    stream = ReadDataStream(BytesIO(body))
    if opcode == Opcode.CHANNEL:
        channel = Channel.read(stream)
        index.channels[channel.id] = channel
    elif opcode == Opcode.STATISTICS:
        index.statistics = Statistics.read(stream)
    elif opcode == Opcode.METADATA_INDEX:
        index.metadata.append(MetadataIndex.read(stream))


def read_metadata(file: BinaryIO, entry: MetadataIndex) -> Metadata:
    """Return the metadata record that ``entry`` points to.

    Raises:
        SessionError: there is none.
    """
    try:
        file.seek(entry.offset)
        head = file.read(RECORD_HEAD.size)
        opcode, length = RECORD_HEAD.unpack(head)
        if opcode != Opcode.METADATA or length > MAX_RECORD_BYTES:
            raise ValueError
        metadata: Metadata = Metadata.read(ReadDataStream(BytesIO(file.read(length))))
    except NO_RECORD:
        raise SessionError("the index of this session makes no sense: repair it with 'facewire repair'") from None
    return metadata
