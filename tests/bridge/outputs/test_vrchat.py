"""The VRChat output against a stand-in for VRChat: a UDP socket read by python-osc, and an OSCQuery server."""

from __future__ import annotations

import contextlib
import gc
import http.client
import json
import math
import socket
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zeroconf  # whole, before tests hide it from what a thread may import just then
from pythonosc.osc_message_builder import OscMessageBuilder
from pythonosc.osc_packet import OscPacket
from support.faces import head_of, shapes_of
from support.waiting import wait_until

from facewire.bridge.outputs.base import OutputError
from facewire.bridge.outputs.choose import make_output
from facewire.bridge.outputs.vrchat import oscquery
from facewire.bridge.outputs.vrchat import output as output_module
from facewire.bridge.outputs.vrchat.avatar import AvatarError, from_tree
from facewire.bridge.outputs.vrchat.listener import Listener
from facewire.bridge.outputs.vrchat.output import GAZE, LIDS, MAX_RATE, REFRESH_NS, VrchatOutput
from facewire.bridge.shared.clock import now_ns
from facewire.bridge.shared.install import install_extra
from facewire.bridge.wire.frame import FaceFrame

HERE = Path(__file__).parent / "vrchat"
AVATAR = "avtr_00000000-0000-4000-8000-00000000face"
TREE = (HERE / "avatar_tree.json").read_bytes()
MS = 1_000_000


def face(sources: Any = "video", confidence: float = 1.0, gaze: Any = (0,) * 4, **shapes: float) -> FaceFrame:
    return FaceFrame(0, 0, 0, sources, confidence, shapes_of(**shapes), head_of(), np.array(gaze, np.float32))


class Vrchat:
    """Receives what VRChat would."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port: int = self.socket.getsockname()[1]
        self.datagrams = 0

    def read(self) -> dict[str, Any]:
        """Return what has come by now: each address with its newest values."""
        told: dict[str, Any] = {}
        self.socket.settimeout(0.05)
        with contextlib.suppress(TimeoutError):
            while True:
                for timed in OscPacket(self.socket.recv(65536)).messages:
                    values = timed.message.params
                    told[timed.message.address] = values[0] if len(values) == 1 else tuple(values)
                self.datagrams += 1
        return told

    def tell(self, port: int, address: str, *values: Any) -> None:
        builder = OscMessageBuilder(address)
        for value in values:
            builder.add_arg(value)
        self.socket.sendto(builder.build().dgram, ("127.0.0.1", port))


@pytest.fixture
def vrchat() -> Iterator[Vrchat]:
    program = Vrchat()
    yield program
    program.socket.close()


@pytest.fixture
def make(vrchat: Vrchat, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., VrchatOutput]]:
    """Open outputs to the stand-in, which zeroconf knows nothing of."""
    monkeypatch.setitem(sys.modules, "zeroconf", None)
    with contextlib.ExitStack() as stack:

        def open_output(options: str = "", notify: Callable[[str], None] = lambda _: None) -> VrchatOutput:
            output = make_output(f"vrchat:127.0.0.1:{vrchat.port}{options}", clock=now_ns)
            output.notify = notify
            assert isinstance(output, VrchatOutput)
            stack.callback(output.close)
            output.open()
            return output

        yield open_output


@pytest.fixture
def serve_tree() -> Iterator[Callable[[Callable[[], tuple[int, bytes]]], int]]:
    """Start stand-ins for VRChat's OSCQuery server: ``serve_tree(answer)`` returns a port."""
    with contextlib.ExitStack() as stack:

        def start(reply: Callable[[], tuple[int, bytes]]) -> int:
            class Handler(BaseHTTPRequestHandler):
                def do_GET(self) -> None:
                    status, body = reply() if self.path == "/avatar" else (404, b"")
                    self.send_response(status)
                    self.end_headers()
                    self.wfile.write(body)

                def log_message(self, *_: Any) -> None: ...

            server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
            thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.server_close)
            stack.callback(server.shutdown)
            return int(server.server_address[1])

        yield start


