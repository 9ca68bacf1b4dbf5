"""The canonical face: read from MediaPipe's message, and from one written here byte by byte."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from facewire.models.assets.face_geometry import read_face_geometry
from facewire.models.assets.store import asset_path
from facewire.models.errors import ModelError


def field(number: int, payload: bytes) -> bytes:
    assert len(payload) < 128
    return bytes([number << 3 | 2, len(payload)]) + payload


def message(*, packed: bool) -> bytes:
    """Three vertices, one triangle (numbers 2, 1, 0) and one weighted landmark, 300 being out of range of a byte."""
    floats = np.arange(15, dtype="<f4")
    vertices = b"".join(b"\x1d" + struct.pack("<f", value) for value in floats)
    if packed:
        vertices = field(3, floats.tobytes())
    triangle = field(4, bytes([2, 1, 0])) if packed else b"\x20\x02\x20\x01\x20\x00"
    landmark = field(2, b"\x08\x02\x15" + struct.pack("<f", 0.25))
    return field(1, vertices + triangle) + landmark + b"\x18\x01"


@pytest.mark.parametrize("packed", [False, True])
def test_reads_repeated_numbers_packed_or_not(packed: bool) -> None:
    geometry = read_face_geometry(message(packed=packed))
    np.testing.assert_array_equal(geometry["vertices"], [[0, 1, 2], [5, 6, 7], [10, 11, 12]])
    np.testing.assert_array_equal(geometry["uv"], [[3, 4], [8, 9], [13, 14]])
    np.testing.assert_array_equal(geometry["triangles"], [[2, 1, 0]])
    np.testing.assert_array_equal(geometry["landmark_ids"], [2])
    np.testing.assert_array_equal(geometry["landmark_weights"], [0.25])


def test_damaged_messages_are_one_line() -> None:
    whole = message(packed=True)
    for size in range(len(whole) - 2):  # The last field says where the message came from and is not needed.
        with pytest.raises(ModelError, match=r"^the face geometry file is .*damaged"):
            read_face_geometry(whole[:size])
    with pytest.raises(ModelError):
        read_face_geometry(whole.replace(bytes([2, 1, 0]), bytes([2, 1, 9])))


@pytest.mark.models
def test_the_canonical_face_is_a_symmetric_head_in_centimetres() -> None:
    with np.load(asset_path("face_geometry")) as stored:
        geometry = dict(stored)
    vertices = geometry["vertices"]
    assert vertices.shape == (468, 3)
    assert geometry["uv"].shape == (468, 2)
    assert geometry["triangles"].shape == (898, 3)
    assert geometry["triangles"].max() == 467
    width, height, _ = np.ptp(vertices, axis=0)
    assert 14 < width < 17
    assert 16 < height < 19
    mirrored = vertices * [-1, 1, 1]
    nearest = np.linalg.norm(vertices[:, None] - mirrored[None], axis=2).min(axis=1)
    assert nearest.max() < 1e-3
    assert vertices[1, 2] > vertices[33, 2]  # The nose points to +z, away from the eyes' corners.
    assert len(geometry["landmark_ids"]) == len(geometry["landmark_weights"]) == 33
    assert (geometry["landmark_weights"] > 0).all()
