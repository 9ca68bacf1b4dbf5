"""What a VRChat avatar is told: its lists read, floats and binary parameters by python-osc's reading of our bytes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pythonosc.osc_bundle import OscBundle
from pythonosc.osc_packet import OscPacket

from facewire.bridge import mapping
from facewire.bridge.outputs.vrchat.avatar import AvatarError, Kind, find_file, from_file, from_tree
from facewire.bridge.outputs.vrchat.unified import RESOLUTION, Feed, bundles
from facewire.bridge.shared.arkit import BLENDSHAPE_INDEX, BLENDSHAPES

HERE = Path(__file__).parent / "vrchat"
AVATAR = "avtr_00000000-0000-4000-8000-00000000face"
ALL_ON = (True, True, True)


def read(datagrams: list[bytes]) -> dict[str, Any]:
    """Addresses and values, as an independent library reads them."""
    told: dict[str, Any] = {}
    for datagram in datagrams:
        assert OscBundle.dgram_is_bundle(datagram)
        for timed in OscPacket(datagram).messages:
            told[timed.message.address.removeprefix("/avatar/parameters/")] = timed.message.params[0]
    return told


class Told:
    """A feed and the table before it."""

    def __init__(self, parameters: dict[str, Kind] | None) -> None:
        self.table = mapping.load("unified")
        self.feed = Feed(self.table, parameters)

    def face(self, flags: tuple[bool, ...] = ALL_ON, **shapes: float) -> dict[str, Any]:
        values = np.zeros(len(BLENDSHAPES), np.float32)
        for name, value in shapes.items():
            values[BLENDSHAPE_INDEX[name]] = value
        return read(bundles(self.feed.changes(self.table.apply(values), flags)))


def of(*names: str, kind: Kind = "bool") -> dict[str, Kind]:
    return {f"/avatar/parameters/{name}": kind for name in names}


def test_both_of_vrchats_lists_say_the_same() -> None:
    identity, from_disk = from_file((HERE / "avatar.json").read_bytes())
    told, from_net = from_tree((HERE / "avatar_tree.json").read_bytes())
    assert identity == told == AVATAR
    assert from_disk == from_net
    assert from_disk["/avatar/parameters/FT/v2/JawOpen"] == "float"
    assert from_disk["/avatar/parameters/Sit/Down"] == "bool"
    assert "/avatar/parameters/VelocityZ" not in from_disk, "what only VRChat sets is not ours to send"


def test_an_avatar_gets_what_it_has_under_its_own_addresses() -> None:
    _, parameters = from_file((HERE / "avatar.json").read_bytes())
    told = Told(parameters)
    first = told.face()
    ours = {address.removeprefix("/avatar/parameters/") for address in parameters} - {
        "Hat", "Sit/Down", "VRCEmote", "Hue",
    }  # fmt: skip
    assert set(first) == ours
    assert len(told.feed) == len(ours)
    assert told.feed.takes_gaze
    assert told.feed.takes_lids
    smile = told.face(jawOpen=0.5, mouthSmileLeft=1.0)
    assert smile == {
        "FT/v2/JawOpen": 0.5, **{f"FT/v2/SmileSadLeft{bit}": True for bit in (1, 2, 4, 8)},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("value", "bits", "negative"),
    [(1, 15, False), (-1, 15, True), (0.5, 8, False), (-0.2, 3, True), (0, 0, False), (0.03, 0, False)],
)
def test_a_binary_parameter_is_the_nearest_number(value: float, bits: int, negative: bool) -> None:
    """v2/JawX1, 2, 4, 8 and its sign: the avatar divides the number by 15 again."""
    told = Told(of(*(f"v2/JawX{1 << k}" for k in range(4)), "v2/JawXNegative"))
    first = told.face(**{"jawRight": value} if value >= 0 else {"jawLeft": -value})
    assert sum((1 << k) * first[f"v2/JawX{1 << k}"] for k in range(4)) == bits
    assert first["v2/JawXNegative"] is negative


def test_without_a_sign_there_is_nothing_below_zero() -> None:
    told = Told(of("v2/JawX1", "v2/JawX2"))
    assert told.face(jawLeft=1.0) == {"v2/JawX1": False, "v2/JawX2": False}
    assert told.face(jawRight=1.0) == {"v2/JawX1": True, "v2/JawX2": True}


def test_only_bits_that_changed_are_told_and_noise_changes_none() -> None:
    told = Told(of("v2/JawOpen1", "v2/JawOpen2", "v2/JawOpen4"))
    assert len(told.face(jawOpen=0.0)) == 3
    assert told.face(jawOpen=3 / 7) == {"v2/JawOpen1": True, "v2/JawOpen2": True}
    border = 3.5 / 7
    assert [told.face(jawOpen=border + noise) for noise in (0.01, -0.01, 0.013, -0.02)] == [{}] * 4
    assert told.face(jawOpen=4 / 7) == {"v2/JawOpen1": False, "v2/JawOpen2": False, "v2/JawOpen4": True}


def test_floats_are_told_when_they_moved_and_exactly_at_their_ends() -> None:
    told = Told(of("v2/JawOpen", kind="float"))
    assert told.face() == {"v2/JawOpen": 0.0}
    assert told.face() == {}
    assert told.face(jawOpen=RESOLUTION * 0.9) == {}
    assert told.face(jawOpen=0.5) == {"v2/JawOpen": 0.5}
    assert told.face(jawOpen=0.5 + RESOLUTION * 0.9) == {}
    assert told.face(jawOpen=1.0 - RESOLUTION / 2) == {"v2/JawOpen": pytest.approx(1.0 - RESOLUTION / 2)}
    assert told.face(jawOpen=1.0) == {"v2/JawOpen": 1.0}
    assert told.face(jawOpen=RESOLUTION / 2) == {"v2/JawOpen": pytest.approx(RESOLUTION / 2)}
    assert told.face() == {"v2/JawOpen": 0.0}
    told.feed.forget()
    assert told.face() == {"v2/JawOpen": 0.0}


def test_an_unknown_avatar_gets_every_float_that_something_drives() -> None:
    told = Told(None)
    first = told.face()
    driven = {f"v2/{row.target}" for row in mapping.section("unified").rows if row.weights}
    assert set(first) - driven == {"EyeTrackingActive", "ExpressionTrackingActive", "LipTrackingActive"}
    assert driven <= set(first)
    assert "v2/PupilDilation" not in first, "a pupil that nobody sees must not be closed"
    assert not told.feed.takes_gaze
    assert told.face() == {}
    assert told.face((False, True, True)) == {"EyeTrackingActive": False}


def test_odd_names_are_left_alone() -> None:
    told = Told(of("v2/JawOpen3", "v2/JawOpen512", "v2/JawOpen0", "JawOpen1", "xv2/JawOpen1", "v2/Negative", "v2/"))
    assert told.face(jawOpen=1.0) == {}
    assert Told(of("v2/JawXNegative")).face(jawLeft=1.0) == {}, "a sign without a number"
    assert Told(of("v2/JawOpen", kind="int")).face(jawOpen=1.0) == {}


def test_bundles_fit_their_datagrams() -> None:
    told = Told(None)
    datagrams = bundles(told.feed.changes([0.5] * len(told.table.names), ALL_ON))
    assert len(datagrams) > 1
    assert all(len(datagram) <= 1472 for datagram in datagrams)
    assert len(read(datagrams)) == len(told.feed)
    assert bundles([]) == []


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff\xfe", b"[]", b"{}", b'{"CONTENTS": 3}', b'{"parameters": {"a": 1}, "id": "avtr_1"}', b"[" * 100_000,
     b'{"id": 5, "parameters": [{"name": "a"}, 7, {"input": {"address": 3, "type": "Float"}}]}', b"1" * 5_000_000],
)  # fmt: skip
def test_lists_that_are_none(content: bytes) -> None:
    with pytest.raises(AvatarError):
        from_file(content)
    with pytest.raises(AvatarError):
        from_tree(content)


def test_a_deep_or_hostile_tree_costs_nothing() -> None:
    leaf: dict[str, Any] = {"FULL_PATH": "/avatar/parameters/v2/JawOpen", "TYPE": "f"}
    for _ in range(200):
        leaf = {"CONTENTS": {"a": leaf}}
    with pytest.raises(AvatarError):
        from_tree(json.dumps(leaf).encode())
    nodes: dict[str, Any] = {
        str(i): {"FULL_PATH": f"/avatar/parameters/v2/{i}", "TYPE": "f", "ACCESS": 3} for i in range(20_000)
    }
    nodes |= {"x": {"FULL_PATH": 7}, "y": {"TYPE": "f"}, "z": {"FULL_PATH": "/chatbox/input", "TYPE": "f"}}
    nodes |= {"null": {"FULL_PATH": "/avatar/parameters/a\0b", "TYPE": "f"}, "odd": {"FULL_PATH": "/", "ACCESS": "q"}}
    _, parameters = from_tree(json.dumps({"CONTENTS": nodes}).encode())
    assert len(parameters) == 8192
    assert all(address.startswith("/avatar/parameters/v2/") for address in parameters)


def test_the_file_is_found_by_the_avatars_name_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "usr_1" / "Avatars"
    folder.mkdir(parents=True)
    (folder / f"{AVATAR}.json").write_bytes((HERE / "avatar.json").read_bytes())
    (tmp_path / "secret.json").write_text("{}")
    assert find_file(AVATAR, [tmp_path / "none", tmp_path]) == folder / f"{AVATAR}.json"
    for name in ("../../secret", "local:sdk_1", "*", "", "avtr_" + "0" * 200):
        assert find_file(name, [tmp_path]) is None
