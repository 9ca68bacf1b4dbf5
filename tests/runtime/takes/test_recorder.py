"""Recording beside a live run: nothing is lost, nothing waits, and whatever a disk does the live path goes on."""

from __future__ import annotations

import errno
import os
import threading
import time
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.takes import Frames
from support.waiting import wait_until

from facewire.bridge.recording.errors import RecordingError, SessionError
from facewire.bridge.recording.layout import AudioBlock, AudioFormat, SessionMetadata
from facewire.bridge.recording.reader import open_session
from facewire.bridge.recording.repair import repair
from facewire.bridge.recording.sound import load_sound
from facewire.bridge.shared.errors import CommandError
from facewire.bridge.wire.codec import Encoder
from facewire.runtime.takes import recorder as recorder_module
from facewire.runtime.takes.manager import Takes, finish, without_names
from facewire.runtime.takes.recorder import Recorder

METADATA = SessionMetadata(0, 0)


def test_everything_that_is_offered_is_recorded(tmp_path: Path, frames: Frames) -> None:
    recorder, audio = (
        Recorder(tmp_path / "a.mcap", METADATA, status=lambda: {"rates": {"publish": 60.0}}),
        AudioFormat(),
    )
    recorder._status_ns -= recorder_module.STATUS_NS  # one is due at once
    recorder.start()
    offered = list(frames(600))
    for frame in offered:
        recorder.offer_frame(frame)
        if frame.seq % 6 == 0:
            first = frame.seq // 6 * 1600
            recorder.offer_audio(AudioBlock(frame.publish_ns, first, np.full(1600, 7, "<i2").tobytes()), audio)
        time.sleep(0.0005)
    wait_until(lambda: recorder.counts.frames == 600)
    assert recorder.stop() == tmp_path / "a.mcap"
    encoder = Encoder()
    with open_session(tmp_path / "a.mcap") as session:
        assert [stored.data for stored in session.messages("frame")] == [encoder.frame(frame) for frame in offered]
        sound = load_sound(session, session.start_ns, session.end_ns)
        assert sound is not None
        assert (sound[1] == 7).all()
        assert len(list(session.statuses())) >= 1
        assert session.end == {"frames": "600", "refused_frames": "0", "refused_audio": "0", "bad_frames": "0"}


def test_sound_is_gathered_and_another_rate_does_not_end_the_take(tmp_path: Path, frames: Frames) -> None:
    lines: list[str] = []
    recorder, audio = Recorder(tmp_path / "a.mcap", METADATA, notify=lines.append), AudioFormat(48_000)
    recorder.start()
    ramp = np.arange(480 * 60, dtype="<i2")
    for block in range(50):  # half a second of 10 ms
        first = 480 * block
        recorder.offer_audio(AudioBlock(10_000_000 * block, first, ramp[first : first + 480].tobytes()), audio)
    recorder.offer_audio(AudioBlock(500_000_000, 0, bytes(320)), AudioFormat(16_000))
    recorder.offer_audio(AudioBlock(510_000_000, 160, bytes(320)), AudioFormat(16_000))
    recorder.offer_audio(AudioBlock(520_000_000, 480 * 52, ramp[480 * 52 : 480 * 53].tobytes()), audio)  # after a gap
    recorder.offer_frame(next(frames(1)))
    recorder.stop()
    assert recorder.counts.refused_audio == 2
    assert lines == ["the microphone's rate has changed: the take goes on without sound; start a new one for it"]
    with open_session(tmp_path / "a.mcap") as session:
        blocks = list(session.audio_blocks())
        sound = load_sound(session, 0, 530_000_000)
    assert len(blocks) <= 8
    assert blocks[-1].first_sample == 480 * 52
    assert sound is not None
    np.testing.assert_array_equal(sound[1][:24_000, 0], ramp[:24_000])
    np.testing.assert_array_equal(sound[1][480 * 52 :, 0], ramp[480 * 52 : 480 * 53])


