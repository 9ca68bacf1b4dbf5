"""VMC as receivers see it: over a real socket, read by an OSC library and by a VMC library."""

from __future__ import annotations

import re
import socket
import tracemalloc
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from pythonosc.osc_bundle import OscBundle
from pythonosc.osc_message import OscMessage
from support.faces import shapes_of
from support.paths import ROOT
from vmcp.events import BlendShapeApplyEvent, BlendShapeEvent, BoneTransformEvent, RelativeTimeEvent, StateEvent
from vmcp.typing import ModelState

from facewire.bridge.outputs.choose import make_output
from facewire.bridge.outputs.vmc import VmcOutput
from facewire.bridge.shared.arkit import BLENDSHAPES
from facewire.bridge.wire.frame import FaceFrame

Messages = list[OscMessage]
EVENTS = {
    event.ADDRESS_PATTERN: event
    for event in (StateEvent, RelativeTimeEvent, BoneTransformEvent, BlendShapeEvent, BlendShapeApplyEvent)
}


class Receiver:
    """Another program: it takes what is sent to it until a frame is complete."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(30)
        self.sizes: list[int] = []
        self.outputs: list[VmcOutput] = []

    def close(self) -> None:
        self.socket.close()
        for output in self.outputs:
            output.close()

    def output(self, options: str = "") -> VmcOutput:
        output = make_output(f"vmc:{self.socket.getsockname()[1]}{options}")
        assert isinstance(output, VmcOutput)
        output.open()
        self.outputs.append(output)
        return output

    def frame(self) -> Messages:
        messages: Messages = []
        while not messages or messages[-1].address != "/VMC/Ext/Blend/Apply":
            messages += self.packet()
        return messages

    def packet(self) -> Messages:
        data = self.socket.recv(65536)
        self.sizes.append(len(data))
        return list(OscBundle(data))


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


def test_only_the_tests_import_the_other_side() -> None:
    """vmcp is AGPL, and none of them is among Facewire's own dependencies."""
    files = [path for package in ("bridge", "models", "runtime") for path in (ROOT / package).rglob("*.py")]
    importing = re.compile(r"^\s*(?:import|from)\s+(?:vmcp|pythonosc|pyvts|pylivelinkface)\b", re.MULTILINE)
    assert len(files) > 100
    assert [path for path in files if importing.search(path.read_text(encoding="utf-8"))] == []


def face(seed: int = 5, **shapes: float) -> FaceFrame:
    rng = np.random.default_rng(seed)
    values = shapes_of(**shapes) if shapes else rng.uniform(0, 1, 52).astype(np.float32)
    turn = rng.normal(size=4)
    turn /= np.linalg.norm(turn)
    head = np.array([*turn, 0.1, 0.2, -0.5], np.float32)
    return FaceFrame(7, 0, 0, "video", 1.0, values, head, rng.uniform(-0.4, 0.4, 4).astype(np.float32))


def bones(messages: Messages) -> dict[str, np.ndarray]:
    return {m.params[0]: np.array(m.params[1:]) for m in messages if m.address == "/VMC/Ext/Bone/Pos"}


def shapes(messages: Messages) -> dict[str, float]:
    return {m.params[0]: m.params[1] for m in messages if m.address == "/VMC/Ext/Blend/Val"}


