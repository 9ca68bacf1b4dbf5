"""Unified Expressions as an avatar asks for them: floats, and floats spread over booleans.

An avatar has ``v2/JawOpen`` as a float, or ``v2/JawOpen1``, ``…2``, ``…4`` as the bits of a number from 0 to 7, with
``v2/JawXNegative`` for its sign; any folder may come before ``v2/`` (VRCFaceTracking's documentation, "Parameters",
"Binary Parameters"). What an avatar does not have is not sent.
"""

from __future__ import annotations

import math
import re
import struct
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from facewire.bridge import mapping
from facewire.bridge.formats.osc import BUNDLE, IMMEDIATELY, MAX_DATAGRAM_BYTES, encode_message
from facewire.bridge.outputs.vrchat.avatar import PREFIX, Kind

RESOLUTION = 1 / 256
"""A float that moved by less is not worth a message: VRChat's network carries 1/127 steps to the other players."""
HYSTERESIS = 0.6
"""Steps that a binary parameter must be away from its number before that changes: beyond one half, so that noise at
the border of two numbers does not make bits flicker."""
MAX_BITS = 8
FLAGS = ("EyeTrackingActive", "ExpressionTrackingActive", "LipTrackingActive")
GAZE = frozenset({"EyeX", "EyeY", "EyeLeftX", "EyeLeftY", "EyeRightX", "EyeRightY"})
LIDS = frozenset(f"{name}{side}" for name in ("EyeOpen", "EyeClosed", "EyeLid") for side in ("", "Left", "Right"))
_ENDS = (0.0, 1.0, -1.0)
_FLOAT = struct.Struct(">f")
_START = BUNDLE + IMMEDIATELY
_PARAMETER = re.compile(r"(?:.*/)?v2/(.+)")
_BITS = re.compile(r"(.+?)(Negative|[1-9][0-9]{0,2})")


class Feed:
    """What one avatar is told. State: what each parameter was told last.

    ``changes`` returns bundle elements (size and message) for what moved since; after ``forget`` for everything.
    """

    def __init__(self, table: mapping.Mapping, parameters: Mapping[str, Kind] | None) -> None:
        """Without ``parameters`` nobody knows the avatar, and every name of ``table`` that something drives is sent as
        a float."""
        driven = {row.target: index for index, row in enumerate(table.section.rows) if row.weights}
        known = parameters if parameters is not None else _everything(driven)
        wanted = _sort(known, driven)
        self.names = frozenset(wanted.names)
        """The expressions that the avatar has and something drives."""
        self._rows = [row for row, _ in wanted.floats]
        self._heads = [_head(address) for _, address in wanted.floats]
        self._told = [math.nan] * len(self._rows)
        self._numbers = [_Number(row, bits, wanted.negative.get(row)) for row, bits in wanted.bits.items()]
        self._flags = [(index, _boolean(address)) for index, address in wanted.flags]
        self._flags_told: list[bool | None] = [None] * len(self._flags)
        self.takes_gaze = parameters is not None and bool(self.names & GAZE)
        """The avatar turns its eyes itself."""
        self.takes_lids = parameters is not None and bool(self.names & LIDS)

    def __len__(self) -> int:
        """How many parameters it has."""
        return len(self._rows) + sum(len(number) for number in self._numbers) + len(self._flags)

    def forget(self) -> None:
        """Make the next ``changes`` tell everything."""
        self._told = [math.nan] * len(self._rows)
        self._flags_told = [None] * len(self._flags)
        for number in self._numbers:
            number.forget()

    def changes(self, values: Sequence[float], flags: tuple[bool, ...]) -> list[bytes]:
        """Return what is new: ``values`` are the table's targets, ``flags`` in the order of ``FLAGS``."""
        told, elements = self._told, []
        for index, row in enumerate(self._rows):
            value, before = values[row], told[index]
            # Where a value ends, at rest or in full, it must arrive exactly, however small the last step.
            if not abs(value - before) < RESOLUTION or (value != before and value in _ENDS):
                told[index] = value
                elements.append(self._heads[index] + _FLOAT.pack(value))
        for number in self._numbers:
            number.add_changes(values[number.row], elements)
        for place, (flag, texts) in enumerate(self._flags):
            if self._flags_told[place] is not flags[flag]:
                self._flags_told[place] = flags[flag]
                elements.append(texts[flags[flag]])
        return elements


