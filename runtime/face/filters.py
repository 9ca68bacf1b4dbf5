"""One-Euro filters for a face, compiled with numba: shapes on the line, head turn and gaze on the sphere.

One-Euro is a first-order low-pass whose cutoff grows with speed (Casiez, Roussel and Vogel, CHI 2012). It is causal:
its state is the last output, the last smoothed speed and the time of both, and its delay is that of the low-pass at the
cutoff of the moment. Input that is not a number, or is beyond reason, leaves its part of the state as it was.
Shapes have two things more, as noise alone makes a plain One-Euro's speed large enough to let it pass: speeds up to the
noise's own count as none, and an output that strays far from its input is pulled after it.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from facewire.bridge.shared.arkit import BLENDSHAPE_INDEX, BLENDSHAPES
from facewire.bridge.shared.arrays import Float64Array, FloatArray
from facewire.bridge.shared.face import FaceState
from facewire.models.jit import kernel
from facewire.runtime.face.filter_config import FilterConfig, OneEuro

MIN_STEP_S = 1e-3
"""Two frames with the same time, or with times that went back, count as this far apart."""
MAX_DISTANCE_M = 100.0
"""A head farther away than this is a failed pose, not a face."""
MAX_GAZE_RAD = 1.5
"""No eye turns farther."""

NOISE_RATE_PER_S = 2.4
"""How fast the noise's speed is learned; it falls four times as fast as it rises: motion is not taken for it."""
FIRST_NOISE, LEAST_NOISE, MOST_NOISE = 0.15, 0.002, 1.5
"""Speeds, in a shape's range per second."""

_JAW_OPEN = BLENDSHAPE_INDEX["jawOpen"]
_MOUTH_CLOSE = BLENDSHAPE_INDEX["mouthClose"]


@kernel
def low_pass_weight(cutoff_hz: float, step_s: float) -> float:
    """Share of the new value in a first-order low-pass: paper, equation 3; 1 for an infinite cutoff."""
    return 1.0 / (1.0 + 1.0 / (2.0 * math.pi * cutoff_hz * step_s))


class LineState(NamedTuple):
    """State of One-Euro filters on the line; make it once, because making takes longer than passing."""

    parameters: Float64Array
    """[n, 6], a row of ``OneEuro`` for each."""
    value: Float64Array
    """[n], the last outputs."""
    speed: Float64Array
    """[n], their smoothed speeds."""
    noise: Float64Array
    """[n], a low quantile of the input's own speed."""
    last: Float64Array
    """[n], the last inputs."""


@kernel
def smooth_lines(raw: FloatArray, low: float, high: float, step_s: float, state: LineState) -> None:
    """One-Euro on each element of ``raw``, clamped to ``low`` and ``high`` first."""
    parameters, value, speed, noise, last = state
    for i in range(raw.shape[0]):
        target = float(raw[i])
        if not math.isfinite(target):
            continue
        target = min(max(target, low), high)
        error = target - value[i]
        faster = abs(target - last[i]) / step_s > noise[i]
        # Up by a quarter of the way down: it settles where a fifth of the speeds are below it.
        noise[i] *= 1.0 + NOISE_RATE_PER_S * min(step_s, 0.1) * (0.25 if faster else -1.0)
        noise[i] = min(max(noise[i], LEAST_NOISE), MOST_NOISE)
        last[i] = target
        speed[i] += low_pass_weight(parameters[i, 2], step_s) * (error / step_s - speed[i])
        moving = max(abs(speed[i]) - parameters[i, 3] - parameters[i, 4] * noise[i], 0.0)
        cutoff_hz = parameters[i, 0] + parameters[i, 1] * moving + parameters[i, 5] * (error / 0.1) ** 4
        value[i] += low_pass_weight(cutoff_hz, step_s) * error


@kernel
def smooth_position(
    raw: FloatArray, step_s: float, parameters: FloatArray, value: FloatArray, speed: FloatArray
) -> None:
    """One-Euro on a point, with one cutoff for all axes so that its path keeps its direction."""
    for i in range(3):
        if not abs(raw[i]) <= MAX_DISTANCE_M:
            return
    weight = low_pass_weight(parameters[2], step_s)
    squared = 0.0
    for i in range(3):
        speed[i] += weight * ((raw[i] - value[i]) / step_s - speed[i])
        squared += speed[i] * speed[i]
    weight = low_pass_weight(parameters[0] + parameters[1] * math.sqrt(squared), step_s)
    for i in range(3):
        value[i] += weight * (raw[i] - value[i])


