"""Cameras that come and go, files good and bad, real pipes, and the demo face."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.waiting import wait_until

from facewire.runtime.capture import choose
from facewire.runtime.capture.choose import choose_source
from facewire.runtime.capture.video import camera
from facewire.runtime.capture.video.camera import (
    CameraInfo,
    DeviceSource,
    camera_source,
    find_camera,
    first_camera,
    list_cameras,
    stream_source,
)
from facewire.runtime.capture.video.demo import DemoSource
from facewire.runtime.capture.video.demo_face import DemoFace, DemoPose, demo_pose
from facewire.runtime.capture.video.device_thread import LONGEST_RETRY_S
from facewire.runtime.capture.video.file import FileSource
from facewire.runtime.capture.video.source import CaptureError
from facewire.runtime.capture.video.thread import CaptureThread
from facewire.runtime.tools.slots import NewestSlot


class FakeCapture:
    """What OpenCV's VideoCapture does when a camera gives ``pictures`` frames and then goes away."""

    def __init__(self, pictures: int, opened: bool = True) -> None:
        self.left, self.opened, self.released, self.asked = pictures, opened, False, {}

    def isOpened(self):  # noqa: N802
        return self.opened

    def grab(self):
        self.left -= 1
        return self.left >= 0

    def retrieve(self, image=None):
        out = np.zeros((48, 64, 3), np.uint8) if image is None else image
        out[:] = self.left % 200
        return True, out

    def get(self, prop):
        return 30.0 if prop == cv2.CAP_PROP_FPS else 0.0

    def set(self, prop, value):
        self.asked[prop] = value
        return True

    def release(self):
        self.released = True


class Script:
    """An opener that hands out the given captures, then the last one forever; and a capture thread without waiting."""

    def __init__(self, *captures: FakeCapture) -> None:
        self.captures, self.opened, self.reports = list(captures), [], []
        self.slot = NewestSlot()
        self.source = DeviceSource("camera 0", lambda: 0, opener=self.open)
        self.thread = CaptureThread(self.source, self.slot, self.reports.append)
        self.waits: list[float] = []
        self.thread._stopping.wait = self.note_wait  # type: ignore[method-assign]

    def open(self, _target):
        self.opened.append(self.captures.pop(0) if len(self.captures) > 1 else self.captures[0])
        return self.opened[-1]

    def note_wait(self, seconds):
        self.waits.append(seconds)
        if len(self.waits) >= 8:
            self.thread._stopping.set()

    def run(self):
        self.thread._run()


def test_a_camera_that_is_unplugged_is_reported_once_retried_and_picked_up_again():
    gone = [FakeCapture(0, opened=False) for _ in range(3)]
    script = Script(FakeCapture(5), *gone, FakeCapture(3), FakeCapture(0, opened=False))
    script.run()
    assert script.reports == [
        "camera 0 gives no picture: is it unplugged, or used by another program?; it is tried again until it works",
        "camera 0 is back",
        "camera 0 gives no picture: is it unplugged, or used by another program?; it is tried again until it works",
    ]
    assert script.thread.losses == 2
    assert all(capture.released for capture in script.opened)


def test_a_camera_that_is_not_there_is_tried_less_and_less_often():
    script = Script(FakeCapture(0, opened=False))
    script.run()
    assert len(script.reports) == 1
    assert script.waits == [0.25, 0.5, 1.0, 2.0, 4.0, LONGEST_RETRY_S, LONGEST_RETRY_S, LONGEST_RETRY_S]
    assert script.thread.losses == 0


def test_a_busy_camera_that_opens_but_gives_nothing_keeps_backing_off():
    script = Script(FakeCapture(0))
    script.run()
    assert len(script.reports) == 1
    assert script.waits[-1] == LONGEST_RETRY_S


