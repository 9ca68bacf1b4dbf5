"""OSC to bytes and back: the specification's own examples, another library's reading, and hostile packets."""

from __future__ import annotations

import contextlib
import math
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pythonosc.osc_bundle import OscBundle
from pythonosc.osc_bundle_builder import IMMEDIATELY, OscBundleBuilder
from pythonosc.osc_message import OscMessage
from pythonosc.osc_message_builder import OscMessageBuilder

from facewire.bridge.formats.osc import (
    BUNDLE,
    MAX_ARGUMENTS,
    MAX_DEPTH,
    MAX_MESSAGES,
    OscError,
    OscTemplate,
    decode,
    encode_bundle,
    encode_message,
)

SPEC_FREQUENCY = bytes.fromhex("2f6f7363696c6c61746f722f342f6672657175656e6379002c66000043dc0000")
"""``/oscillator/4/frequency`` 440.0, from the specification's examples."""
SPEC_FOO = bytes.fromhex("2f666f6f000000002c69697366660000000003e8ffffffff68656c6c6f0000003f9df3b640b5b22d")
"""``/foo`` 1000, -1, "hello", 1.234, 5.678, from the specification's examples."""


def test_the_specifications_examples() -> None:
    assert encode_message("/oscillator/4/frequency", 440.0) == SPEC_FREQUENCY
    assert encode_message("/foo", 1000, -1, "hello", 1.234, 5.678) == SPEC_FOO
    assert decode(SPEC_FREQUENCY) == [("/oscillator/4/frequency", (440.0,))]
    ((address, values),) = decode(SPEC_FOO)
    assert (address, values[:3]) == ("/foo", (1000, -1, "hello"))
    assert values[3:] == pytest.approx((1.234, 5.678))


def test_another_library_reads_what_is_written_and_the_other_way_round() -> None:
    arguments = (1, -2.5, "grüße", b"\1\2\3", True, False, None)
    theirs = OscMessage(encode_message("/a/b", *arguments))
    assert (theirs.address, theirs.params) == ("/a/b", list(arguments))
    builder, bundle = OscMessageBuilder("/a/b"), OscBundleBuilder(IMMEDIATELY)
    for argument in (*arguments, "c"):
        builder.add_arg(argument)
    bundle.add_content(builder.build())
    bundle.add_content(OscMessageBuilder("/empty").build())
    assert decode(bundle.build().dgram) == [("/a/b", (*arguments, "c")), ("/empty", ())]
    assert OscBundle(encode_bundle([SPEC_FOO, SPEC_FREQUENCY])).num_contents == 2


def test_rare_types_are_read() -> None:
    values = struct.pack(">dq8si4s4s", 0.5, -9, b"timetags", 7, b"\0\0\0A", b"ok")
    packet = b"/x\0\0,dhtI[i]cS\0\0" + values
    assert decode(packet) == [("/x", (0.5, -9, b"timetags", math.inf, 7, b"\0\0\0A", "ok"))]
    assert decode(b"/no/tags\0\0\0\0") == [("/no/tags", ())]


MESSAGES = [("/ok", (1,)), ("/t", (0.0,)), *((f"/value/{i}", (f"name {i}", 0.0, 0.0)) for i in range(60)), ("/end", ())]


def test_a_template_fills_datagrams_and_only_its_floats_change() -> None:
    template = OscTemplate(MESSAGES)
    values = np.arange(template.count) / 8
    template.write(values.tolist())
    assert template.count == 121
    assert [len(datagram) <= 1472 for datagram in template.datagrams] == [True] * len(template.datagrams)
    assert len(template.datagrams) == 2
    got = [message for datagram in template.datagrams for message in decode(datagram)]
    assert [address for address, _ in got] == [address for address, _ in MESSAGES]
    floats = [value for _, arguments in got for value in arguments if isinstance(value, float)]
    assert floats == values.tolist()
    assert got[0] == ("/ok", (1,))
    assert got[-2][1][0] == "name 59"


