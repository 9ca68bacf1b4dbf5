"""Converts the face networks from TensorFlow Lite to ONNX.

TensorFlow Lite keeps images as [batch, height, width, channels]; ONNX Runtime is fast on [batch, channels, height,
width]. Each value is held in the layout that its operator made and is turned only where a reader needs the
other: in these networks that happens at the detector's heads and where Attention Mesh cuts out regions. Weights stored
as 16-bit floats become 32-bit constants. What is rewritten gives the same numbers up to float32 rounding; the first
three keep ONNX Runtime in its blocked layout, where convolutions and additions run several times faster:

- PReLU = two 1×1 depthwise convolutions, see `operators.prelu`;
- padding with zero channels = a 1×1 convolution with an identity matrix;
- layers narrower than a block get zero channels, see `widen`;
- equal steps of parallel branches become one step, see `lanes`;
- a 1×1 convolution over a single row = a matrix product, layer normalisation written out in nine steps = one step, and
  rows that the answer does not depend on are not computed.

`reader` reads the file, `operators` and MediaPipe's own in `custom` translate one operator each, `values` keeps what
they made, `graph` collects nodes. NETWORKS is the layout of the converted models' inputs and outputs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx

from facewire.models.errors import ModelError
from facewire.models.tflite.custom import CUSTOM
from facewire.models.tflite.lanes import merge_lanes
from facewire.models.tflite.operators import OPERATORS
from facewire.models.tflite.reader import Operator, read_network
from facewire.models.tflite.values import Values
from facewire.models.tflite.widen import widen


@dataclass(frozen=True, slots=True)
class NetworkSpec:
    """Names and shapes that the ONNX graph gives to the file's input and, in the file's order, to its outputs."""

    input_name: str
    input_shape: tuple[int, ...]
    outputs: tuple[tuple[str, tuple[int, ...]], ...]
    inner: tuple[tuple[str, int], ...] = ()
    """Further outputs: a name and the index of an inner image in the file. They come with the channels first."""


NETWORKS: dict[str, NetworkSpec] = {
    # RGB 0..1. Landmarks in pixels of the 192×192 input; the flag is a logit.
    "attention_mesh": NetworkSpec("image", (1, 3, 192, 192), (
        ("mesh", (1, 468, 3)), ("lips", (1, 80, 2)), ("left_eye", (1, 71, 2)), ("right_eye", (1, 71, 2)),
        ("left_iris", (1, 5, 2)), ("right_iris", (1, 5, 2)), ("face_flag", (1, 1)),
    ), inner=(
        # From these the last layers make the landmarks; the blendshapes are read from them too.
        ("face_code", 183), ("lips_code", 673), ("left_eye_code", 675), ("left_iris_code", 677),
        ("right_eye_code", 679), ("right_iris_code", 681),
    )),
    # RGB 0..1. Landmarks in pixels of the 256×256 input; the flag is a logit; the third output has no public name.
    "face_mesh_v2": NetworkSpec("image", (1, 3, 256, 256), (
        ("landmarks", (1, 478, 3)), ("face_flag", (1, 1)), ("extra", (1, 1)),
    )),
    # RGB −1..1. Boxes and keypoints relative to the 896 anchors, in pixels of the 128×128 input; scores are logits.
    "face_detector": NetworkSpec("image", (1, 3, 128, 128), (("boxes", (1, 896, 16)), ("scores", (1, 896, 1)))),
    # 146 of the 478 landmarks in pixels of the image; 52 shapes 0..1.
    "face_blendshapes": NetworkSpec("landmarks", (1, 146, 2), (("blendshapes", (1, 52)),)),
}  # fmt: skip


def convert(source: bytes, spec: NetworkSpec, *, block: int = 1, layers: bool = False) -> onnx.ModelProto:
    """Return the ONNX model of a .tflite file's bytes, for a runtime that handles `block` channels at once.

    With `layers`, every inner tensor is an output too, in TensorFlow Lite's layout, named `t<index>`, and parallel
    branches stay apart: for checks.

    Raises:
        ModelError: the file is damaged or uses what this converter does not know.
    """
    network = read_network(source)
    inner = [index for _, index in spec.inner]
    values = Values(network if layers else merge_lanes(widen(network, block), inner))
    _bind_input(values, spec)
    for operator in values.network.operators:
        _translate(values, operator)
    outputs = _bind_outputs(values, spec)
    if layers:
        outputs |= _bind_layers(values)
    return values.graph.finish("facewire", {spec.input_name: spec.input_shape}, outputs)


def _bind_input(values: Values, spec: NetworkSpec) -> None:
    index = values.network.inputs[0]
    shape = values.shape(index)
    if len(shape) == 4 and (shape[0], shape[3], shape[1], shape[2]) == spec.input_shape:
        values.put_nchw(index, spec.input_name)
    elif shape == spec.input_shape:
        values.put(index, spec.input_name)
    else:
        raise ModelError(f"the network's input is {list(shape)}, not {list(spec.input_shape)}: a different file")


def _translate(values: Values, operator: Operator) -> None:
    if operator.code != "CUSTOM":
        OPERATORS[operator.code](values, operator)
        return
    key = (operator.custom, operator.version)
    if key not in CUSTOM:
        raise ModelError(f"the network uses operator {key[0]} version {key[1]}, which this converter does not know")
    CUSTOM[key](values, operator)


def _bind_outputs(values: Values, spec: NetworkSpec) -> dict[str, tuple[int, ...]]:
    indices = values.network.outputs
    sizes = [int(np.prod(values.shape(index))) for index in indices]
    if sizes != [int(np.prod(shape)) for _, shape in spec.outputs]:
        raise ModelError(f"the network's outputs have {sizes} numbers: a different file")
    for index, (name, shape) in zip(indices, spec.outputs, strict=True):
        values.graph.add("Reshape", [values.in_order(index), values.graph.ints(*shape)], name)
    return dict(spec.outputs) | _bind_inner(values, spec)


def _bind_inner(values: Values, spec: NetworkSpec) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    for name, index in spec.inner:
        _, height, width, channels = values.shape(index)
        shapes[name] = (1, channels, height, width)
        values.graph.add("Identity", [values.nchw(index)], name)
    return shapes


def _bind_layers(values: Values) -> dict[str, tuple[int, ...]]:
    indices = values.computed()
    for index in indices:
        values.graph.add("Reshape", [values.plain(index), values.graph.ints(*values.shape(index))], f"t{index}")
    return {f"t{index}": values.shape(index) for index in indices}
