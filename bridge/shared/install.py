"""The command that installs what is missing, as it works in this very environment.

Facewire may lie in a virtual environment that is not active, in one of uv's that has no pip, or in pipx's. It comes
from a folder, not from an index, so its extras are named by what they bring. Words are quoted as the system's shell
has it.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import shutil
import sys
import sysconfig
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

DISTRIBUTION = "facewire"
_PLAIN = {"nt": re.compile(r"[\w@+=:,./\\~-]+"), "posix": re.compile(r"[\w@%+=:,./-]+", re.ASCII)}
_EXTRA = re.compile(r"\bextra\s*==\s*['\"]([^'\"]+)['\"]")


def install_extra(extra: str) -> str:
    """Return the command that installs an extra: ``mic``, ``media``, ``vrchat``, ``cuda`` or ``train``."""
    brought = requirements(extra)
    return install(*brought) if brought else install(f"{_project()}[{extra}]")


def install(*what: str) -> str:
    """Return the command that installs requirements, such as ``onnxruntime>=1.20``."""
    return quoted(_tool("install", what))


def install_own(name: str) -> str:
    """Return the command that installs a package that Facewire needs, in a version that it can use."""
    brought = [one for one in requirements(None) if re.match(rf"{re.escape(name)}(?![\w.-])", one, re.IGNORECASE)]
    return install(*(brought or [name]))


def uninstall(*names: str) -> str:
    """Return the command that removes packages."""
    return quoted(_tool("uninstall", names))


def requirements(extra: str | None) -> list[str]:
    """Return what an extra brings, or what Facewire itself needs; empty if it is not known."""
    try:
        entries = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:  # run from its source
        return []
    found = []
    for entry in entries:
        requirement, _, marker = entry.partition(";")
        named = _EXTRA.search(marker)
        if (named.group(1) if named else None) == extra and _applies(_EXTRA.sub("True", marker)):
            found.append(requirement.strip())
    return found


def quoted(words: Sequence[str]) -> str:
    """Return the line that one types: Windows' shells know no single quotes."""
    plain, quote = _PLAIN[os.name], _for_windows if os.name == "nt" else _for_posix
    return " ".join(word if plain.fullmatch(word) else quote(word) for word in words)


def _for_windows(word: str) -> str:
    return f'"{word}"'


def _for_posix(word: str) -> str:
    return shlex.quote(word) if re.search(r'[$`"\\!]', word) else f'"{word}"'


def _tool(action: str, what: Sequence[str]) -> list[str]:
    prefix = Path(sys.prefix)
    if (prefix / "pipx_metadata.json").is_file() and shutil.which("pipx"):
        return ["pipx", *(("inject",) if action == "install" else ("runpip",)), prefix.name, *_runpip(action), *what]
    if importlib.util.find_spec("pip") is None and shutil.which("uv"):
        return ["uv", "pip", action, "--python", _python(), *what]
    return [_python(), "-m", "pip", action, *_own_risk(), *what]


def _runpip(action: str) -> list[str]:
    return [] if action == "install" else ["uninstall", "--yes"]


def _own_risk() -> list[str]:
    """Return what pip wants to hear where a system's package manager owns Python, and Facewire is there already."""
    marked = Path(sysconfig.get_path("stdlib")) / "EXTERNALLY-MANAGED"
    return ["--break-system-packages"] if sys.prefix == sys.base_prefix and marked.is_file() else []


def _python() -> str:
    """Return the shortest name by which a shell finds this interpreter."""
    for name in ("python", "python3"):
        found = shutil.which(name)
        if found and Path(found).absolute() == Path(sys.executable).absolute():
            return name
    return sys.executable


def _project() -> str:
    """Return Facewire's own folder, where it is run from its source."""
    root = Path(__file__).resolve().parents[2]
    return str(root) if (root / "pyproject.toml").is_file() else DISTRIBUTION


def _applies(marker: str) -> bool:
    """Return whether a requirement is for this system; one whose condition is not understood is."""
    if not marker.strip():
        return True
    try:
        from packaging.markers import Marker

        return bool(Marker(marker.replace("True", "python_version > '3'")).evaluate())
    except Exception:  # no packaging, or a marker of a later standard
        return True