def test_a_driver_that_raises_does_not_end_the_thread():
    broken = FakeCapture(5)
    broken.retrieve = lambda _image=None: (_ for _ in ()).throw(cv2.error("boom"))
    script = Script(broken, FakeCapture(4), FakeCapture(0, opened=False))
    script.run()
    assert "boom" in script.reports[0]
    assert script.reports[1] == "camera 0 is back"
    assert "\n" not in script.reports[0]


def test_the_time_is_taken_at_the_grab():
    events = []
    capture = FakeCapture(1)
    capture.grab = lambda: events.append("grab") or True
    capture.retrieve = lambda _image=None: (events.append("retrieve") or True, np.zeros((4, 4, 3), np.uint8))
    source = DeviceSource("c", lambda: 0, opener=lambda _: capture, clock=lambda: events.append("clock") or 7)
    source.open()
    assert source.read().capture_ns == 7
    assert events == ["grab", "clock", "retrieve"]


def test_pictures_are_written_into_buffers_that_came_back():
    capture = FakeCapture(100)
    source = DeviceSource("c", lambda: 0, opener=lambda _: capture)
    source.open()
    first = source.read().image
    assert source.read(first).image is first


def test_the_newest_picture_wins_and_the_others_are_counted():
    slot = NewestSlot()
    assert [slot.put(i) for i in (1, 2, 3)] == [None, 1, 2]
    assert slot.dropped == 2
    assert slot.take(0) == 3
    assert slot.take(0.01) is None
    slot.put(4)
    slot.close()
    assert not slot.exhausted
    assert slot.take() == 4
    assert slot.take() is None
    assert slot.exhausted


def test_camera_names_come_from_the_system(tmp_path):
    for number, index, name in ((0, 0, "HD Webcam"), (1, 1, "HD Webcam"), (10, 0, "Capture Card")):
        node = tmp_path / f"video{number}"
        node.mkdir()
        (node / "index").write_text(f"{index}\n")
        (node / "name").write_text(f"{name}\n")
    (tmp_path / "videofoo").mkdir()
    cameras = list_cameras(tmp_path)
    assert cameras == [CameraInfo(0, "HD Webcam"), CameraInfo(10, "Capture Card")]
    assert find_camera("capture", cameras).index == 10
    with pytest.raises(CaptureError, match="10: Capture Card"):
        find_camera("elgato", cameras)
    assert list_cameras(tmp_path / "nothing") == []


def test_auto_tries_the_first_camera_where_the_system_lists_none(monkeypatch):
    monkeypatch.setattr("sys.platform", "win32")
    there, gone = FakeCapture(3), FakeCapture(0, opened=False)
    assert first_camera(lambda _: there) == 0
    assert first_camera(lambda _: gone) is None
    assert there.released
    assert gone.released


def test_a_camera_that_is_not_there_says_what_to_do():
    with pytest.raises(CaptureError, match=r"camera 97 .*(doctor|programs)"):
        camera_source(97).open()


@pytest.mark.parametrize(
    ("address", "shown"), [("http://me:secret@127.0.0.1:9/x", "http://127.0.0.1:9/x"), ("rtsp://127.0.0.1:9/", None)]
)
def test_an_address_where_nobody_sends_is_one_line_without_the_password(address, shown):
    with pytest.raises(CaptureError) as error:
        stream_source(address).open()
    assert str(error.value).startswith(shown or address)
    assert "secret" not in str(error.value)
    assert "\n" not in str(error.value)


@pytest.fixture
def clip(tmp_path) -> Path:
    """Twelve grey pictures at 40 a second, each a little brighter."""
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 40, (64, 48))
    for i in range(12):
        writer.write(np.full((48, 64, 3), 10 + 20 * i, np.uint8))
    writer.release()
    return path


def read_all(source, most=100):
    source.open()
    out = []
    while len(out) < most and (captured := source.read()) is not None:
        out.append((captured.capture_ns, int(captured.image.mean())))
    source.close()
    return out


def test_a_file_as_fast_as_possible_is_stamped_with_its_own_time(clip):
    frames = read_all(FileSource(clip, paced=False))
    assert [ns for ns, _ in frames] == [i * 25_000_000 for i in range(12)]
    np.testing.assert_allclose([grey for _, grey in frames], [10 + 20 * i for i in range(12)], atol=3)


