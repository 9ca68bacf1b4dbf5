"""What stands behind the panel: problems in words, the level, previews, and takes in place of the live face."""

from __future__ import annotations

import itertools
import time
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from facewire.bridge.errors import CommandError
from facewire.runtime.clock import now_ns
from facewire.runtime.level import SoundLevel
from facewire.runtime.outlet import Outlet
from facewire.runtime.panel import Makers, Panel, Settings
from facewire.runtime.preview import RATE, Preview
from facewire.runtime.problems import find_problems
from facewire.runtime.profiles import Profile, ProfileStore

RUNNING = {"devices": {"video": {"state": "running"}}, "rates": {"capture": 30.0, "publish": 30.0}}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, None),
        ({"devices": {"video": {"state": "lost", "error": "camera 0 gives no picture"}}}, "camera is lost"),
        ({"devices": {"audio": {"state": "lost", "error": "unplugged"}}}, "microphone is lost: unplugged"),
        ({"rates": {"capture": 9.0, "publish": 9.0}}, "more light"),
        ({"rates": {"capture": 60.0, "publish": 20.0}}, "mesh attention"),
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
        preview.offer(image, i * 1_000_000_000 // 60)
    time.sleep(0.1)
    assert sent == []
    looking[0] = True
    for i in range(60, 180):
        preview.offer(image, i * 1_000_000_000 // 60)
        time.sleep(0.004)
    preview.stop()
    assert RATE < len(sent) <= 2 * RATE + 1
    assert (sent[0]["type"], sent[0]["width"], sent[0]["height"]) == ("preview", 640, 480)
    assert cv2.imdecode(np.frombuffer(sent[0]["jpeg"], np.uint8), cv2.IMREAD_COLOR).shape == (300, 400, 3)
    times = [message["capture_ns"] for message in sent]
    assert times == sorted(times)
    preview.stop()


def wait_for(condition, timeout_s=15.0):
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.01)


def test_a_take_plays_in_place_of_the_live_face_and_numbers_go_on(make_take, tmp_path, frames):
    make_take("one.mcap", seconds=1.0)
    sent = []
    outlet = Outlet(sent.append, tmp_path)
    live = list(frames(40))
    for frame in live[:10]:
        outlet.live(frame)
    assert outlet.commands["takes"]({})["takes"][0]["file"] == "one.mcap"
    assert outlet.commands["replay_start"]({"file": "one.mcap"}) == {
        "file": "one.mcap",
        "seconds": pytest.approx(1, abs=0.1),
    }
    outlet.live(live[10])  # left out: the take plays
    wait_for(lambda: len(sent) > 20)
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
    wait_for(lambda: outlet.state() == {"replay": None})
    before = len(sent)
    for frame in frames(3):
        outlet.live(frame)
    assert len(sent) == before + 3
    outlet.stop()


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
    assert Outlet(lambda _: None, None).commands["takes"]({}) == {"takes": [], "folder": None}


def test_a_broken_default_profile_is_reported_and_ignored(tmp_path, caplog):
    store = ProfileStore(tmp_path)
    live = SimpleNamespace(capture=SimpleNamespace(source=SimpleNamespace(name="camera 0")))

    def make_panel():
        makers = Makers(lambda _: None, lambda _: None, list, dict)
        return Panel(live, Settings(video="0", mesh="v2"), makers, store)

    assert not make_panel().load_default().neutral_known
    profile = Profile("default", "camera 0", smoothing={"mouth": "low"})
    profile.calibration.neutral_known = True
    path = store.save(profile)
    panel = make_panel()
    assert panel.load_default().neutral_known
    assert panel.settings.regions == {"mouth": "low"}
    assert panel.status({})["problems"] == []
    path.write_text("version = 1\n[shapes.jawOpen]\ntop = 'high'\n")
    panel = make_panel()
    assert not panel.load_default().neutral_known
    assert "jawOpen.top is a number" in panel.status({})["problems"][0]
    assert "going on without it" in caplog.text
    assert path.exists()
