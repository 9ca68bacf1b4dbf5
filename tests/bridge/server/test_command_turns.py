"""Whose command is next: nobody waits for what another client has asked for, unless both touch the same thing."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from support.servers import Serve
from support.talk import ask, next_message, tell

from facewire.bridge.server import commands
from facewire.bridge.server.lanes import Lane


class Gate:
    """A command that does not end before it is let."""

    def __init__(self) -> None:
        self.begun, self.free, self.calls = threading.Semaphore(0), threading.Semaphore(0), 0

    def __call__(self, _args: Any) -> dict[str, Any]:
        self.calls += 1
        self.begun.release()
        assert self.free.acquire(timeout=60)
        return {"call": self.calls}


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    for _ in range(100):
        gate.free.release()


def command(name: str, number: int, **args: Any) -> dict[str, Any]:
    return {"type": "command", "id": number, "name": name, "args": args}


LOOKS = ("state", "devices", "takes", "outputs")


def test_looking_and_changing_overtake_a_calibration_and_two_exclude_each_other(
    serve: Serve, raw: Any, gate: Gate
) -> None:
    others: dict[str, Any] = {name: lambda _: {"seen": True} for name in (*LOOKS, "set", "choose")}
    server = serve(rate=0, commands={"calibrate": gate, **others})
    one, other = raw(server), raw(server)
    for number in range(8):
        tell(one, command("calibrate", number))
    assert gate.begun.acquire(timeout=60)
    for name in others:
        assert ask(other, name)["value"] == {"seen": True}
    refused = ask(other, "calibrate")
    assert (refused["ok"], refused["code"]) == (False, "busy")
    for number in range(8):
        gate.free.release()
        assert next_message(one, "result")["id"] == number
    gate.free.release()
    assert ask(other, "calibrate")["ok"]


def test_turns_go_round_among_clients(serve: Serve, raw: Any, gate: Gate) -> None:
    server = serve(rate=0, commands={"set": gate})
    greedy, modest = raw(server), raw(server)
    for number in range(8):
        tell(greedy, command("set", number))
    assert gate.begun.acquire(timeout=60)
    tell(modest, command("set", 100))
    ask(modest, "unknown")  # it is in the queue by now
    gate.free.release()
    gate.free.release()
    assert next_message(modest, "result")["value"] == {"call": 2}  # right after the one that ran already
    assert next_message(greedy, "result")["id"] == 0


def test_one_client_s_looking_holds_up_only_its_own(serve: Serve, raw: Any, gate: Gate) -> None:
    server = serve(rate=0, commands={"devices": gate, "state": lambda _: {}})
    greedy, other = raw(server), raw(server)
    for number in range(7):
        tell(greedy, command("devices", number))
    assert gate.begun.acquire(timeout=60)
    ask(greedy, "unknown")  # all of them are in the queue by now
    for _ in range(3):
        assert ask(other, "state")["ok"]
    assert gate.calls == 1


@pytest.mark.parametrize("name", LOOKS)
def test_four_clients_look_at_the_same_at_once_and_a_fifth_waits(serve: Serve, raw: Any, gate: Gate, name: str) -> None:
    server = serve(rate=0, commands={name: gate})
    clients = [raw(server) for _ in range(5)]
    for client in clients:
        tell(client, command(name, 1))
    for _ in range(4):
        assert gate.begun.acquire(timeout=60)
    ask(clients[4], "unknown")  # it is in the queue by now
    assert not gate.begun.acquire(blocking=False)
    gate.free.release()
    assert gate.begun.acquire(timeout=60)


def test_a_ninth_command_of_a_client_is_not_read_before_one_is_done(serve: Serve, raw: Any, gate: Gate) -> None:
    client = raw(serve(rate=0, commands={"set": gate}))
    for number in range(8):
        tell(client, command("set", number))
    tell(client, {"type": "ping", "client_ns": 7})
    assert gate.begun.acquire(timeout=60)
    gate.free.release()
    first, second = (next_message(client, "result", "pong") for _ in range(2))
    assert (first["type"], second["type"]) == ("result", "pong")


def test_a_full_queue_refuses_the_newest_with_busy(
    serve: Serve, raw: Any, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert commands.MAX_WAITING == 512
    monkeypatch.setattr(commands, "MAX_WAITING", 2)
    server = serve(rate=0, commands={"set": gate})
    one, other = raw(server), raw(server)
    tell(one, command("set", 1))
    tell(one, command("set", 2))
    ask(one, "unknown")
    refused = ask(other, "set")
    assert (refused["ok"], refused["code"]) == (False, "busy")
    assert "try again" in refused["error"]
    for number in (1, 2):
        gate.free.release()
        assert next_message(one, "result")["id"] == number


def test_an_answer_that_is_too_large_is_a_refusal_and_the_connection_goes_on(serve: Serve, raw: Any) -> None:
    server = serve(rate=0, commands={"state": lambda _: {"x": "y" * 2**20}, "takes": lambda _: {"x": "y" * 2**19}})
    client = raw(server)
    result = ask(client, "state")
    assert result["ok"] is False
    assert "too large to send" in result["error"]
    assert len(ask(client, "takes")["value"]["x"]) == 2**19


def test_what_hangs_is_answered_with_busy_and_keeps_nobody_else(
    serve: Serve, raw: Any, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "DEADLINE_S", 0.3)
    server = serve(rate=0, commands={"set": gate, "state": lambda _: {}})
    one, other = raw(server), raw(server)
    late = ask(one, "set")
    assert (late["ok"], late["code"]) == (False, "busy")
    waiting = ask(other, "set")  # what hangs has not ended: nothing runs beside it
    assert (waiting["ok"], waiting["code"], gate.calls) == (False, "busy", 1)
    assert ask(other, "state")["ok"]
    gate.free.release()
    gate.free.release()
    assert ask(other, "set")["ok"]


ONE_OF_EACH: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in LOOKS),
    ("calibrate", {}),
    ("choose", {"video": "demo"}),
    ("choose", {"audio": "1"}),
    ("set", {"mirror": True}),
    ("profile_save", {}),
    ("record_stop", {}),
    ("replay_start", {"file": "take.mcap"}),
    ("output_stop", {"output": "vmc"}),
    ("what a program adds", {}),
]
"""A command of each lane."""


@pytest.mark.parametrize("hung", ONE_OF_EACH, ids=str)
def test_what_hangs_keeps_nobody_who_wants_something_else(
    serve: Serve, raw: Any, gate: Gate, hung: tuple[str, dict[str, Any]]
) -> None:
    """The answers come while it hangs: the gate opens only after them."""

    def run(args: Any) -> dict[str, Any]:
        return gate(args) if args.get("hang") else {"done": True}

    server = serve(rate=0, commands={name: run for name, _ in ONE_OF_EACH})
    one, other = raw(server), raw(server)
    tell(one, command(hung[0], 1, **hung[1], hang=True))
    assert gate.begun.acquire(timeout=60)
    for each in ONE_OF_EACH:
        if each != hung:
            assert ask(other, *each).get("value") == {"done": True}, each
    assert gate.calls == 1
    gate.free.release()
    assert next_message(one, "result")["ok"]


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ("set", "calibrate_reset"),
        ("profile_save", "profile_load"),
        ("record_start", "record_stop"),
        ("replay_start", "seek"),
        ("output_start", "output_stop"),
        ("this program's own", "and another one"),
    ],
)
def test_what_touches_the_same_thing_excludes_the_other(
    serve: Serve, raw: Any, gate: Gate, first: str, then: str
) -> None:
    server = serve(rate=0, commands={first: gate, then: gate})
    one, other = raw(server), raw(server)
    tell(one, command(first, 1))
    assert gate.begun.acquire(timeout=60)
    tell(other, command(then, 2))
    ask(other, "unknown")  # what was sent before has been read by now
    assert gate.calls == 1
    gate.free.release()
    assert next_message(one, "result")["value"] == {"call": 1}
    gate.free.release()
    assert next_message(other, "result")["value"] == {"call": 2}


def test_a_client_s_changes_are_made_in_its_order_whatever_they_touch(serve: Serve, raw: Any, gate: Gate) -> None:
    """A profile that is saved right after a setting has that in it."""
    done: list[str] = []
    server = serve(rate=0, commands={"set": gate, "profile_save": lambda _: done.append("saved")})
    client, other = raw(server), raw(server)
    tell(client, command("set", 1))
    tell(client, command("profile_save", 2))
    assert gate.begun.acquire(timeout=60)
    assert ask(other, "profile_save")["ok"]
    assert done == ["saved"]
    gate.free.release()
    assert [next_message(client, "result")["id"] for _ in range(2)] == [1, 2]
    assert done == ["saved", "saved"]


def test_who_waits_no_longer_beside_what_hangs_is_forgotten() -> None:
    async def wait_in_vain() -> Lane:
        lane = Lane(1)
        await lane.begin("hangs")
        for number in range(3):
            waiting = [asyncio.ensure_future(lane.begin(client)) for client in ("one", "one", f"other {number}")]
            await asyncio.sleep(0)
            for each in waiting:
                each.cancel()
            await asyncio.wait(waiting)
        return lane

    assert not asyncio.run(wait_in_vain())._waiting


def test_what_hangs_holds_its_own_client_up_until_it_is_answered(
    serve: Serve, raw: Any, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "DEADLINE_S", 0.3)
    server = serve(rate=0, commands={"profile_save": gate, "set": lambda _: {}})
    client = raw(server)
    assert ask(client, "profile_save")["code"] == "busy"
    assert ask(client, "set")["ok"]


def test_results_of_one_client_come_in_its_order(serve: Serve, raw: Any) -> None:
    done: list[int] = []
    server = serve(rate=0, commands={"set": lambda args: done.append(args["n"])})
    client = raw(server)
    for number in range(8):
        tell(client, {"type": "command", "id": number, "name": "set", "args": {"n": number}})
    assert [next_message(client, "result")["id"] for _ in range(8)] == done == list(range(8))
