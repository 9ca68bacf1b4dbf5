"""A siege: the real program with 500 subscribers, panel, recording and seven outputs, under attack and without.

    python benchmarks/siege.py                  # ten minutes under attack, two without
    python benchmarks/siege.py --seconds 60     # shorter

The attack: 200 connects a second (a quarter each finishes its handshake and leaves, leaves at once, sends what is no
request, or stays and says nothing), one client that pings as fast as it may and never reads, and one that keeps eight
commands in work. Without the attack another process burns the processor time that the attackers took, so that both
parts have as busy a machine. Latency is from publish to the end of the subscriber's `recv`, over all 500; the commands
are another client's `state`, twice a second. `least` is what the subscriber that got the fewest frames got, of their
mean. Prints a table and one JSON line. Linux only (epoll, /proc).
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import json
import os
import select
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fanout import BUCKET_NS, BUCKETS, PUBLISH_KEY, connect, percentile_ms, read_line, send_line, tell
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect as open_websocket
from websockets.typing import Subprotocol

from facewire.bridge.server.server import allow_open_files
from facewire.bridge.wire.codec import decode_message

CONNECTS_PER_S = 200
ATTACKERS = 16
IDLE_AT_ONCE = 1300
WARM_UP_S = 15.0
SETTLE_S = 3.0
COMMAND_EVERY_S = 0.5
ALL_STREAMS = ["blendshapes", "head", "gaze", "landmarks", "flame", "raw", "preview"]
GARBAGE = (
    b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\n",
    b"\x16\x03\x01",
)


# The subscribers


class Subscribers:
    """Many that read as fast as they can, in one epoll loop, and keep count."""

    def __init__(self, port: int, count: int) -> None:
        self.poll = select.epoll()
        self.sockets = {}
        for _ in range(count):
            connection = connect(port)
            connection.setblocking(False)
            self.sockets[connection.fileno()] = connection
            self.poll.register(connection.fileno(), select.EPOLLIN)
        self.rest = dict.fromkeys(self.sockets, b"")
        self.lost = 0
        self.begin()

    def begin(self) -> None:
        """Begin a new part."""
        self.frames = dict.fromkeys(self.sockets, 0)
        self.histogram = [0] * BUCKETS
        self.lost_before = self.lost

    def turn(self) -> None:
        """Read what there is on every socket."""
        for number, _ in self.poll.poll(0.2):
            try:
                data = self.sockets[number].recv(65536)
            except BlockingIOError:
                continue
            except OSError:
                data = b""
            now_ns = time.perf_counter_ns()
            if data:
                self.take(number, self.rest[number] + data, now_ns)
            else:
                self.poll.unregister(number)
                self.lost += 1

    def take(self, number: int, data: bytes, now_ns: int) -> None:
        """Count the frames in what came; keep a part of one for the next time."""
        at = 0
        while len(data) - at >= 4:
            size, head = data[at + 1], 2
            if size == 126:
                size, head = int.from_bytes(data[at + 2 : at + 4], "big"), 4
            elif size == 127:
                size, head = int.from_bytes(data[at + 2 : at + 10], "big"), 10
            end = at + head + size
            if len(data) < end:
                break
            if data[at] == 0x82 and data[at + head + 1 : at + head + 12] == b"\xa4type\xa5frame":
                found = data.index(PUBLISH_KEY, at, end) + len(PUBLISH_KEY)
                (publish_ns,) = struct.unpack_from("!Q", data, found)
                self.frames[number] += 1
                self.histogram[min(BUCKETS - 1, max(0, now_ns - publish_ns) // BUCKET_NS)] += 1
            elif data[at] == 0x89:  # A keep-alive ping, to be answered with a masked pong (RFC 6455, 5.5.3).
                self.sockets[number].send(bytes([0x8A, 0x80 | size, 0, 0, 0, 0]) + data[at + head : end])
            at = end
        self.rest[number] = data[at:]

    def figures(self) -> dict[str, float]:
        """Return what this part was like."""
        mean = statistics.mean(self.frames.values())
        return {
            "lost": self.lost - self.lost_before,
            "mean_frames": mean,
            "least_received": min(self.frames.values()) / mean if mean else 0.0,
            **{f"p{part}_ms": percentile_ms(self.histogram, part / 100) for part in (50, 99, 100)},
        }


def run_subscribers(port: int, count: int) -> None:
    """Be the subscribers; each line of the parent ends a part."""
    allow_open_files()
    subscribers = Subscribers(port, count)
    words: collections.deque[str] = collections.deque()
    threading.Thread(target=lambda: words.extend(iter(sys.stdin.readline, "")), daemon=True).start()
    send_line(ready=count)
    while True:
        subscribers.turn()
        if words:
            words.popleft()
            send_line(**subscribers.figures())
            subscribers.begin()


# The attackers


def reset(connection: socket.socket) -> None:
    """Leave without a goodbye."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


connects = collections.Counter[str]()


