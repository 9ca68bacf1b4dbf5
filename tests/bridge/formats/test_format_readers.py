"""One sender's datagrams in order: what is late, what came twice, when the face is gone; and what VMC builds up."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pythonosc.osc_bundle_builder import IMMEDIATELY, OscBundleBuilder
from pythonosc.osc_message_builder import OscMessageBuilder

from facewire.bridge.formats.ifacialmocap_text import IFacialMocapReader, encode
from facewire.bridge.formats.livelink_packet import LiveLinkEncoder, LiveLinkReader
from facewire.bridge.formats.osc import encode_bundle, encode_message
from facewire.bridge.formats.received import DatagramError, OlderDatagramError
from facewire.bridge.formats.vmc_messages import LOOK_RAD, VmcReader
from facewire.bridge.outputs.choose import Target
from facewire.bridge.outputs.vmc import VmcOutput
from facewire.bridge.shared.arkit import BLENDSHAPE_INDEX, BLENDSHAPES
from facewire.bridge.wire.frame import FaceFrame

S = 10**9


def a_frame(jaw=0.0, seq=0, yaw=0.0, pitch=0.0, gaze=(0, 0, 0, 0)):
    shapes = np.zeros(52, np.float32)
    shapes[BLENDSHAPE_INDEX["jawOpen"]] = jaw
    sy, cy, sp, cp = math.sin(yaw / 2), math.cos(yaw / 2), math.sin(pitch / 2), math.cos(pitch / 2)
    head = np.array([cy * sp, sy * cp, -sy * sp, cy * cp, 0, 0, -0.5], np.float32)
    return FaceFrame(seq, 0, 0, "video", 1.0, shapes, head, np.array(gaze, np.float32))


def jaw(reader):
    return pytest.approx(float(reader.face.blendshapes[BLENDSHAPE_INDEX["jawOpen"]]))


# Live Link Face


def live_link(time_ns, jaw=0.5):
    return memoryview(bytes(LiveLinkEncoder("x").encode(a_frame(jaw), time_ns)))


def test_a_datagram_that_a_newer_one_overtook_or_that_came_twice_is_refused():
    reader = LiveLinkReader()
    assert reader.take(live_link(10 * S, 0.1), 0)
    assert reader.take(live_link(10 * S + 33_333_333, 0.3), 0)
    for late in (live_link(10 * S + 16_666_667, 0.2), live_link(10 * S + 33_333_333, 0.3), live_link(9 * S, 0.9)):
        with pytest.raises(OlderDatagramError):
            reader.take(late, 0)
    assert jaw(reader) == 0.3
    assert reader.take(live_link(10 * S + 50_000_000, 0.4), 0)
    assert jaw(reader) == 0.4


def test_a_sender_that_starts_anew_or_passes_midnight_is_followed():
    reader = LiveLinkReader()
    day = 24 * 3600 * S
    assert reader.take(live_link(day - 10_000_000, 0.1), 0)
    assert reader.take(live_link(day + 10_000_000, 0.2), 0)
    assert jaw(reader) == 0.2
    assert reader.take(live_link(3600 * S, 0.3), 0)
    assert reader.take(live_link(5 * S, 0.4), 0)
    assert jaw(reader) == 0.4


def test_a_sender_whose_time_stands_still_is_followed():
    reader = LiveLinkReader()
    assert all(reader.take(live_link(S, value), 0) for value in (0.1, 0.2, 0.3))
    assert jaw(reader) == 0.3


def test_a_live_link_phone_without_a_face_has_none_and_gets_it_back():
    reader, encoder = LiveLinkReader(), LiveLinkEncoder("x")
    assert reader.take(live_link(S), 0)
    assert reader.take(memoryview(bytes(encoder.encode_no_face(S + 20_000_000))), 0)
    assert reader.face is None
    assert reader.take(live_link(S + 40_000_000), 0)
    assert reader.face is not None
    reader.reset()
    assert reader.face is None
    assert reader.take(live_link(S), 0), "another sender has its own time"


# iFacialMocap


def test_a_line_that_stays_the_same_for_a_second_is_a_face_that_is_lost():
    reader, line = IFacialMocapReader(), memoryview(encode(a_frame(0.25)))
    assert reader.take(line, 0)
    assert reader.take(line, 900_000_000)
    assert jaw(reader) == 0.25
    assert reader.take(line, S)
    assert reader.face is None
    assert reader.take(memoryview(encode(a_frame(0.5))), 2 * S)
    assert jaw(reader) == 0.5
    assert reader.take(memoryview(encode(a_frame(0.5))), 2 * S + 1)
    assert reader.face is not None


def test_a_broken_line_leaves_the_face_as_it_was():
    reader = IFacialMocapReader()
    reader.take(memoryview(encode(a_frame(0.25))), 0)
    with pytest.raises(DatagramError):
        reader.take(memoryview(b"jawOpen-nan|=head#0,0,0|"), 1)
    assert jaw(reader) == 0.25


# VMC

APPLY = encode_message("/VMC/Ext/Blend/Apply")


def value(name, number):
    return encode_message("/VMC/Ext/Blend/Val", name, float(number))


def bone(name, *rotation):
    return encode_message("/VMC/Ext/Bone/Pos", name, 0.0, 0.0, 0.0, *(float(one) for one in rotation))


def about(axis, degrees):
    half = math.radians(degrees) / 2
    return (*(math.sin(half) if one == axis else 0.0 for one in "xyz"), math.cos(half))


def heard(*messages):
    reader = VmcReader()
    news = [reader.take(memoryview(one), 0) for one in messages]
    return reader, news


def test_shapes_count_when_they_are_applied_in_single_messages_or_bundles():
    reader, news = heard(value("JawOpen", 0.5), value("eyeBlinkLeft", 1.0), value("BROWINNERUP", 0.25), APPLY)
    assert news == [False, False, False, True]
    by_name = dict(zip(BLENDSHAPES, reader.face.blendshapes.tolist(), strict=True))
    assert {name: value for name, value in by_name.items() if value} == {
        "jawOpen": 0.5, "eyeBlinkLeft": 1.0, "browInnerUp": 0.25,
    }  # fmt: skip
    assert reader.take(memoryview(encode_bundle([encode_bundle([value("jawOpen", 0.75)]), APPLY])), 0)
    assert jaw(reader) == 0.75
    assert reader.face.blendshapes[BLENDSHAPE_INDEX["browInnerUp"]] == 0.25, "what is not named stays"
    assert reader.face.position_m is None


def test_what_another_library_sends_is_read():
    """PyPI's python-osc, as a bundle of messages with its own choice of types."""
    bundle = OscBundleBuilder(IMMEDIATELY)
    for address, *arguments in (
        ("/VMC/Ext/OK", 1, 3, 0, 1),
        ("/VMC/Ext/T", 12.5),
        ("/VMC/Ext/Root/Pos", "root", 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0),
        ("/VMC/Ext/Bone/Pos", "Head", 0.0, 0.1, 0.0, *about("y", 30)),
        ("/VMC/Ext/Blend/Val", "JawOpen", 0.5),
        ("/VMC/Ext/Blend/Apply",),
    ):
        message = OscMessageBuilder(address)
        for argument in arguments:
            message.add_arg(argument)
        bundle.add_content(message.build())
    reader, news = heard(bundle.build().dgram)
    assert news == [True]
    assert jaw(reader) == 0.5
    np.testing.assert_allclose(reader.face.rotation, about("y", -30), atol=1e-6)


