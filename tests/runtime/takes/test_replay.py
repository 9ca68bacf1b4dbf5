"""Replays: the recorded frames at their times, on every run the same, and commands that move the time."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support.takes import MakeTake
from support.waiting import PATIENCE_S, wait_until

from facewire.bridge.client.blocking import connect_blocking
from facewire.bridge.recording.cut import TimeRange, cut
from facewire.bridge.recording.errors import SessionError
from facewire.bridge.recording.reader import open_session
from facewire.bridge.server.config import ServerConfig
from facewire.bridge.server.server import LiveServer
from facewire.bridge.shared.errors import CommandError
from facewire.bridge.wire.codec import Encoder
from facewire.bridge.wire.frame import FaceFrame
from facewire.runtime.takes.replay import LEAD_NS, Playhead, Replay, ReplayClock, moved

"""How long to wait for what must come: a machine may be busy."""


class Taker:
    """Takes frames as a server does."""

    def __init__(self) -> None:
        self.frames: list[FaceFrame] = []
        self._news = threading.Condition()

    def __call__(self, frame: FaceFrame) -> None:
        with self._news:
            self.frames.append(frame)
            self._news.notify_all()

    def wait_for(self, count: int) -> list[FaceFrame]:
        with self._news:
            assert self._news.wait_for(lambda: len(self.frames) >= count, PATIENCE_S), (
                f"{len(self.frames)} of {count} came"
            )
            return list(self.frames)


class Hourglass:
    """A replay's clock: it shows what the test says, to the nanosecond."""

    def __init__(self) -> None:
        self.now_ns = 0

    def __call__(self) -> int:
        return self.now_ns


def play_to_the_end(path: Path, publish: Callable[[Replay, Hourglass, FaceFrame], None], **options: object) -> None:
    """Have ``publish`` called for each frame of a replay, without a thread."""
    glass = Hourglass()
    replay = Replay(open_session(path), lambda frame: publish(replay, glass, frame), clock=glass, **options)  # type: ignore[arg-type]
    replay.clock.start()
    while not replay.ended.is_set():
        glass.now_ns += replay.due_in_ns(replay.clock()) or 0
        replay.turn(replay.clock())
    replay.stop()


def play(path: Path, **options: object) -> tuple[Taker, Replay]:
    taker = Taker()
    replay = Replay(open_session(path), taker, **options)  # type: ignore[arg-type]
    replay.start()
    return taker, replay


def packed(frames: list[FaceFrame]) -> list[bytes]:
    encoder = Encoder()
    return [encoder.frame(frame) for frame in frames]


def test_the_playhead_is_a_line() -> None:
    head = Playhead(1_000, 50_000, speed=2.0)
    assert head.due_ns(3_000) == 51_000
    assert head.at_ns(51_000) == 3_000
    head.paused = True
    assert head.at_ns(99_000) == 1_000


def test_the_clock_stands_until_the_start() -> None:
    times = iter([100, 175])
    clock = ReplayClock(7_000, lambda: next(times))
    assert clock() == 7_000
    clock.start()
    assert clock() == 7_075


def test_two_replays_are_the_recorded_bytes(make_take: MakeTake) -> None:
    path = make_take(seconds=0.5)
    with open_session(path) as session:
        recorded = [stored.data for stored in session.messages("frame")]
    for _ in range(2):
        taker, replay = play(path)
        assert replay.ended.wait(PATIENCE_S)
        replay.stop()
        assert packed(taker.frames) == recorded


def test_every_frame_comes_when_it_is_due(make_take: MakeTake) -> None:
    late_ns: list[int] = []
    play_to_the_end(make_take(seconds=1), lambda replay, _, frame: late_ns.append(replay.clock() - frame.publish_ns))
    assert late_ns == [0] * 60


