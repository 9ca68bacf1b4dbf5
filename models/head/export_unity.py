"""Write the head for the Unity sample: ``python -m facewire.models.head.export_unity``.

One little-endian file that C# reads without a library. All counts are int32, a text is one byte of length and UTF-8::

    magic "FWHEAD1\\0", vertices, triangles, materials, shapes, joints, unit (float32, metres)
    int16 x 3 for each vertex, uint16 x 3 for each triangle
    for each material: text, first triangle, number of triangles
    for each shape: text, count; uint16 for each moved vertex; int16 x 3 for each
    for each joint: text, float32 x 3 (metres)
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from facewire.models.head import HEAD_PATH

TARGET = Path(__file__).resolve().parents[2] / "unity_client" / "Samples~" / "LiveHead" / "OpenHead.bytes"


def export(path: Path = HEAD_PATH) -> bytes:
    """Return the file's content."""
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    names = ("vertices", "triangles", "material_names", "shape_names", "joint_names")
    parts = [b"FWHEAD1\0", struct.pack("<5i", *(len(arrays[name]) for name in names))]
    parts.append(struct.pack("<f", arrays["unit_m"]))
    parts += [arrays["vertices"].astype("<i2").tobytes(), arrays["triangles"].astype("<u2").tobytes()]
    starts = arrays["material_starts"]
    for name, start, end in zip(arrays["material_names"], starts[:-1], starts[1:], strict=True):
        parts += [text(name), struct.pack("<2i", start, end - start)]
    starts = arrays["shape_starts"]
    for name, start, end in zip(arrays["shape_names"], starts[:-1], starts[1:], strict=True):
        parts += [text(name), struct.pack("<i", end - start)]
        parts.append(arrays["shape_vertices"][start:end].astype("<u2").tobytes())
        parts.append(arrays["shape_deltas"][start:end].astype("<i2").tobytes())
    for name, place in zip(arrays["joint_names"], arrays["joints"], strict=True):
        parts += [text(name), struct.pack("<3f", *place)]
    return b"".join(parts)


def text(name: object) -> bytes:
    """Return one byte of length and UTF-8."""
    data = str(name).encode()
    return bytes([len(data)]) + data


def main() -> None:
    """Write the sample's asset."""
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_bytes(export())
    print(f"{TARGET}: {TARGET.stat().st_size} bytes")


if __name__ == "__main__":
    main()
