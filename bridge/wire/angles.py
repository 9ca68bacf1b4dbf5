"""A frame's head and eyes as angles, and back.

Angles are radians in the sense that Unreal's ARKit plug-in gives them for a face that is not mirrored: the head turns
by yaw about +y (the subject's left), then pitch about +x (down), then roll about +z, in FaceFrame's camera space.
"""

from __future__ import annotations

import math

import numpy as np

from facewire.bridge.shared.arrays import Float32Array


def head_angles(head: Float32Array) -> tuple[float, float, float]:
    """Return yaw, pitch and roll in radians of a head [7] or its quaternion xyzw.

    They compose as R = Ry(yaw) · Rx(pitch) · Rz(roll).
    """
    x, y, z, w = head[:4].tolist()
    yaw = math.atan2(2 * (x * z + w * y), 1 - 2 * (x * x + y * y))
    pitch = math.asin(min(max(2 * (w * x - y * z), -1.0), 1.0))
    roll = math.atan2(2 * (x * y + w * z), 1 - 2 * (x * x + z * z))
    return yaw, pitch, roll


def head_rotation(yaw: float, pitch: float, roll: float) -> Float32Array:
    """Return the quaternion xyzw of Ry(yaw) · Rx(pitch) · Rz(roll), in radians: what ``head_angles`` undoes."""
    sy, cy = math.sin(yaw / 2), math.cos(yaw / 2)
    sp, cp = math.sin(pitch / 2), math.cos(pitch / 2)
    sr, cr = math.sin(roll / 2), math.cos(roll / 2)
    x, y = cy * sp * cr + sy * cp * sr, sy * cp * cr - cy * sp * sr
    z, w = cy * cp * sr - sy * sp * cr, cy * cp * cr + sy * sp * sr
    return np.array([x, y, z, w], np.float32)


def eye_angles(gaze: Float32Array) -> tuple[float, float, float, float, float, float]:
    """Return yaw, pitch and roll of the left, then of the right eye: FaceFrame's pitch looks up, this one down."""
    left_yaw, left_pitch, right_yaw, right_pitch = gaze.tolist()
    return left_yaw, -left_pitch, 0.0, right_yaw, -right_pitch, 0.0


def gaze_of(left_yaw: float, left_pitch: float, right_yaw: float, right_pitch: float) -> Float32Array:
    """Return a gaze [4] from the app's angles in radians: what ``eye_angles`` undoes."""
    return np.array([left_yaw, -left_pitch, right_yaw, -right_pitch], np.float32)
