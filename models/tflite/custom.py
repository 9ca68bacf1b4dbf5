"""MediaPipe's three custom operators (version 2) in standard ONNX.

Their arithmetic is that of google-ai-edge/mediapipe `mediapipe/util/tflite/operations/`:
`landmarks_to_transform_matrix.cc`, `transform_tensor_bilinear.cc` and `transform_landmarks.cc`. Points are row
vectors here, so each matrix stands transposed: p ↦ p·linear + offset.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import TensorProto

from facewire.models.errors import ModelError
from facewire.models.tflite.reader import Operator
from facewire.models.tflite.values import Affine, Values


def landmarks_to_matrix(values: Values, op: Operator) -> None:
    """Return the crop around each lane's subset of the landmarks [1, N, 3]: a map from output cells to the landmarks'
    plane.

    The subset is turned by r = target − atan2(right − left); its box there gives centre and size; the map turns back.
    """
    add, graph, options = values.graph.add, values.graph, op.options
    landmarks = _plane(values, op)
    rotation = _rotation(values, landmarks, op)
    points = add("Gather", [landmarks, graph.constant(_subsets(op))], axis=0)
    turned = add("MatMul", [points, add("Transpose", [rotation], perm=(0, 2, 1))])
    high = add("ReduceMax", [turned], axes=[1], keepdims=1)
    low = add("ReduceMin", [turned], axes=[1], keepdims=1)
    size = add("Sub", [high, low])
    scale = np.asarray([options["scale_x"], options["scale_y"]], np.float32)
    cells = np.asarray([options["output_width"], options["output_height"]], np.float32)
    cell = add("Reshape", [add("Mul", [size, graph.constant(scale / cells)]), graph.ints(-1, 2, 1)])
    # M = T(centre)·R(−r)·S(cell)·T(−output/2): the corner of the scaled box is where the output's first cell begins.
    middle = add("Mul", [add("Add", [high, low]), graph.floats(0.5)])
    corner = add("Sub", [middle, add("Mul", [size, graph.constant(scale / 2)])])
    values.affine[op.outputs[0]] = Affine(add("Mul", [rotation, cell]), add("MatMul", [corner, rotation]))


def _plane(values: Values, op: Operator) -> str:
    """Return the landmarks' x and y as [N, 2]; every lane looks at the same ones."""
    sources = {values.plain(index) for index in op.inputs}
    if len(sources) > 1:
        raise ModelError("regions of several sets of landmarks at once are not known to this converter")
    graph, count = values.graph, values.shape(op.inputs[0])[1]
    flat = graph.add("Reshape", [sources.pop(), graph.ints(count, 3)])
    return graph.add("Slice", [flat, graph.ints(0), graph.ints(2), graph.ints(1)])


def _subsets(op: Operator) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Landmark numbers [lanes, K]; shorter subsets repeat their first, which changes no box."""
    subsets = [sorted(set(subset)) for subset in _per_lane(op, "subset_idxs")]
    width = max(map(len, subsets))
    return np.asarray([subset + subset[:1] * (width - len(subset)) for subset in subsets], np.int64)


def _per_lane(op: Operator, name: str) -> list[Any]:
    return list(op.options[name]) if "lanes" in op.options else [op.options[name]]


def _rotation(values: Values, landmarks: str, op: Operator) -> str:
    """R(r) as [lanes, 2, 2], from the direction's cosine and sine: no angle is needed."""
    add, graph = values.graph.add, values.graph
    right, left = (
        add("Gather", [landmarks, graph.ints(*_per_lane(op, f"{side}_rotation_idx"))], axis=0)
        for side in ("right", "left")
    )
    step = add("Sub", [right, left])
    length = add("Max", [add("ReduceL2", [step], axes=[1], keepdims=1), graph.floats(1e-9)])
    target = op.options["target_rotation_radians"]
    cosine, sine = np.cos(target), np.sin(target)
    # cos r = cosine·x + sine·y and sin r = sine·x − cosine·y, laid out as [cos r, −sin r, sin r, cos r].
    layout = np.asarray([[cosine, -sine, sine, cosine], [sine, cosine, -cosine, sine]], np.float32)
    return add("Reshape", [add("MatMul", [add("Div", [step, length]), graph.constant(layout)]), graph.ints(-1, 2, 2)])


