"""The mapping table's sections ``unified`` and ``vts``: complete by the published lists, and right in sign and side."""

from __future__ import annotations

import math
from collections.abc import Mapping as Map
from typing import Any

import numpy as np
import pytest
from support.faces import shapes_of

from facewire.bridge import mapping
from facewire.bridge.shared.arkit import BLENDSHAPES
from facewire.bridge.wire.frame import FaceFrame

SIDES = ("Left", "Right")
BASE_EXPRESSIONS = {
    *(f"{name}{side}" for side in SIDES for name in (
        "EyeSquint", "EyeWide", "BrowPinch", "BrowLowerer", "BrowInnerUp", "BrowOuterUp", "NasalDilation",
        "NasalConstrict", "CheekSquint", "CheekPuff", "CheekSuck", "Jaw", "LipSuckUpper", "LipSuckLower",
        "LipSuckCorner", "LipFunnelUpper", "LipFunnelLower", "LipPuckerUpper", "LipPuckerLower", "MouthUpperUp",
        "MouthUpperDeepen", "NoseSneer", "MouthLowerDown", "MouthUpper", "MouthLower", "MouthCornerPull",
        "MouthCornerSlant", "MouthFrown", "MouthStretch", "MouthDimple", "MouthPress", "MouthTightener", "Tongue",
        "TongueTwist", "NeckFlex",
    )),
    "JawOpen", "JawForward", "JawBackward", "JawClench", "JawMandibleRaise", "MouthClosed", "MouthRaiserUpper",
    "MouthRaiserLower", "TongueOut", "TongueUp", "TongueDown", "TongueRoll", "TongueBendDown", "TongueCurlUp",
    "TongueSquish", "TongueFlat", "SoftPalateClose", "ThroatSwallow",
}  # fmt: skip
"""VRCFaceTracking's enum UnifiedExpressions."""
SIMPLE = {f"{name}{side}" for side in SIDES for name in ("BrowUp", "BrowDown", "MouthSmile", "MouthSad")}
COMBINED = {
    *(f"{name}{side}" for side in (*SIDES, "") for name in (
        "EyeOpen", "EyeClosed", "EyeLid", "BrowExpression", "CheekPuffSuck", "PupilDiameter", "LipPucker",
        "MouthCornerY", "SmileFrown", "SmileSad", "MouthTightenerStretch", "LipSuckFunnelUpper", "LipSuckFunnelLower",
    )),
    *(f"{name}{axis}" for axis in "XY" for name in ("EyeLeft", "EyeRight", "Eye", "Tongue")),
    *(f"Head/{name}" for name in ("Yaw", "Pitch", "Roll", "PosX", "PosY", "PosZ")),
    "PupilDilation", "EyeWide", "EyeSquint", "EyesSquint", "BrowUp", "BrowDown", "BrowInnerUp", "BrowOuterUp", "JawX",
    "JawZ", "CheekSquint", "CheekSuck", "MouthUpperX", "MouthLowerX", "MouthX", "LipSuckUpper", "LipSuckLower",
    "LipSuck", "LipFunnelUpper", "LipFunnelLower", "LipFunnel", "LipPuckerUpper", "LipPuckerLower", "MouthUpperUp",
    "MouthLowerDown", "MouthOpen", "MouthStretch", "MouthTightener", "MouthPress", "MouthDimple", "NoseSneer",
    "TongueArchY", "TongueShape",
}  # fmt: skip
"""The parameters that VRCFaceTracking 5 makes of them."""
VTS_DEFAULTS = {
    *(f"Face{what}{axis}" for what in ("Position", "Angle") for axis in "XYZ"),
    *(f"Eye{side}{axis}" for side in SIDES for axis in "XY"),
    *(f"EyeOpen{side}" for side in SIDES), *(f"Brow{side}Y" for side in SIDES),
    "MouthSmile", "MouthOpen", "MouthX", "Brows", "CheekPuff", "TongueOut", "FaceAngry", "MousePositionX",
    "MousePositionY", "VoiceVolume", "VoiceFrequency", "VoiceVolumePlusMouthOpen", "VoiceFrequencyPlusMouthSmile",
    "VoiceA", "VoiceI", "VoiceU", "VoiceE", "VoiceO", "VoiceSilence",
}  # fmt: skip
"""The face's and the voice's input parameters in VTube Studio's manual."""


