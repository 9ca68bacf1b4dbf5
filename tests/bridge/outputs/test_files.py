"""A line a frame: to files that other tools read, to pipes that close, to disks that are full."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.takes import Frames
from support.waiting import wait_until

from facewire.bridge.export.livelink_import import import_take
from facewire.bridge.formats.livelink_csv import HEADER
from facewire.bridge.outputs.base import OutputError
from facewire.bridge.outputs.choose import make_output
from facewire.bridge.outputs.runner import Outputs
from facewire.bridge.recording.reader import open_session
from facewire.bridge.shared.arkit import BLENDSHAPES
from facewire.bridge.wire.frame import FaceFrame


def written(spec: str, frames: Iterator[FaceFrame]) -> None:
    output = make_output(spec)
    output.open()
    for frame in frames:
        output.send(frame, frame.publish_ns)
    output.flush()
    output.close()
    output.close()


def test_a_csv_has_live_link_faces_columns(tmp_path: Path, frames: Frames) -> None:
    path = tmp_path / "take.csv"
    written(f"csv:{path}", frames(30))
    with path.open(newline="") as file:
        rows = list(csv.reader(file))
    assert tuple(rows[0]) == HEADER
    assert len(rows) == 31
    assert [row[0] for row in rows[1:4]] == ["00:00:00:00.000", "00:00:00:01.000", "00:00:00:02.000"]
    for frame, row in zip(frames(30), rows[1:], strict=True):
        assert [float(value) for value in row[2:54]] == pytest.approx(frame.blendshapes.tolist(), abs=1e-8)


def test_jsonl_has_every_frame_after_each_flush(tmp_path: Path, frames: Frames) -> None:
    path = tmp_path / "take.jsonl"
    output = make_output(f"jsonl:{path}")
    output.open()
    assert output.batch_s > 0
    for count, frame in enumerate(frames(6), 1):
        output.send(frame, 0)
        assert len(path.read_text().splitlines()) == (count - 1) // 2 * 2
        if count % 2 == 0:
            output.flush()
    lines = path.read_text().splitlines()
    output.close()
    last = json.loads(lines[-1])
    assert (last["seq"], last["sources"], last["time_s"], last["delay_s"]) == (5, "video", 0.083333, 0.009)
    assert list(last["blendshapes"]) == list(BLENDSHAPES)
    assert last["blendshapes"]["jawOpen"] == pytest.approx(float(frame.blendshapes[17]), abs=1e-6)
    assert last["head"]["translation_m"] == pytest.approx([0.01, -0.02, -0.5])


def test_a_file_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("precious")
    with pytest.raises(OutputError, match="already exists"):
        make_output(f"csv:{path}").open()
    assert path.read_text() == "precious"
    with pytest.raises(OutputError, match=r"cannot write .*no/take.csv: No such file"):
        make_output(f"csv:{tmp_path}/no/take.csv").open()
    with pytest.raises(OutputError, match="cannot write"):
        make_output(f"csv:{tmp_path}").open()


@pytest.mark.parametrize("end", [Outputs.stop, lambda outputs: outputs.remove(outputs.specs[0])])
def test_what_waits_at_the_end_is_written_behind_the_rest(
    tmp_path: Path, frames: Frames, end: Callable[[Outputs], None]
) -> None:
    path = tmp_path / "take.jsonl"
    outputs = Outputs(time.perf_counter_ns, lambda _: None)
    outputs.add(f"jsonl:{path}")
    some = list(frames(30))
    for frame in some[:20]:
        outputs.offer(frame)
    wait_until(lambda: outputs.status()[0]["sent"] == 20)
    assert [json.loads(line)["seq"] for line in path.read_text().splitlines()] == list(range(20))
    for frame in some[20:]:
        outputs.offer(frame)
    end(outputs)
    assert [json.loads(line)["seq"] for line in path.read_text().splitlines()] == list(range(30))


@pytest.mark.skipif(sys.platform == "win32", reason="named pipes of this kind are Unix's")
def test_a_reader_that_leaves_ends_that_output_only(tmp_path: Path, frames: Frames) -> None:
    pipe, file, said = tmp_path / "pipe", tmp_path / "take.jsonl", []
    os.mkfifo(pipe)
    first: list[str] = []

    def read() -> None:
        with pipe.open() as stream:
            first.append(stream.readline())

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    outputs = Outputs(time.perf_counter_ns, said.append)
    outputs.add(f"jsonl:{pipe}")
    outputs.add(f"jsonl:{file}")
    wait_until(lambda: outputs.status()[0]["state"] == "on")  # the reader is there
    some = list(frames(20))
    outputs.offer(some[0])
    reader.join(30)
    assert json.loads(first[0])["seq"] == 0
    for frame in some[1:]:
        outputs.offer(frame)

    def states() -> dict[str, dict[str, Any]]:
        return {state["target"]: state for state in outputs.status()}

    wait_until(lambda: "any more" in "".join(said) and states()[str(file)]["sent"] == len(some))
    after = states()
    outputs.stop()
    assert after[str(pipe)]["state"] == "ended"
    assert after[str(file)]["state"] == "on"
    assert said[-1] == f"jsonl: nobody reads {pipe} any more: this output has ended"
    assert [json.loads(line)["seq"] for line in file.read_text().splitlines()] == list(range(20))


@pytest.mark.skipif(sys.platform == "win32", reason="named pipes of this kind are Unix's")
def test_a_pipe_that_nobody_reads_holds_nothing_up_and_its_reader_gets_what_comes_from_then_on(
    tmp_path: Path, frames: Frames
) -> None:
    pipe, said, lines = tmp_path / "pipe", [], []  # type: Path, list[str], list[str]
    os.mkfifo(pipe)
    outputs = Outputs(time.perf_counter_ns, said.append)
    outputs.add(f"jsonl:{pipe}")
    assert said == [f"jsonl: nobody reads {pipe} yet: lines go there as soon as somebody does"]
    some = list(frames(20))
    for frame in some[:10]:
        outputs.offer(frame)
    assert (outputs.status()[0]["state"], outputs.status()[0]["why"]) == ("waiting", f"a reader of {pipe}")

    def read() -> None:
        with pipe.open() as stream:
            for line in stream:
                lines.append(line)  # noqa: PERF402, the test looks at them meanwhile

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    wait_until(lambda: outputs.status()[0]["state"] == "on")
    for frame in some[10:]:
        outputs.offer(frame)
    wait_until(lambda: '"seq":19,' in "".join(lines[-1:]))
    wait_until(lambda: outputs.status()[0]["sent"] == len(lines))
    outputs.stop()
    reader.join(30)
    got = [json.loads(line) for line in lines]
    assert [frame["seq"] for frame in got] == list(range(20 - len(got), 20)), "none is missing from then on"
    assert got[0]["time_s"] == 0


@pytest.mark.skipif(sys.platform == "win32", reason="named pipes of this kind are Unix's")
def test_pipes_that_hang_are_not_waited_for_one_after_the_other(
    tmp_path: Path, frames: Frames, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    join = threading.Thread.join

    def wait(thread: threading.Thread, most_s: float) -> None:
        waits.append(most_s)
        join(thread, most_s)

    monkeypatch.setattr(threading.Thread, "join", wait)
    readers, outputs = [], Outputs(time.perf_counter_ns, lambda _: None)
    for name in ("one", "two", "three"):
        os.mkfifo(tmp_path / name)
        readers.append(os.open(tmp_path / name, os.O_RDONLY | os.O_NONBLOCK))
        outputs.add(f"jsonl:{tmp_path / name}")
    for frame in frames(200):  # more than a pipe holds
        outputs.offer(frame)
    wait_until(lambda: all(state["sent"] for state in outputs.status()))
    outputs.stop()
    assert sum(waits) < 1.5, "the first takes the time that all have"
    for reader in readers:
        os.close(reader)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
def test_a_full_disk_is_one_line(frames: Frames) -> None:
    said: list[str] = []
    outputs = Outputs(time.perf_counter_ns, said.append)
    outputs.add("csv:/dev/full")
    for frame in frames(3):
        outputs.offer(frame)
    wait_until(lambda: bool(said))
    assert outputs.status()[0]["state"] == "ended"
    outputs.stop()
    assert said == ["csv: cannot write /dev/full any more: No space left on device"]


@pytest.mark.skipif(sys.platform == "win32", reason="file sizes are limited by Unix")
def test_a_disk_that_fills_up_has_the_lines_that_are_counted_and_no_half_ones(tmp_path: Path) -> None:
    code = """
