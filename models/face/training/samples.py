"""What Attention Mesh's blendshapes are learnt from: one row for each picture of a face."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
Names = npt.NDArray[np.str_]


@dataclass(frozen=True, slots=True)
class Samples:
    """Arrays of n rows."""

    codes: Array
    """[n, 928]: what Attention Mesh saw, see ``AttentionMesh.codes``."""
    plain: Array
    """[n, 51], 0..1: what the blendshape network makes of Attention Mesh's landmarks, in ``BLENDSHAPES``' order."""
    target: Array
    """[n, 51], 0..1: what it makes of FaceMesh V2's landmarks of the same picture."""
    person: Names
    """[n]: whose face it is."""
    touched: Names
    """[n]: all whose face or motion went into the picture, joined by commas: it may not be used to judge on them."""

    def rows(self, chosen: npt.NDArray[np.bool_] | npt.NDArray[np.intp]) -> Samples:
        """Return some of the rows."""
        return Samples(*(getattr(self, entry.name)[chosen] for entry in fields(self)))

    def without(self, people: Iterable[str]) -> Samples:
        """Return the rows into which nothing of these people went."""
        held = set(people)
        return self.rows(np.array([held.isdisjoint(row.split(",")) for row in self.touched], bool))

    def save(self, path: Path) -> None:
        """Write the arrays, numbers as halves."""
        codes, plain, target = (array.astype(np.float16) for array in (self.codes, self.plain, self.target))
        np.savez(path, codes=codes, plain=plain, target=target, person=self.person, touched=self.touched)


def load(paths: Iterable[Path]) -> Samples:
    """Read files that ``save`` wrote, one after the other."""
    parts: dict[str, list[npt.NDArray[np.generic]]] = {entry.name: [] for entry in fields(Samples)}
    for path in paths:
        with np.load(path, allow_pickle=False) as file:
            for name, arrays in parts.items():
                array = file[name]
                arrays.append(array.astype(np.float32) if array.dtype == np.float16 else array)
    return Samples(**{name: np.concatenate(arrays) for name, arrays in parts.items()})
