"""The VTube Studio output against a small server that follows the published API, and pyvts's message shapes."""

from __future__ import annotations

import contextlib
import functools
import json
import math
import random
import socket
import stat
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyvts.vts_request import VTSRequest
from support import waiting
from support.faces import head_of, shapes_of
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

from facewire import bridge
from facewire.bridge import mapping
from facewire.bridge.outputs.base import OutputError
from facewire.bridge.outputs.choose import Target
from facewire.bridge.outputs.runner import IDLE_S
from facewire.bridge.outputs.vts.api import (
    ANSWER_NS,
    MAX_IN_FLIGHT,
    TAKEN_NS,
    VtsDeniedError,
    VtsError,
    VtsSession,
)
from facewire.bridge.outputs.vts.link import KEEP_NS
from facewire.bridge.outputs.vts.output import VtsOutput
from facewire.bridge.outputs.vts.tokens import Tokens
from facewire.bridge.shared import clock
from facewire.bridge.wire.frame import FaceFrame

DEFAULTS = {row.target for row in mapping.section("vts").rows if not row.target.startswith("Facewire")}
S = 1_000_000_000
BRIDGE = str(Path(bridge.__file__).with_name("*"))


def face(sources: Any = "video", place: Any = (0, 0, -0.5), **shapes: float) -> FaceFrame:
    return FaceFrame(0, 0, 0, sources, 1.0, shapes_of(**shapes), head_of(place_m=place), np.zeros(4, np.float32))


RUNNING: list[VtsOutput] = []
"""The outputs that a runner would call now and then."""


def problem_of(output: VtsOutput) -> str | None:
    try:
        output.idle(clock.now_ns())
    except OutputError as error:
        return str(error)
    return None


def call_idle() -> None:
    """Call the outputs now and then, as their runner does."""
    for output in RUNNING:
        problem_of(output)


wait_until = functools.partial(waiting.wait_until, every_s=0.01, meanwhile=call_idle)


def send(output: VtsOutput, frame: FaceFrame) -> None:
    output.send(frame, clock.now_ns())


