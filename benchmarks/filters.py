"""How long filtering and packing a frame take, what they leave behind, and what the filters cost in delay.

Prints a table and one JSON line. Run: python benchmarks/filters.py
"""

from __future__ import annotations

import gc
import json
import time
import tracemalloc
from collections.abc import Callable

import numpy as np

from facewire.bridge.shared.arkit import BLENDSHAPE_INDEX
from facewire.bridge.shared.face import FaceState
from facewire.bridge.wire.codec import Encoder
from facewire.bridge.wire.frame import FaceFrame
from facewire.runtime.face.filter_config import SMOOTHING_LEVELS, FilterConfig
from facewire.runtime.face.filters import FaceFilter

FRAME_NS = 16_666_667
FRAMES = 20_000


def make_inputs(count: int) -> list[FaceState]:
    rng = np.random.default_rng(5)
    heads = rng.normal(size=(count, 7)).astype(np.float32)
    heads[:, :4] /= np.linalg.norm(heads[:, :4], axis=1, keepdims=True)
    shapes, gazes = rng.random((count, 52), np.float32), rng.normal(0, 0.2, (count, 4)).astype(np.float32)
    return [FaceState.of(*parts) for parts in zip(shapes, heads, gazes, strict=True)]


def make_step() -> Callable[[int], bytes]:
    face, encoder, inputs = FaceFilter(), Encoder(), make_inputs(256)

    def step(i: int) -> bytes:
        out = face.step(inputs[i % 256], i * FRAME_NS)
        frame = FaceFrame(i, i * FRAME_NS, i * FRAME_NS, "video", 0.9, out.blendshapes, out.head, out.gaze)
        return encoder.frame(frame)

    return step


def time_us(step: Callable[[int], object]) -> tuple[float, float]:
    times = np.empty(FRAMES)
    for i in range(FRAMES):
        start = time.perf_counter_ns()
        step(i)
        times[i] = time.perf_counter_ns() - start
    return float(np.median(times)) / 1e3, float(np.percentile(times, 99)) / 1e3


def growth_bytes(step: Callable[[int], object]) -> int:
    """Bytes that are held after FRAMES more steps and were not before."""
    gc.collect()
    tracemalloc.start()
    for i in range(FRAMES):  # fills what Python and numba keep for the next call
        step(i)
    before = tracemalloc.get_traced_memory()[0]
    for i in range(FRAMES):
        step(i)
    held = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return held


def smoothstep(t_s: np.ndarray, length_s: float) -> np.ndarray:
    x = np.clip(t_s / length_s, 0, 1)
    return x * x * (3 - 2 * x)


def run_filter(level: str, curve: np.ndarray, shape: str) -> np.ndarray:
    filters, face, out = FaceFilter(FilterConfig.preset(level)), FaceState(), np.empty(len(curve))
    for i, value in enumerate(curve):
        face.blendshapes[BLENDSHAPE_INDEX[shape]] = value
        out[i] = filters.step(face, i * FRAME_NS).blendshapes[BLENDSHAPE_INDEX[shape]]
    return out


def delay_ms(level: str, shape: str, rise_s: float) -> tuple[float, float]:
    """How much later the output crosses one half than its input at 60 frames a second, and its peak, there and back."""
    t_s = np.arange(240) / 60
    curve = smoothstep(t_s - 1, rise_s) - smoothstep(t_s - 1 - 1.3 * rise_s, 1.5 * rise_s)
    out = run_filter(level, curve, shape)

    def crossing(y: np.ndarray) -> float:
        i = int(np.argmax(y >= 0.5))
        return (i - (y[i] - 0.5) / (y[i] - y[i - 1])) / 60 * 1e3

    return (crossing(out) - crossing(curve) if out.max() > 0.5 else float("nan")), float(out.max())


def calm(level: str, shape: str) -> float:
    """Return the standard deviation after the filter over that before it, for white noise of 0.01 on a still value."""
    noise = np.random.default_rng(1).normal(0.3, 0.01, 6000)
    return float(run_filter(level, noise, shape)[60:].std() / noise[60:].std())


def main() -> None:
    face, inputs, step = FaceFilter(), make_inputs(256), make_step()
    face.warm_up()
    step(0)
    filter_us, filter_p99 = time_us(lambda i: face.step(inputs[i % 256], i * FRAME_NS))
    both_us, both_p99 = time_us(step)
    held = growth_bytes(step)
    print(f"{'':28}{'median':>10}{'99 %':>10}")
    print(f"{'filters':28}{filter_us:8.1f}us{filter_p99:8.1f}us")
    print(f"{'filters, frame and packing':28}{both_us:8.1f}us{both_p99:8.1f}us")
    print(f"held after {FRAMES} frames: {held} bytes\n")
    print(f"{'smoothing':10}{'blink (100 ms)':>24}{'mouth (150 ms)':>24}{'noise left: lid, mouth, brow':>32}")
    levels = {}
    for level in SMOOTHING_LEVELS:
        blink, mouth = delay_ms(level, "eyeBlinkLeft", 0.1), delay_ms(level, "jawOpen", 0.15)
        left = [calm(level, shape) for shape in ("eyeBlinkLeft", "jawOpen", "browInnerUp")]
        levels[level] = {
            "blink_ms": round(blink[0], 2),
            "mouth_ms": round(mouth[0], 2),
            "noise": [round(v, 3) for v in left],
        }
        print(
            f"{level:10}{blink[0]:10.1f} ms, peak {blink[1]:.2f}{mouth[0]:10.1f} ms, peak {mouth[1]:.2f}"
            + "".join(f"{v:>10.2f}" for v in left)
        )
    figures = {
        "filter_us": filter_us,
        "filter_and_pack_us": both_us,
        "filter_and_pack_p99_us": both_p99,
        "held_bytes": held,
    }
    print(json.dumps({"benchmark": "filters", **figures, "levels": levels}))


if __name__ == "__main__":
    main()
