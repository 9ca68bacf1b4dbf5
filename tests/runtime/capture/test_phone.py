"""Phones and programs as sources: one Facewire's outputs into another one's inputs over real datagrams on loopback,
late, broken and foreign ones, and phones that sleep."""

from __future__ import annotations

import contextlib
import gc
import itertools
import math
import socket
import subprocess
import time
import tracemalloc
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from support.faces import seen_face, shapes_of
from support.ports import free_udp_port
from support.program import FACEWIRE
from support.sources import Pictures
from support.trackers import FakeTracker
from support.waiting import wait_until

from facewire.bridge.formats.ifacialmocap_text import HANDSHAKE, IFacialMocapReader, encode
from facewire.bridge.formats.livelink_packet import LiveLinkEncoder
from facewire.bridge.outputs.choose import make_output
from facewire.bridge.recording.reader import open_session
from facewire.bridge.recording.track import load_track
from facewire.bridge.shared.arkit import BLENDSHAPE_INDEX
from facewire.bridge.shared.clock import now_ns
from facewire.bridge.wire.frame import FaceFrame
from facewire.runtime.capture.choose import choose_source
from facewire.runtime.capture.remote import choose_phone
from facewire.runtime.capture.remote import phone as phone_module
from facewire.runtime.capture.remote.choose_phone import APPS, check_no_circle, is_phone, phone_source
from facewire.runtime.capture.remote.phone import PhoneSource, describe_opening
from facewire.runtime.capture.video.source import CapturedFace, CaptureError, SourceSilent
from facewire.runtime.cli.commands.doctor import _phones
from facewire.runtime.face.calibrate import Calibrator
from facewire.runtime.face.filter_config import FilterConfig
from facewire.runtime.face.filters import FaceFilter
from facewire.runtime.face.guided import calibrate_neutral, calibrate_pose
from facewire.runtime.face.presence import Presence, PresenceConfig
from facewire.runtime.face.sampling import Sampling
from facewire.runtime.live import Live
from facewire.runtime.panel.outputs import OutputSwitches
from facewire.runtime.panel.problems import find_problems
from facewire.runtime.pipeline import FacePipeline

S = 10**9
QUICK = PresenceConfig(hold_s=0.05, ease_s=0.1, return_s=0.05)
PATIENT = PresenceConfig(hold_s=600)
"""A test's machine may stop for a moment: then the face stays as it is."""


def a_frame(seq=0, jaw=0.9):
    """No two shapes are alike, the head and eyes are turned every way, and lips shut less than the jaw opens: fusion
    would see to that."""
    shapes = (np.arange(52, dtype=np.float32) + 1) / 64
    shapes[BLENDSHAPE_INDEX["jawOpen"]] = jaw
    head = np.array([0.1, -0.2, 0.05, math.sqrt(1 - 0.0525), 0.02, -0.01, -0.6], np.float32)
    gaze = np.array([0.1, -0.05, 0.12, -0.06], np.float32)
    return FaceFrame(seq, 0, 0, "video", 1.0, shapes, head, gaze)


@pytest.fixture
def use():
    """Open sources and outputs, and close them after the test."""
    with contextlib.ExitStack() as stack:

        def opened(one):
            stack.callback(one.close)
            one.open()
            return one

        yield opened


@pytest.fixture
def sender():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        yield one


def phone(what, **options):
    """Open the source that a user writes as ``what``, on a free port."""
    reports = []
    source = phone_source(f"{what}:0", reports.append)
    source.reports = reports
    for name, value in options.items():
        setattr(source, f"_{name}", value)
    return source


def live_link(frame, time_ns):
    return bytes(LiveLinkEncoder("phone").encode(frame, time_ns))


class Run:
    """A live run of a source, without networks, that keeps what it publishes."""

    def __init__(self, source, **options):
        self.frames: list[FaceFrame] = []
        self.reports: list[str] = []
        self.live = Live(source, self.frames.append, notify=self.reports.append)
        options = {"face_filter": FaceFilter(FilterConfig.preset("off")), "presence": Presence(PATIENT), **options}
        self.live.start(lambda: FacePipeline(None, **options))

    @property
    def last(self):
        return self.frames[-1]

    @property
    def seen(self):
        """The newest frame that shows what came."""
        return next(frame for frame in reversed(self.frames) if frame.sources == "video")

    @property
    def jaw(self):
        return float(self.last.blendshapes[BLENDSHAPE_INDEX["jawOpen"]])

    @property
    def device(self):
        return self.live.status()["devices"]["video"]

    def stream(self, output, until, frame=a_frame):
        """Send frames at about 200 a second until a condition holds."""
        numbers = itertools.count()

        def send():
            with contextlib.suppress(OSError):
                output.send(frame(next(numbers)), now_ns())

        wait_until(until, every_s=0.005, meanwhile=send)


