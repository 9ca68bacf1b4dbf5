"""VOCASET and BIWI for those who have them: readers, the paper's loss, and the metrics that its successors compare by.

Both are read in the layout of FaceFormer's repository: ``vertices_npy/SUBJECT_sentenceNN.npy`` (frames, vertices x 3),
``wav/`` beside it, and ``templates.pkl``. VOCASET's vertices are stored at 60 Hz and used at 30, BIWI's at 25.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facewire.bridge.shared.arrays import Float32Array
from facewire.models.errors import ModelError


@dataclass(frozen=True, slots=True)
class Dataset:
    """How one of the two is stored and split (FaceFormer, section 4.1)."""

    name: str
    vertices: int
    rate_hz: int
    every: int
    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]
    sentences: dict[str, range]


VOCASET = Dataset(
    "VOCASET", 5023, 30, 2,
    ("FaceTalk_170728_03272_TA", "FaceTalk_170904_00128_TA", "FaceTalk_170725_00137_TA", "FaceTalk_170915_00223_TA",
     "FaceTalk_170811_03274_TA", "FaceTalk_170913_03279_TA", "FaceTalk_170904_03276_TA", "FaceTalk_170912_03278_TA"),
    ("FaceTalk_170811_03275_TA", "FaceTalk_170908_03277_TA"),
    ("FaceTalk_170809_00138_TA", "FaceTalk_170731_00024_TA"),
    {"train": range(1, 41), "validation": range(21, 41), "test": range(21, 41)},
)  # fmt: skip
BIWI = Dataset(
    "BIWI", 23370, 25, 1, ("F2", "F3", "F4", "M3", "M4", "M5"), ("F2", "F3", "F4", "M3", "M4", "M5"),
    ("F1", "F5", "F6", "F7", "F8", "M1", "M2", "M6"),
    {"train": range(1, 33), "validation": range(33, 37), "test": range(37, 41)},
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sequence:
    """One sentence of one subject: displacements [frames, vertices x 3] over the template, and where its sound is."""

    subject: str
    sentence: int
    displacements: Float32Array
    template: Float32Array
    sound: Path


def read(dataset: Dataset, folder: Path, split: str) -> Iterator[Sequence]:
    """Yield the sequences of a split: train, validation or test.

    Raises:
        ModelError: the folder does not hold such data.
    """
    templates = read_templates(folder / "templates.pkl")
    subjects = {"train": dataset.train, "validation": dataset.validation, "test": dataset.test}[split]
    for path in sorted((folder / "vertices_npy").glob("*.npy")):
        named = re.fullmatch(r"(.+?)_?(?:sentence|e)?(\d+)", path.stem)
        if named is None or named[1] not in subjects or int(named[2]) not in dataset.sentences[split]:
            continue
        template = templates.get(named[1])
        if template is None:
            raise ModelError(f"{folder / 'templates.pkl'} has no template of {named[1]}.")
        yield Sequence(named[1], int(named[2]), _displacements(dataset, path, template), template, _sound(folder, path))


def _displacements(dataset: Dataset, path: Path, template: Float32Array) -> Float32Array:
    try:
        stored = np.load(path, mmap_mode="r", allow_pickle=False)[:: dataset.every]
        vertices = np.asarray(stored, np.float32).reshape(len(stored), dataset.vertices * 3)
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} holds no motion of {dataset.name}'s {dataset.vertices} vertices: {error}.") from error
    return vertices - template


def _sound(folder: Path, path: Path) -> Path:
    return folder / "wav" / f"{path.stem}.wav"


class _ArraysOnly(pickle.Unpickler):
    """The data sets come with pickled templates; this reads arrays out of them and refuses all else, code above all."""

    ALLOWED = frozenset(("_reconstruct", "ndarray", "dtype", "scalar"))

    def find_class(self, module: str, name: str) -> Any:
        if module.split(".")[0] == "numpy" and name in self.ALLOWED:
            return super().find_class(module.replace("numpy.core", "numpy._core") if _NEW_NUMPY else module, name)
        if (module, name) == ("_codecs", "encode"):
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"it holds {module}.{name}")


_NEW_NUMPY = int(np.__version__.split(".")[0]) >= 2


def read_templates(path: Path) -> dict[str, Float32Array]:
    """Neutral faces by subject, flat [vertices x 3].

    Raises:
        ModelError: the file is damaged, or holds more than arrays.
    """
    try:
        with path.open("rb") as file:
            stored = _ArraysOnly(file, encoding="latin1").load()
        return {str(name): np.asarray(face, np.float32).reshape(-1) for name, face in stored.items()}
    except (OSError, pickle.UnpicklingError, EOFError, AttributeError, ValueError, TypeError) as error:
        raise ModelError(f"{path} holds no templates: {error}.") from error


def reconstruction_loss(predicted: Float32Array, true: Float32Array) -> float:
    """FaceFormer's loss (section 3.4): the mean of all squared differences."""
    return float(np.mean((predicted - true) ** 2))


def lip_vertex_error(predicted: Float32Array, true: Float32Array, lips: NDArray[np.integer]) -> float:
    """Over frames, the mean of the largest squared distance of a lip vertex. Motions are [frames, vertices x 3]."""
    difference = (predicted - true).reshape(len(true), -1, 3)[:, lips]
    return float((difference**2).sum(axis=2).max(axis=1).mean())


def upper_face_dynamics_deviation(
    predicted: Float32Array, true: Float32Array, upper_face: NDArray[np.integer]
) -> float:
    """How much more the true upper face varies over time than the predicted one (CodeTalker, section 4.2).

    Both are displacements [frames, vertices x 3] over the template. Negative where the prediction moves more.
    """
    return _dynamics(true, upper_face) - _dynamics(predicted, upper_face)


def _dynamics(motion: Float32Array, vertices: NDArray[np.integer]) -> float:
    squared = (motion.reshape(len(motion), -1, 3)[:, vertices] ** 2).sum(axis=2)
    return float(squared.std(axis=0).mean())