def test_after_a_hiccup_the_replay_catches_up(make_take: MakeTake) -> None:
    late_ns: list[int] = []

    def publish(replay: Replay, glass: Hourglass, frame: FaceFrame) -> None:
        late_ns.append(replay.clock() - frame.publish_ns)
        glass.now_ns += 100_000_000 if frame.seq == 10 else 0

    play_to_the_end(make_take(seconds=1), publish)
    assert late_ns[:11] == [0] * 11
    assert [round(late / 1e6) for late in late_ns[11:17]] == [83, 67, 50, 33, 17, 0]
    assert late_ns[17:] == [0] * 43


def test_no_frame_comes_before_its_time(make_take: MakeTake) -> None:
    """On a real clock and thread; benchmarks/recording.py has how late they come."""
    late_ns = []
    session = open_session(make_take(seconds=0.3))

    def publish(frame: FaceFrame) -> None:
        late_ns.append(replay.clock() - frame.publish_ns)

    replay = Replay(session, publish)
    assert replay.clock() == session.start_ns - LEAD_NS
    replay.start()
    assert replay.ended.wait(PATIENCE_S)
    replay.stop()
    assert len(late_ns) == 18
    assert min(late_ns) >= 0


def test_speed_moves_the_stamps_and_keeps_the_latency(make_take: MakeTake) -> None:
    path, runs = make_take(seconds=1), []
    for _ in range(2):
        taker, replay = play(path, speed=4.0)
        assert replay.ended.wait(PATIENCE_S)
        replay.stop()
        runs.append(packed(taker.frames))
        stamps = np.array([frame.publish_ns for frame in taker.frames])
        assert np.abs(np.diff(stamps) - 1e9 / 240).max() < 2
        assert {frame.publish_ns - frame.capture_ns for frame in taker.frames} == {9_000_000}
    assert runs[0] == runs[1]


def test_every_time_of_a_frame_moves_with_it(frames: Callable) -> None:
    frame = dataclasses.replace(next(frames(1)), video_ns=4_980_000_000, audio_ns=None)
    later = moved(frame, 9, frame.publish_ns + 5)
    assert (later.seq, later.video_ns, later.audio_ns) == (9, 4_980_000_005, None)
    assert later.publish_ns - later.capture_ns == 9_000_000
    assert moved(frame, 0, 3).capture_ns == 0


def test_loops_go_on_counting_and_never_step_back(make_take: MakeTake) -> None:
    taker, replay = play(make_take(seconds=0.1), loop=True)
    frames = taker.wait_for(20)
    replay.stop()
    assert [frame.seq for frame in frames[:20]] == list(range(20))
    stamps = np.array([frame.publish_ns for frame in frames[:20]])
    assert np.abs(np.diff(stamps) - 1e9 / 60).max() < 3
    np.testing.assert_array_equal(frames[0].blendshapes, frames[6].blendshapes)


def test_a_part_and_a_joined_session(make_take: MakeTake, tmp_path: Path) -> None:
    path = make_take(seconds=1)
    with open_session(path) as session:
        part_ns = TimeRange(0.5, 0.7).resolve_ns(session)
    taker, replay = play(path, part_ns=part_ns)
    assert replay.ended.wait(PATIENCE_S)
    replay.stop()
    assert [frame.seq for frame in taker.frames] == list(range(30, 43))
    cut([path, path], tmp_path / "twice.mcap", TimeRange(0.0, 0.1))
    taker, replay = play(tmp_path / "twice.mcap")
    assert replay.ended.wait(PATIENCE_S)
    replay.stop()
    assert [frame.seq for frame in taker.frames] == list(range(14))
    assert np.diff([frame.publish_ns for frame in taker.frames]).min() > 16_000_000


