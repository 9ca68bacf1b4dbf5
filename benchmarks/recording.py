"""Sessions: what recording costs the live path, how large an hour is, seeking, replay timing, kill -9, CSV and back.

Prints a table and one JSON line. About eight minutes; ``--quick`` takes one. Each figure is taken in this run; the
live path is measured with recording on and off in turn, so that a busy machine is busy for both.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # Before NumPy: the fixed work must not spread over the cores.
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from facewire.bridge.export.formats import export
from facewire.bridge.export.livelink_import import import_take
from facewire.bridge.recording.layout import AudioBlock, AudioFormat, SessionMetadata
from facewire.bridge.recording.reader import Session
from facewire.bridge.recording.repair import repair
from facewire.bridge.recording.track import load_track
from facewire.bridge.recording.writer import SessionWriter
from facewire.bridge.server.config import ServerConfig
from facewire.bridge.server.server import LiveServer
from facewire.bridge.shared.clock import now_ns
from facewire.bridge.wire.codec import Encoder
from facewire.bridge.wire.frame import FaceFrame
from facewire.runtime.takes.recorder import COMMIT_NS, Recorder
from facewire.runtime.takes.replay import Replay
from facewire.runtime.tools.quantize import quantize

RATE = 60
START_NS = 5_000_000_000
REPLAYS = 5


def moving_face(count: int) -> Iterator[FaceFrame]:
    """Frames in which every value moves all the time, as filtered tracking does: the hardest to compress."""
    rng = np.random.default_rng(0)
    state = rng.normal(0, 1, 63)
    for seq in range(count):
        state = 0.9 * state + 0.3 * rng.normal(0, 1, 63)
        shapes = quantize(np.clip(0.2 + 0.15 * state[:52], 0, 1).astype(np.float32))
        turn = 0.1 * state[52:55]
        head = quantize(np.array([*turn, np.sqrt(max(0.0, 1 - turn @ turn)), *(0.01 * state[55:58])], np.float32))
        publish_ns = START_NS + seq * 1_000_000_000 // RATE
        yield FaceFrame(
            seq,
            publish_ns - 9_000_000,
            publish_ns,
            "video",
            0.97,
            shapes,
            head,
            quantize((0.1 * state[58:62]).astype(np.float32)),
        )


def speech(seconds: float, rate: int) -> np.ndarray:
    """Noise in the shape of speech: syllables, pauses, more low than high; int16."""
    rng = np.random.default_rng(1)
    noise = rng.normal(0, 1, round(seconds * rate))
    low = np.convolve(noise, np.hanning(24) / 12, "same")
    time_s = np.arange(len(low)) / rate
    loud = np.clip(np.sin(2 * np.pi * 3.1 * time_s), 0, 1) * (np.sin(2 * np.pi * 0.13 * time_s) > -0.6)
    return np.round(np.clip(low * loud * 4000 + noise * 12, -32768, 32767)).astype("<i2")


def write_hour(path: Path, minutes: float, audio: AudioFormat | None) -> None:
    """Write a session as the recorder does: a chunk every half second."""
    writer, encoder = SessionWriter(path, SessionMetadata(0, START_NS), audio=audio), Encoder()
    every = COMMIT_NS * RATE // 1_000_000_000
    samples, block, fed = (speech(60, audio.rate), audio.rate // 50, 0) if audio else (None, 0, 0)
    for frame in moving_face(round(minutes * 60 * RATE)):
        while audio and samples is not None and fed * 1_000_000_000 // audio.rate <= frame.publish_ns - START_NS:
            at = fed % (len(samples) - block)
            place_ns = START_NS + fed * 1_000_000_000 // audio.rate
            writer.add_audio(AudioBlock(place_ns, fed, samples[at : at + block].tobytes()), audio)
            fed += block
        writer.add_frame(encoder.frame(frame), frame.seq, frame.publish_ns)
        if frame.seq % every == every - 1:
            writer.commit()
    writer.finish()


def size_and_seek(folder: Path, minutes: float) -> dict[str, Any]:
    """Sizes of an hour (scaled where ``minutes`` is less), and seeks in it: cold (open, index, first frame) and by
    command."""
    silent, spoken = folder / "silent.mcap", folder / "spoken.mcap"
    write_hour(silent, minutes, None)
    write_hour(spoken, minutes, AudioFormat())
    scale = 60 / minutes / 1e6
    rng = random.Random(2)
    cold, warm = [], []
    for _ in range(30):
        place_ns = START_NS + round(rng.random() * minutes * 60e9)
        start = time.perf_counter()
        with Session(spoken) as session:
            next(session.frames(place_ns))
            cold.append((time.perf_counter() - start) * 1e3)
    arrived: list[float] = []
    replay = Replay(Session(spoken), lambda _: arrived.append(time.perf_counter()))
    replay.start()
    replay.commands["pause"]({})
    for _ in range(50):
        start = time.perf_counter()
        replay.commands["seek"]({"time_s": rng.random() * (minutes * 60 - 1)})
        warm.append((arrived[-1] - start) * 1e3)
    replay.stop()
    return {
        "hour_mb": silent.stat().st_size * scale,
        "hour_with_sound_mb": spoken.stat().st_size * scale,
        "hour_file_minutes": minutes,
        "seek_cold_ms": {"median": statistics.median(cold), "worst": max(cold)},
        "seek_command_ms": {"median": statistics.median(warm), "worst": max(warm)},
    }


def live_path(folder: Path, pairs: int, seconds: float = 1.0) -> dict[str, Any]:
    """Time of a live step (fixed work, publish, offer) and the jitter of publication, with and without recording.

    Pairs of short rounds, off and on in changing order, each compared with its neighbour: on a machine that others use
    too, the median of many such ratios says what one long comparison cannot.
    """
    frames = list(moving_face(RATE * 4))
    work = np.random.default_rng(3).normal(0, 1, (160, 160))
    rows = []
    with LiveServer(ServerConfig(port=0), clock_ns=now_ns) as server:
        for number in range(pairs):
            pair = {}
            for recording in (False, True) if number % 2 else (True, False):
                path = folder / f"live{number}{recording}.mcap"
                pair[recording] = _live_round(path, server, frames, work, seconds, recording=recording)
            rows.append([*pair[False], *pair[True]])
    off_step, off_jitter, on_step, on_jitter = np.array(rows).T
    return {
        "pairs": pairs,
        "step_ms": {"off": float(np.median(off_step)), "on": float(np.median(on_step))},
        "step_ratio": float(np.median(on_step / off_step)),
        "step_ratio_error": _error(on_step / off_step),
        "jitter_ms": {"off": float(np.median(off_jitter)), "on": float(np.median(on_jitter))},
        "jitter_ratio": float(np.median(on_jitter / off_jitter)),
        "jitter_ratio_error": _error(on_jitter / off_jitter),
    }


def _error(ratios: np.ndarray) -> float:
    """Return the standard error of the median, from the quartiles."""
    low, high = np.percentile(ratios, [25, 75])
    return float(0.93 * (high - low) / np.sqrt(len(ratios)))


def _live_round(
    path: Path, server: LiveServer, frames: list[FaceFrame], work: np.ndarray, seconds: float, *, recording: bool
) -> tuple[float, float]:
    """Median of the steps in ms, and the distance between the quartiles of how late they were published, in ms."""
    recorder = Recorder(path, SessionMetadata(0, 0)) if recording else None
    if recorder is not None:
        recorder.start()
    step_ms, late_ms = [], []
    start = time.perf_counter()
    for number in range(round(seconds * RATE)):
        due = start + number / RATE
        time.sleep(max(0.0, due - time.perf_counter()))
        began = time.perf_counter()
        work @ work  # About what tracking is: some milliseconds, mostly outside the interpreter's lock.
        for _ in range(20):
            np.sort(work[:40], axis=None)
        frame = frames[number % len(frames)]
        server.publish(frame)
        if recorder is not None:
            recorder.offer_frame(frame)
        step_ms.append((time.perf_counter() - began) * 1e3)
        late_ms.append((time.perf_counter() - due) * 1e3)
    if recorder is not None:
        recorder.stop()
        assert recorder.counts.refused_frames == 0
    low, high = np.percentile(late_ms, [25, 75])
    return statistics.median(step_ms), float(high - low)


def recorder_cost(folder: Path, seconds: float) -> dict[str, Any]:
    """Processor time of an offer, in the live thread, and of the recorder's own thread: what a busy machine cannot
    blur."""
    frames = list(moving_face(RATE * 2))
    recorder = Recorder(folder / "cost.mcap", SessionMetadata(0, 0))
    recorder.start()
    clock = time.pthread_getcpuclockid(recorder._thread.ident or 0)
    began, offering = time.clock_gettime(clock), 0
    for number in range(round(seconds * RATE)):
        time.sleep(1 / RATE)
        start = time.thread_time_ns()
        recorder.offer_frame(frames[number % len(frames)])
        offering += time.thread_time_ns() - start
    share = (time.clock_gettime(clock) - began) / seconds
    recorder.stop()
    return {"offer_us": offering / 1e3 / (seconds * RATE), "thread_core_share": share}


def replay_timing(folder: Path, seconds: float) -> dict[str, Any]:
    """How far each frame's publication is from its time; beside it, in turns, a bare loop that only sleeps to each
    time."""
    path, encoder = folder / "timing.mcap", Encoder()
    writer = SessionWriter(path, SessionMetadata(0, START_NS))
    for frame in moving_face(round(seconds * RATE / REPLAYS)):
        writer.add_frame(encoder.frame(frame), frame.seq, frame.publish_ns)
        if frame.seq % 30 == 29:
            writer.commit()
    writer.finish()
    errors_ms: list[float] = []
    bare_ms: list[float] = []
    for _ in range(REPLAYS):
        replay = Replay(Session(path), lambda frame: errors_ms.append((replay.clock() - frame.publish_ns) / 1e6))  # noqa: B023
        replay.start()
        replay.ended.wait()
        replay.stop()
        bare_ms += bare_timing(round(seconds * RATE / REPLAYS))
    return {
        "median_ms": statistics.median(errors_ms),
        "p99_ms": float(np.percentile(errors_ms, 99)),
        "bare_median_ms": statistics.median(bare_ms),
        "bare_p99_ms": float(np.percentile(bare_ms, 99)),
        "frames": len(errors_ms),
    }


def bare_timing(count: int) -> list[float]:
    """How late a thread that does nothing but sleep to each frame's time wakes, in ms: what the machine itself
    gives."""
    late_ms, start = [], time.perf_counter()
    for number in range(count):
        due = start + number / RATE
        time.sleep(max(0.0, due - time.perf_counter()))
        late_ms.append((time.perf_counter() - due) * 1e3)
    return late_ms


RECORD_UNTIL_KILLED = """
import os, sys, time
from pathlib import Path
import numpy as np
from facewire.bridge.wire.frame import FaceFrame
from facewire.bridge.recording.layout import SessionMetadata
from facewire.runtime.takes.recorder import Recorder
recorder = Recorder(Path(sys.argv[1]), SessionMetadata(1, 0))
recorder.start()
rest = np.zeros(52, np.float32), np.array([0, 0, 0, 1, 0, 0, 0], np.float32), np.zeros(4, np.float32)
start = time.perf_counter()
for seq in range(10**6):
    time.sleep(max(0, start + seq / 60 - time.perf_counter()))
    now = time.perf_counter_ns()
    recorder.offer_frame(FaceFrame(seq, now, now, "video", 1.0, *rest))
    os.write(1, seq.to_bytes(4, "little"))