def test_a_looping_file_starts_again_and_its_time_goes_on(clip):
    frames = read_all(FileSource(clip, paced=False, loop=True), most=30)
    assert [ns for ns, _ in frames] == [i * 25_000_000 for i in range(30)]
    assert frames[12][1] == frames[0][1]


def test_a_paced_file_takes_its_time(clip):
    start = time.perf_counter_ns()
    frames = read_all(FileSource(clip, paced=True))
    assert len(frames) == 12
    for i, (capture_ns, _) in enumerate(frames):
        assert capture_ns - start >= i * 25_000_000


def test_a_paced_file_that_waits_can_be_interrupted(clip):
    times_ns = iter([0])
    source = FileSource(clip, paced=True, clock=lambda: next(times_ns, -(10**12)))  # a quarter of an hour to wait
    source.open()
    timer = threading.Timer(0.02, source.interrupt)
    timer.start()
    assert source.read() is None
    timer.join()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda _: None, "does not exist"),
        (lambda p: p.mkdir(), "is a folder"),
        (lambda p: p.write_text("hello " * 1000), "is not a video"),
        (lambda p: p.write_bytes(b""), "is not a video"),
        (lambda p: p.write_bytes(b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + b"\0" * 500), "is not a video"),
    ],
    ids=["missing", "folder", "text", "empty", "header only"],
)
def test_a_file_that_is_no_video_is_one_line(tmp_path, make, says):
    path = tmp_path / "x.mp4"
    make(path)
    with pytest.raises(CaptureError, match=says) as error:
        FileSource(path, paced=False).open()
    assert "\n" not in str(error.value)


