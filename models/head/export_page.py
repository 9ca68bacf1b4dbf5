"""Write the control panel's head, ``bridge/page/head.bin``, from ``open_head.npz``.

Run ``python -m facewire.models.head.export_page``. The file: the length of a JSON text (uint32, little-endian), the
text, then arrays at the offsets that it gives. Positions are int16 in steps of ``unit_m``, triangles uint16, and each
shape has its vertices (uint16) and their moves (int8 in steps of its own). Moves that nobody sees at the panel's size
are left out, which is most of the reduction.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np

from facewire.models.head import HeadMesh, load_head

PAGE_HEAD = Path(__file__).parents[2] / "bridge" / "page" / "head.bin"
SMALLEST_M = 2.5e-4
NOTICE = "CC0 1.0 Universal, public domain: MakeHuman base mesh and face units"
MATERIALS: dict[str, tuple[tuple[float, float, float], float]] = {
    "skin": ((0.60, 0.38, 0.29), 0.10),
    "lips": ((0.48, 0.20, 0.18), 0.20),
    "mouth": ((0.16, 0.04, 0.04), 0.0),
    "teeth": ((0.80, 0.78, 0.72), 0.25),
    "tongue": ((0.50, 0.18, 0.17), 0.15),
    "brows": ((0.07, 0.04, 0.025), 0.0),
    "sclera": ((0.80, 0.80, 0.78), 0.35),
    "iris": ((0.10, 0.22, 0.30), 0.5),
    "pupil": ((0.005, 0.005, 0.005), 0.6),
}
"""Linear colour and strength of the highlight."""


class Arrays:
    """Arrays one behind the other, each at a multiple of four bytes."""

    def __init__(self) -> None:
        self.data = bytearray()

    def add(self, array: np.ndarray[Any, Any]) -> list[int]:
        """Append an array, and return where it begins and how many numbers it has."""
        self.data += bytes(-len(self.data) % 4)
        start = len(self.data)
        self.data += array.tobytes()
        return [start, array.size]


def pack(head: HeadMesh) -> bytes:
    """Return the file."""
    arrays = Arrays()
    unit_m = float(np.abs(head.vertices).max()) / 32767
    about: dict[str, Any] = {
        "notice": NOTICE,
        "unit_m": unit_m,
        "positions": arrays.add(np.round(head.vertices / unit_m).astype("<i2")),
        "triangles": arrays.add(head.triangles.astype("<u2")),
        "materials": [
            {"name": name, "triangles": list(part), "colour": MATERIALS[name][0], "shine": MATERIALS[name][1]}
            for name, part in head.materials.items()
        ],
        "shapes": [pack_shape(arrays, name, moves) for name, moves in head.shapes.items()],
    }
    text = json.dumps(about, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    return struct.pack("<I", len(text)) + text + bytes(arrays.data)


def pack_shape(arrays: Arrays, name: str, moves_m: np.ndarray[Any, Any]) -> dict[str, Any]:
    """Append one shape's arrays, and return what the text says of it."""
    vertices = np.flatnonzero(np.abs(moves_m).max(axis=1) > SMALLEST_M)
    moves_m = moves_m[vertices]
    step_m = float(np.abs(moves_m).max()) / 127
    moves = arrays.add(np.round(moves_m / step_m).astype("i1"))
    return {"name": name, "step_m": step_m, "vertices": arrays.add(vertices.astype("<u2")), "moves": moves}


if __name__ == "__main__":
    PAGE_HEAD.write_bytes(pack(load_head()))
    print(f"{PAGE_HEAD}: {PAGE_HEAD.stat().st_size} bytes")
