"""What stands behind the panel: problems in words, the level, previews, and takes in place of the live face."""

from __future__ import annotations

import itertools
import os
import time
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from support.waiting import wait_until

from facewire.bridge.shared.clock import now_ns
from facewire.bridge.shared.errors import CommandError, FacewireError
from facewire.runtime.face.filter_config import FilterConfig
from facewire.runtime.panel.commands import Panel
from facewire.runtime.panel.preview import RATE, Preview
from facewire.runtime.panel.problems import find_problems
from facewire.runtime.panel.services import PanelServices
from facewire.runtime.pipeline import FacePipeline
from facewire.runtime.settings.profiles import Profile, ProfileStore
from facewire.runtime.settings.settings import Settings
from facewire.runtime.sound.level import SoundLevel
from facewire.runtime.takes.outlet import Outlet

RUNNING = {"devices": {"video": {"state": "running"}}, "rates": {"capture": 30.0, "track": 30.0}}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, None),
        ({"devices": {"video": {"state": "lost", "error": "camera 0 gives no picture"}}}, "camera is lost"),
        ({"devices": {"audio": {"state": "lost", "error": "unplugged"}}}, "microphone is lost: unplugged"),
        ({"rates": {"capture": 9.0, "track": 9.0}}, "more light"),
        ({"rates": {"capture": 60.0, "track": 20.0, "publish": 60.0}}, "mesh attention"),
        ({"face": {"unseen_s": 5.0, "dark": False}}, "No face is seen"),
        ({"face": {"unseen_s": 5.0, "dark": True}}, "uncover the camera"),
        ({"face": {"unseen_s": 1.0, "dark": False}}, None),
    ],
)
def test_what_is_wrong_is_said_with_what_to_do(change, words):
    problems = find_problems({**RUNNING, **change})
    if words is None:
        assert problems == []
    else:
        assert len(problems) == 1
        assert words in problems[0]


def test_a_status_without_inputs_has_no_problems():
    assert find_problems({}) == []
    assert find_problems({"devices": {}, "rates": {}}) == []


def test_the_level_tells_speech_from_the_room():
    rng, level = np.random.default_rng(1), SoundLevel()

    def play(rms, seconds, voice):
        for _ in range(round(seconds * 100)):
            level.step(rng.normal(0, rms, 160).astype(np.float32), 16_000, voice)

    play(0.001, 2, 0.0)
    assert level.noise_db == pytest.approx(-60, abs=2)
    assert level.snr_db == 0
    play(0.06, 1, 0.9)
    assert level.level_db == pytest.approx(-24.4, abs=1)
    assert level.snr_db == pytest.approx(35, abs=5)
    play(0.03, 20, 0.0)  # a fan is turned on
    play(0.06, 1, 0.9)
    assert level.snr_db < 10
    level.step(np.zeros(160, np.float32), 16_000, 0.0)
    level.step(np.zeros(0, np.float32), 16_000, 0.0)
    assert np.isfinite(level.level_db)


