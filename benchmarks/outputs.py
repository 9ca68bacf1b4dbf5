"""Outputs: the delay from publish to datagram, what all of them cost, and that one without a receiver slows nothing.

    python benchmarks/outputs.py                     # 10 s each, at 60 frames a second

Every output sends to a process of its own on loopback; what arrives is stamped by the kernel, so the delay is from the
call that publishes a frame to the system's taking the frame's first datagram (for VTube Studio, a websocket, until its
server's thread has the bytes). Frames are a face that talks, filtered as live ones are, made in advance. The processor
time is this process's, less that of the same loop without outputs. Then the same with nobody there, and with an output
that hangs; the delay in a live run that tracks the demo face and has a subscriber; and what the threads of all outputs
take of the processor in a live run that tracks 60 pictures a second, by their own clocks.
"In time" is before the next frame. Prints a table and one JSON line. Linux only (SO_TIMESTAMPNS). About 170 s.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import multiprocessing.connection
import os
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
from websockets.exceptions import ConnectionClosedError
from websockets.sync.server import ServerConnection, serve

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.takes import talking_frames

from facewire.bridge.client.blocking import connect_blocking
from facewire.bridge.outputs.base import Output
from facewire.bridge.outputs.choose import OUTPUTS
from facewire.bridge.outputs.lane import Lane
from facewire.bridge.outputs.runner import Outputs, Runner
from facewire.bridge.shared.face import GAZE, HEAD, SHAPES, FaceState
from facewire.bridge.wire.frame import FaceFrame
from facewire.models.assets.store import asset_path
from facewire.runtime.capture.video.demo_face import DemoFace, demo_pose
from facewire.runtime.face.filter_config import FilterConfig
from facewire.runtime.face.filters import FaceFilter

RATE = 60
SO_TIMESTAMPNS = 35
NETWORKED = [name for name, kind in OUTPUTS.items() if kind.to == "address"]
FILES = [name for name, kind in OUTPUTS.items() if kind.to == "file"]
Pipe = multiprocessing.connection.Connection


def talking(count: int) -> list[FaceFrame]:
    """Put the tests' talking face through the live filters: every frame differs, as noisy as a tracker's are."""
    face, frames = FaceFilter(FilterConfig.preset("medium")), []
    for frame in talking_frames(count, RATE):
        seen = FaceState.of(frame.blendshapes, frame.head, frame.gaze)
        values = face.step(seen, frame.capture_ns).values.copy()
        frames.append(replace(frame, blendshapes=values[SHAPES], head=values[HEAD], gaze=values[GAZE]))
    return frames


# --- the other programs -----------------------------------------------------------------------------------------------


def receive_datagrams(pipe: Pipe) -> None:
    """Receive datagrams and note when the system got them, until told to stop."""
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    receiver.bind(("127.0.0.1", 0))
    receiver.settimeout(0.2)
    pipe.send(receiver.getsockname()[1])
    arrivals: list[int] = []
    while not pipe.poll():
        try:
            _, ancillary, _, _ = receiver.recvmsg(4096, 64)
        except TimeoutError:
            continue
        seconds, nanoseconds = struct.unpack("qq", ancillary[0][2][:16])
        arrivals.append(seconds * 10**9 + nanoseconds)
    pipe.send(arrivals)


class StampingSocket:
    """A socket that notes when bytes came: what the server's own threads take until a message is whole is not ours."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket, self.received_ns = connected, 0

    def recv(self, size: int) -> bytes:
        """Return the bytes that have come."""
        data = self._socket.recv(size)
        self.received_ns = time.time_ns()
        return data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)


def stamped(connected: socket.socket, *args: Any, **options: Any) -> ServerConnection:
    """Make a connection whose ``socket`` is a ``StampingSocket``."""
    return ServerConnection(StampingSocket(connected), *args, **options)  # type: ignore[arg-type]


