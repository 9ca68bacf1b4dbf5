"""What all packages share: one root of errors, one clock, each name once."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from support.paths import ROOT

from facewire.bridge.recording.errors import NewerSessionError, SessionError
from facewire.bridge.shared.errors import CommandError, FacewireError, NotReadyError
from facewire.models.errors import ModelError
from facewire.runtime.cli.options.usage import UsageError

SHARED = ROOT / "bridge" / "shared"


def sources() -> list[Path]:
    return [path for package in ("bridge", "models", "runtime") for path in sorted((ROOT / package).rglob("*.py"))]


def test_one_root_of_errors_and_exit_status_by_class() -> None:
    assert issubclass(ModelError, FacewireError)
    assert (FacewireError.exit_code, ModelError.exit_code) == (1, 1)
    assert (UsageError.exit_code, SessionError.exit_code, NewerSessionError.exit_code) == (2, 2, 2)
    assert (NotReadyError.code, CommandError.code) == ("not_ready", None)


def test_a_shared_name_is_defined_once() -> None:
    named = re.compile(r"^(Float32Array|Float64Array|Image|NS_PER_S|BLENDSHAPES|Clock)\b[^\n=]*= ", re.M)
    for path in sources():
        if path.parent != SHARED:
            assert not named.findall(path.read_text(encoding="utf-8")), path


def test_kernels_are_compiled_in_one_way() -> None:
    for path in sources():
        if path != ROOT / "models" / "jit.py":
            assert "njit" not in path.read_text(encoding="utf-8"), path


def test_shared_is_light_and_imports_nothing_else_of_ours() -> None:
    code = (
        "import sys, facewire.bridge.shared.errors, facewire.models.errors\n"
        "print(sorted(name for name in sys.modules if name.startswith('facewire.') or name in ('numpy', 'msgpack')))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    ours = ["facewire.bridge", "facewire.bridge.shared", "facewire.bridge.shared.errors"]
    assert printed.strip() == repr([*ours, "facewire.models", "facewire.models.errors"])