def test_previews_are_small_rare_and_made_only_while_somebody_looks():
    looking, sent = [False], []
    preview = Preview(lambda: looking[0], sent.append)
    preview.start()
    image = np.full((480, 640, 3), 90, np.uint8)
    for i in range(60):
        preview.offer(image, i * 16_700_000)
    time.sleep(0.1)
    assert sent == []
    looking[0] = True
    for i in range(120):
        preview.offer(image, (60 + i) * 16_700_000)
        wait_until(lambda due=i // 4 + 1: len(sent) == due)  # one in four; encoding has a thread of its own
    preview.stop()
    assert len(sent) == 2 * RATE
    assert (sent[0]["type"], sent[0]["width"], sent[0]["height"]) == ("preview", 640, 480)
    assert cv2.imdecode(np.frombuffer(sent[0]["jpeg"], np.uint8), cv2.IMREAD_COLOR).shape == (300, 400, 3)
    times = [message["capture_ns"] for message in sent]
    assert times == sorted(times)
    preview.stop()


def test_a_take_plays_in_place_of_the_live_face_and_numbers_go_on(make_take, tmp_path, frames):
    make_take("one.mcap", seconds=20.0)
    sent = []
    outlet = Outlet(sent.append, tmp_path)
    live = list(frames(40))
    for frame in live[:10]:
        outlet.live(frame)
    assert outlet.commands["takes"]({})["takes"][0]["file"] == "one.mcap"
    assert outlet.commands["replay_start"]({"file": "one.mcap"}) == {
        "file": "one.mcap",
        "seconds": pytest.approx(20, abs=0.1),
    }
    outlet.live(live[10])  # left out: the take plays
    wait_until(lambda: len(sent) > 20)
    assert outlet.state()["replay"]["file"] == "one.mcap"
    now = now_ns()
    assert abs(sent[-1].publish_ns - now) < 1e9
    assert 0 <= sent[-1].publish_ns - sent[-1].capture_ns < 1e8
    outlet.commands["replay_stop"]({})
    count = len(sent)
    for frame in live[11:20]:
        outlet.live(frame)
    assert len(sent) == count + 9
    assert outlet.state() == {"replay": None}
    numbers = [frame.seq for frame in sent]
    assert all(later > earlier for earlier, later in itertools.pairwise(numbers))
    np.testing.assert_array_equal(sent[-1].blendshapes, live[19].blendshapes)


def test_the_live_face_comes_back_when_a_take_ends(make_take, tmp_path, frames):
    make_take("short.mcap", seconds=0.2)
    sent = []
    outlet = Outlet(sent.append, tmp_path)
    outlet.commands["replay_start"]({"file": "short.mcap"})
    wait_until(lambda: outlet.state() == {"replay": None})
    before = len(sent)
    for frame in frames(3):
        outlet.live(frame)
    assert len(sent) == before + 3
    outlet.stop()


def test_a_take_in_place_of_the_live_face_is_paused_stepped_and_sought(make_take, tmp_path, frames):
    make_take("one.mcap", seconds=40.0)
    sent = []
    outlet = Outlet(sent.append, tmp_path)
    ask = outlet.commands
    ask["replay_start"]({"file": "one.mcap"})
    wait_until(lambda: len(sent) > 3)
    assert ask["pause"]({})["paused"]
    count = len(sent)
    for frame in frames(5):
        outlet.live(frame)  # the take has its place, though it stands
    assert len(sent) == count
    assert outlet.state()["replay"]["paused"]
    assert ask["seek"]({"time_s": 30.0})["time_s"] == 30.0
    assert ask["step"]({"frames": -1})["time_s"] == pytest.approx(30 - 1 / 60, abs=1e-3)
    assert len(sent) == count + 2
    assert ask["speed"]({"speed": 2})["speed"] == 2
    with pytest.raises(CommandError, match="time_s must be"):
        ask["seek"]({"time_s": 41})
    assert not ask["resume"]({})["paused"]
    wait_until(lambda: len(sent) > count + 10)
    ask["replay_stop"]({})
    numbers, times = [frame.seq for frame in sent], [frame.publish_ns for frame in sent]
    assert numbers == sorted(set(numbers))
    assert times == sorted(times)
    for name in ("pause", "resume", "seek", "step", "speed"):
        with pytest.raises(CommandError, match="no take is playing"):
            ask[name]({})


def test_a_take_that_breaks_off_is_told_of(make_take, tmp_path, frames, caplog):
    path = make_take("one.mcap", seconds=2.0)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    outlet = Outlet(lambda _: None, tmp_path)
    outlet.commands["replay_start"]({"file": "one.mcap"})
    wait_until(lambda: outlet.state() == {"replay": None})
    outlet.live(next(frames(1)))
    assert "one.mcap ended before its time" in caplog.text


@pytest.mark.parametrize(
    "args", [{}, {"file": 3}, {"file": "no.mcap"}, {"file": "../one.mcap"}, {"file": "one.mcap", "loop": 1}]
)
def test_what_is_no_take_is_refused(args, make_take, tmp_path):
    make_take("one.mcap", seconds=0.2)
    outlet = Outlet(lambda _: None, tmp_path)
    with pytest.raises(CommandError):
        outlet.commands["replay_start"](args)
    with pytest.raises(CommandError, match="no take is playing"):
        outlet.commands["replay_stop"]({})
    (tmp_path / "broken.mcap").write_bytes(b"nothing")
    with pytest.raises(CommandError, match=r"^broken\.mcap: "):
        outlet.commands["replay_start"]({"file": "broken.mcap"})
    assert Outlet(lambda _: None, None).commands["takes"]({}) == {"takes": [], "folder": None}


def test_a_take_that_goes_while_takes_are_listed_is_left_out(tmp_path):
    for number, name in enumerate(("old.mcap", "new.mcap", "notes.txt")):
        (tmp_path / name).write_bytes(bytes(number + 1))
        os.utime(tmp_path / name, (number, number))
    (tmp_path / "gone.mcap").symlink_to(tmp_path / "nothing")  # its name is found, and then no file
    assert Outlet(lambda _: None, tmp_path).commands["takes"]({})["takes"] == [
        {"file": "new.mcap", "bytes": 2, "unix_s": 1.0},
        {"file": "old.mcap", "bytes": 1, "unix_s": 0.0},
    ]


def test_a_folder_that_goes_while_takes_are_listed_has_none(tmp_path, monkeypatch):
    def gone(_folder, _pattern):
        raise FileNotFoundError  # as Python 3.11 does between two looks at the folder

    monkeypatch.setattr(Path, "glob", gone)
    outlet = Outlet(lambda _: None, tmp_path)
    assert outlet.commands["takes"]({}) == {"takes": [], "folder": str(tmp_path)}
    with pytest.raises(CommandError, match="there is no take"):
        outlet.commands["replay_start"]({"file": "a.mcap"})


class Camera:
    """A live run that is all there is of it to a panel: changes are made at once while pictures come."""

    def __init__(self, name="camera 0"):
        self.pipeline, self.runs, self.late = FacePipeline(None), True, []
        self.switch(SimpleNamespace(name=name, gives="faces"))

    def switch(self, source):
        self.source = source

    def request(self, change):
        if self.runs:
            change(self.pipeline)
        else:
            self.late.append(change)


def make_panel(live, store):
    services = PanelServices(
        source=lambda name: SimpleNamespace(name=name, gives="faces"),
        tracker_factory=lambda _: None,
        cameras=lambda: [{"id": name, "name": name} for name in ("camera 0", "camera 1")],
        address=dict,
    )
    return Panel(live, Settings(video="camera 0", mesh="v2"), services, store)


def test_a_profile_s_smoothing_takes_hold_from_the_start_and_with_another_camera(tmp_path):
    store, live = ProfileStore(tmp_path), Camera()
    store.save(Profile("default", "camera 0", smoothing={"mouth": "off"}))
    store.save(Profile("default", "camera 1", smoothing={"brows": "high"}))
    panel, filters = make_panel(live, store), live.pipeline.filter
    panel.state.load_default()
    panel.prepare(live.pipeline)
    assert filters.config == FilterConfig.by_region("medium", {"mouth": "off"})
    panel.commands["choose"]({"video": "camera 1"})
    assert panel.commands["state"]({})["regions"]["brows"] == "high"
    assert filters.config == FilterConfig.by_region("medium", {"brows": "high"})
    panel.commands["set"]({"smoothing": {"brows": "low"}})
    panel.commands["profile_load"]({"name": "default"})
    assert filters.config == FilterConfig.by_region("medium", {"brows": "high"})


def test_another_camera_has_its_own_default_profile_in_use(tmp_path):
    live = Camera()
    panel = make_panel(live, ProfileStore(tmp_path))
    panel.commands["profile_save"]({"name": "ada"})
    assert panel.commands["state"]({})["profile"] == "ada"
    panel.commands["choose"]({"video": "camera 1"})
    state = panel.commands["state"]({})
    assert (state["camera"], state["profile"], state["profiles"]) == ("camera 1", "default", [])


def test_a_command_that_was_said_to_fail_does_nothing_later_either(tmp_path, monkeypatch):
    monkeypatch.setattr("facewire.runtime.panel.changes.LATE_S", 0.01)
    live, store = Camera(), ProfileStore(tmp_path)
    store.save(Profile("ada", "camera 0", smoothing={"mouth": "off"}))
    panel = make_panel(live, store)
    before, filters = panel.commands["state"]({}), live.pipeline.filter.config
    live.runs = False
    for name, args in (("set", {"mirror": True, "smoothing": "off"}), ("profile_load", {"name": "ada"})):
        with pytest.raises(CommandError, match="not being tracked"):
            panel.commands[name](args)
    for change in live.late:  # the camera is back
        change(live.pipeline)
    assert panel.commands["state"]({}) == before
    assert live.pipeline.filter.config == filters
    assert not live.pipeline.mirror


def test_a_pose_before_rest_is_refused_at_once(tmp_path):
    live = Camera()
    live.runs = False  # nothing is looked at
    with pytest.raises(CommandError, match="neutral face first"):
        make_panel(live, ProfileStore(tmp_path)).commands["calibrate"]({"pose": "smile"})


@pytest.mark.parametrize(("grey", "words"), [(0, "picture is dark"), (120, "no face is seen")])
def test_calibration_without_a_face_says_so_and_keeps_what_there_was(tmp_path, grey, words):
    class Watched(Camera):
        def request(self, change):
            super().request(change)
            number = itertools.count()
            while self.pipeline.sampling is not None:
                self.pipeline._take(None, np.full((64, 64, 3), grey, np.uint8), next(number) * 33_000_000)

    live = Watched()
    own = live.pipeline.calibrator.calibration
    own.neutral_known = True
    panel = make_panel(live, ProfileStore(tmp_path))
    before = panel.commands["state"]({})
    for args in ({}, {"pose": "smile"}):
        with pytest.raises(FacewireError, match=words):
            panel.commands["calibrate"](args)
    assert live.pipeline.calibrator.calibration is own
    assert panel.commands["state"]({}) == before


def test_a_broken_default_profile_is_reported_and_ignored(tmp_path, caplog):
    store = ProfileStore(tmp_path)
    live = SimpleNamespace(source=SimpleNamespace(name="camera 0"))

    assert not make_panel(live, store).state.load_default().neutral_known
    profile = Profile("default", "camera 0", smoothing={"mouth": "low"})
    profile.calibration.neutral_known = True
    path = store.save(profile)
    panel = make_panel(live, store)
    assert panel.state.load_default().neutral_known
    assert panel.settings.regions == {"mouth": "low"}
    assert panel.state.status({})["problems"] == []
    path.write_text("version = 1\n[shapes.jawOpen]\ntop = 'high'\n")
    panel = make_panel(live, store)
    assert not panel.state.load_default().neutral_known
    assert "jawOpen.top is a number" in panel.state.status({})["problems"][0]
    assert "going on without it" in caplog.text
    assert path.exists()


def test_a_camera_that_another_one_takes_over_from_hands_on_to_that_one_s_profile(tmp_path):
    """As when auto goes on with another camera, or another phone sends."""
    store, live = ProfileStore(tmp_path), Camera()
    store.save(Profile("default", "HD Webcam 046d:082d", smoothing={"mouth": "off"}))
    panel = make_panel(live, store)
    panel.state.load_default()
    assert panel.settings.regions == {}
    live.switch(SimpleNamespace(name="camera 0", identity="HD Webcam 046d:082d", formerly=("camera 0",), gives="faces"))
    live.on_other_camera()
    wait_until(lambda: panel.settings.regions == {"mouth": "off"})
    wait_until(lambda: panel.state.status({})["revision"] > 0)
    assert live.pipeline.filter.config == FilterConfig.by_region("medium", {"mouth": "off"})
    panel.commands["profile_save"]({"name": "ada"})
    assert store.names("HD Webcam 046d:082d") == ["ada", "default"]
    assert panel.commands["state"]({})["camera"] == "camera 0"