def play_vtube_studio(pipe: Pipe) -> None:
    """Say yes to everything that VTube Studio is asked, as a websocket server, and note when values came."""
    arrivals: list[int] = []

    def answer(connection: ServerConnection) -> None:
        with suppress(ConnectionClosedError):
            for text in connection:
                take(connection, text)

    def take(connection: ServerConnection, text: str | bytes) -> None:
        now = connection.socket.received_ns  # type: ignore[attr-defined]
        request = json.loads(text)
        kind = request["messageType"]
        if kind == "InjectParameterDataRequest":
            arrivals.append(now)
        reply = {"authenticationToken": "token", "authenticated": True, "active": True, "reason": ""}
        reply |= {"currentSessionAuthenticated": True, "parameterName": "x"}
        about = {"apiName": "VTubeStudioPublicAPI", "apiVersion": "1.0", "requestID": request["requestID"]}
        kind = kind.removesuffix("Request") + "Response"
        connection.send(json.dumps({**about, "timestamp": now // 10**6, "messageType": kind, "data": reply}))

    with serve(answer, "127.0.0.1", 0, compression=None, create_connection=stamped) as server:
        pipe.send(server.socket.getsockname()[1])
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        pipe.recv()
        pipe.send(arrivals)


@contextmanager
def partner(name: str) -> Iterator[tuple[int, Pipe]]:
    """Start a program that receives what the output ``name`` sends: its port, and what to ask for the arrivals."""
    here, there = multiprocessing.Pipe()
    work = play_vtube_studio if name == "vts" else receive_datagrams
    process = multiprocessing.get_context("fork").Process(target=work, args=(there,), daemon=True)
    process.start()
    yield here.recv(), here
    process.join(5)


# --- what is measured -------------------------------------------------------------------------------------------------


def pace(outputs: Outputs, frames: Sequence[FaceFrame]) -> tuple[list[int], list[float], float]:
    """Offers the frames at their rate. Returns when each was published (system time), how long that took in us, and the
    processor time of it all as a share of a core."""
    times_ns, costs_us = [], []
    cpu_s, start_s = time.process_time(), time.perf_counter()
    for index, frame in enumerate(frames):
        time.sleep(max(0.0, start_s + index / RATE - time.perf_counter()))
        now, begin = time.time_ns(), time.perf_counter_ns()
        outputs.offer(replace(frame, publish_ns=begin))
        costs_us.append((time.perf_counter_ns() - begin) / 1e3)
        times_ns.append(now)
    time.sleep(1 / RATE)
    return times_ns, costs_us, (time.process_time() - cpu_s) / (time.perf_counter() - start_s)


def delays_ms(published: Sequence[int], arrivals: Sequence[int]) -> list[float]:
    """From each frame's publication to the first arrival before the next one's."""
    found, at = [], 0
    for begin, end in zip(published, [*published[1:], published[-1] + 10**9 // RATE], strict=True):
        while at < len(arrivals) and arrivals[at] < begin:
            at += 1
        if at < len(arrivals) and arrivals[at] < end:
            found.append((arrivals[at] - begin) / 1e6)
    return found


def run(names: Sequence[str], frames: Sequence[FaceFrame], folder: Path) -> tuple[float, list[float], dict[str, list]]:
    """All ``names`` at once: share of a core, cost of publishing in us, and the delays of each in ms."""
    partners = {name: partner(name) for name in names if name in NETWORKED}
    ports = {name: one.__enter__() for name, one in partners.items()}
    outputs = Outputs(time.perf_counter_ns, lambda _: None)
    try:
        for name, (port, _) in ports.items():
            outputs.add(f"{name}:127.0.0.1:{port}")
        for name in set(names) & set(FILES):
            outputs.add(f"{name}:{folder / name}")
        outputs.offer(replace(frames[0], publish_ns=time.perf_counter_ns()))
        time.sleep(1.0)  # connections, hand-shakes
        published, costs_us, cpu = pace(outputs, frames)
        states = {state["name"]: state for state in outputs.status()}
        for name in names:
            assert states[name]["state"] == "on", states[name]
    finally:
        outputs.stop()
        for _, pipe in ports.values():
            pipe.send("stop")
        found = {name: delays_ms(published, pipe.recv()) for name, (_, pipe) in ports.items()}
        for one in partners.values():
            one.__exit__(None, None, None)
    return cpu, costs_us, found


def run_live(seconds: float) -> list[float]:
    """Return the delays in ms of ``facewire serve --output vmc`` on the demo face, with a subscriber beside it."""
    with partner("vmc") as (port, pipe):
        command = [sys.executable, "-m", "facewire.runtime.cli", "serve", "--video", "demo", "--audio", "none"]
        command += ["--device", "cpu", "--listen", "127.0.0.1:0", "--output", f"vmc:{port}"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            start: dict[str, str] = {}
            while "stop" not in start:
                key, _, value = process.stdout.readline().strip().partition(" ")
                start[key] = value.strip()
            offset_ns = time.time_ns() - time.perf_counter_ns()  # the stream's clock is this machine's perf_counter
            published: list[int] = []
            with connect_blocking(start["stream"], buffer=1000) as client:
                next(iter(client))
                until = time.perf_counter() + seconds
                for frame in client:
                    published.append(frame.publish_ns + offset_ns)
                    if time.perf_counter() > until:
                        break
            process.terminate()
        pipe.send("stop")
        return delays_ms(published, pipe.recv())


CLOCKS = """
import json, os, signal, sys, threading, time
from facewire.runtime.cli import main

def clocks():
    threads = {thread.name: time.pthread_getcpuclockid(thread.ident) for thread in threading.enumerate()}
    return {name: time.clock_gettime(clock) for name, clock in threads.items()}

def look():
    time.sleep(6)  # networks, the first face, hand-shakes
    before, start_s = clocks(), time.perf_counter()
    time.sleep(%f)
    after, passed_s = clocks(), time.perf_counter() - start_s
    print(json.dumps({name: (after[name] - before.get(name, 0)) / passed_s for name in after}), file=sys.stderr)
    os.kill(os.getpid(), signal.SIGINT)

threading.Thread(target=look, daemon=True, name="look").start()
sys.exit(main(sys.argv[1:]))
"""
"""Runs ``facewire`` and prints what each of its threads takes of a core."""


def film(path: Path, seconds: float = 10.0) -> None:
    """Write the demo face at ``RATE`` pictures a second."""
    face = DemoFace(cv2.imread(str(asset_path("demo_face"))))
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), RATE, (640, 480))
    for index in range(round(seconds * RATE)):
        writer.write(face.render(demo_pose(index / RATE)))
    writer.release()


def run_live_cost(names: Sequence[str], clip: Path, folder: Path, seconds: float) -> dict[str, float]:
    """Return each thread's share of a core in ``facewire serve``, by name; it tracks ``clip`` and feeds ``names``."""
    partners = {name: partner(name) for name in names if name in NETWORKED}
    ports = {name: one.__enter__() for name, one in partners.items()}
    where = {name: str(folder / name) for name in FILES}
    where |= {name: f"127.0.0.1:{port}" for name, (port, _) in ports.items()}
    command = [sys.executable, "-c", CLOCKS % seconds, "serve", "--video", str(clip), "--loop", "--audio", "none"]
    command += ["--mesh", "attention", "--device", "cpu", "--listen", "127.0.0.1:0"]
    command += [word for name in names for word in ("--output", f"{name}:{where[name]}")]
    environment = {**os.environ, "FACEWIRE_CONFIG": str(folder)}  # VTube Studio's leave is kept there
    said = subprocess.run(command, capture_output=True, text=True, check=False, env=environment).stderr
    for _, pipe in ports.values():
        pipe.send("stop")
        pipe.recv()
    for one in partners.values():
        one.__exit__(None, None, None)
    shares: dict[str, float] = json.loads(next(line for line in said.splitlines() if line.startswith("{")))
    return shares


class Hanging(Output):
    """An output whose other side holds it up for a second at each frame."""

    name = "hanging"

    def open(self) -> None:
        """Nothing to do."""

    def send(self, frame: FaceFrame, now_ns: int) -> None:
        """Hangs."""
        del frame, now_ns
        time.sleep(1.0)

    def close(self) -> None:
        """Nothing to do."""

    def describe(self) -> str:
        """Nowhere."""
        return "nowhere"


def run_nobody(frames: Sequence[FaceFrame]) -> tuple[list[float], float, int, list[str]]:
    """Networked outputs whose receivers are not there, and one that hangs: cost of publishing in us, share of a core,
    frames that failed, and the lines that were said."""
    said: list[str] = []
    outputs = Outputs(time.perf_counter_ns, said.append)
    for index, name in enumerate(NETWORKED):
        outputs.add(f"{name}:127.0.0.1:{20001 + index}")
    hanging = Runner("hanging", time.perf_counter_ns)
    hanging.add(Lane(Hanging(), "hanging", time.perf_counter_ns, said.append))
    outputs._runners = (*outputs._runners, hanging)
    _, costs_us, cpu = pace(outputs, frames)
    failed = sum(state["failed"] for state in outputs.status())
    outputs.stop()
    return costs_us, cpu, failed, said


def quantiles(values: Sequence[float]) -> tuple[float, float]:
    """Median and 99th percentile."""
    return statistics.median(values), statistics.quantiles(values, n=100)[98]


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement")
    args = parser.parse_args()
    frames, figures = talking(round(args.seconds * RATE)), {}
    with tempfile.TemporaryDirectory() as folder:
        idle_cpu, idle_us, _ = run([], frames, Path(folder))
        print(f"{'':20}{'to the datagram: median':>25}{'99 %':>10}{'in time':>10}{'of a core':>12}")
        for name in (*NETWORKED, *FILES):
            cpu, _, found = run([name], frames, Path(tempfile.mkdtemp(dir=folder)))
            figures[name] = {"core": round(cpu - idle_cpu, 4)}
            line = f"{name:20}"
            if name in found:
                median, late = quantiles(found[name])
                figures[name] |= {"median_ms": round(median, 3), "p99_ms": round(late, 3)}
                line += f"{median:22.3f} ms{late:7.3f} ms{len(found[name]) / len(frames):10.0%}"
            else:
                line += f"{'-':>25}{'-':>10}{'-':>10}"
            print(f"{line}{cpu - idle_cpu:12.1%}")
        cpu, costs_us, found = run([*NETWORKED, *FILES], frames, Path(folder))
    together = {name: quantiles(values) for name, values in found.items()}
    slowest, latest = (max(values) for values in zip(*together.values(), strict=True))
    print(f"{'all together':20}{slowest:22.3f} ms{latest:7.3f} ms{'':10}{cpu - idle_cpu:12.1%}")
    alone_us, all_us = quantiles(idle_us), quantiles(costs_us)
    dead_us, dead_cpu, failed, said = run_nobody(frames)
    print(f"\n{'publishing costs':36}{'median':>10}{'99 %':>12}")
    for label, (median, late) in (
        ("without outputs", alone_us), ("with all", all_us), ("nobody there, one hangs", quantiles(dead_us))
    ):  # fmt: skip
        print(f"{label:36}{median:7.1f} us{late:9.1f} us")
    live = quantiles(run_live(args.seconds))
    print(f"{'facewire serve, vmc, to the datagram':36}{live[0]:7.3f} ms{live[1]:9.3f} ms")
    with tempfile.TemporaryDirectory() as folder:
        film(clip := Path(folder) / "face.avi")
        without = run_live_cost([], clip, Path(folder), args.seconds)
        threads = run_live_cost([*NETWORKED, *FILES], clip, Path(folder), args.seconds)
    live_core = sum(share for name, share in threads.items() if name not in without)
    print(f"facewire serve, all: the outputs' threads take {live_core:.1%} of a core at {RATE} pictures a second")
    print(f"nobody there: {failed} frames failed, {dead_cpu - idle_cpu:.1%} of a core, {len(said)} lines said")
    figures["all"] = {
        "core": round(cpu - idle_cpu, 4),
        "median_ms": {name: round(median, 3) for name, (median, _) in together.items()},
        "publish_us": [round(v, 1) for v in (*alone_us, *all_us, *quantiles(dead_us))],
    }
    figures["live"] = {"median_ms": round(live[0], 3), "p99_ms": round(live[1], 3), "core": round(live_core, 4)}
    print(json.dumps({"benchmark": "outputs", "rate": RATE, **figures}))


if __name__ == "__main__":
    main()
