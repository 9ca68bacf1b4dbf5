"""Correspondence: where the 478 landmarks lie on a FLAME template, for any file in FLAME's format.

The canonical face (468 points) is laid onto the template in three steps. A similarity brings the corners of the eyes
and of the mouth and the tip of the nose together, which ``openings`` finds by shape. Then it is bent: closest points
that face the same way draw it on, a thin plate's stiffness that falls step by step holds it together, and the rims of
the lids and of the lips are drawn to the rims of the openings, so that nothing lands on the other lip. Last, each
point is moved to where the tracker's network has it (``shift``) and put on the triangle nearest to it. (The scheme is
that of Amberg, Romdhani and Vetter 2007, Optimal step nonrigid ICP, with a displacement in place of an affine map at
each vertex.) The ten points of the irises lie on the eyeballs, which look straight ahead.
"""

from __future__ import annotations

import numpy as np

from facewire.bridge.shared.arrays import Float32Array, Float64Array
from facewire.models.assets.store import asset_path
from facewire.models.errors import ModelError
from facewire.models.face.landmarks import LANDMARK_COUNT, LEFT_EYE, LIPS, MESH_COUNT, RIGHT_EYE
from facewire.models.flame.files import open_flame
from facewire.models.flame.kept import keep
from facewire.models.flame.model import FlameModel
from facewire.models.flame.registration.bending import RING, RING_LOWER, Skin
from facewire.models.flame.registration.correspondence import OPEN_PATH, Correspondence, arrays_of
from facewire.models.flame.registration.openings import Front, Opening, along, look
from facewire.models.flame.registration.shift import carriers, known_shift
from facewire.models.flame.registration.surface import (
    UNSEEN,
    IndexArray,
    Int32Array,
    corners_of,
    nearest,
    normals_of,
    vertex_normals_of,
)

NOSE_TIP = 1
OUTER, INNER = 0, 1
"""Of the lips' rings."""
LOWER_BORDER = slice(3, 8)
"""The middle of the outer ring's lower part."""
LID_COUNT, LID_LOWER = 16, 9
"""The first rows of an eye: the rim of the lower lid from the outer corner to the inner one, then the upper's."""
CARUNCLE = 0.12
"""The share of an eye's width at its inner corner where no eyeball is seen: 3 mm of 27."""
IRIS = 5.85 / 63.0
"""Radius of an adult's iris in distances between the eyes: 11.7 mm across, 63 mm apart."""
IRIS_DIRECTIONS = ((0, 0), (1, 0), (0, 1), (-1, 0), (0, -1))
"""x, y of the centre and of the ring's four points, in the order of the landmarks."""
MOST_UNLIKE = 0.12
"""How far eyes, nose and mouth may be from the canonical face's on average: the open head's are 0.04."""


def register(
    model: FlameModel,
    canonical_cm: Float32Array,
    canonical_triangles: Int32Array,
    shift_cm: Float64Array | None = None,
) -> Correspondence:
    """Lays the canonical face [468, 3] onto a model's template; takes some seconds.

    ``shift_cm`` [468, 3] is where the landmarks are from the canonical face's; without it as ``known_shift``.

    Raises:
        ModelError: the template shows no eyes and no mouth, or is so unlike the canonical face that it cannot be laid
            onto it; the message names the model.
    """
    front = look(model)
    face = canonical_cm.astype(np.float64)
    anchors, targets = anchors_of(front, face)
    start = similarity(face[anchors], targets)
    placed = face @ start[:, :3].T + start[:, 3]
    surface = Skin(model, front)
    unlike = np.linalg.norm(placed[anchors] - targets, axis=1).mean() / surface.between
    if unlike > MOST_UNLIKE:
        raise ModelError(f"the eyes, nose and mouth of {model.name} are unlike a human face's: is it a FLAME model?")
    bent = surface.bend(placed, canonical_triangles, anchors, targets)
    normals, shift = vertex_normals_of(bent, canonical_triangles), known_shift() if shift_cm is None else shift_cm
    residual_m = surface.closest(bent, normals, anchors)[2]
    bent = bent + np.einsum("lij,lj->li", carriers(face, bent, canonical_triangles), shift)
    triangle, barycentric, _ = surface.closest(bent, normals, anchors)
    if (triangle == UNSEEN).any():
        raise ModelError(f"cannot lay the canonical face onto {model.name}: is it a FLAME model of a human face?")
    irises = _irises(model, front)
    triangle = np.concatenate([surface.numbers[triangle], irises[0]]).astype(np.int32)
    return Correspondence(
        triangle,
        np.concatenate([barycentric, irises[1]]).astype(np.float32),
        np.concatenate([residual_m, np.zeros(LANDMARK_COUNT - MESH_COUNT)]).astype(np.float32),
        model.triangles[triangle],
        model.digest,
    )


