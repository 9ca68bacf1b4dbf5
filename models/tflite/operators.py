"""TensorFlow Lite's own operators, one function each: read the values, add nodes, put the result.

Semantics: TensorFlow's `tensorflow/lite/kernels/` and `schema.fbs`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from facewire.models.errors import ModelError
from facewire.models.tflite.layer_norm import match_layer_norm
from facewire.models.tflite.reader import Operator
from facewire.models.tflite.values import Affine, Signs, Values

_SAME = 0
_NO_ACTIVATION, _RELU = 0, 1


def conv(values: Values, op: Operator) -> None:
    """Weights come as [out, height, width, in]. A 1×1 one over a single row is a matrix product."""
    weights = values.numbers(op.inputs[1])
    if values.shape(op.inputs[0])[1] > 1 or weights.shape[1:3] != (1, 1) or values.is_nchw(op.inputs[0]):
        _convolve(values, op, weights.transpose(0, 3, 1, 2), group=op.options.get("lanes", 1))
    elif values.is_turned(op.inputs[0]):
        result = matrix_conv(values, op, values.turned(op.inputs[0]), turned=True)
        values.put_turned(op.outputs[0], result)
    else:
        values.put(op.outputs[0], matrix_conv(values, op, values.plain(op.inputs[0]), turned=False))


def matrix_conv(values: Values, op: Operator, matrix: str, *, turned: bool, outputs: int | None = None) -> str:
    """Make a 1×1 convolution of a matrix [columns, channels] (turned: [channels, columns]), for the first `outputs`."""
    weights, bias = values.numbers(op.inputs[1])[:outputs, 0, 0], values.numbers(op.inputs[2])[:outputs]
    if turned:
        inputs = [values.graph.constant(weights), matrix, values.graph.constant(bias[:, None])]
    else:
        inputs = [matrix, values.graph.constant(weights.T), values.graph.constant(bias)]
    return _activate(values, op, values.graph.add("Gemm", inputs))


def depthwise_conv(values: Values, op: Operator) -> None:
    """Weights come as [1, height, width, channels]."""
    weights = values.numbers(op.inputs[1]).transpose(3, 0, 1, 2)
    _convolve(values, op, weights, group=values.shape(op.inputs[0])[3])


def _convolve(values: Values, op: Operator, weights: np.ndarray[Any, Any], group: int) -> None:
    """Negated input channels are made good by the weights, and so are the ones that the next sum wants negated."""
    source, signs = values.signed(op.inputs[0])
    wanted = _wanted_signs(values, op.outputs[0])
    outputs, inputs = weights.shape[:2]
    per_output = np.repeat(signs.reshape(group, 1, inputs), outputs // group, axis=1).reshape(outputs, inputs, 1, 1)
    kernel = values.graph.constant(weights * per_output * wanted[:, None, None, None])
    bias = values.graph.constant(values.numbers(op.inputs[2]) * wanted)
    dilations = (op.options["dilation_h"], op.options["dilation_w"])
    window = _window(values, op, (weights.shape[2], weights.shape[3]), dilations)
    result = values.graph.add("Conv", [source, kernel, bias], group=group, dilations=dilations, **window)
    values.put_signed(op.outputs[0], _activate(values, op, result), wanted)


def _wanted_signs(values: Values, index: int) -> Signs:
    """Those of the tensor that this one is going to be added to, if that is all that becomes of it."""
    plain = np.ones(values.shape(index)[3], np.float32)
    readers = values.consumers.get(index, [])
    if len(readers) != 1 or readers[0].code != "ADD":
        return plain
    other = next((i for i in readers[0].inputs if i != index), index)
    if values.producers[index].options.get("activation") or not values.is_nchw(other):
        return plain
    return values.signed(other)[1]


def max_pool(values: Values, op: Operator) -> None:
    window = _window(values, op, (op.options["filter_h"], op.options["filter_w"]), (1, 1))
    result = values.graph.add("MaxPool", [values.nchw(op.inputs[0])], **window)
    values.put_nchw(op.outputs[0], _activate(values, op, result))


def _window(values: Values, op: Operator, kernel: tuple[int, int], dilations: tuple[int, int]) -> dict[str, Any]:
    """Kernel, strides and padding: SAME puts an odd row or column at the end, VALID pads nothing."""
    strides = (op.options["stride_h"], op.options["stride_w"])
    totals = [0, 0]
    if op.options["padding"] == _SAME:
        sizes = values.shape(op.inputs[0])[1:3]
        for axis, (size, width) in enumerate(zip(sizes, kernel, strict=True)):
            reach = (-(-size // strides[axis]) - 1) * strides[axis] + (width - 1) * dilations[axis] + 1
            totals[axis] = max(reach - size, 0)
    pads = [*(total // 2 for total in totals), *(total - total // 2 for total in totals)]
    return {"kernel_shape": kernel, "strides": strides, "pads": pads}


def prelu(values: Values, op: Operator) -> None:
    """PReLU(x) = a·x + relu((1−a)·x) where a ≤ 1, and −PReLU(x) = −x + relu((1−a)·x) where a > 1.

    So each channel takes two depthwise convolutions, one with its ReLU fused and one with the sum fused, and a channel
    whose slope exceeds 1 comes out negated; what reads it makes that good in its own weights.
    """
    slope = values.numbers(op.inputs[1]).reshape(-1)
    name, signs = values.signed(op.inputs[0])
    above = values.graph.add("Relu", [values.scaled(name, (1 - slope) * signs)])
    linear = values.scaled(name, np.where(slope > 1, -1, slope) * signs)
    result = values.graph.add("Add", [linear, above])
    values.put_signed(op.outputs[0], result, np.where(slope > 1, -1, 1).astype(np.float32))


def pad(values: Values, op: Operator) -> None:
    """Zero channels at the end, by a 1×1 convolution."""
    amounts = values.numbers(op.inputs[1])
    extra = int(amounts[-1, 1])
    if amounts.shape != (4, 2) or int(amounts.sum()) != extra:
        raise ModelError("the network pads other than at the end of the channels, which this converter does not know")
    lanes = op.options.get("lanes", 1)
    channels = values.shape(op.inputs[0])[3] // lanes
    identity = np.tile(np.eye(channels + extra, channels, dtype=np.float32), (lanes, 1))
    signs = _wanted_signs(values, op.outputs[0])
    kernel = values.graph.constant((identity * signs[:, None])[:, :, None, None])
    result = values.graph.add("Conv", [values.nchw(op.inputs[0]), kernel], kernel_shape=(1, 1), group=lanes)
    values.put_signed(op.outputs[0], result, signs)


def lanes(values: Values, op: Operator) -> None:
    """Take some lanes of a wide tensor, in another order or number: see the module `lanes`."""
    if op.inputs[0] in values.affine:
        wide, picked = values.affine[op.inputs[0]], values.graph.ints(*op.options["picked"])
        parts = [values.graph.add("Gather", [name, picked], axis=0) for name in (wide.linear, wide.offset)]
        values.affine[op.outputs[0]] = Affine(*parts)
        return
    width = values.shape(op.inputs[0])[3] // op.options["lanes"]
    channels = np.concatenate([np.arange(width) + width * lane for lane in op.options["picked"]])
    inputs = [values.nchw(op.inputs[0]), values.graph.constant(channels.astype(np.int64))]
    values.put_nchw(op.outputs[0], values.graph.add("Gather", inputs, axis=1))


def unary(operator: str, values: Values, op: Operator) -> None:
    if values.is_nchw(op.inputs[0]):
        values.put_nchw(op.outputs[0], values.graph.add(operator, [values.nchw(op.inputs[0])]))
    else:
        values.put(op.outputs[0], values.graph.add(operator, [values.plain(op.inputs[0])]))


def binary(operator: str, values: Values, op: Operator) -> None:
    if any(values.is_nchw(index) for index in op.inputs):
        result = values.graph.add(operator, [values.nchw(index) for index in op.inputs])
        values.put_nchw(op.outputs[0], _activate(values, op, result))
    else:
        result = values.graph.add(operator, [values.plain(index) for index in op.inputs])
        values.put(op.outputs[0], _activate(values, op, result))


def add(values: Values, op: Operator) -> None:
    """Convert the last step of a layer norm written out, or just a sum."""
    norm = match_layer_norm(values, op)
    if norm is not None:
        values.put(op.outputs[0], norm.apply(values, values.plain(norm.source)))
    elif op.options["activation"] or not all(values.is_nchw(index) for index in op.inputs):
        binary("Add", values, op)
    else:
        (left, signs), (right, others) = (values.signed(index) for index in op.inputs)
        if (signs != others).any():
            right = values.scaled(right, signs * others)
        values.put_signed(op.outputs[0], values.graph.add("Add", [left, right]), signs)


def multiply(values: Values, op: Operator) -> None:
    """Multiply; a matrix of MediaPipe's element by element, by a constant, anything else as usual."""
    if op.inputs[0] not in values.affine:
        binary("Mul", values, op)
        return
    affine, factors = values.affine[op.inputs[0]], values.numbers(op.inputs[1]).reshape(4, 4)
    linear = values.graph.add("Mul", [affine.linear, values.graph.constant(factors[None, :2, :2].transpose(0, 2, 1))])
    offset = values.graph.add("Mul", [affine.offset, values.graph.constant(factors[None, None, :2, 3])])
    values.affine[op.outputs[0]] = Affine(linear, offset)