def test_pause_seek_step_and_resume(make_take: MakeTake) -> None:
    taker, replay = play(make_take(seconds=40))  # a busy machine must not come to its end before the first command
    taker.wait_for(5)
    ask = replay.commands
    state = ask["pause"]({})
    assert state["paused"]
    shown = len(taker.frames)
    last = taker.frames[-1]
    time.sleep(0.1)
    assert len(taker.frames) == shown

    assert ask["step"]({})["paused"]
    assert taker.frames[-1].seq == last.seq + 1
    jaw = [round(float(frame.blendshapes[17]), 4) for frame in taker.frames]
    assert ask["step"]({"frames": -1})["paused"]
    assert round(float(taker.frames[-1].blendshapes[17]), 4) == jaw[-2]

    before_ns = replay.clock()
    assert ask["seek"]({"time_s": 2.0})["time_s"] == 2.0
    at_two = taker.frames[-1]
    assert before_ns <= at_two.publish_ns <= replay.clock()
    with open_session(replay._session.path) as session:
        expected = next(session.frames(session.start_ns + 2 * 10**9))[1]
    np.testing.assert_array_equal(at_two.blendshapes, expected.blendshapes)
    assert at_two.publish_ns - at_two.capture_ns == 9_000_000

    ask["resume"]({})
    frames = taker.wait_for(len(taker.frames) + 10)
    replay.stop()
    assert np.all(np.diff([frame.seq for frame in frames]) == 1)
    assert np.all(np.diff([frame.publish_ns for frame in frames]) > 0)


def test_at_the_end_it_waits_and_can_be_started_again(make_take: MakeTake) -> None:
    taker, replay = play(make_take(seconds=0.1))
    assert replay.ended.wait(PATIENCE_S)
    assert replay.state()["ended"]
    assert replay.state()["time_s"] == pytest.approx(0.083, abs=0.001)
    replay.commands["resume"]({})
    taker.wait_for(12)
    replay.commands["speed"]({"speed": 2.0})
    assert replay.state()["speed"] == 2.0
    replay.stop()


def test_played_on_from_its_last_frame_it_starts_again(make_take: MakeTake) -> None:
    taker, replay = play(make_take(seconds=40))
    replay.commands["pause"]({})
    state = replay.commands["seek"]({"time_s": replay.state()["to_s"]})
    assert (state["paused"], state["ended"]) == (True, False)
    shown = len(taker.frames)
    assert replay.commands["resume"]({})["time_s"] < 30
    assert taker.wait_for(shown + 3)[shown].seq == taker.frames[shown - 1].seq + 1
    replay.stop()


@pytest.mark.parametrize("start_s", [0.0, 1.00004, 1.00006])
def test_the_ends_that_the_state_tells_can_be_sought(make_take: MakeTake, start_s: float) -> None:
    path = make_take(seconds=2, rate=90.0)
    with open_session(path) as session:
        part_ns = (session.start_ns + round(start_s * 1e9), session.end_ns)
    taker, replay = play(path, part_ns=part_ns)
    replay.commands["pause"]({})
    state = replay.state()
    assert (state["from_s"], state["to_s"], state["duration_s"]) == (round(start_s, 4), 1.9889, 1.9889)
    assert state["to_s"] * 1e9 > session.end_ns - session.start_ns  # rounded up
    ends = []
    for name in ("from_s", "to_s"):
        replay.commands["seek"]({"time_s": state[name]})
        ends.append(taker.frames[-1].blendshapes)
    replay.stop()
    with open_session(path) as session:
        recorded = [frame.blendshapes for _, frame in session.frames(*part_ns)]
    np.testing.assert_array_equal(ends, [recorded[0], recorded[-1]])


def test_a_replay_that_was_stopped_refuses_commands(make_take: MakeTake) -> None:
    _, replay = play(make_take(seconds=2))
    replay.stop(timeout_s=PATIENCE_S)
    for name, args in (("pause", {}), ("seek", {"time_s": 1.0}), ("step", {"frames": -1})):
        with pytest.raises(CommandError, match="no take is playing"):
            replay.commands[name](args)


