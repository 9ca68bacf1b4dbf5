"""``facewire bench``: how fast this machine tracks, as a table."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import TYPE_CHECKING

from facewire.bridge.shared.clock import now_ns
from facewire.models.face.trackers import TRACKERS
from facewire.models.speech.drivers import DriverOptions, free_drivers, make_driver
from facewire.runtime.cli.options.usage import Subparsers, command_parser, positive
from facewire.runtime.session.options import TrackingOptions

if TYPE_CHECKING:
    from facewire.bridge.shared.arrays import Image
    from facewire.runtime.pipeline import FacePipeline

WARM_UP = 15
PICTURES = 60


@dataclass(frozen=True, slots=True)
class Timing:
    """Medians of one mesh in milliseconds, and the time that one picture in twenty exceeds."""

    mesh: str
    track_ms: float
    filter_ms: float
    pack_ms: float
    whole_ms: float
    whole_p95_ms: float

    @property
    def rate(self) -> float:
        """Pictures a second that one core could take."""
        return 1e3 / self.whole_ms


def add_parser(commands: Subparsers) -> None:
    """Add the command."""
    parser = command_parser(
        commands,
        "bench",
        "measure this machine",
        "Tracks the demo face with every tracker and prints how long each part takes, from picture to packed message,\n"
        "then how long each speech driver takes to make the motion of a sixtieth of a second.",
        "facewire bench",
    )
    parser.add_argument(
        "--seconds", metavar="S", type=positive, default=5.0, help="how long to measure each (default: 5)"
    )
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where the networks run")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Measure and print.

    Raises:
        ModelError: a network or its file cannot be used.
    """
    from rich.console import Console
    from rich.table import Table

    from facewire.runtime.session.networks import make_pipeline

    console = Console(highlight=False)
    pictures = demo_pictures()
    table, speech = Table(box=None, pad_edge=False), Table(box=None, pad_edge=False)
    for title in ("mesh", "track", "filter", "pack", "whole", "95 %", "at most"):
        table.add_column(title, justify="left" if title == "mesh" else "right", no_wrap=True)
    for title in ("speech", "tick", "95 %", "delay"):
        speech.add_column(title, justify="left" if title == "speech" else "right", no_wrap=True)
    with console.status("measuring") if console.is_terminal else console.capture():
        for mesh in TRACKERS:
            timing = measure(mesh, make_pipeline(TrackingOptions(mesh, args.device)), pictures, args.seconds)
            times = (timing.track_ms, timing.filter_ms, timing.pack_ms, timing.whole_ms, timing.whole_p95_ms)
            table.add_row(mesh, *(f"{ms:.2f}" for ms in times), f"{timing.rate:.0f} fps")
        for name, kind in free_drivers().items():
            median_ms, p95_ms, delay_ms = measure_driver(name, kind.look_ahead_ms, args.device, args.seconds)
            speech.add_row(name, f"{median_ms:.2f}", f"{p95_ms:.2f}", f"{delay_ms:.0f}")
    console.print(table)
    console.print(speech)
    console.print(
        "Medians in ms for one 640×480 picture; a camera gives one every 33.3 ms (30 fps) or 16.7 ms (60 fps), as does "
        "speech its ticks."
    )
    return 0


def demo_pictures() -> list[Image]:
    """Two seconds of the demo face, drawn in advance so that drawing is not measured."""
    from facewire.runtime.capture.video.demo import DemoSource
    from facewire.runtime.session.networks import fetch

    source = DemoSource(lambda: fetch(["demo_face"])[0], paced=False)
    source.open()
    captured = [source.read() for _ in range(PICTURES)]
    return [picture.image for picture in captured if picture is not None]


def measure(mesh: str, pipeline: FacePipeline, pictures: list[Image], seconds: float) -> Timing:
    """Time the whole way of a picture, part by part, for about ``seconds``."""
    import numpy as np

    from facewire.bridge.wire.codec import Encoder

    encoder, clock = Encoder(), now_ns
    rows: list[tuple[int, int, int, int]] = []
    end_ns, i = clock() + int(seconds * 1e9), 0
    while clock() < end_ns or len(rows) <= WARM_UP:
        frame_ns = i * 33_333_333
        start = clock()
        pipeline.track(pictures[i % len(pictures)], frame_ns)
        tracked = clock()
        frame = pipeline.finish(i, frame_ns, frame_ns, clock)
        filtered = clock()
        encoder.frame(frame)
        packed = clock()
        rows.append((tracked - start, filtered - tracked, packed - filtered, packed - start))
        i += 1
    times_ms = np.array(rows[WARM_UP:]) * 1e-6
    track, filtering, packing, whole = np.median(times_ms, axis=0).tolist()
    return Timing(mesh, track, filtering, packing, whole, float(np.percentile(times_ms[:, 3], 95)))


def measure_driver(name: str, look_ahead_ms: int, device: str, seconds: float) -> tuple[float, float, float]:
    """Time the ticks of a speech driver on noise; return their median, the time that one in twenty exceeds, and the
    driver's delay, all in ms."""
    import numpy as np

    from facewire.models.speech.features import SAMPLE_RATE
    from facewire.runtime.session.networks import notify_if_slow

    with notify_if_slow():
        driver = make_driver(name, DriverOptions(look_ahead_ms=look_ahead_ms, device=device))
    sound = np.random.default_rng(1).normal(0.0, 0.1, SAMPLE_RATE).astype(np.float32)
    clock, block = now_ns, SAMPLE_RATE // 60
    times_ns: list[int] = []
    end_ns, i = clock() + int(seconds * 1e9), 0
    while clock() < end_ns or len(times_ns) <= WARM_UP:
        start = clock()
        driver.push(sound[i % 59 * block :][:block])
        driver.step()
        times_ns.append(clock() - start)
        i += 1
    times_ms = np.array(times_ns[WARM_UP:]) * 1e-6
    return float(np.median(times_ms)), float(np.percentile(times_ms, 95)), float(driver.delay_ms)
