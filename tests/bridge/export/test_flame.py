"""FLAME in exports: whose it is, and where its root stands before the camera."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from facewire.bridge.export.flame import flame_about
from facewire.bridge.export.formats import ExportOptions, export
from facewire.bridge.recording.cut import TimeRange, cut
from facewire.bridge.recording.layout import SessionMetadata
from facewire.bridge.recording.reader import open_session
from facewire.bridge.recording.writer import SessionWriter
from facewire.bridge.wire.codec import Encoder
from facewire.bridge.wire.frame import FlameParameters

MODEL = {"model": "open_flame", "digest": "ab" * 32, "expressions": 5, "shapes": 3}
TILT_RAD = 0.1
PERSON = {
    "shape": [0.5, -1.0, 0.25],
    "head": [np.sin(TILT_RAD / 2), 0.0, 0.0, np.cos(TILT_RAD / 2), 0.0, 0.03, 0.05, 1.1],
    "root": [0.0, -0.12, 0.01],
}


def take(path: Path, frames: Callable, end: dict[str, str] | None, seconds: int = 1) -> Path:
    metadata = SessionMetadata(0, 5_000_000_000, hello={"type": "hello", "rate": 60.0, "flame": MODEL})
    writer = SessionWriter(path, metadata)
    for frame in frames(60 * seconds):
        flame = FlameParameters(*(np.full(n, 0.25, np.float32) for n in (5, 3, 3, 6)))
        data = Encoder().frame(replace(frame, flame=flame), ("blendshapes", "head", "gaze", "flame"))
        writer.add_frame(data, frame.seq, frame.publish_ns)
    return writer.finish(end)


def turned(axis_angle: np.ndarray) -> np.ndarray:
    angle = float(np.linalg.norm(axis_angle))
    x, y, z = axis_angle / max(angle, 1e-12)
    skew = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * skew + (1 - np.cos(angle)) * skew @ skew


def test_the_person_and_the_place_of_the_head_go_along(tmp_path: Path, frames: Callable) -> None:
    path = take(tmp_path / "a.mcap", frames, {"flame": json.dumps(PERSON)})
    with open_session(path) as session:
        export(session, tmp_path / "a.npz", ExportOptions())
    with np.load(tmp_path / "a.npz", allow_pickle=False) as arrays:
        assert str(arrays["flame_model"]) == "open_flame"
        assert str(arrays["flame_digest"]) == MODEL["digest"]
        np.testing.assert_allclose(arrays["shape"], PERSON["shape"])
        heads = np.concatenate([arrays["head_rotation_xyzw"], arrays["head_translation_m"]], axis=1)
        orient, transl = arrays["global_orient"], arrays["transl"]
    # A point of the head's space, through the head's own pose and through FLAME's: the same place before the camera.
    point, root = np.array([0.02, -0.04, 0.06]), np.array(PERSON["root"])
    of_model = 1.1 * turned(np.array([TILT_RAD, 0, 0])) @ point + PERSON["head"][4:7]
    assert np.ptp(heads, axis=0).max() > 0.05
    for head, axis_angle, shift in zip(heads, orient, transl, strict=True):
        nod = turned(np.array([2 * np.arctan2(head[0], head[3]), 0, 0]))
        wanted = 1.1 * (nod @ point + head[4:])  # as much larger as farther away
        np.testing.assert_allclose(turned(axis_angle) @ (of_model - root) + root + shift, wanted, atol=1e-6)


@pytest.mark.parametrize(
    "end", [None, {"flame": "no json"}, {"flame": "[1]"}, {"flame": '{"shape": "me", "head": [1]}'}]
)
def test_without_the_person_the_rest_is_written(tmp_path: Path, frames: Callable, end: dict[str, str] | None) -> None:
    with open_session(take(tmp_path / "a.mcap", frames, end)) as session:
        export(session, tmp_path / "a.npz", ExportOptions())
    with np.load(tmp_path / "a.npz") as arrays:
        assert arrays["expression"].shape == (60, 5)
        assert not {"shape", "global_orient", "transl"} & set(arrays)


def test_a_cut_keeps_the_person_and_a_join_only_one_that_is_in_all(tmp_path: Path, frames: Callable) -> None:
    mine, other = {"flame": json.dumps(PERSON)}, {"flame": json.dumps({"shape": [1.0, 1.0, 1.0]})}
    first, second = take(tmp_path / "a.mcap", frames, mine), take(tmp_path / "b.mcap", frames, other)
    cut([first], tmp_path / "cut.mcap", TimeRange(0.2, 0.8))
    cut([first, second], tmp_path / "join.mcap", TimeRange())
    with open_session(tmp_path / "cut.mcap") as session:
        assert flame_about(session) == MODEL | PERSON
    with open_session(tmp_path / "join.mcap") as session:
        assert flame_about(session) == MODEL
