"""A stream of one's own: registered, and with no other change it is everywhere that a stream can be."""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest

from facewire.bridge.client.blocking import connect_blocking
from facewire.bridge.client.client_protocol import ClientProtocol
from facewire.bridge.export.clip import ClipOptions
from facewire.bridge.export.formats import ExportOptions, export
from facewire.bridge.outputs.choose import make_output
from facewire.bridge.recording.layout import SessionMetadata
from facewire.bridge.recording.reader import open_session
from facewire.bridge.recording.track import load_track
from facewire.bridge.recording.writer import SessionWriter
from facewire.bridge.server.config import ServerConfig
from facewire.bridge.server.server import LiveServer
from facewire.bridge.server.server_protocol import Subscribe, parse_subscribe
from facewire.bridge.shared.arkit import BLENDSHAPES
from facewire.bridge.shared.clock import now_ns
from facewire.bridge.shared.errors import WireError
from facewire.bridge.wire.codec import Encoder, decode_frame, decode_message
from facewire.bridge.wire.frame import FaceFrame
from facewire.bridge.wire.messages import Greeting
from facewire.bridge.wire.sides import mirror_by_names
from facewire.bridge.wire.streams import (
    STREAMS,
    Stream,
    default_streams,
    extra_streams,
    mirrored_extra,
    offered_streams,
    recorded_streams,
    register,
)

Frames: TypeAlias = "Callable[..., Iterator[FaceFrame]]"

NAMES = (*(f"au{number:02}" for number in range(1, 23)), "winkLeft", "winkRight", "dimpleLeft", "dimpleRight")
AUS = Stream("aus", "action units", (26,), range=(0.0, 5.0), names=NAMES, mirror=mirror_by_names(NAMES))
VALUES = (np.arange(26) / 16).astype(np.float32)
TURNED = np.concatenate([VALUES[:22], VALUES[[23, 22, 25, 24]]])


@pytest.fixture
def aus() -> Iterator[Stream]:
    register(AUS)
    yield AUS
    del STREAMS["aus"]


@pytest.fixture
def frame(frames: Frames) -> FaceFrame:
    return replace(next(iter(frames(1))), extra={"aus": VALUES})


@pytest.fixture
def take(tmp_path: Path, aus: Stream, frames: Frames) -> Path:
    """Write a session of frames with the stream, as a server records them."""
    hello = Greeting(rate=60.0).message(0)
    assert aus.name in hello["streams"]
    writer, encoder = SessionWriter(tmp_path / "aus.mcap", SessionMetadata(0, 0, hello)), Encoder()
    for one in frames(30):
        data = encoder.frame(replace(one, extra={"aus": VALUES + one.seq}), recorded_streams())
        writer.add_frame(data, one.seq, one.publish_ns)
    return writer.finish()


@pytest.mark.usefixtures("aus")
def test_it_is_in_hello_and_can_be_subscribed() -> None:
    hello = Greeting(streams=offered_streams("panel")).message(0)
    assert hello["streams"] == ["blendshapes", "head", "gaze", "landmarks", "raw", "preview", "aus"]
    assert hello["extra"] == {"aus": {"shape": [26], "names": list(NAMES), "range": [0.0, 5.0]}}
    assert parse_subscribe({"streams": ["head", "aus", "smell"]}).streams == {"head", "aus"}
    assert "aus" not in default_streams()


def test_hello_is_as_it_was_where_nothing_is_registered() -> None:
    hello = Greeting(streams=offered_streams("panel")).message(0)
    assert hello["streams"] == ["blendshapes", "head", "gaze", "landmarks", "raw", "preview"]
    assert "extra" not in hello
    assert list(Greeting().message(0)["streams"]) == ["blendshapes", "head", "gaze"]


