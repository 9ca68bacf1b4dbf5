"""What the wheel holds, and what each package may import."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from support.imports import PACKAGES, Graph, circles, read_graph, rooms
from support.paths import ROOT

ARCHITECTURE = ROOT / "docs" / "architecture.md"
MOST_MODULES, MOST_LINES = 14, 40
GENERAL_NAMES = {"base", "common", "core", "helpers", "live", "misc", "types", "util", "utils"}
"""Names that say nothing of what a module holds: each may stand once, if at all."""
BRIDGE_ROOMS = sorted(path.name for path in (ROOT / "bridge").iterdir() if (path / "__init__.py").is_file())

ROOMS: Graph = {
    "bridge.shared": set(),
    "bridge.wire": {"bridge.shared"},
    "bridge.server": {"bridge.server.arrival", "bridge.shared", "bridge.wire"},
    "bridge.server.arrival": {"bridge.shared"},
    "bridge.client": {"bridge.shared", "bridge.wire"},
    "bridge.recording": {"bridge.shared", "bridge.wire"},
    "bridge.export": {"bridge.formats", "bridge.mapping", "bridge.recording", "bridge.shared", "bridge.wire"},
    "bridge.formats": {"bridge.mapping", "bridge.shared", "bridge.wire"},
    "bridge.mapping": {"bridge.shared", "bridge.wire"},
    "bridge.outputs": {"bridge.formats", "bridge.mapping", "bridge.shared", "bridge.wire"},
    "bridge.outputs.vrchat": {"bridge.formats", "bridge.mapping", "bridge.outputs", "bridge.shared", "bridge.wire"},
    "bridge.outputs.vts": {"bridge.mapping", "bridge.outputs", "bridge.shared", "bridge.wire"},
    "bridge": {"bridge.client", "bridge.server", "bridge.shared", "bridge.wire"},
    "models": {"bridge.shared"},
    "models.assets": {"bridge.shared", "models", "models.tflite"},
    "models.tflite": {"models"},
    "models.face": {"bridge.shared", "models", "models.assets"},
    "models.face.training": {"bridge.shared", "models", "models.assets", "models.face"},
    "models.speech": {"bridge.shared", "models", "models.assets", "models.flame", "models.speech.decode"},
    "models.speech.decode": {"bridge.shared", "models"},
    "models.speech.weights": set(),
    "models.speech.training": {"bridge.shared", "models", "models.speech", "models.speech.training.voices"},
    "models.speech.training.voices": {"bridge.shared", "models", "models.speech"},
    "models.flame": {"bridge.shared", "models", "models.head"},
    "models.flame.fit": {
        "bridge.shared",
        "models",
        "models.assets",
        "models.face",
        "models.flame",
        "models.flame.registration",
        "models.flame.skin",
    },
    "models.flame.maps": {
        "bridge.shared",
        "models",
        "models.flame",
        "models.flame.registration",
        "models.flame.skin",
        "models.head",
    },
    "models.flame.skin": {"bridge.shared", "models", "models.flame"},
    "models.flame.registration": {"bridge.shared", "models", "models.assets", "models.face", "models.flame"},
    "models.flame.build": {
        "bridge.shared",
        "models.assets",
        "models.face",
        "models.face.training",
        "models.flame",
        "models.flame.fit",
        "models.flame.registration",
        "models.flame.skin",
        "models.head",
    },
    "models.head": {"bridge.shared"},
    "runtime": {
        "bridge.shared",
        "bridge.wire",
        "runtime.capture.video",
        "runtime.face",
        "runtime.fusion",
        "runtime.tools",
    },
    "runtime.tools": {"bridge.shared"},
    "runtime.capture": {"bridge.shared", "runtime.capture.remote", "runtime.capture.video"},
    "runtime.capture.video": {"bridge.shared", "runtime.tools"},
    "runtime.capture.remote": {
        "bridge.formats",
        "bridge.outputs",
        "bridge.shared",
        "runtime.capture.video",
        "runtime.tools",
    },
    "runtime.capture.sound": {"bridge.shared", "runtime.capture.video", "runtime.sound"},
    "runtime.sound": {"bridge.export", "bridge.recording", "bridge.shared", "models"},
    "runtime.speech": {"bridge.recording", "bridge.shared", "runtime.capture.sound", "runtime.sound", "runtime.tools"},
    "runtime.face": {"bridge.shared", "models"},
    "runtime.fusion": {"bridge.shared", "runtime.face"},
    "runtime.flame": {
        "bridge.server",
        "bridge.shared",
        "bridge.wire",
        "models.assets",
        "models.face",
        "models.flame",
        "models.flame.fit",
        "models.flame.maps",
        "models.flame.registration",
        "runtime.face",
        "runtime.plot",
        "runtime.tools",
    },
    "runtime.takes": {
        "bridge.recording",
        "bridge.shared",
        "bridge.wire",
        "runtime",
        "runtime.capture.sound",
        "runtime.capture.video",
        "runtime.settings",
        "runtime.tools",
    },
    "runtime.bake": {
        "bridge.export",
        "bridge.formats",
        "bridge.recording",
        "bridge.shared",
        "bridge.wire",
        "models.head",
        "runtime",
        "runtime.capture.sound",
        "runtime.capture.video",
        "runtime.flame",
        "runtime.sound",
        "runtime.speech",
    },
    "runtime.plot": {"bridge.export", "bridge.recording", "bridge.shared"},
    "runtime.settings": {
        "bridge.outputs",
        "bridge.shared",
        "models.face",
        "models.speech",
        "runtime.face",
        "runtime.fusion",
        "runtime.sound",
    },
    "runtime.panel": {
        "bridge.outputs",
        "bridge.shared",
        "bridge.wire",
        "models.face",
        "models.speech",
        "runtime",
        "runtime.capture.video",
        "runtime.face",
        "runtime.fusion",
        "runtime.settings",
        "runtime.sound",
        "runtime.tools",
    },
    "runtime.session": {
        "bridge.recording",
        "bridge.server",
        "bridge.shared",
        "bridge.wire",
        "models.assets",
        "models.face",
        "models.flame",
        "models.speech",
        "runtime",
        "runtime.capture",
        "runtime.capture.remote",
        "runtime.capture.sound",
        "runtime.capture.video",
        "runtime.face",
        "runtime.flame",
        "runtime.fusion",
        "runtime.panel",
        "runtime.settings",
        "runtime.sound",
        "runtime.speech",
        "runtime.takes",
        "runtime.tools",
    },
    "runtime.cli": {"bridge.shared", "runtime.cli.commands", "runtime.cli.options", "runtime.tools"},
    "runtime.cli.options": {
        "bridge.formats",
        "bridge.outputs",
        "bridge.server",
        "bridge.server.arrival",
        "bridge.shared",
        "models",
        "models.face",
        "models.speech",
        "runtime.face",
        "runtime.fusion",
        "runtime.panel",
        "runtime.session",
        "runtime.settings",
        "runtime.sound",
    },
    "runtime.cli.commands": {
        "bridge.client",
        "bridge.export",
        "bridge.formats",
        "bridge.recording",
        "bridge.shared",
        "bridge.wire",
        "models",
        "models.assets",
        "models.face",
        "models.flame",
        "models.flame.maps",
        "models.flame.registration",
        "models.speech",
        "models.speech.training",
        "runtime",
        "runtime.bake",
        "runtime.capture.remote",
        "runtime.capture.sound",
        "runtime.capture.video",
        "runtime.cli.options",
        "runtime.flame",
        "runtime.fusion",
        "runtime.plot",
        "runtime.session",
        "runtime.settings",
        "runtime.sound",
        "runtime.speech",
        "runtime.takes",
        "runtime.tools",
    },
}
"""Which room may import which. A package's own name is its hall: the modules that lie in no room."""


