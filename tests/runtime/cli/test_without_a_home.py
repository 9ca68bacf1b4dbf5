"""As in a container: the package and the models are root's, and the user has no home and may write to neither."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.program import FACEWIRE

from facewire.models.assets.store import asset_path
from facewire.models.folders import cache_folder
from facewire.models.kernel_cache import HASH_BYTES

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there every user has a home")

NOBODY = 65534
COMPILE = "from facewire.runtime.face import filters as f; print(f.low_pass_weight(2.0, 0.02), f.low_pass_weight.stats)"
"""Compiles one small kernel or loads it, and says which."""


def as_nobody() -> list[str]:
    """Return what runs a command as a user who reads all and may write nothing; that of the tests, if not root."""
    if os.geteuid() != 0:
        return []
    reading = "-all,+dac_read_search"  # Python itself may lie in root's home
    return [
        "setpriv",
        f"--reuid={NOBODY}",
        f"--regid={NOBODY}",
        "--clear-groups",
        f"--inh-caps={reading}",
        "--ambient-caps=+dac_read_search",
        f"--bounding-set={reading}",
    ]


@pytest.mark.models
def test_it_runs_and_doctor_says_what_to_do(tmp_path: Path) -> None:
    cache, out = tmp_path / "cache", tmp_path / "out"
    shutil.copytree(cache_folder() / "ready", cache / "ready")
    cache.chmod(0o555)
    out.mkdir()
    out.chmod(0o777)
    environment = {**os.environ, "HOME": "/nonexistent", "FACEWIRE_CACHE": str(cache)}
    for name in ("XDG_CACHE_HOME", "NUMBA_CACHE_DIR"):
        environment.pop(name, None)

    def run(*words: object) -> subprocess.CompletedProcess[str]:
        command = [*as_nobody(), *FACEWIRE, *map(str, words)]
        return subprocess.run(command, env=environment, cwd=out, capture_output=True, text=True, check=False)

    sound = asset_path("demo_speech")
    baked = run("bake", sound, "-o", out / "speech.csv")
    assert baked.returncode == 0, baked.stderr
    assert baked.stderr.count("compiled kernels cannot be kept") == 1
    report = run("doctor")
    assert "Traceback" not in baked.stderr + report.stderr
    assert "– compiled kernels: cannot be kept" in report.stdout
    assert "FACEWIRE_CACHE to a folder of your own" in report.stdout
    assert not (cache / "kernels").exists()


def compiled(folder: Path) -> subprocess.CompletedProcess[str]:
    """Compile or load the kernel, with the cache in ``folder`` and no other."""
    environment = {**os.environ, "HOME": "/dev/null", "FACEWIRE_CACHE": str(folder)}
    for name in ("XDG_CACHE_HOME", "NUMBA_CACHE_DIR"):
        environment.pop(name, None)
    done = subprocess.run([sys.executable, "-c", COMPILE], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done


def was_loaded(done: subprocess.CompletedProcess[str]) -> bool:
    return "cache_hits=Counter({" in done.stdout


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """Return the file of a kernel that was compiled and is loaded from then on."""
    assert not was_loaded(compiled(tmp_path))
    assert was_loaded(compiled(tmp_path))
    (path,) = (tmp_path / "kernels").iterdir()
    return path


class Harmful:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return os.mkdir, (str(self.path),)


def test_what_was_changed_is_not_unpickled(kept: Path, tmp_path: Path) -> None:
    kept.write_bytes(bytes(HASH_BYTES) + pickle.dumps(Harmful(tmp_path / "harm")))
    assert not was_loaded(compiled(tmp_path))
    assert not (tmp_path / "harm").exists()


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() != 0, reason="only root can make another's file")
def test_what_another_user_wrote_is_not_read(kept: Path, tmp_path: Path) -> None:
    os.chown(kept, NOBODY, NOBODY)
    assert not was_loaded(compiled(tmp_path))
    os.chown(kept.parent, NOBODY, NOBODY)
    assert "cannot be kept" in compiled(tmp_path).stderr


def test_a_kernel_is_compiled_anew_where_one_that_it_calls_has_changed(tmp_path: Path) -> None:
    inner = "from facewire.models.jit import kernel\nFACTOR = {0}\n@kernel\ndef f(x):\n    return x * FACTOR\n"
    outer = "from facewire.models.jit import kernel\nfrom inner import f\n@kernel\ndef g(x):\n    return f(x) + 1\n"
    (tmp_path / "outer.py").write_text(outer, encoding="utf-8")
    environment = {**os.environ, "FACEWIRE_CACHE": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    printed = []
    for factor in (2, 3):
        (tmp_path / "inner.py").write_text(inner.format(factor), encoding="utf-8")
        command = [sys.executable, "-c", "import outer; print(outer.g(10.0))"]
        done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True)
        printed.append(done.stdout.strip())
    assert printed == ["21.0", "31.0"]