def anchors_of(front: Front, face: Float64Array) -> tuple[Int32Array, Float64Array]:
    """Landmarks [a] whose places are known from the openings and the nose, and these places [a, 3]."""
    found: dict[int, Float64Array] = {NOSE_TIP: front.nose_tip}
    for rim, opening in ((RIGHT_EYE, front.right_eye), (LEFT_EYE, front.left_eye)):
        found.update(_lid_anchors(rim[:LID_COUNT], opening, face))
    rings = LIPS.reshape(-1, RING)
    right, left = front.mouth.ends
    outer_x = face[rings[OUTER], 0]
    found[int(rings[OUTER, 0])], found[int(rings[OUTER, RING_LOWER - 1])] = right, left
    for position, landmark in enumerate(rings[INNER].tolist()):
        fraction = float((face[landmark, 0] - outer_x[0]) / (outer_x[RING_LOWER - 1] - outer_x[0]))
        found[landmark] = front.mouth.at(fraction, upper=position >= RING_LOWER)
    for landmark in rings[OUTER, LOWER_BORDER].tolist():
        fraction = float((face[landmark, 0] - outer_x[0]) / (outer_x[RING_LOWER - 1] - outer_x[0]))
        found[landmark] = along(front.lower_lip, right[0] + fraction * (left[0] - right[0]))
    return np.array(list(found), np.int32), np.array(list(found.values()))


def _lid_anchors(rim: Int32Array, opening: Opening, face: Float64Array) -> dict[int, Float64Array]:
    """Return the rim's points where the eyeball is seen; what lies at the caruncle is left to the bending."""
    outer, inner = face[rim[0], 0], face[rim[LID_LOWER - 1], 0]
    found = {}
    for position, landmark in enumerate(rim.tolist()):
        inwards = (face[landmark, 0] - outer) / (inner - outer) / (1.0 - CARUNCLE)
        fraction = inwards if inner > outer else 1.0 - inwards
        if position == 0:
            found[landmark] = opening.ends[0 if inner > outer else 1]
        elif inwards <= 1.0:
            found[landmark] = opening.at(fraction, upper=position >= LID_LOWER)
    return found


def similarity(source: Float64Array, target: Float64Array) -> Float64Array:
    """[3, 4]: the rotation times scale, and the translation, that take source [n, 3] nearest to target [n, 3].

    Umeyama 1991, Least-squares estimation of transformation parameters, IEEE PAMI 13(4), equations 40 to 42.
    """
    middle, to = source.mean(0), target.mean(0)
    left, size, right = np.linalg.svd((target - to).T @ (source - middle))
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(left @ right))])
    turn = (left * sign) @ right * (size @ sign) / ((source - middle) ** 2).sum()
    return np.concatenate([turn, (to - turn @ middle)[:, None]], axis=1)


def _irises(model: FlameModel, front: Front) -> tuple[IndexArray, Float64Array]:
    """Triangles [10] and barycentric places [10, 3] of the right, then the left iris, the eyes looking along z."""
    template = model.template.astype(np.float64)
    between = float(np.linalg.norm(front.eye_centres[0] - front.eye_centres[1]))
    triangles, places = [], []
    for side in (1, 0):
        ball = front.eyeballs[side]
        corners, faces = corners_of(template, model.triangles[ball]), normals_of(template, model.triangles[ball])
        centre = front.eye_centres[side]
        radius = float(np.percentile(np.linalg.norm(corners.reshape(-1, 3) - centre, axis=1), 50))
        aside = np.array(IRIS_DIRECTIONS) * min(IRIS * between / radius, 0.9)
        along = np.concatenate([aside, np.sqrt(1 - (aside**2).sum(1, keepdims=True))], axis=1)
        number, barycentric, _ = nearest(centre + radius * along, along, corners, faces)
        triangles.append(ball[number])
        places.append(barycentric)
    return np.concatenate(triangles), np.concatenate(places)


def main() -> None:
    """Write the open head's correspondence beside this file: ``python -m facewire.models.flame.registration``."""
    model = open_flame()
    with np.load(asset_path("face_geometry")) as geometry:
        made = register(model, geometry["vertices"], geometry["triangles"])
    keep(OPEN_PATH, arrays_of(made))
    print(f"{OPEN_PATH}: {OPEN_PATH.stat().st_size} bytes")
