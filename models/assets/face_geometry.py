"""MediaPipe's canonical face: the mesh in centimetres and the weights by which a head pose is fitted to it.

The file is a `GeometryPipelineMetadata` message of google-ai-edge/mediapipe
`mediapipe/modules/face_geometry/protos/geometry_pipeline_metadata.proto` and `mesh_3d.proto`. A reader of the protobuf
wire format that knows just what these messages hold is shorter than a dependency.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import numpy as np

from facewire.models.errors import ModelError

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FLOATS_PER_VERTEX = 5  # x, y, z, u, v: VERTEX_PT


def read_face_geometry(source: bytes) -> dict[str, np.ndarray[Any, Any]]:
    """Return the arrays of the message.

    vertices float32 [468, 3] in cm, uv float32 [468, 2], triangles int32 [898, 3] (vertex numbers), and for the
    Procrustes fit landmark_ids int32 [N] with landmark_weights float32 [N].

    Raises:
        ModelError: the bytes are cut short or are no such message.
    """
    try:
        fields = list(_fields(source))
        mesh = next(value for number, value in fields if number == 1)
        references = [dict(_fields(value)) for number, value in fields if number == 2]
        vertices, triangles = _mesh(mesh)
        ids = np.array([reference[1] for reference in references], np.int32)
        weights = np.array([struct.unpack("<f", reference[2])[0] for reference in references], np.float32)
    except (IndexError, KeyError, ValueError, TypeError, StopIteration, struct.error) as error:
        raise ModelError("the face geometry file is cut short or damaged: delete it and fetch it again") from error
    if not ids.size or max(int(triangles.max()), int(ids.max())) >= len(vertices):
        raise ModelError("the face geometry file is damaged: delete it and fetch it again")
    return {
        "vertices": np.ascontiguousarray(vertices[:, :3]),
        "uv": np.ascontiguousarray(vertices[:, 3:]),
        "triangles": triangles,
        "landmark_ids": ids,
        "landmark_weights": weights,
    }


def _mesh(message: bytes) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return a Mesh3d's vertex and index buffers; a repeated number may come packed or one field at a time."""
    floats, indices = bytearray(), []
    for number, value in _fields(message):
        if number == 3:
            floats += value
        elif number == 4:
            indices += list(_varints(value)) if isinstance(value, bytes) else [value]
    vertices = np.frombuffer(bytes(floats), "<f4").reshape(-1, _FLOATS_PER_VERTEX).astype(np.float32)
    return vertices, np.array(indices, np.int32).reshape(-1, 3)


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """Yield number and value of each field: an int for a varint, bytes for everything else."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, at = _varint(message, at)
            yield number, value
            continue
        if kind == _BYTES:
            size, at = _varint(message, at)
        else:
            size = {_FIXED32: 4, _FIXED64: 8}[kind]
        if at + size > len(message):
            raise ValueError("cut short")
        yield number, message[at : at + size]
        at += size


def _varints(packed: bytes) -> Iterator[int]:
    at = 0
    while at < len(packed):
        value, at = _varint(packed, at)
        yield value


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