class Studio:
    """A stand-in for VTube Studio. Refuses what the API's documentation says that it refuses."""

    def __init__(self) -> None:
        self.tokens: set[str] = set()
        self.allows: bool | None = True
        """None lets the question stand."""
        self.active = True
        self.silent = False
        self.custom: dict[str, dict[str, Any]] = {}
        self.room = 100
        self.taken: set[str] = set()
        self.values: dict[str, float] = {}
        self.found: bool | None = None
        self.injected: list[float] = []
        self.asked = 0
        self.connections: list[ServerConnection] = []
        self.broken: list[str] = []
        self.odd_reply: str | None = None
        self._server = serve(self._talk, "127.0.0.1", 0, compression=None)
        self.port: int = self._server.socket.getsockname()[1]
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.socket.shutdown(socket.SHUT_RDWR)
        self._server.shutdown()
        self._thread.join()

    def drop(self) -> None:
        """Loses every connection, as when VTube Studio is closed."""
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.socket.shutdown(socket.SHUT_RDWR)
        self.connections.clear()

    def _talk(self, connection: ServerConnection) -> None:
        self.connections.append(connection)
        session = {"authenticated": False}
        with contextlib.suppress(ConnectionClosed):
            for text in connection:
                if self.odd_reply is not None:
                    connection.send(self.odd_reply)
                    continue
                request = json.loads(text)
                if not (request.get("apiName") == "VTubeStudioPublicAPI" and request.get("apiVersion") == "1.0"):
                    self.broken.append(str(text))
                if not 1 <= len(request["requestID"]) <= 64 or not request["requestID"].isascii():
                    self.broken.append(str(text))
                reply = self._reply(request["messageType"], request.get("data", {}), session)
                if reply is not None and not self.silent:
                    kind, data = reply
                    connection.send(json.dumps({
                        "apiName": "VTubeStudioPublicAPI", "apiVersion": "1.0", "timestamp": 1625405710728,
                        "requestID": request["requestID"], "messageType": kind, "data": data, "unknown": [1],
                    }))  # fmt: skip

    def _reply(self, kind: str, data: dict[str, Any], session: dict[str, bool]) -> tuple[str, dict[str, Any]] | None:
        if kind == "APIStateRequest":
            return "APIStateResponse", {"active": self.active, "vTubeStudioVersion": "1.32.0"}
        if kind == "AuthenticationTokenRequest":
            self.asked += 1
            assert 3 <= len(data["pluginName"]) <= 32
            assert 3 <= len(data["pluginDeveloper"]) <= 32
            if self.allows is None:
                return None
            if not self.allows:
                return error(50, "User has denied API access for your plugin.")
            self.tokens.add(token := f"token-{len(self.tokens)}")
            return "AuthenticationTokenResponse", {"authenticationToken": token}
        if kind == "AuthenticationRequest":
            session["authenticated"] = data["authenticationToken"] in self.tokens
            return "AuthenticationResponse", {"authenticated": session["authenticated"], "reason": ""}
        if not session["authenticated"]:
            return error(8, "Request requires authentication")
        if not self.tokens:
            return error(50, "User has denied API access for your plugin.")
        if kind == "ParameterCreationRequest":
            return self._create(data)
        if kind == "InjectParameterDataRequest":
            return self._inject(data)
        return error(7, f"unknown: {kind}")

    def _create(self, data: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        name = data["parameterName"]
        if not (name.isalnum() and 4 <= len(name) <= 32 and len(data["explanation"]) < 256):
            return error(350, f"Name invalid: {name}")
        if name in DEFAULTS:
            return error(354, f"{name} is a default parameter")
        if name not in self.custom and len(self.custom) >= self.room:
            return error(356, "Total custom parameter limit exceeded")
        self.custom[name] = data
        return "ParameterCreationResponse", {"parameterName": name}

    def _inject(self, data: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        values = {entry["id"]: entry["value"] for entry in data["parameterValues"]}
        assert data["mode"] == "set"
        for name, value in values.items():
            if name not in DEFAULTS and name not in self.custom:
                return error(453, f"Parameter {name} not found.")
            if name in self.taken:
                return error(454, f"Parameter {name} is currently controlled by another plugin.")
            if not -1e6 <= value <= 1e6:
                return error(451, "Value invalid")
        self.values, self.found = values, data["faceFound"]
        self.injected.append(time.monotonic())
        return "InjectParameterDataResponse", {}


def error(number: int, said: str) -> tuple[str, dict[str, Any]]:
    return "APIError", {"errorID": number, "message": said}


@pytest.fixture
def studio() -> Iterator[Studio]:
    program = Studio()
    yield program
    program.close()
    assert program.broken == []


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., tuple[VtsOutput, list[str]]]]:
    """Open outputs: ``make(port)`` returns one and the lines that it says."""
    with contextlib.ExitStack() as stack:

        def open_output(port: int) -> tuple[VtsOutput, list[str]]:
            output, lines = VtsOutput(Target("127.0.0.1", port, folder=tmp_path, clock=clock.now_ns)), []  # type: VtsOutput, list[str]
            output.notify = lines.append
            stack.callback(output.close)
            RUNNING.append(output)
            output.open()
            return output, lines

        yield open_output
    RUNNING.clear()