def times(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Quaternion product: turn by b, then by a."""
    vector = a[3] * b[:3] + b[3] * a[:3] + np.cross(a[:3], b[:3])
    return np.array([*vector, a[3] * b[3] - a[:3] @ b[:3]])


def turned(quaternion: np.ndarray, vector: tuple[float, float, float]) -> np.ndarray:
    conjugate = quaternion * [-1, -1, -1, 1]
    return times(times(quaternion, np.array([*vector, 0.0])), conjugate)[:3]


def test_a_frame_as_a_vmc_program_reads_it(receiver: Receiver) -> None:
    output, frame = receiver.output(), face()
    output.send(frame, 3_000_000_000)
    output.send(frame, 3_250_000_000)
    first, messages = receiver.frame(), receiver.frame()
    events = [EVENTS[m.address].from_message_data("test", m.address, tuple(m.params)) for m in messages]
    assert isinstance(events[0], StateEvent)
    assert events[0].model_state is ModelState.LOADED
    assert (events[1].delta, first[1].params) == (pytest.approx(0.25), [0.0])
    assert [event.joint.value for event in events[2:6]] == ["Neck", "Head", "LeftEye", "RightEye"]
    assert all((event.position.x, event.position.y, event.position.z) == (0, 0, 0) for event in events[2:6])
    assert isinstance(events[-1], BlendShapeApplyEvent)
    values = {str(event.key): event.value for event in events if isinstance(event, BlendShapeEvent)}
    assert len(events) == 2 + 4 + 52 + 1
    for index, name in enumerate(BLENDSHAPES):
        assert values[name[0].upper() + name[1:]] == frame.blendshapes[index]
    assert max(receiver.sizes) <= 1472
    assert len(receiver.sizes) == 4


def test_the_head_points_where_it_pointed_seen_from_a_left_handed_space(receiver: Receiver) -> None:
    output = receiver.output()
    for seed in range(20):
        frame = face(seed)
        output.send(frame, 0)
        got = bones(receiver.frame())
        whole = times(got["Neck"][3:], got["Head"][3:])
        for vector in ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0)):
            wanted = turned(frame.head[:4].astype(float), vector) * [-1, 1, 1]
            np.testing.assert_allclose(turned(whole, vector), wanted, atol=1e-5)
        for bone in got.values():
            assert np.linalg.norm(bone[3:]) == pytest.approx(1, abs=1e-5)
        share = np.arccos(np.clip(got["Neck"][6], -1, 1)) / np.arccos(np.clip(abs(frame.head[3]), -1, 1))
        assert share == pytest.approx(0.4, abs=1e-3)


def test_left_is_left_and_up_is_up(receiver: Receiver) -> None:
    """Unity turns by +y to the character's right and by +x down."""
    output, half = receiver.output(), np.float32(0.1)
    left = np.array([0, np.sin(half), 0, np.cos(half), 0, 0, 0], np.float32)
    gaze = np.array([0.2, 0.0, 0.0, 0.3], np.float32)  # left eye to the left, right eye up
    output.send(FaceFrame(0, 0, 0, "video", 1.0, np.zeros(52, np.float32), left, gaze), 0)
    got = bones(receiver.frame())
    assert got["Head"][4] < 0
    assert got["Neck"][4] < 0
    assert got["LeftEye"][3:] == pytest.approx([0, -np.sin(0.1), 0, np.cos(0.1)], abs=1e-6)
    assert got["RightEye"][3:] == pytest.approx([-np.sin(0.15), 0, 0, np.cos(0.15)], abs=1e-6)
    output.send(FaceFrame(0, 0, 0, "video", 1.0, np.zeros(52, np.float32), np.eye(7, dtype=np.float32)[3], gaze * 0), 0)
    for bone in bones(receiver.frame()).values():
        assert bone[3:] == pytest.approx([0, 0, 0, 1])


@pytest.mark.parametrize(
    ("names", "wanted", "missing"),
    [
        ("camel", {"eyeBlinkLeft": 0.5, "jawOpen": 0.25}, "EyeBlinkLeft"),
        ("arkit", {"EyeBlinkLeft": 0.5, "JawOpen": 0.25}, "eyeBlinkLeft"),
        ("vrm", {"blinkLeft": 0.5, "blinkRight": 0.0, "aa": 0.3}, "blink"),
        ("vrm0", {"Blink_L": 0.5, "Blink_R": 0.0, "A": 0.3}, "Blink"),
    ],
)
def test_names_as_the_other_program_has_them(
    receiver: Receiver, names: str, wanted: dict[str, float], missing: str
) -> None:
    output = receiver.output(f"?names={names}")
    output.send(face(eyeBlinkLeft=0.5, jawOpen=0.25), 0)
    got = shapes(receiver.frame())
    assert {name: got[name] for name in wanted} == pytest.approx(wanted)
    assert missing not in got
    # What nothing drives is left to other senders that move the avatar.
    assert not {"neutral", "relaxed", "Neutral", "Fun"} & set(got)


@pytest.mark.parametrize(("option", "wanted"), [("head", ["Neck", "Head"]), ("off", [])])
def test_bones_can_be_left_to_another_program(receiver: Receiver, option: str, wanted: list[str]) -> None:
    output, frame = receiver.output(f"?bones={option}"), face()
    output.send(frame, 0)
    messages = receiver.frame()
    assert list(bones(messages)) == wanted
    assert shapes(messages)["TongueOut"] == frame.blendshapes[-1]


def test_it_says_that_it_is_still_there_while_no_frames_come(receiver: Receiver) -> None:
    output = receiver.output()
    output.idle(1_000_000_000)
    output.idle(1_500_000_000)
    assert [m.address for m in receiver.packet()] == ["/VMC/Ext/OK", "/VMC/Ext/T"]
    assert receiver.packet()[1].params == [pytest.approx(0.5)]


@pytest.mark.parametrize("options", ["", "?names=vrm"])
def test_sending_allocates_nothing_that_stays(
    receiver: Receiver, options: str, frames: Callable[..., Iterator[FaceFrame]]
) -> None:
    output, some = receiver.output(options), list(frames(100))
    tracemalloc.start()
    try:
        for frame in some[:10]:  # its last values stay until the next ones, and Python keeps some numbers
            output.send(frame, frame.publish_ns)
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        for frame in some:
            output.send(frame, frame.publish_ns)  # more than the socket holds: what does not fit is dropped
        now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert now - before < 1000
    assert peak - before < 6000