import json, resource, sys, time
import numpy as np
from facewire.bridge.wire.frame import FaceFrame
from facewire.bridge.outputs.runner import Outputs
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))  # Python has no signal for it, but an error
outputs = Outputs(time.perf_counter_ns, lambda _: None)
outputs.add("jsonl:take.jsonl")
for seq in range(60):
    outputs.offer(FaceFrame(seq, 0, seq, "video", 1.0, np.zeros(52, "f4"), np.zeros(7, "f4"), np.zeros(4, "f4")))
    time.sleep(0.005)
while outputs.status()[0]["state"] != "ended":
    time.sleep(0.005)
print(json.dumps(outputs.status()))
outputs.stop()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    state = json.loads(done.stdout)[0]
    text = (tmp_path / "take.jsonl").read_text()
    assert [json.loads(line)["seq"] for line in text.splitlines()] == list(range(state["sent"]))
    assert not text or text.endswith("\n")
    assert state["why"] == "cannot write take.jsonl any more: File too large"
    assert state["failed"] > 0


def test_a_standard_output_that_is_closed_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    output = make_output("jsonl:-")
    with pytest.raises(OutputError, match="cannot write standard output: it is closed"):
        output.open()
    output.close()


@pytest.mark.skipif(sys.platform == "win32", reason="pipes of this kind are Unix's")
def test_a_pipe_that_somebody_else_made_not_to_wait_loses_nothing(
    monkeypatch: pytest.MonkeyPatch, frames: Frames
) -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with open(reading, "rb") as reader, open(writing, "w", encoding="utf-8") as out:  # noqa: PTH123, they are descriptors
        monkeypatch.setattr(sys, "stdout", out)
        output = make_output("jsonl:-")
        output.open()
        got: list[bytes] = []
        thread = threading.Thread(target=lambda: got.extend(reader.readline() for _ in range(200)), daemon=True)
        for count, frame in enumerate(frames(200)):
            if count == 1:
                thread.start()
            output.send(frame, 0)
        output.close()
        thread.join(30)
    assert [json.loads(line)["seq"] for line in got] == list(range(200))