@pytest.mark.usefixtures("aus")
@pytest.mark.parametrize("form", ["msgpack", "json"])
def test_it_travels_in_both_formats(form: Any, frame: FaceFrame) -> None:
    data = Encoder().frame(frame, ("head", "aus"), form)
    message = decode_message(data.decode() if form == "json" else data)
    assert message["aus"] == (VALUES.tolist() if form == "json" else VALUES.astype("<f4").tobytes())
    decoded = decode_frame(message)
    assert decoded.extra is not None
    np.testing.assert_array_equal(decoded.extra["aus"], VALUES)
    assert Encoder().frame(decoded, ("head", "aus"), form) == data


@pytest.mark.usefixtures("aus")
def test_who_did_not_subscribe_to_it_gets_the_bytes_of_before(frame: FaceFrame) -> None:
    assert Encoder().frame(frame) == Encoder().frame(replace(frame, extra=None))


@pytest.mark.usefixtures("aus")
@pytest.mark.parametrize("values", [VALUES[:25], np.full(26, np.nan, np.float32)], ids=["short", "nan"])
def test_what_breaks_its_shape_is_not_sent(values: np.ndarray, frame: FaceFrame) -> None:
    with pytest.raises(WireError, match="aus"):
        Encoder().frame(replace(frame, extra={"aus": values}), ("aus",))


def test_a_client_that_never_heard_of_it_reads_it_by_hello(frame: FaceFrame) -> None:
    register(AUS)
    try:
        hello = Encoder().message(Greeting().message(0))
        data = Encoder().frame(frame, ("aus",))
    finally:
        del STREAMS["aus"]
    client = ClientProtocol()
    client.receive(hello, 0)
    got = client.receive(data, 0)
    assert isinstance(got, FaceFrame)
    assert got.extra is not None
    np.testing.assert_array_equal(got.extra["aus"], VALUES)
    assert extra_streams(client.hello)["aus"].names == NAMES
    assert decode_frame(decode_message(data)).extra is None, "without a hello it is one more key to skip"


@pytest.mark.parametrize(
    "extra",
    [
        None, 5, [], {"aus": 5}, {"aus": {}}, {"aus": {"shape": "26"}}, {"aus": {"shape": [26.0]}},
        {"aus": {"shape": [0]}}, {"aus": {"shape": [-2]}}, {"aus": {"shape": [10**9]}}, {"aus": {"shape": []}},
        {"seq": {"shape": [1]}}, {"head": {"shape": [7]}},
    ],
    ids=str,
)  # fmt: skip
def test_what_makes_no_sense_in_hello_is_skipped(extra: Any) -> None:
    assert extra_streams({"extra": extra}) == {}


@pytest.mark.usefixtures("aus")
def test_it_goes_from_server_to_client(frame: FaceFrame) -> None:
    with (
        LiveServer(ServerConfig(port=0), clock_ns=now_ns) as server,
        connect_blocking(server.url, streams=["aus"]) as client,
    ):
        with pytest.raises(TimeoutError):
            client.next_frame(0)  # It connects.
        end_s = time.monotonic() + 20
        while not server.wants("aus"):
            assert time.monotonic() < end_s, "it never subscribed"
            time.sleep(0.01)
        server.publish(frame)
        got = client.next_frame(20)
    assert got is not None
    assert got.extra is not None
    np.testing.assert_array_equal(got.extra["aus"], VALUES)


def test_a_recording_keeps_it(take: Path) -> None:
    with open_session(take) as session:
        played = [frame.extra for _, frame in session.frames()]
        track = load_track(session)
    assert len(played) == 30
    for number, extra in enumerate(played):
        assert extra is not None
        np.testing.assert_array_equal(extra["aus"], VALUES + number)
    (one,) = track.extra
    assert (one.stream.name, one.values.shape) == ("aus", (30, 26))


