"""glTF 2.0 binary files: a head with its shapes as morph targets, animated, for any viewer (Khronos' specification, 3).

glTF's space is FaceFrame's: right-handed, y up, an asset looks along +z. The head moves from where it was in the first
frame.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from facewire.bridge.export.anim import gaze_rotations
from facewire.bridge.export.clip import Clip, rising
from facewire.bridge.shared.arrays import Float32Array
from facewire.bridge.wire.messages import version

UINT8, UINT16, UINT32, FLOAT = 5121, 5123, 5125, 5126
VERTICES, INDICES = 34962, 34963
MAGIC, JSON_CHUNK, BIN_CHUNK = 0x46546C67, 0x4E4F534A, 0x004E4942
MOVED_M = 1e-7
"""A vertex that a shape moves by less is left out of it."""


@dataclass(frozen=True, slots=True)
class Material:
    """What a part of the head looks like."""

    name: str
    first_triangle: int
    triangles: int
    colour: tuple[float, float, float]
    """Linear red, green, blue."""
    roughness: float = 0.7


@dataclass(frozen=True, slots=True)
class HeadMesh:
    """What is animated, and whose work it is."""

    positions: Float32Array
    """Shape [vertices, 3]: metres, in the head's space, which is FaceFrame's; the head turns about the origin."""
    triangles: npt.NDArray[np.int32]
    """Shape [triangles, 3], counter-clockwise from outside, sorted by material."""
    materials: tuple[Material, ...]
    shapes: Mapping[str, Float32Array]
    """Offsets [vertices, 3] in metres by ARKit's names. The eyeballs move with eyeLook shapes."""
    eyes: tuple[Float32Array, Float32Array]
    """Shape [3] each: the left and the right eye's centre."""
    copyright: str = ""


class _Binary:
    """The buffer and its views and accessors, in the order in which they are added."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.views: list[dict[str, Any]] = []
        self.accessors: list[dict[str, Any]] = []

    def view(self, data: bytes, target: int | None = None) -> int:
        """Append bytes, aligned for any component, and return the view's index."""
        self.data += bytes(-len(self.data) % 4)
        view = {"buffer": 0, "byteOffset": len(self.data), "byteLength": len(data)}
        if target is not None:
            view["target"] = target
        self.views.append(view)
        self.data += data
        return len(self.views) - 1

    def accessor(self, values: npt.NDArray[Any], kind: str, target: int | None = None, *, bounds: bool = False) -> int:
        """Append an array [n] or [n, k] and return the accessor's index."""
        types = {"<f4": FLOAT, "<u2": UINT16, "<u4": UINT32, "|u1": UINT8}
        accessor: dict[str, Any] = {
            "bufferView": self.view(values.tobytes(), target),
            "componentType": types[values.dtype.newbyteorder("<").str],
            "count": len(values),
            "type": kind,
        }
        if bounds:
            flat = values.reshape(len(values), -1)
            accessor |= {"min": flat.min(axis=0).tolist(), "max": flat.max(axis=0).tolist()}
        self.accessors.append(accessor)
        return len(self.accessors) - 1

    def sparse(self, offsets: Float32Array) -> int:
        """Append offsets [n, 3] that are mostly zero as a sparse accessor (specification, 3.6.2.3)."""
        moved = np.flatnonzero(np.abs(offsets).max(axis=1) > MOVED_M)
        if len(moved) == 0:  # An accessor without data is zeros (3.6.2.3).
            zeros = {"componentType": FLOAT, "count": len(offsets), "type": "VEC3", "min": [0.0] * 3, "max": [0.0] * 3}
            self.accessors.append(zeros)
            return len(self.accessors) - 1
        index = moved.astype("<u2" if len(offsets) < 1 << 16 else "<u4")
        values = offsets[moved].astype("<f4")
        least, most = values.min(axis=0), values.max(axis=0)
        if len(moved) < len(offsets):
            least, most = np.minimum(least, 0), np.maximum(most, 0)
        self.accessors.append(
            {
                "componentType": FLOAT,
                "count": len(offsets),
                "type": "VEC3",
                "min": least.tolist(),
                "max": most.tolist(),
                "sparse": {
                    "count": len(moved),
                    "indices": {
                        "bufferView": self.view(index.tobytes()),
                        "componentType": UINT16 if index.dtype.itemsize == 2 else UINT32,
                    },
                    "values": {"bufferView": self.view(values.tobytes())},
                },
            }
        )
        return len(self.accessors) - 1


