"""Between ARKit's 52 shapes and FLAME's parameters, both ways, for every frame.

ARKit -> FLAME is linear: each shape at 1 is so much expression and so much turn of the jaw (``map_fit`` finds them).
The eyes come from the gaze, which is measured in radians, not from the shapes eyeLook…, which are a network's guess
between 0 and 1; these move the lids. An eye turns about the axis across its line of sight, without rolling (Listing's
law). The neck is not used: the head's pose is in the frame.

FLAME -> ARKit finds the shapes between 0 and 1 that come nearest to expression and jaw on the surface and to the eyes'
yaw and pitch: a small quadratic programme with bounds. A mild prior for small weights decides where shapes can hardly
be told apart.
"""

from __future__ import annotations

import math

import numpy as np

from facewire.bridge.shared.arkit import BLENDSHAPES
from facewire.bridge.shared.arrays import Float32Array, Float64Array
from facewire.models.errors import ModelError
from facewire.models.flame.maps.bounded import BoundedLeastSquares
from facewire.models.flame.maps.map_fit import SHAPES, Maps, maps_of
from facewire.models.flame.model import FlameModel
from facewire.models.flame.rotations import eyes_of
from facewire.models.flame.skin.skin_kernels import rotation
from facewire.models.jit import kernel

LOOK_DOWN_RAD, LOOK_IN_RAD, LOOK_OUT_RAD, LOOK_UP_RAD = 0.289, 0.365, 0.369, 0.187
"""How far the shapes eyeLook… at 1 turn the open head's eyes."""
EYES_AND_JAW = 4 + 3
"""What follows expression on the way back: jaw [3], and yaw and pitch of both eyes."""
GAZE_STD_RAD = 0.05
"""How far the eyes of a fitted or tracked face are from what the lids tell."""
WEIGHT_STD, WEIGHT_COST = 3.0, 0.5
"""Priors for small weights on the way back: they no more than break ties, as between looking in and out, which move the
lids by each other's opposite: one of the two is enough."""


def _gaze_of_shapes() -> Float64Array:
    """[52, 4]: left yaw, left pitch, right yaw, right pitch in radians of each shape at 1."""
    turns = np.zeros((SHAPES, 4))
    for side, (yaw, pitch, inwards) in {"Left": (0, 1, -1.0), "Right": (2, 3, 1.0)}.items():
        turns[BLENDSHAPES.index(f"eyeLookIn{side}"), yaw] = inwards * LOOK_IN_RAD
        turns[BLENDSHAPES.index(f"eyeLookOut{side}"), yaw] = -inwards * LOOK_OUT_RAD
        turns[BLENDSHAPES.index(f"eyeLookUp{side}"), pitch] = LOOK_UP_RAD
        turns[BLENDSHAPES.index(f"eyeLookDown{side}"), pitch] = -LOOK_DOWN_RAD
    return turns


GAZE_OF_SHAPES = _gaze_of_shapes()


class ArkitToFlame:
    """Shapes and gaze to expression, jaw and eyes. Keeps nothing from frame to frame and has no delay."""

    def __init__(self, model: FlameModel, maps: Maps | None = None) -> None:
        """Use the model's maps (see ``maps_of``).

        Raises:
            ModelError: the maps are another model's or cannot be made.
        """
        found = _checked(model, maps)
        self._matrix = np.ascontiguousarray(np.concatenate([found.expression, found.jaw], axis=1))
        self._parameters = np.zeros(self._matrix.shape[1], np.float32)
        self._eyes = np.zeros(6, np.float32)
        self._result = self._parameters[:-3], self._parameters[-3:], self._eyes

    def step(self, blendshapes: Float32Array, gaze: Float32Array) -> tuple[Float32Array, Float32Array, Float32Array]:
        """Return expression [e] in standard deviations, jaw [3] and eyes [6] (left, right) as axis-angles in radians.

        blendshapes [52] in BLENDSHAPES' order; gaze [4]: left yaw, left pitch, right yaw, right pitch in radians, +yaw
        to the subject's left, +pitch up. The results are views that are valid until the next call.
        """
        _combine(blendshapes, self._matrix, self._parameters)
        eyes_of(gaze, self._eyes)
        return self._result


