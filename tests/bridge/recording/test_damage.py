"""Damaged sessions: refused or right, never silently wrong; and a repair saves all whose chunk is right.

``python benchmarks/damage.py`` tries 2,000 places of each kind of take; here is a sample.
"""

from __future__ import annotations

import io
import random
import struct
import tracemalloc
import zlib
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import lz4.frame
import pytest
import zstandard
from mcap.reader import make_reader
from mcap.stream_reader import StreamReader
from mcap.writer import CompressionType, IndexType, Writer
from support import damage
from support.takes import MakeTake

from facewire.bridge.recording.check import check_session, is_whole
from facewire.bridge.recording.chunks import MAX_CHUNK_BYTES, unpack_chunk
from facewire.bridge.recording.cut import TimeRange, cut
from facewire.bridge.recording.errors import SessionError
from facewire.bridge.recording.info import describe
from facewire.bridge.recording.layout import AudioFormat, SessionMetadata, seal, sealed_texts
from facewire.bridge.recording.reader import Session, open_session
from facewire.bridge.recording.repair import repair
from facewire.bridge.recording.writer import SessionWriter
from facewire.bridge.wire.codec import Encoder
from facewire.runtime.cli import main

END = {"frames": "60", "refused_frames": "3", "flame": "{}"}
TAKE = {"seconds": 0.8, "commit_every": 12, "end": END}
CHUNK, MESSAGE_INDEX, METADATA, DATA_END = 6, 7, 12, 15


@pytest.fixture
def original(make_take: MakeTake, tmp_path: Path) -> damage.Original:
    return damage.Original.of(make_take("original.mcap", audio=AudioFormat(4000), **TAKE), tmp_path)


def untouched(_chunk: damage.Place) -> bool:
    return False


@pytest.mark.parametrize("kind", ["recorded", "with sound", "cut", "interrupted", "interrupted with sound"])
def test_one_flipped_bit_is_refused_or_harmless_and_costs_its_chunk_at_most(
    make_take: MakeTake, tmp_path: Path, kind: str
) -> None:
    path = make_take("original.mcap", audio=AudioFormat(4000) if "sound" in kind or kind == "cut" else None, **TAKE)
    length = None
    if kind == "cut":
        cut([path], tmp_path / "cut.mcap", TimeRange(0.2, 0.6))
        path = tmp_path / "cut.mcap"
    if kind.startswith("interrupted"):
        length = next(begin for opcode, begin, _ in damage.records(path.read_bytes()) if opcode == DATA_END)
    take = damage.Original.of(path, tmp_path, length)
    assert damage.flip_faults(take, damage.spread(take.data, 60)) == []
    assert take.tally["info right"] == 0, "it vouches for every byte"


def test_every_bit_of_what_a_take_says_about_itself_and_frames_are_saved(make_take: MakeTake, tmp_path: Path) -> None:
    take = damage.Original.of(make_take("original.mcap", seconds=0.1, commit_every=3, end=END), tmp_path)
    begin, end = next((begin, end) for opcode, begin, end in damage.records(take.data) if opcode == METADATA)
    flips = [(place, place % 8) for place in range(begin, end, 3)]
    assert damage.flip_faults(take, flips) == []
    assert take.tally["about itself: checked"] == len(flips), "each from the copy"
    _, begin, end = [record for record in damage.records(take.data) if record[0] == METADATA][-1]
    assert damage.flip_faults(take, [(place, 2) for place in range(begin, begin + 60)]) == []


def test_a_cut_at_every_border_of_a_record_is_said_and_saved(original: damage.Original) -> None:
    for _, _, end in damage.records(original.data)[:-1]:
        assert original.faults(original.data[:end], lambda chunk, end=end: chunk[1] > end) == []
    assert original.tally["reader right"] == 0


@pytest.mark.parametrize("fill", [b"\0", b"\xff", None])
def test_runs_of_zeros_and_garbage_cost_what_they_cover(original: damage.Original, fill: bytes | None) -> None:
    dice = random.Random(3)
    for length in (1, 16, 512, 4096):
        for begin in [0, *(dice.randrange(len(original.data) - length) for _ in range(6))]:
            end = begin + length
            run = fill * length if fill else dice.randbytes(length)
            damaged = original.data[:begin] + run + original.data[end:]
            if damaged != original.data:
                faults = original.faults(damaged, lambda c, b=begin, e=end: c[0] < e and b < c[1])
                assert [fault for fault in faults if not fault.startswith("frames lost: ")] == []
                assert length > 512 or faults == []


