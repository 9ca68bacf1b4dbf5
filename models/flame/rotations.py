"""Between the forms of a rotation, compiled."""

from __future__ import annotations

import math

from facewire.bridge.shared.arrays import Float32Array, Float64Array
from facewire.models.jit import kernel


@kernel
def axis_angle(turn: Float64Array, out: Float32Array) -> None:
    """Turn a rotation matrix [3, 3] into axis times angle [3], radians, for turns of less than half a circle."""
    x, y, z = turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1]
    sine = math.sqrt(x * x + y * y + z * z)
    angle = math.atan2(sine, turn[0, 0] + turn[1, 1] + turn[2, 2] - 1.0)
    share = angle / sine if sine > 1e-9 else 0.5
    out[0], out[1], out[2] = share * x, share * y, share * z


@kernel
def eyes_of(gaze: Float32Array, eyes: Float32Array) -> None:
    """Yaw and pitch of the left and the right eye [4] to the least turns, axis-angle [6], that take +z there."""
    for side in range(2):
        yaw, pitch = float(gaze[2 * side]), float(gaze[2 * side + 1])
        x, y, z = math.cos(pitch) * math.sin(yaw), math.sin(pitch), math.cos(pitch) * math.cos(yaw)
        sine = math.sqrt(x * x + y * y)
        scale = math.atan2(sine, z) / sine if sine > 1e-9 else 1.0
        eyes[3 * side], eyes[3 * side + 1], eyes[3 * side + 2] = -scale * y, scale * x, 0.0
