"""Other programs' datagrams: against literal bytes, against a reader of the tests' own, there and back, and hostile."""

from __future__ import annotations

import math
import struct
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from facewire.bridge.formats import ifacialmocap_text, livelink_packet
from facewire.bridge.formats.livelink_packet import LiveLinkEncoder
from facewire.bridge.formats.received import DatagramError
from facewire.bridge.shared.arkit import BLENDSHAPE_INDEX, BLENDSHAPES
from facewire.bridge.wire.frame import FaceFrame

LIVE_LINK = bytes.fromhex(
    "060000002430313233343536372d383941422d434445462d303132332d3435363738394142434445460000000969"
    "50686f6e652031320037eaa93ef232800000003c000000013d3c8000003d0000003d4000003d8000003da000003d"
    "c000003de000003e0000003e1000003e2000003e3000003e4000003e5000003e6000003e7000003e8000003e8800"
    "003e9000003e9800003ea000003ea800003eb000003eb800003ec000003ec800003ed000003ed800003ee000003e"
    "e800003ef000003ef800003f0000003f0400003f0800003f0c00003f1000003f1400003f1800003f1c00003f2000"
    "003f2400003f2800003f2c00003f3000003f3400003f3800003f3c00003f4000003f4400003f4800003f4c00003f"
    "500000be800000be400000be000000bd800000000000003d8000003e0000003e4000003e800000"
)
"""Value n is (n + 1) / 64 for the 52 shapes and (n - 56) / 16 for the angles; written by PyPI's PyLiveLinkFace 0.1."""
PACKET_ORDER = [
    "EyeBlinkLeft", "EyeLookDownLeft", "EyeLookInLeft", "EyeLookOutLeft", "EyeLookUpLeft", "EyeSquintLeft",
    "EyeWideLeft", "EyeBlinkRight", "EyeLookDownRight", "EyeLookInRight", "EyeLookOutRight", "EyeLookUpRight",
    "EyeSquintRight", "EyeWideRight", "JawForward", "JawLeft", "JawRight", "JawOpen", "MouthClose", "MouthFunnel",
    "MouthPucker", "MouthLeft", "MouthRight", "MouthSmileLeft", "MouthSmileRight", "MouthFrownLeft",
    "MouthFrownRight", "MouthDimpleLeft", "MouthDimpleRight", "MouthStretchLeft", "MouthStretchRight",
    "MouthRollLower", "MouthRollUpper", "MouthShrugLower", "MouthShrugUpper", "MouthPressLeft", "MouthPressRight",
    "MouthLowerDownLeft", "MouthLowerDownRight", "MouthUpperUpLeft", "MouthUpperUpRight", "BrowDownLeft",
    "BrowDownRight", "BrowInnerUp", "BrowOuterUpLeft", "BrowOuterUpRight", "CheekPuff", "CheekSquintLeft",
    "CheekSquintRight", "NoseSneerLeft", "NoseSneerRight", "TongueOut", "HeadYaw", "HeadPitch", "HeadRoll",
    "LeftEyeYaw", "LeftEyePitch", "LeftEyeRoll", "RightEyeYaw", "RightEyePitch", "RightEyeRoll",
]  # fmt: skip
"""The engine's EARFaceBlendShape, written down by itself."""