def test_a_face_arrives(make: Callable[..., VrchatOutput], vrchat: Vrchat) -> None:
    output = make()
    output.send(face(jawOpen=0.5, mouthSmileLeft=1.0, eyeBlinkLeft=1.0, gaze=(0.2, 0.1, -0.1, -0.2)), 0)
    told = vrchat.read()
    assert told["/avatar/parameters/v2/JawOpen"] == 0.5
    assert told["/avatar/parameters/v2/SmileSadLeft"] == 1.0
    assert told["/avatar/parameters/v2/EyeLidLeft"] == 0.0
    assert told["/avatar/parameters/EyeTrackingActive"] is True
    # VRChat: pitch + down and yaw + right; FaceFrame: pitch + up and yaw + left.
    assert told[GAZE] == pytest.approx([-math.degrees(v) for v in (0.1, 0.2, -0.2, -0.1)], abs=1e-4)
    assert told[LIDS] == 0.5


def test_only_what_changed_and_everything_anew_in_time(make: Callable[..., VrchatOutput], vrchat: Vrchat) -> None:
    output = make()
    output.send(face(), 0)
    everything = vrchat.read()
    output.send(face(), 20 * MS)
    assert vrchat.read() == {}
    output.send(face(jawOpen=0.25), 40 * MS)
    assert vrchat.read() == {"/avatar/parameters/v2/JawOpen": 0.25}
    output.idle(REFRESH_NS - 1)
    assert vrchat.read() == {}
    output.idle(REFRESH_NS)
    assert vrchat.read() == {**everything, "/avatar/parameters/v2/JawOpen": 0.25}
    output.send(face(jawOpen=0.25), 2 * REFRESH_NS)
    assert set(vrchat.read()) == set(everything)


def test_at_vrchats_pace_and_the_last_frame_is_told(make: Callable[..., VrchatOutput], vrchat: Vrchat) -> None:
    output = make()
    output.send(face(), 0)
    vrchat.read()
    vrchat.datagrams = 0
    for i in range(1, 241):  # a second of 240 frames
        output.send(face(jawOpen=i / 240), round(i * 1e9 / 240))
    newest = vrchat.read()["/avatar/parameters/v2/JawOpen"]
    assert 85 <= vrchat.datagrams <= 92
    if newest != 1.0:
        output.idle(1_200 * MS)
        assert vrchat.read() == {"/avatar/parameters/v2/JawOpen": 1.0}


def test_a_lost_face_gives_the_eyes_back(make: Callable[..., VrchatOutput], vrchat: Vrchat) -> None:
    output = make()
    output.send(face(gaze=(0.1, 0, 0.1, 0)), 0)
    vrchat.read()
    output.send(face(sources="held", confidence=0.5, gaze=(0.05, 0, 0.05, 0)), 20 * MS)
    assert GAZE in vrchat.read(), "easing is shown"
    output.send(face(sources="held", confidence=0.0), 40 * MS)
    told = vrchat.read()
    assert told["/avatar/parameters/EyeTrackingActive"] is told["/avatar/parameters/LipTrackingActive"] is False
    output.idle(REFRESH_NS + 40 * MS)
    told |= vrchat.read()
    assert GAZE not in told
    assert LIDS not in told
    output.send(face(sources="audio", jawOpen=0.5), REFRESH_NS + 60 * MS)
    told = vrchat.read()
    assert told["/avatar/parameters/LipTrackingActive"] is True
    assert "/avatar/parameters/EyeTrackingActive" not in told, "a voice has no eyes"


