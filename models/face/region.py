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

from facewire.bridge.shared.arrays import Float32Array, Float64Array, Image
from facewire.models.face.landmarks import LEFT_EYE_OUTER, RIGHT_EYE_OUTER
from facewire.models.jit import kernel

Int32Array = npt.NDArray[np.int32]

MARGIN = 1.5
"""The region is this many times the longer side of the box around the face."""

# Fixed-point positions: 15 bits of fraction, of which the upper 5 weigh the four neighbours, as in OpenCV's warp.
_FRACTION = 15
_WEIGHT_BITS = 5
_WEIGHT_ONE = 1 << _WEIGHT_BITS
_CACHE_LINE_BYTES = 64
_DROPPED = _FRACTION - _WEIGHT_BITS


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


def crop(image: Image, region: Float64Array, low: float, high: float, replicate: bool, tensor: Float32Array) -> None:
    """Sample the region bilinearly from a contiguous BGR image into an RGB tensor [3, side, side] of low..high.

    Pixel (i, j) of the crop is the image at its corner's position plus i and j steps, without a half-pixel shift:
    that is how MediaPipe's OpenCV converter samples, and its networks' landmarks are meant in the same grid. Outside
    of the image the nearest pixel counts (``replicate``), or black.
    """
    # One unaligned 32-bit load takes a whole pixel: a third of the loads, and what follows runs in vectors.
    words = np.ndarray((image.size - 3,), np.int32, image, 0, (1,))
    _crop(image, words, region, low, high, replicate, tensor)


@kernel
def _crop(
    image: Image,
    words: Int32Array,
    region: Float64Array,
    low: float,
    high: float,
    replicate: bool,
    tensor: Float32Array,
) -> None:
    height, width, side = image.shape[0], image.shape[1], tensor.shape[1]
    one = float(1 << _FRACTION)
    step = region[2] / side
    cos, sin = step * math.cos(region[3]), step * math.sin(region[3])
    dx, dy = np.int64(round(cos * one)), np.int64(round(sin * one))
    scale, offset = np.float32((high - low) / (255.0 * _WEIGHT_ONE * _WEIGHT_ONE)), np.float32(low)
    taps, weights = np.empty((4, side), np.int32), np.empty((4, side), np.int32)
    taps[0, 0] = _touch(image, region)
    # A word reaches one byte past its pixel: the last row of the image is left to the careful way.
    x_limit, y_limit = np.int64(width - 1) << _FRACTION, np.int64(height - 2) << _FRACTION
    for row in range(side):
        x = np.int64(round((region[0] - 0.5 * side * (cos - sin) - row * sin) * one)) + (1 << (_DROPPED - 1))
        y = np.int64(round((region[1] - 0.5 * side * (cos + sin) + row * cos) * one)) + (1 << (_DROPPED - 1))
        x_end, y_end = x + (side - 1) * dx, y + (side - 1) * dy
        if min(x, x_end) >= 0 and max(x, x_end) < x_limit and min(y, y_end) >= 0 and max(y, y_end) < y_limit:
            _take_inner_row(words, 3 * width, np.int32(x), np.int32(y), np.int32(dx), np.int32(dy), taps, weights)
        else:
            _take_border_row(image, x, y, dx, dy, replicate, taps, weights)
        _blend(taps, weights, scale, offset, tensor, row)


@kernel
def _touch(image: Image, region: Float64Array) -> int:
    """Read a byte of each cache line around the region, in the order of memory, and return their sum.

    A camera's image is in memory, not in this core's cache. These reads run ahead of each other; those of the crop
    itself would wait for most of their lines: 0.29 instead of 0.49 ms for a new image, 0.06 ms more for a cached one.
    """
    height, row_bytes = image.shape[0], 3 * image.shape[1]
    reach = 0.5 * region[2] * (abs(math.cos(region[3])) + abs(math.sin(region[3])))
    top, bottom = max(0, int(region[1] - reach)), min(height, int(region[1] + reach) + 2)
    left, right = max(0, 3 * int(region[0] - reach)), min(row_bytes, 3 * (int(region[0] + reach) + 2))
    flat, total = image.reshape(-1), 0
    for row in range(top, bottom):
        for i in range(row * row_bytes + left, row * row_bytes + right, _CACHE_LINE_BYTES):
            total += flat[i]
    return total


