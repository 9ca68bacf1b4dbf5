"""The Unity client's core on .NET: decoding beside Python's, latency over loopback, playout on a bad network.

``python benchmarks/unity_client.py``; about two minutes. Decoding is the same golden frame in both languages, best and
median of many rounds. Latency is from ``publish`` in the real server (this process) to the decoded frame in the
client (another), which read the same clock.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "unity_client"))

from build_client import build_core, build_harness  # noqa: E402 - the folder is on the path only now
from frame_server import publish_evenly  # noqa: E402
from probe import FrameServer, Harness  # noqa: E402
from toolchain import ensure  # noqa: E402

from facewire.bridge.server.config import ServerConfig  # noqa: E402
from facewire.bridge.server.server import LiveServer  # noqa: E402
from facewire.bridge.wire.codec import decode_frame, decode_message  # noqa: E402

FRAME = ROOT / "tests" / "golden" / "frame.msgpack"
ROUNDS = 30
FRAMES_PER_ROUND = 2000
LIVE_S = 35.0
RETURNS = 5


def python_decode_us() -> dict[str, float]:
    """Return how long the Python client takes for the same bytes."""
    data = FRAME.read_bytes()
    rounds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for _ in range(FRAMES_PER_ROUND):
            decode_frame(decode_message(data))
        rounds.append((time.perf_counter() - start) * 1e6 / FRAMES_PER_ROUND)
    return {"best_us": round(min(rounds), 3), "median_us": round(statistics.median(rounds), 3)}


def live_figures(harness: Harness) -> tuple[dict[str, Any], int]:
    """Return the client's summary of a stream of 60 frames a second, and how many frames the server itself left out."""
    stop = threading.Event()
    with LiveServer(ServerConfig(port=0), clock_ns=time.monotonic_ns) as server:
        publisher = threading.Thread(target=publish_evenly, args=(server, 60.0, stop), daemon=True)
        publisher.start()
        live = harness.live(f"127.0.0.1:{server.address[1]}", LIVE_S).finish()
        stop.set()
        publisher.join()
        return live, server.counts.overtaken + server.counts.replaced


def return_ms(harness: Harness) -> list[float]:
    """Return how long after a killed server listens again the face moves again, once for each time."""
    waits = []
    server = FrameServer()
    probe = harness.live(f"127.0.0.1:{server.port}", 120)
    try:
        moving_at_ms = probe.wait_for("phase", "Live")["at_ms"]
        for _ in range(RETURNS):
            server.kill()
            resting_at_ms = probe.wait_for("phase", "Resting", after_ms=moving_at_ms)["at_ms"]
            time.sleep(2.5)
            server = FrameServer(server.port)
            moving_at_ms = probe.wait_for("phase", "Live", after_ms=resting_at_ms)["at_ms"]
            waits.append(round(moving_at_ms - server.listens_at_ms, 1))
    finally:
        probe.stop()
        server.kill()
    return waits


def worst_playout(report: str) -> dict[str, float]:
    """Return the largest of each figure over the simulated networks and displays."""
    figures = [re.findall(r"(jump|turn|delay) x?([\d.]+)", line) for line in report.splitlines()]
    return {name: max(float(dict(line)[name]) for line in figures if line) for name in ("jump", "turn", "delay")}


def main() -> None:
    """Print the table and the JSON line."""
    tools = ensure()
    with tempfile.TemporaryDirectory() as folder:
        into = Path(folder)
        harness = Harness(tools, build_harness(tools, build_core(tools, into), into))
        decode = json.loads(harness.run("bench", str(FRAME)).stdout)
        python = python_decode_us()
        playout = harness.run("playout").stdout
        live, left_out = live_figures(harness)
        returns = return_ms(harness)
    load = os.getloadavg()[0]
    print(f"decode of a default frame   C# {decode['best_us']} µs (median {decode['median_us']})")
    print(f"                        Python {python['best_us']} µs (median {python['median_us']})")
    print(
        f"loopback, 60 a second   {live['frames']} frames, {live['missed']} missed, {left_out} left out by the server"
    )
    print(f"  publish to decoded    median {live['p50_ms']} ms, 99th {live['p99_ms']} ms, worst {live['max_ms']} ms")
    print(f"  garbage of its own    {live['own_bytes']} bytes for all frames together, from the socket's to the face")
    print(f"  of the whole process  {live['bytes_per_frame']} bytes a frame: .NET's socket, and a status a second")
    print(f"server gone and back    frames again after {max(returns)} ms at most of {RETURNS} times: {returns}")
    print(f"simulated network: 30 ms of random delay, 2 % lost\n{playout.rstrip()}")
    keys = ("frames", "missed", "p50_ms", "p99_ms", "max_ms", "own_bytes", "bytes_per_frame")
    figures = {
        "decode": decode,
        "python": python,
        "live": {**{key: live[key] for key in keys}, "left_out": left_out},
        "return_ms": returns,
        "playout": worst_playout(playout),
        "load": round(load, 2),
    }
    print(json.dumps({"benchmark": "unity_client", "cores": os.cpu_count(), **figures}))


if __name__ == "__main__":
    main()