@kernel
def smooth_rotation(
    raw: FloatArray, step_s: float, parameters: FloatArray, value: FloatArray, speed: FloatArray
) -> None:
    """One-Euro on a unit quaternion xyzw along the great circle; ``speed`` is the smoothed angular velocity.

    The step is ``value * exp(weight * log(value⁻¹ raw))``, which is slerp; the shorter way round is always taken, so
    the output never changes sign from one frame to the next.
    """
    norm = math.sqrt(raw[0] * raw[0] + raw[1] * raw[1] + raw[2] * raw[2] + raw[3] * raw[3])
    if not (1e-3 < norm < 1e3):
        return
    rx, ry, rz, rw = raw[0] / norm, raw[1] / norm, raw[2] / norm, raw[3] / norm
    x, y, z, w = value[0], value[1], value[2], value[3]
    if x * rx + y * ry + z * rz + w * rw < 0.0:
        rx, ry, rz, rw = -rx, -ry, -rz, -rw
    # The vector part and the scalar part of conj(value) * raw.
    vx = w * rx - x * rw - y * rz + z * ry
    vy = w * ry - y * rw - z * rx + x * rz
    vz = w * rz - z * rw - x * ry + y * rx
    vw = w * rw + x * rx + y * ry + z * rz
    length = math.sqrt(vx * vx + vy * vy + vz * vz)
    # angle / length is 2 at the limit of no rotation.
    per_length = 2.0 * math.atan2(length, vw) / length if length > 1e-12 else 2.0
    turn = (vx * per_length, vy * per_length, vz * per_length)
    weight = low_pass_weight(parameters[2], step_s)
    squared = 0.0
    for i in range(3):
        speed[i] += weight * (turn[i] / step_s - speed[i])
        squared += speed[i] * speed[i]
    weight = low_pass_weight(parameters[0] + parameters[1] * math.sqrt(squared), step_s)
    half = 0.5 * weight * length * per_length
    scale = math.sin(half) / length if length > 1e-12 else 0.5 * weight * per_length
    ex, ey, ez, ew = vx * scale, vy * scale, vz * scale, math.cos(half)
    value[0] = w * ex + x * ew + y * ez - z * ey
    value[1] = w * ey + y * ew + z * ex - x * ez
    value[2] = w * ez + z * ew + x * ey - y * ex
    value[3] = w * ew - x * ex - y * ey - z * ez
    norm = math.sqrt(value[0] ** 2 + value[1] ** 2 + value[2] ** 2 + value[3] ** 2)
    for i in range(4):
        value[i] /= norm


@kernel
def smooth_direction(
    yaw: float, pitch: float, step_s: float, parameters: FloatArray, value: FloatArray, speed: FloatArray
) -> None:
    """One-Euro on a direction given by yaw and pitch.

    ``value`` is the unit vector x, y, z, ``speed`` the smoothed angular velocity.
    """
    if not (abs(yaw) <= MAX_GAZE_RAD and abs(pitch) <= MAX_GAZE_RAD):
        return
    rx, ry, rz = math.sin(yaw) * math.cos(pitch), math.sin(pitch), math.cos(yaw) * math.cos(pitch)
    x, y, z = value[0], value[1], value[2]
    cx, cy, cz = y * rz - z * ry, z * rx - x * rz, x * ry - y * rx
    sine = math.sqrt(cx * cx + cy * cy + cz * cz)
    angle = math.atan2(sine, x * rx + y * ry + z * rz)
    if sine < 1e-12:  # no turn; two directions that are let in are never straight opposite
        cx, cy, cz, sine = 0.0, 0.0, 0.0, 1.0
    axis = (cx / sine, cy / sine, cz / sine)
    weight = low_pass_weight(parameters[2], step_s)
    squared = 0.0
    for i in range(3):
        speed[i] += weight * (axis[i] * angle / step_s - speed[i])
        squared += speed[i] * speed[i]
    angle *= low_pass_weight(parameters[0] + parameters[1] * math.sqrt(squared), step_s)
    cosine, sine = math.cos(angle), math.sin(angle)
    value[0] = x * cosine + (axis[1] * z - axis[2] * y) * sine
    value[1] = y * cosine + (axis[2] * x - axis[0] * z) * sine
    value[2] = z * cosine + (axis[0] * y - axis[1] * x) * sine
    norm = math.sqrt(value[0] ** 2 + value[1] ** 2 + value[2] ** 2)
    for i in range(3):
        value[i] /= norm


