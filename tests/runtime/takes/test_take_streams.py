"""A stream that is registered and nothing else is recorded, played again, and offered by the server that plays it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from facewire.bridge.recording.layout import SessionMetadata
from facewire.bridge.recording.reader import open_session
from facewire.bridge.wire.frame import FaceFrame
from facewire.bridge.wire.messages import Greeting
from facewire.bridge.wire.streams import STREAMS, Stream, carried_streams, register
from facewire.runtime.takes.recorder import Recorder
from facewire.runtime.takes.replay import Replay

Frames = Callable[..., Iterator[FaceFrame]]


@pytest.fixture
def aus() -> Iterator[str]:
    register(Stream("aus", "action units", (26,)))
    yield "aus"
    del STREAMS["aus"]


def test_it_is_recorded_and_played_again(aus: str, frames: Frames, tmp_path: Path) -> None:
    values = np.arange(26, dtype=np.float32)
    recorder = Recorder(tmp_path / "a.mcap", SessionMetadata(0, 0, Greeting().message(0)))
    recorder.start()
    for frame in frames(20):
        recorder.offer_frame(replace(frame, extra={aus: values + frame.seq}))
    played: list[FaceFrame] = []
    replay = Replay(open_session(recorder.stop()), played.append, speed=20.0)
    replay.start()
    assert replay.ended.wait(60)
    replay.stop()
    assert len(played) == 20
    for frame in played:
        assert frame.extra is not None
        np.testing.assert_array_equal(frame.extra[aus], values + frame.seq)
    assert carried_streams(played[0]) == ("blendshapes", "head", "gaze", aus)
