"""Fan-out: one server, many subscribers on loopback, one of which never reads; beside a bare `websockets.broadcast`.

    python benchmarks/fanout.py                      # 500 subscribers at 60 frames a second, 20 s each
    python benchmarks/fanout.py --seconds 600        # ten minutes, to see that memory stays flat

Server and subscribers are separate processes, each with a core of its own if there are two. The subscribers are raw
sockets in one epoll loop, so that they cost little and the server is what is measured. Both servers send the same bytes
at the same pace to the same subscribers. Latency is from publish to the end of the subscriber's `recv`. Prints a table
and one JSON line. Linux only (epoll, /proc).
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import json
import os
import select
import socket
import statistics
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from facewire.bridge.server.config import ServerConfig
from facewire.bridge.server.server import LiveServer, allow_open_files
from facewire.bridge.wire.codec import Encoder
from facewire.bridge.wire.frame import FaceFrame

FIRST_SEQ = 1 << 16  # Wide enough that every frame has the same length.
LEAD_FRAMES = 120
BUCKET_NS = 20_000
BUCKETS = 100_000  # 2 s
PUBLISH_KEY = b"\xaapublish_ns\xcf"
SEQ_KEY = b"\xa3seq\xce"


def example_frame() -> FaceFrame:
    """Return a frame like any other."""
    shapes = np.linspace(0, 1, 52, dtype=np.float32)
    head = np.array([0, 0, 0, 1, 0.01, 0.02, -0.5], np.float32)
    now_ns = time.monotonic_ns()
    return FaceFrame(FIRST_SEQ, now_ns, now_ns, "video", 0.9, shapes, head, np.zeros(4, np.float32))


def send_line(**values: Any) -> None:
    """Tell the parent process something."""
    print(json.dumps(values), flush=True)


def memory_mb() -> float:
    """Return this process's resident memory."""
    return int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