"""


def kill_nine(folder: Path, times: int) -> dict[str, Any]:
    """Kill a recording at random moments, repair it, and see what is lost."""
    rng, lost_s, repaired = random.Random(4), [], 0
    for number in range(times):
        path = folder / f"killed{number}.mcap"
        with subprocess.Popen([sys.executable, "-c", RECORD_UNTIL_KILLED, str(path)], stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            child.stdout.read(4)
            time.sleep(0.9 + rng.random() * 1.2)
            child.send_signal(signal.SIGKILL)
            last = int.from_bytes(child.stdout.read()[-4:], "little")
        report = repair(Path(f"{path}.part"), path)
        with Session(path) as session:
            assert [frame.seq for _, frame in session.frames()] == list(range(report.frames))
        repaired += 1
        lost_s.append((last + 1 - report.frames) / 60)
    return {
        "killed": times,
        "repaired": repaired,
        "worst_lost_s": max(lost_s),
        "median_lost_s": statistics.median(lost_s),
    }


def csv_round_trip(folder: Path) -> dict[str, Any]:
    """Export to CSV, import again, and compare every value."""
    path, encoder = folder / "round.mcap", Encoder()
    writer = SessionWriter(path, SessionMetadata(0, START_NS))
    for frame in moving_face(3600):
        writer.add_frame(encoder.frame(frame), frame.seq, frame.publish_ns)
    writer.finish()
    with Session(path) as session:
        export(session, folder / "round.csv")
        before = load_track(session)
    import_take(folder / "round.csv", folder / "back.mcap")
    with Session(folder / "back.mcap") as session:
        after = load_track(session)
    differences = {
        "blendshapes": float(np.abs(after.blendshapes - before.blendshapes).max()),
        "head_rotation": float(np.abs(after.head[:, :4] - before.head[:, :4]).max()),
        "gaze": float(np.abs(after.gaze - before.gaze).max()),
        "times_s": float(np.abs(after.times_s - before.times_s).max()),
    }
    return {"frames": len(after), "greatest_difference": differences}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a shorter hour, fewer rounds")
    parser.add_argument("--minutes", type=float, help="length of the hour-long file (default: 60, quick: 6)")
    parser.add_argument("--kills", type=int, help="how often to kill a recording (default: 50, quick: 5)")
    args = parser.parse_args()
    minutes, kills = args.minutes or (6 if args.quick else 60), args.kills or (5 if args.quick else 50)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        result = {
            "live": live_path(folder, pairs=8 if args.quick else 60),
            "file": size_and_seek(folder, minutes),
            "cost": recorder_cost(folder, 4) if hasattr(time, "pthread_getcpuclockid") else None,
            "replay": replay_timing(folder, 5 if args.quick else 20),
            "csv": csv_round_trip(folder),
            "kill": kill_nine(folder, kills) if os.name != "nt" else None,
        }
    print_table(result)
    with contextlib.suppress(OSError):
        result["load"] = os.getloadavg()[0]
    print(json.dumps({"benchmark": "recording", **result}))


def print_table(result: dict[str, Any]) -> None:
    """Print each figure beside what it must reach."""
    live, file, replay, kill = (result[name] for name in ("live", "file", "replay", "kill"))
    worst = max(value for name, value in result["csv"]["greatest_difference"].items() if name != "times_s")
    rows = [
        (
            "step while recording / not (median)",
            f"{live['step_ratio']:.3f} ± {live['step_ratio_error']:.3f}",
            "<= 1.03",
        ),
        (
            "publish jitter while recording / not",
            f"{live['jitter_ratio']:.3f} ± {live['jitter_ratio_error']:.3f}",
            "<= 1.03",
        ),
        ("an hour at 60 fps", f"{file['hour_mb']:.1f} MB", "<= 60 MB"),
        ("an hour with 16 kHz sound", f"{file['hour_with_sound_mb']:.1f} MB", "<= 180 MB"),
        ("open and seek, median / worst", "{median:.1f} / {worst:.1f} ms".format(**file["seek_cold_ms"]), "<= 50 ms"),
        (
            "seek by command, median / worst",
            "{median:.2f} / {worst:.2f} ms".format(**file["seek_command_ms"]),
            "<= 50 ms",
        ),
        ("replay timing error, median", f"{replay['median_ms']:.3f} ms", "<= 1 ms"),
        ("replay timing error, 99 %", f"{replay['p99_ms']:.3f} ms", "<= 5 ms"),
        ("  a bare sleeping loop, 99 %", f"{replay['bare_p99_ms']:.3f} ms", "the machine"),
        ("CSV and back, greatest difference", f"{worst:.1e}", "<= 1e-6"),
    ]
    if (cost := result["cost"]) is not None:
        rows.insert(2, ("  an offer, in the live thread", f"{cost['offer_us']:.1f} us", ""))
        rows.insert(3, ("  the recorder's thread", f"{100 * cost['thread_core_share']:.2f} %", "of a core"))
    if kill is not None:
        rows.append(("kill -9: repaired", f"{kill['repaired']} of {kill['killed']}", "all"))
        rows.append(("kill -9: lost at most", f"{kill['worst_lost_s']:.2f} s", "<= 1 s"))
    for row in rows:
        print(f"{row[0]:42}{row[1]:>18}   {row[2]}")


if __name__ == "__main__":
    main()
