"""Which camera is taken: by what its driver says, by its name, by its path, and by what it shows. No driver is at hand:
a node's answers and its pictures are a test's."""

from __future__ import annotations

import os
import re
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from facewire.runtime.capture import choose
from facewire.runtime.capture.choose import choose_source
from facewire.runtime.capture.video import camera
from facewire.runtime.capture.video.auto import EMPTY, GREY, REAL, STILL, grade
from facewire.runtime.capture.video.cameras import (
    CameraInfo,
    find_camera,
    is_device_path,
    list_cameras,
    number_of,
    ranked,
)
from facewire.runtime.capture.video.opencv import ask_for, what_it_gives
from facewire.runtime.capture.video.source import CameraWish, CaptureError
from facewire.runtime.capture.video.thread import CaptureThread
from facewire.runtime.capture.video.v4l2 import ENUM_FMT, QUERYCAP, NodeFacts, ask_node, node_facts
from facewire.runtime.tools.slots import NewestSlot

CAPTURE, META, OUTPUT, M2M = 0x1, 0x00800000, 0x2, 0x8000
IR, RGB = CameraInfo(0, "Integrated Camera: Integrated I"), CameraInfo(2, "Integrated Camera: Integrated C")


def a_driver(abilities, *formats, driver="uvcvideo", bus="usb-0000:00:14.0-8"):
    """Return what answers as the kernel's driver does: structures of linux/videodev2.h."""

    def ask(request, data):
        if request == QUERYCAP:
            texts = driver.encode(), b"Cam", bus.encode()
            data[:] = struct.pack("=16s32s32sIII12x", *texts, 0, 0x80000000 | CAPTURE | META, abilities)
        elif request == ENUM_FMT:
            index, kind = struct.unpack_from("=II", data)
            if kind != 1 or index >= len(formats):
                raise OSError(22, "Invalid argument")
            data[:] = struct.pack("=III32s4sI12x", index, kind, 0, b"", formats[index].encode(), 0)
        else:
            raise OSError(25, "Inappropriate ioctl for device")

    return ask


def test_a_node_says_whether_pictures_come_out_of_it_and_which():
    assert node_facts(a_driver(CAPTURE, "MJPG", "YUYV")) == NodeFacts(
        "uvcvideo", "usb-0000:00:14.0-8", True, ("MJPG", "YUYV")
    )
    assert node_facts(a_driver(CAPTURE, "GREY")).grey
    assert not node_facts(a_driver(CAPTURE, "GREY", "YUYV")).grey
    assert not node_facts(a_driver(CAPTURE)).grey
    for abilities in (META, OUTPUT, CAPTURE | M2M, CAPTURE | 0x10000000):
        assert not node_facts(a_driver(abilities, "YUYV")).captures


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="video nodes are a Unix thing")
def test_what_is_no_video_node_is_asked_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "video0")
    for path in (tmp_path / "video0", Path("/dev/null"), tmp_path / "video1", tmp_path):
        assert ask_node(path) is None


def system(folder, nodes, facts=None):
    """Write a folder as /sys/class/video4linux is: number, name, index, and what the plug says."""
    for number, name, index, *plug in nodes:
        interface = folder / "devices" / f"usb{number}" / "1-1:1.0"
        node = folder / f"video{number}"
        for path in (interface, node):
            path.mkdir(parents=True)
        (node / "name").write_text(name + "\n")
        (node / "index").write_text(f"{index}\n")
        for file, text in zip(("idVendor", "idProduct", "serial"), plug, strict=False):
            (interface.parent / file).write_text(text + "\n")
        (interface / "bInterfaceNumber").write_text("00\n")
        (node / "device").symlink_to(interface)
    return list_cameras(folder, None if facts is None else lambda path: facts.get(path.name))