def _activate(values: Values, op: Operator, value: str) -> str:
    activation = op.options["activation"]
    if activation not in (_NO_ACTIVATION, _RELU):
        raise ModelError(f"the network fuses activation {activation} to {op.code}, which this converter does not know")
    return values.graph.add("Relu", [value]) if activation == _RELU else value


def rsqrt(values: Values, op: Operator) -> None:
    root = values.graph.add("Sqrt", [values.plain(op.inputs[0])])
    values.put(op.outputs[0], values.graph.add("Reciprocal", [root]))


def squared_difference(values: Values, op: Operator) -> None:
    difference = values.graph.add("Sub", [values.plain(index) for index in op.inputs])
    values.put(op.outputs[0], values.graph.add("Mul", [difference, difference]))


def mean(values: Values, op: Operator) -> None:
    inputs = [values.plain(op.inputs[0])]
    values.put(op.outputs[0], values.graph.add("ReduceMean", inputs, axes=_axes(values, op), keepdims=_keep(op)))


def total(values: Values, op: Operator) -> None:
    inputs = [values.plain(op.inputs[0]), values.graph.ints(*_axes(values, op))]
    values.put(op.outputs[0], values.graph.add("ReduceSum", inputs, keepdims=_keep(op)))


def _axes(values: Values, op: Operator) -> list[int]:
    """Return axes counted from the end, where a matrix and the image that it holds agree."""
    rank = len(values.shape(op.inputs[0]))
    return [axis % rank - rank for axis in values.numbers(op.inputs[1]).reshape(-1).tolist()]