@kernel
def _take_inner_row(
    words: Int32Array, stride: int, x: int, y: int, dx: int, dy: int, taps: Int32Array, weights: Int32Array
) -> None:
    """Take the four neighbours, and their weights, of samples that all have four; unsigned offsets need no checks."""
    below, pixel = np.int32(stride), np.int32(3)
    offsets = taps[3]
    for i in range(taps.shape[1]):
        u, v = np.int32(x + dx * np.int32(i)), np.int32(y + dy * np.int32(i))
        offsets[i] = np.int32((v >> np.int32(_FRACTION)) * below + (u >> np.int32(_FRACTION)) * pixel)
        fx = np.int32((u >> np.int32(_DROPPED)) & np.int32(_WEIGHT_ONE - 1))
        fy = np.int32((v >> np.int32(_DROPPED)) & np.int32(_WEIGHT_ONE - 1))
        both = np.int32(fx * fy)
        weights[1, i], weights[2, i] = np.int32(_WEIGHT_ONE) * fx - both, np.int32(_WEIGHT_ONE) * fy - both
        weights[0, i] = np.int32(_WEIGHT_ONE * _WEIGHT_ONE) - np.int32(_WEIGHT_ONE) * (fx + fy) + both
        weights[3, i] = both
    for i in range(taps.shape[1]):
        upper = np.uintp(np.uint32(offsets[i]))
        lower = upper + np.uintp(stride)
        taps[0, i], taps[1, i] = words[upper], words[upper + np.uintp(3)]
        taps[2, i], taps[3, i] = words[lower], words[lower + np.uintp(3)]


@kernel
def _take_border_row(
    image: Image, x: int, y: int, dx: int, dy: int, replicate: bool, taps: Int32Array, weights: Int32Array
) -> None:
    """Take the four neighbours, and their weights, of samples of which some lie at or beyond the image's edge."""
    height, width = image.shape[0], image.shape[1]
    for i in range(taps.shape[1]):
        u, v = x + i * dx, y + i * dy
        fx, fy = (u >> _DROPPED) & (_WEIGHT_ONE - 1), (v >> _DROPPED) & (_WEIGHT_ONE - 1)
        for corner in range(4):
            column, line = (u >> _FRACTION) + (corner & 1), (v >> _FRACTION) + (corner >> 1)
            weight = (fx if corner & 1 else _WEIGHT_ONE - fx) * (fy if corner >> 1 else _WEIGHT_ONE - fy)
            near_column, near_line = min(max(column, 0), width - 1), min(max(line, 0), height - 1)
            inside = column == near_column and line == near_line
            blue, green, red = image[near_line, near_column]
            taps[corner, i] = np.int32(blue) | np.int32(green) << 8 | np.int32(red) << 16
            weights[corner, i] = weight if inside or replicate else 0


@kernel
def _blend(taps: Int32Array, weights: Int32Array, scale: float, offset: float, tensor: Float32Array, row: int) -> None:
    """Write one row of the tensor: each channel's byte of the four neighbours, by their weights."""
    byte = np.int32(255)
    for channel in range(3):
        shift, line = np.int32(16 - 8 * channel), tensor[channel, row]
        for i in range(taps.shape[1]):
            total = np.int32((taps[0, i] >> shift) & byte) * weights[0, i]
            total += np.int32((taps[1, i] >> shift) & byte) * weights[1, i]
            total += np.int32((taps[2, i] >> shift) & byte) * weights[2, i]
            total += np.int32((taps[3, i] >> shift) & byte) * weights[3, i]
            line[i] = np.float32(np.int32(total)) * scale + offset
