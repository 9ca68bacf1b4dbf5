"""Single operators against plain numpy, on small networks written by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
import pytest

from facewire.models.errors import ModelError
from facewire.models.tflite.custom import CUSTOM
from facewire.models.tflite.lanes import merge_lanes
from facewire.models.tflite.operators import OPERATORS
from facewire.models.tflite.reader import Network, Operator, Tensor, read_network
from facewire.models.tflite.values import Values

RNG = np.random.default_rng(3)
FLOAT = np.dtype("<f4")


class Sketch:
    """A network written down tensor by tensor; tensor 0 is its input."""

    def __init__(self, *shape: int) -> None:
        self.network = Network([Tensor("input", shape, FLOAT, None)], [], [0], [])

    def constant(self, values: Any, dtype: str = "<f4") -> int:
        data = np.ascontiguousarray(values, dtype)
        self.network.tensors.append(Tensor("", data.shape, data.dtype, data))
        return len(self.network.tensors) - 1

    def add(self, code: str, inputs: list[int], shape: tuple[int, ...], **options: Any) -> int:
        custom = code if code not in OPERATORS else ""
        self.network.tensors.append(Tensor(code, shape, FLOAT, None))
        output = len(self.network.tensors) - 1
        operator = Operator("CUSTOM" if custom else code, custom, 2 if custom else 1, inputs, [output], options)
        self.network.operators.append(operator)
        return output

    def run(self, outputs: list[int], inputs: np.ndarray, *, merged: bool = False) -> list[np.ndarray]:
        self.network.outputs = outputs
        values = Values(merge_lanes(self.network) if merged else self.network)
        put = values.put_nchw if inputs.ndim == 4 and inputs.shape[1] > 1 else values.put
        put(0, "input")
        for op in values.network.operators:
            (CUSTOM[op.custom, op.version] if op.code == "CUSTOM" else OPERATORS[op.code])(values, op)
        shapes = {}
        for index in outputs:
            shapes[f"out{index}"] = values.shape(index)
            values.graph.add("Reshape", [values.plain(index), values.graph.ints(*values.shape(index))], f"out{index}")
        first = inputs.transpose(0, 3, 1, 2) if put == values.put_nchw else inputs
        model = values.graph.finish("sketch", {"input": first.shape}, shapes)
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        return session.run(None, {"input": np.ascontiguousarray(first)})


def plain_conv(image: np.ndarray, weights: np.ndarray, stride: int, depthwise: bool) -> np.ndarray:
    """TensorFlow's SAME convolution of [h, w, c], one window at a time."""
    kernel = weights.shape[1]
    size = -(-image.shape[0] // stride)
    total = max((size - 1) * stride + kernel - image.shape[0], 0)
    padded = np.pad(image, ((total // 2, total - total // 2),) * 2 + ((0, 0),))
    result = np.empty((size, size, weights.shape[3] if depthwise else weights.shape[0]), np.float32)
    for row in range(size):
        for column in range(size):
            window = padded[row * stride : row * stride + kernel, column * stride : column * stride + kernel]
            axes = "hwc,hwc->c" if depthwise else "hwc,ohwc->o"
            result[row, column] = np.einsum(axes, window, weights[0] if depthwise else weights)
    return result


CONV = {"padding": 0, "dilation_w": 1, "dilation_h": 1, "activation": 0}


@pytest.mark.parametrize(("size", "kernel", "stride"), [(8, 3, 1), (8, 3, 2), (9, 3, 2), (7, 2, 2), (9, 5, 3)])
@pytest.mark.parametrize("depthwise", [False, True])
def test_same_padding_puts_the_odd_row_at_the_end(size: int, kernel: int, stride: int, depthwise: bool) -> None:
    image = RNG.random((1, size, size, 4), dtype=np.float32)
    weights = RNG.standard_normal((1 if depthwise else 6, kernel, kernel, 4)).astype(np.float32)
    channels, cells = (4 if depthwise else 6), -(-size // stride)
    sketch = Sketch(*image.shape)
    code = "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D"
    inputs = [0, sketch.constant(weights), sketch.constant(np.zeros(channels))]
    output = sketch.add(code, inputs, (1, cells, cells, channels), stride_w=stride, stride_h=stride, **CONV)
    (found,) = sketch.run([output], image)
    np.testing.assert_allclose(found[0], plain_conv(image[0], weights, stride, depthwise), atol=1e-5)


def test_slopes_above_one_survive_sums_pooling_and_outputs() -> None:
    """Channels that are kept negated must read the same everywhere: in a sum, a maximum, a product and an output."""
    image = RNG.standard_normal((1, 4, 4, 3)).astype(np.float32)
    slopes = [np.array(s, np.float32) for s in ([0.2, 1.7, -0.4], [3.0, 0.5, 2.0])]
    weights = RNG.standard_normal((3, 1, 1, 3)).astype(np.float32)
    bias = RNG.standard_normal(3).astype(np.float32)
    sketch = Sketch(1, 4, 4, 3)
    shape = (1, 4, 4, 3)
    first = sketch.add("PRELU", [0, sketch.constant(slopes[0].reshape(1, 1, 3))], shape)
    product = sketch.add("CONV_2D", [first, sketch.constant(weights), sketch.constant(bias)], shape,
                         stride_w=1, stride_h=1, **CONV)  # fmt: skip
    summed = sketch.add("ADD", [first, product], shape, activation=0)
    second = sketch.add("PRELU", [summed, sketch.constant(slopes[1].reshape(1, 1, 3))], shape)
    both = sketch.add("ADD", [first, second], shape, activation=0)
    pooled = sketch.add("MAX_POOL_2D", [second], (1, 2, 2, 3), padding=1, stride_w=2, stride_h=2,
                        filter_w=2, filter_h=2, activation=0)  # fmt: skip
    found = sketch.run([first, summed, second, both, pooled], image)
    expected_first = np.where(image > 0, image, image * slopes[0])
    expected_sum = expected_first + expected_first @ weights[:, 0, 0].T + bias
    expected_second = np.where(expected_sum > 0, expected_sum, expected_sum * slopes[1])
    expected_pool = expected_second.reshape(1, 2, 2, 2, 2, 3).max(axis=(2, 4))
    wanted = [expected_first, expected_sum, expected_second, expected_first + expected_second, expected_pool]
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def region(points: np.ndarray, left: int, right: int, subset: list[int], target: float, scale: float) -> np.ndarray:
    """MediaPipe's crop matrix [2, 3], from landmarks_to_transform_matrix.cc, step by step."""
    direction = points[right] - points[left]
    turn = target - np.arctan2(direction[1], direction[0])
    rotate = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    turned = points[subset] @ rotate.T
    low, high = turned.min(axis=0), turned.max(axis=0)
    centre = rotate.T @ ((low + high) / 2)
    linear = rotate.T @ np.diag(scale * (high - low) / 4)
    return np.column_stack([linear, centre - linear @ [2, 2]])


def bilinear(image: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """transform_tensor_bilinear.cc: 4×4 cells out of [h, w, c]; a centre outside the map gives zero."""
    result = np.zeros((4, 4, image.shape[2]), np.float32)
    for row in range(4):
        for column in range(4):
            x, y = matrix @ [column + 0.5, row + 0.5, 1] - 0.5
            if 0 <= x <= image.shape[1] - 1 and 0 <= y <= image.shape[0] - 1:
                left, top = min(int(x), image.shape[1] - 2), min(int(y), image.shape[0] - 2)
                fx, fy = x - left, y - top
                upper = (1 - fx) * image[top, left] + fx * image[top, left + 1]
                lower = (1 - fx) * image[top + 1, left] + fx * image[top + 1, left + 1]
                result[row, column] = (1 - fy) * upper + fy * lower
    return result


REGIONS = (
    {"left_rotation_idx": 0, "right_rotation_idx": 1, "subset_idxs": [0, 1, 2, 3]},
    {"left_rotation_idx": 2, "right_rotation_idx": 5, "subset_idxs": [4, 2, 5]},
    {"left_rotation_idx": 3, "right_rotation_idx": 0, "subset_idxs": [5, 6, 0, 1, 3]},
)


@pytest.mark.parametrize("merged", [False, True])
@pytest.mark.parametrize(("target", "scale"), [(0.0, 1.5), (0.7, 2.6)])
def test_regions_are_found_sampled_and_mapped_as_in_mediapipe(target: float, scale: float, merged: bool) -> None:
    """Seven landmarks in; for each of three regions a sampled map, a weighted one, and two points mapped back."""
    points = RNG.uniform(1, 8, (1, 7, 3)).astype(np.float32)
    image = RNG.standard_normal((10, 10, 2)).astype(np.float32)
    mapped_points = RNG.uniform(0, 4, (1, 2, 2)).astype(np.float32)
    sketch = Sketch(1, 7, 3)
    image_index, points_index = sketch.constant(image[None]), sketch.constant(mapped_points)
    outputs, wanted = [], []
    for number, options in enumerate(REGIONS):
        finder = sketch.add("Landmarks2TransformMatrix", [0], (1, 4, 4), output_width=4, output_height=4, scale_x=scale,
                            scale_y=scale, target_rotation_radians=target, **options)  # fmt: skip
        sampler = sketch.add("TransformTensorBilinear", [image_index, finder], (1, 4, 4, 2),
                             output_width=4, output_height=4)  # fmt: skip
        weights = np.full((1, 1, 1, 2), number + 2, np.float32)
        weighted = sketch.add("DEPTHWISE_CONV_2D", [sampler, sketch.constant(weights), sketch.constant(np.ones(2))],
                              (1, 4, 4, 2), stride_w=1, stride_h=1, **CONV)  # fmt: skip
        outputs += [finder, sampler, weighted, sketch.add("TransformLandmarks", [points_index, finder], (1, 2, 2))]
        matrix = region(points[0, :, :2].astype(float), options["left_rotation_idx"], options["right_rotation_idx"],
                        options["subset_idxs"], target, scale)  # fmt: skip
        full = np.eye(4)
        full[:2, :2], full[:2, 3] = matrix[:, :2], matrix[:, 2]
        sampled = bilinear(image, matrix)
        wanted += [full[None], sampled[None], sampled[None] * (number + 2) + 1]
        wanted.append(mapped_points @ matrix[:, :2].T + matrix[:, 2])
    for one, other in zip(sketch.run(outputs, points, merged=merged), wanted, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-4)


def test_parallel_branches_become_one() -> None:
    sketch = Sketch(1, 7, 3)
    image = sketch.constant(np.zeros((1, 10, 10, 2)))
    for options in REGIONS:
        finder = sketch.add("Landmarks2TransformMatrix", [0], (1, 4, 4), output_width=4, output_height=4, scale_x=1.5,
                            scale_y=1.5, target_rotation_radians=0.0, **options)  # fmt: skip
        sampler = sketch.add("TransformTensorBilinear", [image, finder], (1, 4, 4, 2), output_width=4, output_height=4)
        slope = sketch.constant(np.full((1, 1, 2), 0.5))
        sketch.network.outputs.append(sketch.add("PRELU", [sampler, slope], (1, 4, 4, 2)))
    codes = [op.custom or op.code for op in merge_lanes(sketch.network).operators]
    assert codes == ["Landmarks2TransformMatrix", "TransformTensorBilinear", "PRELU", "LANES", "LANES", "LANES"]


@pytest.mark.parametrize(("code", "inputs", "options"), [
    ("PAD", [[[0, 0], [1, 1], [1, 1], [0, 0]]], {}),
    ("ADD", [np.ones((1, 4, 4, 3))], {"activation": 3}),
    ("STRIDED_SLICE", [[0, 0, 0, 0], [1, 4, 4, 3], [1, 2, 2, 1]],
     {"begin_mask": 0, "end_mask": 0, "ellipsis_mask": 0, "new_axis_mask": 0, "shrink_axis_mask": 0}),
    ("TRANSPOSE", [[0, 3, 1, 2]], {}),
])  # fmt: skip
def test_what_the_converter_does_not_know_is_refused_in_one_line(code: str, inputs: list[Any], options: Any) -> None:
    sketch = Sketch(1, 4, 4, 3)
    kinds = ["<f4" if code == "ADD" else "<i4"] * len(inputs)
    indices = [0, *(sketch.constant(values, kind) for values, kind in zip(inputs, kinds, strict=True))]
    output = sketch.add(code, indices, (1, 4, 4, 3), **options)
    with pytest.raises(ModelError, match=r"does not know|not known"):
        sketch.run([output], np.zeros((1, 4, 4, 3), np.float32))


@pytest.mark.parametrize("source", [b"", b"TFL3", b"\x00" * 64, b"\x10\x00\x00\x00TFL3" + b"\xff" * 64])
def test_garbage_is_no_network(source: bytes) -> None:
    with pytest.raises(ModelError):
        read_network(source)
