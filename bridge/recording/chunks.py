"""Chunks of an MCAP file: bytes in, messages out, for a reader that goes by the index and for a repair that scans."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from io import BytesIO
from typing import BinaryIO, NamedTuple

import lz4.frame
import zstandard
from mcap.data_stream import ReadDataStream
from mcap.opcode import Opcode
from mcap.records import Channel

from facewire.bridge.recording.errors import NO_RECORD, SessionError
from facewire.bridge.recording.index import RECORD_HEAD

MAX_CHUNK_BYTES = 64 << 20
"""Uncompressed; ours hold about 1 MB at most. A file that claims more, or unpacks to more, is refused."""
MAX_CHUNK_RECORD_BYTES = MAX_CHUNK_BYTES + (1 << 20)
"""What does not compress takes a little more space."""
DAMAGED = "a part of this session is damaged: save the rest with 'facewire repair'"
_PIECE_BYTES = 1 << 20
_CHUNK_HEAD = struct.Struct("<QQQI")
_TEXT_LENGTH, _DATA_LENGTH = struct.Struct("<I"), struct.Struct("<Q")
_MESSAGE_HEAD = struct.Struct("<HIQQ")


class Stored(NamedTuple):
    """One message as it lies in the file."""

    channel_id: int
    sequence: int
    log_ns: int
    data: bytes


class ChunkBody(NamedTuple):
    """A chunk record, its content still packed."""

    start_ns: int
    end_ns: int
    size: int
    """Bytes that it holds unpacked."""
    crc: int
    """Of these; 0 if nobody took it."""
    compression: str
    data: bytes
    end: int
    """Where it ends in the bytes that it was read from: behind it a later MCAP may say more."""


def read_chunk(file: BinaryIO, offset: int, length: int, start_ns: int, end_ns: int) -> bytes:
    """Return the records inside a chunk, unpacked and checked against what the index says of it.

    Raises:
        SessionError: there is no such chunk, or it is damaged.
    """
    try:
        if not RECORD_HEAD.size < length <= MAX_CHUNK_RECORD_BYTES:
            raise ValueError
        file.seek(offset)
        record = file.read(length)
        opcode, size = RECORD_HEAD.unpack_from(record)
        chunk = parse_chunk(record[RECORD_HEAD.size :])
        said = (opcode, size + RECORD_HEAD.size, chunk.start_ns, chunk.end_ns)
        if said != (Opcode.CHUNK, length, start_ns, end_ns):
            raise ValueError
    except NO_RECORD:
        raise SessionError(DAMAGED) from None
    return unpack(chunk)


def unpack_chunk(body: bytes) -> bytes:
    """Return the records inside a chunk record's ``body``.

    Raises:
        SessionError: it is damaged, or too large.
    """
    try:
        chunk = parse_chunk(body)
    except NO_RECORD:
        raise SessionError(DAMAGED) from None
    return unpack(chunk)


def parse_chunk(body: bytes) -> ChunkBody:
    """Return the fields of a chunk record that begins with ``body``. Strict: every length must fit.

    Raises:
        ValueError, struct.error: there is no chunk, or not all of it.
    """
    start_ns, end_ns, size, crc = _CHUNK_HEAD.unpack_from(body)
    position = _CHUNK_HEAD.size
    (length,) = _TEXT_LENGTH.unpack_from(body, position)
    position += _TEXT_LENGTH.size
    compression = body[position : position + length].decode()
    position += length
    (length,) = _DATA_LENGTH.unpack_from(body, position)
    position += _DATA_LENGTH.size
    if length > len(body) - position:
        raise ValueError
    return ChunkBody(start_ns, end_ns, size, crc, compression, body[position : position + length], position + length)


def unpack(chunk: ChunkBody) -> bytes:
    """Return the records inside a chunk; never more than ``MAX_CHUNK_BYTES`` are unpacked, whatever it claims.

    Raises:
        SessionError: it is damaged, too large, or packed in a way that is not known.
    """
    try:
        if chunk.compression == "zstd":
            records = _unpack_zstd(chunk)
        elif chunk.compression == "lz4":
            records = _unpack_lz4(chunk.data)
        elif chunk.compression == "":
            records = chunk.data
        else:
            raise ValueError
        if len(records) > MAX_CHUNK_BYTES:
            raise ValueError
        right = zlib.crc32(records) == chunk.crc if chunk.crc else len(records) == chunk.size
        if not right:
            raise ValueError
    except (*NO_RECORD, zstandard.ZstdError, RuntimeError, EOFError):
        raise SessionError(DAMAGED) from None
    return records


def _unpack_zstd(chunk: ChunkBody) -> bytes:
    """Unpack at once what says how much it is, and the rest in pieces: writers that stream do not say it."""
    if chunk.size == zstandard.get_frame_parameters(chunk.data).content_size <= MAX_CHUNK_BYTES:
        return zstandard.ZstdDecompressor().decompress(chunk.data, allow_extra_data=False)
    records = bytearray()
    with zstandard.ZstdDecompressor().stream_reader(chunk.data, read_across_frames=True) as stream:
        while len(records) <= MAX_CHUNK_BYTES and (piece := stream.read(_PIECE_BYTES)):
            records += piece
    return bytes(records)


def _unpack_lz4(data: bytes) -> bytes:
    records = b""
    while data and len(records) <= MAX_CHUNK_BYTES:
        stream = lz4.frame.LZ4FrameDecompressor()
        records += stream.decompress(data, max_length=MAX_CHUNK_BYTES + 1 - len(records))
        if not stream.eof:  # it ends before its end, or beyond the limit
            raise ValueError
        data = stream.unused_data or b""
    return records


def _records(records: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield each record's opcode and where its content starts and ends.

    Raises:
        struct.error, ValueError: one is cut.
    """
    position = 0
    while position < len(records):
        opcode, length = RECORD_HEAD.unpack_from(records, position)
        position += RECORD_HEAD.size
        if length > len(records) - position:
            raise ValueError
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
        raise SessionError(DAMAGED) from None


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
        raise SessionError(DAMAGED) from None
