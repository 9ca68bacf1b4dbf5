"""What the structure of a video file tells that OpenCV does not: whether it is whole, and whether it is mirrored."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

EBML, SEGMENT = 0x1A45DFA3, 0x18538067
TS_PACKET, TS_SYNC = 188, 0x47
CLUSTER = 0x1F43B675
TRACKS, VIDEO, PROJECTION, YAW = 0x1654AE6B, 0xE0, 0x7670, 0x7673
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


def is_mirrored(path: Path) -> bool:
    """Return whether an MP4, a MOV or a Matroska file says that its pictures are to be shown mirrored.

    False also for what is not known, and for a file that cannot be read.
    """
    try:
        length = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(8)
            if head[4:8] in (b"ftyp", b"moov", b"mdat", b"styp", b"free", b"wide"):
                return _movie_is_mirrored(file, length)
            if head[:4] == b"\x1a\x45\xdf\xa3":
                return _segment_is_mirrored(file, length)
    except (OSError, struct.error, OverflowError):
        pass
    return False


def _movie_is_mirrored(file: BinaryIO, length: int) -> bool:
    """Return whether the matrices of the movie and of its first video track mirror (ISO/IEC 14496-12, 8.2.2, 8.3.2)."""
    movie = _inside(file, (0, length), b"moov")
    if movie is None:
        return False
    for name, start, end in _boxes(file, *movie):
        handler = _inside(file, (start, end), b"mdia", b"hdlr") if name == b"trak" else None
        if handler is None or _bytes_at(file, handler[0] + 8, 4) != b"vide":
            continue
        own = _inside(file, (start, end), b"tkhd")
        whole = _inside(file, movie, b"mvhd")
        return (own is not None and _mirrors(file, own[0], 40, 52)) != (
            whole is not None and _mirrors(file, whole[0], 36, 48)
        )
    return False


def _mirrors(file: BinaryIO, start: int, place: int, place_64: int) -> bool:
    """Return whether the matrix in a box mirrors; it stands at ``place``, or ``place_64`` if times have 64 bits."""
    version = _bytes_at(file, start, 1)[0]
    a, b, _, c, d = struct.unpack(">5i", _bytes_at(file, start + (place_64 if version == 1 else place), 20))
    return bool(a * d < b * c)


def _boxes(file: BinaryIO, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield the boxes of an ISO base media file in a stretch of it: name, and where the content begins and ends."""
    for _ in range(MOST_PARTS):
        if start + 8 > end:
            return
        size, name = struct.unpack(">I4s", _bytes_at(file, start, 8))
        head = 8
        if size == 1:
            (size,), head = struct.unpack(">Q", _bytes_at(file, start + 8, 8)), 16
        size = size or end - start  # 0: up to the end
        if size < head:
            return
        yield name, start + head, min(start + size, end)
        start += size


def _inside(file: BinaryIO, stretch: tuple[int, int], *names: bytes) -> tuple[int, int] | None:
    """Return where the first box of these names, each in the one before, begins and ends; None if there is none."""
    for wanted in names:
        found = next(((start, end) for name, start, end in _boxes(file, *stretch) if name == wanted), None)
        if found is None:
            return None
        stretch = found
    return stretch


def _bytes_at(file: BinaryIO, place: int, count: int) -> bytes:
    """Return ``count`` bytes.

    Raises:
        struct.error: the file ends before.
    """
    file.seek(place)
    content = file.read(count)
    if len(content) < count:
        raise struct.error("the file ends")
    return content


def _segment_is_mirrored(file: BinaryIO, length: int) -> bool:
    """Return whether a Matroska file's first video track is to be turned about its upright axis by half a turn (RFC
    9559, ProjectionPoseYaw), which is how Matroska mirrors."""
    end = min(_segment_end(file) or length, length)
    for tracks, start, behind in _elements(file, file.tell(), end):
        if tracks == CLUSTER:
            return False
        for entry, first, last in _elements(file, start, behind) if tracks == TRACKS else ():
            parts = {name: (begin, stop) for name, begin, stop in _elements(file, first, last)} if entry == 0xAE else {}
            if VIDEO not in parts:
                continue
            seen = {name: (begin, stop) for name, begin, stop in _elements(file, *parts[VIDEO])}
            posed = _elements(file, *seen[PROJECTION]) if PROJECTION in seen else ()
            return any(name == YAW and abs(_float(file, begin, stop)) == 180.0 for name, begin, stop in posed)
    return False


def _elements(file: BinaryIO, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield the elements of a Matroska file in a stretch of it: name, and where the content begins and ends."""
    for _ in range(MOST_PARTS):
        if start >= end:
            return
        file.seek(start)
        name, size = _number(file, keep_mark=True), _number(file)
        begin = file.tell()
        if name < 0 or size < 0:
            yield name, begin, end
            return
        yield name, begin, min(begin + size, end)
        start = begin + size


def _float(file: BinaryIO, start: int, end: int) -> float:
    return float(struct.unpack(">f" if end - start == 4 else ">d", _bytes_at(file, start, end - start))[0])


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
