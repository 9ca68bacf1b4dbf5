"""``facewire bench``: how fast this machine tracks, as a table."""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from facewire.runtime.cli.options.usage import Subparsers, command_parser, positive

if TYPE_CHECKING:
    from facewire.bridge.shared.arrays import Image
    from facewire.runtime.pipeline import FacePipeline

MESHES = ("v2", "attention")
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
    """Adds the command."""
    parser = command_parser(
        commands,
        "bench",
        "measure this machine",
        "Tracks the demo face with both networks and prints how long each part takes, from picture to packed message.",
        "facewire bench",
    )
    parser.add_argument(
        "--seconds", metavar="S", type=positive, default=5.0, help="how long to measure each network (default: 5)"
    )
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where the networks run")
    parser.set_defaults(run=run, mirror=False, smoothing="medium")


def run(args: argparse.Namespace) -> int:
    """Measures and prints. Raises ModelError."""
    from rich.console import Console
    from rich.table import Table

    from facewire.runtime.cli.options.networks import make_pipeline

    console = Console(highlight=False)
    pictures = demo_pictures()
    table = Table(box=None, pad_edge=False)
    for title in ("mesh", "track", "filter", "pack", "whole", "95 %", "at most"):
        table.add_column(title, justify="left" if title == "mesh" else "right", no_wrap=True)
    with console.status("measuring") if console.is_terminal else console.capture():
        for mesh in MESHES:
            timing = measure(
                mesh, make_pipeline(argparse.Namespace(**vars(args) | {"mesh": mesh})), pictures, args.seconds
            )
            times = (timing.track_ms, timing.filter_ms, timing.pack_ms, timing.whole_ms, timing.whole_p95_ms)
            table.add_row(mesh, *(f"{ms:.2f}" for ms in times), f"{timing.rate:.0f} fps")
    console.print(table)
    console.print(
        "Medians in ms for one 640×480 picture; a camera gives one every 33.3 ms (30 fps) or 16.7 ms (60 fps)."
    )
    return 0


def demo_pictures() -> list[Image]:
    """Two seconds of the demo face, drawn beforehand so that drawing is not measured."""
    from facewire.runtime.capture.video.demo import DemoSource
    from facewire.runtime.cli.options.networks import fetch

    source = DemoSource(lambda: fetch(["demo_face"])[0], paced=False)
    source.open()
    captured = [source.read() for _ in range(PICTURES)]
    return [picture.image for picture in captured if picture is not None]


def measure(mesh: str, pipeline: FacePipeline, pictures: list[Image], seconds: float) -> Timing:
    """Times the whole way of a picture, part by part, for about ``seconds``."""
    import numpy as np

    from facewire.bridge.wire.codec import Encoder

    encoder, clock = Encoder(), time.perf_counter_ns
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
