"""Whether a video file holds what it says that it holds, by its outermost structure alone."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

EBML, SEGMENT = 0x1A45DFA3, 0x18538067
TS_PACKET, TS_SYNC = 188, 0x47
CLUSTER = 0x1F43B675
SEGMENT_PARTS = {
    0x114D9B74,
    0x1549A966,
    0x1654AE6B,
    CLUSTER,
    0x1C53BB6B,
    0x1941A469,
    0x1043A770,
    0x1254C367,
    0xEC,
    0xBF,
}
CLUSTER_PARTS = {0xE7, 0xA7, 0xAB, 0xA3, 0xA0, 0x5854, 0xAF, 0xEC, 0xBF}
"""What may stand in a Matroska segment and in a cluster (RFC 9559, section 5)."""
MOST_PARTS = 10_000_000


def is_cut(path: Path) -> bool:
    """Return whether a file ends before its structure does: MP4 and MOV, Matroska and WebM, AVI, MPEG-TS.

    False also for what is not known, and for a file that cannot be read.
    """
    try:
        length = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(2 * TS_PACKET)
            if head[4:8] in (b"ftyp", b"moov", b"mdat", b"styp", b"free", b"wide"):
                return _boxes_end(file, length) > length
            if head[:4] == b"\x1a\x45\xdf\xa3":
                return _segment_end(file) > length
            if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
                return 8 + int(struct.unpack_from("<I", head, 4)[0]) > length
            if is_transport_stream(path):
                return length % TS_PACKET != 0
    except (OSError, struct.error):
        pass
    return False


def is_transport_stream(path: Path) -> bool:
    """Return whether a file looks like an MPEG transport stream."""
    try:
        with path.open("rb") as file:
            head = file.read(2 * TS_PACKET)
    except OSError:
        return False
    return len(head) > TS_PACKET and head[0] == head[TS_PACKET] == TS_SYNC


def loses_step(path: Path) -> bool:
    """Return whether a transport stream, a Matroska file or an AVI has a place where its parts cannot be followed."""
    transport = is_transport_stream(path)
    try:
        with path.open("rb") as file:
            length = path.stat().st_size
            if file.read(4) == b"RIFF":
                return not _chunks_follow(file, length)
            if not transport:
                return not _elements_follow(file, length)
            file.seek(0)
            while part := file.read(4096 * TS_PACKET):
                if set(part[::TS_PACKET]) != {TS_SYNC}:
                    return True
    except (OSError, struct.error):
        pass
    return False


def _boxes_end(file: BinaryIO, length: int) -> int:
    """Return where the last box of an ISO base media file ends."""
    start = 0
    for _ in range(MOST_PARTS):
        if start + 8 > length:
            break
        file.seek(start)
        size, name = struct.unpack(">I4s", file.read(8))
        if size == 1:
            (size,) = struct.unpack(">Q", file.read(8))
        if size < 8 or not all(32 <= byte < 127 or byte == 0xA9 for byte in name):  # 0: up to the end, whatever that is
            return 0
        start += size
    return start


def _segment_end(file: BinaryIO) -> int:
    """Return where a Matroska file's segment ends, 0 if it does not say."""
    file.seek(0)
    if _number(file, keep_mark=True) != EBML:
        return 0
    file.seek(max(_number(file), 0), 1)
    if _number(file, keep_mark=True) != SEGMENT:
        return 0
    size = _number(file)
    return 0 if size < 0 else file.tell() + size


def _elements_follow(file: BinaryIO, length: int) -> bool:
    """Return whether the parts of a Matroska file follow each other up to its end; True for what is none."""
    end = min(_segment_end(file), length)
    for _ in range(MOST_PARTS):
        if file.tell() >= end:
            break
        name, size = _number(file, keep_mark=True), _number(file)
        if name == CLUSTER:
            continue  # its parts follow, and are known as such
        if name not in SEGMENT_PARTS | CLUSTER_PARTS or size < 0:
            return False
        file.seek(size, 1)
    return True


def _chunks_follow(file: BinaryIO, length: int) -> bool:
    """Return whether the chunks of an AVI file follow each other up to its end."""
    start = 0
    for _ in range(MOST_PARTS):
        if start + 8 > length:
            break
        file.seek(start)
        name, size = struct.unpack("<4sI", file.read(8))
        if not all(32 <= byte < 127 for byte in name):
            return False
        # A list's chunks follow its own name.
        start += 12 if name in (b"RIFF", b"LIST") else 8 + size + size % 2
    return True


def _number(file: BinaryIO, *, keep_mark: bool = False) -> int:
    """Read one of EBML's numbers (RFC 8794, section 4); -1 for an unknown size."""
    first = file.read(1)
    if not first or first[0] == 0:
        return -1
    length = 9 - first[0].bit_length()
    value = int.from_bytes(first + file.read(length - 1), "big")
    if keep_mark:
        return value
    most = (1 << 7 * length) - 1
    return -1 if value & most == most else value & most
