"""The wire format: golden vectors in both directions, sizes, and what a reader refuses."""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
import runpy
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from support.paths import GOLDEN, ROOT

from facewire.bridge.shared.errors import WireError
from facewire.bridge.wire.codec import Encoder, decode_frame, decode_message
from facewire.bridge.wire.frame import FaceFrame, FlameParameters
from facewire.bridge.wire.streams import STREAMS

MAKE = runpy.run_path(str(GOLDEN / "make.py"))
VECTORS: dict[str, bytes] = MAKE["vectors"]()
FRAMES: dict[str, tuple[FaceFrame, tuple[str, ...]]] = MAKE["frames"]()
MESSAGES: dict[str, dict[str, Any]] = MAKE["messages"]()


def same(one: object, other: object) -> bool:
    """Compare values that may be arrays or hold some."""
    if dataclasses.is_dataclass(one) and type(one) is type(other):
        return all(same(getattr(one, f.name), getattr(other, f.name)) for f in dataclasses.fields(one))
    if isinstance(one, np.ndarray):
        return isinstance(other, np.ndarray) and one.dtype == other.dtype and np.array_equal(one, other)
    return one == other


@pytest.mark.parametrize("name", sorted(VECTORS))
def test_golden_file_is_what_the_encoder_writes(name: str) -> None:
    assert (GOLDEN / name).read_bytes() == VECTORS[name]


def test_no_golden_file_is_left_over() -> None:
    files = [file for suffix in ("msgpack", "json") for file in GOLDEN.glob(f"*.{suffix}")]
    files += (GOLDEN / "invalid").iterdir()
    assert {file.relative_to(GOLDEN).as_posix() for file in files} == set(VECTORS)


@pytest.mark.parametrize("name", sorted(FRAMES))
@pytest.mark.parametrize("form", ["msgpack", "json"])
def test_golden_frame_decodes_to_what_was_encoded(name: str, form: str) -> None:
    data = (GOLDEN / f"{name}.{form}").read_bytes()
    frame, streams = FRAMES[name]
    decoded = decode_frame(decode_message(data.decode() if form == "json" else data))
    for field in dataclasses.fields(FaceFrame):
        if field.name in streams or field.name not in STREAMS:
            assert same(getattr(decoded, field.name), getattr(frame, field.name)), field.name


@pytest.mark.parametrize("name", sorted(MESSAGES))
def test_golden_message_reads_the_same_in_both_formats(name: str) -> None:
    assert decode_message((GOLDEN / f"{name}.msgpack").read_bytes()) == MESSAGES[name]
    assert decode_message((GOLDEN / f"{name}.json").read_text()) == MESSAGES[name]


@pytest.mark.parametrize("name", sorted(name for name in VECTORS if name.startswith("invalid/")))
def test_invalid_golden_messages_are_refused(name: str) -> None:
    with pytest.raises(WireError):
        decode_frame(decode_message(VECTORS[name]))


@pytest.mark.parametrize(
    "text",
    ["", "[]", "7", '{"type":1}', '{"type":"ping"', "NaN", '{"type":"x","a":Infinity}', "[" * 100_000, "9" * 10_000],
)
def test_json_that_is_no_message_is_refused(text: str) -> None:
    with pytest.raises(WireError):
        decode_message(text)


@given(st.binary(max_size=200))
def test_random_bytes_are_a_message_or_one_error(data: bytes) -> None:
    try:
        message = decode_message(data)
    except WireError:
        return
    assert isinstance(message["type"], str)


@given(st.integers(0, 366), st.integers(0, 255))
def test_a_broken_byte_gives_a_frame_or_one_error(position: int, value: int) -> None:
    data = bytearray(VECTORS["frame.msgpack"])
    data[position] = value
    try:
        frame = decode_frame(decode_message(bytes(data)))
    except WireError:
        return
    assert frame.blendshapes.shape == (52,)
    assert np.isfinite(frame.head).all()


unit = st.floats(0, 1, width=32)


