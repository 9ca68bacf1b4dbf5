"""What Live Link Face's and iFacialMocap's readers get from us, over real sockets on loopback."""

from __future__ import annotations

import socket

import numpy as np
import pytest
from support.ports import free_udp_port
from support.waiting import wait_until

from facewire.bridge.formats import ifacialmocap_text, livelink_packet
from facewire.bridge.outputs.base import OutputError
from facewire.bridge.outputs.choose import check_remote, make_output
from facewire.bridge.shared.arkit import BLENDSHAPES
from facewire.bridge.wire.frame import FaceFrame


@pytest.fixture
def reader():
    """Open a socket in place of the other program, on a port of its own."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        one.settimeout(30)
        yield one


@pytest.fixture
def opened():
    """Make outputs that are closed after the test."""
    made = []

    def make(spec):
        output = make_output(spec)
        made.append(output)
        output.open()
        return output

    yield make
    for output in made:
        output.close()


def a_frame(seq=1, sources="video"):
    shapes = (np.arange(52, dtype=np.float32) + seq % 10) / 64
    head = np.array([0.1, -0.2, 0.05, np.sqrt(1 - 0.0525), 0.02, -0.01, -0.6], np.float32)
    return FaceFrame(seq, 0, 0, sources, 1.0, shapes, head, np.array([0.1, -0.05, 0.12, -0.06], np.float32))


def port_of(one):
    return one.getsockname()[1]


def silent(one):
    one.settimeout(0.1)
    with pytest.raises(TimeoutError):
        one.recv(4096)
    one.settimeout(30)


def test_live_link_sends_a_datagram_a_frame(opened, reader):
    output = opened(f"livelink:127.0.0.1:{port_of(reader)}?subject=Streamer")
    for seq in range(3):
        output.send(a_frame(seq), seq * 16_666_667 + 10**9)
    packets = [livelink_packet.decode(reader.recv(4096)) for _ in range(3)]
    assert [packet.subject for packet in packets] == ["Streamer"] * 3
    assert len({packet.device_id for packet in packets}) == 1
    times = [packet.frame + packet.sub_frame for packet in packets]
    np.testing.assert_allclose(np.diff(times), 1, atol=1e-3)
    np.testing.assert_array_equal(packets[2].face.blendshapes, a_frame(2).blendshapes)
    assert output.describe() == f"127.0.0.1:{port_of(reader)}"


def test_live_link_says_when_the_face_is_gone_and_nothing_between_frames_otherwise(opened, reader):
    output = opened(f"livelink:127.0.0.1:{port_of(reader)}")
    output.send(a_frame(), 10**9)
    assert livelink_packet.decode(reader.recv(4096)).face is not None
    output.idle(2 * 10**9)
    silent(reader)
    output.send(a_frame(sources="held"), 3 * 10**9)
    assert livelink_packet.decode(reader.recv(4096)).face is not None, "it eases to rest"
    output.idle(4 * 10**9)
    assert livelink_packet.decode(reader.recv(4096)).face is None


def test_a_subject_that_is_none_is_one_line():
    with pytest.raises(OutputError, match="1 to 256"):
        make_output("livelink:?subject=")


@pytest.mark.parametrize(("option", "separator"), [("", b"-"), ("?version=v1", b"-"), ("?version=v2", b"&")])
def test_ifacialmocap_sends_to_a_program_at_once(opened, reader, option, separator):
    output = opened(f"ifacialmocap:127.0.0.1:{port_of(reader)}{option}")
    output.send(a_frame(), 0)
    line = reader.recv(4096)
    assert line.startswith(b"eyeBlink_L" + separator)
    np.testing.assert_allclose(ifacialmocap_text.decode(line).blendshapes, a_frame().blendshapes, atol=0.00501)
    assert output.waiting is None
    output.idle(10**9)
    assert reader.recv(4096) == line, "the app repeats its last line"


def send_until_asked(output, frame):
    wait_until(lambda: output.send(frame, 0) or output.waiting is None)


def has_asked(output, reader, version):
    """Look for new hand-shakes, as every frame does."""
    output._phone.look()
    return output._phone.askers.get(("127.0.0.1", port_of(reader))) == version


def test_as_a_phone_it_answers_the_hand_shake_in_the_version_that_was_asked_for(opened, reader):
    port = free_udp_port()
    output = opened(f"ifacialmocap:{port}?phone=127.0.0.1")
    assert output.describe() == f"127.0.0.1:{port}"
    assert "asks" in output.waiting
    output.send(a_frame(), 0)
    silent(reader)
    reader.sendto(b"hello", ("127.0.0.1", port))
    output.idle(0)
    assert "asks" in output.waiting
    reader.sendto(ifacialmocap_text.encode_handshake(2), ("127.0.0.1", port))
    send_until_asked(output, a_frame(2))
    line = reader.recv(4096)
    assert b"&" in line
    assert len(ifacialmocap_text.decode(line).blendshapes) == len(BLENDSHAPES)
    reader.sendto(ifacialmocap_text.encode_handshake(1), ("127.0.0.1", port))
    wait_until(lambda: has_asked(output, reader, 1))
    output.send(a_frame(3), 0)
    assert b"&" not in reader.recv(4096)


def test_as_a_phone_it_serves_few_and_the_newest(opened):
    port = free_udp_port()
    output = opened(f"ifacialmocap:{port}?phone=127.0.0.1")
    readers = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(5)]
    try:
        for one in readers:
            one.bind(("127.0.0.1", 0))
            one.settimeout(30)
            one.sendto(ifacialmocap_text.HANDSHAKE, ("127.0.0.1", port))
        wait_until(lambda: has_asked(output, readers[-1], 1))
        output.send(a_frame(), 0)
        assert all(one.recv(4096) for one in readers[1:])
        silent(readers[0])
    finally:
        for one in readers:
            one.close()


def test_a_flood_of_foreign_datagrams_holds_nothing_up(opened, reader):
    port = free_udp_port()
    output = opened(f"ifacialmocap:{port}?phone=127.0.0.1")
    reader.sendto(ifacialmocap_text.HANDSHAKE, ("127.0.0.1", port))
    send_until_asked(output, a_frame())
    assert reader.recv(4096)
    for _ in range(200):
        reader.sendto(b"x" * 2000, ("127.0.0.1", port))
    for seq in range(20):
        output.send(a_frame(seq), 0)
    assert all(ifacialmocap_text.decode(reader.recv(4096)).gaze.any() for _ in range(20))


def test_a_port_that_is_taken_is_one_line(reader):
    output = make_output(f"ifacialmocap:{port_of(reader)}?phone=127.0.0.1")
    with pytest.raises(OutputError, match="cannot listen on") as caught:
        output.open()
    assert "\n" not in str(caught.value)


def test_a_phone_s_address_that_is_none_is_one_line():
    with pytest.raises(OutputError, match="phone is the address"):
        make_output("ifacialmocap:?phone=")
    for host in ("x" * 300, "no.such.host.invalid", "192.0.2.7"):
        with pytest.raises(OutputError, match="cannot listen on"):
            make_output(f"ifacialmocap:?phone={host}").open()


def test_a_command_opens_no_network():
    assert check_remote("ifacialmocap:?phone=127.0.0.1")
    for spec in ("ifacialmocap:?phone=0.0.0.0", "ifacialmocap:?phone=192.168.1.5", "ifacialmocap:?phone=somewhere"):
        with pytest.raises(OutputError, match="command line"):
            check_remote(spec)
    with pytest.raises(OutputError, match="is not an address"):
        check_remote("livelink:8.8.8.8")
