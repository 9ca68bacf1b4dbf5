"""Between ARKit's 52 shapes and FLAME's parameters, both ways, for every frame.

ARKit -> FLAME is linear: each shape at 1 is so much expression and so much turn of the jaw (``map_fit`` finds them).
The eyes come from the gaze, which is measured in radians, not from the shapes eyeLook…, which are a network's guess
between 0 and 1; these move the lids. An eye turns about the axis across its line of sight, without rolling (Listing's
law). The neck is not used: the head's pose is in the frame.

FLAME -> ARKit takes eyeLook… from the eyes' turns, and of the other shapes those between 0 and 1 that come nearest to
expression and jaw on the surface: a small quadratic programme with bounds. A mild prior for small weights decides where
shapes can hardly be told apart.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from facewire.models.errors import ModelError
from facewire.models.face.blendshapes import ARKIT_NAMES
from facewire.models.face.jit import kernel
from facewire.models.flame.bounded import BoundedLeastSquares
from facewire.models.flame.map_fit import SHAPES, Maps, maps_of
from facewire.models.flame.model import FlameModel
from facewire.models.flame.skinning import rotation

Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]

LOOK_DOWN_RAD, LOOK_IN_RAD, LOOK_OUT_RAD, LOOK_UP_RAD = 0.289, 0.365, 0.369, 0.187
"""How far the shapes eyeLook… at 1 turn the open head's eyes."""
LOOK_RAD = np.array([LOOK_DOWN_RAD, LOOK_IN_RAD, LOOK_OUT_RAD, LOOK_UP_RAD])
LOOK_LEFT, LOOK_RIGHT = ARKIT_NAMES.index("eyeLookDownLeft"), ARKIT_NAMES.index("eyeLookDownRight")
"""Each is followed by In, Out and Up."""
LOOKS = np.array([first + step for first in (LOOK_LEFT, LOOK_RIGHT) for step in range(4)])
OTHERS = np.array([number for number in range(SHAPES) if number not in LOOKS])
WEIGHT_STD = 3.0
"""Of a shape's weight, on the way back: a prior that no more than breaks ties."""


class ArkitToFlame:
    """Shapes and gaze to expression, jaw and eyes. Keeps nothing from frame to frame and has no delay."""

    def __init__(self, model: FlameModel, maps: Maps | None = None) -> None:
        """Use the model's maps (see ``maps_of``). Raises ModelError where they are another's or cannot be made."""
        found = _checked(model, maps)
        self._matrix = np.ascontiguousarray(np.concatenate([found.expression, found.jaw], axis=1))
        self._parameters = np.zeros(self._matrix.shape[1], np.float32)
        self._eyes = np.zeros(6, np.float32)
        self._result = self._parameters[:-3], self._parameters[-3:], self._eyes

    def step(self, blendshapes: Float32Array, gaze: Float32Array) -> tuple[Float32Array, Float32Array, Float32Array]:
        """Return expression [e] in standard deviations, jaw [3] and eyes [6] (left, right) as axis-angles in radians.

        blendshapes [52] in ARKIT_NAMES' order; gaze [4]: left yaw, left pitch, right yaw, right pitch in radians, +yaw
        to the subject's left, +pitch up. The results are views that are valid until the next call.
        """
        _combine(blendshapes, self._matrix, self._parameters)
        _turn_eyes(gaze, self._eyes)
        return self._result


class FlameToArkit:
    """Expression, jaw and eyes to shapes. Carries over where to begin to look, which the result does not depend on."""

    def __init__(self, model: FlameModel, maps: Maps | None = None) -> None:
        """Use the model's maps (see ``maps_of``). Raises ModelError where they are another's or cannot be made."""
        found = _checked(model, maps)
        columns = np.concatenate([found.expression, found.jaw], axis=1).astype(np.float64)
        self._looks = np.ascontiguousarray(columns[LOOKS])
        self._project = np.ascontiguousarray(columns[OTHERS] @ found.metric)
        quadratic = self._project @ columns[OTHERS].T + np.eye(len(OTHERS)) / WEIGHT_STD**2
        self._solver = BoundedLeastSquares(quadratic)
        self._rest = np.zeros(columns.shape[1])
        self._linear = np.zeros(len(OTHERS))
        self._look = np.zeros(len(LOOKS))
        self._turn = np.zeros((3, 3))
        self._blendshapes = np.zeros(SHAPES, np.float32)

    def step(self, expression: Float32Array, jaw: Float32Array, eyes: Float32Array) -> Float32Array:
        """Return the blendshapes [52], 0..1: a view that is valid until the next call.

        expression [e] in standard deviations, jaw [3] and eyes [6] (left, right) as axis-angles in radians.
        """
        _look_from_eyes(eyes, LOOK_RAD, self._turn, self._look)
        _project(expression, jaw, self._look, self._looks, self._project, self._rest, self._linear)
        _put(self._look, LOOKS, self._solver.solve(self._linear), OTHERS, self._blendshapes)
        return self._blendshapes