PHONE_LINE = (
    b"mouthSmile_R-0|eyeLookOut_L-0|mouthUpperUp_L-11|eyeWide_R-0|mouthClose-8|mouthPucker-4|mouthRollLower-9|"
    b"eyeBlink_R-7|eyeLookDown_L-17|cheekSquint_R-11|eyeBlink_L-7|tongueOut-0|jawRight-0|eyeLookIn_R-6|"
    b"cheekSquint_L-11|mouthDimple_L-10|mouthPress_L-4|eyeSquint_L-11|mouthRight-0|mouthShrugLower-9|eyeLookUp_R-0|"
    b"eyeLookOut_R-0|mouthPress_R-5|cheekPuff-2|jawForward-11|mouthLowerDown_L-9|mouthFrown_L-6|mouthShrugUpper-26|"
    b"browOuterUp_L-4|browInnerUp-20|mouthDimple_R-10|browDown_R-0|mouthUpperUp_R-10|mouthRollUpper-8|mouthFunnel-12|"
    b"mouthStretch_R-21|mouthFrown_R-13|eyeLookDown_R-17|jawOpen-12|jawLeft-0|browDown_L-0|mouthSmile_L-0|"
    b"noseSneer_R-18|mouthLowerDown_R-8|noseSneer_L-21|eyeWide_L-0|mouthStretch_L-21|browOuterUp_R-4|eyeLookIn_L-4|"
    b"eyeSquint_R-11|eyeLookUp_L-0|mouthLeft-1|=head#-21.488958,-6.038993,-6.6019735,-0.030653415,-0.10287084,"
    b"-0.6584072|rightEye#6.0297494,2.4403017,0.25649446|leftEye#6.034903,-1.6660284,-0.17520553|"
)
"""The line that the app's publisher shows."""


@st.composite
def frames(draw):
    """Any face: shapes by themselves, a head that is not on its back, eyes within what eyes do."""
    shapes = np.random.default_rng(draw(st.integers(0, 2**32))).random(52, np.float32)
    shapes[draw(st.integers(0, 51))] = draw(st.sampled_from([0.0, 1.0]))
    yaw, pitch, roll = (draw(st.floats(-1.4, 1.4)) for _ in range(3))
    gaze = np.array(draw(st.lists(st.floats(-0.75, 0.75, width=32), min_size=4, max_size=4)), np.float32)
    place = draw(st.lists(st.floats(-2, 2, width=32), min_size=3, max_size=3))
    return FaceFrame(1, 0, 0, "video", 1.0, shapes, np.array([*turn(yaw, pitch, roll), *place], np.float32), gaze)


def turn(yaw, pitch, roll):
    """Ry(yaw) · Rx(pitch) · Rz(roll) as a quaternion, multiplied out by the rule."""

    def times(a, b):
        (x, y, z, w), (i, j, k, r) = a, b
        return (
            w * i + x * r + y * k - z * j,
            w * j - x * k + y * r + z * i,
            w * k + x * j - y * i + z * r,
            w * r - x * i - y * j - z * k,
        )

    half = [angle / 2 for angle in (yaw, pitch, roll)]
    about_y, about_x = (0, math.sin(half[0]), 0, math.cos(half[0])), (math.sin(half[1]), 0, 0, math.cos(half[1]))
    return times(times(about_y, about_x), (0, 0, math.sin(half[2]), math.cos(half[2])))


def forward(rotation):
    """Where the face's +z points after a rotation xyzw."""
    x, y, z, w = (float(value) for value in rotation)
    return np.array([2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)])


def same_turn(a, b):
    return 2 * math.acos(min(abs(float(np.dot(np.float64(a), np.float64(b)))), 1.0))


def read_live_link(data):
    """Read a packet straight from the layout, independently of the code under test; values by the engine's names."""
    at, names = 1, []
    for _ in range(2):
        (length,) = struct.unpack_from(">i", data, at)
        names.append(data[at + 4 : at + 4 + length].decode())
        at += 4 + length
    frame, part, rate, denominator, count = struct.unpack_from(">ifiiB", data, at)
    values = struct.unpack_from(f">{count}f", data, at + 17)
    assert len(data) == at + 17 + 4 * count
    return SimpleNamespace(
        version=data[0], names=names, time=(frame, part, rate, denominator),
        values=dict(zip(PACKET_ORDER, values, strict=True)),
    )  # fmt: skip


# Live Link Face


