"""The Unity client's core on .NET: its own unit tests, then against real and rogue servers on loopback."""

from __future__ import annotations

import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgpack
import pytest
from frame_server import publish_evenly
from probe import DEADLINE_S, FrameServer, Harness, Probe
from support.program import FACEWIRE, addresses_of
from support.waiting import wait_until
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve
from websockets.typing import Subprotocol

from facewire.bridge.client.blocking import connect_blocking
from facewire.bridge.server.config import ServerConfig
from facewire.bridge.server.server import LiveServer
from facewire.bridge.shared.arkit import BLENDSHAPES

RATE_HZ = 60
QUEUE_MS = 16 * 1000 / RATE_HZ
"""What the client's queue holds of a stream: a player loop that stands still for longer loses frames, and says so."""
CLOSE_MS = 250
"""Closing may hold up the player for so long; a farewell that takes longer is cut off."""
SPARE_S = 120.0
"""No test lets a client run for so long: it is ended, or killed, when it has shown what it should."""
Client = Callable[..., Probe]


@contextmanager
def starter(harness: Harness) -> Iterator[Client]:
    probes: list[Probe] = []

    def start(address: str, token: str = "") -> Probe:
        probes.append(harness.live(address, SPARE_S, token))
        return probes[-1]

    yield start
    for probe in probes:
        probe.stop()


@pytest.fixture
def live(harness: Harness) -> Iterator[Client]:
    with starter(harness) as start:
        yield start


@pytest.fixture
def live_on_each(each_harness: Harness) -> Iterator[Client]:
    with starter(each_harness) as start:
        yield start


def test_unit_tests_pass(each_harness: Harness) -> None:
    done = each_harness.run("test")
    failures = [line for line in done.stdout.splitlines() if not line.startswith("Passed")]
    assert done.returncode == 0, "\n".join(failures) + done.stderr
    passed = re.search(r"(\d+) passed, 0 failed, 0 skipped", done.stdout)
    assert passed, failures
    assert int(passed[1]) > 100


def test_receives_every_frame_of_the_real_server(live_on_each: Client) -> None:
    ahead_ns = 7_000_000_000_000

    def session_clock_ns() -> int:
        return time.monotonic_ns() + ahead_ns  # Not the client's: it has to find out by pings.

    stop = threading.Event()
    with LiveServer(ServerConfig(port=0), clock_ns=session_clock_ns) as server:
        publisher = threading.Thread(target=publish_evenly, args=(server, RATE_HZ, stop, session_clock_ns), daemon=True)
        publisher.start()
        probe = live_on_each(f"127.0.0.1:{server.address[1]}")
        probe.wait_until("four seconds of frames", lambda event: int(event.get("frames", 0)) >= 4 * RATE_HZ)
        summary = probe.end()
        stop.set()
        publisher.join()
        # On a starved machine the server itself leaves a frame out now and then, and counts it.
        left_out = server.counts.overtaken + server.counts.replaced
    assert summary["state"] == "Live"
    assert summary["malformed"] == summary["own_bytes"] == 0
    assert summary["overrun"] == 0 or summary["longest_pause_ms"] > QUEUE_MS / 2
    assert summary["missed"] <= left_out + summary["overrun"]
    assert summary["highest_jaw"] == pytest.approx(0.8, abs=0.02)
    # The pings' clock is off by half of their way at most.
    true_longest_ms = summary["max_ms"] + ahead_ns * 1e-6
    assert summary["stats_latency_ms"] != 0
    assert abs(summary["stats_latency_ms"]) <= true_longest_ms + summary["round_trip_ms"] / 2


def test_rests_while_the_server_is_gone_and_is_back_within_two_seconds_of_it(live: Client) -> None:
    with FrameServer() as server:
        port = server.port
        probe = live(f"127.0.0.1:{port}")
        moving_at_ms = probe.wait_for("phase", "Live")["at_ms"]
        server.kill()
    returned_ms: list[float] = []
    problems: list[str] = []
    while not returned_ms or (returned_ms[-1] >= 2000 and len(returned_ms) < 3):  # A loaded machine may be late once.
        resting_at_ms = probe.wait_for("phase", "Resting", after_ms=moving_at_ms)["at_ms"]
        probe.wait_for("state", "Waiting", after_ms=moving_at_ms)
        threading.Event().wait(2)
        with FrameServer(port) as server:
            # The first sample of the new motion is still next to rest: the face had eased there and does not jump away.
            back = probe.wait_until("motion", moves_again(resting_at_ms))
            assert back["jaw"] < 0.2
            moving_at_ms = probe.wait_for("phase", "Live", after_ms=resting_at_ms)["at_ms"]
            problems = problems or [event["problem"].split(":")[0] for event in probe.events if event.get("problem")]
        returned_ms.append(moving_at_ms - server.listens_at_ms)
    assert returned_ms[-1] < 2000, returned_ms
    assert problems == ["lost", "unreachable"]