def test_chunks_twice_swapped_left_out_or_moved_are_noticed_and_put_right(original: damage.Original) -> None:
    data, chunks = original.data, list(original.chunks)
    for first, second in pairwise(chunks):
        a, between, b = data[slice(*first)], data[first[1] : second[0]], data[slice(*second)]
        before, behind = data[: first[0]], data[second[1] :]
        for damaged in (
            before + a + a + between + b + behind,
            before + b + between + a + behind,
            before + a + between + b + a + behind,
            before + a + b"\0" * 100 + between + b + behind,
        ):
            assert original.faults(damaged, untouched) == []
        assert original.faults(before + a + between + behind, lambda chunk, gone=second: chunk == gone) == []
        assert original.faults(before + a + between + a + behind, lambda chunk, gone=second: chunk == gone) == []
    assert original.tally["info right"] == original.tally["reader right"] == 0


def test_records_between_chunks_swapped_or_left_out_are_noticed_by_info(original: damage.Original) -> None:
    found = [record for record in damage.records(original.data) if record[0] in (MESSAGE_INDEX, METADATA, DATA_END)]
    for _, begin, end in found:
        assert original.faults(original.data[:begin] + original.data[end:], untouched) == []
        zeros = original.data[:begin] + bytes(end - begin) + original.data[end:]
        assert original.faults(zeros, untouched) == []
    assert original.tally["info right"] == 0


def with_index(data: bytes, change: Callable[[bytearray], None]) -> bytes:
    """Return ``data`` with its summary changed and a checksum that is right again."""
    start = int.from_bytes(data[-28:-20], "little")
    summary = bytearray(data[start:-12])
    change(summary)
    return data[:start] + bytes(summary) + struct.pack("<I", zlib.crc32(summary)) + data[-8:]


def test_an_index_that_points_elsewhere_is_noticed_though_its_checksum_is_right(original: damage.Original) -> None:
    start = int.from_bytes(original.data[-28:-20], "little")
    entries = [begin - start for opcode, begin, _ in damage.records(original.data) if opcode == 8]

    def point(entry: int, to: int, span: int = 8, at: int = 25) -> Callable[[bytearray], None]:
        def change(summary: bytearray) -> None:
            summary[entry + at : entry + at + span] = summary[to + at : to + at + span]

        return change

    assert with_index(original.data, lambda _: None) == original.data
    for changed in (
        point(entries[1], entries[2]),  # another chunk's offset
        point(entries[1], entries[2], span=40, at=9),  # another chunk's whole entry
        point(entries[0], entries[-1]),
    ):
        assert original.faults(with_index(original.data, changed), untouched) == []
    assert original.tally["info right"] == original.tally["reader right"] == 0


