"""Repair, cut and join."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from support.takes import MakeTake

from facewire.bridge.recording.cut import TimeRange, cut
from facewire.bridge.recording.errors import RecordingError, SessionError
from facewire.bridge.recording.info import describe
from facewire.bridge.recording.layout import AudioFormat
from facewire.bridge.recording.reader import open_session
from facewire.bridge.recording.repair import repair
from facewire.bridge.recording.sound import load_sound
from facewire.bridge.recording.track import load_track


def stored(path: Path, topic: str = "frame") -> list[bytes]:
    with open_session(path) as session:
        return [message.data for message in session.messages(topic)]


def test_every_cut_saves_all_whole_chunks(make_take: MakeTake, tmp_path: Path) -> None:
    part = make_take(seconds=3, audio=AudioFormat(), commit_every=15, finish=False)
    whole = make_take("whole.mcap", seconds=3, audio=AudioFormat(), commit_every=15)
    data, everything, saved = part.read_bytes(), stored(whole), []
    assert repair(part, tmp_path / "all.mcap").frames == 180
    with open_session(whole) as session:
        begin = int(next(iter(session._index.chunks.values())).offset[0])
    first_chunk = begin + 9 + int.from_bytes(data[begin + 1 : begin + 9], "little")  # where it ends
    for length in [*np.linspace(500, len(data), 40, dtype=int), first_chunk - 1, first_chunk]:
        part.write_bytes(data[:length])
        if length < first_chunk:
            with pytest.raises(SessionError, match="no frame is in it"):
                repair(part, tmp_path / "nothing.mcap")
            continue
        report = repair(part, tmp_path / "saved.mcap", force=True)
        assert report.frames >= 15
        assert stored(tmp_path / "saved.mcap") == everything[: report.frames]
        assert report.frames % 15 == 0
        saved.append((length, report.frames))
        assert part.read_bytes() == data[:length]
    assert not (tmp_path / "nothing.mcap").exists()
    counts = [count for _, count in sorted(saved)]
    assert counts == sorted(counts)
    assert counts[-1] == 180


def test_damage_in_the_middle_costs_its_chunk_only(make_take: MakeTake, tmp_path: Path) -> None:
    path = make_take(seconds=3, commit_every=30)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    report = repair(path, tmp_path / "saved.mcap")
    assert (report.frames, report.damaged_chunks) == (150, 1)
    with open_session(tmp_path / "saved.mcap") as session:
        assert session.metadata.origin == "repair"
        assert load_track(session).dropped == 30


@pytest.mark.parametrize("finish", [True, False])
def test_damage_to_the_first_chunk_costs_that_chunk_and_not_the_names_of_all(
    make_take: MakeTake, tmp_path: Path, finish: bool
) -> None:
    path = make_take(seconds=3, audio=AudioFormat(), commit_every=30, finish=finish)
    data = bytearray(path.read_bytes())
    chunk = make_take("whole.mcap", seconds=3, audio=AudioFormat(), commit_every=30)
    with open_session(chunk) as session:
        begin = int(next(iter(session._index.chunks.values())).offset[0])
    data[begin + 200] ^= 0xFF
    path.write_bytes(data)
    report = repair(path, tmp_path / "saved.mcap")
    assert (report.frames, report.damaged_chunks) == (150, 1)
    assert stored(tmp_path / "saved.mcap") == stored(chunk)[30:]
    assert report.audio_blocks == len(stored(chunk, "audio")[25:])


@pytest.mark.parametrize("finish", [True, False])
@pytest.mark.parametrize("fill", [0, 0xFF])
def test_a_bad_sector_over_a_chunk_s_head_does_not_end_the_take(
    make_take: MakeTake, tmp_path: Path, finish: bool, fill: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing says where the next record begins: the chunk behind is found by what is in its head."""
    monkeypatch.setattr("facewire.bridge.recording.repair.SEARCH_BYTES", 100)
    path = make_take(seconds=3, commit_every=30, finish=finish)
    whole = make_take("whole.mcap", seconds=3, commit_every=30)
    with open_session(whole) as session:
        second = int(next(iter(session._index.chunks.values())).offset[1])
    data = bytearray(path.read_bytes())
    data[second - 10 : second + 502] = bytes([fill]) * 512
    path.write_bytes(data)
    report = repair(path, tmp_path / "saved.mcap")
    assert (report.frames, report.damaged_chunks, report.lost_bytes) == (150, 1, 0)
    assert stored(tmp_path / "saved.mcap") == stored(whole)[:30] + stored(whole)[60:]


def test_repair_keeps_audio_and_status_and_the_sources(make_take: MakeTake, tmp_path: Path) -> None:
    part = make_take(seconds=1, audio=AudioFormat(44100, 2), finish=False)
    report = repair(part, tmp_path / "saved.mcap")
    assert (report.frames, report.audio_blocks, report.statuses) == (60, 50, 1)
    with open_session(tmp_path / "saved.mcap") as session:
        assert session.audio == AudioFormat(44100, 2)


