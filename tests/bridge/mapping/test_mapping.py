"""The one mapping table: complete, right about left and right, and the same everywhere."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from support.faces import shapes_of
from support.paths import ROOT

from facewire.bridge import mapping
from facewire.bridge.mapping import MappingError, Row, Section, export_docs, export_unity
from facewire.bridge.shared.arkit import BLENDSHAPE_INDEX, BLENDSHAPES
from facewire.bridge.wire.frame import FaceFrame

VRM1 = "happy angry sad relaxed surprised neutral "
VRM1 += "aa ih ou ee oh blink blinkLeft blinkRight lookUp lookDown lookLeft lookRight"
VRM0 = "Neutral A I U E O Blink Joy Angry Sorrow Fun LookUp LookDown LookLeft LookRight Blink_L Blink_R"
VISEMES = "sil PP FF TH DD kk CH SS nn RR aa E ih oh ou"


def applied(kind: str, **values: float) -> dict[str, float]:
    table = mapping.load(kind)
    return dict(zip(table.names, table.apply(shapes_of(**values)), strict=True))


@pytest.mark.parametrize(("kind", "names"), [("vrm", VRM1), ("vrm0", VRM0), ("visemes", VISEMES)])
def test_every_published_name_is_there_and_no_other(kind: str, names: str) -> None:
    assert sorted(mapping.load(kind).names) == sorted(names.split())


@pytest.mark.parametrize("kind", mapping.read_table())
def test_every_shape_is_used_or_said_to_have_no_counterpart(kind: str) -> None:
    section = mapping.section(kind)
    used = {channel for row in section.rows for channel in row.weights}
    assert used & set(BLENDSHAPES) | set(section.unused) == set(BLENDSHAPES)
    assert not used & set(section.unused)
    for row in section.rows:
        assert row.weights or row.why, f"{row.target} is driven by nothing, and nobody says why"
        assert set(row.combines) <= set(mapping.load(kind).names)


@pytest.mark.parametrize("kind", mapping.read_table())
def test_a_face_and_its_mirror_image_give_mirrored_targets(kind: str) -> None:
    table = mapping.load(kind)
    mirror = [BLENDSHAPE_INDEX[swapped(name)] for name in BLENDSHAPES]
    face = np.random.default_rng(3).uniform(0, 1, 52).astype(np.float32)
    out, back = table.apply(face), table.apply(face[mirror])
    for index, row in enumerate(table.section.rows):
        if (other := swapped(row.target)) not in table.names:
            continue
        same = back[table.index(other)] == pytest.approx(out[index], abs=1e-6)
        # One number for both sides, such as JawX, changes its sign instead.
        turned = row.range[0] == -row.range[1] and back[index] == pytest.approx(-out[index], abs=1e-6)
        assert same or turned, row.target


def swapped(name: str) -> str:
    for one, other in (("Left", "Right"), ("_L", "_R")):
        if one in name:
            return name.replace(one, other)
        if other in name:
            return name.replace(other, one)
    return name


def test_targets_follow_what_they_are_made_of() -> None:
    assert applied("vrm", eyeBlinkLeft=0.8)["blinkLeft"] == pytest.approx(0.8)
    assert applied("vrm", eyeBlinkLeft=0.8)["blinkRight"] == 0
    assert applied("vrm0", eyeBlinkLeft=0.8)["Blink_L"] == pytest.approx(0.8)
    assert applied("vrm", jawOpen=1)["aa"] == 1  # kept within 1
    assert applied("vrm", jawOpen=0.2, mouthFunnel=1)["aa"] == 0  # and within 0
    assert applied("vrm", eyeLookOutLeft=1, eyeLookInRight=1)["lookLeft"] == 1
    assert applied("visemes", mouthClose=1)["PP"] == pytest.approx(0.8)
    assert applied("visemes")["sil"] == 0


def test_greatest_bias_range_and_pose() -> None:
    section = Section(
        "test",
        "",
        "",
        (
            Row("open", {"eyeBlinkLeft": -1.0}, bias=1.0),
            Row("either", {"mouthSmileLeft": 1.0, "mouthSmileRight": 0.5, "jawOpen": 0.25}, op="max"),
            Row("both", {"jawLeft": 1.0, "jawRight": -1.0}, range=(-1.0, 1.0)),
            Row("one", {"cheekPuff": 2.0}, op="max"),
            Row("yaw_deg", {"headYaw": 57.29578}, range=(-30.0, 30.0)),
            Row("eye", {"eyeYawRight": 1.0}, range=(-1.0, 1.0)),
        ),
    )
    table = mapping.Mapping(section)
    half = np.float32(np.deg2rad(20) / 2)
    head = np.array([0, np.sin(half), 0, np.cos(half), 0, 0, -0.5], np.float32)
    face = shapes_of(eyeBlinkLeft=0.25, mouthSmileLeft=0.2, mouthSmileRight=0.6, jawRight=0.5, cheekPuff=0.1)
    frame = FaceFrame(0, 0, 0, "video", 1.0, face, head, np.array([0.1, 0.2, 0.3, 0.4], np.float32))
    np.testing.assert_allclose(table.apply_frame(frame), [0.75, 0.3, -0.5, 0.2, 20.0, 0.3], atol=1e-5)
    with pytest.raises(MappingError, match="more than a sum"):
        export_unity.recipe(section, section.rows[1])


def test_applying_leaves_nothing_behind() -> None:
    tables = [mapping.load(kind) for kind in mapping.read_table()]
    face = np.full(52, 0.5, np.float32)

    def apply(times: int) -> None:
        for _ in range(times):
            for table in tables:
                table.apply(face)

    tracemalloc.start()
    try:
        apply(200)  # Python keeps some numbers for the next ones, and 3.10 more of them than later ones
        before = tracemalloc.get_traced_memory()[0]
        apply(200)
        assert tracemalloc.get_traced_memory()[0] - before < 1000
    finally:
        tracemalloc.stop()


def test_what_is_no_number_counts_as_none_and_spoils_nothing() -> None:
    face = shapes_of(eyeBlinkLeft=np.nan, jawOpen=0.5, eyeBlinkRight=np.inf, cheekPuff=7.0, noseSneerLeft=-3.0)
    for kind in mapping.read_table():
        table = mapping.load(kind)
        for value, row in zip(table.apply(face), table.section.rows, strict=True):
            assert row.range[0] <= value <= row.range[1]
    assert applied("unified", eyeBlinkLeft=np.nan, jawOpen=0.5)["JawOpen"] == 0.5


def test_copies_are_what_the_table_says() -> None:
    assert (ROOT / export_unity.FILE).read_text(encoding="utf-8") == export_unity.compose(), (
        "run python -m facewire.bridge.mapping.export_unity"
    )
    assert (ROOT / export_docs.FILE).read_text(encoding="utf-8") == export_docs.compose(), (
        "run python -m facewire.bridge.mapping.export_docs"
    )


def test_names_are_written_as_the_client_reads_them() -> None:
    assert export_unity.key("Fcl_EYE_Close_L") == "fcleyecloseleft"
    assert export_unity.key("visemePP") == "visemepp"
    assert export_unity.key("blinkRight") == "blinkright"
    assert '{ "visemei", "visemeih" }' in export_unity.compose()


def test_an_unknown_section_is_one_clear_line() -> None:
    with pytest.raises(MappingError, match="no section 'vrm2': it has vrm, vrm0"):
        mapping.load("vrm2")