def test_a_lost_beginning_costs_the_start_time_alone_and_that_is_said(
    make_take: MakeTake, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Cut within the first half second, so without the copy, and its metadata damaged."""
    path = make_take(seconds=0.2, commit_every=6, finish=False)
    data = bytearray(path.read_bytes())
    chunk = next(end for opcode, _, end in damage.records(bytes(data) + bytes(8)) if opcode == CHUNK)
    data[200] ^= 1
    path.write_bytes(data[:chunk])
    assert main(["repair", str(path), "-o", str(tmp_path / "saved.mcap")]) == 0
    assert "6 frames" in (said := capsys.readouterr().err)
    assert "its start time is lost: it is now by the file's own time" in said
    cut([tmp_path / "saved.mcap"], tmp_path / "part.mcap", TimeRange(0.05))
    for name in ("saved.mcap", "part.mcap"):
        assert main(["info", str(tmp_path / name)]) == 0
        assert "the start is a guess by the damaged file's own time" in capsys.readouterr().out
    with open_session(tmp_path / "saved.mcap") as session:
        length_ns = session.duration_ns
        assert session.metadata.started_unix_ns == path.stat().st_mtime_ns - length_ns


def write_older(path: Path, **options: Any) -> Path:
    """Write a take as programs before this did: without a checksum of the data section or in its metadata."""
    with path.open("wb") as file:
        writer = Writer(file, compression=CompressionType.ZSTD, **options)
        writer.start(profile="facewire")
        writer.add_metadata("facewire", SessionMetadata(10**18, 10**9, {"rate": 60.0}, session="old").to_record())
        channel = writer.register_channel("frame", "msgpack", 0, {"wire": "facewire.v1"})
        for number in range(20):
            frame, log_ns = next(iter(damage_frames(1, number))), 10**9 + number * 10**7
            writer.add_message(channel, log_ns, Encoder().frame(frame), log_ns, number)
        writer.finish()
    return path


def damage_frames(count: int, first: int = 0) -> list[Any]:
    from support.takes import talking_frames

    return list(talking_frames(first + count))[first:]


def test_of_an_older_take_it_is_said_what_cannot_be_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_older(tmp_path / "old.mcap")
    assert main(["info", str(path)]) == 0
    assert "not its start time and calibration, for an older program wrote no checksum" in capsys.readouterr().out
    assert main(["repair", str(path)]) == 0
    assert "is whole: there is nothing to repair (its start time and calibration cannot" in capsys.readouterr().err
    data = path.read_bytes()
    path.write_bytes(data[:-30])
    assert main(["repair", str(path), "-o", str(tmp_path / "saved.mcap")]) == 0
    assert "cannot be checked: an older program wrote no checksum of them" in capsys.readouterr().err
    flip = data.index(b"{") + 1  # within hello
    path.write_bytes(damage.flipped(data, flip, 3))
    assert repair(path, tmp_path / "saved.mcap", force=True).frames == 20
    with open_session(tmp_path / "saved.mcap") as session:
        assert session.metadata.started_unix_ns == 10**18


@pytest.mark.parametrize(
    "options", [{"index_types": IndexType.NONE}, {"use_statistics": False}, {"repeat_channels": False}]
)
def test_a_file_without_a_part_of_its_index_is_never_called_empty(tmp_path: Path, options: dict[str, Any]) -> None:
    path = write_older(tmp_path / "bare.mcap", **options)
    with pytest.raises(SessionError, match="repair it with 'facewire repair'"):
        open_session(path)
    assert not is_whole(path)
    assert repair(path, tmp_path / "saved.mcap").frames == 20


def test_a_new_take_carries_its_checksums_and_other_readers_find_them_right(make_take: MakeTake) -> None:
    path = make_take(audio=AudioFormat(), end=END)
    with path.open("rb") as file:
        for record in StreamReader(file, validate_crcs=True).records:
            if type(record).__name__ == "DataEnd":
                assert record.data_section_crc != 0  # type: ignore[attr-defined]
    with path.open("rb") as file:
        found = {one.name: one.metadata for one in make_reader(file).iter_metadata()}
    assert list(found) == ["facewire", "facewire.copy", "facewire.end"]
    assert all("crc" in one for one in found.values())
    about = {key: value for key, value in found["facewire"].items() if key != "crc"}
    assert about == {key: found["facewire.copy"][key] for key in about}
    with open_session(path) as session:
        assert check_session(session)
        assert describe(session)[0].checked
        assert session.end == END


def test_the_checksum_in_a_record_does_not_depend_on_the_order_of_its_keys() -> None:
    record = seal({"b": "2", "a": "ä"})
    assert sealed_texts(reversed(list(record.items()))) == ({"b": "2", "a": "ä"}, True)
    assert sealed_texts({"a": "1"}.items()) == ({"a": "1"}, False)
    for wrong in ({**record, "a": "a"}, {**record, "c": ""}, {"crc": record["crc"], "b": "2"}):
        with pytest.raises(ValueError):
            sealed_texts(wrong.items())
    with pytest.raises(ValueError):
        sealed_texts([("a", "1"), ("a", "1")])


def chunk_body(compression: str, data: bytes, size: int, crc: int = 0) -> bytes:
    name = compression.encode()
    return struct.pack("<QQQII", 0, 1, size, crc, len(name)) + name + struct.pack("<Q", len(data)) + data


def zstd_stream(data: bytes) -> bytes:
    packer = zstandard.ZstdCompressor().compressobj()
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize("crc", [True, False])
@pytest.mark.parametrize(
    "pack",
    [
        zstandard.compress,
        zstandard.ZstdCompressor(write_content_size=False).compress,
        zstd_stream,
        lambda data: zstandard.compress(data[:100]) + zstandard.compress(data[100:]),
    ],
)
def test_a_zstd_chunk_need_not_say_its_size(pack: Callable[[bytes], bytes], crc: bool) -> None:
    data = random.Random(1).randbytes(5000) + bytes(3_000_000)
    packed = pack(data)
    assert unpack_chunk(chunk_body("zstd", packed, len(data), zlib.crc32(data) if crc else 0)) == data
    for wrong in (packed[:-3], packed[:50], b"", *([packed[:20] + b"\xff\xff" + packed[22:]] if crc else [])):
        with pytest.raises(SessionError):
            unpack_chunk(chunk_body("zstd", wrong, len(data), zlib.crc32(data) if crc else 0))


def lz4_zeros(count: int) -> bytes:
    packer, out, piece = lz4.frame.LZ4FrameCompressor(), io.BytesIO(), bytes(8 << 20)
    out.write(packer.begin())
    for _ in range(count // len(piece)):
        out.write(packer.compress(piece))
    out.write(packer.flush())
    return out.getvalue()


def zstd_zeros(count: int) -> bytes:
    packer = zstandard.ZstdCompressor().compressobj()
    return b"".join(packer.compress(bytes(8 << 20)) for _ in range(count >> 23)) + packer.flush()


@pytest.mark.parametrize(("name", "pack"), [("lz4", lz4_zeros), ("zstd", zstd_zeros)])
@pytest.mark.parametrize("claimed", [1000, 256 << 20, 2**60])
def test_no_chunk_is_unpacked_past_the_limit(name: str, pack: Callable[[int], bytes], claimed: int) -> None:
    bomb = pack(512 << 20)
    assert len(bomb) < 5 << 20
    for packed in (bomb, (lz4.frame if name == "lz4" else zstandard).compress(b"x" * 1000) + bomb):
        tracemalloc.start()
        with pytest.raises(SessionError):
            unpack_chunk(chunk_body(name, packed, claimed))
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert most < 2.5 * MAX_CHUNK_BYTES


@pytest.mark.parametrize(("name", "pack"), [("lz4", lz4.frame.compress), ("zstd", zstandard.compress), ("", bytes)])
def test_a_chunk_of_just_the_limit_is_read(name: str, pack: Callable[[bytes], bytes]) -> None:
    data = random.Random(1).randbytes(1 << 20) * 64
    assert unpack_chunk(chunk_body(name, pack(data), len(data))) == data
    with pytest.raises(SessionError):
        unpack_chunk(chunk_body(name, pack(data + b"x"), len(data) + 1))


@pytest.mark.parametrize("name", ["brotli", "ZSTD", "lz4 "])
def test_a_way_to_pack_that_is_not_known_is_refused(name: str) -> None:
    with pytest.raises(SessionError):
        unpack_chunk(chunk_body(name, b"x" * 100, 100))


def test_a_repair_leaves_out_what_makes_no_sense_within_a_right_chunk(tmp_path: Path) -> None:
    writer = SessionWriter(tmp_path / "a.mcap", SessionMetadata(1, 2))
    good, *_ = (Encoder().frame(frame) for frame in damage_frames(1))
    writer.add_frame(good, 0, 10)
    writer.add_frame(b"\xc1", 1, 20)
    writer.add_frame(good, 2, 30)
    path = writer.finish({"refused_frames": "7"})
    assert not is_whole(path)
    report = repair(path, tmp_path / "b.mcap")
    assert (report.frames, report.damaged_messages) == (2, 1)
    assert is_whole(tmp_path / "b.mcap")
    with Session(tmp_path / "b.mcap") as session:
        assert session.end["refused_frames"] == "7", "what was counted at the end stays"
