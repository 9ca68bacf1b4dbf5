"""A small builder for ONNX graphs: a node by a call, equal constants stored once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17  # GridSample needs 16, LayerNormalization 17; ONNX Runtime 1.20 and every later one run it.
IR_VERSION = 8


@dataclass(slots=True)
class GraphBuilder:
    """Collects nodes and constants; `finish` makes the checked model."""

    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: dict[tuple[str, tuple[int, ...], bytes], str] = field(default_factory=dict)
    initializers: list[onnx.TensorProto] = field(default_factory=list)
    made: dict[tuple[str, tuple[str, ...], str], str] = field(default_factory=dict)
    counter: int = 0

    def add(self, operator: str, inputs: list[str], name: str | None = None, **attributes: Any) -> str:
        """Add one node with one output and return the output's name; an equal node that exists already is used."""
        key = (operator, tuple(inputs), repr(sorted(attributes.items())))
        if name is None and key in self.made:
            return self.made[key]
        self.counter += 1
        output = name or f"{operator.lower()}_{self.counter}"
        self.made[key] = output
        self.nodes.append(helper.make_node(operator, inputs, [output], name=f"n{self.counter}", **attributes))
        return output

    def constant(self, value: np.ndarray[Any, Any]) -> str:
        """Return the name of an initializer with these numbers; equal ones are stored once."""
        value = np.ascontiguousarray(value)
        key = (value.dtype.str, value.shape, value.tobytes())
        if key not in self.constants:
            name = f"c{len(self.constants)}"
            self.constants[key] = name
            self.initializers.append(numpy_helper.from_array(value, name))
        return self.constants[key]

    def floats(self, *values: float) -> str:
        """Return a constant of one dimension (none for a single number)."""
        return self.constant(np.float32(values[0]) if len(values) == 1 else np.asarray(values, np.float32))

    def ints(self, *values: int) -> str:
        """Return a constant int64 vector."""
        return self.constant(np.asarray(values, np.int64))

    def finish(
        self, name: str, inputs: dict[str, tuple[int, ...]], outputs: dict[str, tuple[int, ...]]
    ) -> onnx.ModelProto:
        """Make the model with these float32 inputs and outputs, checked by ONNX's own checker."""
        read = self._read(set(outputs))
        graph = helper.make_graph(
            [node for node in self.nodes if node.output[0] in read],
            name,
            [helper.make_tensor_value_info(key, TensorProto.FLOAT, shape) for key, shape in inputs.items()],
            [helper.make_tensor_value_info(key, TensorProto.FLOAT, shape) for key, shape in outputs.items()],
            [constant for constant in self.initializers if constant.name in read],
        )
        opset = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, opset_imports=opset, ir_version=IR_VERSION, producer_name="facewire")
        onnx.checker.check_model(model, full_check=True)
        return model

    def _read(self, outputs: set[str]) -> set[str]:
        """Return the names that the outputs depend on, themselves included."""
        read = set(outputs)
        for node in reversed(self.nodes):
            if node.output[0] in read:
                read.update(node.input)
        return read