class _Number:
    """One binary parameter: its bits hold the nearest of the numbers from 0 to the one with all of them on."""

    def __init__(self, row: int, bits: dict[int, str], negative: str | None) -> None:
        self.row = row
        self._bits = [(shift, _boolean(address)) for shift, address in sorted(bits.items())]
        self._most = (2 << max(bits)) - 1
        self._negative = None if negative is None else _boolean(negative)
        self._told: tuple[int, bool] | None = None

    def __len__(self) -> int:
        return len(self._bits) + (self._negative is not None)

    def forget(self) -> None:
        self._told = None

    def add_changes(self, value: float, elements: list[bytes]) -> None:
        before = self._told
        below = value < 0
        size = (abs(value) if self._negative or not below else 0.0) * self._most
        if before is not None and abs(size - before[0]) <= HYSTERESIS and below == before[1]:
            return
        number = min(round(size), self._most)
        if before is not None and number == 0 == before[0]:
            return  # a zero's sign is nobody's concern
        self._told = (number, below)
        for shift, texts in self._bits:
            if before is None or (number ^ before[0]) >> shift & 1:
                elements.append(texts[number >> shift & 1])
        if self._negative is not None and (before is None or below != before[1]):
            elements.append(self._negative[below])


class _Wanted:
    """An avatar's parameters, sorted by how they are fed."""

    def __init__(self) -> None:
        self.floats: list[tuple[int, str]] = []
        self.bits: dict[int, dict[int, str]] = defaultdict(dict)
        self.negative: dict[int, str] = {}
        self.flags: list[tuple[int, str]] = []
        self.names: set[str] = set()


def _sort(parameters: Mapping[str, Kind], driven: Mapping[str, int]) -> _Wanted:
    wanted = _Wanted()
    for address, kind in parameters.items():
        name = address[len(PREFIX) :]
        last = name.rpartition("/")[2]
        if kind == "bool" and last in FLAGS:
            wanted.flags.append((FLAGS.index(last), address))
        found = _PARAMETER.fullmatch(name)
        if found is None:
            continue
        if kind == "float" and found[1] in driven:
            wanted.floats.append((driven[found[1]], address))
            wanted.names.add(found[1])
        elif kind == "bool" and (bits := _BITS.fullmatch(found[1])) and bits[1] in driven:
            _add_bit(wanted, driven[bits[1]], bits[1], bits[2], address)
    for row in [row for row in wanted.negative if row not in wanted.bits]:
        del wanted.negative[row]  # a sign without a number
    return wanted


def _add_bit(wanted: _Wanted, row: int, name: str, part: str, address: str) -> None:
    if part == "Negative":
        wanted.negative[row] = address
        return
    worth = int(part)
    if worth & (worth - 1) == 0 and worth < 1 << MAX_BITS:
        wanted.bits[row][worth.bit_length() - 1] = address
        wanted.names.add(name)


def _everything(driven: Iterable[str]) -> dict[str, Kind]:
    floats: dict[str, Kind] = {f"{PREFIX}v2/{name}": "float" for name in driven}
    return {**floats, **{f"{PREFIX}{flag}": "bool" for flag in FLAGS}}


def element(message: bytes) -> bytes:
    """Return ``message`` as a part of a bundle."""
    return struct.pack(">i", len(message)) + message


def bundles(elements: list[bytes], max_bytes: int = MAX_DATAGRAM_BYTES) -> list[bytes]:
    """Return datagrams with all of ``elements`` in order."""
    datagrams: list[bytes] = []
    start, size = 0, len(_START)
    for index, length in enumerate(map(len, elements)):
        size += length
        if size > max_bytes and index > start:
            datagrams.append(_START + b"".join(elements[start:index]))
            start, size = index, len(_START) + length
    if start < len(elements):
        datagrams.append(_START + b"".join(elements[start:]))
    return datagrams


def _head(address: str) -> bytes:
    """Return an element with one float without the float."""
    return element(encode_message(address, 0.0))[:-4]


def _boolean(address: str) -> tuple[bytes, bytes]:
    """Return the elements for false and for true."""
    return element(encode_message(address, False)), element(encode_message(address, True))
