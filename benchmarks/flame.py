"""How long FLAME takes: skinning, against the same in plain numpy, for a model of the official size and the open head.

The official files are not here, so a model of random numbers stands in for them: 5,023 vertices, 100 expressions,
36 pose correctives, every weight in use. Prints a table and one JSON line; takes half a minute.
Run: OMP_NUM_THREADS=1 python benchmarks/flame.py
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

import numpy as np

from facewire.models.flame import FlameModel, open_flame
from facewire.models.flame.skin.skinning import Skinner

FRAMES = 3_000
OFFICIAL = {"vertices": 5023, "triangles": 9976, "shapes": 300, "expressions": 100}


@dataclass
class Row:
    """One measured thing; ``ratio`` is to the row that ``against`` names."""

    name: str
    median_us: float
    p99_us: float
    against: str = ""
    ratio: float = float("nan")


def time_us(step: Callable[[int], object], frames: int = FRAMES) -> tuple[float, float]:
    """Return median and 99th percentile of a step."""
    for i in range(20):
        step(i)
    times = np.empty(frames)
    for i in range(frames):
        start = time.perf_counter_ns()
        step(i)
        times[i] = time.perf_counter_ns() - start
    return float(np.median(times)) / 1e3, float(np.percentile(times, 99)) / 1e3


def official_size() -> FlameModel:
    """Return a model of random numbers in the official files' shapes."""
    rng = np.random.default_rng(1)
    v = OFFICIAL["vertices"]

    def random(*shape: int) -> np.ndarray:
        return rng.normal(0, 1e-3, shape).astype(np.float32)

    weights, regressor = rng.random((v, 5), np.float32), rng.random((5, v), np.float32)
    return FlameModel(
        100 * random(v, 3),
        rng.integers(0, v, (OFFICIAL["triangles"], 3)).astype(np.int32),
        random(v, 3, OFFICIAL["shapes"]),
        random(v, 3, OFFICIAL["expressions"]),
        random(v, 3, 36),
        regressor / regressor.sum(1, keepdims=True),
        np.array([-1, 0, 1, 1, 1], np.int32),
        weights / weights.sum(1, keepdims=True),
        "official size",
        "",
    )


class PlainNumpy:
    """The same as ``Skinner`` as one would write it with numpy, in float32; identity kept from frame to frame too."""

    def __init__(self, model: FlameModel) -> None:
        v = len(model.template)
        self.shaped = model.template.copy()
        self.rest = model.joint_regressor @ self.shaped
        self.expression = model.expression_basis.reshape(3 * v, -1)
        self.pose = model.pose_basis.reshape(3 * v, -1)
        self.weights, self.parents = model.weights, model.parents

    def skin(self, expression: np.ndarray, pose: np.ndarray, translation: np.ndarray) -> np.ndarray:
        turns = [self.rotation(pose[3 * k : 3 * k + 3]) for k in range(5)]
        features = np.concatenate([(turn - np.eye(3)).ravel() for turn in turns[1:]]).astype(np.float32)
        points = self.shaped + (self.expression @ expression + self.pose @ features).reshape(-1, 3)
        world: list[np.ndarray] = []
        for k, parent in enumerate(self.parents):
            local = np.eye(4)
            local[:3, :3], local[:3, 3] = turns[k], self.rest[k] - (self.rest[parent] if parent >= 0 else 0)
            world.append(world[parent] @ local if parent >= 0 else local)
        transforms = np.stack(world)[:, :3]
        transforms[:, :, 3] -= np.einsum("kij,kj->ki", transforms[:, :, :3], self.rest)
        blend = (self.weights @ transforms.reshape(5, 12).astype(np.float32)).reshape(-1, 3, 4)
        return np.einsum("vij,vj->vi", blend[:, :, :3], points) + blend[:, :, 3] + translation

    @staticmethod
    def rotation(axis_angle: np.ndarray) -> np.ndarray:
        angle = max(float(np.linalg.norm(axis_angle)), 1e-12)
        x, y, z = axis_angle / angle
        skew = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
        return np.eye(3) + np.sin(angle) * skew + (1 - np.cos(angle)) * skew @ skew


def skinning(name: str, model: FlameModel) -> Iterator[Row]:
    """Time both on the same moving face."""
    rng = np.random.default_rng(2)
    shape = np.zeros(model.shapes, np.float32)
    expressions = rng.normal(size=(64, model.expressions)).astype(np.float32)
    poses, places = rng.normal(0, 0.2, (64, 15)).astype(np.float32), rng.normal(0, 0.3, (64, 3)).astype(np.float32)
    plain, skinner = PlainNumpy(model), Skinner(model)
    difference = skinner.skin(shape, expressions[0], poses[0], places[0]) - plain.skin(
        expressions[0], poses[0], places[0]
    )
    assert np.abs(difference).max() < 1e-5, "the two do not agree"
    slow = Row(
        f"{name}, numpy", *time_us(lambda i: plain.skin(expressions[i % 64], poses[i % 64], places[i % 64]), 500)
    )
    fast = Row(
        f"{name}, skinned",
        *time_us(lambda i: skinner.skin(shape, expressions[i % 64], poses[i % 64], places[i % 64])),
        against=slow.name,
    )
    fast.ratio = fast.median_us / slow.median_us
    identities = rng.normal(size=(8, model.shapes)).astype(np.float32)
    yield slow
    yield fast
    yield Row(f"{name}, new identity", *time_us(lambda i: skinner.set_shape(identities[i % 8]), 100))


def rows() -> Iterator[Row]:
    """Everything that is measured, in the order of the table."""
    official, open_head = official_size(), open_flame()
    yield from skinning(f"official size ({official.expressions} expressions)", official)
    yield from skinning(f"open head ({open_head.expressions} expressions)", open_head)


def main() -> None:
    print(f"{'':46}{'median':>10}{'99 %':>10}{'ratio':>8}")
    measured = []
    for row in rows():
        ratio = f"{row.ratio:8.2f}" if row.against else ""
        print(f"{row.name:46}{row.median_us:8.0f}us{row.p99_us:8.0f}us{ratio}", flush=True)
        measured.append(
            asdict(row) if row.against else {"name": row.name, "median_us": row.median_us, "p99_us": row.p99_us}
        )
    print(json.dumps({"benchmark": "flame", "rows": measured}))


if __name__ == "__main__":
    main()