def test_nothing_to_repair_is_said(tmp_path: Path) -> None:
    path = tmp_path / "x.mcap"
    for data, message in ((b"RIFF....", "not an MCAP file"), (b"\x89MCAP0\r\n", "nothing of a Facewire session")):
        path.write_bytes(data)
        with pytest.raises(SessionError, match=message):
            repair(path, tmp_path / "y.mcap")
    with pytest.raises(SessionError, match="cannot read"):
        repair(tmp_path / "none.mcap", tmp_path / "y.mcap")
    assert [p.name for p in tmp_path.iterdir()] == ["x.mcap"]


RECORD_UNTIL_KILLED = """
import os, sys, time
from pathlib import Path
from facewire.bridge.wire.frame import FaceFrame
from facewire.bridge.recording.layout import SessionMetadata
from facewire.runtime.takes.recorder import Recorder
import numpy as np
recorder = Recorder(Path(sys.argv[1]), SessionMetadata(1, 0))
commit = recorder._writer.commit
def tell(kind, count):
    os.write(1, kind + count.to_bytes(4, "little"))
def commit_and_tell():
    commit()
    tell(b"c", recorder.counts.frames)
recorder._writer.commit = commit_and_tell
recorder.start()
zeros = np.zeros(52, np.float32), np.array([0, 0, 0, 1, 0, 0, 0], np.float32), np.zeros(4, np.float32)
start = time.perf_counter()
for seq in range(100_000):
    time.sleep(max(0, start + seq / 60 - time.perf_counter()))
    now = time.perf_counter_ns()
    recorder.offer_frame(FaceFrame(seq, now, now, "video", 1.0, *zeros))
    tell(b"o", seq + 1)
"""