def test_a_live_link_datagram_from_another_library_is_read_by_name():
    packet = livelink_packet.decode(LIVE_LINK)
    assert (packet.device_id, packet.subject) == ("01234567-89AB-CDEF-0123-456789ABCDEF", "iPhone 12")
    assert packet.frame == 3664553
    assert packet.sub_frame == pytest.approx(0.47304, abs=1e-5)
    assert packet.rate == 60
    for name, value in zip(BLENDSHAPES, packet.face.blendshapes, strict=True):
        assert value == (PACKET_ORDER.index(name[0].upper() + name[1:]) + 1) / 64, name
    assert same_turn(packet.face.rotation, turn(-0.25, -0.1875, -0.125)) < 1e-3
    np.testing.assert_array_equal(packet.face.gaze, np.array([-0.0625, 0.0, 0.125, -0.1875], np.float32))
    assert packet.face.position_m is None


@settings(deadline=None, max_examples=40)
@given(frames(), st.integers(0, 10**15))
def test_what_we_send_as_live_link_says_the_same_to_another_reader(frame, time_ns):
    encoder = LiveLinkEncoder("Ünit 1")
    read = read_live_link(bytes(encoder.encode(frame, time_ns)))
    assert read.version == 6
    assert read.names[1] == "Ünit 1"
    assert len(read.names[0]) == 36
    number, part, rate, denominator = read.time
    assert (rate, denominator) == (60, 1)
    day_s = (number + part) / 60
    assert (time_ns * 1e-9 - day_s) % 86400 == pytest.approx(0, abs=1e-4) or (
        time_ns * 1e-9 - day_s
    ) % 86400 == pytest.approx(86400, abs=1e-4)
    for name, value in zip(BLENDSHAPES, frame.blendshapes, strict=True):
        assert read.values[name[0].upper() + name[1:]] == value
    values = read.values
    assert same_turn(turn(values["HeadYaw"], values["HeadPitch"], values["HeadRoll"]), frame.head[:4]) < 2e-3
    assert values["LeftEyeYaw"] == frame.gaze[0]
    assert values["RightEyePitch"] == -frame.gaze[3]


@settings(deadline=None, max_examples=40)
@given(frames())
def test_live_link_there_and_back_loses_nothing(frame):
    face = livelink_packet.decode(LiveLinkEncoder("Facewire").encode(frame, 5)).face
    np.testing.assert_array_equal(face.blendshapes, frame.blendshapes)
    np.testing.assert_array_equal(face.gaze, frame.gaze)
    assert same_turn(face.rotation, frame.head[:4]) < 2e-3


def test_live_link_turns_are_seen_as_they_are_done():
    """Yaw to the subject's left, pitch down: with a pose of the engine's own signs."""
    data = bytearray(LIVE_LINK)
    data[-36:] = struct.pack(">9f", 0.5, 0.25, 0, 0.1, 0.2, 0, 0.1, 0.2, 0)
    face = livelink_packet.decode(data).face
    x, y, z = forward(face.rotation)
    assert x > 0.3, "to the subject's left is +x"
    assert y < -0.2, "down"
    assert z > 0
    assert face.gaze[0] > 0
    assert face.gaze[1] < 0, "FaceFrame's pitch looks up"


def test_a_phone_that_sees_no_face_says_so():
    encoder = LiveLinkEncoder("Facewire")
    packet = livelink_packet.decode(encoder.encode_no_face(2_000_000_000))
    assert (packet.frame, packet.face) == (120, None)
    cut = LIVE_LINK[: -4 * 61 - 1]
    assert livelink_packet.decode(cut).face is None
    assert livelink_packet.decode(cut + b"\0").face is None
    assert livelink_packet.decode(cut[:-16]).face is None


def test_the_encoder_writes_the_next_frame_into_the_same_buffer():
    encoder, frame = LiveLinkEncoder("Facewire"), next(iter_frames())
    first = encoder.encode(frame, 0)
    assert encoder.encode(frame, 10**9).obj is first.obj


def iter_frames():
    while True:
        head = np.array([0, 0, 0, 1, 0, 0, -0.5], np.float32)
        yield FaceFrame(1, 0, 0, "video", 1.0, np.full(52, 0.5, np.float32), head, np.zeros(4, np.float32))


@pytest.mark.parametrize("subject", ["", "x" * 257])
def test_a_subject_that_the_format_cannot_hold_is_refused(subject):
    with pytest.raises(ValueError, match="1 to 256"):
        LiveLinkEncoder(subject)


