"""``facewire doctor``: what is here, what is missing, and what to do about it."""

from __future__ import annotations

import argparse
import os
import platform
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Literal

from facewire.bridge.shared.install import install_own, requirements, uninstall
from facewire.models.face.trackers import TRACKERS, TrackerKind
from facewire.models.speech.drivers import DRIVERS, DriverKind
from facewire.runtime.cli.options.usage import Subparsers, command_parser
from facewire.runtime.settings.choices import explained

Verdict = Literal["ok", "note", "bad"]
MARKS = {"ok": "✓", "note": "–", "bad": "✗"}
PACKAGES = ("numpy", "numba", "opencv-python", "websockets", "msgpack")
RUNTIMES = ("onnxruntime-gpu", "onnxruntime")
LEAST_CORES = 2


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report; ``advice`` says what to do if not all is well."""

    verdict: Verdict
    topic: str
    text: str
    advice: str = ""


def add_parser(commands: Subparsers) -> None:
    """Add the command."""
    parser = command_parser(
        commands,
        "doctor",
        "check devices, libraries and networks",
        "Checks what Facewire needs on this machine and says what to do if something is missing.\n"
        "Exits 1 if a live run could not work.",
        "facewire doctor",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print each finding as it is made."""
    del args
    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    console = Console(highlight=False)
    colours = {"ok": "green", "note": "yellow", "bad": "bold red"}
    bad = 0
    for finding in findings():
        bad += finding.verdict == "bad"
        line = Text(f"{MARKS[finding.verdict]} {finding.topic}: {finding.text}")
        line.stylize(colours[finding.verdict], 0, 1)
        console.print(line, soft_wrap=not console.is_terminal)
        if finding.advice and console.is_terminal:
            console.print(Padding(Text(finding.advice), (0, 0, 0, 2), expand=False))
        elif finding.advice:
            print(f"  {finding.advice}")
    return 1 if bad else 0


def findings() -> Iterator[Finding]:
    """Every check in turn; one that fails itself is a finding too."""
    for check in (
        _system,
        _libraries,
        _networks,
        _choices,
        _processor,
        _gpu,
        _cameras,
        _microphones,
        _phones,
        _kernel_cache,
        _port,
    ):
        yield from _guarded(check)


