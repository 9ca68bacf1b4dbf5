"""The networks of a run: fetched with a progress bar, and loaded, with a notice if that is slow."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from facewire.models.assets.store import asset_path, list_assets
from facewire.models.face.trackers import TRACKERS, make_tracker
from facewire.models.speech.drivers import DRIVERS, DriverOptions, make_driver, parse_driver
from facewire.runtime.session.options import OPEN_FLAME, SpeechOptions, TrackingOptions
from facewire.runtime.tools.terminal import notify

if TYPE_CHECKING:
    from rich.progress import TaskID

    from facewire.models.flame import FlameModel
    from facewire.runtime.face.calibrate import Calibrator
    from facewire.runtime.face.tracking import TrackerFactory
    from facewire.runtime.flame.blend import LiveFlame
    from facewire.runtime.fusion.fuse import Fusion
    from facewire.runtime.pipeline import FacePipeline, Watch
    from facewire.runtime.sound.nearness import NearGate
    from facewire.runtime.speech.pipeline import SpeechDriver, SpeechPipeline

SLOW_S = 3.0


def registered_assets() -> list[str]:
    """Return what the registered trackers and speech drivers load, each once."""
    kinds = [kind.assets for kind in TRACKERS.values()] + [kind.assets for kind in DRIVERS.values()]
    return list(dict.fromkeys(name for assets in kinds for name in assets))


def fetch(names: Iterable[str], *, quiet: bool = False) -> list[Path]:
    """Return the paths of the assets, fetched first if they are not cached.

    Raises:
        ModelError: one cannot be fetched.
    """
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
    """Return what makes trackers of that name; its weights are fetched first.

    Raises:
        ModelError: they cannot be fetched.
    """
    fetch(TRACKERS[mesh].assets)
    return lambda device: make_tracker(mesh, device)


def make_pipeline(
    tracking: TrackingOptions,
    *,
    calibrator: Calibrator | None = None,
    fusion: Fusion | None = None,
    camera: bool = True,
    flame: LiveFlame | None = None,
    watch: Watch | None = None,
) -> FacePipeline:
    """Return the pipeline of a run, without networks if there is nothing to look at: no ``camera``.

    Raises:
        ModelError: a network cannot be fetched or started.
    """
    with notify_if_slow():
        from facewire.runtime.face.filter_config import FilterConfig
        from facewire.runtime.face.filters import FaceFilter
        from facewire.runtime.pipeline import FacePipeline

        return FacePipeline(
            tracker_factory(tracking.mesh) if camera else None,
            device=tracking.device,
            mirror=tracking.mirror,
            calibrator=calibrator,
            face_filter=FaceFilter(FilterConfig.preset(tracking.smoothing)),
            fusion=fusion,
            flame=flame,
            watch=watch,
        )


def make_flame(name: str | None) -> LiveFlame | None:
    """Return what makes FLAME frames with the model of that name; None without one.

    Raises:
        ModelError: the model cannot be read.
    """
    if name is None:
        return None
    fetch(["face_geometry"])
    with notify_if_slow():
        from facewire.runtime.flame.blend import LiveFlame

        return LiveFlame(flame_model(name))


def flame_model(name: str) -> FlameModel:
    """Return the model in a file, or the open head.

    Raises:
        ModelError: the file is not a FLAME model.
    """
    from facewire.models.flame import load_flame, open_flame

    return open_flame() if name == OPEN_FLAME else load_flame(Path(name))


def make_speech(
    options: SpeechOptions, *, device: str, flame: str | None = None, near: NearGate | None = None
) -> SpeechPipeline:
    """Return the pipeline that makes motion of speech; ``near`` is its gate if that knows the user already.

    Raises:
        ModelError: a network cannot be fetched or started, or does not take what is asked of it.
    """
    fetch(["voice_activity", *DRIVERS[parse_driver(options.driver)[0]].assets])
    with notify_if_slow():
        from facewire.models.speech.voice import VoiceDetector
        from facewire.runtime.sound.nearness import NearGate
        from facewire.runtime.speech.pipeline import SpeechPipeline

        near = near or NearGate(options.mic_gate)
        return SpeechPipeline(speech_driver(options, device=device, flame=flame), VoiceDetector(), near)


def speech_driver(options: SpeechOptions, *, device: str, flame: str | None = None) -> SpeechDriver:
    """Load the driver that ``--speech`` names.

    Raises:
        ModelError: it cannot be loaded, or does not take the other options.
    """
    name, file = parse_driver(options.driver)
    kind = DRIVERS[name]
    asked = DriverOptions(
        file=file,
        look_ahead_ms=kind.look_ahead_ms if options.look_ahead_ms is None else options.look_ahead_ms,
        style=options.style,
        expressiveness=options.expressiveness,
        encoder=options.encoder,
        device=device,
        flame=_spoken_flame(flame) if kind.moves_flame else None,
    )
    driver: SpeechDriver = make_driver(name, asked)
    return driver


def _spoken_flame(name: str | None) -> FlameModel | None:
    """Return the FLAME whose parameters a published FaceFormer can give: the run's, if it is of VOCASET's mesh; else
    FLAME follows the shapes, as with our own network."""
    if name is None:
        return None
    from facewire.models.flame.vertices import VOCASET_VERTICES

    model = flame_model(name)
    if len(model.template) == VOCASET_VERTICES:
        return model
    notify(
        f"{model.name} is not the mesh that FaceFormer moves: FLAME follows its blendshapes (name a FLAME file of "
        f"{VOCASET_VERTICES} vertices with --flame to have its own motion)"
    )
    return None


@contextmanager
def notify_if_slow() -> Iterator[None]:
    """Say why it takes long, if it does: kernels are compiled by the first start and kept for the others."""
    timer = threading.Timer(SLOW_S, notify, ["getting ready; the first start compiles, which takes some seconds more"])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
