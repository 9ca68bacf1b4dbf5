"""Merges branches that do the same thing side by side into one branch with more channels.

Attention Mesh runs the same small network over lips, eyes and irises with different weights. On maps of 4×4 a step
costs more to start than to compute, so equal steps of several branches become one step over all their channels:
depthwise convolutions, activations and sums as they are, full convolutions in groups. Each branch is a lane.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from facewire.models.errors import ModelError
from facewire.models.tflite.reader import Network, Operator, Tensor

# Which constant inputs of an operator are laid side by side, and along which axis.
_CONSTANT_AXES: dict[str, dict[int, int]] = {
    "DEPTHWISE_CONV_2D": {1: 3, 2: 0},
    "CONV_2D": {1: 0, 2: 0},
    "PRELU": {1: 2},
    "ADD": {},
    "MAX_POOL_2D": {},
    "PAD": {},
}
# Lanes begin where MediaPipe's operators cut several regions out of one map: regions are found, then sampled.
_FINDER, _SAMPLER = "Landmarks2TransformMatrix", "TransformTensorBilinear"

# Its options that are the lanes' own; merged, each becomes a list.
REGION_OPTIONS = {"left_rotation_idx", "right_rotation_idx", "subset_idxs"}

Signature = tuple[Any, ...]


def merge_lanes(network: Network, inner: Sequence[int] = ()) -> Network:
    """Return the same network, with equal steps of parallel branches merged. Others come out as they are.

    Outputs stay apart, and so do the inner tensors that are asked for.
    """
    return _Merger(network, inner).run()


@dataclass(slots=True)
class _Merger:
    network: Network
    inner: Sequence[int] = ()
    tensors: list[Tensor] = field(init=False)
    operators: list[Operator] = field(default_factory=list)
    # Where a tensor is kept once it is merged: the wide tensor and the lane's number; and a wide tensor's lanes.
    lane: dict[int, tuple[int, int]] = field(default_factory=dict)
    members: dict[int, list[int]] = field(default_factory=dict)
    apart: set[int] = field(default_factory=set)
    # Where the 16-bit numbers of a constant are.
    stored: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.tensors = list(self.network.tensors)

    def run(self) -> Network:
        for group in self._groups():
            if len(group) > 1 and self._can_merge(group):
                self._merge(group)
            else:
                for op in group:
                    self._keep(op)
        for index in (*self.network.outputs, *self.inner):
            self._separate(index)
        return replace(self.network, tensors=self.tensors, operators=self.operators)

    def _groups(self) -> list[list[Operator]]:
        """Operators by their distance from the inputs; those alike at one distance together."""
        level: dict[int, int] = {}
        groups: dict[tuple[int, Signature], list[Operator]] = {}
        for number, op in enumerate(self.network.operators):
            if op.code == "DEQUANTIZE":
                self.stored[op.outputs[0]] = op.inputs[0]
            depth = 1 + max(level.get(index, 0) for index in op.inputs)
            level.update((index, 0 if op.code == "DEQUANTIZE" else depth) for index in op.outputs)
            mergeable = op.code in _CONSTANT_AXES or op.custom in (_FINDER, _SAMPLER)
            alike = self._signature(op) if mergeable else (number,)
            groups.setdefault((level[op.outputs[0]], alike), []).append(op)
        return [group for _, group in sorted(groups.items(), key=lambda item: item[0][0])]

    def _signature(self, op: Operator) -> Signature:
        shapes = tuple(self.tensors[index].shape for index in op.inputs)
        options = tuple(sorted((key, value) for key, value in op.options.items() if key not in REGION_OPTIONS))
        return (op.code, op.custom, options, shapes, self.tensors[op.outputs[0]].shape)

    def _can_merge(self, group: list[Operator]) -> bool:
        """Whether each varying input comes from the lanes of one wide tensor. Regions to be found start again."""
        if group[0].custom == _FINDER:
            return True
        if group[0].custom == _SAMPLER and len({op.inputs[0] for op in group}) > 1:
            return False
        return all(self._in_one_wide([op.inputs[i] for op in group]) for i in self._varying(group[0]))

    def _in_one_wide(self, indices: list[int]) -> bool:
        return all(i in self.lane for i in indices) and len({self.lane[i][0] for i in indices}) == 1

    def _varying(self, op: Operator) -> list[int]:
        if op.code == "CUSTOM":
            return [1] if op.custom == _SAMPLER else []
        fixed = set(_CONSTANT_AXES[op.code]) | ({1} if op.code == "PAD" else set())
        return [i for i in range(len(op.inputs)) if i not in fixed]

    def _merge(self, group: list[Operator]) -> None:
        first = group[0]
        if first.custom == _FINDER:
            inputs = [op.inputs[0] for op in group]
        else:
            varying = self._varying(first)
            inputs = [self._wide_input(group, i) if i in varying else self._wide_constant(group, i)
                      for i in range(len(first.inputs))]  # fmt: skip
        wide = self._new_tensor(self.tensors[first.outputs[0]], len(group))
        self._record(wide, [op.outputs[0] for op in group])
        options = {**first.options, "lanes": len(group)}
        for name in REGION_OPTIONS & first.options.keys():
            options[name] = [op.options[name] for op in group]
        self.operators.append(replace(first, inputs=inputs, outputs=[wide], options=options))

    def _wide_input(self, group: list[Operator], position: int) -> int:
        """Return the wide tensor that holds the group's inputs in order, or a copy of its lanes in that order."""
        wanted = [op.inputs[position] for op in group]
        wide = self.lane[wanted[0]][0]
        if self.members[wide] == wanted:
            return wide
        fresh = self._new_tensor(self.tensors[wanted[0]], len(wanted))
        options = {"lanes": len(self.members[wide]), "picked": [self.lane[index][1] for index in wanted]}
        self.operators.append(Operator("LANES", "", 1, [wide], [fresh], options))
        self.members[fresh] = wanted
        return fresh

    def _wide_constant(self, group: list[Operator], position: int) -> int:
        axis = _CONSTANT_AXES.get(group[0].code, {}).get(position)
        if axis is None:
            return group[0].inputs[position]
        parts = [self._numbers(op.inputs[position]) for op in group]
        data = np.concatenate(parts, axis=axis)
        self.tensors.append(Tensor("", data.shape, data.dtype, data))
        return len(self.tensors) - 1

    def _numbers(self, index: int) -> np.ndarray[Any, Any]:
        data = self.tensors[self.stored.get(index, index)].data
        if data is None:
            raise ModelError("parallel branches whose weights are computed are not known to this converter")
        return data.astype(np.float32)

    def _new_tensor(self, like: Tensor, lanes: int) -> int:
        shape = (*like.shape[:-1], like.shape[-1] * lanes)
        self.tensors.append(Tensor(f"{like.name} and alike", shape, like.dtype, None))
        return len(self.tensors) - 1

    def _record(self, wide: int, members: list[int]) -> None:
        self.members[wide] = members
        self.lane.update((index, (wide, number)) for number, index in enumerate(members))

    def _keep(self, op: Operator) -> None:
        for index in op.inputs:
            self._separate(index)
        self.operators.append(op)

    def _separate(self, index: int) -> None:
        """Take one lane out of its wide tensor, where something reads it alone."""
        if index in self.lane and index not in self.apart:
            wide, number = self.lane[index]
            options = {"lanes": len(self.members[wide]), "picked": [number]}
            self.operators.append(Operator("LANES", "", 1, [wide], [index], options))
            self.apart.add(index)