def test_writing_a_template_allocates_nothing() -> None:
    template = OscTemplate(MESSAGES)
    values = np.zeros(template.count, np.float32).tolist()
    tracemalloc.start()
    try:
        template.write(values)
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(100):
            template.write(values)
        assert tracemalloc.get_traced_memory()[0] - before < 500
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("packet", "words"),
    [
        (b"", "multiple of four"),
        (b"/abc", "no end"),
        (b"/ab\0,f\0", "multiple of four"),
        (b"abc\0,\0\0\0", "begins with an address"),
        (b"/ab\0f\0\0\0", "needs its type tags"),
        (b"/ab\0,f\0\0", "ends within an argument"),
        (b"/ab\0,t\0\0\0\0\0\1", "ends within an argument"),
        (b"/ab\0,q\0\0\0\0\0\0", "an unknown OSC type"),
        (b"/ab\0,b\0\0\x7f\xff\xff\xff", "blob is longer"),
        (b"/ab\0,b\0\0\xff\xff\xff\xff", "blob is longer"),
        (b"/ab\0,s\0\0abcd", "no end"),
        (b"/\xff\xfe\0,\0\0\0", "neither ASCII nor UTF-8"),
        (b"/ab\0" + b"," + b"N" * (MAX_ARGUMENTS + 2) + b"\0", "not too many"),
        (BUNDLE, "time tag"),
        (BUNDLE + bytes(8) + b"\0\0\0\x08/ab\0", "longer than the bundle"),
        (BUNDLE + bytes(8) + b"\0\0\0\0", "longer than the bundle"),
        (BUNDLE + bytes(8) + b"\xff\xff\xff\xf0/ab\0,\0\0\0", "longer than the bundle"),
        (BUNDLE + bytes(8) + b"\0\0\0\3/ab\0", "multiple of four"),
    ],
)
def test_what_is_no_osc_is_one_clear_line(packet: bytes, words: str) -> None:
    with pytest.raises(OscError, match=words) as raised:
        decode(packet)
    assert "\n" not in str(raised.value)


def test_bombs_are_refused() -> None:
    nested = encode_message("/x")
    for _ in range(MAX_DEPTH):
        nested = encode_bundle([nested])
    assert decode(nested) == [("/x", ())]
    with pytest.raises(OscError, match="within each other"):
        decode(encode_bundle([nested]))
    many = encode_bundle([encode_message("/x")] * (MAX_MESSAGES + 1))
    with pytest.raises(OscError, match="messages in one packet"):
        decode(many)


@settings(max_examples=300)
@given(st.binary(max_size=200), st.integers(0, 3))
def test_no_bytes_do_more_than_raise_osc_error(data: bytes, start: int) -> None:
    heads = (b"", b"/a\0\0,", BUNDLE + bytes(8), b"/abc\0\0\0\0,ifsb\0\0\0")
    packet = heads[start] + data
    packet += b"\0" * (-len(packet) % 4)
    try:
        messages = decode(packet)
    except OscError:
        return
    assert all(address.startswith("/") for address, _ in messages)


@settings(max_examples=100)
@given(
    st.lists(
        st.one_of(
            st.integers(-(2**31), 2**31 - 1),
            st.floats(width=32, allow_nan=False),
            st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20),
            st.binary(max_size=20),
            st.booleans(),
            st.none(),
        ),
        max_size=10,
    )
)
def test_what_is_written_is_read_again(arguments: list[object]) -> None:
    packet = encode_message("/any", *arguments)  # type: ignore[arg-type]
    assert decode(packet) == [("/any", tuple(arguments))]
    for cut in range(0, len(packet), 4):
        with contextlib.suppress(OscError):
            decode(packet[:cut])


@pytest.mark.parametrize("bad", [("no/slash",), ("/x", "a\0b"), ("/x", 2**31)])
def test_what_osc_cannot_say_is_refused(bad: tuple[object, ...]) -> None:
    with pytest.raises(OscError):
        encode_message(*bad)  # type: ignore[arg-type]
