"""Whose datagrams count: those of one address and one device, from whatever port they come; and where a phone is told
to send."""

from __future__ import annotations

import contextlib
import ipaddress
import socket

import numpy as np
import pytest

from facewire.bridge.formats.ifacialmocap_text import encode
from facewire.bridge.formats.livelink_packet import LiveLinkEncoder
from facewire.bridge.shared.arkit import BLENDSHAPE_INDEX
from facewire.bridge.wire.frame import FaceFrame
from facewire.runtime.capture.remote import phone as phone_module
from facewire.runtime.capture.remote.choose_phone import phone_source
from facewire.runtime.capture.remote.phone import describe_opening, where_to_send
from facewire.runtime.capture.video.source import SourceSilent
from facewire.runtime.capture.video.thread import CaptureThread
from facewire.runtime.cli.commands.doctor import _phones
from facewire.runtime.tools import network
from facewire.runtime.tools.network import find_own_address
from facewire.runtime.tools.slots import NewestSlot

S = 10**9
STEP_NS = 16_666_667


def a_frame(jaw=0.5):
    shapes = np.zeros(52, np.float32)
    shapes[BLENDSHAPE_INDEX["jawOpen"]] = jaw
    head = np.array([0, 0, 0, 1, 0, 0, -0.5], np.float32)
    return FaceFrame(0, 0, 0, "video", 1.0, shapes, head, np.zeros(4, np.float32))


def live_link(jaw, time_ns, subject="phone"):
    return bytes(LiveLinkEncoder(subject).encode(a_frame(jaw), time_ns))


class Port:
    """A source on a free port of loopback, with a clock that stands still, and senders to it."""

    def __init__(self, what):
        self.reports, self.now_ns = [], 100 * S
        self.source = phone_source(f"{what}:0", self.reports.append)
        self.source._clock = lambda: self.now_ns
        self.source.open()
        self.sockets = []

    def sender(self):
        one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        one.bind(("127.0.0.1", 0))
        self.sockets.append(one)
        return one

    def send(self, data, sender=None):
        """Send a datagram, from a new port if no sender is given, and take it; return the jaw that is shown."""
        (sender or self.sender()).sendto(data, self.source.address)
        before = sum(self.source.dropped.values())
        while True:
            captured = self.source._drain(self.source._socket)
            if captured is not None:
                return round(float(captured.face.blendshapes[BLENDSHAPE_INDEX["jawOpen"]]), 3)
            if sum(self.source.dropped.values()) > before:
                return None

    def close(self):
        self.source.close()
        for one in self.sockets:
            one.close()


@pytest.fixture
def port():
    with contextlib.ExitStack() as stack:

        def opened(what):
            one = Port(what)
            stack.callback(one.close)
            return one

        yield opened


@pytest.mark.parametrize("what", ["livelink", "ifacialmocap"])
def test_a_sender_that_takes_a_new_port_for_each_datagram_loses_none(port, what):
    one = port(what)
    for step in range(60):
        jaw = round(0.1 + step / 100, 2)
        data = live_link(jaw, 10 * S + step * STEP_NS) if what == "livelink" else encode(a_frame(jaw))
        assert one.send(data) == pytest.approx(jaw, abs=0.001)
    assert one.source.dropped["foreign"] == 0
    assert one.reports == []


def test_a_second_device_is_kept_out_whatever_port_it_sends_from(port):
    one = port("livelink")
    shared = one.sender()
    for step in range(40):
        now = 10 * S + step * STEP_NS
        assert one.send(live_link(0.2, now, "first"), shared if step % 2 else None) == 0.2
        assert one.send(live_link(0.9, now, "second")) is None  # another device, from a port of its own each time
        assert one.send(live_link(0.8, now, "third"), shared) is None  # and one from the same port
    assert one.source.dropped["foreign"] == 80
    assert len(one.reports) == 1


def test_a_second_program_without_a_name_is_kept_out_once_one_sends_from_one_port(port):
    one = port("ifacialmocap")
    first, second = one.sender(), one.sender()
    shown = []
    for step in range(40):
        assert one.send(encode(a_frame(0.2 + step / 1000)), first) is not None
        shown.append(one.send(encode(a_frame(0.8 + step / 1000)), second))
        shown.append(one.send(encode(a_frame(0.9))))
    assert shown[6:] == [None] * 74  # who is who shows after a few
    assert one.source.dropped["foreign"] >= 74


def test_another_one_has_the_port_after_a_silence(port):
    one = port("ifacialmocap")
    first, second = one.sender(), one.sender()
    for step in range(5):
        one.send(encode(a_frame(0.2 + step / 100)), first)
    assert one.send(encode(a_frame(0.9)), second) is None
    one.now_ns += S + 1
    for step in range(5):
        assert one.send(encode(a_frame(0.9 - step / 100)), second) is not None
    assert one.send(encode(a_frame(0.2)), first) is None