def test_a_face_arrives_after_one_click(
    studio: Studio, make: Callable[..., tuple[VtsOutput, list[str]]], tmp_path: Path
) -> None:
    output, _ = make(studio.port)
    wait_until(lambda: output.waiting is None)
    send(output, face(jawOpen=0.5, eyeBlinkLeft=1.0, mouthSmileLeft=1.0, mouthSmileRight=1.0))
    wait_until(lambda: studio.values)
    assert studio.found is True
    told = studio.values
    assert (told["MouthOpen"], told["MouthSmile"], told["EyeOpenLeft"], told["EyeOpenRight"]) == (0.5, 1.0, 0.0, 0.5)
    assert told["FacewireJawOpen"] == 0.5
    driven = {row.target for row in mapping.section("vts").rows if row.weights}
    assert set(told) == driven
    assert set(studio.custom) == {name for name in driven if name.startswith("Facewire")}
    file = tmp_path / "vts.json"
    assert json.loads(file.read_text()) == {f"127.0.0.1:{studio.port}": "token-0"}
    if sys.platform != "win32":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    output.close()
    RUNNING.clear()
    again, _ = make(studio.port)
    wait_until(lambda: again.waiting is None)
    assert studio.asked == 1, "the second time nobody is asked"


def test_it_says_itself_again_before_vts_takes_control_back(
    studio: Studio, make: Callable[..., tuple[VtsOutput, list[str]]]
) -> None:
    output, _ = make(studio.port)
    wait_until(lambda: output.waiting is None)
    RUNNING.clear()  # from here on it is called at these times alone
    assert KEEP_NS + IDLE_S * S < S, "VTube Studio waits for a second"
    assert output._link._live is not None
    session, now_ns = output._link._live[1], clock.now_ns()
    output.send(face("held"), now_ns)
    for told in range(1, 4):
        assert session.in_flight == 1
        wait_until(lambda now_ns=now_ns: output.idle(now_ns) or session.in_flight == 0)
        assert len(studio.injected) == told
        output.idle(now_ns + KEEP_NS - 1)
        assert session.in_flight == 0, "too early"
        now_ns += KEEP_NS
        output.idle(now_ns)
    assert studio.found is False