def _keep(op: Operator) -> int:
    if not op.options["keep_dims"]:
        raise ModelError(f"{op.code} that drops dimensions is not known to this converter")
    return 1


def concatenate(values: Values, op: Operator) -> None:
    rank = len(values.shape(op.outputs[0]))
    inputs = [values.plain(index) for index in op.inputs]
    result = values.graph.add("Concat", inputs, axis=op.options["axis"] % rank - rank)
    values.put(op.outputs[0], _activate(values, op, result))


def reshape(values: Values, op: Operator) -> None:
    shape = values.graph.ints(*values.held(op.outputs[0]))
    values.put(op.outputs[0], values.graph.add("Reshape", [values.in_order(op.inputs[0]), shape]))


def transpose(values: Values, op: Operator) -> None:
    """Turn a matrix, which costs nothing: what reads it is told, and a product can take either way round."""
    source, result = op.inputs[0], op.outputs[0]
    if len(values.held(source)) != 2 or tuple(values.numbers(op.inputs[1])) != (0, 1, 3, 2):
        raise ModelError("the network swaps axes of an image, which this converter does not know")
    if values.is_turned(source):
        values.put(result, values.turned(source))
    else:
        values.put_turned(result, values.plain(source))


def strided_slice(values: Values, op: Operator) -> None:
    begin, end, strides = (values.numbers(index).tolist() for index in op.inputs[1:])
    masks, shape = op.options, values.shape(op.inputs[0])
    if masks["ellipsis_mask"] or masks["new_axis_mask"] or any(stride != 1 for stride in strides):
        raise ModelError("the network slices with steps or new axes, which this converter does not know")
    starts = [0 if masks["begin_mask"] >> axis & 1 else begin[axis] for axis in range(len(begin))]
    ends = [shape[axis] if masks["end_mask"] >> axis & 1 else end[axis] for axis in range(len(end))]
    if not any(starts) and tuple(ends) == shape == values.shape(op.outputs[0]):
        values.alias(op.outputs[0], op.inputs[0])
        return
    rank = len(values.held(op.inputs[0]))
    if rank == 2 and len(shape) == 4 and (starts, ends) == ([0] * 4, [1, 1, 1, shape[3]]):
        values.put(op.outputs[0], first_row(values, op.inputs[0]))
        return
    graph = values.graph
    cut = graph.add("Slice", [values.plain(op.inputs[0]), graph.ints(*starts[-rank:]), graph.ints(*ends[-rank:])])
    values.put(op.outputs[0], graph.add("Reshape", [cut, graph.ints(*values.held(op.outputs[0]))]))


