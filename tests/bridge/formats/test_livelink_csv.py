"""Live Link Face CSV: its columns, its timecode, and angles against rotation matrices."""

from __future__ import annotations

import csv
import io
import math

import numpy as np
import pytest

from facewire.bridge.formats.livelink_csv import LiveLinkCsvWriter, timecode
from facewire.bridge.shared.arkit import BLENDSHAPE_INDEX
from facewire.bridge.wire.angles import eye_angles, head_angles
from facewire.bridge.wire.frame import FaceFrame

# As the app writes it.
APP_HEADER = (
    "Timecode,BlendShapeCount,EyeBlinkLeft,EyeLookDownLeft,EyeLookInLeft,EyeLookOutLeft,EyeLookUpLeft,EyeSquintLeft,"
    "EyeWideLeft,EyeBlinkRight,EyeLookDownRight,EyeLookInRight,EyeLookOutRight,EyeLookUpRight,EyeSquintRight,"
    "EyeWideRight,JawForward,JawRight,JawLeft,JawOpen,MouthClose,MouthFunnel,MouthPucker,MouthRight,MouthLeft,"
    "MouthSmileLeft,MouthSmileRight,MouthFrownLeft,MouthFrownRight,MouthDimpleLeft,MouthDimpleRight,MouthStretchLeft,"
    "MouthStretchRight,MouthRollLower,MouthRollUpper,MouthShrugLower,MouthShrugUpper,MouthPressLeft,MouthPressRight,"
    "MouthLowerDownLeft,MouthLowerDownRight,MouthUpperUpLeft,MouthUpperUpRight,BrowDownLeft,BrowDownRight,BrowInnerUp,"
    "BrowOuterUpLeft,BrowOuterUpRight,CheekPuff,CheekSquintLeft,CheekSquintRight,NoseSneerLeft,NoseSneerRight,"
    "TongueOut,HeadYaw,HeadPitch,HeadRoll,LeftEyeYaw,LeftEyePitch,LeftEyeRoll,RightEyeYaw,RightEyePitch,RightEyeRoll"
)


def quaternion(axis: tuple[float, float, float], angle: float) -> np.ndarray:
    return np.array([*(math.sin(angle / 2) * np.array(axis)), math.cos(angle / 2)])


def times(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    ax, ay, az, aw = a
    bx, by, bz, bw = b
    return np.array(
        [
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
            aw * bw - ax * bx - ay * by - az * bz,
        ]
    )


def test_the_columns_are_the_apps_and_values_land_under_their_names():
    shapes = np.zeros(52, np.float32)
    shapes[BLENDSHAPE_INDEX["jawLeft"]], shapes[BLENDSHAPE_INDEX["tongueOut"]] = 0.123456789, 1.0
    head = np.array([*quaternion((0, 1, 0), 0.25), 0, 0, -0.5], np.float32)
    frame = FaceFrame(0, 0, 0, "video", 1.0, shapes, head, np.array([0.1, 0.2, -0.3, -0.4], np.float32))
    stream = io.StringIO()
    writer = LiveLinkCsvWriter(stream)
    writer.write(frame, 1_500_000_000)
    assert stream.getvalue().splitlines()[0] == APP_HEADER
    (row,) = csv.DictReader(io.StringIO(stream.getvalue()))
    assert row["Timecode"] == "00:00:01:30.000"
    assert row["BlendShapeCount"] == "61"
    assert float(row["JawLeft"]) == pytest.approx(0.123456789, abs=1e-8)
    assert float(row["TongueOut"]) == 1.0
    assert float(row["HeadYaw"]) == pytest.approx(0.25, abs=1e-6)
    assert [float(row[f"{eye}Eye{angle}"]) for eye in ("Left", "Right") for angle in ("Yaw", "Pitch", "Roll")] == [
        pytest.approx(v, abs=1e-6) for v in (0.1, -0.2, 0.0, -0.3, 0.4, 0.0)
    ]
    assert writer.rows == 1


@pytest.mark.parametrize(
    ("time_ns", "text"),
    [
        (0, "00:00:00:00.000"),
        (16_666_667, "00:00:00:01.000"),
        (25_000_000, "00:00:00:01.500"),
        (999_999_999, "00:00:01:00.000"),
        (3_723_000_000_000 + 40_000_000, "01:02:03:02.400"),
        (25 * 3_600_000_000_000, "01:00:00:00.000"),
        (-5, "00:00:00:00.000"),
    ],
)
def test_timecode(time_ns, text):
    assert timecode(time_ns) == text


def test_head_angles_compose_back_to_the_rotation():
    rng = np.random.default_rng(2)
    for yaw, pitch, roll in rng.uniform(-1.4, 1.4, (50, 3)):
        q = times(times(quaternion((0, 1, 0), yaw), quaternion((1, 0, 0), pitch)), quaternion((0, 0, 1), roll))
        np.testing.assert_allclose(head_angles(q.astype(np.float32)), (yaw, pitch, roll), atol=2e-5)


def test_angles_have_the_apps_signs():
    down = quaternion((1, 0, 0), 0.2)  # the nose, +z, goes to -y
    assert head_angles(down.astype(np.float32))[1] == pytest.approx(0.2, abs=1e-6)
    assert eye_angles(np.array([0, 0.3, 0, 0], np.float32))[1] == pytest.approx(-0.3)
