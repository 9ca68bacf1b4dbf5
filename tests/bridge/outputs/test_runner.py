"""Outputs run beside the frames: named drop policies, errors that are counted and said, nothing that slows."""

from __future__ import annotations

import socket
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from support.takes import Frames
from support.waiting import wait_until

from facewire.bridge.outputs import runner as runner_module
from facewire.bridge.outputs.base import Output, OutputEndedError, OutputError
from facewire.bridge.outputs.choose import OUTPUTS, OutputKind, check_remote, make_output, parse_spec
from facewire.bridge.outputs.lane import MAX_WAITING, REPORT_NS, STUCK_NS, Lane
from facewire.bridge.outputs.runner import MAX_OUTPUTS, Outputs, Runner
from facewire.bridge.outputs.udp import UdpSender
from facewire.bridge.wire.frame import FaceFrame


class FakeOutput(Output):
    """Notes what it gets; a gate holds it up, ``trouble`` is raised."""

    name = "fake"

    def __init__(self, *, every_frame: bool = False) -> None:
        self.every_frame = every_frame  # type: ignore[misc]
        self.got: list[int] = []
        self.idles = 0
        self.closed = False
        self.entered, self.gate, self.taken = threading.Event(), threading.Event(), threading.Semaphore(0)
        self.gate.set()
        self.trouble: Exception | None = None

    def open(self) -> None:
        pass

    def send(self, frame: FaceFrame, now_ns: int) -> None:
        assert now_ns > 0
        assert not self.closed
        self.entered.set()
        self.gate.wait(60)
        try:
            if self.trouble is not None:
                raise self.trouble
            self.got.append(frame.seq)
        finally:
            self.taken.release()

    def idle(self, now_ns: int) -> None:
        assert now_ns > 0
        self.idles += 1
        self.taken.release()

    def close(self) -> None:
        self.closed = True

    def describe(self) -> str:
        return "a test"


class One(Runner):
    """A thread with one output."""

    def __init__(self, output: Output, clock: Callable[[], int], report: Callable[[str], None]) -> None:
        super().__init__(output.name, clock)
        self.lane = Lane(output, output.name, clock, report)
        self.state = self.lane.state
        self.add(self.lane)


@pytest.fixture
def run() -> Iterator[Callable[..., One]]:
    started: list[One] = []

    def start(output: Output, said: list[str] | None = None, clock: Callable[[], int] = time.perf_counter_ns):
        started.append(One(output, clock, [].append if said is None else said.append))
        return started[-1]

    yield start
    for one in started:
        one.stop()