def changed(at, value):
    data = bytearray(LIVE_LINK)
    data[at : at + len(value)] = value
    return bytes(data)


TIME_AT = len(LIVE_LINK) - 4 * 61 - 17


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\6", changed(0, b"\5"), changed(0, b"\7"), LIVE_LINK + b"\0", LIVE_LINK[:-1], LIVE_LINK[:-4],
        changed(TIME_AT + 16, b"\x3c"), changed(TIME_AT + 16, b"\xff"), changed(1, b"\x7f\xff\xff\xff"),
        changed(1, b"\xff\xff\xff\xff"), changed(5, b"\xff\xfe"), changed(TIME_AT + 21, struct.pack(">f", math.nan)),
        changed(TIME_AT + 17, struct.pack(">f", math.inf)), changed(len(LIVE_LINK) - 36, struct.pack(">f", -math.inf)),
        changed(len(LIVE_LINK) - 36, struct.pack(">f", 1e30)), changed(TIME_AT + 4, struct.pack(">f", math.nan)),
        changed(TIME_AT + 8, b"\0\0\0\0"), changed(TIME_AT + 12, b"\xff\xff\xff\xff"), PHONE_LINE, b"\0" * 400,
    ],
)  # fmt: skip
def test_what_is_no_live_link_datagram_is_refused(data):
    with pytest.raises(DatagramError):
        livelink_packet.decode(data)


@settings(deadline=None, max_examples=40)
@given(st.binary(max_size=400))
@example(b"\6" + b"\0" * 8)
def test_no_bytes_make_the_live_link_reader_fail(data):
    expect_face_or_refusal(livelink_packet.decode, data)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, len(LIVE_LINK) - 1), st.binary(min_size=1, max_size=8), st.integers(0, len(LIVE_LINK)))
def test_no_damage_makes_the_live_link_reader_fail(at, value, end):
    expect_face_or_refusal(livelink_packet.decode, changed(at, value)[:end])


def expect_face_or_refusal(decode, data):
    """Either it is refused, or what comes is a face like any other."""
    try:
        face = decode(memoryview(data))
    except DatagramError:
        return
    face = getattr(face, "face", face)
    if face is None:
        return
    assert face.blendshapes.shape == (52,)
    assert face.blendshapes.dtype == face.rotation.dtype == face.gaze.dtype == np.float32
    assert ((face.blendshapes >= 0) & (face.blendshapes <= 1)).all()
    assert np.linalg.norm(face.rotation) == pytest.approx(1, abs=1e-3)
    assert np.isfinite(face.gaze).all()


# iFacialMocap


def test_the_line_that_the_publisher_shows_is_read_by_name():
    face = ifacialmocap_text.decode(PHONE_LINE)
    values = dict(zip(BLENDSHAPES, (face.blendshapes.astype(float) * 100).round().astype(int).tolist(), strict=True))
    assert values["mouthUpperUpLeft"] == 11
    assert values["mouthUpperUpRight"] == 10
    assert values["noseSneerLeft"] == 21
    assert values["noseSneerRight"] == 18
    assert values["mouthLeft"] == 1
    assert values["mouthRight"] == 0
    assert values["browInnerUp"] == 20
    np.testing.assert_allclose(face.position_m, [-0.030653, -0.102871, -0.658407], atol=1e-6)
    # Both eyes look in and down a little, as its eyeLookIn and eyeLookDown say: the left one to the subject's right.
    assert face.gaze[0] < 0 < face.gaze[2]
    assert face.gaze[1] == pytest.approx(-math.radians(6.034903))
    assert forward(face.rotation)[1] > 0.3, "a phone below the face sees it look up"
    assert same_turn(face.rotation, turn(*np.radians([-6.038993, -21.488958, -6.6019735]))) < 1e-3


