"""The open head's joints, skinning weights and joint regressor: part of ``build``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from facewire.models.flame.model import JOINTS
from facewire.models.head import HeadMesh

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

ROOT, NECK, JAW, LEFT_EYE, RIGHT_EYE = range(len(JOINTS))
NECK_TILT = 0.5
NECK_FROM_M, NECK_TO_M = -0.115, -0.045
"""Where the neck begins to follow the head and where it is the head, by y + NECK_TILT * z: lower at the nape."""
SMOOTHINGS = 4
NEAREST = {ROOT: 60, NECK: 80, JAW: 40}
"""How many vertices say where a joint is."""
HINGE_SIDE_M = 0.07
"""How far the skin is from the middle, where the jaw hangs on."""


@dataclass(frozen=True)
class Rig:
    """Joints [5, 3] in metres, weights [v, 5], regressor [5, v], and the jaw's turn in jawOpen in radians."""

    joints: Array
    weights: Array
    regressor: Array
    open_rad: float


def make_rig(head: HeadMesh) -> Rig:
    """Rig the head from what its own shapes show: jawOpen for the jaw, the eyeballs for the eyes."""
    parts = parts_of(head)
    vertices = head.vertices.astype(np.float64)
    open_rad, jaw = hinge(vertices[parts["lower_teeth"]], head.shapes["jawOpen"][parts["lower_teeth"]])
    joints = np.stack(
        [head.joints["neck"], head.joints["head"], jaw, head.joints["left_eye"], head.joints["right_eye"]]
    ).astype(np.float64)
    weights = np.zeros((len(vertices), len(JOINTS)))
    weights[:, NECK] = smoothstep(
        (vertices[:, 1] + NECK_TILT * vertices[:, 2] - NECK_FROM_M) / (NECK_TO_M - NECK_FROM_M)
    )
    weights[:, JAW] = jaw_weights(head, parts, jaw, open_rad)
    weights[:, NECK] *= 1 - weights[:, JAW]
    weights[:, ROOT] = np.maximum(1 - weights[:, NECK] - weights[:, JAW], 0)
    for joint, name in ((LEFT_EYE, "left_eye"), (RIGHT_EYE, "right_eye")):
        weights[parts[name]] = np.eye(len(JOINTS))[joint]
    return Rig(joints, weights, make_regressor(vertices, joints, parts, head.mirror), open_rad)


def parts_of(head: HeadMesh) -> dict[str, Indices]:
    """Return the vertices of lower_teeth, upper_teeth, tongue, left_eye, right_eye, brows and skin (with the mouth)."""

    def of(*materials: str) -> Indices:
        spans = (head.materials[material] for material in materials)
        return np.unique(np.concatenate([head.triangles[start : start + count] for start, count in spans]))

    teeth, eyes = of("teeth"), of("pupil", "iris", "sclera")
    low = np.abs(head.shapes["jawOpen"][teeth]).max(1) > 1e-3
    left = head.vertices[eyes, 0] > 0
    return {
        "lower_teeth": teeth[low],
        "upper_teeth": teeth[~low],
        "tongue": of("tongue"),
        "left_eye": eyes[left],
        "right_eye": eyes[~left],
        "brows": of("brows"),
        "skin": of("skin", "lips", "mouth"),
    }


def hinge(places: Array, motion: npt.ArrayLike) -> tuple[float, Array]:
    """Return the turn about x in radians, and the axis' place in the plane x = 0, that move ``places`` by ``motion``.

    Least squares in the plane (Kabsch 1976), then the point that the motion leaves where it is.
    """
    before = places[:, 1:]
    after = before + np.asarray(motion, np.float64)[:, 1:]
    a, b = before - before.mean(0), after - after.mean(0)
    angle = float(np.arctan2(np.sum(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]), np.sum(a * b)))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    centre = np.linalg.solve(np.eye(2) - turn, after.mean(0) - turn @ before.mean(0))
    return angle, np.array([0.0, *centre])


