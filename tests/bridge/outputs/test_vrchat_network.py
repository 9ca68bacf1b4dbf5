"""Where the VRChat output is announced, and whom it hears: this machine, or the one machine that gets the face."""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.waiting import wait_until

from facewire.bridge.formats.osc import encode_message
from facewire.bridge.outputs.addresses import share_network
from facewire.bridge.outputs.choose import make_output
from facewire.bridge.outputs.vrchat import oscquery
from facewire.bridge.outputs.vrchat import output as output_module
from facewire.bridge.outputs.vrchat.listener import Listener
from facewire.bridge.shared.clock import now_ns

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc, and takes all of 127.0.0.0/8")
HERE, HEADSET = "127.0.0.1", "127.0.0.5"
"""The headset has an address of the loopback's own network, so that nothing leaves this machine."""


def bound_addresses(port: int) -> set[str]:
    """Return the addresses on which this process has a UDP port."""
    own = set()
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            own.add(str(link.readlink()))
    found = set()
    for line in Path("/proc/net/udp").read_text(encoding="utf-8").splitlines()[1:]:
        _, local, *rest = line.split()
        address, _, number = local.partition(":")
        if int(number, 16) == port and f"socket:[{rest[7]}]" in own:
            found.add(socket.inet_ntoa(bytes.fromhex(address)[::-1]))
    return found


@linux
@pytest.mark.skipif(sys.byteorder != "little", reason="/proc/net/udp has addresses in the machine's order")
def test_a_vrchat_on_this_machine_is_told_on_the_loopback_alone() -> None:
    advert = oscquery.Advert(5555, 5556, lambda *_: None)
    try:
        wait_until(lambda: HERE in bound_addresses(5353))
        assert bound_addresses(5353) <= {HERE, "0.0.0.0"}, "it is heard there, and sends from nowhere else"
    finally:
        advert.close()


@pytest.fixture
def listener() -> Iterator[Listener]:
    one = Listener(0, [], lambda _: None, now_ns)
    one.open_to(HERE, HEADSET)
    yield one
    one.close()


def ask(port: int, source: str) -> bytes:
    connection = http.client.HTTPConnection(HERE, port, timeout=30, source_address=(source, 0))
    with contextlib.closing(connection):
        connection.request("GET", "/?HOST_INFO")
        return connection.getresponse().read()


@linux
def test_a_headset_is_heard_and_answered_and_nobody_else(listener: Listener) -> None:
    with contextlib.ExitStack() as stack:
        senders = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(2)]
        for sender, address in zip(senders, (HERE, HEADSET), strict=True):
            sender.bind((address, 0))
        senders[0].sendto(encode_message("/avatar/change", "avtr_stranger"), (HERE, listener.port))
        senders[1].sendto(encode_message("/avatar/change", "avtr_headset"), (HERE, listener.port))
        wait_until(lambda: listener.news)
        time.sleep(0.1)
    assert (listener.news, listener._identity) == (1, "avtr_headset")


@linux
def test_the_server_behind_the_advert_answers_the_headset_alone() -> None:
    server = oscquery.QueryServer("Facewire", 9009, HERE, HEADSET)
    with contextlib.closing(server):
        assert b'"OSC_IP": "127.0.0.1"' in ask(server.port, HEADSET)
        for stranger in (HERE, "127.0.0.6"):
            with pytest.raises((http.client.HTTPException, OSError)):
                ask(server.port, stranger)
        assert ask(server.port, HEADSET)
    with contextlib.closing(oscquery.QueryServer("Facewire", 9009)) as local:
        assert b'"OSC_IP": "127.0.0.1"' in ask(local.port, HERE)


def test_the_output_is_announced_where_the_headset_is_if_this_machine_is_there_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened: list[tuple[str, ...]] = []
    monkeypatch.setattr(Listener, "open", lambda _: opened.append(()))
    monkeypatch.setattr(Listener, "open_to", lambda _, *where: opened.append(where))
    ways = {HERE: HERE, "192.168.1.40": "192.168.1.5", "203.0.113.9": "10.0.0.2"}
    monkeypatch.setattr(output_module, "share_network", lambda own, other: own[:9] == other[:9])
    for host, own in ways.items():
        monkeypatch.setattr(output_module.UdpSender, "way", lambda _, own=own, host=host: (own, host))
        output = make_output(f"vrchat:{host}", clock=now_ns)
        output.open()
        output.close()
    assert opened == [(), ("192.168.1.5", "192.168.1.40")]


def test_a_vrchat_that_is_announced_counts_only_where_the_face_goes() -> None:
    local, elsewhere = object.__new__(oscquery.Advert), object.__new__(oscquery.Advert)
    local._peer, elsewhere._peer = None, "192.168.1.40"
    assert [local._is_meant(address) for address in (HERE, "192.0.2.77")] == [True, False]
    assert [elsewhere._is_meant(address) for address in (HERE, "192.168.1.40", "192.168.1.41")] == [False, True, False]


def test_networks_are_told_by_their_masks() -> None:
    assert share_network(HERE, HEADSET)
    assert not share_network(HERE, "192.0.2.77")
    assert not share_network("192.0.2.77", "192.0.2.78"), "it is not this machine's address"
    assert ipaddress.ip_address(HEADSET).is_loopback