def write_glb(clip: Clip, head: HeadMesh, file: BinaryIO) -> None:
    """Write ``head`` animated by ``clip``.

    Raises:
        OSError: the disk does not take it.
    """
    binary = _Binary()
    document = _scene(rising(clip), head, binary)
    document |= {"accessors": binary.accessors, "bufferViews": binary.views}
    document["buffers"] = [{"byteLength": len(binary.data)}]
    text = json.dumps(document, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    binary.data += bytes(-len(binary.data) % 4)
    length = 12 + 8 + len(text) + 8 + len(binary.data)
    file.write(struct.pack("<III", MAGIC, 2, length))
    file.write(struct.pack("<II", len(text), JSON_CHUNK) + text)
    file.write(struct.pack("<II", len(binary.data), BIN_CHUNK) + binary.data)


def _scene(clip: Clip, head: HeadMesh, binary: _Binary) -> dict[str, Any]:
    names = [name for name in clip.shapes if name in head.shapes]
    left, right = ([float(value) for value in centre] for centre in head.eyes)
    nodes: list[dict[str, Any]] = [
        {"name": "Head", "children": [1, 2, 3]},
        {"name": "Face", "mesh": 0},
        {"name": "LeftEye", "translation": left},
        {"name": "RightEye", "translation": right},
    ]
    animation = _Animation(binary, clip)
    animation.add(0, "rotation", clip.head[:, :4], "VEC4")
    animation.add(0, "translation", clip.head[:, 4:] - clip.head[0, 4:], "VEC3")
    if names:
        columns = [clip.shapes.index(name) for name in names]
        animation.add(1, "weights", clip.chosen[:, columns].reshape(-1), "SCALAR")
    for node, side in ((2, 0), (3, 2)):
        animation.add(node, "rotation", gaze_rotations(clip.gaze[:, side], clip.gaze[:, side + 1]), "VEC4")
    asset = {"version": "2.0", "generator": f"Facewire {version()}"}
    return {
        "asset": asset | ({"copyright": head.copyright} if head.copyright else {}),
        "scene": 0,
        "scenes": [{"name": clip.name, "nodes": [0]}],
        "nodes": nodes,
        "meshes": [_mesh(head, names, binary)],
        "materials": [_material(material) for material in head.materials],
        "animations": [animation.document(clip.name)],
    }


class _Animation:
    """Channels and samplers that share the clip's times."""

    def __init__(self, binary: _Binary, clip: Clip) -> None:
        self._binary = binary
        self._times = binary.accessor(clip.times_s.astype("<f4"), "SCALAR", bounds=True)
        self._channels: list[dict[str, Any]] = []
        self._samplers: list[dict[str, Any]] = []

    def add(self, node: int, path: str, values: npt.NDArray[np.float32], kind: str) -> None:
        """Animate one property of a node."""
        output = self._binary.accessor(values.astype("<f4"), kind)
        self._samplers.append({"input": self._times, "interpolation": "LINEAR", "output": output})
        self._channels.append({"sampler": len(self._samplers) - 1, "target": {"node": node, "path": path}})

    def document(self, name: str) -> dict[str, Any]:
        """Return the animation's part of the document."""
        return {"name": name, "channels": self._channels, "samplers": self._samplers}


def _mesh(head: HeadMesh, names: list[str], binary: _Binary) -> dict[str, Any]:
    normals = vertex_normals(head.positions, head.triangles)
    # What a shape does to the normals; without it light stands still while the face moves.
    turns = {name: vertex_normals(head.positions + head.shapes[name], head.triangles) - normals for name in names}
    primitives = [
        _primitive(head, number, normals, turns, binary)
        for number, material in enumerate(head.materials)
        if material.triangles
    ]
    mesh: dict[str, Any] = {"name": "Face", "primitives": primitives}
    if names:
        mesh |= {"weights": [0.0] * len(names), "extras": {"targetNames": names}}
    return mesh


def _primitive(
    head: HeadMesh, number: int, normals: Float32Array, turns: Mapping[str, Float32Array], binary: _Binary
) -> dict[str, Any]:
    """One material's triangles, with only the vertices that they use."""
    material = head.materials[number]
    triangles = head.triangles[material.first_triangle : material.first_triangle + material.triangles]
    used, indices = np.unique(triangles, return_inverse=True)
    small = len(used) < 1 << 16
    primitive: dict[str, Any] = {
        "attributes": {
            "POSITION": binary.accessor(head.positions[used].astype("<f4"), "VEC3", VERTICES, bounds=True),
            "NORMAL": binary.accessor(normals[used].astype("<f4"), "VEC3", VERTICES),
        },
        "indices": binary.accessor(indices.reshape(-1).astype("<u2" if small else "<u4"), "SCALAR", INDICES),
        "material": number,
    }
    if turns:
        primitive["targets"] = [
            {"POSITION": binary.sparse(head.shapes[name][used]), "NORMAL": binary.sparse(turn[used])}
            for name, turn in turns.items()
        ]
    return primitive


def _material(material: Material) -> dict[str, Any]:
    surface = {"baseColorFactor": [*material.colour, 1.0], "metallicFactor": 0.0, "roughnessFactor": material.roughness}
    return {"name": material.name, "pbrMetallicRoughness": surface, "doubleSided": True}


def vertex_normals(positions: Float32Array, triangles: npt.NDArray[np.int32]) -> Float32Array:
    """Return unit normals [vertices, 3], weighted by the triangles' areas; a vertex without a triangle looks along
    +z."""
    corners = positions[triangles].astype(np.float64)
    areas = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.zeros(positions.shape)
    for corner in range(3):
        np.add.at(normals, triangles[:, corner], areas)
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    normals = np.where(lengths > 1e-14, normals / np.maximum(lengths, 1e-14), [0.0, 0.0, 1.0])
    return np.asarray(normals, np.float32)
