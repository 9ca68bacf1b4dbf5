"""What other programs call what a face does: one table (``table.json``), from ARKit's shapes to each of their names.

A row of the table makes one target from weighted channels: ARKit's 52 shapes, and the pose for targets that have head
and eyes among their parameters (``POSE_CHANNELS``). Its value is the weights' sum, or with ``"op": "max"`` the greatest
of the weighted channels and 0; then ``bias`` is added, and it is kept within ``range`` (0 to 1 unless given). A section
lists the shapes that have no counterpart in it as ``unused``, by reason; targets that nothing drives carry a ``why``.
``docs/mapping.md`` shows the table; ``export_docs.py`` writes that page and ``export_unity.py`` Unity's part of it.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from facewire.bridge.shared.arkit import BLENDSHAPE_INDEX, BLENDSHAPES
from facewire.bridge.shared.arrays import Float32Array
from facewire.bridge.shared.errors import FacewireError
from facewire.bridge.wire.angles import head_angles
from facewire.bridge.wire.frame import FaceFrame

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
    """By channel; none if nothing drives the target."""
    op: str = "sum"
    bias: float = 0.0
    range: tuple[float, float] = (0.0, 1.0)
    why: str = ""
    """Why nothing drives it, or whatever else a reader should know."""
    combines: tuple[str, ...] = ()
    """Targets that show the same in parts and would add up with it: use it only if those are not there."""


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
    """A section of the table, ready to be applied. State: none.

    It counts in Python's own numbers: outputs do so in a thread that has just woken, whose caches do not hold numpy's
    code. There it is faster than numpy, which wins if it is called all the time.
    """

    def __init__(self, section: Section) -> None:
        self.section = section
        self.names = tuple(row.target for row in section.rows)
        """Targets, in the order of what ``apply`` returns."""
        # Most rows are one shape as it is, or nothing at all: those are picked, and only the others worked out.
        self._picked = [CHANNEL_INDEX[next(iter(row.weights))] if _is_copy(row) else _NOTHING for row in section.rows]
        self._made = [
            (index, row.op == "max", row.bias, _terms(row), row.range)
            for index, row in enumerate(section.rows)
            if not _is_copy(row) and (row.weights or row.bias or not row.range[0] <= 0 <= row.range[1])
        ]

    def index(self, name: str) -> int:
        """Return a target's place in ``names``.

        Raises:
            ValueError: there is no such target.
        """
        return self.names.index(name)

    def apply_frame(self, frame: FaceFrame) -> list[float]:
        """Return the targets' values for ``frame``, the pose included."""
        return self._values([*frame.blendshapes.tolist(), *pose(frame)])

    def apply(self, blendshapes: Float32Array) -> list[float]:
        """Return the targets' values for shapes [52] with all of the pose 0."""
        return self._values([*blendshapes.tolist(), *_NO_POSE])

    def _values(self, channels: list[float]) -> list[float]:
        """Return the targets' values; what is not a number counts as 0."""
        if not math.isfinite(sum(channels)):
            channels = [value if math.isfinite(value) else 0.0 for value in channels]
        held = [0.0 if value < 0.0 else 1.0 if value > 1.0 else value for value in channels]
        held.append(0.0)
        values = [held[index] for index in self._picked]
        for index, greatest, value, terms, (low, high) in self._made:
            if greatest:
                value += max(0.0, *[channels[channel] * weight for channel, weight in terms])
            else:
                for channel, weight in terms:
                    value += channels[channel] * weight
            values[index] = low if value < low else high if value > high else value
        return values


_NO_POSE = (0.0,) * len(POSE_CHANNELS)
_NOTHING = len(CHANNELS)


def _is_copy(row: Row) -> bool:
    """Whether a row is one shape as it is."""
    return tuple(row.weights.values()) == (1.0,) and row.bias == 0.0 and row.range == (0.0, 1.0)


def _terms(row: Row) -> list[tuple[int, float]]:
    """Return a row's channels and weights."""
    return [(CHANNEL_INDEX[name], weight) for name, weight in row.weights.items()]


def pose(frame: FaceFrame) -> list[float]:
    """Return the values of ``POSE_CHANNELS``."""
    return [*head_angles(frame.head), *frame.head[4:].tolist(), *frame.gaze.tolist()]


def load(kind: str) -> Mapping:
    """Return a section's mapping.

    Raises:
        MappingError: there is no such section.
    """
    return Mapping(section(kind))


def section(kind: str) -> Section:
    """Return a section of the table.

    Raises:
        MappingError: there is no such section.
    """
    sections = read_table()
    if kind not in sections:
        raise MappingError(f"the mapping table has no section {kind!r}: it has {', '.join(sections)}")
    return sections[kind]


@cache
def read_table() -> dict[str, Section]:
    """Return the whole table by section.

    Raises:
        MappingError: the file is broken.
    """
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
    """Return a row of a section that only has other ``names`` for the targets of another one."""
    own = {old: new for new, old in names.items()}
    for row in base.rows:
        if row.target == names[target]:
            return replace(row, target=target, combines=tuple(own[name] for name in row.combines))
    raise MappingError(f"{kind}: {target} is another name for {names[target]!r}, which does not exist")


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
    "load", "pose", "read_table", "section",
]  # fmt: skip