def attack_by_connects(port: int, per_s: float) -> None:
    """Connect again and again, in four ways."""
    idle: collections.deque[socket.socket] = collections.deque()
    began = time.monotonic()
    for number in range(1 << 60):
        time.sleep(max(0.0, began + number / per_s - time.monotonic()))
        with contextlib.suppress(OSError, SystemExit):
            if number % 4 == 0:
                reset(connect(port))
                connects["done"] += 1
                continue
            connection = socket.create_connection(("127.0.0.1", port), timeout=5)
            connects["done"] += 1
            if number % 4 == 1:
                reset(connection)
            elif number % 4 == 2:
                connection.sendall(GARBAGE[number // 4 % len(GARBAGE)])
                connection.close()
            else:
                idle.append(connection)
        while len(idle) > IDLE_AT_ONCE // ATTACKERS:
            idle.popleft().close()


def attack_by_pings(port: int) -> None:
    """Ping and never read; come back when hung up on."""
    pings = (b"\x89\xfd" + bytes(4) + b"x" * 125) * 10
    while True:
        with contextlib.suppress(OSError, SystemExit):
            connection = connect(port)
            while True:
                connection.sendall(pings)
                time.sleep(0.015)  # Within the limit of websocket frames: only what it owes gives it away.


def attack_by_commands(port: int) -> None:
    """Keep eight commands in work."""
    while True:
        with (
            contextlib.suppress(OSError, ConnectionClosed),
            open_websocket(f"ws://127.0.0.1:{port}/v1/live", max_size=None) as client,
        ):
            client.send('{"type":"subscribe","streams":[],"max_rate":0.1}')
            for _ in range(8):
                client.send('{"type":"command","id":1,"name":"state"}')
            while True:
                if json.loads(client.recv())["type"] == "result":
                    time.sleep(0.006)  # Within the limit of messages.
                    client.send('{"type":"command","id":1,"name":"state"}')


def run_attack(port: int) -> None:
    """Be all attackers, until the parent says so; then say how much of a core that took."""
    allow_open_files()
    works: list[Any] = [(attack_by_connects, (port, CONNECTS_PER_S / ATTACKERS))] * ATTACKERS
    works += [(attack_by_pings, (port,)), (attack_by_commands, (port,))]
    for target, arguments in works:
        threading.Thread(target=target, args=arguments, daemon=True).start()
    began, began_cpu_s = time.monotonic(), time.process_time()
    sys.stdin.readline()
    seconds = time.monotonic() - began
    send_line(share=(time.process_time() - began_cpu_s) / seconds, connects_per_s=connects["done"] / seconds)
    os._exit(0)


def run_burn(share: float) -> None:
    """Burn a share of a core."""
    while True:
        end = time.monotonic() + 0.01
        while time.monotonic() < end - 0.01 * (1 - share):
            pass
        time.sleep(max(0.0, end - time.monotonic()))


# The parent


def start(*arguments: object) -> subprocess.Popen[str]:
    """Start this program in one of its other roles."""
    command = [sys.executable, __file__, *map(str, arguments)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@contextlib.contextmanager
def running(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    """End a process at the end."""
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[tuple[int, int]]:
    """Run the real program with seven outputs; give its process and port."""
    with contextlib.ExitStack() as stack:
        outputs = [f"csv:{folder / 'face.csv'}", f"jsonl:{folder / 'face.jsonl'}", "vts"]
        for kind in ("vmc", "livelink", "ifacialmocap", "vrchat"):
            sink = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            sink.bind(("127.0.0.1", 0))  # Never read: the system drops what is too much.
            outputs.append(f"{kind}:127.0.0.1:{sink.getsockname()[1]}")
        command = [sys.executable, "-m", "facewire.runtime.cli", "serve", "--video", "none", "--audio", "demo"]
        command += ["--listen", "127.0.0.1:0", "--record", str(folder), *(f"--output={one}" for one in outputs)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=(folder / "log").open("w"), text=True)
        stack.callback(stop, process)
        assert process.stdout is not None
        port = next((int(line.rpartition(":")[2].strip(" /\n")) for line in process.stdout if "  open" in line), None)
        if port is None:
            raise SystemExit(f"the server did not start:\n{(folder / 'log').read_text()}")
        yield process.pid, port


def stop(process: subprocess.Popen[str]) -> None:
    """End the server as a user does, and wait until its take is whole."""
    process.send_signal(signal.SIGINT)
    process.wait(60)


class Onlookers:
    """The panel, and another client's commands."""

    def __init__(self, port: int) -> None:
        self.url = f"ws://127.0.0.1:{port}/v1/live"
        self.waits_s: list[float] = []
        self.lost = 0
        for work in (self._be_the_panel, self._ask):
            threading.Thread(target=self._keep, args=(work,), daemon=True).start()

    def _keep(self, work: Any) -> None:
        while True:
            with (
                contextlib.suppress(OSError, ConnectionClosed),
                open_websocket(self.url, subprotocols=[Subprotocol("facewire.v1")], max_size=None) as client,
            ):
                work(client)
            self.lost += 1
            time.sleep(1)

    def _be_the_panel(self, client: Any) -> None:
        client.send(json.dumps({"type": "subscribe", "streams": ALL_STREAMS}))
        for data in client:
            if decode_message(data)["type"] == "status":
                client.send(json.dumps({"type": "ping", "client_ns": 1}))

    def _ask(self, client: Any) -> None:
        client.send(json.dumps({"type": "subscribe", "streams": [], "max_rate": 0.1}))
        while True:
            began = time.monotonic()
            client.send(json.dumps({"type": "command", "id": 1, "name": "state"}))
            while decode_message(client.recv())["type"] != "result":
                pass
            self.waits_s.append(time.monotonic() - began)
            time.sleep(COMMAND_EVERY_S)

    def begin(self) -> None:
        """Begin a new part."""
        self.waits_s, self.lost = [], 0

    def figures(self) -> dict[str, float]:
        """Return what this part was like."""
        return {"commands": len(self.waits_s), "longest_s": max(self.waits_s, default=0.0), "onlookers_lost": self.lost}


def memory_mb(pid: int) -> float:
    """Return a process's resident memory."""
    return int(Path(f"/proc/{pid}/statm").read_text(encoding="utf-8").split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def cpu_s(pid: int) -> float:
    """Return a process's processor time so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(
    kind: str, seconds: float, pid: int, subscribers: subprocess.Popen[str], onlookers: Onlookers
) -> dict[str, Any]:
    """Let one part settle and run, and return its figures."""
    time.sleep(SETTLE_S)
    tell(subscribers, begin=kind)
    read_line(subscribers)
    onlookers.begin()
    began, began_cpu_s, memory = time.monotonic(), cpu_s(pid), []
    while (spent := time.monotonic() - began) < seconds:
        memory.append(memory_mb(pid))
        time.sleep(min(1.0, seconds - spent))
    cpu = (cpu_s(pid) - began_cpu_s) / (time.monotonic() - began)
    tell(subscribers, end=kind)
    tenth = max(1, len(memory) // 10)
    ends = {"start": statistics.median(memory[:tenth]), "end": statistics.median(memory[-tenth:])}
    figures = {**read_line(subscribers), **onlookers.figures(), "server_cpu": cpu}
    return {"part": kind, "seconds": seconds, **figures, **{f"memory_{key}_mb": mb for key, mb in ends.items()}}


def wait_for_frames(subscribers: subprocess.Popen[str]) -> None:
    """Wait until the networks are loaded, and a little longer, so that all has been allocated that ever will be."""
    flowing = 0.0
    while flowing == 0.0:
        time.sleep(1)
        tell(subscribers, begin="frames")
        flowing = float(read_line(subscribers)["mean_frames"])
    time.sleep(WARM_UP_S)


def lay_siege(seconds: float, count: int) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """Run both parts against one server; return their figures, and what the attackers did."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        pid, port = stack.enter_context(serving(folder))
        subscribers = stack.enter_context(running(start("--subscribe", port, "--subscribers", count)))
        read_line(subscribers)
        onlookers = Onlookers(port)
        wait_for_frames(subscribers)
        with running(start("--attack", port)) as attack:
            besieged = measure("attack", seconds, pid, subscribers, onlookers)
            tell(attack, end=True)
            attackers = read_line(attack)
        with running(start("--burn", min(attackers["share"], 1.0))):
            quiet = measure("burn", max(20.0, seconds / 5), pid, subscribers, onlookers)
    return [besieged, quiet], attackers


def main() -> None:
    """Lay the siege, or be one of its parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subscribers", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=600.0, help="of the attack; a fifth of it without")
    for role, kind in (("--subscribe", int), ("--attack", int), ("--burn", float)):
        parser.add_argument(role, type=kind, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.subscribe:
        return run_subscribers(options.subscribe, options.subscribers)
    if options.attack:
        return run_attack(options.attack)
    if options.burn is not None:
        return run_burn(options.burn)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # So that nothing is left running.
    parts, attackers = lay_siege(options.seconds, options.subscribers)
    return report(parts, attackers, options.subscribers)


def report(parts: list[dict[str, Any]], attackers: dict[str, float], count: int) -> None:
    """Print the table and the JSON line."""
    print(
        f"{count} subscribers, panel, recording, seven outputs; {attackers['connects_per_s']:.0f} connects a second, "
        f"and the attackers took {attackers['share']:.0%} of a core"
    )
    print("part     server    lost   least      p50      p99      max   memory start, end   commands, longest")
    for part in parts:
        print(
            f"{part['part']:<8} {part['server_cpu']:5.1%} {part['lost'] + part['onlookers_lost']:6.0f} "
            f"{part['least_received']:8.2%} "
            f"{part['p50_ms']:5.1f} ms {part['p99_ms']:5.1f} ms {part['p100_ms']:5.0f} ms "
            f"{part['memory_start_mb']:6.1f}, {part['memory_end_mb']:6.1f} MB   {part['commands']}, "
            f"{part['longest_s'] * 1000:.0f} ms"
        )
    ratio = parts[0]["p99_ms"] / parts[1]["p99_ms"]
    print(f"99th percentile under attack: {ratio:.2f} times that without")
    print(json.dumps({"benchmark": "siege", **attackers, "p99_ratio": ratio, "parts": parts}))


if __name__ == "__main__":
    main()
