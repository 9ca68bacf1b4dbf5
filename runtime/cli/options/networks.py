"""Making the pipeline that a command line asked for, with a progress bar where something has to be fetched first."""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from facewire.models.assets.store import asset_path, list_assets
from facewire.runtime.cli.options.files import require_file
from facewire.runtime.cli.options.usage import OPEN_FLAME, say

if TYPE_CHECKING:
    from rich.progress import TaskID

    from facewire.models.flame import FlameModel
    from facewire.runtime.face.calibrate import Calibrator
    from facewire.runtime.face.tracking import TrackerFactory
    from facewire.runtime.flame.blend import LiveFlame
    from facewire.runtime.fusion.fuse import Fusion
    from facewire.runtime.pipeline import FacePipeline, Watch

SLOW_S = 3.0
MESH_ASSETS = {"v2": ("face_mesh_v2",), "attention": ("attention_mesh", "face_mesh_v2")}  # V2 anchors the other


def tracking_assets(mesh: str) -> list[str]:
    """What a tracker with this mesh loads."""
    return [*MESH_ASSETS[mesh], "face_detector", "face_blendshapes", "face_geometry"]


def fetch(names: Iterable[str], *, quiet: bool = False) -> list[Path]:
    """The paths of the assets, fetched first where they are not cached. Raises ModelError."""
    wanted = list(names)
    missing = {asset.name for asset in list_assets() if not asset.cached}.intersection(wanted)
    if not missing or quiet or not sys.stderr.isatty():
        return [asset_path(name) for name in wanted]
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    columns = TextColumn("{task.description}"), BarColumn(bar_width=20), TaskProgressColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        tasks: dict[str, TaskID] = {}

        def show(what: str, done: int, total: int) -> None:
            name = what.partition(" (")[0]  # behind it stands the source that is being tried
            if name not in tasks:
                tasks[name] = bars.add_task(f"fetching {name}")
            bars.update(tasks[name], completed=done, total=total or None)

        return [asset_path(name, progress=show) for name in wanted]


def tracker_factory(mesh: str) -> TrackerFactory:
    """What makes trackers with this mesh; its weights are fetched first. Raises ModelError."""
    fetch(tracking_assets(mesh))
    from facewire.models.face import FaceTracker

    return lambda device: FaceTracker(mesh, device=device)  # type: ignore[arg-type]


def make_pipeline(
    args: argparse.Namespace,
    *,
    calibrator: Calibrator | None = None,
    fusion: Fusion | None = None,
    camera: bool = True,
    flame: LiveFlame | None = None,
    watch: Watch | None = None,
) -> FacePipeline:
    """The pipeline for ``add_tracking_options``'s options, without networks where there is nothing to look at: no
    ``camera``. Raises ModelError."""
    with patience():
        from facewire.runtime.face.filter_config import FilterConfig
        from facewire.runtime.face.filters import FaceFilter
        from facewire.runtime.pipeline import FacePipeline

        return FacePipeline(
            tracker_factory(args.mesh) if camera else None,
            device=args.device,
            mirror=args.mirror,
            calibrator=calibrator,
            face_filter=FaceFilter(FilterConfig.preset(args.smoothing)),
            fusion=fusion,
            flame=flame,
            watch=watch,
        )


def make_flame(args: argparse.Namespace) -> LiveFlame | None:
    """What makes FLAME frames for ``add_flame_option``'s option; None without it. Raises ModelError."""
    if args.flame is None:
        return None
    fetch(["face_geometry"])
    with patience():
        from facewire.runtime.flame.blend import LiveFlame

        return LiveFlame(flame_model(args.flame))


def flame_model(name: str) -> FlameModel:
    """The model that ``--flame`` names. Raises UsageError and ModelError."""
    from facewire.models.flame import load_flame, open_flame

    if name == OPEN_FLAME:
        return open_flame()
    require_file(Path(name))
    return load_flame(Path(name))


@contextmanager
def patience() -> Iterator[None]:
    """Says what takes so long where it does: kernels are compiled by the first start and kept for the others."""
    timer = threading.Timer(SLOW_S, say, ["getting ready; the first start compiles, which takes some seconds more"])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