def face(shapes: Map[str, float] | None = None, **changes: Any) -> FaceFrame:
    """Make a frame of these shapes; ``yaw``, ``pitch`` and ``roll`` turn the head (radians, as FaceFrame has them)."""
    angles = [changes.pop(name, 0.0) / 2 for name in ("pitch", "yaw", "roll")]
    axis = next((i for i, angle in enumerate(angles) if angle), 0)
    head = np.zeros(7, np.float32)
    head[axis], head[3] = math.sin(angles[axis]), math.cos(angles[axis])
    head[4:] = changes.pop("place", (0.0, 0.0, -0.5))
    gaze = np.array(changes.pop("gaze", (0.0,) * 4), np.float32)
    return FaceFrame(0, 0, 0, "video", 1.0, shapes_of(**(shapes or {})), head, gaze)


def values_of(kind: str, frame: FaceFrame) -> dict[str, float]:
    table = mapping.load(kind)
    return dict(zip(table.names, table.apply_frame(frame), strict=True))


def test_every_unified_expression_is_there_and_nothing_else() -> None:
    rows = {row.target: row for row in mapping.section("unified").rows}
    assert set(rows) == BASE_EXPRESSIONS | SIMPLE | COMBINED
    undriven = {name for name, row in rows.items() if not row.weights}
    assert all(rows[name].why for name in undriven)
    assert {"JawBackward", "CheekSuckLeft", "MouthTightenerRight", "TongueUp", "PupilDilation"} <= undriven


@pytest.mark.parametrize("kind", ["unified", "vts"])
def test_every_shape_is_used_or_accounted_for(kind: str) -> None:
    section = mapping.section(kind)
    used = {channel for row in section.rows for channel in row.weights} & set(BLENDSHAPES)
    assert used | set(section.unused) == set(BLENDSHAPES)
    assert not used & set(section.unused)


def test_vts_has_the_defaults_and_one_custom_parameter_for_each_shape() -> None:
    section = mapping.section("vts")
    custom = {row.target: row for row in section.rows if row.target.startswith("Facewire")}
    assert {row.target for row in section.rows} - set(custom) == VTS_DEFAULTS
    assert {f"Facewire{name[0].upper()}{name[1:]}" for name in BLENDSHAPES} == set(custom)
    assert len(custom) <= 100, "the API's limit for one plug-in"
    assert all(name.isalnum() and name.isascii() and 4 <= len(name) <= 32 for name in custom)


def test_a_face_at_rest_is_at_rest() -> None:
    unified, vts = values_of("unified", face()), values_of("vts", face())
    assert {name: value for name, value in unified.items() if value} == {
        "EyeOpenLeft": 1, "EyeOpenRight": 1, "EyeOpen": 1, "EyeLidLeft": 0.75, "EyeLidRight": 0.75, "EyeLid": 0.75,
    }  # fmt: skip
    assert {name: value for name, value in vts.items() if value} == dict.fromkeys(
        ("MouthSmile", "VoiceFrequencyPlusMouthSmile", "Brows", "BrowLeftY", "BrowRightY", "EyeOpenLeft",
         "EyeOpenRight"), 0.5,
    )  # fmt: skip


@pytest.mark.parametrize("shape", BLENDSHAPES)
def test_each_side_moves_its_own_side_only(shape: str) -> None:
    """A shape of one side leaves every target of the other side alone."""
    side = next((side for side in SIDES if shape.endswith(side)), None)
    if side is None or shape in ("mouthLeft", "mouthRight", "jawLeft", "jawRight"):
        return
    other = SIDES[1 - SIDES.index(side)]
    for kind in ("unified", "vts"):
        before, after = values_of(kind, face()), values_of(kind, face({shape: 1.0}))
        moved = {name for name in after if after[name] != before[name]}
        assert moved or (kind == "unified" and shape in mapping.section(kind).unused)
        assert not {name for name in moved if other in name}


