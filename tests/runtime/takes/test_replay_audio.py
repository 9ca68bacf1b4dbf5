"""Sound along with a replay: what is heard is what is shown."""

from __future__ import annotations

import sys
import types
from typing import Any

import numpy as np
import pytest
from support.takes import MakeTake

from facewire.bridge.recording.layout import AudioFormat
from facewire.bridge.recording.reader import open_session
from facewire.bridge.recording.sound import SoundStream, load_sound, sound_pieces
from facewire.bridge.shared.install import install_extra
from facewire.runtime.takes.replay_audio import PlayAlong, open_output

RATE = 16_000


class Device:
    """Takes samples and moves the time on by their length, as a device does that plays them."""

    def __init__(self, latency_ns: int = 0) -> None:
        self.latency_ns = latency_ns
        self.heard: list[np.ndarray] = []
        self.now_ns = 0
        self.closed = False

    def write(self, samples: np.ndarray) -> None:
        self.heard.append(samples)
        self.now_ns += len(samples) * 10**9 // RATE

    def close(self) -> None:
        self.closed = True


def test_sound_follows_the_picture(make_take: MakeTake) -> None:
    session = open_session(make_take(seconds=2, audio=AudioFormat()))
    start_ns, expected = session.start_ns, load_sound(session, session.start_ns, session.end_ns)
    assert expected is not None
    device = Device()
    along = PlayAlong(session, lambda: start_ns + device.now_ns, device)
    for _ in range(90):
        assert along.step()
    np.testing.assert_array_equal(np.concatenate(device.heard), expected[1][: 90 * 320])
    assert along.resyncs == 1
    along.stop()
    assert device.closed


def test_the_device_s_latency_is_made_up_for(make_take: MakeTake) -> None:
    session = open_session(make_take(seconds=1, audio=AudioFormat()))
    expected = load_sound(session, session.start_ns + 100_000_000, session.end_ns)
    assert expected is not None
    device, start_ns = Device(latency_ns=100_000_000), session.start_ns
    along = PlayAlong(session, lambda: start_ns + device.now_ns, device)
    for _ in range(10):
        along.step()
    np.testing.assert_array_equal(np.concatenate(device.heard), expected[1][:3200])
    along.stop()


def test_a_pause_is_silent_and_a_seek_jumps(make_take: MakeTake) -> None:
    session = open_session(make_take(seconds=3, audio=AudioFormat()))
    start_ns, device = session.start_ns, Device()
    place: list[int | None] = [start_ns]
    along = PlayAlong(session, lambda: place[0], device)
    assert along.step()
    place[0] = None
    assert not along.step()
    place[0] = start_ns + 2_000_000_000
    assert along.step()
    expected = load_sound(session, start_ns + 2_000_000_000, session.end_ns)
    assert expected is not None
    np.testing.assert_array_equal(device.heard[-1], expected[1][:320])
    assert along.resyncs == 2
    along.stop()


def test_pieces_are_the_whole(make_take: MakeTake) -> None:
    with open_session(make_take(seconds=2, audio=AudioFormat(RATE, 2))) as session:
        whole = load_sound(session, session.start_ns, session.end_ns)
        assert whole is not None
        for piece_s in (0.003, 0.02, 0.7, 5.0):
            pieces = list(sound_pieces(session, session.start_ns, session.end_ns, piece_s))
            np.testing.assert_array_equal(np.concatenate(pieces), whole[1])
        stream = SoundStream(session, session.start_ns + 500_000_000, session.end_ns)
        np.testing.assert_array_equal(stream.read(100), whole[1][8000:8100])


def fake_pyaudio(monkeypatch: pytest.MonkeyPatch, *, device: bool) -> list[bytes]:
    """PyAudio as its documentation has it: ``open`` raises OSError if there is no device."""
    written: list[bytes] = []

    class Stream:
        def get_output_latency(self) -> float:
            return 0.03

        def write(self, data: bytes, exception_on_underflow: bool = True) -> None:  # noqa: ARG002
            written.append(data)

        def close(self) -> None:
            written.append(b"closed")

    class System:
        def open(self, **options: object) -> Stream:
            assert options["output"]
            if not device:
                raise OSError(-9996, "Invalid output device (no default output device)")
            return Stream()

        def terminate(self) -> None:
            written.append(b"terminated")

    module: Any = types.SimpleNamespace(PyAudio=System, paInt16=8)
    monkeypatch.setitem(sys.modules, "pyaudio", module)
    return written


def test_a_device_gets_the_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    written = fake_pyaudio(monkeypatch, device=True)
    output = open_output(AudioFormat(), print)
    assert output is not None
    assert output.latency_ns == 30_000_000
    output.write(np.array([[1], [-2]], np.int16))
    output.close()
    assert written == [b"\x01\x00\xfe\xff", b"closed", b"terminated"]


def test_no_device_and_no_pyaudio_are_one_line_each(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    assert fake_pyaudio(monkeypatch, device=False) == []
    assert open_output(AudioFormat(), lines.append) is None
    monkeypatch.setitem(sys.modules, "pyaudio", None)
    assert open_output(AudioFormat(), lines.append) is None
    assert lines == [
        "there is no output device for the sound (Invalid output device (no default output device)); playing silently",
        f"sound needs PyAudio: {install_extra('mic')}; playing silently",
    ]