class Meter:
    """Publishes on a fixed grid and measures CPU and memory from one ``seq`` to another."""

    def __init__(self, rate: float, publish: Callable[[int], None]) -> None:
        self.seq = FIRST_SEQ
        self.window: tuple[int, int] | None = None
        self.memory_mb: list[float] = []
        self._rate = rate
        self._publish = publish
        self._began_s = time.monotonic()
        self._cpu_s = 0.0

    def next_due_s(self) -> float:
        """Return how long to wait before the next frame."""
        return self._began_s + (self.seq - FIRST_SEQ) / self._rate - time.monotonic()

    def tick(self) -> bool:
        """Publish one frame; say whether the measurement is over."""
        if self.window is not None:
            start, end = self.window
            if self.seq == start:
                self._cpu_s = time.process_time()
            if start <= self.seq < end and self.seq % int(self._rate) == 0:
                self.memory_mb.append(memory_mb())
            if self.seq == end:
                seconds = (end - start) / self._rate
                tenth = max(1, len(self.memory_mb) // 10)
                send_line(
                    cpu=(time.process_time() - self._cpu_s) / seconds,
                    memory_start_mb=statistics.median(self.memory_mb[:tenth]),
                    memory_end_mb=statistics.median(self.memory_mb[-tenth:]),
                )
                return True
        self._publish(self.seq)
        self.seq += 1
        return False

    def listen(self) -> None:
        """Wait for the parent's word to measure, and answer with the window of ``seq``."""

        def wait() -> None:
            seconds = json.loads(sys.stdin.readline())["seconds"]
            start = self.seq + LEAD_FRAMES
            self.window = (start, start + int(seconds * self._rate))
            send_line(window=self.window)

        threading.Thread(target=wait, daemon=True).start()


def run_facewire(rate: float) -> None:
    """Serve with Facewire's server; the frames come from this thread, as they do from the runtime's."""
    frame = example_frame()
    with LiveServer(ServerConfig(port=0), clock_ns=time.monotonic_ns) as server:

        def publish(seq: int) -> None:
            server.publish(replace(frame, seq=seq, publish_ns=time.monotonic_ns()))

        meter = Meter(rate, publish)
        send_line(port=server.address[1])
        meter.listen()
        while not meter.tick():
            time.sleep(max(0.0, meter.next_due_s()))
        send_line(
            counts={key: getattr(server.counts, key) for key in ("published", "overtaken", "replaced", "stalled")}
        )
        sys.stdin.readline()  # Until the readers have what is still on its way.


def run_broadcast(rate: float) -> None:
    """Serve with the library alone: the same bytes, made by stamping a ready message."""

    async def main() -> None:
        from websockets.asyncio.server import broadcast, serve

        message = bytearray(Encoder().frame(example_frame()))
        publish_at = message.index(PUBLISH_KEY) + len(PUBLISH_KEY)
        seq_at = message.index(SEQ_KEY) + len(SEQ_KEY)
        connections: set[Any] = set()

        async def handle(connection: Any) -> None:
            connections.add(connection)
            await connection.wait_closed()

        def publish(seq: int) -> None:
            struct.pack_into("!I", message, seq_at, seq)
            struct.pack_into("!Q", message, publish_at, time.monotonic_ns())
            broadcast(connections, bytes(message))

        options: dict[str, Any] = {"compression": None, "ping_interval": None, "subprotocols": ["facewire.v1"]}
        async with serve(handle, "127.0.0.1", 0, backlog=1024, **options) as server:
            meter = Meter(rate, publish)
            send_line(port=next(iter(server.sockets)).getsockname()[1])
            meter.listen()
            while not meter.tick():
                await asyncio.sleep(max(0.0, meter.next_due_s()))
            send_line(counts={})
            sys.stdin.readline()
            os._exit(0)  # The closing handshake with the stalled subscriber is not what is measured.

    asyncio.run(main())


def pin(core: int) -> None:
    """Keep this process on one core, so that subscribers woken by the server do not push it aside."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) > 1:
        os.sched_setaffinity(0, {cores[core]})


def connect(port: int) -> socket.socket:
    """Return a websocket connection after its opening handshake."""
    connection = socket.create_connection(("127.0.0.1", port))
    key = base64.b64encode(os.urandom(16)).decode()
    connection.sendall(
        f"GET /v1/live HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: facewire.v1\r\n\r\n".encode()
    )
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += connection.recv(1)
    if b" 101 " not in head:
        raise SystemExit(head.decode())
    return connection


class Readers:
    """Subscribers that read as fast as they can and keep count."""

    def __init__(self, port: int, count: int) -> None:
        self.sockets = {}
        self.poll = select.epoll()
        for _ in range(count):
            connection = connect(port)
            connection.setblocking(False)
            self.sockets[connection.fileno()] = connection
            self.poll.register(connection.fileno(), select.EPOLLIN)
        self.rest = dict.fromkeys(self.sockets, b"")
        self.frames = dict.fromkeys(self.sockets, 0)
        self.histogram = [0] * BUCKETS
        self.window: tuple[int, int] | None = None
        self.size = len(Encoder().frame(example_frame()))
        message = Encoder().frame(example_frame())
        self.publish_at = message.index(PUBLISH_KEY) + len(PUBLISH_KEY)
        self.seq_at = message.index(SEQ_KEY) + len(SEQ_KEY)
        self.newest = 0

    def turn(self) -> None:
        """Read what there is on every socket."""
        for number, _ in self.poll.poll(0.2):
            with contextlib.suppress(BlockingIOError):
                data = self.sockets[number].recv(65536)
                now_ns = time.monotonic_ns()
                if not data:
                    raise SystemExit("the server hung up on a subscriber that reads")
                self.take(number, self.rest[number] + data, now_ns)

    def take(self, number: int, data: bytes, now_ns: int) -> None:
        """Count the frames in what came; keep a part of one for the next time."""
        at = 0
        while len(data) - at >= 4:
            size = data[at + 1]
            head = 2
            if size == 126:
                size, head = int.from_bytes(data[at + 2 : at + 4], "big"), 4
            if len(data) - at < head + size:
                break
            if size == self.size and data[at] == 0x82:
                self.count(number, data, at + head, now_ns)
            elif data[at] == 0x89:  # A keep-alive ping, to be answered with a masked pong (RFC 6455, 5.5.3).
                self.sockets[number].send(bytes([0x8A, 0x80 | size, 0, 0, 0, 0]) + data[at + head : at + head + size])
            at += head + size
        self.rest[number] = data[at:]

    def count(self, number: int, data: bytes, at: int, now_ns: int) -> None:
        """Count one frame that starts at ``at``."""
        (seq,) = struct.unpack_from("!I", data, at + self.seq_at)
        self.newest = max(self.newest, seq)
        if self.window is not None and self.window[0] <= seq < self.window[1]:
            (publish_ns,) = struct.unpack_from("!Q", data, at + self.publish_at)
            self.frames[number] += 1
            self.histogram[min(BUCKETS - 1, (now_ns - publish_ns) // BUCKET_NS)] += 1


def run_readers(port: int, count: int) -> None:
    """Be ``count`` subscribers, one of which never reads."""
    allow_open_files(count + 64)
    readers = Readers(port, count - 1)
    stalled = connect(port)
    send_line(ready=count)
    word: list[tuple[int, int]] = []
    threading.Thread(target=lambda: word.append(tuple(json.loads(sys.stdin.readline())["window"])), daemon=True).start()
    while not word:
        readers.turn()
    readers.window = word[0]
    cpu_s = time.process_time()
    while readers.newest < word[0][1] - 1:
        readers.turn()
    deadline = time.monotonic() + 0.3
    while time.monotonic() < deadline:
        readers.turn()
    frames = word[0][1] - word[0][0]
    send_line(
        least_received=min(readers.frames.values()) / frames,
        mean_received=statistics.mean(readers.frames.values()) / frames,
        cpu_s=time.process_time() - cpu_s,
        **{f"p{part}_ms": percentile_ms(readers.histogram, part / 100) for part in (50, 90, 99, 100)},
    )
    stalled.close()


def percentile_ms(histogram: list[int], part: float) -> float:
    """Return the upper edge of the bucket that holds this part of the latencies."""
    wanted, seen = part * sum(histogram), 0
    for bucket, count in enumerate(histogram):
        seen += count
        if seen >= wanted and seen:
            return (bucket + 1) * BUCKET_NS / 1e6
    return float("nan")


def start(*arguments: object) -> subprocess.Popen[str]:
    """Start this program in one of its other roles."""
    command = [sys.executable, __file__, *map(str, arguments)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def read_line(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Return what a child says next."""
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise SystemExit("a process of the benchmark ended early; see above")
    return dict(json.loads(line))


def tell(process: subprocess.Popen[str], **values: Any) -> None:
    """Tell a child something."""
    assert process.stdin is not None
    process.stdin.write(json.dumps(values) + "\n")
    process.stdin.flush()


def measure(kind: str, seconds: float, subscribers: int, rate: float) -> dict[str, Any]:
    """Run one server with its subscribers and return the figures."""
    server = start("--serve", kind, "--rate", rate)
    readers = start("--read", read_line(server)["port"], "--subscribers", subscribers)
    read_line(readers)
    tell(server, seconds=seconds)
    tell(readers, window=read_line(server)["window"])
    figures = {"server": kind, **read_line(server), **read_line(server), **read_line(readers)}
    tell(server, done=True)
    for process in (server, readers):
        process.wait(20)
    return figures


def main() -> None:
    """Take turns, so that a busy machine is busy for both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subscribers", type=int, default=500)
    parser.add_argument("--rate", type=float, default=60.0)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rounds", type=int, default=2, help="turns of both; only the last one of Facewire is long")
    parser.add_argument("--serve", choices=("facewire", "broadcast"), help=argparse.SUPPRESS)
    parser.add_argument("--read", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        pin(0)
        return (run_facewire if options.serve == "facewire" else run_broadcast)(options.rate)
    if options.read:
        pin(1)
        return run_readers(options.read, options.subscribers)
    short = min(options.seconds, 20.0)
    runs = []
    for turn in range(options.rounds):
        last = turn == options.rounds - 1
        runs.append(measure("broadcast", short, options.subscribers, options.rate))
        runs.append(measure("facewire", options.seconds if last else short, options.subscribers, options.rate))
    return report(runs, options)


def report(runs: list[dict[str, Any]], options: argparse.Namespace) -> None:
    """Print the table and the JSON line."""
    print(f"{options.subscribers} subscribers, one of which never reads, {options.rate:g} frames a second")
    print("server        CPU    least      p50      p99      max   memory start, end   dropped by the server")
    for run in runs:
        drops = ", ".join(f"{run['counts'][key]} {key}" for key in ("overtaken", "replaced") if run["counts"])
        print(
            f"{run['server']:<10} {run['cpu']:6.1%} {run['least_received']:8.2%} {run['p50_ms']:5.1f} ms "
            f"{run['p99_ms']:5.1f} ms {run['p100_ms']:5.1f} ms {run['memory_start_mb']:6.1f}, "
            f"{run['memory_end_mb']:6.1f} MB   {drops}"
        )
    cpu = {
        kind: statistics.mean(run["cpu"] for run in runs if run["server"] == kind) for kind in ("facewire", "broadcast")
    }
    last = runs[-1]
    summary = {
        "benchmark": "fanout",
        "subscribers": options.subscribers,
        "rate": options.rate,
        "seconds": options.seconds,
        "cpu_ratio": round(cpu["facewire"] / cpu["broadcast"], 3),
        "least_received": round(min(run["least_received"] for run in runs if run["server"] == "facewire"), 5),
        "p99_ms": max(run["p99_ms"] for run in runs if run["server"] == "facewire"),
        "memory_growth_mb": round(last["memory_end_mb"] - last["memory_start_mb"], 2),
        "frame_bytes": len(Encoder().frame(example_frame())) + 4,
        "load_average": os.getloadavg()[0],
    }
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
