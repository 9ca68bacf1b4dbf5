"""Outputs that hang while they are opened or closed: nobody else waits, and nothing stays open."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from support.takes import Frames
from support.waiting import wait_until

from facewire.bridge.outputs.base import Output, OutputError
from facewire.bridge.outputs.choose import OUTPUTS, OutputKind, Target
from facewire.bridge.outputs.runner import MAX_OUTPUTS, Outputs
from facewire.bridge.wire.frame import FaceFrame


class Hanging(Output):
    """An output to a file on a disk that hangs, at ``open`` or at ``close``, until it is let."""

    name = "hanging"
    every_frame = True
    made: list[Hanging] = []  # noqa: RUF012, of one test at a time
    opening, closing = threading.Event(), threading.Event()
    """What lets it open and close; set where it does not hang."""
    trouble: Exception | None = None

    def __init__(self, target: Target) -> None:
        self.where, self.is_open, self.began = target.path, False, threading.Event()
        self.got: list[int] = []
        self.made.append(self)

    def open(self) -> None:
        self.began.set()
        assert self.opening.wait(60)
        if self.trouble is not None:
            raise self.trouble
        self.is_open = True

    def send(self, frame: FaceFrame, now_ns: int) -> None:
        del now_ns
        self.got.append(frame.seq)

    def close(self) -> None:
        if self.is_open:
            assert self.closing.wait(60)
            self.is_open = False

    def describe(self) -> str:
        return self.where


@pytest.fixture(autouse=True)
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Hanging]]:
    monkeypatch.setitem(OUTPUTS, "hanging", OutputKind(f"{__name__}:Hanging", "a test", "file"))
    for key, value in (("made", []), ("opening", threading.Event()), ("closing", threading.Event()), ("trouble", None)):
        monkeypatch.setattr(Hanging, key, value)
    yield Hanging
    Hanging.opening.set()
    Hanging.closing.set()


@pytest.fixture
def outputs(hanging: type[Hanging]) -> Iterator[Outputs]:
    outputs = Outputs(time.perf_counter_ns, lambda _: None)
    yield outputs
    hanging.opening.set()
    hanging.closing.set()
    outputs.stop()


@pytest.fixture
def there() -> Iterator[str]:
    """Give an output to somebody who is there."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        yield f"livelink:127.0.0.1:{receiver.getsockname()[1]}"


class Doing(threading.Thread):
    """Something that is done beside the test, and what it raised."""

    def __init__(self, work: Any, *args: Any) -> None:
        super().__init__(daemon=True)
        self._work, self._args, self.error = work, args, ""
        self.start()

    def run(self) -> None:
        try:
            self._work(*self._args)
        except OutputError as error:
            self.error = str(error)

    def end(self) -> str:
        """Wait for its end; return what it raised."""
        self.join(60)
        assert not self.is_alive()
        return self.error


def states(outputs: Outputs) -> dict[str, str]:
    return {state["id"]: state["state"] for state in outputs.status()}


def begin(outputs: Outputs, spec: str = "hanging:a") -> Doing:
    """Begin to add an output that hangs; come back when it does."""
    count = len(Hanging.made)
    adding = Doing(outputs.add, spec)
    wait_until(lambda: len(Hanging.made) > count and Hanging.made[-1].began.is_set())
    return adding


def test_an_output_that_hangs_at_its_opening_keeps_nobody(
    outputs: Outputs, hanging: type[Hanging], there: str, frames: Frames
) -> None:
    adding = begin(outputs)
    assert states(outputs) == {"hanging:a": "opening"}
    outputs.add(there)
    assert states(outputs) == {"hanging:a": "opening", there: "on"}
    assert outputs.specs == ["hanging:a", there]
    with pytest.raises(OutputError, match="'hanging:a' is already being opened"):
        outputs.add("hanging:a")
    outputs.remove(there)
    assert adding.is_alive()
    hanging.opening.set()
    assert adding.end() == ""
    assert states(outputs) == {"hanging:a": "on"}
    outputs.offer(next(frames(1)))
    wait_until(lambda: hanging.made[0].got == [0])
    assert len([output for output in hanging.made if output.began.is_set()]) == 1


def test_an_output_that_is_stopped_while_it_hangs_at_its_opening_is_closed(
    outputs: Outputs, hanging: type[Hanging], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("facewire.bridge.outputs.runner.STOP_S", 0.05)
    adding = begin(outputs)
    outputs.remove("hanging:a")
    assert states(outputs) == {"hanging:a": "closing"}
    assert outputs.specs == []
    with pytest.raises(OutputError, match="is still being closed"):
        outputs.add("hanging:a")
    with pytest.raises(OutputError, match="is being closed already"):
        outputs.remove("hanging:a")
    hanging.closing.set()
    hanging.opening.set()
    assert adding.end() == "the output 'hanging:a' was stopped while it was being opened"
    assert states(outputs) == {}
    assert not hanging.made[0].is_open
    outputs.add("hanging:a")
    assert states(outputs) == {"hanging:a": "on"}


def test_an_output_that_hangs_at_its_closing_keeps_nobody(outputs: Outputs, hanging: type[Hanging], there: str) -> None:
    hanging.opening.set()
    outputs.add("hanging:a")
    removing = Doing(outputs.remove, "hanging:a")
    wait_until(lambda: states(outputs) == {"hanging:a": "closing"})
    outputs.add("hanging:b")
    outputs.add(there)
    with pytest.raises(OutputError, match="'hanging:a' is still being closed"):
        outputs.add("hanging:a")
    assert removing.end() == ""  # it does not wait for long
    assert states(outputs) == {"hanging:a": "closing", "hanging:b": "on", there: "on"}
    hanging.closing.set()
    wait_until(lambda: states(outputs) == {"hanging:b": "on", there: "on"})
    outputs.add("hanging:a")
    assert states(outputs)["hanging:a"] == "on"


def test_a_run_that_stops_while_outputs_hang_leaves_nothing_open(outputs: Outputs, hanging: type[Hanging]) -> None:
    adding = begin(outputs)
    hanging.closing.set()
    outputs.stop()
    assert outputs.status() == []
    with pytest.raises(OutputError, match="the run is ending"):
        outputs.add("livelink:127.0.0.1:40001")
    hanging.opening.set()
    assert "was stopped while it was being opened" in adding.end()
    assert [output.is_open for output in hanging.made] == [False]
    assert outputs.status() == []
    wait_until(lambda: not [thread for thread in threading.enumerate() if thread.name == "facewire-hanging"])


def test_an_opening_that_fails_after_a_while_leaves_its_place(outputs: Outputs, hanging: type[Hanging]) -> None:
    hanging.trouble = OutputError("the disk is gone")  # type: ignore[misc]
    adding = begin(outputs)
    hanging.opening.set()
    assert adding.end() == "the disk is gone"
    assert states(outputs) == {}


def test_those_that_hang_count(outputs: Outputs, hanging: type[Hanging]) -> None:
    adding = [begin(outputs, f"hanging:{count}") for count in range(MAX_OUTPUTS)]
    with pytest.raises(OutputError, match="stop one first"):
        outputs.add("livelink:127.0.0.1:40001")
    hanging.opening.set()
    hanging.closing.set()
    assert [each.end() for each in adding] == [""] * MAX_OUTPUTS