def test_a_slow_vts_gets_fewer_and_newer_frames(
    studio: Studio, make: Callable[..., tuple[VtsOutput, list[str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    inject, drawn = studio._inject, threading.Event()
    monkeypatch.setattr(studio, "_inject", lambda data: (drawn.wait(60), inject(data))[1])
    output, _ = make(studio.port)
    wait_until(lambda: output.waiting is None)
    now_ns = clock.now_ns()
    for i in range(101):
        output.send(face(jawOpen=i / 100), now_ns)
    assert studio.injected == [], "sending never waits"
    drawn.set()
    wait_until(lambda: studio.values.get("FacewireJawOpen") == 1.0)
    assert len(studio.injected) < 10, "the first ones, and the newest, which is repeated after a while"
    assert output.overtaken == 101 - MAX_IN_FLIGHT - 1


def test_nobody_there_then_vts_then_closed_then_back(make: Callable[..., tuple[VtsOutput, list[str]]]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    output, lines = make(port)
    wait_until(lambda: problem_of(output))
    assert "VTube Studio is not running" in (problem_of(output) or "")
    with pytest.raises(OutputError, match="is not running"):
        send(output, face())
    assert lines == []
    output.close()


def test_it_comes_back(studio: Studio, make: Callable[..., tuple[VtsOutput, list[str]]]) -> None:
    output, _ = make(studio.port)
    wait_until(lambda: output.waiting is None)
    studio.drop()

    def lost() -> str | None:
        with contextlib.suppress(OutputError):
            send(output, face())  # while faces flow, it is seldom heard
        return output._link.problem

    wait_until(lost)
    assert output._link.problem == "VTube Studio closed the connection"
    wait_until(lambda: output.waiting is None and problem_of(output) is None)
    send(output, face(jawOpen=1.0))
    wait_until(lambda: studio.values.get("FacewireJawOpen") == 1.0)
    assert studio.asked == 1


def test_a_question_that_nobody_answers_holds_nothing_up(
    studio: Studio, make: Callable[..., tuple[VtsOutput, list[str]]]
) -> None:
    studio.allows = None
    output, lines = make(studio.port)
    wait_until(lambda: lines)
    assert lines == ["waiting for a click on Allow in VTube Studio's window"]
    for _ in range(20):
        send(output, face())
    assert output.waiting == lines[0]
    start_s = time.monotonic()
    output.close()
    assert time.monotonic() - start_s < 20.0, "the question stands forever"


def test_a_no_is_a_no(studio: Studio, make: Callable[..., tuple[VtsOutput, list[str]]]) -> None:
    studio.allows = False
    output, lines = make(studio.port)
    wait_until(lambda: "VTube Studio was told to keep Facewire out" in "".join(lines))
    with contextlib.suppress(AssertionError):
        wait_until(lambda: studio.asked > 1, timeout_s=0.5)
    assert studio.asked == 1, "it must not ask again and again"
    send(output, face())
    assert output.waiting == lines[-1]


def test_leave_that_is_taken_back_is_asked_for_again(
    studio: Studio, make: Callable[..., tuple[VtsOutput, list[str]]], tmp_path: Path
) -> None:
    output, lines = make(studio.port)
    wait_until(lambda: output.waiting is None)
    studio.tokens.clear()
    studio.allows = None
    send(output, face())
    wait_until(lambda: studio.asked == 2)
    wait_until(lambda: "waiting for a click on Allow in VTube Studio's window" in lines)
    assert json.loads((tmp_path / "vts.json").read_text()) == {}


def test_a_token_of_another_vts_is_thrown_away(
    studio: Studio, make: Callable[..., tuple[VtsOutput, list[str]]], tmp_path: Path
) -> None:
    (tmp_path / "vts.json").write_text(json.dumps({f"127.0.0.1:{studio.port}": "old", "other:8001": "kept"}))
    output, _ = make(studio.port)
    wait_until(lambda: output.waiting is None)
    assert json.loads((tmp_path / "vts.json").read_text()) == {
        "other:8001": "kept", f"127.0.0.1:{studio.port}": "token-0",
    }  # fmt: skip


def test_an_api_that_is_off(studio: Studio, make: Callable[..., tuple[VtsOutput, list[str]]]) -> None:
    studio.active = False
    output, _ = make(studio.port)
    wait_until(lambda: problem_of(output))
    assert "Start API" in (problem_of(output) or "")
    studio.active = True
    wait_until(lambda: output.waiting is None and problem_of(output) is None)


def test_what_another_plugin_moves_is_left_to_it(
    studio: Studio, make: Callable[..., tuple[VtsOutput, list[str]]]
) -> None:
    studio.taken = {"FaceAngleX"}
    studio.room = 50
    output, lines = make(studio.port)
    wait_until(lambda: output.waiting is None)
    send(output, face(jawOpen=1.0))
    wait_until(lambda: studio.values)
    assert "FaceAngleX" not in studio.values
    assert studio.values["MouthOpen"] == 1.0
    assert len([name for name in studio.values if name.startswith("Facewire")]) == 50
    assert [line for line in lines if "Allow" not in line] == [
        "VTube Studio did not make 2 of Facewire's own parameters: Total custom parameter limit exceeded"
    ], "one line of a kind a minute"


@pytest.mark.parametrize(
    "reply",
    ["", "no JSON", "[]", "{}", '{"apiName": "Other"}', "[" * 60_000, "x" * 200_000, "9" * 5000],
    ids=["empty", "text", "list", "object", "other", "deep", "huge", "number"],
)
def test_replies_that_are_none(studio: Studio, make: Callable[..., tuple[VtsOutput, list[str]]], reply: str) -> None:
    studio.odd_reply = reply
    output, lines = make(studio.port)
    wait_until(lambda: problem_of(output))
    assert len((problem_of(output) or "").splitlines()) == 1
    assert lines == []
    studio.odd_reply = None
    wait_until(lambda: output.waiting is None and problem_of(output) is None)


def test_bytes_that_break_the_rules(studio: Studio, make: Callable[..., tuple[VtsOutput, list[str]]]) -> None:
    output, _ = make(studio.port)
    wait_until(lambda: output.waiting is None)
    studio.connections[0].socket.sendall(b"\xff" * 200)
    problems: list[str | None] = []
    wait_until(lambda: problems.append(problem_of(output)) or problems[-1])
    assert "breaks the rules of a websocket" in (problems[-1] or "")
    wait_until(lambda: output.waiting is None and problem_of(output) is None)


def test_a_text_in_parts_is_one(studio: Studio, make: Callable[..., tuple[VtsOutput, list[str]]]) -> None:
    output, _ = make(studio.port)
    wait_until(lambda: output.waiting is None)
    heard: list[str] = []
    assert output._link._live is not None
    session = output._link._live[1]
    session.receive = lambda text, _: heard.append(str(text)) or []  # type: ignore[method-assign]
    studio.connections[0].send(iter(['{"a"', ": ", "1}"]))
    wait_until(lambda: heard)
    assert heard == ['{"a": 1}']


def test_a_server_that_is_no_websocket(make: Callable[..., tuple[VtsOutput, list[str]]]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        output, _ = make(server.getsockname()[1])
        connection, _ = server.accept()
        with connection:
            connection.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
            wait_until(lambda: problem_of(output))
        assert "does not speak websocket" in (problem_of(output) or "")


def test_a_frame_that_is_no_face_sends_no_nonsense(
    studio: Studio, make: Callable[..., tuple[VtsOutput, list[str]]]
) -> None:
    output, _ = make(studio.port)
    wait_until(lambda: output.waiting is None)
    send(output, face(jawOpen=math.nan, browInnerUp=math.inf, place=(math.nan, 0, 0)))
    wait_until(lambda: studio.values)
    assert all(math.isfinite(value) for value in studio.values.values())


def test_positions_count_from_where_the_person_sits() -> None:
    output = VtsOutput(Target("127.0.0.1", 1, clock=clock.now_ns))
    output._link.step = lambda _: None  # type: ignore[method-assign]
    offered: list[Any] = []
    output._link.offer = lambda values, _: offered.append(values)  # type: ignore[method-assign]

    def position() -> list[float]:
        return [offered[-1][place] for place in output._places]

    output.send(face(place=(0.2, -0.1, -0.7)), S)
    assert position() == [0, 0, 0]
    output.send(face(place=(0.1, -0.1, -0.65)), S + S // 60)
    assert position() == pytest.approx([10, 0, -5], abs=0.1)
    for i in range(120 * 60):
        output.send(face(place=(0.1, -0.1, -0.65)), 2 * S + i * S // 60)
    assert max(map(abs, position())) < 0.5


def test_a_minute_of_frames_leaves_nothing_behind(
    studio: Studio, make: Callable[..., tuple[VtsOutput, list[str]]]
) -> None:
    output, _ = make(studio.port)
    wait_until(lambda: output.waiting is None)
    frames = [face(jawOpen=i / 60) for i in range(60)]
    link = output._link

    def minute() -> None:
        for i in range(3600):
            send(output, frames[i % 60])
        wait_until(lambda: studio.values["FacewireJawOpen"] == pytest.approx(59 / 60, abs=1e-3))

    minute()
    # Not the test's own, which is in a folder of the same name.
    ours = tracemalloc.Filter(True, str(Path(mapping.__file__).parents[1] / "*"))
    tracemalloc.start(1)
    try:
        before = tracemalloc.take_snapshot().filter_traces((ours,))
        minute()
        after = tracemalloc.take_snapshot().filter_traces((ours,))
    finally:
        tracemalloc.stop()
    assert sum(entry.size_diff for entry in after.compare_to(before, "filename")) < 30_000
    assert link.problem is None


# Without a socket


def answer(kind: str, request_id: str = "facewire", **data: Any) -> str:
    return json.dumps({
        "apiName": "VTubeStudioPublicAPI", "apiVersion": "1.0", "timestamp": 1, "requestID": request_id,
        "messageType": kind, "data": data,
    })  # fmt: skip


def ready(names: list[str], token: str | None = "t") -> VtsSession:
    session = VtsSession(names, {}, token)
    session.start(0)
    session.receive(answer("APIStateResponse", active=True), 0)
    session.receive(answer("AuthenticationResponse", authenticated=True), 0)
    assert session.stage == "ready"
    return session


def test_messages_have_pyvtss_shapes() -> None:
    """An independent library's requests, but for the names, ids and numbers in them."""
    library = VTSRequest(developer="Facewire", plugin_name="Facewire", plugin_icon=None)
    session = VtsSession(["FaceAngleX", "FacewireJawOpen"], {"FacewireJawOpen": (0.0, 1.0, 0.0)}, None)
    asks = json.loads(session.start(0)[0])
    assert (asks["messageType"], asks["apiName"]) == ("APIStateRequest", library.BaseRequest("x")["apiName"])
    said = [json.loads(session.receive(answer("APIStateResponse", active=True), 0)[0])]
    said += map(json.loads, session.receive(answer("AuthenticationTokenResponse", authenticationToken="t"), 0))
    said += map(json.loads, session.receive(answer("AuthenticationResponse", authenticated=True), 0))
    session.receive(answer("ParameterCreationResponse", "FacewireJawOpen", parameterName="FacewireJawOpen"), 0)
    theirs = [
        library.authentication_token(),
        library.authentication("t"),
        library.requestCustomParameter("FacewireJawOpen", 0.0, 1.0, 0.0, "ARKit's JawOpen, from Facewire"),
    ]
    for ours, their in zip(said, theirs, strict=True):
        assert {**ours, "requestID": ""} == {**their, "requestID": ""}
    ours = json.loads(session.inject(np.array([12.25, 0.5], np.float32), True, 0))
    their = library.requestSetMultiParameterValue(["FaceAngleX", "FacewireJawOpen"], [12.25, 0.5], face_found=True)
    assert their is not None
    for entry in their["data"]["parameterValues"]:
        assert entry.pop("weight") == 1, "what is left out counts as 1"
    assert {**ours, "requestID": ""} == {**their, "requestID": ""}


def test_no_more_than_two_unanswered_and_not_for_long() -> None:
    session, values = ready(["MouthOpen"]), np.zeros(1, np.float32)
    for _ in range(MAX_IN_FLIGHT):
        assert session.has_room
        session.inject(values, True, S)
    assert not session.has_room
    session.receive(answer("InjectParameterDataResponse"), 2 * S)
    assert session.has_room
    session.check(2 * S + ANSWER_NS)
    with pytest.raises(VtsError, match="does not answer"):
        session.check(2 * S + ANSWER_NS + 1)
    session.receive(answer("InjectParameterDataResponse"), 100 * S)
    session.receive(answer("InjectParameterDataResponse"), 100 * S)
    session.check(1000 * S)
    assert session.in_flight == 0


def test_a_taken_parameter_is_tried_again() -> None:
    session, values = ready(["MouthOpen", "Brows"]), np.zeros(2, np.float32)

    def ids(now_ns: int) -> list[str]:
        session.in_flight = 0
        return [entry["id"] for entry in json.loads(session.inject(values, True, now_ns))["data"]["parameterValues"]]

    assert ids(0) == ["MouthOpen", "Brows"]
    session.receive(answer("APIError", "values", errorID=454, message="Parameter Brows is controlled by X"), S)
    assert ids(2 * S) == ["MouthOpen"]
    assert ids(S + TAKEN_NS) == ["MouthOpen", "Brows"]
    session.receive(answer("APIError", "values", errorID=453, message="No parameter MouthOpen"), S)
    assert ids(99 * S) == ["Brows"]
    session.receive(answer("APIError", "values", errorID=0, message="%s %d {x}"), S)
    assert ids(99 * S) == ["Brows"]


KINDS = ["APIStateResponse", "AuthenticationTokenResponse", "AuthenticationResponse", "ParameterCreationResponse",
         "InjectParameterDataResponse", "APIError", "ModelLoadedEvent"]  # fmt: skip
KEYS = ["active", "authenticationToken", "authenticated", "errorID", "message", "parameterName"]
VALUES = [
    True,
    True,
    None,
    0,
    1,
    8,
    50,
    51,
    453,
    454,
    -1e300,
    "t",
    "Brows is taken",
    "%s {0}",
    "",
    [],
    {"a": [1]},
    "x" * 999,
]


def test_whatever_comes_is_taken_or_ends_the_conversation() -> None:
    draw, reached = random.Random(5), set()
    for _ in range(2000):
        session = VtsSession(["Brows", "FacewireJawOpen"], {"FacewireJawOpen": (0.0, 1.0, 0.0)}, None)
        session.start(0)
        with contextlib.suppress(VtsError):
            for now in range(draw.randrange(20)):
                likely = KINDS[min(["new", "allow", "authenticate", "create", "ready"].index(session.stage), 4)]
                kind = likely if draw.random() < 0.8 else draw.choice(KINDS)
                data = {key: draw.choice(VALUES) for key in KEYS if draw.random() < 0.9}
                if draw.random() < 0.7:
                    data |= {"active": True, "authenticationToken": "t", "authenticated": True}
                request_id = draw.choice(["facewire", "values", "FacewireJawOpen", "FacewireJawOpen"])
                for text in session.receive(answer(kind, request_id, **data), now):
                    json.loads(text)
                if session.has_room:
                    json.loads(session.inject(np.zeros(2, np.float32), True, now))
                assert 0 <= session.in_flight <= MAX_IN_FLIGHT
                assert session.token is None or 0 < len(session.token) <= 256
                reached.add(session.stage)
    assert reached == {"new", "allow", "authenticate", "create", "ready"}


def test_errors_end_the_conversation_in_words() -> None:
    def asking() -> VtsSession:
        session = VtsSession(["Brows"], {}, None)
        session.start(0)
        session.receive(answer("APIStateResponse", active=True), 0)
        return session

    for number, kind in ((1, VtsError), (50, VtsDeniedError), (51, VtsError), (52, VtsError), ("x", VtsError)):
        with pytest.raises(kind):
            asking().receive(answer("APIError", errorID=number, message="why"), 0)
    for token in (None, "", 7, "x" * 300, "a\nb", "ü"):
        with pytest.raises(VtsError, match="token"):
            asking().receive(answer("AuthenticationTokenResponse", authenticationToken=token), 0)
    session = ready(["Brows"])
    with pytest.raises(VtsError, match="click Allow"):
        session.receive(answer("APIError", errorID=8, message=""), 0)
    assert session.token is None
    assert asking().receive(answer("ModelLoadedEvent", modelID="x"), 0) == [], "an event that nobody asked for"
    assert asking().receive(answer("AuthenticationResponse", authenticated=True), 0) == [], "not asked for yet"


def test_tokens_survive_a_broken_file_and_a_folder_that_is_none(tmp_path: Path) -> None:
    file = tmp_path / "vts.json"
    for content in ("", "{", "[1]", '{"here": 5}', '{"here": "' + "x" * 50_000 + '"}', '{"here": "a\\nb"}'):
        file.write_text(content)
        tokens = Tokens(tmp_path, "here")
        assert tokens.load() is None
        tokens.save("new")
        assert Tokens(tmp_path, "here").load() == "new"
    assert list(tmp_path.iterdir()) == [file]
    nowhere = Tokens(None, "here")
    nowhere.save("new")
    assert nowhere.load() == "new", "kept for this run"
    (tmp_path / "a file").write_text("")
    with pytest.raises(OSError, match=r"[Nn]ot a directory|exists"):
        Tokens(tmp_path / "a file", "here").save("new")