def test_the_importer_makes_a_session_of_the_csv(tmp_path: Path, frames: Frames) -> None:
    path, session = tmp_path / "take.csv", tmp_path / "take.mcap"
    written(f"csv:{path}", frames(10))
    import_take(path, session)
    with open_session(session) as take:
        got = [frame for _, frame in take.frames()]
    assert len(got) == 10
    for frame, wanted in zip(got, frames(10), strict=True):
        assert frame.blendshapes == pytest.approx(wanted.blendshapes, abs=2e-6)
        assert frame.head[:4] == pytest.approx(wanted.head[:4], abs=1e-5)
        assert frame.gaze == pytest.approx(wanted.gaze, abs=1e-5)


def test_standard_output_is_a_stream_of_lines(tmp_path: Path) -> None:
    code = """
import numpy as np
from facewire.bridge.wire.frame import FaceFrame
from facewire.bridge.outputs.choose import make_output
output = make_output("jsonl:-")
output.open()
for seq in range(3):
    output.send(FaceFrame(seq, 0, seq, "video", 1.0, np.zeros(52, "f4"), np.zeros(7, "f4"), np.zeros(4, "f4")), 0)
output.close()
print("and others may still print")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    lines = done.stdout.splitlines()
    assert [json.loads(line)["seq"] for line in lines[:3]] == [0, 1, 2]
    assert lines[3:] == ["and others may still print"]