def tracked_files(folder: str) -> set[str]:
    listing = subprocess.run(["git", "ls-files", folder], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return set(listing.split())


def test_wheel_holds_every_tracked_file_of_the_packages(tmp_path: Path) -> None:
    shutil.rmtree(ROOT / "build", ignore_errors=True)  # setuptools would pack what an earlier build left there
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    in_wheel = {
        name.removeprefix("facewire/") for name in zipfile.ZipFile(wheel).namelist() if name.startswith("facewire/")
    }
    for package in PACKAGES:
        assert {name for name in in_wheel if name.startswith(f"{package}/")} == tracked_files(package)


@pytest.fixture(scope="module")
def graph() -> Graph:
    return read_graph(ROOT)


def test_rooms_import_what_the_table_says_and_no_more(graph: Graph) -> None:
    assert rooms(graph, ROOT) == ROOMS


def test_the_architecture_shows_the_same_table() -> None:
    text = ARCHITECTURE.read_text(encoding="utf-8").partition("<!-- rooms -->")[2].partition("<!-- end of rooms -->")[0]
    rows = re.findall(r"^\| `([a-z_.]+)` \|.*\| ([^|]*) \|$", text, re.M)
    assert {room: set(re.findall(r"`([a-z_.]+)`", others)) for room, others in rows} == ROOMS


def test_no_two_modules_and_no_two_rooms_import_each_other(graph: Graph) -> None:
    assert circles(graph) == []
    assert circles(rooms(graph, ROOT)) == []


@pytest.mark.parametrize(
    ("room", "never"),
    [
        ("bridge", ("models", "runtime")),
        ("models", ("runtime", *(f"bridge.{room}" for room in BRIDGE_ROOMS if room != "shared"))),
        ("bridge.client", ("bridge.server",)),
        ("runtime.face", ("runtime.capture", "runtime.speech", "runtime.panel", "runtime.takes")),
        ("runtime.fusion", ("runtime.capture", "runtime.speech", "runtime.panel", "runtime.takes")),
        ("runtime.capture", ("runtime.face", "runtime.fusion", "runtime.speech", "runtime.panel", "runtime.takes")),
        ("runtime.sound", ("runtime.capture", "runtime.speech")),
    ],
)
def test_what_a_room_never_imports(graph: Graph, room: str, never: tuple[str, ...]) -> None:
    for module, imported in graph.items():
        if is_within(module, room):
            for other in imported:
                assert not any(is_within(other, one) for one in never), f"{module} imports {other}"


def is_within(name: str, room: str) -> bool:
    return name == room or name.startswith(f"{room}.")


def test_rooms_are_small_and_no_two_have_a_module_of_the_same_general_name() -> None:
    seen: dict[str, Path] = {}
    for package in PACKAGES:
        for folder in [ROOT / package, *(path for path in (ROOT / package).rglob("*") if path.is_dir())]:
            modules = sorted(folder.glob("*.py"))
            assert len(modules) <= MOST_MODULES or folder == ROOT / "runtime" / "cli" / "commands", folder
            for path in modules:
                if path.stem in GENERAL_NAMES:
                    assert seen.setdefault(path.stem, path) == path


@pytest.mark.parametrize("package", PACKAGES)
def test_functions_can_be_read(package: str) -> None:
    for path in sorted((ROOT / package).rglob("*.py")):
        if "training" not in path.parts and "build" not in path.parts:  # no part of a live run
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    assert node.end_lineno is not None
                    assert node.end_lineno - node.lineno < MOST_LINES, f"{path}: {node.name}"


def test_bridge_stays_light() -> None:
    code = (
        "import sys, facewire.bridge, facewire.bridge.client.client\n"
        "print([m for m in ('numba', 'cv2', 'onnxruntime', 'torch') if m in sys.modules])"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"