def test_metadata_codecs_and_grey_nodes_are_told_from_cameras(tmp_path):
    facts = {
        "video0": NodeFacts("uvcvideo", "usb", True, ("GREY",)),
        "video1": NodeFacts("uvcvideo", "usb", False),
        "video2": NodeFacts("uvcvideo", "usb", True, ("MJPG", "YUYV")),
        "video10": NodeFacts("v4l2 loopback", "platform:v4l2loopback-010", True, ("YUYV",)),
        "video20": NodeFacts("bcm2835-codec", "platform", False),
    }
    nodes = [(0, "HP HD Camera", 0), (1, "HP HD Camera", 1), (2, "HP HD Camera", 2), (10, "My Stream", 0)]
    cameras = system(tmp_path, [*nodes, (20, "bcm2835-codec", 0), (30, "Cam Link 4K", 0)], facts)
    assert [(one.index, one.kind) for one in ranked(cameras)] == [
        (2, "camera"), (30, "camera"), (10, "virtual"), (0, "infrared"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("IR Camera", "infrared"), ("Integrated IR Camera: Integrated I", "infrared"), (IR.name, "infrared"),
        ("Windows Hello Face", "infrared"), ("USB2.0 IR UVC WebCam", "infrared"), ("Infrared Camera", "infrared"),
        ("OBS Virtual Camera", "virtual"), ("Dummy video device (0x0000)", "virtual"), ("DroidCam", "virtual"),
        ("v4l2loopback", "virtual"), ("Iriun Webcam", "virtual"), ("Snap Camera", "virtual"),
        (RGB.name, "camera"), ("HD Pro Webcam C920", "camera"), ("Cam Link 4K", "camera"), ("FaceTime HD", "camera"),
        ("Mirage Cam", "camera"), ("Bird Cam", "camera"),
    ],
)  # fmt: skip
def test_a_name_tells_what_a_camera_is_where_its_driver_does_not(name, kind):
    assert CameraInfo(0, name).seems == kind


def test_of_several_with_a_name_the_one_with_colours_is_meant():
    assert find_camera("integrated", [IR, RGB]) is RGB
    assert find_camera("integrated camera: integrated i", [IR, RGB]) is IR
    same = [CameraInfo(0, "HP Cam", "infrared"), CameraInfo(2, "HP Cam")]
    assert find_camera("HP Cam", same).index == 2
    obs = [CameraInfo(0, "OBS Virtual Camera"), CameraInfo(3, "Virtual Camera Pro", "camera")]
    assert find_camera("obs", obs).index == 0
    two = [CameraInfo(0, "Webcam Pro"), CameraInfo(2, "Webcam")]
    assert find_camera("webcam", two).index == 2  # of exactly this name


COLOURS = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
GREYS = np.repeat(COLOURS[:, :, :1], 3, axis=2)
BLACK = np.zeros((48, 64, 3), np.uint8)


