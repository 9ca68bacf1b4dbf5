"""Unity animation clips: text-serialised ``.anim`` files, as the Unity manual's "Format of Text Serialized files" has
them.

Blend shapes are float curves of a SkinnedMeshRenderer (class 137) with values of 0 to 100; the head and the eyes are
rotation curves of their Transforms, and are written only if the rig's paths are given. Unity's space is left-handed
with the face along +z: x is mirrored.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from facewire.bridge.export.clip import Clip, rising
from facewire.bridge.export.keys import needed_keys
from facewire.bridge.recording.errors import SessionError
from facewire.bridge.recording.reader import Progress, counted
from facewire.bridge.shared.arrays import Float32Array

SKINNED_MESH_RENDERER, TRANSFORM = 137, 4
BLENDSHAPE_BINDING = 20
"""``customType`` of a blend shape's binding."""
ROTATION_ATTRIBUTE = 2
LINEAR_TANGENTS = 69
"""Both sides broken and linear, so that Unity plays exactly the lines between the keys."""
SHAPE_TOLERANCE = 0.05
"""In Unity's 0 to 100: keys that a straight line comes this close to are left out."""
MAX_NAME = 128
ZERO_SETTINGS = (
    "OrientationOffsetY", "Level", "CycleOffset", "HasAdditiveReferencePose", "LoopTime", "LoopBlend",
    "LoopBlendOrientation", "LoopBlendPositionY", "LoopBlendPositionXZ", "KeepOriginalOrientation",
)  # fmt: skip
PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*(?: [A-Za-z0-9_./-]+)*")
NOT_TEXTS = frozenset(("y", "n", "yes", "no", "on", "off", "true", "false", "null"))
"""Words that YAML 1.1 reads as something else."""


@dataclass(frozen=True, slots=True)
class RigPaths:
    """Where the rig's parts are, from the Animator's object: names joined by ``/``."""

    face: str = "Body"
    """The object with the SkinnedMeshRenderer."""
    head: str | None = None
    """The head's bone."""
    left_eye: str | None = None
    right_eye: str | None = None
    shape_prefix: str = ""
    """What the mesh puts before ARKit's names, such as ``face_``."""

    def __post_init__(self) -> None:
        """Check that they are names.

        Raises:
            SessionError: one has a character that a Unity path cannot have.
        """
        for path in (self.face, self.head, self.left_eye, self.right_eye, self.shape_prefix):
            if path is not None and any(ord(character) < 32 or character in "\"\\'#" for character in path):
                raise SessionError(f"the path {path!r} has a character that Unity's paths cannot have")


def write_anim(clip: Clip, file: BinaryIO, paths: RigPaths | None = None, progress: Progress | None = None) -> None:
    """Write ``clip`` as an animation clip.

    Raises:
        OSError: the disk does not take it.
    """
    rig, clip = paths or RigPaths(), rising(clip)
    bones = {path: rotation for path, rotation in _bones(clip, rig) if path is not None}
    for line in _lines(clip, rig, bones, progress):
        file.write(line.encode() + b"\n")


def _bones(clip: Clip, rig: RigPaths) -> Iterator[tuple[str | None, Float32Array]]:
    yield rig.head, clip.head[:, :4]
    yield rig.left_eye, gaze_rotations(clip.gaze[:, 0], clip.gaze[:, 1])
    yield rig.right_eye, gaze_rotations(clip.gaze[:, 2], clip.gaze[:, 3])


def gaze_rotations(yaw: Float32Array, pitch: Float32Array) -> Float32Array:
    """Return quaternions xyzw [n, 4] of Ry(yaw) · Rx(-pitch): +pitch looks up, and turning about +x looks down."""
    sy, cy, sp, cp = np.sin(yaw / 2), np.cos(yaw / 2), np.sin(-pitch / 2), np.cos(-pitch / 2)
    return np.stack([cy * sp, sy * cp, -sy * sp, cy * cp], axis=1).astype(np.float32)


