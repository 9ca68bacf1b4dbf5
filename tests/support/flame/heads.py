"""Heads to test with: like the open head, and not it."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from facewire.models.flame import FlameModel
from facewire.models.flame.registration.surface import components_of


def without_inner_parts(model: FlameModel, seed: int) -> tuple[FlameModel, NDArray[np.intp]]:
    """Return the model without teeth, tongue and brows, as FLAME is, its vertices and triangles in another order.

    And which of the model's vertices each one is.
    """
    rng = np.random.default_rng(seed)
    label = components_of(model.triangles, len(model.template))
    skin = np.bincount(label).argmax()
    kept = np.nonzero((label == skin) | (model.weights[:, 3:] > 0.5).any(1))[0]
    kept = rng.permutation(kept)
    number = np.full(len(model.template), -1, np.int32)
    number[kept] = np.arange(len(kept))
    triangles = number[model.triangles]
    triangles = rng.permutation(triangles[(triangles >= 0).all(1)])
    regressor = model.joint_regressor[:, kept]
    by_vertex = ("template", "shape_basis", "expression_basis", "pose_basis", "weights")
    arrays = {name: getattr(model, name)[kept] for name in by_vertex}
    changed = dataclasses.replace(
        model,
        **arrays,
        triangles=triangles,
        joint_regressor=regressor / regressor.sum(1, keepdims=True),
        digest="0" * 64,
        name="a test's head",
    )
    return changed, kept