def test_turns_come_out_of_unity_s_space():
    """In Unity +y turns a character to its right, +x down; ours turns to the left, down."""
    reader, _ = heard(bone("Head", *about("y", 30)), APPLY)
    np.testing.assert_allclose(reader.face.rotation, about("y", -30), atol=1e-6)
    reader, _ = heard(bone("Head", *about("x", 20)), APPLY)
    np.testing.assert_allclose(reader.face.rotation, about("x", 20), atol=1e-6)
    reader, _ = heard(bone("Neck", *about("z", 10)), bone("Head", *about("z", 5)), APPLY)
    np.testing.assert_allclose(reader.face.rotation, about("z", -15), atol=1e-6)
    reader, _ = heard(bone("LeftEye", *about("y", -10)), bone("RightEye", *about("x", -5)), APPLY)
    np.testing.assert_allclose(reader.face.gaze, np.radians([10, 0, 0, 5]), atol=1e-6)


def test_eyes_without_bones_look_where_their_shapes_say():
    reader, _ = heard(value("EyeLookOutLeft", 0.5), value("EyeLookInRight", 0.5), value("EyeLookUpLeft", 0.2), APPLY)
    expected = np.array([0.5, 0.2, 0.5, 0]) * LOOK_RAD
    np.testing.assert_allclose(reader.face.gaze, expected, atol=1e-6)


def test_clips_of_a_vrm_become_the_smallest_face_that_makes_them():
    reader, _ = heard(value("A", 0.6), value("Blink_L", 1), value("Joy", 0.5), value("Neutral", 1), APPLY)
    by_name = dict(zip(BLENDSHAPES, reader.face.blendshapes.round(3).tolist(), strict=True))
    assert {name: value for name, value in by_name.items() if value} == {
        "jawOpen": 0.5, "eyeBlinkLeft": 1.0, "mouthSmileLeft": 0.5, "mouthSmileRight": 0.5,
    }  # fmt: skip
    reader.take(memoryview(encode_bundle([value("jawOpen", 0.1), APPLY])), 0)
    assert jaw(reader) == 0.1, "ARKit's names count more"
    assert reader.face.blendshapes.sum() == pytest.approx(0.1)