def test_flame_is_recorded_and_landmarks_are_not(tmp_path: Path, frames: Frames) -> None:
    from facewire.bridge.wire.frame import FlameParameters

    flame = FlameParameters(*(np.zeros(n, np.float32) for n in (50, 3, 3, 6)))
    landmarks = np.ones((478, 3), np.float32)
    recorder = Recorder(tmp_path / "a.mcap", METADATA)
    recorder.start()
    recorder.offer_frame(replace(next(frames(1)), flame=flame, landmarks=landmarks))
    recorder.stop()
    with open_session(tmp_path / "a.mcap") as session:
        ((_, frame),) = session.frames()
        assert frame.landmarks is None
        assert frame.flame is not None
        assert frame.flame.expression.shape == (50,)


def test_a_frame_that_cannot_be_packed_is_counted(tmp_path: Path, frames: Frames) -> None:
    recorder = Recorder(tmp_path / "a.mcap", METADATA)
    recorder.start()
    for frame in frames(3):
        gaze = np.full(4, np.nan, np.float32) if frame.seq == 1 else frame.gaze
        recorder.offer_frame(replace(frame, gaze=gaze))
    recorder.stop()
    assert (recorder.counts.frames, recorder.counts.bad_frames) == (2, 1)


class SlowDisk:
    """A raw file whose writes wait until they are let go."""

    def __init__(self, file: object) -> None:
        self._file, self.gate, self.hangs = file, threading.Event(), threading.Event()

    def __getattr__(self, name: str) -> object:
        return getattr(self._file, name)

    def write(self, data: memoryview) -> int:
        self.hangs.set()
        self.gate.wait()
        return self._file.write(data)  # type: ignore[attr-defined, no-any-return]


def test_a_disk_that_stalls_costs_the_live_path_nothing_and_the_take_one_gap(
    tmp_path: Path, frames: Frames, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder_module, "MAX_WAITING", 200)
    recorder = Recorder(tmp_path / "a.mcap", METADATA)
    disk = recorder._writer.file._file = SlowDisk(recorder._writer.file._file)  # type: ignore[assignment]
    recorder._committed_ns = 0  # The first turn takes the first frame and writes.
    offered = list(frames(400))
    recorder.offer_frame(offered[0])
    recorder.start()
    assert disk.hangs.wait(60)
    for frame in offered[1:]:
        recorder.offer_frame(frame)
    assert recorder.counts.refused_frames == 199
    disk.gate.set()
    recorder.stop()
    with open_session(tmp_path / "a.mcap") as session:
        assert [frame.seq for _, frame in session.frames()] == list(range(201))
        assert session.end["refused_frames"] == "199"


def test_a_disk_that_never_comes_back_does_not_hold_up_the_end(tmp_path: Path, frames: Frames) -> None:
    recorder = Recorder(tmp_path / "a.mcap", METADATA)
    disk = recorder._writer.file._file = SlowDisk(recorder._writer.file._file)  # type: ignore[assignment]
    recorder.start()
    recorder.offer_frame(next(frames(1)))
    with pytest.raises(RecordingError, match=r"the disk is too slow for .*: what it took is in .*\.part"):
        recorder.stop(timeout_s=0.2)
    disk.gate.set()
    assert recorder.join(60)


def test_a_full_disk_is_one_line_and_the_take_up_to_there(tmp_path: Path, frames: Frames) -> None:
    lines: list[str] = []
    recorder = Recorder(tmp_path / "a.mcap", METADATA, notify=lines.append)
    raw, room = recorder._writer.file._file, 30_000

    class Full:
        def __getattr__(self, name: str) -> object:
            return getattr(raw, name)

        def write(self, data: memoryview) -> int:
            nonlocal room
            if len(data) > room:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            room -= len(data)
            return raw.write(data)

    recorder._writer.file._file = Full()  # type: ignore[assignment]
    recorder.start()
    for frame in frames(2000):
        recorder.offer_frame(frame)
        if frame.seq % 30 == 29:  # a commit for each half second, however busy the machine is
            recorder._committed_ns = 0
            wait_until(lambda: recorder._committed_ns > 0 or recorder.error is not None)
        if recorder.error is not None:
            break
    assert not recorder.active
    assert len(lines) == 1
    assert lines[0].startswith("the recording has stopped: No space left on device; the take up to here is in ")
    recorder.offer_frame(next(frames(1)))
    assert len(recorder._frames) == 0
    with pytest.raises(RecordingError, match="No space left"):
        recorder.stop()
    assert repair(tmp_path / "a.mcap.part", tmp_path / "b.mcap").frames >= 30