def test_frames_beyond_vrchats_own_pace_count_as_overtaken(make: Callable[..., VrchatOutput], vrchat: Vrchat) -> None:
    output = make()
    for i in range(1, 241):
        output.send(face(jawOpen=i / 240), i * 1000 * MS // 120)
    output.idle(3000 * MS)
    assert vrchat.read()["/avatar/parameters/v2/JawOpen"] == 1.0
    assert 240 - output.overtaken == pytest.approx(2 * MAX_RATE, abs=2)


def test_a_frame_that_is_no_face_sends_no_nonsense(make: Callable[..., VrchatOutput], vrchat: Vrchat) -> None:
    output = make()
    output.send(face(jawOpen=math.nan, eyeBlinkLeft=math.inf, gaze=(math.nan, math.inf, -math.inf, 9.0)), 0)
    numbers = np.concatenate([np.atleast_1d(np.asarray(value, float)) for value in vrchat.read().values()])
    assert np.isfinite(numbers).all()
    assert np.abs(numbers).max() <= 90


def test_nobody_there_and_then_somebody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zeroconf", None)
    absent = Vrchat()
    absent.socket.close()
    output = make_output(f"vrchat:{absent.port}", clock=now_ns)
    output.open()

    said: set[str] = set()

    def send(now_ns: int) -> int:
        """0, or 1 if the system said that nobody was there: it reports it with a later datagram."""
        try:
            output.send(face(jawOpen=now_ns % 7 / 7), now_ns)
        except OutputError as error:
            said.add(str(error))
            return 1
        return 0

    try:
        assert sum(send(i * 20 * MS) for i in range(20)) > 0
        assert said == {"VRChat is not running, or OSC is off in its Action menu"}
        absent.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        absent.socket.bind(("127.0.0.1", absent.port))
        send(REFRESH_NS)
        assert send(2 * REFRESH_NS) == 0
        assert "/avatar/parameters/v2/MouthX" in absent.read()
    finally:
        output.close()
        absent.socket.close()


def test_a_new_avatar_is_told_everything_by_its_own_list(
    make: Callable[..., VrchatOutput], vrchat: Vrchat, tmp_path: Path
) -> None:
    folder = tmp_path / "usr_1" / "Avatars"
    folder.mkdir(parents=True)
    (folder / f"{AVATAR}.json").write_bytes((HERE / "avatar.json").read_bytes())
    output = make()
    listener = output._listener
    listener._folders = [tmp_path]
    output.send(face(jawOpen=0.5), 0)
    assert len(vrchat.read()) > 100
    vrchat.tell(listener.port, "/avatar/change", AVATAR)
    wait_until(lambda: listener.news == 1)
    output.idle(20 * MS)
    told = vrchat.read()
    assert set(told) == {address for address in listener.parameters or {} if "Hat" not in address} - {
        "/avatar/parameters/Sit/Down", "/avatar/parameters/VRCEmote", "/avatar/parameters/Hue",
    }  # fmt: skip
    assert told["/avatar/parameters/FT/v2/JawOpen"] == 0.5
    assert GAZE not in told, "the avatar turns its eyes itself"
    assert "54 parameters of the avatar" in output.describe()
    vrchat.tell(listener.port, "/avatar/change", "local:test")
    wait_until(lambda: listener.news == 2)
    output.idle(40 * MS)
    assert "/avatar/parameters/v2/JawOpen" in vrchat.read(), "nobody knows this one: every name as a float"


def test_hostile_datagrams_change_nothing(make: Callable[..., VrchatOutput], vrchat: Vrchat) -> None:
    listener = make()._listener
    for data in (b"", b"\0" * 3, b"#bundle\0" + b"\xff" * 60, b"/avatar/change\0\0,s\0\0", b"\xff" * 4000):
        vrchat.socket.sendto(data, ("127.0.0.1", listener.port))
    vrchat.tell(listener.port, "/avatar/change", 7)
    vrchat.tell(listener.port, "/avatar/change")
    vrchat.tell(listener.port, "/avatar/changed", AVATAR)
    vrchat.tell(listener.port, "/avatar/change", "../../../etc/passwd")
    wait_until(lambda: listener.news == 1)
    assert listener.parameters is None


def test_without_zeroconf_one_line_says_so(make: Callable[..., VrchatOutput], vrchat: Vrchat) -> None:
    lines: list[str] = []
    output = make(notify=lines.append)
    wait_until(lambda: lines)
    assert lines == [
        f"OSCQuery is not advertised (zeroconf is missing: {install_extra('vrchat')}); every parameter is sent "
        "as a float"
    ]
    output.send(face(), 0)
    assert vrchat.read()


def test_a_port_for_vrchats_messages_can_be_chosen(make: Callable[..., VrchatOutput], vrchat: Vrchat) -> None:
    free = Vrchat()
    free.socket.close()
    assert make(f"?listen={free.port}")._listener.port == free.port
    with pytest.raises(OutputError, match=f"cannot listen to VRChat on 127.0.0.1:{vrchat.port}"):
        make(f"?listen={vrchat.port}")
    for wrong in ("0", "70000", "-1", "ninety", "9001.0"):
        with pytest.raises(OutputError, match="listen is a port"):
            make_output(f"vrchat:?listen={wrong}")


def test_a_vrchat_elsewhere_is_not_asked_for_this_ones_avatar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Listener, "open", lambda _: pytest.fail("it listens"))
    monkeypatch.setattr(output_module, "share_network", lambda *_: False)
    output = make_output("vrchat:192.0.2.7")
    output.open()
    output.close()
    assert output.describe() == "192.0.2.7:9000"