def test_a_recording_is_read_without_registering_it(take: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.delitem(STREAMS, "aus")
        with open_session(take) as session:
            (one,) = load_track(session).extra
    np.testing.assert_array_equal(one.values[0], VALUES)
    assert one.stream.names == NAMES


def test_exports_have_it(take: Path, tmp_path: Path) -> None:
    with open_session(take) as session:
        for suffix in ("npz", "csv", "jsonl"):
            export(session, tmp_path / f"a.{suffix}")
    with np.load(tmp_path / "a.npz") as arrays:
        np.testing.assert_array_equal(arrays["aus"], VALUES + np.arange(30, dtype=np.float32)[:, None])
        assert tuple(arrays["aus_names"]) == NAMES
    with (tmp_path / "a.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(rows[3][name]) for name in NAMES] == pytest.approx((VALUES + 3).tolist())
    assert rows[3]["BlendShapeCount"] == "61"
    line = json.loads((tmp_path / "a.jsonl").read_text().splitlines()[3])
    assert line["aus"] == pytest.approx(dict(zip(NAMES, (VALUES + 3).tolist(), strict=True)))


def test_mirror_turns_it(take: Path, tmp_path: Path) -> None:
    options = ExportOptions(clip=ClipOptions(mirror=True, rate=60))
    with open_session(take) as session:
        for suffix in ("npz", "csv", "jsonl"):
            export(session, tmp_path / f"m.{suffix}", options)
    with np.load(tmp_path / "m.npz") as arrays:
        np.testing.assert_allclose(arrays["aus"][0], TURNED, atol=1e-6)
    with (tmp_path / "m.csv").open(newline="") as file:
        first = next(csv.DictReader(file))
    assert [float(first[name]) for name in NAMES] == pytest.approx(TURNED.tolist())
    line = json.loads((tmp_path / "m.jsonl").read_text().splitlines()[0])
    assert list(line["aus"].values()) == pytest.approx(TURNED.tolist())
    turned = mirrored_extra({"aus": VALUES})
    assert turned is not None
    np.testing.assert_array_equal(turned["aus"], TURNED)


def test_a_stream_without_a_mirror_image_is_left_out_of_a_mirrored_face() -> None:
    register(Stream("heat", "a thermal image's mean", (3,)))
    try:
        assert mirrored_extra({"heat": VALUES[:3]}) is None
    finally:
        del STREAMS["heat"]
    assert mirrored_extra(None) is None


@pytest.mark.usefixtures("aus")
@pytest.mark.parametrize("name", ["csv", "jsonl"])
def test_outputs_to_files_write_it(name: str, frame: FaceFrame, tmp_path: Path) -> None:
    path = tmp_path / f"out.{name}"
    output = make_output(f"{name}:{path}")
    output.open()
    output.send(frame, 0)
    output.send(replace(frame, extra=None), 0)
    output.flush()
    output.close()
    if name == "jsonl":
        first, second = map(json.loads, path.read_text().splitlines())
        assert first["aus"] == pytest.approx(dict(zip(NAMES, VALUES.tolist(), strict=True)))
        assert "aus" not in second
        return
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(rows[0][one]) for one in NAMES] == pytest.approx(VALUES.tolist())
    assert [rows[1][one] for one in NAMES] == [""] * 26, "what a frame does not carry has no value"


@pytest.mark.parametrize(
    "stream",
    [
        Stream("head", "", (3,)), Stream("seq", "", (3,)), Stream("extra", "", (3,)), Stream("rate", "", (3,)),
        Stream("two words", "", (3,)), Stream("none", ""), Stream("zero", "", (0,)),
        Stream("map", "", parts={"a": (1,)}),        Stream("own", "", (3,), place="frame"),
    ],
    ids=lambda stream: stream.name,
)  # fmt: skip
def test_what_cannot_be_a_stream_is_refused(stream: Stream) -> None:
    before = dict(STREAMS)
    with pytest.raises(ValueError, match="stream"):
        register(stream)
    assert before == STREAMS


def test_todays_streams_are_told_as_they_always_were() -> None:
    assert default_streams() == ("blendshapes", "head", "gaze")
    assert set(recorded_streams()) == {"blendshapes", "head", "gaze", "flame"}
    assert set(STREAMS) == {"blendshapes", "head", "gaze", "landmarks", "raw", "flame", "preview"}
    assert STREAMS["blendshapes"].names == BLENDSHAPES
    assert isinstance(Subscribe(parse_subscribe({})).subscription.streams, frozenset)