@pytest.fixture
def no_keep_alives(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests in which a keep-alive between two frames would change what is seen of them."""
    monkeypatch.setattr(runner_module, "IDLE_S", 600.0)


def held_up(run: Callable[..., One], output: FakeOutput, frames: Iterable[FaceFrame], *about: Any) -> One:
    """Return a runner that has been offered ``frames`` while its output is in the middle of the first."""
    output.gate.clear()
    runner = run(output, *about)
    for frame in frames:
        runner.offer(frame)
    assert output.entered.wait(30)
    return runner


def test_a_slow_output_gets_the_newest_frame_and_the_rest_are_counted(run, frames: Frames) -> None:
    output = FakeOutput()
    output.gate.clear()
    runner = run(output)
    offered = list(frames(50))
    runner.offer(offered[0])
    assert output.entered.wait(30)
    for frame in offered[1:]:
        runner.offer(frame)
    output.gate.set()
    wait_until(lambda: output.sent == 2)
    assert output.got == [0, 49]
    assert runner.state() | {"age_s": 0} == {
        "id": "fake", "name": "fake", "target": "a test", "state": "on", "why": None,
        "sent": 2, "dropped": 48, "failed": 0, "age_s": 0,
    }  # fmt: skip


def test_an_output_that_wants_every_frame_gets_them_in_order_up_to_a_limit(run, frames: Frames) -> None:
    output, said = FakeOutput(every_frame=True), []
    output.gate.clear()
    runner = run(output, said)
    offered = list(frames(MAX_WAITING + 11))
    runner.offer(offered[0])
    assert output.entered.wait(30)
    for frame in offered[1:]:
        runner.offer(frame)
    output.gate.set()
    wait_until(lambda: output.sent == MAX_WAITING + 1)
    assert output.got == [0, *range(11, MAX_WAITING + 11)]  # the oldest went
    assert runner.lane.dropped == 10
    assert said == ["fake: 10 frames were left out: what it writes to is too slow"]


def test_what_waits_for_a_file_is_written_before_the_end(run, frames: Frames) -> None:
    output = FakeOutput(every_frame=True)
    output.gate.clear()
    runner = run(output)
    for frame in frames(30):
        runner.offer(frame)
    stopper = threading.Thread(target=runner.stop, daemon=True)
    stopper.start()
    output.gate.set()
    stopper.join(30)
    wait_until(lambda: output.closed)
    assert output.got == list(range(30))


@pytest.mark.usefixtures("no_keep_alives")
def test_trouble_is_counted_said_once_a_minute_and_passes(run, frames: Frames) -> None:
    output, said, now = FakeOutput(), [], [1]
    runner = run(output, said, lambda: now[0])
    output.trouble = ConnectionRefusedError(111, "Connection refused")
    for count, frame in enumerate(frames(20), 1):
        runner.offer(frame)
        wait_until(lambda count=count: output.failed == count)
    wait_until(lambda: runner.state()["state"] == "failing")
    assert said == ["fake: cannot send to a test: Connection refused; going on, 1 frames lost so far"]
    assert (runner.state()["state"], runner.state()["why"]) == ("failing", "Connection refused")
    now[0] += REPORT_NS
    runner.offer(next(frames(1)))
    wait_until(lambda: len(said) == 2)
    assert "21 frames lost" in said[1]
    output.trouble = ZeroDivisionError("a bug\nin two lines")
    runner.offer(next(frames(1)))
    wait_until(lambda: runner.state()["why"] == "ZeroDivisionError: a bug")
    assert output.failed == 22
    output.trouble = None
    runner.offer(next(frames(1)))
    wait_until(lambda: output.sent == 1)
    assert runner.state()["state"] == "on"


def test_an_output_that_ends_is_closed_and_said(run, frames: Frames) -> None:
    output, said = FakeOutput(), []
    runner = run(output, said)
    output.trouble = OutputEndedError("nobody reads it any more")
    runner.offer(next(frames(1)))
    wait_until(lambda: output.closed)
    assert said == ["fake: nobody reads it any more"]
    assert runner.state()["state"] == "ended"
    for frame in frames(3):
        runner.offer(frame)
    assert output.got == []


def test_what_an_output_that_ends_has_not_sent_is_counted(run, frames: Frames) -> None:
    output = FakeOutput(every_frame=True)
    runner = held_up(run, output, frames(5))
    output.trouble = OutputEndedError("the disk is full")
    output.gate.set()
    wait_until(lambda: output.closed)
    assert (runner.state()["sent"], runner.state()["failed"]) == (0, 5)


def test_frames_count_as_sent_as_they_go(run, frames: Frames) -> None:
    output, steps = FakeOutput(every_frame=True), threading.Semaphore(0)
    output.gate.wait = lambda _: steps.acquire()  # type: ignore[method-assign]
    runner = run(output)
    for frame in frames(4):
        runner.offer(frame)
    for count in range(1, 5):
        steps.release()
        wait_until(lambda count=count: runner.state()["sent"] == count)


@pytest.mark.usefixtures("no_keep_alives")
def test_a_frame_that_comes_while_the_thread_wakes_is_followed_by_no_keep_alive(run, frames: Frames) -> None:
    output = FakeOutput()
    runner = run(output)
    one, other, last = frames(3)
    with runner._lock:  # it wakes, and cannot look yet
        runner.lane.put(one)
        runner._ring()
        wait_until(runner._bell.locked)
        runner.lane.put(other)
        runner._ring()
    wait_until(lambda: output.sent == 1)
    runner.offer(last)
    wait_until(lambda: output.sent == 2)
    assert (output.got, output.idles) == ([1, 2], 0)


def test_an_output_that_cannot_be_closed_stops_no_other(run, frames: Frames) -> None:
    output, said = FakeOutput(), []
    runner = run(output, said)
    output.close = lambda: (_ for _ in ()).throw(OSError(5, "Input/output error"))  # type: ignore[method-assign]
    other = Lane(FakeOutput(), "other", time.perf_counter_ns, said.append)
    runner.add(other)
    runner.remove(runner.lane)
    assert said == ["fake: cannot close a test: Input/output error"]
    runner.offer(next(frames(1)))
    wait_until(lambda: other.output.sent == 1)


def test_outputs_go_on_where_nobody_reads_what_is_said(frames: Frames) -> None:
    def report(line: str) -> None:
        del line
        raise BrokenPipeError(32, "Broken pipe")

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        port = receiver.getsockname()[1]
    outputs = Outputs(time.perf_counter_ns, report)
    outputs.add(f"livelink:127.0.0.1:{port}")
    try:
        for count, frame in enumerate(frames(5), 1):
            outputs.offer(frame)
            wait_until(lambda count=count: sum(outputs.status()[0][key] for key in ("sent", "failed")) == count)
        assert outputs.status()[0]["failed"] > 0
    finally:
        outputs.stop()


def test_an_output_that_waits_for_its_partner_counts_nothing_as_sent(run, frames: Frames) -> None:
    output = FakeOutput()
    output.waiting = "the app's hand-shake"
    runner = run(output)
    runner.offer(next(frames(1)))
    wait_until(lambda: output.got == [0])
    state = runner.state()
    assert (state["state"], state["why"], state["sent"], state["age_s"]) == ("waiting", "the app's hand-shake", 0, None)


def test_keep_alives_come_while_no_frames_do(run) -> None:
    output = FakeOutput()
    run(output)
    wait_until(lambda: output.idles >= 2)


def test_offering_never_waits_for_an_output_that_hangs(run, frames: Frames) -> None:
    output, frame = FakeOutput(), next(frames(1))
    runner = held_up(run, output, [frame])
    start = time.perf_counter()
    for _ in range(1000):
        runner.offer(frame)
    assert time.perf_counter() - start < 20.0  # it hangs for a minute
    output.gate.set()


def test_an_output_that_hangs_is_seen_to_hang(run, frames: Frames) -> None:
    output, now = FakeOutput(every_frame=True), [1]
    runner = held_up(run, output, frames(5), [], lambda: now[0])
    assert runner.state()["state"] == "on"
    now[0] += STUCK_NS + 1
    assert (runner.state()["state"], runner.state()["why"]) == ("failing", "it accepts nothing; 5 frames are waiting")
    output.gate.set()
    wait_until(lambda: output.sent == 5)
    assert runner.state()["state"] == "on"


def test_offering_allocates_nothing_that_stays(run, frames: Frames) -> None:
    output, some = FakeOutput(), list(frames(3))
    runner = held_up(run, output, some)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(500):
            for frame in some:
                runner.offer(frame)
        assert tracemalloc.get_traced_memory()[0] - before < 1500
    finally:
        tracemalloc.stop()
        output.gate.set()


def test_outputs_come_and_go_while_frames_flow(frames: Frames) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(30)
        spec = f"vmc:127.0.0.1:{receiver.getsockname()[1]}?names=vrm"
        said: list[str] = []
        outputs = Outputs(time.perf_counter_ns, said.append)
        outputs.offer(next(frames(1)))  # to nobody
        outputs.add(spec)
        with pytest.raises(OutputError, match="is already running"):
            outputs.add(spec)
        with pytest.raises(OutputError, match="there is no output 'vmc' to stop; those that run: vmc:127"):
            outputs.remove("vmc")
        outputs.offer(next(frames(1)))
        while b"/VMC/Ext/Blend/Apply" not in receiver.recv(2000):
            pass  # a keep-alive
        wait_until(lambda: outputs.status()[0]["sent"] == 1)
        assert outputs.specs == [spec]
        outputs.remove(spec)
        assert outputs.status() == []
        with pytest.raises(OutputError, match="cannot send to"):
            outputs.add("vmc:nowhere.invalid")
        assert outputs.specs == []
        assert said == []
        for count in range(MAX_OUTPUTS):
            outputs.add(f"vmc:127.0.0.1:{40000 + count}")
        with pytest.raises(OutputError, match="stop one first"):
            outputs.add("vmc:127.0.0.1:50000")
        outputs.stop()
        outputs.stop()
        wait_until(lambda: not [thread for thread in threading.enumerate() if thread.name == "facewire-outputs"])


def test_a_receiver_that_is_not_there_is_noticed_and_one_that_comes_is_found() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    sender = UdpSender("127.0.0.1", port)
    sender.open()
    wait_until(lambda: not sender.send(b"hello"))
    with pytest.raises(ConnectionRefusedError):
        sender.settle()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", port))
        receiver.settimeout(30)
        sender.send(b"there?")  # even if the system tells of the one before only now
        assert receiver.recv(100) == b"there?"
        with suppress(ConnectionRefusedError):
            sender.settle()
        wait_until(lambda: sender.send(b"again"))
        sender.send(bytes(70_000))
        with pytest.raises(OSError, match="too long"):
            sender.settle()
        assert receiver.recv(100) == b"again"
    sender.close()
    sender.close()


def test_a_name_with_both_addresses_means_the_one_that_programs_listen_on(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(30)
        port = receiver.getsockname()[1]
        both = [
            (socket.AF_INET6, socket.SOCK_DGRAM, 17, "", ("::1", port, 0, 0)),
            (socket.AF_INET, socket.SOCK_DGRAM, 17, "", ("127.0.0.1", port)),
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: both)
        sender = UdpSender("localhost", port)
        sender.open()
        sender.send(b"here?")
        assert receiver.recv(100) == b"here?"
        sender.close()


@pytest.mark.parametrize("name", [name for name, kind in OUTPUTS.items() if kind.to == "address"])
def test_where_nobody_is_there_one_line_a_minute_says_so(
    name: str, frames: Frames, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nearly three minutes, a frame a second."""
    monkeypatch.setitem(sys.modules, "zeroconf", None)  # VRChat is not looked for
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    said, now = [], [1]
    outputs = Outputs(lambda: now[0], said.append)
    try:
        outputs.add(f"{name}:127.0.0.1:{port}")
        for count, frame in enumerate(frames(175), 1):
            outputs.offer(frame)
            now[0] = count * 1_000_000_000
            time.sleep(0.002)
        wait_until(lambda: bool(said) and outputs.status()[0]["failed"] > 0)
    finally:
        outputs.stop()
    lines = [line for line in said if "cannot send to 127.0.0.1" in line]
    assert 1 <= len(lines) <= 3
    assert len(said) - len(lines) <= (name == "vrchat"), "that zeroconf is missing"


@pytest.mark.parametrize(
    ("spec", "name", "where"),
    [
        ("vmc", "vmc", ("127.0.0.1", 39539)),
        ("vmc:", "vmc", ("127.0.0.1", 39539)),
        ("vmc:40000", "vmc", ("127.0.0.1", 40000)),
        ("vmc::40000", "vmc", ("127.0.0.1", 40000)),
        ("vmc:192.168.1.5", "vmc", ("192.168.1.5", 39539)),
        ("vmc:pc.local:1", "vmc", ("pc.local", 1)),
        ("vmc:[::1]:65535", "vmc", ("::1", 65535)),
        ("vmc:[::1]", "vmc", ("::1", 39539)),
    ],
)
def test_addresses_as_people_write_them(spec: str, name: str, where: tuple[str, int]) -> None:
    found, target = parse_spec(spec)
    assert (found, (target.host, target.port)) == (name, where)
    assert make_output(spec).name == name


def test_options_and_files() -> None:
    for spec in ("vmc?names=vrm0&bones=off", "vmc:?bones=off&names=vrm0", "vmc:127.0.0.1:39539?names=vrm0&bones=off"):
        assert parse_spec(spec)[1].options == {"names": "vrm0", "bones": "off"}
    assert parse_spec("csv:C:\\takes\\one?.csv")[1].path == "C:\\takes\\one?.csv"
    assert parse_spec("jsonl:-")[1].path == "-"


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("", "there is no output ''"),
        ("vcm", "choose one of vmc, "),
        ("VMC", "there is no output 'VMC'"),
        ("vmc:127.0.0.1:0", "is not a port"),
        ("vmc:127.0.0.1:65536", "is not a port"),
        ("vmc:127.0.0.1:²", "is not a port"),
        ("vmc:127.0.0.1:9999999999", "is not a port"),
        ("vmc:::1:39539", "brackets"),
        ("vmc:http://x:1", "brackets"),
        ("vmc:a b", "is not a host"),
        ("vmc:a\nb:1", "has characters that cannot be written"),
        ("vmc?names=klingon", "names is one of arkit"),
        ("vmc?volume=11", "no option 'volume'; it has: names, bones"),
        ("csv", "say where csv goes"),
        ("csv:", "say where csv goes"),
        ("jsonl?x", "say where jsonl goes"),
        ("csv:a\0b", "say where csv goes"),
        ("vmc:" + "x" * 600, "at most 500"),
    ],
)
def test_what_is_no_output_is_one_clear_line(spec: str, words: str) -> None:
    with pytest.raises(OutputError, match=words) as raised:
        parse_spec(spec)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "spec",
    [
        "vmc",
        "vmc:localhost:1",
        "vmc:127.0.0.2:1",
        "vmc:[::1]:1",
        "vmc:192.168.1.5",
        "vmc:10.0.0.1",
        "vmc:169.254.3.3",
        "vmc:172.31.0.1",
        "vmc:[fd00::5]",
        "vmc:[fe80::1]",
        "vmc:[::ffff:10.0.0.5]",
    ],
)
def test_clients_may_send_to_this_machine_and_its_network(spec: str) -> None:
    assert check_remote(spec) == spec


@pytest.mark.parametrize(
    "spec",
    [
        "csv:/tmp/x",
        "jsonl:-",
        "vmc:8.8.8.8",
        "vmc:pc.local",
        "vmc:224.0.0.1",
        "vmc:255.255.255.255",
        "vmc:0.0.0.0",
        "vmc:[::ffff:8.8.8.8]",
        "vmc:[::]",
        "vmc:[2001:db8::1]",
        "vmc:198.18.0.1",
        "vmc:0x08080808",
        "x",
    ],
)
def test_clients_may_not_write_files_or_send_anywhere_else(spec: str) -> None:
    with pytest.raises(OutputError):
        check_remote(spec)


@pytest.mark.parametrize("name", OUTPUTS)
def test_every_output_that_can_be_chosen_can_be_made(name: str) -> None:
    kind: OutputKind = OUTPUTS[name]
    output = make_output(name if kind.to == "address" else f"{name}:-")
    assert output.name == name
    assert output.describe()
    assert (output.sent, output.failed) == (0, 0)
    output.close()
    assert kind.about