def lost_by_kill_9(folder: Path, seconds: float) -> int:
    """Frames that were offered and are not in the repaired take of a recorder killed ``seconds`` after its first
    chunk."""
    folder.mkdir()
    command = [sys.executable, "-c", RECORD_UNTIL_KILLED, str(folder / "take.mcap")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        told = child.stdout.read(5)
        while told[-5:-4] != b"c":
            told += (more := child.stdout.read(5))
            assert more, "the recorder ended by itself"
        time.sleep(seconds)
        child.send_signal(signal.SIGKILL)
        told += child.stdout.read()
    notes = [(told[at : at + 1], int.from_bytes(told[at + 1 : at + 5], "little")) for at in range(0, len(told) - 4, 5)]
    offered, committed = (max(count for kind, count in notes if kind == name) for name in (b"o", b"c"))
    report = repair(folder / "take.mcap.part", folder / "saved.mcap")
    assert report.frames >= committed
    with open_session(folder / "saved.mcap") as session:
        assert [frame.seq for _, frame in session.frames()] == list(range(report.frames))
    return offered - report.frames


@pytest.mark.skipif(os.name == "nt", reason="there is no kill -9")
@pytest.mark.parametrize("seconds", [0.1, 0.57, 1.2])
def test_kill_9_loses_at_most_a_second(tmp_path: Path, seconds: float) -> None:
    tries = (lost_by_kill_9(tmp_path / str(number), seconds) for number in range(3))
    assert any(lost <= 60 for lost in tries), "three times: a busy machine may hold the recorder up once"


def test_cut_copies_bytes_and_sound(make_take: MakeTake, tmp_path: Path) -> None:
    path = make_take(seconds=4, audio=AudioFormat())
    report = cut([path], tmp_path / "b.mcap", TimeRange(1.0, 2.5))
    assert (report.frames, report.duration_ns) == (91, 1_500_000_000)
    assert stored(tmp_path / "b.mcap") == stored(path)[60:151]
    with open_session(path) as whole, open_session(tmp_path / "b.mcap") as part:
        assert part.metadata.origin == "cut"
        assert part.start_ns == whole.start_ns + 1_000_000_000
        assert part.metadata.started_unix_ns == whole.metadata.started_unix_ns + 1_000_000_000
        sound, expected = (load_sound(session, part.start_ns, part.end_ns) for session in (part, whole))
        assert sound is not None
        assert expected is not None
        np.testing.assert_array_equal(sound[1], expected[1])
        assert np.abs(sound[1]).max() > 10_000


def test_a_cut_within_a_block_of_sound_keeps_the_rest_of_it(make_take: MakeTake, tmp_path: Path) -> None:
    """A recorder's blocks are 0.1 s long; a cut may begin anywhere in one, and several may be joined."""
    from facewire.bridge.recording.layout import AudioBlock, SessionMetadata
    from facewire.bridge.recording.writer import SessionWriter

    audio, writer = AudioFormat(1000, 2), SessionWriter(tmp_path / "a.mcap", SessionMetadata(0, 0))
    ramp = np.arange(1, 6001, dtype="<i2").reshape(-1, 2)
    for first in range(0, 3000, 100):
        writer.add_audio(AudioBlock(first * 10**6, first, ramp[first : first + 100].tobytes()), audio)
    for number, data in enumerate(stored(make_take("frames.mcap", seconds=3))):
        writer.add_frame(data, number, number * 10**9 // 60)
    whole = writer.finish()
    cut([whole, whole], tmp_path / "b.mcap", TimeRange(1.0635, 1.9))
    with open_session(tmp_path / "b.mcap") as session:
        sound = load_sound(session, 1_063_500_000, 1_900_000_000)
        assert sound is not None
        np.testing.assert_array_equal(sound[1], ramp[1064:1900])
        second_ns = max(block.log_ns for block in session.audio_blocks() if block.first_sample == 1064)
        sound = load_sound(session, second_ns, session.end_ns)
        assert sound is not None
        np.testing.assert_array_equal(sound[1], ramp[1064 : 1064 + len(sound[1])])
        assert second_ns - 1_900_000_000 < 20_000_000
    with open_session(whole) as session:  # whole blocks behind the beginning stay as they are
        assert stored(whole, "audio")[11:19] == stored(tmp_path / "b.mcap", "audio")[1:9]


def test_a_whole_cut_that_gets_no_name_is_kept(make_take: MakeTake, tmp_path: Path) -> None:
    """The error says where it is; to delete it then would lose what may have taken an hour to bake."""
    take, out = make_take(seconds=5), tmp_path / "out.mcap"
    with pytest.raises(RecordingError, match=r"it is whole, as .*out\.mcap\.part"):
        cut([take], out, TimeRange(), force=True, progress=lambda *_: out.mkdir(exist_ok=True))
    with open_session(tmp_path / "out.mcap.part") as session:
        assert session.frame_count == 300


def test_join_goes_on_where_the_first_ends(make_take: MakeTake, tmp_path: Path) -> None:
    first = make_take("a.mcap", seconds=1, audio=AudioFormat(), start_ns=10**9)
    second = make_take("b.mcap", seconds=2, audio=AudioFormat(), start_ns=77 * 10**9)
    report = cut([first, second], tmp_path / "c.mcap", TimeRange())
    assert report.frames == 180
    assert stored(tmp_path / "c.mcap") == stored(first) + stored(second)
    with open_session(tmp_path / "c.mcap") as session:
        info, track = describe(session)
        assert track is not None
        assert (info.origin, info.dropped, info.frames) == ("join", 0, 180)
        assert np.abs(np.diff(track.log_ns) - 1e9 / 60).max() < 1000
        sound = load_sound(session, session.start_ns, session.end_ns)
        assert sound is not None
        assert abs(int(np.abs(sound[1][16000:20000]).max()) - 12_000) < 100


def test_cut_refuses_what_makes_no_sense(make_take: MakeTake, tmp_path: Path) -> None:
    path, out = make_take(seconds=1), tmp_path / "out.mcap"
    for part in (
        TimeRange(2.0),
        TimeRange(-1.0),
        TimeRange(0.0, 1.5),
        TimeRange(0.8, 0.2),
        TimeRange(None, float("nan")),
    ):
        with pytest.raises(SessionError, match=r"outside the session|before the start or past the end"):
            cut([path], out, part)
    with pytest.raises(SessionError, match="would be read and written at the same time"):
        cut([path], path, TimeRange(), force=True)
    other = make_take("other.mcap", seconds=1, audio=AudioFormat(8000))
    another = make_take("another.mcap", seconds=1, audio=AudioFormat(16000))
    with pytest.raises(SessionError, match=r"differs .16000 Hz × 1, 8000 Hz × 1.: they cannot be joined"):
        cut([other, another], out, TimeRange())
    empty = make_take("empty.mcap", seconds=0)
    with pytest.raises(SessionError, match="empty"):
        cut([path, empty], out, TimeRange())
    assert not out.exists()


def test_sound_is_seamless_over_jitter_and_silent_over_gaps(tmp_path: Path) -> None:
    from facewire.bridge.recording.layout import AudioBlock, SessionMetadata
    from facewire.bridge.recording.writer import SessionWriter

    audio, writer = AudioFormat(1000), SessionWriter(tmp_path / "a.mcap", SessionMetadata(0, 0))
    samples = np.arange(1, 301, dtype=np.int16)
    for first in (0, 100, 200):  # the second block's time is 7 ms late
        writer.add_audio(
            AudioBlock(first * 10**6 + 7_000_000 * (first == 100), first, samples[first:][:100].tobytes()), audio
        )
    writer.add_audio(AudioBlock(500_000_000, 450, samples[:50].tobytes()), audio)  # after a gap
    writer.finish()
    with open_session(tmp_path / "a.mcap") as session:
        sound = load_sound(session, 50_000_000, 560_000_000)
        assert sound is not None
        expected = np.zeros(510, np.int16)
        expected[:250], expected[450:500] = samples[50:300], samples[:50]
        np.testing.assert_array_equal(sound[1][:, 0], expected)


def test_info_counts_what_was_lost_and_who_drove(make_take: MakeTake) -> None:
    with open_session(make_take(seconds=2, audio=AudioFormat())) as session:
        info, _ = describe(session)
    assert (info.frames, info.dropped, round(info.rate, 2), info.shares) == (120, 0, 60.0, {"video": 1.0})
    assert info.latency_ms == (9.0, 9.0)
    assert info.shapes["jaw open"][1] > 0.99
    assert info.audio == {"rate": 16000, "channels": 1, "blocks": 100}