def moves_again(resting_at_ms: float) -> Callable[[dict[str, Any]], bool]:
    return lambda event: event.get("phase", "Resting") != "Resting" and event["at_ms"] > resting_at_ms


def test_leaves_a_stalled_server_and_returns_to_it(live: Client) -> None:
    with FrameServer() as server:
        probe = live(f"127.0.0.1:{server.port}")
        probe.wait_for("phase", "Live")
        server.process.send_signal(signal.SIGSTOP)
        stalled_at_ms = probe.wait_for("problem", "stalled")["at_ms"]
        server.process.send_signal(signal.SIGCONT)
        probe.wait_for("phase", "Live", after_ms=stalled_at_ms)


def test_a_wrong_token_is_told_once_and_not_tried_again(live_on_each: Client) -> None:
    with LiveServer(ServerConfig(port=0, token="right"), clock_ns=time.monotonic_ns) as server:
        address = f"127.0.0.1:{server.address[1]}"
        wrong = live_on_each(address, "wrong")
        wrong.wait_for("state", "Failed")
        live_on_each(address, "right").wait_for("state", "Live")
        time.sleep(1)  # In this time it would try again.
        assert wrong.end()["state"] == "Failed"
    problems = [event["problem"] for event in wrong.events if event.get("problem")]
    assert len(problems) == 1
    assert problems[0].startswith("token: ")
    assert "wrong" not in problems[0]
    assert sum(event.get("state") == "Connecting" for event in wrong.events) == 1


def test_a_websocket_without_the_subprotocol_is_refused_with_a_line_that_says_so(live: Client) -> None:
    with rogue(lambda connection: connection.send("{}"), subprotocols=None) as address:
        problem = live(address).wait_for("problem", "foreign: ")["problem"]
    assert "Sec-WebSocket-Protocol" in problem


@pytest.mark.models
def test_moves_by_the_demo_input_of_the_real_program(live: Client) -> None:
    command = [*FACEWIRE, "serve", "--video", "demo", "--listen", "127.0.0.1:0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
        try:
            address = addresses_of(program)["stream"]
            with connect_blocking(address) as ready:  # the first start compiles
                assert ready.next_frame(timeout_s=60) is not None
            probe = live(address)
            probe.wait_until(
                "a second of frames and a jaw that opens",
                lambda event: int(event.get("frames", 0)) >= RATE_HZ and event["highest_jaw"] > 0.1,
            )
            summary = probe.end()
        finally:
            program.send_signal(signal.SIGINT)
    assert summary["state"] == "Live"
    assert summary["malformed"] == 0
    assert summary["highest_jaw"] > 0.1


def test_tls_with_a_trusted_certificate_and_with_a_foreign_one(harness: Harness, tmp_path: Path) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed: no certificate to test with")
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    names = ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command + names, check=True, capture_output=True)
    config = ServerConfig(port=0, certificate=certificate, key=key)
    with LiveServer(config, clock_ns=time.monotonic_ns) as server, starter(harness) as start:
        address = f"wss://localhost:{server.address[1]}"
        foreign = start(address)
        environment = {**harness.tools.environment, "SSL_CERT_FILE": str(certificate)}
        trusting = replace(harness, tools=replace(harness.tools, environment=environment))
        with starter(trusting) as start_trusting:
            start_trusting(address).wait_for("state", "Live")
        assert "certificate" in foreign.wait_for("problem", "unreachable")["problem"]