def test_a_sender_that_tracks_nothing_has_no_face():
    reader, _ = heard(value("jawOpen", 0.5), APPLY)
    assert reader.take(memoryview(encode_message("/VMC/Ext/OK", 0)), 0)
    assert reader.face is None
    assert not reader.take(memoryview(APPLY), 0)
    assert not reader.take(memoryview(encode_message("/VMC/Ext/OK", 1)), 0)
    assert reader.take(memoryview(APPLY), 0)
    assert jaw(reader) == 0.5
    assert reader.take(memoryview(encode_message("/VMC/Ext/OK", 1, 3, 0, 0)), 0)
    assert reader.face is None


@pytest.mark.parametrize(
    "bad",
    [
        value("jawOpen", math.nan), value("jawOpen", math.inf), encode_message("/VMC/Ext/Blend/Val", "jawOpen"),
        encode_message("/VMC/Ext/Blend/Val", 1.0, "jawOpen"), encode_message("/VMC/Ext/Blend/Val", "jawOpen", "much"),
        bone("Head", 0, 0, 0, 0), bone("Head", math.nan, 0, 0, 1), bone("Head", 9, 9, 9, 9),
        encode_message("/VMC/Ext/Bone/Pos", "Head", 0.0), encode_message("/VMC/Ext/OK", "yes"),
        b"", b"/VMC", b"hello\0\0\0", b"#bundle\0" + b"\0" * 7,
    ],
)  # fmt: skip
def test_a_bad_message_takes_its_bundle_with_it_and_changes_nothing(bad):
    reader, _ = heard(value("jawOpen", 0.5), APPLY)
    datagram = encode_bundle([value("jawOpen", 0.9), bad, APPLY]) if bad[:1] == b"/" and len(bad) > 4 else bad
    with pytest.raises(DatagramError):
        reader.take(memoryview(datagram), 0)
    assert reader.take(memoryview(APPLY), 0)
    assert jaw(reader) == 0.5


def test_names_that_nobody_knows_take_no_room():
    reader, _ = heard(*(value(f"Extra{index}", 1) for index in range(300)), bone("Tail", 0, 0, 0, 1), APPLY)
    assert not reader.face.blendshapes.any()
    assert (len(reader._clips), len(reader._bones)) == (0, 0)


@settings(deadline=None, max_examples=40)
@given(st.binary(max_size=200))
def test_no_bytes_make_the_vmc_reader_fail(data):
    reader = VmcReader()
    try:
        reader.take(memoryview(data), 0)
    except DatagramError:
        return


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 1), st.integers(0, 1471), st.binary(min_size=1, max_size=8), st.integers(0, 1472))
def test_no_damage_makes_the_vmc_reader_fail(which, at, damage, end):
    """Either a datagram is refused as a whole, or what comes is a face like any other."""
    reader, datagrams = VmcReader(), sent_by_vmc(a_frame(0.5, yaw=0.5), "arkit")
    data = bytearray(datagrams[which])
    data[at : at + len(damage)] = damage
    datagrams[which] = bytes(data[:end])
    for datagram in datagrams:
        before = reader.face
        try:
            reader.take(memoryview(datagram), 0)
        except DatagramError:
            assert reader.face is before
    if reader.face is not None:
        assert ((reader.face.blendshapes >= 0) & (reader.face.blendshapes <= 1)).all()
        assert np.linalg.norm(reader.face.rotation) == pytest.approx(1, abs=1e-3)
        assert np.isfinite(reader.face.gaze).all()


def sent_by_vmc(frame, names):
    """Return the datagrams of ``frame``."""
    output, sent = VmcOutput(Target("127.0.0.1", 9, options={"names": names})), []
    output._udp = type("Kept", (), {"send": lambda _, data: sent.append(bytes(data)), "settle": lambda _: None})()
    output.send(frame, 0)
    return sent


@pytest.mark.parametrize("names", ["arkit", "camel"])
@settings(deadline=None, max_examples=40)
@given(
    st.integers(0, 2**32),
    st.floats(-1.4, 1.4),
    st.floats(-1.4, 1.4),
    st.lists(st.floats(-0.75, 0.75, width=32), min_size=4, max_size=4),
)
def test_what_our_vmc_output_sends_comes_back_as_it_was(names, seed, yaw, pitch, gaze):
    frame = a_frame(yaw=yaw, pitch=pitch, gaze=gaze)
    frame.blendshapes[:] = np.random.default_rng(seed).random(52, np.float32)
    reader = VmcReader()
    assert [reader.take(memoryview(one), 0) for one in sent_by_vmc(frame, names)][-1]
    np.testing.assert_array_equal(reader.face.blendshapes, frame.blendshapes)
    assert abs(float(np.dot(reader.face.rotation, frame.head[:4]))) == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(reader.face.gaze, frame.gaze, atol=2e-6)
