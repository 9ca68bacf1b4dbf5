"""MediaPipe's three custom operators (version 2) in standard ONNX.

Their arithmetic is that of google-ai-edge/mediapipe `mediapipe/util/tflite/operations/`:
`landmarks_to_transform_matrix.cc`, `transform_tensor_bilinear.cc` and `transform_landmarks.cc`. Points are row
vectors here, so each matrix stands transposed: p ↦ p·linear + offset.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from facewire.models.errors import ModelError
from facewire.models.tflite.reader import Operator
from facewire.models.tflite.values import Affine, Values


def landmarks_to_matrix(values: Values, op: Operator) -> None:
    """The crop around a subset of landmarks [1, N, 3]: a map from output cells to the landmarks' plane.

    The subset is turned by r = target − atan2(right − left); its box there gives centre and size; the map turns back.
    """
    add, graph, options = values.graph.add, values.graph, op.options
    landmarks = add("Slice", [values.plain(op.inputs[0]), *(graph.ints(n) for n in (0, 2, 2))])
    rotation = _rotation(values, landmarks, op)
    subset = graph.constant(np.unique(np.asarray(options["subset_idxs"], np.int64)))
    points = add("Squeeze", [add("Gather", [landmarks, subset], axis=1), graph.ints(0)])
    turned = add("Gemm", [points, rotation], transB=1)
    high = add("ReduceMax", [turned], axes=[0], keepdims=1)
    low = add("ReduceMin", [turned], axes=[0], keepdims=1)
    size = add("Sub", [high, low])
    scale = np.asarray([[options["scale_x"], options["scale_y"]]], np.float32)
    cells = np.asarray([[options["output_width"], options["output_height"]]], np.float32)
    cell = add("Reshape", [add("Mul", [size, graph.constant(scale / cells)]), graph.ints(2, 1)])
    middle = add("Mul", [add("Add", [high, low]), graph.floats(0.5)])
    corner = add("Sub", [middle, add("Mul", [size, graph.constant(scale / 2)])])
    # M = T(centre)·R(−r)·S(cell)·T(−output/2): the corner of the box is where the output's first cell begins.
    values.affine[op.outputs[0]] = Affine(add("Mul", [rotation, cell]), add("MatMul", [corner, rotation]))


def _rotation(values: Values, landmarks: str, op: Operator) -> str:
    """R(r) as [2, 2], from the direction's cosine and sine: no angle is needed."""
    add, graph, options = values.graph.add, values.graph, op.options
    sides = [add("Gather", [landmarks, graph.ints(options[side])], axis=1) for side in
             ("right_rotation_idx", "left_rotation_idx")]  # fmt: skip
    step = add("Reshape", [add("Sub", sides), graph.ints(1, 2)])
    length = add("Max", [add("ReduceL2", [step], axes=[1], keepdims=1), graph.floats(1e-9)])
    cosine, sine = np.cos(options["target_rotation_radians"]), np.sin(options["target_rotation_radians"])
    # cos r = cosine·x + sine·y and sin r = sine·x − cosine·y, laid out as [cos r, −sin r, sin r, cos r].
    layout = np.asarray([[cosine, -sine, sine, cosine], [sine, cosine, -cosine, sine]], np.float32)
    turned = add("MatMul", [add("Div", [step, length]), graph.constant(layout)])
    return add("Reshape", [turned, graph.ints(2, 2)])


def transform_tensor(values: Values, op: Operator) -> None:
    """Samples the map at the transformed centres of the output's cells, bilinearly; zero where outside."""
    add, graph = values.graph.add, values.graph
    affine = _affine(values, op)
    _, height, width, _ = values.shape(op.inputs[0])
    rows, columns = op.options["output_height"], op.options["output_width"]
    y, x = np.mgrid[0:rows, 0:columns].astype(np.float32) + 0.5
    cells = graph.constant(np.stack([x.ravel(), y.ravel()], axis=1))
    # GridSample's coordinates are −1..1 from the first pixel's centre to the last one's.
    span = np.asarray([[2 / (width - 1), 2 / (height - 1)]], np.float32)
    linear = add("Mul", [affine.linear, graph.constant(span)])
    shifted = add("Add", [affine.offset, graph.floats(-0.5)])
    offset = add("Sub", [add("Mul", [shifted, graph.constant(span)]), graph.floats(1.0)])
    grid = add("Gemm", [cells, linear, offset])
    # A centre outside the map gives plain zero; GridSample alone would blend the border with zeros. 4 is far outside.
    reach = add("ReduceMax", [add("Abs", [grid])], axes=[1], keepdims=1)
    inside = add("Where", [add("Greater", [reach, graph.floats(1.0)]), graph.floats(4.0), grid])
    shaped = add("Reshape", [inside, graph.ints(1, rows, columns, 2)])
    image = values.nchw(op.inputs[0])
    sampled = add("GridSample", [image, shaped], mode="bilinear", padding_mode="zeros", align_corners=1)
    values.put_nchw(op.outputs[0], sampled)


def transform_landmarks(values: Values, op: Operator) -> None:
    """Maps landmarks [1, N, 2] by the matrix's plane part."""
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