def test_sideways_is_right_minus_left() -> None:
    right, left = values_of("unified", face({"jawRight": 0.5})), values_of("unified", face({"jawLeft": 0.5}))
    assert (right["JawX"], left["JawX"]) == (0.5, -0.5)
    right = values_of("unified", face({"mouthRight": 0.75}))
    assert [right[name] for name in ("MouthX", "MouthUpperX", "MouthLowerX", "MouthUpperRight")] == [0.75] * 4
    assert right["MouthUpperLeft"] == 0


def test_what_is_combined() -> None:
    blink = values_of("unified", face({"eyeBlinkLeft": 1.0}))
    assert (blink["EyeLidLeft"], blink["EyeLidRight"], blink["EyeLid"]) == (0, 0.75, 0.375)
    assert (blink["EyeOpenLeft"], blink["EyeClosed"]) == (0, 0.5)
    wide = values_of("unified", face({"eyeWideRight": 1.0}))
    assert (wide["EyeLidRight"], wide["EyeWide"], wide["EyeWideLeft"]) == (1, 1, 0)
    sad = values_of("unified", face({"mouthFrownLeft": 0.25, "mouthStretchLeft": 0.5}))
    assert (sad["MouthSadLeft"], sad["MouthSadRight"], sad["SmileFrownLeft"]) == (0.5, 0, -0.25)
    assert sad["SmileSadLeft"] == -0.75
    angry = values_of("unified", face({"browDownLeft": 1.0, "browDownRight": 1.0}))
    assert (angry["BrowExpression"], angry["BrowDown"], angry["BrowUp"]) == (-1, 1, 0)


def test_the_gaze_turns_with_the_wearer() -> None:
    """FaceFrame's yaw is positive to the wearer's left; the targets are positive to the right."""
    looks = values_of("unified", face(gaze=(math.pi / 4, math.pi / 8, -math.pi / 2, 0)))
    assert looks["EyeLeftX"] == pytest.approx(-1, abs=1e-5)
    assert looks["EyeLeftY"] == pytest.approx(0.5, abs=1e-5)
    assert looks["EyeRightX"] == 1
    assert looks["EyeX"] == pytest.approx(0.5, abs=1e-5)
    vts = values_of("vts", face(gaze=(0.25, 0.1, -0.25, -0.1)))
    assert vts["EyeLeftX"] < 0 < vts["EyeRightX"]
    assert vts["EyeRightY"] < 0 < vts["EyeLeftY"]


def test_the_head_turns_as_each_program_counts() -> None:
    turned = math.radians(18)
    left, down, tilted = face(yaw=turned), face(pitch=turned), face(roll=turned)  # roll: to the right shoulder
    assert values_of("vts", left)["FaceAngleX"] == pytest.approx(-18, abs=1e-3)
    assert values_of("vts", down)["FaceAngleY"] == pytest.approx(-18, abs=1e-3)
    assert values_of("vts", tilted)["FaceAngleZ"] == pytest.approx(18, abs=1e-3)
    assert values_of("unified", left)["Head/Yaw"] == pytest.approx(-0.2, abs=1e-4)
    assert values_of("unified", down)["Head/Pitch"] == pytest.approx(0.2, abs=1e-4)
    assert values_of("unified", tilted)["Head/Roll"] == pytest.approx(-0.2, abs=1e-4)
    moved = values_of("vts", face(place=(0.1, 0.05, -0.6)))
    assert [round(moved[f"FacePosition{axis}"], 3) for axis in "XYZ"] == [-10, 5, 10]
    moved = values_of("unified", face(place=(0.1, 0.05, -0.6)))
    assert [round(moved[f"Head/Pos{axis}"], 3) for axis in "XYZ"] == [-0.2, 0.1, -0.2]