def test_pictures_are_told_from_what_is_none():
    assert grade(COLOURS, None) == REAL
    assert grade(COLOURS, COLOURS) == STILL
    assert grade(GREYS, None) == GREY
    assert grade((GREYS.astype(int) // 4 + 2).astype(np.uint8), None) == GREY
    noisy = np.random.default_rng(1).integers(0, 3, (480, 640, 3)).astype(np.uint8)
    for empty in (BLACK, np.full((48, 64, 3), (200, 30, 90), np.uint8), noisy):
        assert grade(empty, None) == EMPTY


class Machine:
    """Cameras by number, each with its pictures, None for one that does not open; time passes by the pictures."""

    def __init__(self, monkeypatch, cameras, **pictures):
        self.cameras = cameras
        self.pictures = {int(name[1:]): what for name, what in pictures.items()}
        self.now_ns, self.opened, self.said = 0, [], []
        monkeypatch.setattr(camera, "list_cameras", lambda: list(self.cameras))
        monkeypatch.setattr(choose, "list_cameras", lambda: list(self.cameras))
        monkeypatch.setattr("sys.platform", "linux")

    def open(self, target):
        self.opened.append(target)
        return Capture(self, target)

    def choose(self, what="auto", **wish):
        source = choose_source(
            what, rate=60, loop=False, demo_photo=Path, notify=self.said.append, wish=CameraWish(**wish)
        )
        source._opener, source._clock = self.open, lambda: self.now_ns
        return source

    def take(self, source, count=1):
        source.open()
        return [source.read() for _ in range(count)]


class Capture:
    def __init__(self, machine, target):
        self.machine, self.target, self.count, self.asked = machine, target, 0, {}

    def isOpened(self):  # noqa: N802
        return self.machine.pictures.get(self.target) is not None

    def grab(self):
        self.machine.now_ns += 33_000_000
        return self.machine.pictures.get(self.target) is not None

    def retrieve(self, _image=None):
        what = self.machine.pictures[self.target]
        self.count += 1
        return True, what(self.count) if callable(what) else what.copy()

    def get(self, prop):
        if prop == cv2.CAP_PROP_FOURCC:
            return float(cv2.VideoWriter.fourcc(*"YUYV"))
        known = {cv2.CAP_PROP_FRAME_WIDTH: 640.0, cv2.CAP_PROP_FRAME_HEIGHT: 480.0, cv2.CAP_PROP_FPS: 30.0}
        return known.get(prop, 0.0)

    def set(self, prop, value):
        self.asked[prop] = value
        return True

    def release(self):
        pass


def test_auto_passes_over_an_infrared_camera_with_a_lower_number(monkeypatch):
    machine = Machine(monkeypatch, [CameraInfo(0, "IR Camera"), CameraInfo(2, "Webcam")], _0=GREYS, _2=COLOURS)
    source = machine.choose()
    assert machine.take(source)[0].image.shape == (48, 64, 3)
    assert machine.opened == [2]
    assert machine.said == [
        "auto takes camera 2 (Webcam), 640x480, YUYV, 30 pictures a second: it gives pictures in colours; "
        "camera 0 (IR Camera) is infrared"
    ]


@pytest.mark.parametrize(
    ("first", "why"),
    [
        (None, "(was not found|cannot be opened)"),
        (GREYS, "gives only grey pictures"),
        (BLACK, "gives only black or empty pictures"),
        (COLOURS[:, :, 0], "gives no picture"),
    ],
    ids=["fails", "grey", "black", "one channel"],
)
def test_auto_moves_on_from_a_camera_that_shows_nothing(monkeypatch, first, why):
    machine = Machine(monkeypatch, [CameraInfo(0, "Cam A"), CameraInfo(1, "Cam B")], _0=first, _1=COLOURS)
    source = machine.choose()
    np.testing.assert_array_equal(machine.take(source)[0].image, COLOURS)
    assert machine.opened == [0, 1]
    assert source.name == "camera 'Cam B'"
    assert len(machine.said) == 1
    assert re.search(rf"camera 0 \(Cam A\) {why}$", machine.said[0])


def test_auto_moves_on_from_a_driver_that_raises_and_from_a_camera_that_is_lost_at_once(monkeypatch):
    def boom(_count):
        raise cv2.error("boom")

    machine = Machine(monkeypatch, [CameraInfo(0, "Cam A"), CameraInfo(1, "Cam B")], _0=boom, _1=COLOURS)
    machine.take(machine.choose())
    assert machine.opened == [0, 1]
    assert "camera 0 (Cam A) fails" in machine.said[0]
    machine = Machine(monkeypatch, [CameraInfo(0, "Cam A"), CameraInfo(1, "Cam B")], _0=COLOURS, _1=COLOURS)
    source = machine.choose()
    machine.take(source)
    machine.pictures[0] = None  # it opens again, and is lost again
    with pytest.raises(CaptureError):
        source.read()
    machine.pictures[0] = COLOURS
    source.close()
    machine.take(source)
    assert source.name == "camera 'Cam B'"


def test_a_camera_that_begins_dark_is_waited_for(monkeypatch):
    machine = Machine(
        monkeypatch,
        [CameraInfo(0, "Cam A"), CameraInfo(1, "Cam B")],
        _0=lambda count: BLACK if count < 20 else COLOURS,
        _1=COLOURS,
    )
    np.testing.assert_array_equal(machine.take(machine.choose())[0].image, COLOURS)
    assert machine.opened == [0]


def test_the_logo_of_a_virtual_camera_is_no_picture(monkeypatch):
    cameras = [CameraInfo(0, "OBS Virtual Camera"), CameraInfo(1, "IR Camera")]
    moving = [np.roll(COLOURS, shift, 0) for shift in range(48)]
    machine = Machine(monkeypatch, cameras, _0=COLOURS, _1=GREYS)
    machine.take(machine.choose())
    assert machine.opened == [0, 1, 0]  # a logo is better than no colours
    assert "it gives pictures that never change" in machine.said[0]
    machine = Machine(monkeypatch, cameras, _0=lambda count: moving[count % 48], _1=GREYS)
    machine.take(machine.choose())
    assert machine.opened == [0]


def test_the_only_camera_is_taken_at_once_whatever_it_shows(monkeypatch):
    machine = Machine(monkeypatch, [CameraInfo(0, "IR Camera")], _0=GREYS)
    machine.take(machine.choose())
    assert machine.now_ns == 33_000_000
    assert "it is the only one" in machine.said[0]


def test_without_any_colours_the_best_is_taken_until_a_camera_with_colours_appears(monkeypatch):
    machine = Machine(monkeypatch, [CameraInfo(0, "Cam"), CameraInfo(1, "IR Camera")], _0=BLACK, _1=GREYS, _2=COLOURS)
    source = machine.choose()
    machine.take(source)
    assert source.name == "camera 'IR Camera'"
    assert "there is no better one; camera 0 (Cam) gives only black or empty pictures" in machine.said[0]
    machine.cameras.append(CameraInfo(2, "New Cam"))
    for _ in range(400):
        source.read()
    assert source.name == "camera 'New Cam'"
    assert len(machine.said) == 2


def test_a_camera_that_another_program_had_is_tried_again_while_nothing_runs_that_shows_colours(monkeypatch):
    machine = Machine(monkeypatch, [CameraInfo(0, "Webcam"), CameraInfo(1, "IR Camera")], _0=None, _1=GREYS)
    source = machine.choose()
    machine.take(source)
    assert source.name == "camera 'IR Camera'"
    for _ in range(300):
        source.read()
    assert machine.opened == [0, 1]
    machine.pictures[0] = COLOURS
    for _ in range(700):
        source.read()
    assert source.name == "camera 'Webcam'"


def test_a_camera_that_runs_is_kept_when_a_better_one_appears_and_left_when_it_is_lost(monkeypatch):
    machine = Machine(monkeypatch, [CameraInfo(4, "Webcam")], _0=COLOURS, _4=COLOURS)
    source = machine.choose()
    machine.take(source)
    machine.cameras.insert(0, CameraInfo(0, "Better Cam"))
    for _ in range(400):
        source.read()
    assert machine.opened == [4]
    machine.pictures[4] = None
    with pytest.raises(CaptureError, match="gives no picture"):
        source.read()
    source.close()
    machine.take(source)
    assert source.name == "camera 'Better Cam'"


def test_a_lost_camera_that_comes_back_under_another_number_goes_on_and_is_no_other_one(monkeypatch):
    machine = Machine(monkeypatch, [])
    for what in ("auto", "0", "webcam"):
        machine.cameras, machine.pictures = [CameraInfo(0, "Webcam", hardware="046d:082d 1A")], {0: COLOURS, 2: COLOURS}
        source, slot, changes = machine.choose(what), NewestSlot(), []
        thread = CaptureThread(source, slot, lambda _: None)
        thread.on_other_camera = lambda changes=changes: changes.append(1)
        source.open()
        assert thread._pass_on()
        before = source.identity
        machine.cameras, machine.pictures = [CameraInfo(2, "Webcam", hardware="046d:082d 1A")], {2: COLOURS}
        with pytest.raises(CaptureError):
            thread._pass_on()
        source.close()
        source.open()
        assert thread._pass_on()
        assert machine.opened[-1] == 2
        assert (source.identity, changes) == (before, [])
        machine.cameras, machine.pictures = [CameraInfo(2, "Webcam", hardware="dead:beef")], {2: COLOURS}
        source.close()
        if what != "0":
            source.open()
            assert thread._pass_on()
            assert changes == [1]


def test_a_camera_is_known_by_the_same_whichever_way_it_was_chosen(tmp_path, monkeypatch):
    plug = ("046d", "082d", "A1B2")
    first = system(tmp_path / "one", [(0, "HD Webcam C920", 0, *plug)])
    nodes = [(1, "Other", 0), (2, "HD Webcam C920", 0, *plug), (3, "HD Webcam C920", 1, *plug)]
    later = system(tmp_path / "two", nodes)
    assert first[0].identity == later[1].identity == "HD Webcam C920 046d:082d A1B2"
    link = tmp_path / "usb-046d_HD_Webcam_C920_A1B2-video-index0"
    link.symlink_to("/dev/video2")
    known = []
    for cameras, ways in ((first, ("0", "auto", "c920")), (later, ("2", "HD Webcam C920", str(link), "/dev/video2"))):
        monkeypatch.setattr(camera, "list_cameras", lambda cameras=cameras: cameras)
        monkeypatch.setattr(choose, "list_cameras", lambda cameras=cameras: cameras)
        monkeypatch.setattr(choose, "first_camera", lambda: 0)
        monkeypatch.setattr(choose, "is_device_path", lambda what: what.startswith("/"))
        known += [choose_source(what, rate=60, loop=False, demo_photo=Path, notify=print) for what in ways]
    assert {source.identity for source in known} == {"HD Webcam C920 046d:082d A1B2"}
    assert {source.name for source in known} == {"camera 'HD Webcam C920'"}
    assert "camera 7 (HD Webcam C920)" in known[0].formerly


@pytest.mark.skipif(os.name != "posix", reason="device paths are a Unix thing")
def test_a_device_path_is_a_camera_and_no_pipe(tmp_path):
    for path in (
        "/dev/video972",
        "/dev/v4l/by-id/usb-absent-video-index0",
        "/dev/v4l/by-path/pci-0000:00-video-index0",
    ):
        assert is_device_path(path)
        source = choose_source(path, rate=60, loop=False, demo_photo=Path, notify=print)
        assert source.kind == "camera"
        with pytest.raises(CaptureError, match=rf"camera .*{path} was not found: plug it in"):
            source.open()
    assert number_of("/dev/video12") == 12
    assert number_of("/dev/v4l/by-id/absent") is None
    (tmp_path / "link").symlink_to("/dev/video3")
    assert number_of(str(tmp_path / "link")) == 3
    for other in ("/dev/null", str(tmp_path / "none"), str(tmp_path), "/dev/videos", "a\0b"):
        assert not is_device_path(other)
    try:
        os.mknod(tmp_path / "cam", 0o660 | 0o020000, os.makedev(81, 2))
    except OSError:
        return  # it may not be made here
    assert is_device_path(str(tmp_path / "cam"))
    assert choose_source(str(tmp_path / "cam"), rate=60, loop=False, demo_photo=Path, notify=print).kind == "camera"


def test_the_driver_is_asked_for_what_the_user_wants_and_what_it_gives_is_said(monkeypatch):
    machine = Machine(monkeypatch, [CameraInfo(0, "Webcam")], _0=COLOURS)
    named = frozenset(("size", "pixels"))
    source = machine.choose("0", size=(1280, 720), pixels="yuyv", named=named)
    machine.take(source)
    assert machine.said == [
        "camera 'Webcam' gives 640x480, YUYV, 30 pictures a second (asked for 1280x720: it does not offer that)"
    ]
    source.close()
    source.open()
    assert len(machine.said) == 1  # once
    asked = source._capture.asked
    assert asked[cv2.CAP_PROP_FOURCC] == cv2.VideoWriter.fourcc(*"YUYV")
    assert (asked[cv2.CAP_PROP_FRAME_WIDTH], asked[cv2.CAP_PROP_FRAME_HEIGHT]) == (1280, 720)
    by_default = Capture(machine, 0)
    ask_for(by_default, CameraWish())
    assert by_default.asked[cv2.CAP_PROP_FOURCC] == cv2.VideoWriter.fourcc(*"MJPG")
    assert what_it_gives(by_default) == "640x480, YUYV, 30 pictures a second"


def test_a_number_that_no_camera_has_is_one_line(monkeypatch):
    Machine(monkeypatch, [])
    with pytest.raises(CaptureError, match="no camera has the number"):
        choose_source("9" * 30, rate=60, loop=False, demo_photo=Path, notify=print)
    with pytest.raises(CaptureError, match="no camera or file is called '²'"):
        choose_source("²", rate=60, loop=False, demo_photo=Path, notify=print)


def test_a_camera_that_is_gone_is_said_so_and_auto_waits_for_any(monkeypatch):
    machine = Machine(monkeypatch, [CameraInfo(0, "Webcam")], _0=None)
    source = machine.choose()
    with pytest.raises(CaptureError, match=r"no camera can be used: camera 0 \(Webcam\) "):
        source.open()
    machine.cameras = []
    with pytest.raises(CaptureError, match="no camera any more: plug one in"):
        source.open()
    machine.cameras, machine.pictures = [CameraInfo(5, "Another")], {5: COLOURS}
    machine.take(source)
    assert source.name == "camera 'Another'"


def test_a_file_is_known_by_the_same_from_whatever_folder_it_is_named(tmp_path, monkeypatch):
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "a.mp4").touch()
    known = set()
    for folder, what in (
        (tmp_path, "clips/a.mp4"),
        (tmp_path, "./clips/../clips/a.mp4"),
        (tmp_path / "clips", "a.mp4"),
    ):
        monkeypatch.chdir(folder)
        source = choose_source(what, rate=60, loop=False, demo_photo=Path, notify=print)
        known.add(source.identity)
        assert source.formerly == (source.name,)
    assert known == {str(tmp_path / "clips" / "a.mp4")}