def test_a_minute_of_frames_leaves_nothing_behind(make: Callable[..., VrchatOutput], vrchat: Vrchat) -> None:
    output = make()
    frames = [face(jawOpen=i / 60, eyeBlinkLeft=1 - i / 60, gaze=(i / 100,) * 4) for i in range(60)]

    def minute() -> None:
        for i in range(3600):
            output.send(frames[i % 60], i * 16_666_667)
        vrchat.read()

    def held() -> int:
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        minute()  # what it holds once is made here
        before = held()
        minute()
        assert held() - before < 20_000
    finally:
        tracemalloc.stop()


# OSCQuery


def get(port: int, path: str, method: str = "GET") -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        body = response.read()
        return response.status, json.loads(body) if response.status == 200 else None
    finally:
        connection.close()


@pytest.fixture
def server() -> Iterator[oscquery.QueryServer]:
    query = oscquery.QueryServer("Facewire", 9009)
    yield query
    query.close()


def test_oscquery_answers_by_its_proposal(server: oscquery.QueryServer) -> None:
    assert get(server.port, "/?HOST_INFO") == (200, {
        "NAME": "Facewire", "OSC_IP": "127.0.0.1", "OSC_PORT": 9009, "OSC_TRANSPORT": "UDP",
        "EXTENSIONS": {"ACCESS": True, "CLIPMODE": False, "RANGE": False, "TYPE": True, "VALUE": False},
    })  # fmt: skip
    status, tree = get(server.port, "/")
    assert (status, tree["FULL_PATH"], tree["ACCESS"]) == (200, "/", 0)
    assert get(server.port, "/avatar") == (200, tree["CONTENTS"]["avatar"])
    change = tree["CONTENTS"]["avatar"]["CONTENTS"]["change"]
    assert get(server.port, "/avatar/change") == (200, change)
    assert (change["FULL_PATH"], change["TYPE"], change["ACCESS"]) == ("/avatar/change", "s", 2)
    assert get(server.port, "/avatar/change?TYPE") == (200, {"TYPE": "s"})
    assert get(server.port, "/avatar/change?VALUE")[0] == 204, "write only: it has no value"
    assert get(server.port, "/avatar/change?RUBBISH")[0] == 400
    assert get(server.port, "/chatbox")[0] == 404
    assert get(server.port, "/avatar/change/x")[0] == 404
    assert get(server.port, "/" + "a" * 2000)[0] == 414


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", b"405"),
        (b"OPTIONS /avatar HTTP/1.1\r\nHost: x\r\n\r\n", b"405"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"400"),
        (b"GET /\r\n\r\n", b"400"),
        (b"\x16\x03\x01\x02\x00\x01\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1 x\r\n\r\n", b"400"),
        (b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n", b"200"),
        (b"POST / HTTP/1.1\r\nHost: x\r\n\r\n" + b"x" * 1_000_000, b"405"),
    ],
)
def test_oscquery_answers_every_request(server: oscquery.QueryServer, request_: bytes, status: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(request_)
        answer = b""
        while part := connection.recv(65536):
            answer += part
    assert answer.split()[1] == status
    assert answer.startswith(b"HTTP/1")


def test_oscquery_is_not_shut_by_idle_connections(server: oscquery.QueryServer) -> None:
    """The next one is answered at once, and a request that trickles in has one deadline."""
    with contextlib.ExitStack() as stack:
        for _ in range(5 * oscquery.MAX_CONNECTIONS):
            idle = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=30))
            idle.sendall(b"GET / HT")
        assert get(server.port, "/")[0] == 200
        wait_until(lambda: not server._open)
        trickle = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=30))
        wait_until(lambda: _has_ended(trickle), every_s=0.1)


