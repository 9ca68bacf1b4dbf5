"""How long each network takes, beside a straight translation of the same file, and how long it takes to load.

"Straight" keeps PReLU as ONNX's PRelu and the branches apart. All run in turn, on the same input.
Prints a table and one JSON line. Run: python benchmarks/networks.py
"""

from __future__ import annotations

import json
import time
import zipfile
from unittest import mock

import facewire.models  # noqa: F401 - before ONNX Runtime, which calls home unless this stops it

# isort: split
import numpy as np
import onnxruntime

from facewire.models import tflite
from facewire.models.assets.manifest import ASSETS
from facewire.models.assets.store import asset_path, cache_folder
from facewire.models.sessions import create_session
from facewire.models.tflite.operators import OPERATORS
from facewire.models.tflite.reader import Operator
from facewire.models.tflite.values import Values

ROUNDS, WARM_UP = 300, 30


def straight_prelu(values: Values, op: Operator) -> None:
    slope = values.numbers(op.inputs[1]).reshape(-1, 1, 1)
    result = values.graph.add("PRelu", [values.nchw(op.inputs[0]), values.graph.constant(slope)])
    values.put_nchw(op.outputs[0], result)


def straight_session(name: str) -> onnxruntime.InferenceSession:
    """Load the network with its PReLUs and its branches as they are in the file."""
    asset = ASSETS[name]
    path = cache_folder() / "originals" / asset.original.filename
    source = zipfile.ZipFile(path).read(asset.member) if asset.member else path.read_bytes()
    with mock.patch.dict(OPERATORS, PRELU=straight_prelu), mock.patch.object(tflite, "merge_lanes", lambda same: same):
        model = tflite.convert(source, tflite.NETWORKS[name])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def time_ms(sessions: list[onnxruntime.InferenceSession], feed: dict[str, np.ndarray]) -> list[float]:
    """Medians of runs taken in turn, so that whatever else the machine does falls on all alike."""
    times = np.empty((len(sessions), ROUNDS))
    for number in range(-WARM_UP, ROUNDS):
        for row, session in enumerate(sessions):
            start = time.perf_counter_ns()
            session.run(None, feed)
            if number >= 0:
                times[row, number] = time.perf_counter_ns() - start
    return [float(median) / 1e6 for median in np.median(times, axis=1)]


def measure(name: str) -> dict[str, float]:
    path = asset_path(name)
    start = time.perf_counter_ns()
    one = create_session(path, device="cpu", threads=1)
    load_ms = (time.perf_counter_ns() - start) / 1e6
    two = create_session(path, device="cpu", threads=2)
    spec = tflite.NETWORKS[name]
    noise = np.random.default_rng(7).random(spec.input_shape, dtype=np.float32)
    medians = time_ms([one, straight_session(name), two], {spec.input_name: noise})
    figures = dict(zip(("one_thread_ms", "straight_ms", "two_threads_ms"), medians, strict=True))
    return {**figures, "ratio": medians[0] / medians[1], "load_ms": load_ms}


def main() -> None:
    figures = {name: measure(name) for name in tflite.NETWORKS}
    print(f"{'network':18}{'1 thread':>10}{'straight':>10}{'ratio':>8}{'2 threads':>11}{'load':>8}   (ms)")
    for name, row in figures.items():
        print(f"{name:18}{row['one_thread_ms']:10.2f}{row['straight_ms']:10.2f}{row['ratio']:8.2f}"
              f"{row['two_threads_ms']:11.2f}{row['load_ms']:8.0f}")  # fmt: skip
    print(json.dumps({"benchmark": "networks", **figures}))


if __name__ == "__main__":
    main()