@pytest.fixture
def run():
    runs = []

    def start(source, **options):
        runs.append(Run(source, **options))
        return runs[-1]

    yield start
    for one in runs:
        one.live.stop()
        one.live.capture.source.close()


# End to end


@pytest.mark.parametrize(
    ("output", "name", "shapes_within", "has_position"),
    [
        ("livelink", "livelink", 1e-6, False),
        ("ifacialmocap", "ifacialmocap", 0.005001, True),
        ("ifacialmocap", "ifacialmocap?version=v2", 0.005001, True),
        ("vmc", "vmc", 1e-6, False),
        ("vmc", "vmc?names=camel", 1e-6, False),
    ],
)
def test_what_one_facewire_sends_another_one_shows(use, run, output, name, shapes_within, has_position):
    """By name, left and right right, head and gaze too, each within its format's own resolution."""
    source = use(phone(output))
    name, _, options = name.partition("?")
    sender = use(make_output(f"{name}:127.0.0.1:{source.address[1]}?{options}".rstrip("?")))
    receiver = run(source)
    receiver.stream(sender, lambda: len(receiver.frames) > 5 and receiver.device["state"] == "running")
    frames, shown, sent = list(receiver.frames), receiver.seen, a_frame()
    np.testing.assert_allclose(shown.blendshapes, sent.blendshapes, atol=shapes_within)
    np.testing.assert_allclose(shown.raw, sent.blendshapes, atol=shapes_within)
    assert abs(float(np.dot(shown.head[:4], sent.head[:4]))) == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(shown.gaze, sent.gaze, atol=3e-6)
    np.testing.assert_allclose(shown.head[4:], sent.head[4:] if has_position else [0, 0, -0.5], atol=2e-6)
    assert (shown.sources, shown.confidence, shown.landmarks) == ("video", 1.0, None)
    assert [frame.seq for frame in frames] == list(range(len(frames)))
    assert 0 <= now_ns() - shown.capture_ns < 60 * S
    assert receiver.device["kind"] == "phone"


