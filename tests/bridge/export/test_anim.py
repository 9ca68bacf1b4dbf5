"""Unity animation clips, read by a YAML parser and played back as Unity does: cubic Hermite curves between keys."""

from __future__ import annotations

import io
import zlib
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from support.takes import MakeTake

from facewire.bridge.export.anim import RigPaths, write_anim
from facewire.bridge.export.clip import Clip, ClipOptions, make_clip
from facewire.bridge.export.keys import needed_keys
from facewire.bridge.recording.errors import SessionError
from facewire.bridge.recording.reader import open_session
from facewire.bridge.recording.track import load_track
from facewire.bridge.shared.arkit import BLENDSHAPE_INDEX, BLENDSHAPES

CLIP_FIELDS = [
    "m_ObjectHideFlags",
    "m_CorrespondingSourceObject",
    "m_PrefabInstance",
    "m_PrefabAsset",
    "m_Name",
    "serializedVersion",
    "m_Legacy",
    "m_Compressed",
    "m_UseHighQualityCurve",
    "m_RotationCurves",
    "m_CompressedRotationCurves",
    "m_EulerCurves",
    "m_PositionCurves",
    "m_ScaleCurves",
    "m_FloatCurves",
    "m_PPtrCurves",
    "m_SampleRate",
    "m_WrapMode",
    "m_Bounds",
    "m_ClipBindingConstant",
    "m_AnimationClipSettings",
    "m_EditorCurves",
    "m_EulerEditorCurves",
    "m_HasGenericRootTransform",
    "m_HasMotionFloatCurves",
    "m_Events",
]
"""What Unity's editor (2018.3 to 2022) writes for an AnimationClip, in its order."""
KEY_FIELDS = [
    "serializedVersion",
    "time",
    "value",
    "inSlope",
    "outSlope",
    "tangentMode",
    "weightedMode",
    "inWeight",
    "outWeight",
]


class UnityLoader(yaml.CSafeLoader):
    """PyYAML with Unity's tag; each object is a map."""


UnityLoader.add_multi_constructor(
    "tag:unity3d.com,2011:", lambda loader, _suffix, node: loader.construct_mapping(node, True)
)


def load(clip: Clip, paths: RigPaths | None = None) -> dict[str, Any]:
    buffer = io.BytesIO()
    write_anim(clip, buffer, paths)
    text = buffer.getvalue().decode()
    assert text.startswith("%YAML 1.1\n%TAG !u! tag:unity3d.com,2011:\n--- !u!74 &7400000\nAnimationClip:\n")
    (document,) = yaml.load_all(text, UnityLoader)
    return document["AnimationClip"]


def hermite(keys: list[dict[str, float]], at_s: np.ndarray) -> np.ndarray:
    """Return what Unity's AnimationCurve.Evaluate gives for keys without weights."""
    times = np.array([key["time"] for key in keys])
    values = np.array([key["value"] for key in keys])
    into, out = (np.array([key[name] for key in keys]) for name in ("inSlope", "outSlope"))
    left = np.clip(np.searchsorted(times, at_s, side="right") - 1, 0, len(times) - 2)
    span = times[left + 1] - times[left]
    u = np.clip((at_s - times[left]) / span, 0, 1)
    return (
        (2 * u**3 - 3 * u**2 + 1) * values[left]
        + (u**3 - 2 * u**2 + u) * span * out[left]
        + (-2 * u**3 + 3 * u**2) * values[left + 1]
        + (u**3 - u**2) * span * into[left + 1]
    )


@pytest.fixture
def clip(make_take: MakeTake) -> Clip:
    with open_session(make_take(seconds=0.5)) as session:
        return make_clip("my take", load_track(session), ClipOptions())


def test_it_has_the_fields_that_unity_writes(clip: Clip) -> None:
    document = load(clip)
    assert list(document) == CLIP_FIELDS
    assert document["m_Name"] == "my take"
    assert document["m_SampleRate"] == 60
    assert document["m_AnimationClipSettings"]["m_StopTime"] == pytest.approx(29 / 60)
    for curve in document["m_FloatCurves"]:
        assert list(curve) == ["curve", "attribute", "path", "classID", "script"]
        assert (curve["path"], curve["classID"], curve["script"]) == ("Body", 137, {"fileID": 0})
        assert all(list(key) == KEY_FIELDS for key in curve["curve"]["m_Curve"])
    assert [curve["attribute"] for curve in document["m_FloatCurves"]] == [f"blendShape.{name}" for name in BLENDSHAPES]
    assert document["m_RotationCurves"] == []


def test_unity_plays_the_recorded_values(clip: Clip) -> None:
    curves = {curve["attribute"]: curve["curve"]["m_Curve"] for curve in load(clip)["m_FloatCurves"]}
    for name, column in BLENDSHAPE_INDEX.items():
        played = hermite(curves[f"blendShape.{name}"], clip.times_s)
        np.testing.assert_allclose(played, 100 * clip.blendshapes[:, column], atol=0.0501)


def test_what_does_not_move_has_two_keys(clip: Clip) -> None:
    clip.blendshapes[:, BLENDSHAPE_INDEX["tongueOut"]] = 0.25
    keys = {curve["attribute"]: curve["curve"]["m_Curve"] for curve in load(clip)["m_FloatCurves"]}
    assert [key["value"] for key in keys["blendShape.tongueOut"]] == [25, 25]