class FlameToArkit:
    """Expression, jaw and eyes to shapes. State: where to begin to look, which the result does not depend on."""

    def __init__(self, model: FlameModel, maps: Maps | None = None) -> None:
        """Use the model's maps (see ``maps_of``).

        Raises:
            ModelError: the maps are another model's or cannot be made.
        """
        found = _checked(model, maps)
        columns = np.concatenate([found.expression, found.jaw, GAZE_OF_SHAPES], axis=1).astype(np.float64)
        size = columns.shape[1]
        metric = np.eye(size) / GAZE_STD_RAD**2
        metric[:-4, :-4] = found.metric
        self._project = np.ascontiguousarray(columns @ metric)
        self._solver = BoundedLeastSquares(self._project @ columns.T + np.eye(SHAPES) / WEIGHT_STD**2)
        self._parameters, self._expressions = np.zeros(size), size - EYES_AND_JAW
        self._linear = np.zeros(SHAPES)
        self._turn = np.zeros((3, 3))
        self._blendshapes = np.zeros(SHAPES, np.float32)

    def step(self, expression: Float32Array, jaw: Float32Array, eyes: Float32Array) -> Float32Array:
        """Return the blendshapes [52], 0..1: a view that is valid until the next call.

        expression [e], the model's or the first of them, in standard deviations; jaw [3] and eyes [6] (left, right) as
        axis-angles in radians.

        Raises:
            ModelError: they are of other sizes.
        """
        if len(expression) > self._expressions or len(jaw) != 3 or len(eyes) != 6:
            given = f"{len(expression)}, {len(jaw)} and {len(eyes)}"
            raise ModelError(f"expression, jaw and eyes have {given} values, not {self._expressions} at most, 3 and 6")
        _gather(expression, jaw, eyes, self._expressions, self._turn, self._parameters)
        _project(self._project, self._parameters, self._linear)
        self._linear -= WEIGHT_COST
        self._blendshapes[:] = self._solver.solve(self._linear)
        return self._blendshapes


def gaze_of(blendshapes: Float32Array) -> Float32Array:
    """Return the gaze [4] in radians that the shapes eyeLook… stand for, for shapes [52] that come without one."""
    gaze: Float32Array = (blendshapes @ GAZE_OF_SHAPES).astype(np.float32)
    return gaze


def there_and_back(model: FlameModel, maps: Maps) -> Float32Array:
    """[52]: by how much any shape is off at most after ARKit -> FLAME -> ARKit, for each shape alone at 1."""
    there, back = ArkitToFlame(model, maps), FlameToArkit(model, maps)
    off = np.zeros(SHAPES, np.float32)
    for number, alone in enumerate(np.eye(SHAPES, dtype=np.float32)):
        off[number] = np.abs(back.step(*there.step(alone, gaze_of(alone))) - alone).max()
    return off


def _checked(model: FlameModel, maps: Maps | None) -> Maps:
    found = maps_of(model) if maps is None else maps
    if found.digest != model.digest:
        raise ModelError(f"these maps are another model's, not {model.name}'s: register {model.name} again")
    return found


@kernel
def _combine(weights: Float32Array, matrix: Float32Array, result: Float32Array) -> None:
    result[:] = 0.0
    for k in range(matrix.shape[0]):
        if weights[k] != 0.0:
            for i in range(result.shape[0]):
                result[i] += weights[k] * matrix[k, i]


@kernel
def _gather(
    expression: Float32Array,
    jaw: Float32Array,
    eyes: Float32Array,
    count: int,
    turn: Float64Array,
    parameters: Float64Array,
) -> None:
    """Write expression, ``count`` with zeros for those that are not given, jaw and gaze, one after the other."""
    parameters[: expression.shape[0]] = expression
    parameters[expression.shape[0] : count] = 0.0
    parameters[count : count + 3] = jaw
    for side in range(2):
        rotation(eyes[3 * side : 3 * side + 3], turn)
        at = count + 3 + 2 * side
        parameters[at] = math.atan2(turn[0, 2], turn[2, 2])
        parameters[at + 1] = math.asin(min(max(turn[1, 2], -1.0), 1.0))


@kernel
def _project(projection: Float64Array, parameters: Float64Array, linear: Float64Array) -> None:
    """Return the product of a matrix [n, p] and parameters [p]."""
    for k in range(linear.shape[0]):
        total = 0.0
        for i in range(parameters.shape[0]):
            total += projection[k, i] * parameters[i]
        linear[k] = total