def gaze_of(blendshapes: Float32Array) -> Float32Array:
    """The gaze [4] in radians that the shapes eyeLook… stand for, for shapes [52] that come without one."""
    gaze = np.zeros(4, np.float32)
    for side, first in enumerate((LOOK_LEFT, LOOK_RIGHT)):
        down, inwards, outwards, up = blendshapes[first : first + 4] * LOOK_RAD
        gaze[2 * side] = (outwards - inwards) * (1 if side == 0 else -1)
        gaze[2 * side + 1] = up - down
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
        raise ModelError(f"these maps are another model's, not {model.name}'s: register {model.name} anew")
    return found


@kernel
def _combine(weights: Float32Array, matrix: Float32Array, result: Float32Array) -> None:
    result[:] = 0.0
    for k in range(matrix.shape[0]):
        if weights[k] != 0.0:
            for i in range(result.shape[0]):
                result[i] += weights[k] * matrix[k, i]


@kernel
def _turn_eyes(gaze: Float32Array, eyes: Float32Array) -> None:
    """From yaw and pitch to the shortest turn that takes +z to the line of sight: its axis is z x sight."""
    for side in range(2):
        yaw, pitch = float(gaze[2 * side]), float(gaze[2 * side + 1])
        x, y, z = math.cos(pitch) * math.sin(yaw), math.sin(pitch), math.cos(pitch) * math.cos(yaw)
        sine = math.sqrt(x * x + y * y)
        scale = math.atan2(sine, z) / sine if sine > 1e-9 else 1.0
        eyes[3 * side], eyes[3 * side + 1], eyes[3 * side + 2] = -scale * y, scale * x, 0.0


@kernel
def _look_from_eyes(eyes: Float32Array, look_rad: Float64Array, turn: Float64Array, look: Float64Array) -> None:
    """Down, in, out and up of the left, then of the right eye, 0..1."""
    for side in range(2):
        rotation(eyes[3 * side : 3 * side + 3], turn)
        yaw = math.atan2(turn[0, 2], turn[2, 2])
        pitch = math.asin(min(max(turn[1, 2], -1.0), 1.0))
        outwards = yaw if side == 0 else -yaw
        look[4 * side] = min(max(-pitch / look_rad[0], 0.0), 1.0)
        look[4 * side + 1] = min(max(-outwards / look_rad[1], 0.0), 1.0)
        look[4 * side + 2] = min(max(outwards / look_rad[2], 0.0), 1.0)
        look[4 * side + 3] = min(max(pitch / look_rad[3], 0.0), 1.0)


@kernel
def _project(
    expression: Float32Array,
    jaw: Float32Array,
    look: Float64Array,
    looks: Float64Array,
    projection: Float64Array,
    rest: Float64Array,
    linear: Float64Array,
) -> None:
    """What is left of the parameters without the lids' following of the eyes, seen by each of the other shapes."""
    count = expression.shape[0]
    for i in range(rest.shape[0]):
        rest[i] = expression[i] if i < count else jaw[i - count]
        for k in range(look.shape[0]):
            rest[i] -= look[k] * looks[k, i]
    for k in range(linear.shape[0]):
        linear[k] = 0.0
        for i in range(rest.shape[0]):
            linear[k] += projection[k, i] * rest[i]


@kernel
def _put(
    look: Float64Array,
    looks: npt.NDArray[np.int64],
    weights: Float64Array,
    others: npt.NDArray[np.int64],
    blendshapes: Float32Array,
) -> None:
    for k in range(looks.shape[0]):
        blendshapes[looks[k]] = look[k]
    for k in range(others.shape[0]):
        blendshapes[others[k]] = weights[k]