def first_row(values: Values, index: int) -> str:
    """Return the first row of a matrix, computed without the other rows as far back as they are not needed.

    A mixer network reads its answer from the first of its tokens, so most of its last block need not run. It ends at
    the step that mixes rows (a product of turned matrices): what comes before that is needed whole.
    """
    op = values.producers[index]
    if op.code == "ADD" and (norm := match_layer_norm(values, op)):
        return norm.apply(values, first_row(values, norm.source))
    if op.code == "ADD" and all(values.held(i) == values.held(index) for i in op.inputs):
        mixed = [_mixing(values, i) is not None for i in op.inputs]
        rows = [_cut_row(values, i) if any(mixed) and not mixes else first_row(values, i)
                for i, mixes in zip(op.inputs, mixed, strict=True)]  # fmt: skip
        return _activate(values, op, values.graph.add("Add", rows))
    if op.code == "CONV_2D" and not values.is_turned(index):
        return matrix_conv(values, op, first_row(values, op.inputs[0]), turned=False)
    if op.code == "STRIDED_SLICE" and _begins_at_zero(values, op):
        return first_row(values, op.inputs[0])
    mixing = _mixing(values, index)
    if mixing is None:
        return _cut_row(values, index)
    return matrix_conv(values, mixing, values.turned(mixing.inputs[0]), turned=True, outputs=1)


def _mixing(values: Values, index: int) -> Operator | None:
    """Return the convolution of a turned matrix that this tensor results from, turned back: each output is a row."""
    turn = values.producers.get(index)
    if turn is None or turn.code != "TRANSPOSE" or not values.is_turned(turn.inputs[0]):
        return None
    conv = values.producers[turn.inputs[0]]
    return conv if conv.code == "CONV_2D" else None


def _cut_row(values: Values, index: int) -> str:
    graph = values.graph
    return graph.add("Slice", [values.plain(index), graph.ints(0), graph.ints(1), graph.ints(0)])


def _begins_at_zero(values: Values, op: Operator) -> bool:
    same_columns = values.held(op.inputs[0])[1:] == values.held(op.outputs[0])[1:]
    return same_columns and not values.numbers(op.inputs[1]).any()


def dequantize(values: Values, op: Operator) -> None:
    """16-bit float weights become 32-bit ones, once and for all."""
    values.known[op.outputs[0]] = values.numbers(op.inputs[0]).astype(np.float32)


OPERATORS: dict[str, Callable[[Values, Operator], None]] = {
    "ADD": add,
    "CONCATENATION": concatenate,
    "CONV_2D": conv,
    "DEPTHWISE_CONV_2D": depthwise_conv,
    "DEQUANTIZE": dequantize,
    "DIV": partial(binary, "Div"),
    "LANES": lanes,
    "LOGISTIC": partial(unary, "Sigmoid"),
    "MAX_POOL_2D": max_pool,
    "MEAN": mean,
    "MUL": multiply,
    "NEG": partial(unary, "Neg"),
    "PAD": pad,
    "PRELU": prelu,
    "RELU": partial(unary, "Relu"),
    "RESHAPE": reshape,
    "RSQRT": rsqrt,
    "SQRT": partial(unary, "Sqrt"),
    "SQUARED_DIFFERENCE": squared_difference,
    "STRIDED_SLICE": strided_slice,
    "SUB": partial(binary, "Sub"),
    "SUM": total,
    "TRANSPOSE": transpose,
}
