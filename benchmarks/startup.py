"""How long `facewire serve` takes to its first frame, and what it keeps of the memory, with cached networks.

Starts real processes, subscribes before the first frame, and reads the system's figures. Prints a table and one JSON
line. Run: python benchmarks/startup.py [--runs N] [--seconds S]
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

from facewire.bridge.client.blocking import connect_blocking

MESHES = ("v2", "attention")
COMMAND = [sys.executable, "-m", "facewire.runtime.cli", "serve", "--video", "demo", "--listen", "127.0.0.1:0"]


def resident_mb(pid: int) -> float:
    """Resident memory of a process; NaN where the system has no /proc."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return float("nan")
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


def loaded_torch(pid: int) -> bool:
    """Whether a library of torch's is mapped into the process."""
    try:
        return "torch" in Path(f"/proc/{pid}/maps").read_text(encoding="utf-8")
    except OSError:
        return False


def measure(mesh: str, seconds: float) -> dict[str, float | bool]:
    """One start: times from the process's start, memory after ``seconds`` of streaming, and the time to stop."""
    start_s = time.perf_counter()
    process = subprocess.Popen([*COMMAND, "--mesh", mesh], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        url = next(line.split()[1] for line in process.stdout if line.split()[:1] == ["stream"])
        listening_s = time.perf_counter() - start_s
        with connect_blocking(url, timeout_s=60, reconnect=False) as client:
            frame = client.next_frame(60)
            first_s = time.perf_counter() - start_s
            if frame is None or frame.seq != 0:
                raise RuntimeError("the first frame was missed: it came before the subscription")
            end_s = time.perf_counter() + seconds
            while time.perf_counter() < end_s:
                client.next_frame(60)
            memory_mb, torch = resident_mb(process.pid), loaded_torch(process.pid)
            stop_s = time.perf_counter()
            process.send_signal(signal.SIGINT)
            process.wait(10)
        stopped_s = time.perf_counter() - stop_s
    finally:
        process.kill()
        process.communicate()
    return {
        "listening_s": listening_s,
        "first_frame_s": first_s,
        "memory_mb": memory_mb,
        "stop_s": stopped_s,
        "torch": torch,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10.0)
    args = parser.parse_args()
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    print(f"{os.cpu_count()} cores, load {load:.1f} before; median of {args.runs} starts\n")
    print(f"{'mesh':12}{'listening':>12}{'first frame':>14}{'memory':>12}{'stop':>10}{'torch':>8}")
    results = {}
    for mesh in MESHES:
        runs = [measure(mesh, args.seconds) for _ in range(args.runs)]
        row = {key: statistics.median(float(run[key]) for run in runs) for key in runs[0] if key != "torch"}
        row["torch"] = any(run["torch"] for run in runs)
        results[mesh] = {key: round(float(value), 3) for key, value in row.items()}
        print(
            f"{mesh:12}{row['listening_s']:10.2f} s{row['first_frame_s']:12.2f} s{row['memory_mb']:9.0f} MB"
            f"{row['stop_s']:8.2f} s{'yes' if row['torch'] else 'no':>8}"
        )
    print(json.dumps({"benchmark": "startup", "load": round(load, 2), "runs": args.runs, **results}))


if __name__ == "__main__":
    main()
