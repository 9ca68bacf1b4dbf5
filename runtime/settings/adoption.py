"""Profiles that earlier versions kept under a camera's number, its name or a phone's port: they are found again."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from facewire.bridge.shared.regular_file import read_regular
from facewire.runtime.settings.naming import former_slug, slug

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MOST_FILES = 200
MOST_NUMBER = 100
MOST_LETTERS = 44


def adopt(profiles: Path, camera: str, formerly: Iterable[str], *, suffix: str, most_bytes: int) -> list[str]:
    """Copy into the folder of ``camera``, if it has none yet, what earlier versions kept under other names of it.

    The newest of two that are called alike keeps its name, the older one is numbered; the old folders stay as they
    are. Return the names of what was copied.

    Raises:
        OSError: they cannot be copied.
    """
    own = profiles / slug(camera)
    if own.exists():
        return []
    found = _find(profiles, own, tuple(formerly), suffix, most_bytes)
    if not found:
        return []
    part = own.with_name(f".{own.name[:64]}.{secrets.token_hex(8)}")
    try:
        part.mkdir()
        for name, data in found.items():
            (part / f"{name}{suffix}").write_bytes(data)
        part.replace(own)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return list(found)


def _find(profiles: Path, own: Path, formerly: tuple[str, ...], suffix: str, most_bytes: int) -> dict[str, bytes]:
    """Return the former profiles by the name that each gets, those that can be read first, the newest first."""
    readable: list[tuple[bool, float, str, bytes, Any]] = []
    for file in _files([profiles / former_slug(name) for name in formerly], own, suffix):
        with contextlib.suppress(OSError):
            data, changed = read_regular(file, most_bytes, within=profiles), file.stat().st_mtime
            content = _content(data)
            if content is None or content.pop("camera", formerly[0]) in formerly:
                readable.append((content is None, -changed, file.stem, data, content))
    found: dict[str, bytes] = {}
    contents: list[Any] = []
    for broken, _, stem, data, content in sorted(readable, key=lambda one: one[:3]):
        if not broken and (stem, content) in contents:
            continue
        contents.append((stem, content))
        taken = {name.casefold() for name in found}
        numbered = (f"{stem[:MOST_LETTERS]} {number}" for number in range(2, MOST_NUMBER))
        name = next((name for name in (stem, *numbered) if name.casefold() not in taken), None)
        if name is not None:
            found[name] = data
    return found


def _files(folders: Iterable[Path], own: Path, suffix: str) -> Iterator[Path]:
    count = 0
    for folder in dict.fromkeys(folders):
        if folder == own or not folder.is_dir():
            continue
        for file in sorted(folder.glob(f"*{suffix}")):
            count += 1
            if count > MOST_FILES:
                return
            yield file


def _content(data: bytes) -> dict[str, Any] | None:
    try:
        content: dict[str, Any] = tomllib.loads(data.decode())
        return content
    except (ValueError, RecursionError):
        return None
