"""The open head's expression basis: what ARKit's shapes do beyond turns of jaw and eyes. Part of ``build``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from facewire.models.flame.build.rig import JAW, LEFT_EYE, RIGHT_EYE, Indices, Rig, parts_of
from facewire.models.flame.model import JOINTS
from facewire.models.head import HeadMesh

Array = npt.NDArray[np.float64]

COMPONENTS = 50
USUAL_WEIGHT = 0.3
"""Root mean square of an ARKit weight on a moving face: what makes a coefficient of 1 a usual amount."""
SMALLEST_SHARE = 0.5
"""A jaw turn that explains less than this share of a shape's motion is not a turn of the jaw."""
JAW_SHAPES = ("jawForward", "jawLeft", "jawOpen", "jawRight")


@dataclass(frozen=True)
class Expressions:
    """Basis [v, 3, e] in metres, and for each ARKit shape its coefficients [52, e] and joint turns [52, 15]."""

    basis: Array
    coefficients: Array
    poses: Array
    spectrum: Array
    """Singular values of all components, of which the basis holds the first."""


def make_expressions(head: HeadMesh, rig: Rig, names: list[str]) -> Expressions:
    """Take the turns out of each shape, undo the skinning of what is left, and find the main components of that."""
    parts, rest = parts_of(head), head.vertices.astype(np.float64)
    poses = np.stack([joint_turns(name, head, rig, parts) for name in names])
    left = np.stack(
        [unpose(rest + head.shapes[name], rest, rig, pose) for name, pose in zip(names, poses, strict=True)]
    )
    # Eyeballs are moved by their joints only, and the upper teeth by nothing.
    left[:, np.concatenate([parts[part] for part in ("left_eye", "right_eye", "upper_teeth")])] = 0
    basis, spectrum = components(USUAL_WEIGHT * left.reshape(len(names), -1), head.mirror)
    basis = basis[:COMPONENTS]
    coefficients = np.linalg.lstsq(basis.T, left.reshape(len(names), -1).T, rcond=None)[0].T
    return Expressions(basis.T.reshape(len(rest), 3, -1), coefficients, poses, spectrum)


def joint_turns(name: str, head: HeadMesh, rig: Rig, parts: dict[str, Indices]) -> Array:
    """Axis-angles of the joints, [15] in radians, that explain most of a shape's motion."""
    pose = np.zeros((len(JOINTS), 3))
    if name == "jawOpen":
        pose[JAW, 0] = rig.open_rad
    elif name in JAW_SHAPES:
        pose[JAW] = best_turn(head, head.shapes[name], rig.joints[JAW], rig.weights[:, JAW])
    elif name.startswith("eyeLook"):
        side, joint = ("left_eye", LEFT_EYE) if name.endswith("Left") else ("right_eye", RIGHT_EYE)
        front = parts[side][head.vertices[parts[side], 2] > rig.joints[joint][2]]
        only_eye = np.zeros(len(head.vertices))
        only_eye[front] = 1
        pose[joint] = best_turn(head, head.shapes[name], rig.joints[joint], only_eye)
    return pose.ravel()


def best_turn(head: HeadMesh, motion: npt.ArrayLike, joint: Array, weights: Array) -> Array:
    """Return the axis-angle about ``joint`` by which vertices, as far as they follow it, come nearest to ``motion``.

    Gauss-Newton on the three angles. None at all where the turn explains too little.
    """
    moved = np.asarray(motion, np.float64)
    arms = head.vertices.astype(np.float64) - joint
    turn: Array = np.zeros(3)
    for _ in range(10):
        now: Array = arms @ matrix(turn).T
        missing = moved - weights[:, None] * (now - arms)
        columns = [weights[:, None] * np.cross(axis, now) for axis in np.eye(3)]
        system = np.stack([column.ravel() for column in columns], 1)
        step = np.asarray(np.linalg.lstsq(system, missing.ravel(), rcond=None)[0], np.float64)
        turn = axis_angle(matrix(step) @ matrix(turn))
    followed = weights > 0
    missing = moved - weights[:, None] * (arms @ matrix(turn).T - arms)
    explained = 1 - np.sum(missing[followed] ** 2) / np.sum(moved[followed] ** 2)
    return turn if explained >= SMALLEST_SHARE else np.zeros(3)


def unpose(posed: Array, rest: Array, rig: Rig, pose: Array) -> Array:
    """Return what must be added to ``rest`` [v, 3] so that skinning with ``pose`` gives ``posed``.

    Only jaw and eyes turn, which have no joint below them.
    """
    blend = np.zeros((len(rest), 3, 4))
    for joint, place in enumerate(rig.joints):
        turn = matrix(pose[3 * joint : 3 * joint + 3])
        blend += rig.weights[:, joint, None, None] * np.column_stack([turn, place - turn @ place])
    unposed = np.linalg.solve(blend[:, :, :3], (posed - blend[:, :, 3])[..., None])[..., 0]
    return np.asarray(unposed - rest, np.float64)


def components(rows: Array, mirror: npt.NDArray[np.int32]) -> tuple[Array, Array]:
    """Principal components of rows [n, 3 v] about zero, each times its singular value, the largest first.

    Every one is symmetric or antisymmetric: left and right halves of the face are known to be alike.
    """
    motions = rows.reshape(len(rows), -1, 3)
    flipped = motions[:, mirror] * [-1, 1, 1]
    found, sizes = [], []
    for half in ((motions + flipped) / 2, (motions - flipped) / 2):
        # The rows are many times longer than many: their products' eigenvectors give the components.
        flat = half.reshape(len(rows), -1)
        values, vectors = np.linalg.eigh(flat @ flat.T)
        kept = values > 1e-9 * values.max()
        found.append((vectors.T @ flat)[kept])
        sizes.append(np.sqrt(values[kept]))
    size = np.concatenate(sizes)
    order = np.argsort(-size, kind="stable")
    return with_sign(np.concatenate(found)[order]), size[order]


def with_sign(basis: Array) -> Array:
    """Choose each component's sign so that its largest entry is positive: the same on every machine."""
    largest = np.take_along_axis(basis, np.abs(basis).argmax(1)[:, None], 1)
    signed: Array = basis * np.sign(largest)
    return signed


def matrix(turn: Array) -> Array:
    """Rodrigues' formula: axis-angle [3] in radians to [3, 3]."""
    angle = float(np.linalg.norm(turn))
    x, y, z = turn / max(angle, 1e-12)
    skew = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    rotation: Array = np.eye(3) + np.sin(angle) * skew + (1 - np.cos(angle)) * skew @ skew
    return rotation


def axis_angle(rotation: Array) -> Array:
    """Return the axis-angle [3] of a turn by much less than half a circle."""
    axis = np.array([rotation[2, 1] - rotation[1, 2], rotation[0, 2] - rotation[2, 0], rotation[1, 0] - rotation[0, 1]])
    sine = float(np.linalg.norm(axis)) / 2
    angle = np.arctan2(sine, (np.trace(rotation) - 1) / 2)
    turned: Array = axis / 2 * (angle / sine if sine > 1e-12 else 1.0)
    return turned