def test_the_published_eyes_do_not_roll_in_the_order_that_we_read_them():
    """Their z is the one that yaw and pitch alone give, if the angles are of Ry · Rx · Rz: that settles order and
    signs."""
    for x, y, z in ((6.0297494, 2.4403017, 0.25649446), (6.034903, -1.6660284, -0.17520553)):
        a, b = math.radians(x), math.radians(y)
        # Rx(p) · Ry(q) has the same forward direction as Ry(b) · Rx(a) if tan q = tan b · cos p, sin a = sin p · cos q.
        q = math.atan(math.tan(b) * math.sqrt(1 - math.sin(a) ** 2))
        p = math.asin(math.sin(a) / math.cos(q))
        assert math.degrees(math.atan2(math.sin(p) * math.sin(q), math.cos(p))) == pytest.approx(z, abs=2e-3)


@pytest.mark.parametrize("version", [1, 2])
@settings(deadline=None, max_examples=40)
@given(frame=frames())
def test_ifacialmocap_there_and_back_is_within_its_own_resolution(version, frame):
    line = ifacialmocap_text.encode(frame, version)
    assert len(line) < 1472, "one Ethernet packet"
    face = ifacialmocap_text.decode(line)
    np.testing.assert_allclose(face.blendshapes, frame.blendshapes, atol=0.005001)
    np.testing.assert_allclose(face.gaze, frame.gaze, atol=1e-6)
    np.testing.assert_allclose(face.position_m, frame.head[4:], atol=1e-6)
    assert same_turn(face.rotation, frame.head[:4]) < 2e-3


def test_a_line_of_ours_reads_as_the_publisher_describes():
    frame = next(iter_frames())
    frame.blendshapes[:] = 0
    for name, value in (("eyeBlinkLeft", 0.25), ("jawLeft", 0.5), ("mouthSmileRight", 1.0), ("jawOpen", 0.124)):
        frame.blendshapes[BLENDSHAPE_INDEX[name]] = value
    parts = ifacialmocap_text.encode(frame).decode().split("|")
    assert parts[-1] == ""
    shapes = dict(part.split("-") for part in parts[:52])
    assert {name: value for name, value in shapes.items() if value != "0"} == {
        "eyeBlink_L": "25", "jawLeft": "50", "mouthSmile_R": "100", "jawOpen": "12",
    }  # fmt: skip
    assert set(shapes) == {part.split(b"-")[0].decode() for part in PHONE_LINE.split(b"|")[:52]}
    assert [part.partition("#")[0] for part in parts[52:55]] == ["=head", "rightEye", "leftEye"]
    assert parts[52].split("#")[1].split(",")[3:] == ["0.000000", "0.000000", "-0.500000"]
    assert ifacialmocap_text.encode(frame, 2).decode().split("|")[0].partition("&")[1] == "&"


@pytest.mark.parametrize("value", [-0.0, -0.3, math.nan, -math.inf])
def test_a_line_of_ours_has_one_minus_behind_each_name(value):
    frame = next(iter_frames())
    frame.blendshapes[:] = value
    assert [part.split("-")[1:] for part in ifacialmocap_text.encode(frame).decode().split("|")[:52]] == [["0"]] * 52


def test_turns_of_ours_have_the_app_s_signs():
    """To the subject's left is +y, down is +x, in degrees."""
    frame = next(iter_frames())
    frame.head[:4] = turn(math.radians(30), math.radians(10), 0)
    frame.gaze[:] = np.radians([5, -3, 4, -2])
    parts = dict(part.split("#") for part in ifacialmocap_text.encode(frame).decode().split("|") if "#" in part)
    np.testing.assert_allclose([float(v) for v in parts["=head"].split(",")[:3]], [10, 30, 0], atol=1e-3)
    np.testing.assert_allclose([float(v) for v in parts["leftEye"].split(",")], [3, 5, 0], atol=1e-3)
    np.testing.assert_allclose([float(v) for v in parts["rightEye"].split(",")], [2, 4, 0], atol=1e-3)


