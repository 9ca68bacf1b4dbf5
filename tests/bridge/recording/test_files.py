"""Session files: written and read back, by us and by the library's own reader; opened where they should not be."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from mcap.reader import make_reader
from mcap.writer import CompressionType, IndexType, Writer

from facewire.bridge.recording.errors import CutSessionError, RecordingError, SessionError
from facewire.bridge.recording.layout import AudioBlock, AudioFormat, SessionMetadata
from facewire.bridge.recording.reader import Session, open_session
from facewire.bridge.recording.repair import repair
from facewire.bridge.recording.writer import SessionWriter
from facewire.bridge.wire.codec import Encoder, decode_frame, decode_message

METADATA = SessionMetadata(1, 2, session="test")


def test_the_library_reads_the_very_bytes_of_the_wire(make_take: Callable[..., Path], frames: Callable) -> None:
    path, encoder = make_take(audio=AudioFormat()), Encoder()
    with path.open("rb") as file:
        reader = make_reader(file, validate_crcs=True)
        assert reader.get_header().profile == "facewire"
        stored = [message for _, _, message in reader.iter_messages("frame")]
        record = next(iter(reader.iter_metadata())).metadata
    assert [message.data for message in stored] == [encoder.frame(frame) for frame in frames(120)]
    assert [message.log_time for message in stored] == [frame.publish_ns for frame in frames(120)]
    assert record["format"] == "1"
    assert record["session"] == "test"


def test_frames_audio_and_status_come_back(make_take: Callable[..., Path], frames: Callable) -> None:
    with open_session(make_take(audio=AudioFormat(8000, 2))) as session:
        assert (session.frame_count, session.duration_ns) == (120, 119 * 10**9 // 60)
        assert session.audio == AudioFormat(8000, 2)
        for (log_ns, got), frame in zip(session.frames(), frames(120), strict=True):
            assert log_ns == got.publish_ns == frame.publish_ns
            np.testing.assert_array_equal(got.blendshapes, frame.blendshapes)
            np.testing.assert_array_equal(got.head, frame.head)
        blocks = list(session.audio_blocks())
        assert [block.first_sample for block in blocks] == list(range(0, 16000, 160))
        assert sum(len(block.samples) for block in blocks) == 16000 * 4
        assert len(list(session.statuses())) == 2
        assert session.metadata.hello["rate"] == 60.0


@pytest.mark.parametrize("commit_every", [1, 30, 0])
def test_a_range_is_the_frames_in_it_whatever_the_chunks(make_take: Callable[..., Path], commit_every: int) -> None:
    with open_session(make_take(commit_every=commit_every)) as session:
        everything = [log_ns for log_ns, _ in session.frames()]
        for first, last in ((0, 119), (29, 30), (30, 59), (7, 7), (100, 119)):
            got = [log_ns for log_ns, _ in session.frames(everything[first], everything[last])]
            assert got == everything[first : last + 1]
        assert list(session.frames(everything[-1] + 1)) == []


def test_metadata_is_kept(tmp_path: Path) -> None:
    metadata = SessionMetadata(
        11, 22, {"rate": 30.0}, "abc", "bake", "facewire/9", {"smile": 0.5}, {"python": "3.12"}, {"camera": "C920"}
    )
    SessionWriter(tmp_path / "a.mcap", metadata).finish({"dropped_frames": "3"})
    with open_session(tmp_path / "a.mcap") as session:
        assert session.metadata == metadata
        assert session.end == {"dropped_frames": "3"}
        with pytest.raises(SessionError, match="empty: it has no frames"):
            session.require_frames()


def test_a_newer_format_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("facewire.bridge.recording.layout.FORMAT", 2)
    SessionWriter(tmp_path / "a.mcap", METADATA).finish()
    monkeypatch.undo()
    with pytest.raises(SessionError, match="format 2, and this Facewire reads up to 1: update it"):
        open_session(tmp_path / "a.mcap")


def test_what_is_no_session_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "x.mcap"
    for data in (b"", b"hello", b"\0" * 100_000, os.urandom(4096)):
        path.write_bytes(data)
        with pytest.raises(SessionError, match="not an MCAP file"):
            open_session(path)
    with path.open("wb") as file:
        writer = Writer(file)
        writer.start()
        writer.finish()
    with pytest.raises(SessionError, match="is not a Facewire session"):
        open_session(path)
    with pytest.raises(SessionError, match=r"cannot open .*: No such file"):
        open_session(tmp_path / "nothing.mcap")
    with pytest.raises(SessionError, match=r"cannot open .*: it is a folder, not a file"):
        open_session(tmp_path)


def test_every_cut_of_a_file_is_told_from_a_whole_one(make_take: Callable[..., Path]) -> None:
    data, path = make_take(seconds=0.5).read_bytes(), make_take("cut.mcap", seconds=0.1)
    for length in [*range(8, 400), *range(400, len(data), 37), len(data) - 1]:
        path.write_bytes(data[:length])
        with pytest.raises(CutSessionError, match=f"repair it: facewire repair {path}"):
            open_session(path)


def test_damage_anywhere_is_an_error_or_harmless(make_take: Callable[..., Path]) -> None:
    data, path = bytearray(make_take(seconds=0.5, audio=AudioFormat()).read_bytes()), make_take("bad.mcap", seconds=0.1)
    rng = np.random.default_rng(1)
    refused = 0
    for place in rng.integers(0, len(data), 400):
        damaged = bytearray(data)
        damaged[place] ^= 0xFF
        path.write_bytes(damaged)
        try:
            with Session(path) as session:
                list(session.frames())
                list(session.audio_blocks())
        except SessionError:
            refused += 1
    assert refused > 300


def test_damage_to_any_byte_of_the_index_or_of_a_chunk_s_head_is_one_line(
    make_take: Callable[..., Path], tmp_path: Path
) -> None:
    """Lengths and places that no file has, among others."""
    data, path = bytearray(make_take(seconds=0.2, audio=AudioFormat()).read_bytes()), make_take("bad.mcap", seconds=0.1)
    with Session(make_take("whole.mcap", seconds=0.2, audio=AudioFormat())) as session:
        chunk = int(next(iter(session._index.chunks.values())).offset[0])
    summary = int.from_bytes(data[-28:-20], "little")  # the footer is 20 bytes and the magic 8
    for place in [*range(chunk, chunk + 60), *range(summary, len(data))]:
        for flip in (0x7F, 0xFF):
            damaged = bytearray(data)
            damaged[place] ^= flip
            path.write_bytes(damaged)
            with contextlib.suppress(SessionError), Session(path) as session:
                list(session.frames())
                list(session.audio_blocks())
            with contextlib.suppress(SessionError):
                repair(path, tmp_path / "saved.mcap", force=True)


def test_a_chunk_that_claims_to_be_huge_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "bomb.mcap"
    with path.open("wb") as file:
        writer = Writer(file, chunk_size=1 << 30, compression=CompressionType.ZSTD)
        writer.start(profile="facewire")
        writer.add_metadata("facewire", METADATA.to_record())
        channel = writer.register_channel("frame", "msgpack", 0)
        writer.add_message(channel, 1, bytes(100 << 20), 1)
        writer.finish()
    assert path.stat().st_size < 100_000
    with pytest.raises(SessionError, match="damaged"):
        open_session(path)


def test_other_writers_files_are_read(tmp_path: Path, frames: Callable) -> None:
    """LZ4 and uncompressed chunks, other channels and metadata beside ours."""
    for compression in (CompressionType.LZ4, CompressionType.NONE):
        path = tmp_path / f"{compression.name}.mcap"
        with path.open("wb") as file:
            writer = Writer(file, compression=compression, index_types=IndexType.ALL)
            writer.start(profile="facewire")
            writer.add_metadata("somebody else's", {"a": "b"})
            writer.add_metadata("facewire", METADATA.to_record() | {"new key": "?"})
            other, ours = writer.register_channel("imu", "json", 0), writer.register_channel("frame", "msgpack", 0)
            for frame in frames(10):
                writer.add_message(other, frame.publish_ns, b"{}", frame.publish_ns)
                writer.add_message(ours, frame.publish_ns, Encoder().frame(frame), frame.publish_ns, frame.seq)
            writer.finish()
        with open_session(path) as session:
            assert [frame.seq for _, frame in session.frames()] == list(range(10))


def test_nothing_is_overwritten_and_nothing_half_written_appears(
    tmp_path: Path, make_take: Callable[..., Path]
) -> None:
    path = make_take()
    before = path.read_bytes()
    with pytest.raises(SessionError, match="already exists: use --force"):
        SessionWriter(path, METADATA)
    writer = SessionWriter(path, METADATA, force=True)
    assert path.read_bytes() == before
    writer.finish()
    assert path.read_bytes() != before
    other = SessionWriter(tmp_path / "b.mcap", METADATA)
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith("b")] == ["b.mcap.part"]
    other.close()
    with pytest.raises(SessionError, match=r"b\.mcap\.part is left from a recording that was cut: repair it"):
        SessionWriter(tmp_path / "b.mcap", METADATA)
    with pytest.raises(SessionError, match=r"the folder .* does not exist"):
        SessionWriter(tmp_path / "no" / "c.mcap", METADATA)


def test_audio_of_another_format_is_refused(tmp_path: Path) -> None:
    writer = SessionWriter(tmp_path / "a.mcap", METADATA, audio=AudioFormat(16000))
    with pytest.raises(ValueError, match="the session's audio is"):
        writer.add_audio(AudioBlock(0, 0, b""), AudioFormat(44100))
    writer.discard()
    assert list(tmp_path.iterdir()) == []


class FullDisk:
    """A raw file that takes ``room`` bytes, the last write in part, and then reports a full disk, as write(2) does."""

    def __init__(self, file: object, room: int) -> None:
        self._file, self._room = file, room

    def __getattr__(self, name: str) -> object:
        return getattr(self._file, name)

    def write(self, data: memoryview) -> int:
        if self._room <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        taken = min(self._room, len(data))
        self._room -= taken
        return self._file.write(data[:taken])  # type: ignore[attr-defined]


def test_a_full_disk_keeps_what_was_committed(tmp_path: Path, frames: Callable) -> None:
    writer, encoder = SessionWriter(tmp_path / "a.mcap", METADATA), Encoder()
    writer.file._file = FullDisk(writer.file._file, 40_000)  # type: ignore[assignment]
    committed = 0

    def record() -> None:
        nonlocal committed
        for frame in frames(600):
            writer.add_frame(encoder.frame(frame), frame.seq, frame.publish_ns)
            if frame.seq % 30 == 29:
                writer.commit()
                committed = frame.seq + 1

    with pytest.raises(RecordingError, match=r"No space left on device; the take up to here is in .*\.part: repair it"):
        record()
    writer.close()
    assert committed >= 60
    report = repair(tmp_path / "a.mcap.part", tmp_path / "b.mcap")
    assert (report.frames, report.lost_bytes) == (committed, 0)


@pytest.mark.skipif(os.name == "nt", reason="an open file cannot be deleted there")
def test_a_deleted_folder_is_made_again_with_the_whole_take(tmp_path: Path, frames: Callable) -> None:
    folder = tmp_path / "takes"
    folder.mkdir()
    writer, encoder = SessionWriter(folder / "a.mcap", METADATA), Encoder()
    for frame in frames(120):
        writer.add_frame(encoder.frame(frame), frame.seq, frame.publish_ns)
        if frame.seq % 30 == 29:
            writer.commit()
        if frame.seq == 70:
            shutil.rmtree(folder)
    assert writer.finish() == folder / "a.mcap"
    with open_session(folder / "a.mcap") as session:
        assert [decode_frame(decode_message(stored.data)).seq for stored in session.messages("frame")] == list(
            range(120)
        )


@pytest.mark.skipif(os.name == "nt", reason="an open file's folder cannot be moved there")
def test_a_moved_folder_keeps_the_take(tmp_path: Path, frames: Callable) -> None:
    folder = tmp_path / "takes"
    folder.mkdir()
    writer = SessionWriter(folder / "a.mcap", replace(METADATA))
    for frame in frames(10):
        writer.add_frame(Encoder().frame(frame), frame.seq, frame.publish_ns)
    folder.rename(tmp_path / "elsewhere")
    with pytest.raises(RecordingError, match=r"was moved: the take is whole, as a\.mcap\.part in it"):
        writer.finish()
    with open_session(tmp_path / "elsewhere" / "a.mcap.part") as session:
        assert session.frame_count == 10


def test_a_track_is_in_the_order_of_places_whatever_the_file_s(tmp_path: Path, frames: Callable) -> None:
    from facewire.bridge.recording.track import load_track

    writer, everything = SessionWriter(tmp_path / "a.mcap", METADATA), list(frames(40))
    for frame in [*everything[10:], *everything[:10]]:
        writer.add_frame(Encoder().frame(frame), frame.seq, frame.publish_ns)
    with open_session(writer.finish()) as session:
        calls: list[tuple[int, int]] = []
        track = load_track(session, progress=lambda done, total: calls.append((done, total)))
    assert track.seq.tolist() == list(range(40))
    np.testing.assert_array_equal(track.blendshapes, np.stack([frame.blendshapes for frame in everything]))
    np.testing.assert_array_equal(track.head, np.stack([frame.head for frame in everything]))
    assert calls == [(0, 40)]