def transform_tensor(values: Values, op: Operator) -> None:
    """Sample the map at the transformed centres of the output's cells, bilinearly; zero where outside.

    GridSample would do, but ONNX Runtime works out its weights again for each channel: gathering the four neighbours
    of a cell, all channels at once, and weighing them takes a fifth of the time.
    """
    add, graph = values.graph.add, values.graph
    _, height, width, channels = values.shape(op.inputs[0])
    rows, columns, lanes = op.options["output_height"], op.options["output_width"], op.options.get("lanes", 1)
    at = _sampling_points(values, op)
    limit = graph.constant(np.asarray([width - 1, height - 1], np.float32))
    near = add("Min", [add("Max", [at, graph.floats(0.0)]), limit])
    corner = add("Min", [add("Floor", [near]), graph.constant(np.asarray([width - 2, height - 2], np.float32))])
    first = add("MatMul", [corner, graph.constant(np.asarray([[1], [width]], np.float32))])
    offsets = graph.constant(np.asarray([0, 1, width, width + 1], np.int32))
    neighbours = add("Add", [add("Cast", [first], to=TensorProto.INT32), offsets])
    pixels = add("Reshape", [values.plain(op.inputs[0]), graph.ints(height * width, channels)])
    inside = add("Cast", [add("Equal", [at, near])], to=TensorProto.FLOAT)
    weights = add("Mul", [_bilinear_weights(values, add("Sub", [near, corner])),
                          add("ReduceMin", [inside], axes=[1], keepdims=1)])  # fmt: skip
    gathered = add("Gather", [pixels, neighbours], axis=0)
    sampled = add("MatMul", [add("Reshape", [weights, graph.ints(lanes * rows * columns, 1, 4)]), gathered])
    apart = add("Reshape", [sampled, graph.ints(lanes, rows * columns, channels)])
    wide = add("Transpose", [apart], perm=(0, 2, 1))
    values.put_nchw(op.outputs[0], add("Reshape", [wide, graph.ints(1, lanes * channels, rows, columns)]))


def _sampling_points(values: Values, op: Operator) -> str:
    """Where each output cell's centre falls, in pixels counted from the first pixel's centre, as [cells, 2]."""
    add, graph = values.graph.add, values.graph
    affine = _affine(values, op)
    y, x = np.mgrid[0 : op.options["output_height"], 0 : op.options["output_width"]].astype(np.float32) + 0.5
    centres = graph.constant(np.stack([x.ravel(), y.ravel()], axis=1))
    shifted = add("Sub", [affine.offset, graph.floats(0.5)])
    mapped = add("Add", [add("MatMul", [centres, affine.linear]), shifted])
    return add("Reshape", [mapped, graph.ints(-1, 2)])


def _bilinear_weights(values: Values, fraction: str) -> str:
    """[cells, 4] from the [cells, 2] distances to the upper left neighbour: (1−x)(1−y), x(1−y), (1−x)y, xy."""
    add, graph = values.graph.add, values.graph
    zero = np.zeros(4, np.float32)
    across, down = np.asarray([-1, 1, -1, 1], np.float32), np.asarray([-1, -1, 1, 1], np.float32)
    terms = [
        add("Gemm", [fraction, graph.constant(np.stack(slopes)), graph.constant(np.float32(slopes[0] + slopes[1] < 0))])
        for slopes in ((across, zero), (zero, down))
    ]
    return add("Mul", terms)


def transform_landmarks(values: Values, op: Operator) -> None:
    """Map landmarks [1, N, 2] by the matrix's plane part."""
    if values.shape(op.inputs[0])[2] != 2:
        raise ModelError("TransformLandmarks on points with depth is not known to this converter")
    add, affine = values.graph.add, _affine(values, op)
    mapped = add("MatMul", [values.plain(op.inputs[0]), affine.linear])
    values.put(op.outputs[0], add("Add", [mapped, affine.offset]))


def _affine(values: Values, op: Operator) -> Affine:
    if op.inputs[1] not in values.affine:
        raise ModelError(f"{op.custom} without a matrix from Landmarks2TransformMatrix is not known to this converter")
    return values.affine[op.inputs[1]]


CUSTOM: dict[tuple[str, int], Callable[[Values, Operator], None]] = {
    ("Landmarks2TransformMatrix", 2): landmarks_to_matrix,
    ("TransformTensorBilinear", 2): transform_tensor,
    ("TransformLandmarks", 2): transform_landmarks,
}