def _lines(clip: Clip, rig: RigPaths, bones: dict[str, Float32Array], progress: Progress | None) -> Iterator[str]:
    stop_s = _number(float(clip.times_s[-1]))
    yield from ("%YAML 1.1", "%TAG !u! tag:unity3d.com,2011:", "--- !u!74 &7400000", "AnimationClip:")
    yield from (
        "  m_ObjectHideFlags: 0",
        "  m_CorrespondingSourceObject: {fileID: 0}",
        "  m_PrefabInstance: {fileID: 0}",
    )
    yield from (
        "  m_PrefabAsset: {fileID: 0}",
        f"  m_Name: {_name(clip.name)}",
        "  serializedVersion: 6",
        "  m_Legacy: 0",
    )
    yield from ("  m_Compressed: 0", "  m_UseHighQualityCurve: 1")
    yield from _rotation_curves(clip.times_s, bones)
    yield from (
        "  m_CompressedRotationCurves: []",
        "  m_EulerCurves: []",
        "  m_PositionCurves: []",
        "  m_ScaleCurves: []",
    )
    yield from _shape_curves(clip, rig, progress)
    yield from (
        "  m_PPtrCurves: []",
        f"  m_SampleRate: {_number(round(clip.nominal_rate, 3) or 60)}",
        "  m_WrapMode: 0",
    )
    yield from ("  m_Bounds:", "    m_Center: {x: 0, y: 0, z: 0}", "    m_Extent: {x: 0, y: 0, z: 0}")
    yield from _bindings(clip, rig, bones)
    yield from _settings(stop_s)
    yield from ("  m_EditorCurves: []", "  m_EulerEditorCurves: []", "  m_HasGenericRootTransform: 0")
    yield from ("  m_HasMotionFloatCurves: 0", "  m_Events: []")


def _rotation_curves(times_s: npt.NDArray[np.float64], bones: dict[str, Float32Array]) -> Iterator[str]:
    yield "  m_RotationCurves:" if bones else "  m_RotationCurves: []"
    for path, rotations in bones.items():
        left_handed = _continuous(rotations * np.array([1, -1, -1, 1], np.float32))
        slopes = np.gradient(left_handed, times_s, axis=0) if len(times_s) > 1 else np.zeros_like(left_handed)
        yield from ("  - curve:", "      serializedVersion: 2", "      m_Curve:")
        for time_s, value, slope in zip(times_s, left_handed, slopes, strict=True):
            yield from ("      - serializedVersion: 3", f"        time: {_number(float(time_s))}")
            yield f"        value: {_vector(value)}"
            yield from (f"        inSlope: {_vector(slope)}", f"        outSlope: {_vector(slope)}")
            third = "{x: 0.33333334, y: 0.33333334, z: 0.33333334, w: 0.33333334}"
            yield from ("        tangentMode: 0", "        weightedMode: 0")
            yield from (f"        inWeight: {third}", f"        outWeight: {third}")
        yield from (
            "      m_PreInfinity: 2",
            "      m_PostInfinity: 2",
            "      m_RotationOrder: 4",
            f"    path: {_text(path)}",
        )


def _shape_curves(clip: Clip, rig: RigPaths, progress: Progress | None) -> Iterator[str]:
    yield "  m_FloatCurves:"
    columns = counted(clip.chosen.T, len(clip.shapes), progress)
    for name, column in zip(clip.shapes, columns, strict=True):
        values = column.astype(np.float64) * 100
        keys = needed_keys(clip.times_s, values, SHAPE_TOLERANCE)
        yield from ("  - curve:", "      serializedVersion: 2", "      m_Curve:")
        yield from _float_keys(clip.times_s[keys], values[keys])
        yield from ("      m_PreInfinity: 2", "      m_PostInfinity: 2", "      m_RotationOrder: 4")
        yield from (f"    attribute: {_text(f'blendShape.{rig.shape_prefix}{name}')}", f"    path: {_text(rig.face)}")
        yield from (f"    classID: {SKINNED_MESH_RENDERER}", "    script: {fileID: 0}")