def test_a_phone_is_known_by_what_it_says_of_itself_and_not_by_the_port():
    known = {}
    for what in ("livelink:11111", "livelink:12000", "livelink:0.0.0.0:11111"):
        source = phone_source(what, print)
        for subject in ("Ada", "Bo"):
            data = memoryview(live_link(0.5, 10 * S, subject))
            source._sender.host = None
            assert source._take(data, "127.0.0.1", 5, 10 * S)
            known.setdefault(subject, set()).add(source.identity)
    assert all(len(names) == 1 for names in known.values())
    assert known["Ada"] != known["Bo"]
    ports = ("Live Link Face on port 12000", "Live Link Face on port 11111")
    source = phone_source("livelink:12000", print)
    assert source.formerly == ("Live Link Face",), "of no phone yet"
    assert source._take(memoryview(live_link(0.5, 10 * S, "Ada")), "127.0.0.1", 5, 10 * S)
    assert source.formerly == ports
    assert phone_source("vmc:12000", print).identity == phone_source("vmc", print).identity == "VMC protocol"
    assert phone_source("ifacialmocap:192.168.1.20", print).identity == "iFacialMocap on 192.168.1.20"


def test_a_phone_that_says_its_name_is_told_to_who_keeps_calibrations(port):
    one = port("livelink")
    changes: list[str] = []
    thread = CaptureThread(one.source, NewestSlot(), one.reports.append)
    thread.on_other_camera = lambda: changes.append(one.source.identity)
    sender = one.sender()
    for step, subject in enumerate(("Ada", "Ada", "Bo")):
        one.now_ns += 2 * S
        sender.sendto(live_link(0.5, step * S, subject), one.source.address)
        assert thread._pass_on()
    assert len(changes) == 2
    assert all(name.startswith("Live Link Face ") for name in changes)


def test_a_phone_is_never_told_to_send_to_an_address_that_it_cannot_reach(port, monkeypatch):
    monkeypatch.setattr(phone_module, "find_own_address", lambda: "192.168.1.5")
    assert where_to_send("0.0.0.0", 11111, "livelink") == "make the app send to 192.168.1.5, UDP port 11111"
    assert where_to_send("10.0.0.7", 11111, "livelink") == "make the app send to 10.0.0.7, UDP port 11111"
    said = where_to_send("127.0.0.1", 11111, "livelink")
    assert "start again with --video livelink:0.0.0.0:11111, and make the app send to 192.168.1.5, port 11111" in said
    one = port("livelink")
    one.source._said_ns = one.source._heard_ns = one.now_ns - 3 * S
    with pytest.raises(SourceSilent, match=r"a phone cannot reach that: start again with --video livelink:0\.0\.0\.0"):
        one.source.read()
    monkeypatch.setattr(phone_module, "find_own_address", lambda: None)
    assert "it is in no network now" in where_to_send("127.0.0.1", 11111, "livelink")
    assert "it is in no network now" in describe_opening(("0.0.0.0", 11111), None)


def test_doctor_names_this_machine_s_address_in_the_network(monkeypatch):
    monkeypatch.setattr(network, "_interface_addresses", lambda: {"eth0": "192.168.7.9"})
    found = [finding for finding in _phones() if finding.topic == "phones"]
    assert any("--video livelink:0.0.0.0, and have it send to 192.168.7.9" in finding.advice for finding in found)
    assert not any("127.0.0.1" in finding.text + finding.advice for finding in found)


def test_the_address_is_that_of_the_interface_that_leads_out_or_of_any_other(monkeypatch, tmp_path):
    both = {"docker0": "172.17.0.1", "wlan0": "192.168.7.9"}
    routes = tmp_path / "route"
    routes.write_text("Iface\tDestination\tGateway\nwlan0\t0007A8C0\t0\nwlan0\t00000000\t0107A8C0\n")
    monkeypatch.setattr(network, "ROUTES", routes)
    monkeypatch.setattr(network, "_interface_addresses", lambda: both)
    assert find_own_address() == "192.168.7.9"
    routes.unlink()
    assert find_own_address() == "172.17.0.1"
    both.clear()
    assert find_own_address() is None
    assert network.own_address()
    monkeypatch.undo()
    assert all(
        not ipaddress.ip_address(address).is_loopback for address in (network._interface_addresses() or {}).values()
    )
    assert network._address_on_the_way_out() in (None, *(network._interface_addresses() or {}).values())


def test_where_interfaces_cannot_be_asked_the_way_out_tells(monkeypatch):
    monkeypatch.setattr(network, "_interface_addresses", lambda: None)
    monkeypatch.setattr(network, "_address_on_the_way_out", lambda: "192.168.7.9")
    assert find_own_address() == "192.168.7.9"