def test_the_hand_shake_wakes_a_facewire_that_takes_a_phone_s_place(use, run, monkeypatch):
    """Asked at the phone's port, answered at ours, for as long as it takes."""
    monkeypatch.setattr(phone_module, "ASK_NS", S // 10)
    port = free_udp_port()
    source = use(PhoneSource("phone", IFacialMocapReader(), "", 0, phone="127.0.0.1", phone_port=port))
    receiver = run(source)
    time.sleep(0.2)
    as_phone = use(make_output(f"ifacialmocap:{port}?phone=127.0.0.1"))  # the app is opened later
    receiver.stream(as_phone, lambda: len(receiver.frames) > 3)
    np.testing.assert_allclose(receiver.seen.blendshapes, a_frame().blendshapes, atol=0.005001)


def test_a_phone_that_sleeps_lets_the_face_rest_and_takes_it_up_again(use, run, monkeypatch):
    monkeypatch.setattr(phone_module, "SILENT_NS", S)
    source = use(phone("livelink"))
    sender = use(make_output(f"livelink:127.0.0.1:{source.address[1]}"))
    receiver = run(source, presence=Presence(QUICK))
    receiver.stream(sender, lambda: len(receiver.frames) > 5 and receiver.jaw > 0.2)
    losses = receiver.live.capture.losses
    wait_until(lambda: receiver.last.sources == "held" and not receiver.last.blendshapes.any())
    assert receiver.live.pipeline.at_rest
    before = len(receiver.frames)
    wait_until(lambda: receiver.live.capture.state == "lost")
    assert len(receiver.frames) == before, "a face that rests sends nothing"
    assert receiver.live.capture.losses == losses + 1
    assert "nothing arrives any more from 127.0.0.1" in receiver.reports[-1]
    assert "nothing arrives any more" in find_problems(receiver.live.status())[0]
    receiver.stream(sender, lambda: receiver.last.sources == "video" and receiver.jaw > 0.2)
    assert receiver.reports[-1].endswith("is back")


def test_a_phone_that_loses_the_face_lets_it_rest_at_once(use, run):
    source = use(phone("livelink"))
    receiver = run(source, presence=Presence(QUICK))
    encoder, steps = LiveLinkEncoder("phone"), itertools.count()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.sendto(encoder.encode(a_frame(), 10 * S), source.address)
        wait_until(lambda: receiver.frames)

        def rests():
            """While the phone goes on to say that it sees nobody."""
            one.sendto(encoder.encode_no_face(10 * S + next(steps) * 16_666_667), source.address)
            held = receiver.last.sources == "held" and receiver.live.pipeline.at_rest
            return held and receiver.live.capture.state == "running"

        wait_until(rests)


def test_hostile_datagrams_change_nothing_while_a_phone_streams(use, run, sender, monkeypatch):
    monkeypatch.setattr(phone_module, "HOLD_NS", 600 * S)  # a machine that stops for a second is no sleeping phone
    source = use(phone("livelink"))
    output = use(make_output(f"livelink:127.0.0.1:{source.address[1]}"))
    receiver = run(source)
    receiver.stream(output, lambda: len(receiver.frames) > 3)
    good, rng = live_link(a_frame(jaw=1.0), 5 * S), np.random.default_rng(3)
    before = len(receiver.frames)

    def both(seq):
        for size in (0, 1, 40, 315, 9000):
            sender.sendto(rng.bytes(size), source.address)
        sender.sendto(good[: rng.integers(len(good))], source.address)
        sender.sendto(good, source.address)
        return a_frame(seq)

    enough = 40 * 7
    receiver.stream(output, lambda: len(receiver.frames) > before + 40 and source.dropped["foreign"] >= enough, both)
    for frame in receiver.frames:
        np.testing.assert_allclose(frame.blendshapes, a_frame().blendshapes, atol=1e-6)
    assert receiver.device["dropped"]["foreign"] >= enough
    assert receiver.live.status()["drops"]["bad_frames"] == 0
    said = [line.partition(": ")[2] for line in receiver.reports + source.reports if "sends too" in line]
    assert said == ["another program on 127.0.0.1 sends too; only the first is used (further ones are counted)"]


# The source by itself


def read(source):
    captured = source.read()
    assert isinstance(captured, CapturedFace)
    return captured


def read_all(source, count):
    """Read until ``count`` datagrams have come since the source was opened; return the new faces among them."""
    faces = []
    while len(faces) + sum(source.dropped.values()) < count:
        with contextlib.suppress(SourceSilent):  # what came at last was no news
            faces.append(read(source))
    return faces


def jaw_of(captured):
    return pytest.approx(float(captured.face.blendshapes[BLENDSHAPE_INDEX["jawOpen"]]))


def test_late_and_repeated_datagrams_are_dropped_and_counted_and_lost_ones_are_not_missed(use, sender):
    source = use(phone("livelink"))
    steps = [0, 1, 3, 2, 3, 7, 5]  # 4 and 6 are lost
    for step in steps:
        sender.sendto(live_link(a_frame(jaw=step / 10), 10 * S + step * 16_666_667), source.address)
    faces = read_all(source, len(steps))
    assert jaw_of(faces[-1]) == 0.7
    assert source.dropped == {"late": 3, "broken": 0, "foreign": 0, "overtaken": 4 - len(faces)}


def test_the_first_sender_holds_the_port_until_it_is_silent(use, sender):
    clock = SimpleNamespace(ns=100 * S)
    source = phone("livelink", clock=lambda: clock.ns)
    use(source)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        sender.sendto(b"what no format knows holds nothing", source.address)
        other.sendto(live_link(a_frame(jaw=0.9), 77 * S), source.address)
        assert jaw_of(read(source)) == 0.9
        for step in range(3):
            sender.sendto(live_link(a_frame(jaw=0.1), step * S), source.address)
        other.sendto(live_link(a_frame(jaw=0.8), 78 * S), source.address)
        assert jaw_of(read(source)) == 0.8
        assert source.dropped["foreign"] == 3
        assert source.dropped["broken"] == 1
        assert len(source.reports) == 1
        clock.ns += S + 1
        sender.sendto(live_link(a_frame(jaw=0.3), 0), source.address)
        assert jaw_of(read(source)) == 0.3, "it has its own time"


def test_a_named_phone_is_the_only_one_that_is_heard(use, sender, monkeypatch):
    monkeypatch.setattr(phone_module, "find_route", lambda _: ("192.0.2.7", "127.0.0.1"))
    source = use(PhoneSource("phone", IFacialMocapReader(), "", 0, phone="my-phone"))
    sender.sendto(encode(a_frame()), source.address)
    source._said_ns = source._heard_ns = now_ns() - 3 * S
    with pytest.raises(SourceSilent, match="nothing has arrived yet"):
        source.read()
    assert source.dropped["foreign"] == 1


def test_a_new_address_of_the_phone_is_found_by_opening_anew(use, run, monkeypatch):
    monkeypatch.setattr(phone_module, "SILENT_NS", S // 20)
    monkeypatch.setattr(phone_module, "find_route", lambda _: ("192.0.2.7", "127.0.0.1"))
    source = use(PhoneSource("phone", IFacialMocapReader(), "", free_udp_port(), phone="my-phone"))
    receiver = run(source)
    monkeypatch.setattr(phone_module, "find_route", lambda _: ("127.0.0.1", "127.0.0.1"))
    output = use(make_output(f"ifacialmocap:127.0.0.1:{source._port}"))
    receiver.stream(output, lambda: len(receiver.frames) > 3)
    assert any("address has changed" in line for line in receiver.reports)


def test_a_stream_of_datagrams_leaves_no_garbage(use, sender):
    """Good and bad ones, late ones and those of others."""
    source, encoder = use(phone("livelink")), LiveLinkEncoder("phone")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:

        def stream(first, count):
            for step in range(first, first + count):
                sender.sendto(encoder.encode(a_frame(), 10 * S + step * 16_666_667), source.address)
                sender.sendto(encoder.encode(a_frame(), 10 * S + (step - 1) * 16_666_667), source.address)
                sender.sendto(b"broken", source.address)
                other.sendto(b"foreign", source.address)
                assert source.read().face is not None

        stream(0, 100)
        gc.collect()
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            stream(100, 500)
            gc.collect()
            grown = tracemalloc.get_traced_memory()[0] - before
        finally:
            tracemalloc.stop()
    assert grown < 20_000
    assert source.dropped["broken"] >= 300
    assert source.dropped["late"] >= 300


def test_a_silent_phone_is_asked_once_a_second_until_it_answers(use):
    clock = SimpleNamespace(ns=100 * S)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as as_phone:
        as_phone.bind(("127.0.0.1", 0))
        as_phone.settimeout(5)
        source = use(
            PhoneSource(
                "phone", IFacialMocapReader(), "", 0, phone="127.0.0.1", phone_port=as_phone.getsockname()[1],
                clock=lambda: clock.ns,
            )
        )  # fmt: skip
        for _ in range(3):
            source._ask()
        assert as_phone.recv(200) == HANDSHAKE
        clock.ns += S
        source._ask()
        data, asker = as_phone.recvfrom(200)
        assert (data, asker) == (HANDSHAKE, source.address)
        as_phone.sendto(encode(a_frame()), asker)
        assert read(source).face.head[6] == pytest.approx(-0.6)
        source._ask()
        clock.ns += S + 1
        source._ask()
        assert as_phone.recv(200) == HANDSHAKE, "it sleeps"
        as_phone.setblocking(False)
        with pytest.raises(BlockingIOError):
            as_phone.recv(200)


def test_a_read_that_waits_can_be_interrupted(use):
    source = use(phone("vmc"))
    source.interrupt()
    assert source.read() is None


def test_a_port_that_is_taken_is_one_line(use, sender):
    source = phone_source(f"livelink:{sender.getsockname()[1]}", print)
    with pytest.raises(CaptureError, match="cannot listen on") as caught:
        use(source)
    assert "\n" not in str(caught.value)
    assert str(sender.getsockname()[1]) in str(caught.value)


@pytest.mark.parametrize("host", ["192.0.2.7", "no.such.host.invalid", "x" * 300, "fe80::zz"])
def test_an_address_that_is_not_this_machine_s_is_one_line(use, host):
    with pytest.raises(CaptureError, match="cannot listen on") as caught:
        use(phone_source(f"livelink:[{host}]:0", print))
    assert "\n" not in str(caught.value)


def test_an_output_that_would_feed_its_own_input_is_one_line(use):
    source = use(phone("vmc"))
    port = source.address[1]
    for spec in (f"vmc:{port}", f"vmc:localhost:{port}", f"livelink:127.0.0.1:{port}"):
        with pytest.raises(CaptureError, match="would feed its own input"):
            check_no_circle(source, ["jsonl:-", spec])
    check_no_circle(source, [f"vmc:{port + 1}", f"vmc:192.0.2.7:{port}", "csv:take.csv"])
    lines: list[str] = []
    switches = OutputSwitches(lines.append, check=lambda specs: check_no_circle(source, specs))
    with pytest.raises(CaptureError, match="would feed its own input"):
        switches.commands["output_start"]({"output": f"vmc:{port}"})
    switches.use([f"vmc:{port}"])  # a profile's
    assert "would feed its own input" in lines[0]
    assert switches.state() == {"outputs": []}
    source.close()
    check_no_circle(source, [f"vmc:{port}"])
    check_no_circle(None, [f"vmc:{port}"])


def test_an_output_to_this_machine_s_own_address_in_the_network_would_feed_an_open_input_too(use, monkeypatch):
    ways = {"127.0.0.2": "127.0.0.1", "192.168.1.5": "192.168.1.5", "192.168.1.9": "192.168.1.5"}
    monkeypatch.setattr(choose_phone, "route_to", lambda host: (host, ways[host]))
    source = use(phone("livelink:0.0.0.0"))
    port = source.address[1]
    for spec in (f"livelink:192.168.1.5:{port}", f"livelink:127.0.0.2:{port}"):
        with pytest.raises(CaptureError, match="would feed its own input"):
            check_no_circle(source, [spec])
    check_no_circle(source, [f"livelink:192.168.1.9:{port}"])
    source = use(phone("livelink:127.0.0.1"))
    port = source.address[1]
    check_no_circle(source, [f"livelink:192.168.1.5:{port}", f"livelink:127.0.0.2:{port}"])


def test_a_phone_that_no_way_leads_to_is_one_line(use):
    with pytest.raises(CaptureError, match="cannot reach the phone"):
        use(phone_source("ifacialmocap:no.such.phone.invalid", print))


@pytest.mark.parametrize(
    ("what", "name", "host", "port"),
    [
        ("livelink", "Live Link Face on port 11111", "127.0.0.1", 11111),
        ("livelink:12000", "Live Link Face on port 12000", "127.0.0.1", 12000),
        ("livelink:0.0.0.0:11111", "Live Link Face on port 11111", "0.0.0.0", 11111),
        ("livelink:0.0.0.0", "Live Link Face on port 11111", "0.0.0.0", 11111),
        ("livelink:[::1]:12000", "Live Link Face on port 12000", "::1", 12000),
        ("vmc", "VMC protocol on port 39539", "127.0.0.1", 39539),
        ("ifacialmocap", "iFacialMocap on port 49983", "127.0.0.1", 49983),
        ("ifacialmocap:0.0.0.0", "iFacialMocap on port 49983", "0.0.0.0", 49983),
    ],
)
def test_what_the_user_writes_says_where_to_listen(what, name, host, port):
    source = choose_source(what, rate=60, loop=False, demo_photo=lambda: None, notify=print)
    assert isinstance(source, PhoneSource)
    assert (source.name, source._host, source._port, source._phone) == (name, host, port, None)


def test_a_phone_s_address_is_asked_and_listened_to_alone():
    source = phone_source("ifacialmocap:192.168.1.20", print)
    assert (source.name, source._phone, source._phone_port) == ("iFacialMocap on 192.168.1.20", "192.168.1.20", 49983)


@pytest.mark.parametrize("what", ["livelink:99999", "vmc:a b", "livelink:host:port", "vmc:1/2", "ifacialmocap:a:b:c"])
def test_what_is_no_address_is_one_line(what):
    with pytest.raises(CaptureError, match="is not an address"):
        phone_source(what, print)


def test_what_is_no_phone_is_left_to_others():
    assert not any(map(is_phone, ("livelink.mp4", "demo", "0", "vmc://host", "C:\\clip.mp4", "HD Webcam")))


def test_what_is_opened_is_said():
    assert describe_opening(("127.0.0.1", 11111), None) == "UDP 127.0.0.1:11111, to this machine only"
    assert describe_opening(("192.168.1.5", 49983), "192.168.1.20").endswith("to the phone 192.168.1.20 only")
    assert "anyone who reaches this machine" in describe_opening(("0.0.0.0", 11111), None)
    assert describe_opening(("::1", 11111), None) == "UDP [::1]:11111, to this machine only"


# The commands


def test_a_phone_is_recorded_as_a_camera_is(use, tmp_path):
    port, take = free_udp_port(), tmp_path / "take.mcap"
    output = use(make_output(f"livelink:127.0.0.1:{port}"))
    command = ["record", str(take), "--video", f"livelink:{port}", "--mouth", "video", "--smoothing", "off"]
    with subprocess.Popen([*FACEWIRE, *command, "--duration", "2"], stderr=subprocess.PIPE, text=True) as process:
        while process.poll() is None:
            with contextlib.suppress(OSError):
                output.send(a_frame(), now_ns())
            time.sleep(0.005)
        said = process.stderr.read()
    assert process.returncode == 0, said
    assert f"listening on UDP 127.0.0.1:{port}, to this machine only" in said
    with open_session(take) as session:
        track = load_track(session)
    as_sent = np.isclose(track.blendshapes, a_frame().blendshapes, atol=1e-6).all(axis=1)
    assert as_sent.sum() > 5
    assert as_sent.sum() > len(track.seq) / 2


def test_serve_refuses_to_feed_itself():
    port = free_udp_port()
    command = ["serve", "--video", f"vmc:{port}", "--output", f"vmc:{port}", "--mouth", "video"]
    result = subprocess.run([*FACEWIRE, *command], capture_output=True, text=True, timeout=100)
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert "would feed its own input" in result.stderr


# The pipeline without pictures


def a_face(**shapes):
    return seen_face(1.0, shapes_of(**shapes))


def test_a_phone_s_shapes_pass_as_they_are_until_rest_is_shown():
    calibrator = Calibrator(silent=True)
    face = a_face(eyeBlinkLeft=0.8, eyeBlinkRight=0.1, tongueOut=1.0, cheekPuff=0.4)
    for step in range(300):
        calibrated = calibrator.step(face, step * S // 30)
    np.testing.assert_array_equal(calibrated.blendshapes, face.blendshapes)
    calibrator.calibration.gain[BLENDSHAPE_INDEX["cheekPuff"]] = 2.0
    assert calibrator.step(face, 11 * S).blendshapes[BLENDSHAPE_INDEX["cheekPuff"]] == pytest.approx(0.8)


def sampled(calibrator, face, seconds=0.5):
    sampling, done, step = Sampling(seconds), False, 0
    while not done:
        done = sampling.step(calibrator, face, None, step * S // 60)
        step += 1
    sampling.check()
    return sampling


def test_rest_and_poses_of_a_phone_s_face_are_calibrated_as_a_camera_s():
    calibrator = Calibrator()
    rest = a_face(mouthSmileLeft=0.2, mouthSmileRight=0.2, eyeBlinkLeft=0.1, eyeBlinkRight=0.1)
    taken = sampled(calibrator, rest)
    calibrator.use(calibrate_neutral(taken.samples, taken.pictures, calibrator.calibration))
    shapes = calibrator.step(rest, 0).blendshapes
    assert not shapes.any(), "rest is 0"
    assert not calibrator.calibration.measures_known
    smile = a_face(mouthSmileLeft=0.6, mouthSmileRight=0.6, eyeBlinkLeft=0.1, eyeBlinkRight=0.1)
    taken = sampled(calibrator, smile, 2.5)
    new, unseen = calibrate_pose("smile", taken.samples, taken.pictures, calibrator.calibration)
    assert unseen == []
    calibrator.use(new)
    assert calibrator.step(smile, 0).blendshapes[BLENDSHAPE_INDEX["mouthSmileLeft"]] == pytest.approx(1.0, abs=1e-3)
    shut = a_face(eyeBlinkLeft=0.9, eyeBlinkRight=0.9)
    assert calibrator.step(shut, 0).blendshapes[BLENDSHAPE_INDEX["eyeBlinkLeft"]] == pytest.approx(0.86, abs=0.05)
    taken = sampled(calibrator, shut, 2.5)
    new, unseen = calibrate_pose("eyes_closed", taken.samples, taken.pictures, calibrator.calibration)
    assert unseen == []
    calibrator.use(new)
    assert calibrator.step(shut, 0).blendshapes[BLENDSHAPE_INDEX["eyeBlinkLeft"]] == pytest.approx(1.0, abs=1e-3)


def test_mirror_swaps_a_phone_s_sides():
    pipeline = FacePipeline(None, face_filter=FaceFilter(FilterConfig.preset("off")), mirror=True)
    face = a_face(eyeBlinkLeft=1.0, mouthSmileRight=0.5, jawLeft=0.25)
    face.head[:] = [0, 0.1, 0, math.sqrt(0.99), 0.2, 0, -0.5]
    face.gaze[:] = [0.1, 0.2, 0.3, 0.4]
    pipeline.follow(face, S)
    frame = pipeline.finish(0, S, S, lambda: S)
    shapes = {name: frame.blendshapes[index] for name, index in BLENDSHAPE_INDEX.items() if frame.blendshapes[index]}
    assert set(shapes) == {"eyeBlinkRight", "mouthSmileLeft", "jawRight"}
    np.testing.assert_allclose(frame.head[:5], [0, -0.1, 0, math.sqrt(0.99), -0.2], atol=1e-6)
    np.testing.assert_allclose(frame.gaze, [-0.3, 0.4, -0.1, 0.2], atol=1e-6)
    assert face.blendshapes[BLENDSHAPE_INDEX["eyeBlinkLeft"]] == 1.0, "the sender's face is left alone"


def test_the_mouth_is_trusted_while_the_phone_sees_the_face():
    pipeline = FacePipeline(None)
    for step in range(60):
        pipeline.follow(a_face(), step * S // 60)
    assert pipeline.trust.value > 0.95
    for step in range(60, 120):
        pipeline.follow(None, step * S // 60)
    assert pipeline.trust.value < 0.05
    assert pipeline.state(2 * S)["unseen_s"] > 0.5
    assert not pipeline.state(2 * S)["dark"]


def test_a_run_may_go_from_a_phone_to_a_camera(use, run):
    source = use(phone("livelink"))
    output = use(make_output(f"livelink:127.0.0.1:{source.address[1]}"))
    receiver = run(source)
    receiver.stream(output, lambda: len(receiver.frames) > 3)
    tracker = FakeTracker(face=a_face(jawOpen=0.5))
    assert not receiver.live.pipeline.has_tracker
    receiver.live.pipeline.use_tracker(lambda _: tracker, tracker)
    receiver.live.switch(Pictures(10**6, hurried=True))
    wait_until(lambda: receiver.jaw == 0.5)
    assert receiver.live.status()["drops"]["bad_frames"] == 0


def test_doctor_says_which_phones_can_be_received(use, monkeypatch):
    one, another = use(phone("vmc")), use(phone("livelink"))
    taken, free = one.address[1], another.address[1]
    another.close()
    for name, port in (("vmc", taken), ("livelink", free), ("ifacialmocap", taken)):
        monkeypatch.setitem(APPS, name, replace(APPS[name], port=port))
    found = {finding.verdict: finding for finding in _phones()}
    assert found["ok"].text == f"can be received: --video livelink on UDP {free}"
    assert found["note"].text == f"taken: UDP {taken} (iFacialMocap), UDP {taken} (VMC protocol)"


def test_problems_speak_of_the_phone():
    status = {"devices": {"video": {"kind": "phone", "state": "opening", "name": "Live Link Face on port 11111"}}}
    assert find_problems(status) == ["Waiting for Live Link Face on port 11111."]
    running = {"devices": {"video": {"kind": "phone", "state": "running"}}, "rates": {"capture": 10.0}}
    assert find_problems(running) == []
    (line,) = find_problems({**running, "face": {"unseen_s": 5.0}})
    assert "in front of the phone" in line