def _float_keys(times_s: npt.NDArray[np.float64], values: npt.NDArray[np.float64]) -> Iterator[str]:
    slopes = np.diff(values) / np.diff(times_s)
    into, out = np.concatenate(([0.0], slopes)), np.concatenate((slopes, [0.0]))
    for time_s, value, in_slope, out_slope in zip(times_s, values, into, out, strict=True):
        yield from ("      - serializedVersion: 3", f"        time: {_number(float(time_s))}")
        yield f"        value: {_number(float(value))}"
        yield from (f"        inSlope: {_number(float(in_slope))}", f"        outSlope: {_number(float(out_slope))}")
        yield from (f"        tangentMode: {LINEAR_TANGENTS}", "        weightedMode: 0")
        yield from ("        inWeight: 0.33333334", "        outWeight: 0.33333334")


def _bindings(clip: Clip, rig: RigPaths, bones: dict[str, Float32Array]) -> Iterator[str]:
    """Yield what Unity derives from the curves; written for programs that read the file without Unity."""
    yield from ("  m_ClipBindingConstant:", "    genericBindings:")
    for path in bones:
        yield from _binding(_crc(path), ROTATION_ATTRIBUTE, TRANSFORM, 0)
    for name in clip.shapes:
        attribute = _crc(f"blendShape.{rig.shape_prefix}{name}")
        yield from _binding(_crc(rig.face), attribute, SKINNED_MESH_RENDERER, BLENDSHAPE_BINDING)
    yield "    pptrCurveMapping: []"


def _binding(path: int, attribute: int, type_id: int, custom_type: int) -> Iterator[str]:
    yield from ("    - serializedVersion: 2", f"      path: {path}", f"      attribute: {attribute}")
    yield from ("      script: {fileID: 0}", f"      typeID: {type_id}", f"      customType: {custom_type}")
    yield "      isPPtrCurve: 0"


def _settings(stop_s: str) -> Iterator[str]:
    yield from (
        "  m_AnimationClipSettings:",
        "    serializedVersion: 2",
        "    m_AdditiveReferencePoseClip: {fileID: 0}",
    )
    yield from ("    m_AdditiveReferencePoseTime: 0", "    m_StartTime: 0", f"    m_StopTime: {stop_s}")
    yield from (f"    m_{name}: 0" for name in ZERO_SETTINGS)
    yield from ("    m_KeepOriginalPositionY: 1", "    m_KeepOriginalPositionXZ: 0", "    m_HeightFromFeet: 0")
    yield "    m_Mirror: 0"


def _continuous(rotations: Float32Array) -> Float32Array:
    """Return the same rotations, none on the far side of the one before: a curve must not pass through zero between
    them."""
    flips = np.sum(rotations[1:] * rotations[:-1], axis=1) < 0
    signs = np.concatenate(([1.0], np.cumprod(np.where(flips, -1.0, 1.0))))
    return np.asarray(rotations * signs[:, None], np.float32)


def _vector(value: npt.NDArray[np.floating]) -> str:
    return "{" + ", ".join(f"{axis}: {_number(float(one))}" for axis, one in zip("xyzw", value, strict=True)) + "}"


def _number(value: float) -> str:
    """As Unity writes a float: nine significant digits at most, no exponent that YAML 1.1 would read as a text."""
    text = f"{value:.7f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def _name(name: str) -> str:
    clean = "".join(character if character.isalnum() or character in " _-." else "_" for character in name)[:MAX_NAME]
    return _text(clean) if clean.strip() else "take"


def _text(text: str) -> str:
    """Return a YAML text: plain if it is one without doubt, else in quotes."""
    plain = PLAIN.fullmatch(text) and text.lower() not in NOT_TEXTS
    return text if plain else f"'{text}'"


def _crc(text: str) -> int:
    """How Unity hashes paths and attributes: CRC-32."""
    return zlib.crc32(text.encode())
