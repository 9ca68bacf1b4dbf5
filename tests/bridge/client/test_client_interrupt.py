"""Ctrl-C may come at any moment of the blocking client's waits: its thread must go on, and end when it is closed."""

from __future__ import annotations

import contextlib
import sys
import threading
from queue import SimpleQueue

import pytest
from support.interrupts import Interrupts
from support.waiting import wait_until

from facewire.bridge.client.blocking import BlockingClient, connect_blocking

NOWHERE = "ws://127.0.0.1:9/v1/live"
TIMES = 6000

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="this system sends itself no signals")


def assert_turns(client: BlockingClient) -> None:
    """Its thread does what it is asked: nothing there waits for a lock that the interrupted thread still holds."""
    answer: SimpleQueue[None] = SimpleQueue()
    client._loop.call_soon_threadsafe(answer.put, None)
    answer.get(timeout=60)


def test_an_interrupted_wait_leaves_the_client_running() -> None:
    """With futures, whose locks are Python's, one interrupt in some hundreds to thousands stops the client forever."""

    def wait() -> None:
        with contextlib.suppress(TimeoutError):
            client.next_frame(1.0)

    interrupts = Interrupts()
    with connect_blocking(NOWHERE) as client, interrupts.sent():
        for _ in range(TIMES):
            interrupts.meet(wait)
            assert_turns(client)
        assert len(client._calls) < 5, "what was interrupted still waits for frames"


def test_an_interrupted_close_still_ends_the_thread() -> None:
    interrupts = Interrupts()
    before = threading.active_count()
    with interrupts.sent():
        for _ in range(TIMES // 10):
            client = connect_blocking(NOWHERE)
            with contextlib.suppress(TimeoutError):
                client.next_frame(0)
            interrupts.meet(client.close)
            client.close()
            assert client._loop.is_closed()
            assert client.next_frame() is None
    # An interrupted join takes a thread in its last steps for ended.
    wait_until(lambda: threading.active_count() <= before)
