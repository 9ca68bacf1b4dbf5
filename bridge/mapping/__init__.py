"""What other programs call what a face does: one table (``table.json``), from ARKit's shapes to each of their names.

A row of the table makes one target from weighted channels: ARKit's 52 shapes, and the pose for targets that have head
and eyes among their parameters (``POSE_CHANNELS``). Its value is the weights' sum, or with ``"op": "max"`` the greatest
of the weighted channels and 0; then ``bias`` is added, and it is kept within ``range`` (0 to 1 unless given). A section
lists the shapes that have no counterpart in it as ``unused``, by reason; targets that nothing drives carry a ``why``.
``docs/mapping.md`` shows the table; ``export_docs.py`` writes that page and ``export_unity.py`` Unity's part of it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from facewire.bridge.errors import FacewireError
from facewire.bridge.frame import BLENDSHAPE_INDEX, BLENDSHAPES, FaceFrame, Float32Array
from facewire.bridge.livelink_csv import head_angles

POSE_CHANNELS = (
    "headYaw", "headPitch", "headRoll", "headX", "headY", "headZ",
    "eyeYawLeft", "eyePitchLeft", "eyeYawRight", "eyePitchRight",
)  # fmt: skip
"""Radians and metres, all as FaceFrame has them: head yaw turns to the subject's left, pitch looks down (the head's
rotation is Ry(yaw) · Rx(pitch) · Rz(roll)); the eyes' yaw turns to the subject's left and their pitch looks up."""

CHANNELS = (*BLENDSHAPES, *POSE_CHANNELS)
CHANNEL_INDEX = {name: index for index, name in enumerate(CHANNELS)}


_KEYS = {"from", "op", "bias", "range", "why", "combines"}


class MappingError(FacewireError):
    """The table is broken, or has no such section."""


@dataclass(frozen=True, slots=True)
class Row:
    """How one target is made."""

    target: str
    weights: dict[str, float]
    """By channel; none where nothing drives the target."""
    op: str = "sum"
    bias: float = 0.0
    range: tuple[float, float] = (0.0, 1.0)
    why: str = ""
    """Why nothing drives it, or whatever else a reader should know."""
    combines: tuple[str, ...] = ()
    """Targets that show the same in parts and would add up with it: use it only where those are not there."""


@dataclass(frozen=True, slots=True)
class Section:
    """One program's or format's names."""

    kind: str
    title: str
    source: str
    """Where the names are published."""
    rows: tuple[Row, ...]
    unused: dict[str, str] = field(default_factory=dict)
    """ARKit's shapes that have no counterpart, each with the reason."""
    spellings: dict[str, str] = field(default_factory=dict)
    """Other names that are in use for the same targets."""


class Mapping:
    """A section of the table, ready to be applied; use it from one thread. Carries over nothing but buffers."""

    def __init__(self, section: Section) -> None:
        self.section = section
        self.names = tuple(row.target for row in section.rows)
        """Targets, in the order of what ``apply`` writes."""
        self._matrix = np.zeros((len(self.names), len(CHANNELS)), np.float32)
        for index, row in enumerate(section.rows):
            for channel, weight in row.weights.items():
                self._matrix[index, CHANNEL_INDEX[channel]] = weight
        self._bias = np.array([row.bias for row in section.rows], np.float32)
        self._low = np.array([row.range[0] for row in section.rows], np.float32)
        self._high = np.array([row.range[1] for row in section.rows], np.float32)
        greatest = [index for index, row in enumerate(section.rows) if row.op == "max"]
        self._greatest = np.array(greatest, np.intp)
        width = max([len(section.rows[index].weights) for index in greatest], default=1)
        self._picked = np.zeros((len(greatest), width), np.intp)
        self._weights = np.zeros((len(greatest), width), np.float32)
        for i, index in enumerate(greatest):
            for j, (channel, weight) in enumerate(section.rows[index].weights.items()):
                self._picked[i, j], self._weights[i, j] = CHANNEL_INDEX[channel], weight
        self._products = np.empty_like(self._weights)
        self._maxima = np.empty(len(greatest), np.float32)
        self._channels = np.zeros(len(CHANNELS), np.float32)
        self._finite = np.ones(len(CHANNELS), np.bool_)
        self._needs_pose = bool(self._matrix[:, len(BLENDSHAPES) :].any())

    def index(self, name: str) -> int:
        """Returns a target's place in ``names``. Raises ValueError."""
        return self.names.index(name)

    def new_values(self) -> Float32Array:
        """Returns zeros [len(names)] for ``apply`` to write into."""
        return np.zeros(len(self.names), np.float32)

    def apply_frame(self, frame: FaceFrame, out: Float32Array) -> None:
        """Writes the targets [len(names)] for ``frame`` to ``out``, the pose included."""
        if self._needs_pose:
            fill_pose(frame, self._channels[len(BLENDSHAPES) :])
        self.apply(frame.blendshapes, out)

    def apply(self, blendshapes: Float32Array, out: Float32Array) -> None:
        """Writes the targets [len(names)] for shapes [52] to ``out``; the pose is as it was. Allocates nothing.

        What is no number counts as 0: one NaN would make every target one.
        """
        self._channels[: len(BLENDSHAPES)] = blendshapes
        np.isfinite(self._channels, out=self._finite)
        if not self._finite.all():
            self._channels[~self._finite] = 0.0
        np.dot(self._matrix, self._channels, out=out)
        if len(self._greatest):
            self._channels.take(self._picked, out=self._products, mode="clip")
            np.multiply(self._products, self._weights, out=self._products)
            np.maximum.reduce(self._products, axis=1, initial=0.0, out=self._maxima)
            out[self._greatest] = self._maxima
        np.add(out, self._bias, out=out)
        np.maximum(out, self._low, out=out)
        np.minimum(out, self._high, out=out)


