"""VTube Studio on another port than usual: it says so itself by UDP, and is believed if it is on the machine meant."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.ports import free_udp_port
from support.waiting import wait_until
from websockets.sync.server import ServerConnection, serve

from facewire.bridge.outputs.base import OutputError
from facewire.bridge.outputs.choose import OUTPUTS, Target
from facewire.bridge.outputs.vts import discovery
from facewire.bridge.outputs.vts.discovery import Announcement, listen, parse
from facewire.bridge.outputs.vts.output import VtsOutput
from facewire.bridge.shared import clock

S = 10**9


def announcement(port: Any = 8002, active: Any = True, **other: Any) -> bytes:
    """Return what VTube Studio sends, as its documentation shows it."""
    data = {"active": active, "port": port, "instanceID": "93aa0d0494304fddb057ae8a295c4e59", "windowTitle": "VTS"}
    message = {"apiName": "VTubeStudioPublicAPI", "apiVersion": "1.0", "timestamp": 1630159656406, "data": data}
    kind = "VTubeStudioAPIStateBroadcast"
    return json.dumps({**message, "messageType": kind, "requestID": kind, **other}).encode()


def test_what_is_no_announcement_is_none() -> None:
    assert parse(announcement()) == Announcement(8002, True)
    assert parse(announcement(active=False)) == Announcement(8002, False)
    broken = [announcement(port) for port in (0, 65536, -1, "8002", 8002.5, True, None)]
    broken += [announcement(messageType="APIStateResponse"), announcement(apiName="x"), announcement(data=[])]
    broken += [b"", b"{", b"[]", b"1", b"\xff\xfe", b"[" * 100_000, announcement()[:-1]]
    assert [parse(data) for data in broken] == [None] * len(broken)


@contextlib.contextmanager
def announcing(port: int, *datagrams: bytes) -> Iterator[None]:
    """Send these to a port of loopback again and again."""
    stop = threading.Event()

    def send() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            while not stop.wait(0.02):
                for data in datagrams:
                    one.sendto(data, ("127.0.0.1", port))

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_only_the_machine_that_is_meant_is_believed() -> None:
    port = free_udp_port()
    with announcing(port, b"nonsense", b"x" * 60_000, announcement(8002, False), announcement(8003)):
        assert listen("127.0.0.1", clock.now_ns, lambda: False, port) == Announcement(8003, True)
        assert listen("localhost", clock.now_ns, lambda: False, port) == Announcement(8003, True)
        assert listen("192.0.2.77", clock.now_ns, lambda: False, port) is None
        assert listen("no.such.host.invalid", clock.now_ns, lambda: False, port) is None


def test_listening_ends_in_time_whatever_comes_and_when_it_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    port, times_ns = free_udp_port(), iter(range(0, 100 * S, S // 10))
    assert listen("127.0.0.1", lambda: next(times_ns), lambda: False, port) is None
    assert next(times_ns) <= discovery.LISTEN_NS + S
    assert listen("127.0.0.1", clock.now_ns, lambda: True, port) is None
    monkeypatch.setattr(discovery, "MAX_DATAGRAMS", 5)
    with announcing(port, b"flood"):
        assert listen("127.0.0.1", lambda: 0, lambda: False, port) is None, "though no time passes"


def test_a_port_that_another_program_keeps_for_itself_is_no_harm() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("", 0))
        assert listen("127.0.0.1", clock.now_ns, lambda: False, one.getsockname()[1]) is None


@pytest.fixture
def studio() -> Iterator[tuple[int, list[str]]]:
    """Yield the port of a websocket server that notes what it is told, as VTube Studio that is being set up."""
    told: list[str] = []

    def talk(connection: ServerConnection) -> None:
        told.extend(str(message) for message in connection)

    server = serve(talk, "127.0.0.1", 0, compression=None)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.socket.getsockname()[1], told
    server.shutdown()
    thread.join()


@pytest.fixture
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        return int(one.getsockname()[1])


def run(output: VtsOutput, until: Any) -> None:
    def idle() -> None:
        with contextlib.suppress(OutputError):
            output.idle(clock.now_ns())

    wait_until(until, every_s=0.01, meanwhile=idle)


def test_a_vts_on_another_port_is_found_and_said(
    studio: tuple[int, list[str]], free_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port, told = studio
    udp_port = free_udp_port()
    monkeypatch.setattr(discovery.listen, "__defaults__", (udp_port,))
    monkeypatch.setitem(OUTPUTS, "vts", OUTPUTS["vts"].__class__("x:y", "", "address", port=free_port))
    output, lines = VtsOutput(Target("127.0.0.1", free_port, folder=tmp_path, clock=clock.now_ns)), list[str]()
    output.notify = lines.append
    with contextlib.closing(output):
        output.open()
        with announcing(udp_port, announcement(port)):
            run(output, lambda: told)
        assert "APIStateRequest" in told[0]
        assert lines == [f"VTube Studio says that it is on port {port}: connected there"]
        assert output.describe() == f"127.0.0.1:{port}"
        assert output._link._tokens._where == f"127.0.0.1:{free_port}", "its permission is kept whatever its port is"


def test_a_vts_whose_api_is_off_is_told_from_one_that_does_not_run(
    free_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    udp_port = free_udp_port()
    monkeypatch.setattr(discovery.listen, "__defaults__", (udp_port,))
    monkeypatch.setitem(OUTPUTS, "vts", OUTPUTS["vts"].__class__("x:y", "", "address", port=free_port))
    output = VtsOutput(Target("127.0.0.1", free_port, folder=tmp_path, clock=clock.now_ns))
    with contextlib.closing(output):
        output.open()
        with announcing(udp_port, announcement(free_port, active=False)):
            run(output, lambda: "API is off" in (output._link.problem or ""))


def test_a_port_that_the_user_named_is_the_only_one(
    studio: tuple[int, list[str]], free_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listened: list[int] = []
    monkeypatch.setattr(discovery, "listen", lambda *_: listened.append(1))
    output = VtsOutput(Target("127.0.0.1", free_port, folder=tmp_path, clock=clock.now_ns))
    with contextlib.closing(output):
        output.open()
        run(output, lambda: output._link.problem is not None)
    assert listened == []
    assert studio[1] == []
