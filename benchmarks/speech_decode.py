"""The published FaceFormer live: the step decoder beside the full prefix, what a window costs, and wav2vec in windows.

All weights are random, of the published sizes and shapes: the arithmetic and its time are the published ones', and how
far windows and look-ahead change the result is only a hint of what trained weights do. Needs torch and transformers.
Prints tables and one JSON line.

Run: python benchmarks/speech_decode.py [--quick]
"""

from __future__ import annotations

import argparse
import json
import os
import time

import numpy as np
import torch
import transformers

from facewire.models.speech.decode.decoder import StepDecoder
from facewire.models.speech.decode.step_kernels import StepState
from facewire.models.speech.encoder import TorchEncoder, encode
from facewire.models.speech.faceformer import FaceFormer, FaceFormerConfig
from facewire.models.speech.wav2vec import SlidingEncoder, Window

SIZES = {"vocaset": FaceFormerConfig(), "biwi": FaceFormerConfig(128, 70110, 6, 25, 2)}
PREFIXES = (30, 300, 599)
OUTPUTS = {"shapes_ms": 52, "shapes_and_flame_ms": 52 + 100 + 3}
"""What a live frame takes of the motion: blendshapes, and FLAME's expression and jaw beside them."""
WINDOWS = (30, 60, 150, 300, 600, 1200)
LOOK_AHEADS_MS = (20, 80, 200, 500, 1000, 2000)


def network(config: FaceFormerConfig) -> FaceFormer:
    torch.manual_seed(1)
    model = FaceFormer(config).eval()
    torch.nn.init.normal_(model.vertice_map_r.weight, std=0.02)
    torch.nn.init.normal_(model.vertice_map.weight, std=0.02)
    return model


def times_ms(run, count: int) -> float:
    taken = np.empty(count)
    for i in range(count):
        start = time.perf_counter_ns()
        run()
        taken[i] = time.perf_counter_ns() - start
    return float(np.median(taken)) * 1e-6


def step_times(decoder: StepDecoder, states: list[StepState], frames: int) -> np.ndarray:
    """Milliseconds of each step [frames, states] of streams that take turns."""
    rng, taken = np.random.default_rng(1), np.empty((frames, len(states)))
    features = rng.normal(size=(64, *states[0].feature.shape)).astype(np.float32)
    for i in range(frames):
        for k, state in enumerate(states):
            start = time.perf_counter_ns()
            decoder.step(state, features[i % 64], 0)
            taken[i, k] = time.perf_counter_ns() - start
    return taken * 1e-6


def hour_old(decoder: StepDecoder) -> dict[str, float]:
    """Time a stream of an hour beside one whose window has just filled, step by step in turn."""
    old, young = decoder.new_state(), decoder.new_state()
    step_times(decoder, [old], 3600 * 30)
    step_times(decoder, [young], decoder.window)
    first, last = np.median(step_times(decoder, [young, old], 3000), axis=0)
    return {"window_full_ms": round(float(first), 4), "hour_ms": round(float(last), 4)}


def decoding(name: str, config: FaceFormerConfig, hour: bool) -> dict[str, object]:
    """Parity and time of one model. The two forms take turns, so that a busy machine slows both."""
    model, per_frame = network(config), config.features_per_frame
    features = np.random.default_rng(2).normal(size=(120 * per_frame, 768)).astype(np.float32)
    style = torch.eye(config.subjects)[:1]
    with torch.no_grad():
        whole = model.roll_out(torch.from_numpy(features)[None], style)[0].numpy()
    error = float(np.abs(whole - model.decode(features, style=0)).max())
    weights = model.step_weights()
    decoder = StepDecoder(weights)
    memory = torch.randn(1, 600 * per_frame, 768)
    rows = {}
    with torch.no_grad():
        for frames in PREFIXES:
            inputs = torch.randn(1, frames, config.width)

            def full(inputs=inputs, frames=frames):
                motions = model.vertice_map_r(model._decode(inputs, model.obj_vector(style), memory, frames))
                model.vertice_map(motions[:, -1:])

            state = decoder.new_state()
            state.frame[0] = frames
            row = memory[0, :per_frame].numpy()
            pairs = [(times_ms(full, 1), times_ms(lambda s=state, r=row: decoder.step(s, r, 0), 20)) for _ in range(5)]
            rows[frames] = [round(float(np.median(column)), 4) for column in zip(*pairs, strict=True)]
    result = {"max_error": error, "ms_by_frame": rows, "ratio_at_599": round(rows[599][0] / rows[599][1])}
    for key, outputs in OUTPUTS.items():
        small = StepDecoder(weights, output=(weights.motion[:outputs], weights.motion_bias[:outputs]))
        result[key] = round(float(np.median(step_times(small, [small.new_state()], 2000)[600:])), 4)
    if hour:
        result |= hour_old(decoder)
    print(f"{name}: largest difference to the full prefix {error:.1e} over 120 frames")
    for frames, (full_ms, step_ms) in rows.items():
        print(f"  frame {frames:4}: full prefix {full_ms:8.2f} ms, step {step_ms:7.4f} ms, {full_ms / step_ms:7.0f} ×")
    for key, outputs in OUTPUTS.items():
        print(f"  {outputs} outputs instead of {config.outputs}: {result[key]:.4f} ms")
    if hour:
        print(f"  window just full {result['window_full_ms']:.4f} ms, an hour later {result['hour_ms']:.4f} ms")
    return result