def test_what_is_not_yet_on_its_way_to_the_disk_is_half_a_second(tmp_path: Path, frames: Frames) -> None:
    """The recorder's turns on a clock of the test: what a killed process loses, whatever the machine does."""
    now = [0]
    recorder = Recorder(tmp_path / "a.mcap", METADATA, clock=lambda: now[0])
    written, syncs, most, part = 0, [], 0, recorder._writer.file
    commit, sync = recorder._writer.commit, recorder._writer.sync

    def note_commit() -> None:
        nonlocal written
        commit()
        written = recorder.counts.frames
        assert part.part.stat().st_size == part.tell()  # all of it is with the system

    def note_sync() -> None:
        sync()
        syncs.append(now[0])

    recorder._writer.commit, recorder._writer.sync = note_commit, note_sync  # type: ignore[method-assign]
    for frame in frames(600):  # ten seconds
        now[0] = frame.seq * 10**9 // 60
        recorder.offer_frame(frame)
        if frame.seq % 3 == 2:  # POLL_S
            recorder.turn(now[0])
        most = max(most, frame.seq + 1 - written)
    assert most <= 0.6 * 60
    assert len(syncs) == 9
    assert max(np.diff(syncs)) <= 1.1e9
    recorder._writer.close()


def test_an_offer_allocates_nothing_that_stays(tmp_path: Path, frames: Frames) -> None:
    recorder, frame = Recorder(tmp_path / "a.mcap", METADATA), next(frames(1))
    recorder.start()
    for _ in range(100):
        recorder.offer_frame(frame)
    wait_until(lambda: not recorder._frames)
    tracemalloc.start()
    before = tracemalloc.take_snapshot()
    for _ in range(20):
        for _ in range(100):
            recorder.offer_frame(frame)
        wait_until(lambda: not recorder._frames)
    grown = tracemalloc.take_snapshot().compare_to(before, "filename")
    tracemalloc.stop()
    recorder.stop()
    assert sum(one.size_diff for one in grown if one.traceback[0].filename.endswith("recorder.py")) < 10_000


def test_takes_start_and_stop_by_command(tmp_path: Path, frames: Frames) -> None:
    lines: list[str] = []
    takes = Takes(tmp_path / "deep" / "takes", notify=lines.append, hello=lambda: {"type": "hello", "rate": 30.0})
    ask = takes.commands
    assert takes.state() == {"recording": None}
    takes.offer_frame(next(frames(1)))  # Between takes: nowhere.
    with pytest.raises(CommandError, match="no take is running"):
        ask["record_stop"]({})
    assert ask["record_start"]({"name": "scene 1"}) == {"file": "scene 1.mcap"}
    with pytest.raises(CommandError, match="already running"):
        ask["record_start"]({})
    for frame in frames(60):
        takes.offer_frame(frame)
    assert ask["record_stop"]({}) == {"file": "scene 1.mcap", "frames": 60, "refused": 0}
    assert ask["record_start"]({"name": "scene 1.mcap"}) == {"file": "scene 1-2.mcap"}
    assert takes.state()["recording"]["file"] == "scene 1-2.mcap"
    takes.offer_frame(next(frames(1)))
    finish(takes, lines.append)
    assert lines == [f"recorded {tmp_path}/deep/takes/scene 1-2.mcap"]
    ask["record_start"]({"name": "empty"})
    finish(takes, lines.append)
    assert len(lines) == 1
    assert sorted(path.name for path in takes.folder.iterdir()) == ["scene 1-2.mcap", "scene 1.mcap"]  # type: ignore[union-attr]
    with open_session(tmp_path / "deep" / "takes" / "scene 1.mcap") as session:
        assert session.frame_count == 60
        assert session.metadata.hello["rate"] == 30.0
        assert abs(session.metadata.started_unix_ns - time.time_ns()) < 60e9