def test_the_sister_app_s_names_and_old_heads_are_read_too():
    face = ifacialmocap_text.decode(b"eyeBlinkLeft&29|jawLeft&4|FM_SAD&3|mouthSmileRight&-5|=head#1,2,3|")
    assert face.blendshapes[BLENDSHAPE_INDEX["eyeBlinkLeft"]] == pytest.approx(0.29)
    assert face.blendshapes[BLENDSHAPE_INDEX["jawLeft"]] == pytest.approx(0.04)
    assert face.blendshapes[BLENDSHAPE_INDEX["mouthSmileRight"]] == 0
    assert face.position_m is None
    assert not face.gaze.any()


@pytest.mark.parametrize(
    ("data", "version"),
    [
        (b"iFacialMocap_sahuasouryya9218sauhuiayeta91555dy3719", 1),
        (b"iFacialMocap_sahuasouryya9218sauhuiayeta91555dy3719|sendDataVersion=v2", 2),
        (b"iFacialMocap_sahuasouryya9218sauhuiayeta91555dy3719\n", 1),
        (b"iFacialMocap_UDPTCP_sahuasouryya9218sauhuiayeta91555dy3719", None),
        (b"iFacialMocap_sahuasouryya9218sauhuiayeta91555dy3719x", None),
        (b"iFacialMocap_sahuasouryya9218sauhuiayeta91555dy3719|" + b"x" * 200, None),
        (PHONE_LINE, None), (b"", None), (LIVE_LINK, None),
    ],
)  # fmt: skip
def test_hand_shakes_are_known(data, version):
    assert ifacialmocap_text.read_handshake(data) == version


def test_our_own_hand_shakes_are_the_published_ones():
    assert ifacialmocap_text.encode_handshake() == b"iFacialMocap_sahuasouryya9218sauhuiayeta91555dy3719"
    assert ifacialmocap_text.read_handshake(ifacialmocap_text.encode_handshake(2)) == 2


@pytest.mark.parametrize(
    "data",
    [
        b"", b"|", PHONE_LINE[:600], b"jawOpen-3|", b"=head#1,2,3|", b"hello-3|=head#1,2,3|",
        b"jawOpen-nan|=head#1,2,3|", b"jawOpen-inf|=head#1,2,3|", b"jawOpen-|=head#1,2,3|", b"jawOpen-x|=head#1,2,3|",
        b"jawOpen-3|=head#1,2|", b"jawOpen-3|=head#1,2,3,4|", b"jawOpen-3|=head#1,nan,3|", b"jawOpen-3|=head#1,2,1e9|",
        b"jawOpen-3|=head#1,2,3,1e30,0,0|", b"jawOpen-3|=head#1,2,3|leftEye#1,2,3,4,5,6|",
        b"jawOpen-3|=head#1,2,3|leftEye#,,|", b"jawOpen-" + b"1" * 40 + b"|=head#1,2,3|", b"\xff" + PHONE_LINE,
        PHONE_LINE + b"x-1|" * 250, PHONE_LINE + b"x" * 8192, LIVE_LINK,
        ifacialmocap_text.HANDSHAKE,
    ],
)  # fmt: skip
def test_what_is_no_ifacialmocap_line_is_refused(data):
    with pytest.raises(DatagramError):
        ifacialmocap_text.decode(data)


@settings(deadline=None, max_examples=40)
@given(st.one_of(st.binary(max_size=300), st.text("jawOpenhdEyrigtl_RL-&|#=,.0123456789einfa+", max_size=300)))
def test_no_bytes_make_the_ifacialmocap_reader_fail(data):
    expect_face_or_refusal(ifacialmocap_text.decode, data if isinstance(data, bytes) else data.encode())


@settings(deadline=None, max_examples=40)
@given(st.integers(0, len(PHONE_LINE) - 1), st.binary(min_size=1, max_size=8), st.integers(0, len(PHONE_LINE)))
def test_no_damage_makes_the_ifacialmocap_reader_fail(at, value, end):
    expect_face_or_refusal(ifacialmocap_text.decode, (PHONE_LINE[:at] + value + PHONE_LINE[at + len(value) :])[:end])