def _has_ended(trickle: socket.socket) -> bool:
    try:
        trickle.sendall(b"G")
        trickle.setblocking(False)
        return trickle.recv(1) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def test_oscquery_lets_nobody_hold_it_up(server: oscquery.QueryServer) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(2 * oscquery.MAX_CONNECTIONS):
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=30))
        time.sleep(0.1)
        assert threading.active_count() < 40
        with contextlib.suppress(http.client.HTTPException, OSError):
            get(server.port, "/")
    wait_until(lambda: _is_free(server))
    assert get(server.port, "/")[0] == 200


def _is_free(server: oscquery.QueryServer) -> bool:
    with contextlib.suppress(http.client.HTTPException, OSError):
        return get(server.port, "/")[0] == 200
    return False


def test_the_avatar_is_asked_for_at_vrchat(
    serve_tree: Callable[..., int], make: Callable[..., VrchatOutput], vrchat: Vrchat
) -> None:
    answers = [(200, b"{}"), (500, b""), (200, TREE)]
    port = serve_tree(lambda: answers.pop(0) if len(answers) > 1 else answers[0])
    output = make()
    output.send(face(), 0)
    vrchat.read()
    output._listener.found("127.0.0.1", port)
    wait_until(lambda: output._listener.news)
    assert output._listener.parameters == from_tree(TREE)[1]
    output.idle(20 * MS)
    assert "/avatar/parameters/FT/v2/JawX1" in vrchat.read()


def test_answers_that_are_none_raise_in_words(
    serve_tree: Callable[..., int], vrchat: Vrchat, monkeypatch: pytest.MonkeyPatch
) -> None:
    for status, body in ((404, b""), (200, b"<html>"), (200, b"[" * 5_000_000)):
        with pytest.raises(AvatarError):
            oscquery.fetch_avatar("127.0.0.1", serve_tree(lambda status=status, body=body: (status, body)), now_ns)
    with pytest.raises(OSError, match="refused"):
        oscquery.fetch_avatar("127.0.0.1", vrchat.port, now_ns)
    monkeypatch.setattr(oscquery, "FETCH_TIMEOUT_S", 0.2)
    stalled = socket.create_server(("127.0.0.1", 0))
    with stalled, pytest.raises(TimeoutError):
        oscquery.fetch_avatar("127.0.0.1", stalled.getsockname()[1], now_ns)


def test_only_this_machines_vrchat_counts() -> None:
    assert oscquery.is_own("127.0.0.1")
    assert not oscquery.is_own("192.0.2.7")
    assert not oscquery.is_own("nonsense")


def test_mdns_tells_of_us_and_finds_vrchat(serve_tree: Callable[..., int]) -> None:
    """Both ways through zeroconf on the loopback interface."""
    port = serve_tree(lambda: (200, TREE))
    listener = Listener(0, [], lambda _: None, now_ns, ["127.0.0.1"])
    network = zeroconf.Zeroconf(interfaces=["127.0.0.1"], ip_version=zeroconf.IPVersion.V4Only)
    try:
        listener.open()
        name = "VRChat-Client-ABC123._oscjson._tcp.local."
        network.register_service(
            zeroconf.ServiceInfo(
                oscquery.HTTP_TYPE, name, addresses=[socket.inet_aton("127.0.0.1")], port=port, server="vrc.local."
            ),
            cooperating_responders=True,
        )
        wait_until(lambda: listener.advert is not None)
        wait_until(lambda: listener.parameters is not None)
        advert = listener.advert
        assert advert is not None
        info = network.get_service_info(oscquery.HTTP_TYPE, f"{advert.name}.{oscquery.HTTP_TYPE}", timeout=20_000)
        assert info is not None
        assert info.parsed_addresses() == ["127.0.0.1"]
        status, told = get(info.port or 0, "/?HOST_INFO")
        assert (status, told["OSC_PORT"]) == (200, listener.port)
        info = network.get_service_info(oscquery.OSC_TYPE, f"{advert.name}.{oscquery.OSC_TYPE}", timeout=20_000)
        assert info is not None
        assert info.port == listener.port
    finally:
        listener.close()
        network.close()
    wait_until(lambda: not [thread for thread in threading.enumerate() if "ServiceBrowser" in thread.name])