def windows(frames: int) -> dict[int, float]:
    """Measure what forgetting costs: the relative error of the motion, over a stream longer than every window."""
    weights = network(SIZES["vocaset"]).step_weights()
    output = weights.motion[:300], weights.motion_bias[:300]
    features = np.random.default_rng(3).normal(size=(frames, 1, 768)).astype(np.float32)

    def run(window: int) -> np.ndarray:
        decoder = StepDecoder(weights, window=window, output=output)
        state = decoder.new_state()
        return np.stack([decoder.step(state, row, 0).copy() for row in features])

    whole, errors = run(frames), {}
    print(f"window: relative error against all {frames} frames in view")
    for window in WINDOWS:
        late = run(window)[window:]
        errors[window] = round(float(np.sqrt(np.mean((late - whole[window:]) ** 2)) / whole.std()), 5)
        print(f"  {window:5} frames: {errors[window]:.4f}")
    return errors


def look_aheads(layers: int) -> dict[str, object]:
    """How far features in windows are from those of the whole recording, and what a window takes to compute."""
    torch.manual_seed(2)
    model = transformers.Wav2Vec2Model(transformers.Wav2Vec2Config(num_hidden_layers=layers)).eval()
    rng, t = np.random.default_rng(4), np.arange(16000 * 6) / 16000
    audio = ((0.1 + np.sin(2 * np.pi * 1.7 * t) ** 2) * rng.normal(0, 0.1, len(t))).astype(np.float32)
    whole = encode(model, audio, rate=30, exact=True)
    rows = {}
    print(f"wav2vec 2.0, {layers} layers, 2 s of past: relative error of the features, delay, time of a hop of 100 ms")
    for ms in LOOK_AHEADS_MS:
        encoder = TorchEncoder(model, Window.of_seconds(30, 2.0, ms / 1000))
        start, parts = time.perf_counter(), list(SlidingEncoder(encoder).push(audio))
        hop_ms = 1000 * (time.perf_counter() - start) / len(parts)
        features = np.concatenate(parts)[90:120]
        error = float(np.sqrt(np.mean((features - whole[90:120]) ** 2)) / whole[90:120].std())
        rows[ms] = {"error": round(error, 4), "delay_ms": encoder.window.delay_ms, "hop_ms": round(hop_ms, 1)}
        print(f"  {ms:5} ms: error {error:.3f}, delay {encoder.window.delay_ms:6.0f} ms, {hop_ms:7.1f} ms")
    return {"layers": layers, "look_aheads": rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="no hour of decoding, a smaller wav2vec")
    parser.add_argument("--threads", type=int, default=1, help="for torch; the step decoder always has one")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    found: dict[str, object] = {"threads": torch.get_num_threads(), "load": round(os.getloadavg()[0], 1)}
    print(f"{found['threads']} threads for torch, one for the step; load {found['load']}")
    for name, config in SIZES.items():
        found[name] = decoding(name, config, hour=not args.quick and name == "vocaset")
    found["windows"] = windows(1500 if args.quick else 3000)
    found["wav2vec"] = look_aheads(2 if args.quick else 12)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
