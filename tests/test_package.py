"""What the wheel holds, and what each package may import."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from support.paths import ROOT

PACKAGES = ("bridge", "models", "runtime")
MAY_IMPORT = {"models": {"models", "bridge"}, "bridge": {"bridge"}, "runtime": {"models", "bridge", "runtime"}}


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


def imported_packages(path: Path) -> set[str]:
    """Which of Facewire's packages a file imports, wherever in the file."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            assert node.level == 0, f"{path}: relative imports hide which package is meant"
        found |= {name.split(".")[1] for name in names if name.startswith("facewire.")}
    return found


@pytest.mark.parametrize("package", PACKAGES)
def test_import_rule(package: str) -> None:
    for path in sorted((ROOT / package).rglob("*.py")):
        assert imported_packages(path) <= MAY_IMPORT[package], path


def test_bridge_stays_light() -> None:
    code = (
        "import sys, facewire.bridge, facewire.bridge.client.client\n"
        "print([m for m in ('numba', 'cv2', 'onnxruntime', 'torch') if m in sys.modules])"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"