@given(
    seq=st.integers(0, 2**63 - 1),
    times=st.tuples(st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1)),
    confidence=unit,
    shapes=arrays.arrays(np.float32, 52, elements=unit),
    expression=arrays.arrays(np.float32, st.integers(0, 400), elements=st.floats(-9, 9, width=32)),
)
def test_encoding_a_decoded_frame_gives_the_same_bytes(
    seq: int, times: tuple[int, int], confidence: float, shapes: Any, expression: Any
) -> None:
    flame = FlameParameters(expression, MAKE["ramp"](3, 1), MAKE["ramp"](3, 2), MAKE["ramp"](6, 3))
    frame = MAKE["face"](
        seq=seq, capture_ns=times[0], publish_ns=times[1], confidence=confidence, blendshapes=shapes, flame=flame
    )
    encoder = Encoder()
    data = encoder.frame(frame, STREAMS)
    assert encoder.frame(decode_frame(decode_message(data)), STREAMS) == data


def test_json_rounds_to_six_decimals() -> None:
    shapes = np.full(52, 1 / 3, np.float32)
    message = json.loads(Encoder().frame(MAKE["face"](blendshapes=shapes, confidence=2 / 3), form="json"))
    assert message["blendshapes"] == [0.333333] * 52
    assert message["confidence"] == 0.666667


def test_the_largest_default_frame_with_its_header_has_378_bytes_and_its_further_times_add_36() -> None:
    largest = FRAMES["frame_last"][0]
    assert len(Encoder().frame(largest)) + 4 == 378
    times = dataclasses.replace(largest, video_ns=2**63 - 1, audio_ns=2**63 - 1)
    assert len(Encoder().frame(times)) + 4 == 378 + 2 * 18


def test_the_examples_of_the_page_are_the_vectors() -> None:
    text = (ROOT / "docs" / "wire.md").read_text("utf-8").partition("## 10 Examples")[2]
    for name, block in zip(("ping", "frame"), text.split("```")[1:4:2], strict=True):
        data = (GOLDEN / f"{name}.msgpack").read_bytes()
        assert f"{name}.msgpack`, {len(data)} bytes" in text
        told = bytearray()
        for line in block.partition("  …")[0].strip().splitlines():
            for byte in itertools.takewhile(re.compile(r"(?:[0-9a-f]{2})+").fullmatch, line.split()):
                told += bytes.fromhex(byte)
        assert len(told) > 20
        assert data.startswith(bytes(told)), name


def test_streams_that_were_not_sent_come_back_as_rest() -> None:
    frame = decode_frame(decode_message(VECTORS["frame_bare.msgpack"]))
    assert not frame.blendshapes.any()
    assert frame.head.tolist() == [0, 0, 0, 1, 0, 0, 0]
    assert frame.landmarks is None
    assert frame.flame is None


@pytest.mark.parametrize(
    "changes",
    [
        {"blendshapes": np.zeros(51, np.float32)},
        {"blendshapes": np.full(52, np.nan, np.float32)},
        {"head": np.full(7, np.inf, np.float32)},
        {"landmarks": np.zeros(1434, np.float32)},
        {"confidence": float("nan")},
        {"confidence": -0.5},
    ],
)
def test_a_frame_that_breaks_the_format_is_not_encoded(changes: dict[str, Any]) -> None:
    with pytest.raises(WireError):
        Encoder().frame(MAKE["face"](**changes), STREAMS)


def test_other_dtypes_and_strided_arrays_are_sent_as_float32() -> None:
    shapes = np.arange(104, dtype=np.float64)[::2] / 256
    decoded = decode_frame(decode_message(Encoder().frame(MAKE["face"](blendshapes=shapes))))
    assert decoded.blendshapes.dtype == np.float32
    assert np.array_equal(decoded.blendshapes, shapes.astype(np.float32))


def test_decoded_arrays_cannot_be_written() -> None:
    frame = decode_frame(decode_message(VECTORS["frame.msgpack"]))
    with pytest.raises(ValueError, match="read-only"):
        frame.blendshapes[0] = 1


@pytest.mark.parametrize("form", ["msgpack", "json"])
def test_a_message_that_cannot_be_sent_says_so_and_breaks_nothing(form: Any) -> None:
    encoder = Encoder()
    with pytest.raises(WireError, match="status"):
        encoder.message({"type": "status", "devices": {"a": 1, "b": object()}}, form)
    data = encoder.message({"type": "status"}, form)
    assert decode_message(data.decode() if form == "json" else data) == {"type": "status"}


def test_encoding_leaves_no_garbage_that_grows() -> None:
    encoder, frame = Encoder(), MAKE["face"]()
    for _ in range(100):
        encoder.frame(frame)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(5000):
            encoder.frame(frame)
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 2000
    assert peak - before < 10_000
