"""Checks every byte of a session file against its checksums, and what its index says against what is there.

A reader checks what it reads; this is for those who vouch for the whole: ``facewire info`` and ``facewire repair``.
"""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import BinaryIO

from mcap.opcode import Opcode
from mcap.writer import MCAP0_MAGIC

from facewire.bridge.recording.chunks import DAMAGED, MAX_CHUNK_RECORD_BYTES, unpack_chunk
from facewire.bridge.recording.errors import NO_RECORD, NewerSessionError, SessionError
from facewire.bridge.recording.index import DATA_END_BYTES, RECORD_HEAD, SessionIndex
from facewire.bridge.recording.partfile import check_opens, reason
from facewire.bridge.recording.reader import Progress, Session, counted
from facewire.bridge.shared.regular_file import open_regular

_PIECE_BYTES = 1 << 20


def check_session(session: Session) -> bool:
    """Return whether all of ``session`` could be checked: takes of older programs say no checksum of some of it.

    Raises:
        SessionError: a part is damaged.
    """
    try:
        with open_regular(session.path) as file:
            sealed = _check_data(file, session.index)
    except OSError as error:
        raise SessionError(f"cannot read {session.path}: {reason(error)}") from None
    except SessionError as error:
        raise SessionError(f"{session.path}: {error}") from None
    return sealed and session.sealed and session.index.has_crc


def is_whole(path: Path, progress: Progress | None = None) -> bool:
    """Say whether all of a session is as it was written and can be read: every frame, sound, status, and its index.

    Raises:
        SessionError: the file does not exist or cannot be opened, or has a newer format, for which a repair would not
            help.
    """
    check_opens(path)
    try:
        with Session(path) as session:
            check_session(session)
            for _ in counted(session.frames(), session.frame_count, progress):
                pass
            for _ in session.audio_blocks():
                pass
            return all(True for _ in session.statuses())
    except NewerSessionError:
        raise
    except SessionError:
        return False


def is_checked(path: Path) -> bool:
    """Say whether a session has a checksum of every part.

    Raises:
        SessionError: it cannot be opened, or is damaged.
    """
    with Session(path) as session:
        return check_session(session)


def _check_data(file: BinaryIO, index: SessionIndex) -> bool:
    """Read the data section once; return whether it has a checksum.

    Raises:
        SessionError: it is damaged, or not what the index says.
    """
    end = index.summary_start - DATA_END_BYTES
    file.seek(end)
    opcode, length = RECORD_HEAD.unpack(file.read(RECORD_HEAD.size))
    if opcode != Opcode.DATA_END or length != DATA_END_BYTES - RECORD_HEAD.size:
        raise SessionError(DAMAGED)
    said = int.from_bytes(file.read(length), "little")
    crc, places = _read_records(file, end, unpacked=not said)
    entries = {entry.offset for entry in index.metadata}
    chunks = places.get(Opcode.CHUNK, [])
    if (said and crc != said) or sorted(index.chunk_offsets) != chunks:
        raise SessionError(DAMAGED)
    if not entries <= set(places.get(Opcode.METADATA, [])):
        raise SessionError(DAMAGED)
    return said != 0


def _read_records(file: BinaryIO, end: int, *, unpacked: bool) -> tuple[int, dict[int, list[int]]]:
    """Return the checksum up to ``end``, and by opcode where records begin.

    Raises:
        SessionError: they make no sense, or ``unpacked`` is asked for and a chunk is damaged.
    """
    file.seek(0)
    crc = zlib.crc32(file.read(len(MCAP0_MAGIC)))
    places: dict[int, list[int]] = {}
    place = len(MCAP0_MAGIC)
    while place < end:
        head = file.read(RECORD_HEAD.size)
        try:
            opcode, length = RECORD_HEAD.unpack(head)
        except NO_RECORD:
            raise SessionError(DAMAGED) from None
        following = place + RECORD_HEAD.size + length
        if following > end or opcode == 0 or (opcode == Opcode.HEADER) != (place == len(MCAP0_MAGIC)):
            raise SessionError(DAMAGED)
        places.setdefault(opcode, []).append(place)
        crc = _read_record(file, length, zlib.crc32(head, crc), unpacked=unpacked and opcode == Opcode.CHUNK)
        place = following
    return crc, places


def _read_record(file: BinaryIO, length: int, crc: int, *, unpacked: bool) -> int:
    """Read a record's content and return the checksum up to its end; look into a chunk that nothing else vouches for.

    Raises:
        SessionError: that chunk is damaged.
    """
    if unpacked:
        if length > MAX_CHUNK_RECORD_BYTES:
            raise SessionError(DAMAGED)
        unpack_chunk(file.read(length))
        return crc
    while length > 0 and (piece := file.read(min(length, _PIECE_BYTES))):
        crc, length = zlib.crc32(piece, crc), length - len(piece)
    return crc