def test_a_cut_video_gives_what_it_has(tmp_path):
    cut = tmp_path / "cut.avi"
    writer = cv2.VideoWriter(str(cut), cv2.VideoWriter.fourcc(*"MJPG"), 30, (64, 48))
    for _ in range(12):
        writer.write(np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8))
    writer.release()
    os.truncate(cut, cut.stat().st_size * 2 // 3)
    frames = read_all(FileSource(cut, paced=False))
    assert 1 <= len(frames) < 12


def test_a_file_that_fails_ends_the_thread_with_its_error(tmp_path):
    slot, reports = NewestSlot(), []
    thread = CaptureThread(FileSource(tmp_path / "no.mp4", paced=True), slot, reports.append)
    thread.start()
    assert slot.take(60) is None
    assert slot.exhausted
    assert "does not exist" in str(thread.error)
    assert reports == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are a Unix thing")
def test_a_sender_into_a_real_pipe_may_stop_and_start_again(tmp_path):
    path = tmp_path / "camera.mjpeg"
    os.mkfifo(path)
    picture = cv2.imencode(".jpg", np.random.default_rng(0).integers(0, 255, (120, 160, 3), np.uint8))[1].tobytes()

    def send():
        with path.open("wb") as pipe:
            for _ in range(60):
                pipe.write(picture)

    slot, reports = NewestSlot(), []
    source = choose_source(str(path), rate=30, loop=False, demo_photo=Path, notify=reports.append)
    thread = CaptureThread(source, slot, reports.append)
    thread.start()
    for round_ in range(2):
        threading.Thread(target=send, daemon=True).start()
        captured = slot.take(60)
        assert captured is not None
        assert captured.image.shape == (120, 160, 3)
        wait_until(lambda round_=round_: len(reports) == 2 * round_ + 1)
    thread.stop()
    assert [("back" in line) for line in reports] == [False, True, False]


def test_what_the_user_writes_chooses_the_source(clip, monkeypatch):
    def choose_it(what, cameras=()):
        reports: list[str] = []
        monkeypatch.setattr(choose, "first_camera", lambda: cameras[0].index if cameras else None)
        return choose_source(what, rate=60, loop=False, demo_photo=Path, notify=reports.append), reports

    assert choose_it("none") == (None, [])
    assert choose_it("2")[0].name == "camera 2"
    assert choose_it("demo")[0].kind == "demo"
    assert choose_it("auto", [CameraInfo(4, "Cam")])[0].name == "camera 4"
    source, reports = choose_it("auto")
    assert source.kind == "demo"
    assert len(reports) == 1
    assert "no camera found" in reports[0]
    assert choose_it("rtsp://host/stream")[0].kind == "url"
    assert choose_it(str(clip))[0].kind == "file"
    assert choose_it("no/such.mp4")[0].kind == "file"
    for neither in ("elgato", "take.mp4", "HD Pro Webcam C920 v2.1"):
        with pytest.raises(CaptureError, match=f"no camera or file is called '{neither}'; cameras here: "):
            choose_it(neither)


def test_a_camera_s_name_wins_over_what_it_looks_like_as_a_path(tmp_path, monkeypatch):
    cameras = [CameraInfo(0, "HD Pro Webcam C920 v2.1"), CameraInfo(2, "Cam Link/4K")]
    for module in (choose, camera):
        monkeypatch.setattr(module, "list_cameras", lambda: cameras)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c920").mkdir()

    def choose_it(what):
        return choose_source(what, rate=60, loop=False, demo_photo=Path, notify=print)

    for what in ("HD Pro Webcam C920 v2.1", "c920", "v2.1", "link/4k"):
        assert choose_it(what).kind == "camera"
    assert choose_it("./c920").kind == "file"
    with pytest.raises(CaptureError, match=r"no camera or file is called 'v2\.2'; cameras here: 0: HD Pro Webcam C920"):
        choose_it("v2.2")


@pytest.fixture(scope="module")
def photo_path(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("demo") / "photo.png"
    cv2.imwrite(str(path), np.random.default_rng(1).integers(0, 255, (512, 512, 3), np.uint8))
    return path


def test_the_demo_is_the_same_at_the_same_time(photo_path):
    def pictures():
        source = DemoSource(lambda: photo_path, paced=False)
        source.open()
        return [(c.capture_ns, c.image.copy()) for c in (source.read() for _ in range(5))]

    for (a_ns, a), (b_ns, b) in zip(pictures(), pictures(), strict=True):
        assert a_ns == b_ns
        np.testing.assert_array_equal(a, b)


def test_the_demo_moves_every_part_and_writes_into_the_buffer_given(photo_path):
    face = DemoFace(cv2.imread(str(photo_path)))
    still = face.render(DemoPose())
    for moved in (DemoPose(jaw=1), DemoPose(lids=1), DemoPose(sober=1), DemoPose(brows=1), DemoPose(turn=1)):
        out = np.empty_like(still)
        assert face.render(moved, out) is out
        assert (out != still).any(axis=2).mean() > 0.003
    np.testing.assert_array_equal(face.render(DemoPose()), still)


def test_the_demo_pose_stays_in_range_and_blinks():
    poses = [demo_pose(i / 30) for i in range(3000)]
    for pose in poses:
        assert all(0 <= v <= 1 for v in (pose.jaw, pose.lids, pose.sober, pose.brows))
    assert max(pose.lids for pose in poses) > 0.95
    assert max(pose.jaw for pose in poses) > 0.9


def test_a_paced_demo_leaves_out_what_it_is_late_for(photo_path):
    now = [0]
    source = DemoSource(lambda: photo_path, rate=10, clock=lambda: now[0])
    source.open()
    assert source.read().capture_ns == 0
    now[0] = 550_000_000  # pictures 1 to 4 are past; 5 is due
    source.read()
    assert source._index == 6


def test_a_damaged_demo_photograph_says_how_to_repair_it(tmp_path):
    path = tmp_path / "bad.png"
    path.write_bytes(b"not a picture")
    with pytest.raises(CaptureError, match="models pull"):
        DemoSource(lambda: path).open()