def test_the_head_and_the_eyes_turn_in_unity_s_space(clip: Clip) -> None:
    clip.head[:, :4] = [0.1, 0.2, 0.3, np.sqrt(1 - 0.14)]
    clip.head[::2, :4] *= -1  # the same rotation
    clip.gaze[:] = [0.2, 0.1, 0.0, 0.0]
    document = load(clip, RigPaths("Face/Mesh", "Rig/Head", "Rig/Head/Eye L", "Rig/Head/Eye R"))
    head, left, right = document["m_RotationCurves"]
    assert [curve["path"] for curve in (head, left, right)] == ["Rig/Head", "Rig/Head/Eye L", "Rig/Head/Eye R"]
    sign = np.sign(head["curve"]["m_Curve"][0]["value"]["w"])
    for key in head["curve"]["m_Curve"]:
        got = [key["value"][axis] * sign for axis in "xyzw"]
        np.testing.assert_allclose(got, [0.1, -0.2, -0.3, np.sqrt(1 - 0.14)], atol=1e-6)
        assert all(abs(key["inSlope"][axis]) < 1e-5 for axis in "xyzw")
    # The subject's left is Unity's -x: looking left and up turns the eye's forward, +z, towards -x and +y.
    x, y, z, w = (left["curve"]["m_Curve"][0]["value"][axis] for axis in "xyzw")
    forward = np.array([2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)])
    np.testing.assert_allclose(forward, [-np.sin(0.2) * np.cos(0.1), np.sin(0.1), np.cos(0.2) * np.cos(0.1)], atol=1e-5)
    assert right["curve"]["m_Curve"][0]["value"] == {"x": 0, "y": 0, "z": 0, "w": 1}
    assert {curve["path"] for curve in document["m_FloatCurves"]} == {"Face/Mesh"}


def test_bindings_hash_paths_and_attributes(clip: Clip) -> None:
    bindings = load(clip, RigPaths("Face", "Head", shape_prefix="face_"))["m_ClipBindingConstant"]["genericBindings"]
    assert len(bindings) == 53
    assert (bindings[0]["typeID"], bindings[0]["attribute"], bindings[0]["path"]) == (4, 2, zlib.crc32(b"Head"))
    jaw = bindings[1 + BLENDSHAPE_INDEX["jawOpen"]]
    assert jaw["attribute"] == zlib.crc32(b"blendShape.face_jawOpen")
    assert (jaw["path"], jaw["typeID"], jaw["customType"]) == (zlib.crc32(b"Face"), 137, 20)


@pytest.mark.parametrize(
    "path", ["Body", "Face Mesh", "[x]", "a: b", "- a", "yes", "12", "*", "ほお", "a,b", "!t", "%d", "~"]
)
def test_any_path_is_a_text(clip: Clip, path: str) -> None:
    document = load(clip, RigPaths(path, path))
    assert document["m_FloatCurves"][0]["path"] == path
    assert document["m_RotationCurves"][0]["path"] == path


def test_paths_that_unity_cannot_have_are_refused() -> None:
    for path in ("a'b", "a\nb", 'a"b'):
        with pytest.raises(SessionError, match="a character that Unity's paths cannot have"):
            RigPaths(path)


@pytest.mark.parametrize("name", ["", "  ", "a: b", "'", "ä/b", "no", "x" * 500, "🙂"])
def test_any_name_is_a_text(clip: Clip, name: str) -> None:
    clip.name = name
    assert isinstance(load(clip)["m_Name"], str)


def test_one_frame_is_a_pose(make_take: MakeTake) -> None:
    with open_session(make_take(seconds=1 / 60)) as session:
        pose = make_clip("pose", load_track(session), ClipOptions())
    document = load(pose, RigPaths(head="Head"))
    assert len(document["m_FloatCurves"][0]["curve"]["m_Curve"]) == 1
    assert len(document["m_RotationCurves"][0]["curve"]["m_Curve"]) == 1


def test_frames_close_together_late_in_a_take_have_their_keys_apart(clip: Clip) -> None:
    """As camera and speech publish them: Unity holds times as float32, which after an hour tells a quarter of a ms."""
    clip.times_s[:] = np.sort(np.concatenate((np.arange(15) / 60, np.arange(15) / 60 + 1e-4)))
    clip.times_s[1:] += 3600
    document = load(clip, RigPaths(head="Head"))
    jaw = next(one for one in document["m_FloatCurves"] if one["attribute"] == "blendShape.jawOpen")["curve"]["m_Curve"]
    (head,) = document["m_RotationCurves"]
    for keys in (jaw, head["curve"]["m_Curve"]):
        assert np.all(np.diff(np.array([key["time"] for key in keys], np.float32)) > 0)
    assert len(head["curve"]["m_Curve"]) < len(clip)
    played = hermite(jaw, clip.times_s[2::2].astype(np.float32).astype(float))
    pairs = 100 * clip.blendshapes[2:, BLENDSHAPE_INDEX["jawOpen"]].reshape(-1, 2)
    assert np.abs(played[:, None] - pairs).min(axis=1).max() < 0.1  # either of two that fall on one time


@given(st.lists(st.floats(0, 100, width=32), min_size=1, max_size=60), st.sampled_from([0.0, 0.05, 5.0]))
def test_lines_between_the_kept_keys_stay_within_the_tolerance(values: list[float], tolerance: float) -> None:
    times_s, curve = np.cumsum(np.full(len(values), 0.016)), np.array(values)
    keys = needed_keys(times_s, curve, tolerance)
    assert keys[0] == 0
    assert keys[-1] == len(values) - 1
    np.testing.assert_allclose(np.interp(times_s, times_s[keys], curve[keys]), curve, atol=tolerance + 1e-9)