class FilterState(NamedTuple):
    """State of all filters of one face."""

    parameters: Float64Array
    """[55, 6]: 52 shapes, turn and place of the head, gaze."""
    value: Float64Array
    """[65]: 52 shapes, the head's quaternion [4] and place [3], a unit vector for each eye [3]."""
    speed: Float64Array
    """[64]: their speeds, angular velocities for rotations."""
    noise: Float64Array
    """[52], of the shapes only."""
    last: Float64Array
    """[52], as ``noise``."""


@kernel
def smooth_face(raw: FloatArray, step_s: float, state: FilterState, out: FloatArray) -> None:
    """Filter a whole face ``raw`` [63] into ``out`` [63], both as ``FaceState.values``."""
    parameters, value, speed, noise, last = state
    shapes = LineState(parameters[:52], value[:52], speed[:52], noise, last)
    smooth_lines(raw[:52], 0.0, 1.0, step_s, shapes)
    smooth_rotation(raw[52:56], step_s, parameters[52], value[52:56], speed[52:55])
    smooth_position(raw[56:59], step_s, parameters[53], value[56:59], speed[55:58])
    smooth_direction(raw[59], raw[60], step_s, parameters[54], value[59:62], speed[58:61])
    smooth_direction(raw[61], raw[62], step_s, parameters[54], value[62:65], speed[61:64])
    for i in range(59):
        out[i] = value[i]
    # Lips cannot be closed over more opening than the jaw has; the filters' different phases could say so for a frame
    # or two.
    out[_MOUTH_CLOSE] = min(out[_MOUTH_CLOSE], out[_JAW_OPEN])
    for eye in range(2):
        x, y, z = value[59 + 3 * eye], value[60 + 3 * eye], value[61 + 3 * eye]
        out[59 + 2 * eye] = math.atan2(x, z)
        out[60 + 2 * eye] = math.asin(min(max(y, -1.0), 1.0))


class FaceFilter:
    """The filters of one face. State: ``FilterState``, and when the last face was. Delay: see benchmarks/filters.py.

    ``step`` takes 4 to 7 µs there and allocates nothing.
    """

    def __init__(self, config: FilterConfig | None = None) -> None:
        parameters = np.empty((55, 6))
        self._state = FilterState(parameters, np.zeros(65), np.zeros(64), np.zeros(52), np.zeros(52))
        pass_through = np.tile([math.inf, 0.0, math.inf, 0.0, 0.0, 0.0], (55, 1))
        self._first = self._state._replace(parameters=pass_through)
        self._face = FaceState()
        self._last_ns: int | None = None
        self.configure(config or FilterConfig())
        self.reset()

    def configure(self, config: FilterConfig) -> None:
        """Take other settings from the next step on; the state stays, so nothing jumps."""
        self.config = config
        rows = [*(_region(config, name) for name in BLENDSHAPES), config.head_turn, config.head_move, config.gaze]
        self._state.parameters[:] = [row.numbers for row in rows]

    def reset(self) -> None:
        """Forget the past: the next step's output is its input."""
        state = self._state
        state.value[:] = 0.0
        state.value[[55, 61, 64]] = 1.0  # no turn, both eyes straight ahead
        state.speed[:] = 0.0
        state.noise[:] = FIRST_NOISE
        self._last_ns = None

    def warm_up(self) -> None:
        """Compile the kernels, or load them from numba's cache, so that the first frame does not wait for it."""
        self.step(FaceState(), 0)
        self.reset()

    def step(self, face: FaceState, now_ns: int) -> FaceState:
        """Return the filtered face of ``now_ns``, this filter's own until its next step."""
        out = self._face
        out.copy_from(face)
        if self._last_ns is None:
            smooth_face(face.values, 1.0, self._first, out.values)
            self._state.speed[:] = 0.0
            self._state.noise[:] = FIRST_NOISE
        else:
            step_s = max((now_ns - self._last_ns) * 1e-9, MIN_STEP_S)
            smooth_face(face.values, step_s, self._state, out.values)
        self._last_ns = now_ns
        return out


def _region(config: FilterConfig, shape: str) -> OneEuro:
    if shape.startswith("eye"):
        return config.eyes
    if shape.startswith("brow"):
        return config.brows
    if shape.startswith(("cheek", "nose")):
        return config.cheeks
    return config.mouth
