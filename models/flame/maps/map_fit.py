"""What each of ARKit's shapes is in a FLAME model's parameters: regularised least squares on the surface.

A shape is a motion of the skin. The turn of the jaw is found first, for the four shapes of the jaw, with the
expression beside it and near rest, as ``vertices.tangent`` has it (Li et al. 2017, section 3, equations 1 to 3); then,
with the jaw turned by just that, the expression, in which skinning is linear. Priors keep coefficients within what
FLAME was trained on.

Eyeballs are left out: they are turned by the gaze (see ``maps``), and what is left of the shapes eyeLook… is the
motion of the lids. The tongue is not part of FLAME: tongueOut is nothing, but on the open head, which has one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from facewire.bridge.shared.arkit import BLENDSHAPES
from facewire.bridge.shared.arrays import Float32Array, Float64Array
from facewire.models.flame.files import open_flame
from facewire.models.flame.kept import keep, kept_path, read_kept
from facewire.models.flame.model import JOINTS, FlameModel
from facewire.models.flame.registration.lookup import correspondence_of
from facewire.models.flame.skin.skin_kernels import rotation
from facewire.models.flame.vertices import (
    BEND_STD,
    EXPRESSION_STD,
    JAW,
    JAW_CORRECTIVES,
    TURN_STD,
    limit,
    tangent,
)
from facewire.models.head import load_head

VERSION = 2
"""Raise this whenever maps come out otherwise: every kept one is then made again."""
NOISE_M = 5e-4
"""How far a shape on a vertex may be from what FLAME can do."""
JAW_SHAPES = ("jawForward", "jawRight", "jawLeft", "jawOpen")
SHAPES = len(BLENDSHAPES)
STILL_M = 1e-4
"""A vertex that a shape moves less than this counts for no residual."""


@dataclass(frozen=True, slots=True, eq=False)
class Maps:
    """ARKit's shapes as FLAME's parameters, and how well they fit."""

    expression: Float32Array
    """[52, e]: what a shape at 1 is, in standard deviations."""
    jaw: Float32Array
    """[52, 3]: how it turns the jaw, axis-angle in radians."""
    metric: Float64Array
    """[e + 3, e + 3]: squared distance between parameters (expression, jaw), on the surface and under the priors."""
    motion_m: Float32Array
    """[52]: how far a shape moves the vertex that it moves most; 0 for one that the model cannot have."""
    residual_m: Float32Array
    """[52]: root mean square of what is missing, over the vertices that a shape moves."""
    worst_m: Float32Array
    """[52]: the most that is missing at one vertex."""
    digest: str
    """That of the model."""

    def summary(self) -> str:
        """Return the residuals in one line."""
        worst = int(self.residual_m.argmax())
        mean_mm, worst_mm = 1e3 * float(self.residual_m.mean()), 1e3 * float(self.residual_m[worst])
        return (
            f"mean {mean_mm:.2f} mm (root mean square of each shape), most of {BLENDSHAPES[worst]}, {worst_mm:.2f} mm"
        )


def maps_of(model: FlameModel, *, again: bool = False) -> Maps:
    """Return the maps of a model: the open head's from its own shapes, any other's made once (seconds) and kept in the
    cache.

    ``again`` makes them once more.

    Raises:
        ModelError: the model is not a human face, or the cache cannot be written.
    """
    if model.digest == open_flame().digest:
        return _open_maps()
    path = maps_path(model)
    stored = None if again else read_kept(path, model.digest)
    if stored is not None:
        known = _from_arrays(stored, model)
        if known is not None:
            return known
    # Only here, as its kernels take a while to compile.
    from facewire.models.flame.registration.carry import carry

    head = open_flame()
    made = fit_maps(model, *carry(model, correspondence_of(model), head, correspondence_of(head), arkit_motions()))
    keep(path, {name: np.asarray(getattr(made, name)) for name in Maps.__slots__})
    return made


def maps_path(model: FlameModel) -> Path:
    """Where the maps of a model are kept: they are made of the open head's shapes, so its digest is in the name."""
    return kept_path(model, f"maps-{open_flame().digest[:8]}", VERSION)


@cache
def _open_maps() -> Maps:
    """All of the open head counts but its eyeballs: it has teeth and a tongue of its own, which the shapes move."""
    head = open_flame()
    eyeballs = head.weights[:, [JOINTS.index("left_eye"), JOINTS.index("right_eye")]].sum(1) > 0.5
    return fit_maps(head, arkit_motions(), np.where(eyeballs, 0.0, 1.0))


