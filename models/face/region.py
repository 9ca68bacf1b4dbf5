"""Where in the image the face is: a square, possibly rotated region, and how to cut it out.

A region is float64[4]: centre x, centre y and side in pixels of the image, and rotation in radians (positive turns
clockwise on the screen, as y points down). The rules are those of MediaPipe's graphs (google-ai-edge/mediapipe,
``face_landmark_landmarks_to_roi``, ``face_detection_front_detection_to_roi`` and
``image_to_tensor_converter_opencv.cc``) so that the networks see what they were built for.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from facewire.models.face.jit import kernel
from facewire.models.face.landmarks import LEFT_EYE_OUTER, RIGHT_EYE_OUTER

Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]
Image = npt.NDArray[np.uint8]

MARGIN = 1.5
"""The region is this many times the longer side of the box around the face."""

# Fixed-point positions: 20 bits of fraction, of which the upper 5 weigh the four neighbours, as in OpenCV's warp.
_FRACTION = 20
_WEIGHT_BITS = 5
_WEIGHT_ONE = 1 << _WEIGHT_BITS


@kernel
def region_from_landmarks(landmarks: Float32Array, region: Float64Array) -> None:
    """Set the region for the next image from landmarks [n, 3] in pixels."""
    left = right = landmarks[0, 0]
    top = bottom = landmarks[0, 1]
    for i in range(landmarks.shape[0]):
        left, right = min(left, landmarks[i, 0]), max(right, landmarks[i, 0])
        top, bottom = min(top, landmarks[i, 1]), max(bottom, landmarks[i, 1])
    dx = landmarks[LEFT_EYE_OUTER, 0] - landmarks[RIGHT_EYE_OUTER, 0]
    dy = landmarks[LEFT_EYE_OUTER, 1] - landmarks[RIGHT_EYE_OUTER, 1]
    region[0] = 0.5 * (left + right)
    region[1] = 0.5 * (top + bottom)
    region[2] = MARGIN * max(right - left, bottom - top)
    region[3] = math.atan2(dy, dx)


@kernel
def project(points: Float32Array, region: Float64Array, side: int, landmarks: Float32Array) -> None:
    """Map points [n, 3] in pixels of the side × side crop to pixels of the image; depth scales alike."""
    scale = region[2] / side
    a, b = scale * math.cos(region[3]), scale * math.sin(region[3])
    half = 0.5 * side
    for i in range(points.shape[0]):
        x, y = points[i, 0] - half, points[i, 1] - half
        landmarks[i, 0] = region[0] + a * x - b * y
        landmarks[i, 1] = region[1] + b * x + a * y
        landmarks[i, 2] = scale * points[i, 2]


@kernel
def crop(image: Image, region: Float64Array, low: float, high: float, replicate: bool, tensor: Float32Array) -> None:
    """Sample the region bilinearly from a contiguous BGR image into an RGB tensor [3, side, side] scaled to low..high.

    Pixel (i, j) of the crop is the image at its corner's position plus i and j steps, without a half-pixel shift:
    that is how MediaPipe's OpenCV converter samples, and its networks' landmarks are meant in the same grid. Outside
    of the image the nearest pixel counts (``replicate``), or black.
    """
    height, width, side = image.shape[0], image.shape[1], tensor.shape[1]
    flat = image.reshape(-1)
    one = float(1 << _FRACTION)
    step = region[2] / side
    cos, sin = step * math.cos(region[3]), step * math.sin(region[3])
    dx, dy = np.int64(round(cos * one)), np.int64(round(sin * one))
    scale = np.float32((high - low) / (255.0 * _WEIGHT_ONE * _WEIGHT_ONE))
    offset = np.float32(low)
    nearest = 1 << (_FRACTION - _WEIGHT_BITS - 1)
    x_limit, y_limit = np.int64(width - 1) << _FRACTION, np.int64(height - 1) << _FRACTION
    for j in range(side):
        x = np.int64(round((region[0] - 0.5 * side * (cos - sin) - j * sin) * one)) + nearest
        y = np.int64(round((region[1] - 0.5 * side * (cos + sin) + j * cos) * one)) + nearest
        x_end, y_end = x + (side - 1) * dx, y + (side - 1) * dy
        if min(x, x_end) >= 0 and max(x, x_end) < x_limit and min(y, y_end) >= 0 and max(y, y_end) < y_limit:
            _sample_row(flat, width, x, y, dx, dy, scale, offset, tensor, j)
        else:
            _sample_border_row(image, x, y, dx, dy, scale, offset, replicate, tensor, j)


@kernel
def _sample_row(
    flat: Image,
    width: int,
    x: int,
    y: int,
    dx: int,
    dy: int,
    scale: float,
    offset: float,
    tensor: Float32Array,
    row: int,
) -> None:
    """Fill one row whose samples all have four neighbours; unsigned offsets spare the wrap-around checks."""
    below = np.uintp(3 * width)
    for column in range(tensor.shape[2]):
        fx = np.int32((x >> (_FRACTION - _WEIGHT_BITS)) & (_WEIGHT_ONE - 1))
        fy = np.int32((y >> (_FRACTION - _WEIGHT_BITS)) & (_WEIGHT_ONE - 1))
        p = np.uintp(((y >> _FRACTION) * width + (x >> _FRACTION)) * 3)
        q = p + below
        w11 = np.int32(fx * fy)
        w10, w01 = np.int32(_WEIGHT_ONE * fy - w11), np.int32(_WEIGHT_ONE * fx - w11)
        w00 = np.int32(_WEIGHT_ONE * _WEIGHT_ONE - w11 - w10 - w01)
        for channel in range(3):
            c = np.uintp(channel)
            total = np.int32(flat[p + c]) * w00 + np.int32(flat[p + c + np.uintp(3)]) * w01
            total += np.int32(flat[q + c]) * w10 + np.int32(flat[q + c + np.uintp(3)]) * w11
            tensor[2 - channel, row, column] = np.float32(np.int32(total)) * scale + offset
        x += dx
        y += dy


@kernel
def _sample_border_row(
    image: Image,
    x: int,
    y: int,
    dx: int,
    dy: int,
    scale: float,
    offset: float,
    replicate: bool,
    tensor: Float32Array,
    row: int,
) -> None:
    """Fill one row of which some samples lie at or beyond the image's edge."""
    height, width = image.shape[0], image.shape[1]
    for column in range(tensor.shape[2]):
        fx = (x >> (_FRACTION - _WEIGHT_BITS)) & (_WEIGHT_ONE - 1)
        fy = (y >> (_FRACTION - _WEIGHT_BITS)) & (_WEIGHT_ONE - 1)
        for channel in range(3):
            total = 0
            for corner in range(4):
                u, v = (x >> _FRACTION) + (corner & 1), (y >> _FRACTION) + (corner >> 1)
                inside = 0 <= u < width and 0 <= v < height
                if inside or replicate:
                    weight_x = fx if corner & 1 else _WEIGHT_ONE - fx
                    weight_y = fy if corner >> 1 else _WEIGHT_ONE - fy
                    value = image[min(max(v, 0), height - 1), min(max(u, 0), width - 1), channel]
                    total += np.int64(value) * weight_x * weight_y
            tensor[2 - channel, row, column] = np.float32(total) * scale + offset
        x += dx
        y += dy
