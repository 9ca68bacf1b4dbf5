"""Chunks of an MCAP file: bytes in, messages out, for a reader that goes by the index and for a repair that scans."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from io import BytesIO
from typing import BinaryIO, NamedTuple

import zstandard
from mcap.data_stream import ReadDataStream
from mcap.opcode import Opcode
from mcap.records import Channel, Chunk
from mcap.stream_reader import CRCValidationError, get_chunk_data_stream

from facewire.bridge.recording.errors import NO_RECORD, SessionError
from facewire.bridge.recording.index import RECORD_HEAD

MAX_CHUNK_BYTES = 64 << 20
"""Uncompressed; ours hold about 1 MB at most. A file that claims more is not unpacked."""
_MESSAGE_HEAD = struct.Struct("<HIQQ")


class Stored(NamedTuple):
    """One message as it lies in the file."""

    channel_id: int
    sequence: int
    log_ns: int
    data: bytes


def read_chunk(file: BinaryIO, offset: int) -> bytes:
    """Return the records inside the chunk that begins at ``offset``, unpacked and checked.

    Raises:
        SessionError: there is no whole, undamaged chunk.
    """
    file.seek(offset)
    try:
        opcode, length = RECORD_HEAD.unpack(file.read(RECORD_HEAD.size))
        if opcode != Opcode.CHUNK or length > MAX_CHUNK_BYTES:
            raise ValueError
        body = file.read(length)
    except NO_RECORD:
        body = b""
    return unpack_chunk(body)


def unpack_chunk(body: bytes) -> bytes:
    """Return the records inside a chunk record's ``body``.

    Raises:
        SessionError: it is damaged, or claims to be too large.
    """
    try:
        chunk = Chunk.read(ReadDataStream(BytesIO(body)))
        size = chunk.uncompressed_size
        if chunk.compression == "zstd":
            size = max(size, zstandard.get_frame_parameters(chunk.data).content_size)
        if size > MAX_CHUNK_BYTES:
            raise ValueError
        stream, length = get_chunk_data_stream(chunk, validate_crc=True)
        return stream.read(length)
    except (*NO_RECORD, CRCValidationError, zstandard.ZstdError, RuntimeError):
        raise SessionError("a part of this session is damaged: save the rest with 'facewire repair'") from None


def _records(records: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield each record's opcode and where its content starts and ends.

    Raises:
        struct.error: a head is cut.
    """
    position = 0
    while position < len(records):
        opcode, length = RECORD_HEAD.unpack_from(records, position)
        position += RECORD_HEAD.size
        yield opcode, position, position + length
        position += length


def chunk_messages(records: bytes) -> Iterator[Stored]:
    """Yield the messages in an unpacked chunk, in their order.

    Raises:
        SessionError: the records make no sense.
    """
    try:
        for opcode, start, end in _records(records):
            if opcode == Opcode.MESSAGE:
                channel_id, sequence, log_ns, _ = _MESSAGE_HEAD.unpack_from(records, start)
                yield Stored(channel_id, sequence, log_ns, records[start + _MESSAGE_HEAD.size : end])
    except NO_RECORD:
        raise SessionError("a part of this session is damaged: save the rest with 'facewire repair'") from None


def chunk_channels(records: bytes) -> Iterator[Channel]:
    """Yield the channel records in an unpacked chunk.

    Raises:
        SessionError: the records make no sense.
    """
    try:
        for opcode, start, end in _records(records):
            if opcode == Opcode.CHANNEL:
                yield Channel.read(ReadDataStream(BytesIO(records[start:end])))
    except NO_RECORD:
        raise SessionError("a part of this session is damaged: save the rest with 'facewire repair'") from None