def jaw_weights(head: HeadMesh, parts: dict[str, Indices], jaw: Array, open_rad: float) -> Array:
    """How much of the jaw's turn each vertex makes in jawOpen, 0 to 1, made smooth over the skin."""
    turned = turn_about_x(head.vertices - jaw, open_rad) - (head.vertices - jaw)
    motion = head.shapes["jawOpen"].astype(np.float64)
    share = np.clip(np.sum(motion * turned, 1) / np.maximum(np.sum(turned * turned, 1), 1e-9), 0, 1)
    share = share_alike(share, head.triangles, SMOOTHINGS)
    share[parts["lower_teeth"]] = 1
    for part in ("upper_teeth", "brows", "left_eye", "right_eye"):
        share[parts[part]] = 0
    return (share + share[head.mirror]) / 2


def turn_about_x(places: Array, angle_rad: float) -> Array:
    """Turn [n, 3] about the x axis; positive opens a jaw."""
    c, s = np.cos(angle_rad), np.sin(angle_rad)
    turned: Array = places @ np.array([[1, 0, 0], [0, c, -s], [0, s, c]]).T
    return turned


def share_alike(values: Array, triangles: npt.NDArray[np.int32], rounds: int) -> Array:
    """Average each vertex with its neighbours' mean, some rounds."""
    edges = np.unique(
        np.sort(np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])), axis=0
    )
    degree = np.maximum(np.bincount(edges.ravel(), minlength=len(values)), 1)
    for _ in range(rounds):
        total = np.zeros_like(values)
        np.add.at(total, edges[:, 0], values[edges[:, 1]])
        np.add.at(total, edges[:, 1], values[edges[:, 0]])
        values = (values + total / degree) / 2
    return values


def smoothstep(x: Array) -> Array:
    """0 below 0, 1 above 1, and smooth in between."""
    x = np.clip(x, 0, 1)
    eased: Array = x * x * (3 - 2 * x)
    return eased


def make_regressor(vertices: Array, joints: Array, parts: dict[str, Indices], mirror: npt.NDArray[np.int32]) -> Array:
    """Return [5, v]: each joint as a sum of few vertices whose weights are as equal as its place allows.

    The weights sum to 1 and give the joint exactly, so it moves and grows as those vertices do.
    """
    regressor = np.zeros((len(joints), len(vertices)))
    skin = vertices[parts["skin"]]
    for joint, place in enumerate(joints):
        if joint in (LEFT_EYE, RIGHT_EYE):
            chosen = parts["left_eye" if joint == LEFT_EYE else "right_eye"]
        elif joint == JAW:  # Where the jaw hangs on: the skin at both sides of its axis.
            to_side = np.hypot(np.abs(skin[:, 0]) - HINGE_SIDE_M, np.hypot(*(skin[:, 1:] - place[1:]).T))
            chosen = parts["skin"][np.argsort(to_side, kind="stable")[: NEAREST[joint]]]
        else:  # A ring around the neck, level with the joint.
            behind = skin[:, 2] < place[2] + 0.06
            level = np.where(behind, np.abs(skin[:, 1] - place[1]), np.inf)
            chosen = parts["skin"][np.argsort(level, kind="stable")[: NEAREST[joint]]]
        regressor[joint, chosen] = affine_weights(vertices[chosen], place)
    other = [ROOT, NECK, JAW, RIGHT_EYE, LEFT_EYE]
    symmetric: Array = (regressor + regressor[other][:, mirror]) / 2
    return symmetric


def affine_weights(places: Array, target: Array) -> Array:
    """Weights nearest to equal ones that sum to 1 and put ``places`` [n, 3] at ``target`` [3]."""
    rows = np.vstack([places.T, np.ones(len(places))])
    equal = np.full(len(places), 1 / len(places))
    missing = np.array([*target, 1.0]) - rows @ equal
    weights: Array = equal + np.linalg.lstsq(rows, missing, rcond=None)[0]
    return weights
