"""What the skinning kernels read and write: the model in the order in which they read it, one person, and buffers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from facewire.bridge.shared.arrays import Float32Array, Float64Array
from facewire.models.flame.model import JOINTS, POSE_FEATURES, FlameModel

Int32Array = npt.NDArray[np.int32]
Int64Array = npt.NDArray[np.int64]

BLOCK = 64
"""Vertices that are worked on at a time: their sums stay in the nearest cache while the bases stream past once."""
POSE_SIZE = 3 * len(JOINTS)


class Template(NamedTuple):
    """What an identity is made from."""

    rest: Float64Array
    """[v, 3], T̄."""
    basis: Float32Array
    """[s, 3 v], S."""
    regressor: Float64Array
    """[5, v], 𝒥."""
    sums: Float64Array
    """[v, 3], a buffer."""
    shaped: Float32Array
    """[v, 3], T̄ + B_S(β)."""


class Person(NamedTuple):
    """What a frame needs of an identity."""

    blocked: Float32Array
    """[blocks, 3, BLOCK], T̄ + B_S(β)."""
    joints: Float64Array
    """[5, 3], J(β)."""


class Head(NamedTuple):
    """What does not change."""

    parents: Int32Array
    """[5]."""
    moving: Int64Array
    """[m], the pose features whose correctives are not all zero."""
    bases: Float32Array
    """[blocks, e + m, 3, BLOCK]: expression, then the correctives of these features."""
    weights: Float32Array
    """[blocks, 5, 1, BLOCK]."""


class Work(NamedTuple):
    """A frame's input, and buffers."""

    pose: Float32Array
    """[15], axis-angles in radians."""
    translation: Float32Array
    """[3], metres."""
    coefficients: Float32Array
    """[e + m]: the expression, which is the caller's to write; the kernels add the pose features behind it."""
    world: Float64Array
    """[5, 3, 4]."""
    turn: Float64Array
    """[3, 3]."""
    features: Float32Array
    """[36]."""
    active: Int64Array
    """[e + m], the coefficients that are not zero."""
    sums: Float32Array
    """[3, BLOCK]."""
    blend: Float32Array
    """[12, BLOCK]."""


class Posed(NamedTuple):
    """What comes out."""

    joints: Float32Array
    """[5, 3], metres."""
    transforms: Float32Array
    """[5, 3, 4], G'_k."""
    vertices: Float32Array
    """[v, 3], metres."""


def make_template(model: FlameModel, shapes: int) -> Template:
    """Return the first components of a model's identity, as the kernels read them."""
    count = len(model.template)
    basis = np.ascontiguousarray(model.shape_basis.reshape(3 * count, -1)[:, :shapes].T, np.float32)
    sums, shaped = np.empty((count, 3)), np.zeros((count, 3), np.float32)
    return Template(model.template.astype(np.float64), basis, model.joint_regressor.astype(np.float64), sums, shaped)


def make_head(model: FlameModel, expressions: int) -> Head:
    """Return the first components of a model's expression, and all that moves with the pose."""
    blocks = -(-len(model.template) // BLOCK)
    moving = np.abs(model.pose_basis).max((0, 1)) > 0
    bases = [model.expression_basis[:, :, :expressions], model.pose_basis[:, :, moving]]
    joined = _blocked(np.concatenate(bases, axis=2), blocks)
    return Head(model.parents, np.nonzero(moving)[0], joined, _blocked(model.weights[:, None, :], blocks))


def make_person(head: Head) -> Person:
    """Return room for an identity."""
    return Person(np.zeros((len(head.bases), 3, BLOCK), np.float32), np.zeros((len(JOINTS), 3)))


def make_work(head: Head) -> Work:
    """Return buffers."""
    used = head.bases.shape[1]
    return Work(
        np.zeros(POSE_SIZE, np.float32),
        np.zeros(3, np.float32),
        np.zeros(used, np.float32),
        np.zeros((len(JOINTS), 3, 4)),
        np.zeros((3, 3)),
        np.zeros(POSE_FEATURES, np.float32),
        np.zeros(used, np.int64),
        np.zeros((3, BLOCK), np.float32),
        np.zeros((12, BLOCK), np.float32),
    )


def make_posed(count: int) -> Posed:
    """Return room for a posed head of ``count`` vertices."""
    transforms = np.zeros((len(JOINTS), 3, 4), np.float32)
    return Posed(np.zeros((len(JOINTS), 3), np.float32), transforms, np.zeros((count, 3), np.float32))


def _blocked(basis: Float32Array, blocks: int) -> Float32Array:
    """[v, d, k] to [blocks, k, d, BLOCK], zeros at the end: one stretch of memory for each block of vertices."""
    v, d, k = basis.shape
    padded = np.zeros((blocks * BLOCK, d, k), np.float32)
    padded[:v] = basis
    return np.ascontiguousarray(padded.reshape(blocks, BLOCK, d, k).transpose(0, 3, 2, 1))