def fill_pose(frame: FaceFrame, out: npt.NDArray[np.float32]) -> None:
    """Writes ``POSE_CHANNELS`` of ``frame`` to ``out`` [10]."""
    out[:3] = head_angles(frame.head)
    out[3:6] = frame.head[4:]
    out[6:10] = frame.gaze


def load(kind: str) -> Mapping:
    """Returns a section's mapping, with buffers of its own. Raises MappingError where there is no such section."""
    return Mapping(section(kind))


def section(kind: str) -> Section:
    """Returns a section of the table. Raises MappingError."""
    sections = read_table()
    if kind not in sections:
        raise MappingError(f"the mapping table has no section {kind!r}: it has {', '.join(sections)}")
    return sections[kind]


@cache
def read_table() -> dict[str, Section]:
    """Returns the whole table by section. Raises MappingError where the file is broken."""
    content = json.loads(Path(__file__).with_name("table.json").read_text(encoding="utf-8"))
    sections: dict[str, Section] = {}
    for kind, data in content["sections"].items():
        base = sections.get(data.get("renames", ""))
        rows = tuple(
            _row(kind, target, row) if base is None else _renamed(kind, target, data["rows"], base)
            for target, row in data["rows"].items()
        )
        unused = {name: why for why, names in data.get("unused", {}).items() for name in names}
        sections[kind] = Section(kind, data["title"], data["source"], rows, unused, data.get("spellings", {}))
    return sections


def _renamed(kind: str, target: str, names: dict[str, str], base: Section) -> Row:
    """A row of a section that only has other ``names`` for the targets of another one."""
    own = {old: new for new, old in names.items()}
    for row in base.rows:
        if row.target == names[target]:
            return replace(row, target=target, combines=tuple(own[name] for name in row.combines))
    raise MappingError(f"{kind}: {target} is another name for {names[target]!r}, which is not there")


def _row(kind: str, target: str, data: dict[str, Any]) -> Row:
    weights, op = data.get("from", {}), data.get("op", "sum")
    low, high = data.get("range", (0.0, 1.0))
    unknown = [name for name in weights if name not in CHANNEL_INDEX]
    if unknown or op not in ("sum", "max") or not low < high or set(data) - _KEYS:
        raise MappingError(f"{kind}: the row {target} is broken" + (f": no channel {unknown[0]}" if unknown else ""))
    return Row(
        target, weights, op, data.get("bias", 0.0), (low, high), data.get("why", ""), tuple(data.get("combines", ()))
    )


__all__ = [
    "BLENDSHAPE_INDEX", "CHANNELS", "CHANNEL_INDEX", "POSE_CHANNELS", "Mapping", "MappingError", "Row", "Section",
    "fill_pose", "load", "read_table", "section",
]  # fmt: skip