def test_commands_check_what_they_are_given(make_take: MakeTake) -> None:
    _, replay = play(make_take(seconds=1))
    for name, args in (
        ("seek", {}),
        ("seek", {"time_s": "1"}),
        ("seek", {"time_s": 5.0}),
        ("seek", {"time_s": float("nan")}),
        ("seek", {"time_s": True}),
        ("speed", {"speed": 0}),
        ("step", {"frames": 10**9}),
    ):
        with pytest.raises(CommandError, match=r"must be a number from|needs"):
            replay.commands[name](args)
    for name, args in (("pause", {"at": 1}), ("seek", {"time_s": 1.0, "fast": True})):
        with pytest.raises(CommandError, match=r"accepts .*, not"):
            replay.commands[name](args)
    replay.stop()


def test_a_damaged_file_ends_the_replay_with_its_reason(make_take: MakeTake) -> None:
    path = make_take(seconds=2)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    _, replay = play(path, speed=20.0)
    assert replay.ended.wait(PATIENCE_S)
    replay.stop()
    assert isinstance(replay.error, SessionError)


def test_clients_get_a_replay_as_if_it_were_live(make_take: MakeTake) -> None:
    replay = Replay(open_session(make_take(seconds=2)), lambda frame: server.publish_every(frame, timeout_s=PATIENCE_S))
    server = LiveServer(ServerConfig(port=0), clock_ns=replay.clock, commands=replay.commands, status=replay.status)
    with server, connect_blocking(server.url, buffer=256) as client:
        with pytest.raises(TimeoutError):
            client.next_frame(timeout_s=0.3)  # it connects; nothing comes before the start
        wait_until(lambda: server.subscribers, what="the client to connect")
        replay.start()
        frames = [client.next_frame(timeout_s=PATIENCE_S) for _ in range(100)]
    replay.stop()
    assert all(frame is not None for frame in frames)
    assert [frame.seq for frame in frames if frame is not None] == list(range(100))


def test_a_burst_overtakes_nothing(tmp_path: Path, frames: Callable) -> None:
    """Frames that are due at once, as after a hiccup of the machine: every one reaches the subscriber."""
    from facewire.bridge.recording.layout import SessionMetadata
    from facewire.bridge.recording.writer import SessionWriter

    writer = SessionWriter(tmp_path / "burst.mcap", SessionMetadata(0, 0))
    for frame in frames(300):
        writer.add_frame(Encoder().frame(frame), frame.seq, 10**9 + frame.seq // 50)
    replay = Replay(open_session(writer.finish()), lambda frame: server.publish_every(frame, timeout_s=PATIENCE_S))
    server = LiveServer(ServerConfig(port=0), clock_ns=replay.clock)
    with server:
        replay.start()
        assert replay.ended.wait(PATIENCE_S)
        assert (server.counts.published, server.counts.overtaken) == (300, 0)
    replay.stop()


def test_commands_and_the_stop_come_before_frames_that_are_late(make_take: MakeTake) -> None:
    """A taker that is slower than the take: the replay is never in time, and never waits."""
    replay = Replay(open_session(make_take(seconds=20)), lambda _: time.sleep(0.02))
    replay.start()
    wait_until(lambda: replay.published >= 10)
    assert replay.commands["pause"]({})["paused"] is True
    assert replay.commands["resume"]({})["paused"] is False
    before = replay.published
    assert replay.commands["seek"]({"time_s": 1.0})["ended"] is False
    replay.stop(timeout_s=PATIENCE_S)
    assert not replay.running
    assert replay.published < before + 500


def test_a_replay_stops_at_once_when_its_server_has(make_take: MakeTake) -> None:
    replay = Replay(
        open_session(make_take(seconds=20)), lambda frame: server.publish_every(frame, timeout_s=PATIENCE_S)
    )
    server = LiveServer(ServerConfig(port=0), clock_ns=replay.clock)
    with server:
        replay.start()
        wait_until(lambda: replay.published >= 3)
    published = replay.published
    while replay.published < published + 10:  # nobody takes them
        time.sleep(0.001)
    replay.stop(timeout_s=PATIENCE_S)
    assert not replay.running