def arkit_motions() -> Float64Array:
    """[52, v, 3]: how each shape at 1 moves the vertices of the open head, in metres."""
    shapes = load_head().shapes
    return np.stack([shapes[name] for name in BLENDSHAPES]).astype(np.float64)


def _from_arrays(stored: dict[str, npt.NDArray[np.generic]], model: FlameModel) -> Maps | None:
    sizes = {
        "expression": (SHAPES, model.expressions),
        "jaw": (SHAPES, 3),
        "metric": (model.expressions + 3,) * 2,
        "motion_m": (SHAPES,),
        "residual_m": (SHAPES,),
        "worst_m": (SHAPES,),
    }
    if any(name not in stored or stored[name].shape != size for name, size in sizes.items()):
        return None
    arrays = {name: stored[name].astype(np.float64 if name == "metric" else np.float32) for name in sizes}
    return Maps(**arrays, digest=model.digest)  # type: ignore[arg-type]


def fit_maps(model: FlameModel, motions: Float64Array, weights: Float64Array) -> Maps:
    """Fit all shapes: motions [52, v, 3] in metres of the model's vertices, of which each counts by weights [v]."""
    counted = weights > 0
    root = np.sqrt(weights[counted])[:, None]
    design = tangent(model).reshape(len(weights), 3, -1)[counted] * root[:, :, None] / NOISE_M
    design = design.reshape(-1, design.shape[2])
    count = model.expressions
    deviation = np.concatenate([np.full(count, EXPRESSION_STD), np.full(3, TURN_STD), np.full(6, BEND_STD)])
    normal = design.T @ design + np.diag(deviation**-2)
    wanted = motions[:, counted]
    jaw = np.zeros((SHAPES, 3), np.float32)
    expression, residual = np.zeros((SHAPES, count)), np.zeros_like(wanted)
    still = [number for number, name in enumerate(BLENDSHAPES) if name not in JAW_SHAPES]
    expression[still], residual[still] = _fit_expression(model, counted, root, jaw[still[0]], wanted[still])
    for number in map(BLENDSHAPES.index, JAW_SHAPES):
        jaw[number] = _turn((wanted[number] * root / NOISE_M).ravel(), design, normal)
        fitted = _fit_expression(model, counted, root, jaw[number], wanted[number : number + 1])
        expression[number], residual[number] = fitted[0][0], fitted[1][0]
    size, missing = np.linalg.norm(wanted, axis=2), np.linalg.norm(residual, axis=2)
    moved = size > STILL_M
    square = (np.where(moved, missing, 0) ** 2).sum(1) / np.maximum(moved.sum(1), 1)
    return Maps(
        expression.astype(np.float32),
        jaw,
        normal[: count + 3, : count + 3],
        size.max(1).astype(np.float32),
        np.sqrt(square).astype(np.float32),
        missing.max(1).astype(np.float32),
        model.digest,
    )


def _turn(motion: Float64Array, design: Float64Array, normal: Float64Array) -> Float32Array:
    """Return the jaw's turn [3] that explains a motion [3 c] best, in the design's units, beside the expression."""
    found = np.ascontiguousarray(np.linalg.solve(normal, design.T @ motion)[:-6], np.float32)
    limit(found)
    return found[-3:]


def _fit_expression(
    model: FlameModel, counted: npt.NDArray[np.bool_], root: Float64Array, jaw: Float32Array, motions: Float64Array
) -> tuple[Float64Array, Float64Array]:
    """Expressions [k, e] that with the jaw turned so give the motions [k, c, 3] best, and what is missing of these."""
    turn = np.empty((3, 3))
    rotation(jaw, turn)
    turn -= np.eye(3)
    template = model.template.astype(np.float64)
    joint = model.joint_regressor[JAW].astype(np.float64) @ template
    follows = model.weights[counted, JAW, None].astype(np.float64)
    moved = model.pose_basis[counted][:, :, JAW_CORRECTIVES].astype(np.float64) @ turn.ravel()
    moved += follows * ((template[counted] + moved - joint) @ turn.T)
    basis = model.expression_basis[counted].astype(np.float64)
    basis = basis + follows[:, :, None] * np.einsum("ab,vbe->vae", turn, basis)
    rows = (basis * root[:, :, None] / NOISE_M).reshape(-1, model.expressions)
    wanted = motions - moved
    normal = rows.T @ rows + np.eye(model.expressions) / EXPRESSION_STD**2
    expression = np.linalg.solve(normal, rows.T @ (wanted * root / NOISE_M).reshape(len(motions), -1).T).T
    given = (expression @ basis.reshape(-1, model.expressions).T).reshape(wanted.shape)
    return expression, wanted - given