def _guarded(check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    try:
        yield from check()
    except Exception as error:  # a broken library must not hide what the other checks find
        yield Finding("bad", check.__name__.strip("_").replace("_", " "), f"the check failed: {error}")


def _system() -> Iterator[Finding]:
    yield Finding("ok", "facewire", metadata.version("facewire"))
    python = platform.python_version()
    yield Finding("ok", "system", f"{platform.system()} {platform.release()} on {platform.machine()}, Python {python}")


def _libraries() -> Iterator[Finding]:
    found = []
    for name in PACKAGES:
        version = _version(name)
        if version is None:
            yield Finding("bad", name, "is not installed", f"install it with: {install_own(name)}")
        else:
            found.append(f"{name} {version}")
    runtimes = [f"{name} {version}" for name in RUNTIMES if (version := _version(name))]
    if not runtimes:
        yield Finding("bad", "onnxruntime", "is not installed", f"install it with: {install_own(_runtime())}")
    elif len(runtimes) > 1:
        # The two share one folder; the one installed last wins.
        own = install_own(_runtime())
        advice = f"keep one: {uninstall(*RUNTIMES)}, then {own}"
        yield Finding("note", "onnxruntime", "both builds are installed and overwrite each other", advice)
    yield Finding("ok", "libraries", ", ".join(found + runtimes))


def _runtime() -> str:
    """Return the build of ONNX Runtime that this system has."""
    ours = tuple(requirements(None))
    return next((name for name in RUNTIMES if any(one.startswith(f"{name}>") for one in ours)), RUNTIMES[-1])


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _networks() -> Iterator[Finding]:
    from facewire.models.assets.store import list_assets
    from facewire.models.folders import cache_folder
    from facewire.runtime.session.networks import registered_assets

    wanted = {asset.name for asset in list_assets() if asset.pulled_by_default}.union(registered_assets())
    missing = [asset.name for asset in list_assets() if asset.name in wanted and not asset.cached]
    if missing:
        yield Finding("note", "networks", f"not fetched: {', '.join(missing)}", "fetch them with: facewire models pull")
    else:
        yield Finding("ok", "networks", f"all ready in {cache_folder()}")


def _choices() -> Iterator[Finding]:
    """Report what can be chosen to track a face and to make motion of speech, and what has to be fetched first."""
    from facewire.models.assets.store import list_assets

    missing = {asset.name for asset in list_assets() if not asset.cached}
    registries: tuple[tuple[str, Mapping[str, TrackerKind | DriverKind]], ...]
    registries = (("trackers", TRACKERS), ("speech", DRIVERS))
    for topic, registry in registries:
        late = [name for name, kind in registry.items() if missing.intersection(kind.assets)]
        advice = f"fetch what {', '.join(late)} needs with: facewire models pull" if late else ""
        yield Finding("note" if late else "ok", topic, explained(registry), advice)


def _processor() -> Iterator[Finding]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if cores < LEAST_CORES:
        advice = "use --mesh attention, the lighter network"
        yield Finding("note", "processor", f"{cores} core for tracking, serving and everything else", advice)
    else:
        yield Finding("ok", "processor", f"{cores} cores (tracking uses one)")


def _gpu() -> Iterator[Finding]:
    from facewire.models.assets.store import asset_path
    from facewire.models.sessions import create_session, cuda_trouble

    trouble = cuda_trouble()
    if not trouble:
        create_session(asset_path("face_blendshapes", offline=True), device="cuda")
        yield Finding("ok", "GPU", "CUDA works")
    elif "no NVIDIA driver" in trouble:
        yield Finding("ok", "GPU", "none from NVIDIA; the processor is enough")
    else:
        yield Finding("note", "GPU", "not in use; the processor is enough", f"for a GPU: {trouble}")


def _cameras() -> Iterator[Finding]:
    from facewire.runtime.capture.video.camera import list_cameras

    cameras = list_cameras()
    for camera in cameras:
        path = f"/dev/video{camera.index}"
        if os.access(path, os.R_OK | os.W_OK):
            kind = "" if camera.seems == "camera" else f" ({camera.seems}: auto takes it last)"
            yield Finding("ok", f"camera {camera.index}", f"{camera.name}{kind}")
        else:
            advice = f"allow it with: sudo usermod -aG $(stat -c %G {path}) $USER, and log in again"
            yield Finding("note", f"camera {camera.index}", f"{camera.name}: you are not allowed to use it", advice)
    if not cameras and sys.platform == "linux":
        advice = "plug one in, use a file or an address, or try: facewire serve --video demo"
        yield Finding("note", "camera", "none found", advice)
    elif not cameras:
        yield Finding("ok", "camera", "this system does not list them; try: facewire serve --video 0")


def _microphones() -> Iterator[Finding]:
    from facewire.runtime.capture.sound.microphone import list_microphones
    from facewire.runtime.capture.video.source import CaptureError

    try:
        microphones = list_microphones()
    except CaptureError as error:
        yield Finding("note", "microphone", "PyAudio is not installed", str(error))
        return
    if not microphones:
        advice = (
            "plug one in, or go on with the camera; on Linux, is PulseAudio or PipeWire running? "
            "To try speech without one: facewire serve --video demo --audio demo"
        )
        yield Finding("note", "microphone", "none found", advice)
    for microphone in microphones:
        default = ", the default" if microphone.is_default else ""
        yield Finding("ok", "microphone", f"{microphone.id}: {microphone.name}, {microphone.rate} Hz{default}")


def _phones() -> Iterator[Finding]:
    """Report the ports where apps that track a face themselves are received: livelink, ifacialmocap and vmc."""
    from facewire.runtime.capture.remote.choose_phone import APPS, LOOPBACK
    from facewire.runtime.capture.remote.phone import NO_NETWORK
    from facewire.runtime.tools.network import find_own_address

    taken, free = [], []
    for name, app in APPS.items():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind((LOOPBACK, app.port))
                free.append(f"--video {name} on UDP {app.port}")
            except OSError:
                taken.append(f"UDP {app.port} ({app.title})")
    if free:
        machine = find_own_address() or f"this machine's address ({NO_NETWORK})"
        advice = f"these hear this machine only; for a phone: --video livelink:0.0.0.0, and have it send to {machine}"
        yield Finding("ok", "phones", f"can be received: {', '.join(free)}", advice)
    if taken:
        advice = "another program receives from that app: stop it, or name another port: --video livelink:0.0.0.0:11112"
        yield Finding("note", "phones", f"taken: {', '.join(taken)}", advice)


def _kernel_cache() -> Iterator[Finding]:
    from facewire.models.folders import CACHE_VARIABLE
    from facewire.models.kernel_cache import kernel_folder, kernel_trouble

    folder = kernel_folder()
    if folder is not None:
        yield Finding("ok", "compiled kernels", f"kept in {folder}")
    else:
        advice = f"set {CACHE_VARIABLE} to a folder of your own; without it each start takes seconds longer"
        yield Finding("note", "compiled kernels", f"cannot be kept ({kernel_trouble()})", advice)


def _port() -> Iterator[Finding]:
    with socket.socket() as probe:
        if sys.platform != "win32":  # as the server does; on Windows this would share the port
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", 8787))
            yield Finding("ok", "port 8787", "free")
        except OSError:
            advice = "another facewire? See it with: facewire tail; or serve with --listen 127.0.0.1:0"
            yield Finding("note", "port 8787", "taken", advice)