def test_nothing_listens(live: Client) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # Bound but not listening: refused.
        probe = live(f"127.0.0.1:{taken.getsockname()[1]}")
        waiting_at_ms = probe.wait_for("state", "Waiting")["at_ms"]
        probe.wait_for("state", "Waiting", after_ms=waiting_at_ms + 1)  # Tried again, and not told again.
        assert probe.end()["state"] in ("Waiting", "Connecting")
    problems = [event["problem"] for event in probe.events if event.get("problem")]
    assert len(problems) == 1, problems
    assert problems[0].startswith("unreachable: No server at ws://127.0.0.1")


@contextmanager
def rogue(
    behave: Callable[[ServerConnection], None],
    subprotocols: Sequence[Subprotocol] | None = (Subprotocol("facewire.v1"),),
) -> Iterator[str]:
    """Run a websocket server that does what no real one does."""
    with serve(behave, "127.0.0.1", 0, subprotocols=subprotocols, compression=None) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.socket.getsockname()[1]}"
        server.shutdown()
        thread.join()


def hello(protocol: int = 1) -> bytes:
    message = {
        "type": "hello",
        "protocol": protocol,
        "server": "rogue",
        "session": "s",
        "blendshapes": list(BLENDSHAPES),
    }
    return bytes(msgpack.packb({**message, "streams": [], "clock_ns": 0, "rate": 0}))


def read_until_closed(connection: ServerConnection) -> None:
    with suppress(ConnectionClosed):
        while True:
            connection.recv()


def test_an_oversized_message_is_refused_with_the_right_code(live_on_each: Client) -> None:
    codes: list[int | None] = []

    def behave(connection: ServerConnection) -> None:
        connection.send(hello())
        with suppress(ConnectionClosed):
            connection.send(bytes(2 << 20))
        read_until_closed(connection)
        codes.append(connection.close_code)

    with rogue(behave) as address:
        live_on_each(address).wait_for("problem", "too large")
        wait_until(lambda: codes, what="a close code")
    assert codes[0] == 1009


def test_a_message_in_parts_is_put_together(live: Client) -> None:
    def behave(connection: ServerConnection) -> None:
        message = hello()
        connection.send(message[i : i + 7] for i in range(0, len(message), 7))
        read_until_closed(connection)

    with rogue(behave) as address:
        live(address).wait_for("state", "Live")


def test_stopping_says_goodbye(live_on_each: Client) -> None:
    codes: list[int | None] = []

    def behave(connection: ServerConnection) -> None:
        connection.send(hello())
        read_until_closed(connection)
        codes.append(connection.close_code)

    with rogue(behave) as address:
        for _ in range(3):
            probe = live_on_each(address)
            probe.wait_for("state", "Live")
            codes.clear()
            summary = probe.end()
            wait_until(lambda: codes, what="a close code")
            if summary["close_ms"] < CLOSE_MS:
                break
    assert summary["state"] == "Live"
    assert codes == [1000], summary


def test_a_foreign_protocol_version_is_final(live: Client) -> None:
    def behave(connection: ServerConnection) -> None:
        connection.send(hello(2))
        read_until_closed(connection)

    with rogue(behave) as address:
        probe = live(address)
        probe.wait_for("state", "Failed")
        assert probe.end()["state"] == "Failed"
    assert any(str(event.get("problem")).startswith("protocol") for event in probe.events)


def test_garbage_and_text_are_skipped_and_told_once(live: Client) -> None:
    def behave(connection: ServerConnection) -> None:
        connection.send(hello())
        for _ in range(50):
            connection.send(b"\x81\xa4type\xa5frame")
            connection.send("text")
        connection.send(bytes(msgpack.packb({"type": "error", "code": "last", "message": "that was all"})))
        read_until_closed(connection)

    with rogue(behave) as address:
        probe = live(address)
        probe.wait_for("problem", "error last")
        summary = probe.end()
    assert summary["state"] == "Live"
    assert summary["malformed"] == 50
    assert sum(str(event.get("problem")).startswith("malformed") for event in probe.events) == 1


def test_something_that_is_no_websocket_is_named(live_on_each: Client) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            for _ in range(2):  # The handshake, and the question why it failed.
                connection, _ = listener.accept()
                with connection:
                    connection.recv(4096)
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        probe = live_on_each(f"127.0.0.1:{listener.getsockname()[1]}")
        probe.wait_for("state", "Failed")
        assert probe.end()["state"] == "Failed"
        thread.join(DEADLINE_S)
    assert any(str(event.get("problem")).startswith("foreign") for event in probe.events)