def test_takes_of_several_servers_in_one_folder_get_names_of_their_own(tmp_path: Path, frames: Frames) -> None:
    servers = [Takes(tmp_path) for _ in range(8)]
    gate = threading.Barrier(len(servers))

    def record(number: int) -> None:
        gate.wait()
        servers[number].start("scene")
        for frame in frames(20):
            servers[number].offer_frame(replace(frame, seq=1000 * number + frame.seq))
        servers[number].stop()

    threads = [threading.Thread(target=record, args=(number,), daemon=True) for number in range(len(servers))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = []
    for path in tmp_path.iterdir():
        with open_session(path) as session:
            found.append([frame.seq for _, frame in session.frames()])
    assert sorted(found) == [[1000 * number + seq for seq in range(20)] for number in range(len(servers))]


def test_what_a_run_cannot_say_of_itself_costs_no_frame(tmp_path: Path, frames: Frames) -> None:
    def changing() -> dict[str, object]:
        raise RuntimeError("dictionary changed size during iteration")

    recorder = Recorder(tmp_path / "a.mcap", METADATA, status=changing, profile=changing, flame=lambda: {"shape": {1}})
    recorder._status_ns -= recorder_module.STATUS_NS  # one is due at once
    recorder.start()
    for frame in frames(30):
        recorder.offer_frame(frame)
    wait_until(lambda: not recorder._frames)
    with open_session(recorder.stop()) as session:
        assert session.frame_count == 30
        assert session.end["frames"] == "30"
        assert not {"profile", "flame"} & set(session.end)


@pytest.mark.parametrize("name", ["../up", "/etc/x", "", "a/b", "a\\b", ".hidden", "x" * 65, 5, "a\n"])
def test_a_take_s_name_stays_in_its_folder(tmp_path: Path, name: object) -> None:
    with pytest.raises(CommandError, match="name must be"):
        Takes(tmp_path).commands["record_start"]({"name": name})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["CON", "nul", "com1.mcap", "Aux.2"])
def test_a_take_is_called_what_every_system_can_write(tmp_path: Path, name: str) -> None:
    with pytest.raises(CommandError, match="Windows keeps that name for a device"):
        Takes(tmp_path, hello=dict).commands["record_start"]({"name": name})
    assert list(tmp_path.iterdir()) == []


def test_device_names_are_kept_only_where_the_user_agreed(tmp_path: Path, frames: Frames) -> None:
    devices = {"video": {"kind": "camera", "name": "Ann's C920", "state": "open", "error": "Ann's C920 is busy"}}
    for agreed in (False, True):
        folder = tmp_path / str(agreed)
        takes = Takes(folder, status=lambda: {"devices": devices}, keep_device_names=agreed)
        path = takes.start("a")
        recorder = takes._recorder
        assert recorder is not None
        recorder._status_ns = 0
        takes.offer_frame(next(frames(1)))
        wait_until(lambda recorder=recorder: recorder._status_ns > 0)  # type: ignore[misc]
        takes.stop()
        assert (b"Ann" in path.read_bytes()) == agreed
        with open_session(path) as session:
            assert any(b"Ann" in stored.data for stored in session.statuses()) == agreed
    assert without_names(devices["video"]) == {"kind": "camera", "state": "open"}


def test_a_folder_that_cannot_be_made_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordingError, match="cannot make the folder"):
        Takes(tmp_path / "file" / "takes")
    with pytest.raises(SessionError, match="does not exist"):
        Recorder(tmp_path / "none" / "a.mcap", METADATA)
