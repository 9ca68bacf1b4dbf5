"""Compiled kernels, kept on disk: a file for each function and the types that it was compiled for.

Numba's own cache lies beside the sources, fails where it cannot be written, trusts whatever it reads (pickles, which
run code), and does not notice damage. This one is in a folder of the user's own, which others may not write to; what
is read belongs to the user and is whole, by its hash. Whatever is wrong, the kernel is compiled: that is said once.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import pickle
import stat
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numba.core import compiler, serialize

from facewire.bridge.shared.whole_file import PRIVATE, write_whole
from facewire.models.folders import CACHE_VARIABLE, cache_folder, user_cache

NUMBA_VARIABLE = "NUMBA_CACHE_DIR"
SUFFIX = ".kernel"
HASH_BYTES = 32
MOST_FILES = 24
"""Of one function, for all types, processors and versions; the oldest goes."""
WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH

logger = logging.getLogger(__name__)


class KernelCache:
    """What numba asks of the cache of one function (``numba.core.caching._Cache``). State: none but the disk's."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._name = f"{function.__module__}.{function.__qualname__}".replace("<", "").replace(">", "")
        self._enabled = True

    @property
    def cache_path(self) -> str:
        """Where the files are; empty if nowhere."""
        return str(kernel_folder() or "")

    def enable(self) -> None:
        """Load and save from now on."""
        self._enabled = True

    def disable(self) -> None:
        """Neither load nor save from now on."""
        self._enabled = False

    def flush(self) -> None:
        """Delete what is kept of the function."""
        for path in self._files():
            with contextlib.suppress(OSError):
                path.unlink()

    def load_overload(self, signature: Any, target: Any) -> Any:
        """Return what was compiled for the types in ``signature``; None if it is not kept, or not to be trusted."""
        target.refresh()
        path = self._path(signature, target.codegen())
        if path is None:
            return None
        try:
            payload = _read(path)
            return None if payload is None else compiler.CompileResult._rebuild(target, *pickle.loads(payload))
        except Exception as error:  # Whatever a file of another version makes of being read: there is the source.
            logger.debug("%s: %r", path, error)
            _say(f"what was compiled before and kept in {path.parent} is damaged: it is compiled anew")
            return None

    def save_overload(self, signature: Any, compiled: Any) -> None:
        """Keep what was compiled for the types in ``signature``, where it can be kept."""
        path = self._path(signature, compiled.codegen)
        if path is None or compiled.library.has_dynamic_globals or any(not one.can_cache for one in compiled.lifted):
            return
        try:
            payload = serialize.dumps(compiled._reduce())
            write_whole(path, hashlib.sha256(payload).digest() + payload, mode=PRIVATE)
            for old in sorted(self._files(), key=lambda one: one.stat().st_mtime)[:-MOST_FILES]:
                old.unlink()
        except OSError as error:
            _say(_unkept(f"{path.parent}: {error.strerror or error}"))

    def _path(self, signature: Any, codegen: Any) -> Path | None:
        folder = kernel_folder() if self._enabled and self._function.__closure__ is None else None
        if folder is None:
            return None
        described = (
            str(signature),
            list(_named_tuples(signature)),
            codegen.magic_tuple(),
            (numba.__version__, np.__version__, sys.implementation.cache_tag),
            list(_sources(self._function)),
        )
        return folder / f"{self._name}.{hashlib.sha256(repr(described).encode()).hexdigest()[:32]}{SUFFIX}"

    def _files(self) -> list[Path]:
        folder = kernel_folder()
        return [] if folder is None else list(folder.glob(f"{self._name}.{'?' * 32}{SUFFIX}"))


def kernel_folder() -> Path | None:
    """Return the folder of the compiled kernels, made if it does not exist; None, said once, if there can be none."""
    folder, trouble = _find_folder(os.environ.get(NUMBA_VARIABLE), os.environ.get(CACHE_VARIABLE))
    if folder is None:
        _say(_unkept(trouble))
    return folder


def kernel_trouble() -> str:
    """Return why the folder that comes first cannot be used, or nothing."""
    return _find_folder(os.environ.get(NUMBA_VARIABLE), os.environ.get(CACHE_VARIABLE))[1]


def folder_trouble(folder: Path) -> str:
    """Make a folder of the user's own; return why it cannot be used, or nothing."""
    if not folder.is_absolute():
        return f"{folder}: there is no home"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        seen = folder.stat()
    except (OSError, ValueError) as error:
        return f"{folder}: {getattr(error, 'strerror', None) or error}"
    if not _own(seen):
        return f"{folder}: others may write to it"
    return "" if os.access(folder, os.W_OK | os.X_OK) else f"{folder}: it cannot be written to"


@cache
def _find_folder(numba_folder: str | None, facewire_folder: str | None) -> tuple[Path | None, str]:
    """Return the first folder that can be used, by what the environment says, and what was wrong with the first."""
    places = [Path(numba_folder).absolute() / "facewire-kernels"] if numba_folder else []
    places += [cache_folder().absolute() / "kernels"] if facewire_folder else []
    troubles: list[str] = []
    for place in [*places, user_cache() / "kernels"]:
        trouble = folder_trouble(place)
        if not trouble:
            return place, troubles[0] if troubles else ""
        troubles.append(trouble)
    return None, troubles[0]


def _own(seen: os.stat_result) -> bool:
    """Return whether something is the user's, and nobody else's to write; on Windows its place says so."""
    return os.name == "nt" or (seen.st_uid == os.geteuid() and not seen.st_mode & WRITABLE_BY_OTHERS)


def _read(path: Path) -> bytes | None:
    """Return what was written; None if nothing was, or not by this user.

    Raises:
        ValueError: it is damaged.
        OSError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            if not _own(os.fstat(file.fileno())):
                return None
            data = file.read()
    except FileNotFoundError:
        return None
    payload = data[HASH_BYTES:]
    if hashlib.sha256(payload).digest() != data[:HASH_BYTES]:
        raise ValueError("its hash is another")
    return payload


def _named_tuples(of: Any) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Yield what the names of types do not say: of which module a named tuple is, and its fields."""
    parts: Any = of if isinstance(of, tuple) else getattr(of, "args", None) or getattr(of, "types", None) or ()
    for part in parts:
        named = getattr(part, "instance_class", None)
        if named is not None:
            yield named.__module__, named.__qualname__, tuple(getattr(named, "_fields", ()))
        if not isinstance(part, str):
            yield from _named_tuples(part)


def _sources(function: Callable[..., Any]) -> Iterator[str]:
    """Yield what a kernel is made of: its module's text, that of each kernel that it calls, and their constants."""
    waiting, seen = [function], set()
    while waiting:
        one = waiting.pop()
        if one in seen:
            continue
        seen.add(one)
        yield f"{one.__module__}.{one.__qualname__} {_text_hash(one.__code__.co_filename)} {one.__code__.co_code.hex()}"
        for name in one.__code__.co_names:
            value = one.__globals__.get(name)
            called = getattr(value, "py_func", None)
            if called is not None:
                waiting.append(called)
            elif isinstance(value, np.ndarray):
                yield f"{name} {value.dtype} {value.shape} {hashlib.sha256(value.tobytes()).hexdigest()}"
            elif isinstance(value, (bool, int, float, str, tuple, np.generic)):
                yield f"{name} {value!r}"


@cache
def _text_hash(name: str) -> str:
    try:
        return hashlib.sha256(Path(name).read_bytes()).hexdigest()
    except OSError:  # in an archive, or typed in
        return ""


def _unkept(why: str) -> str:
    return (
        f"compiled kernels cannot be kept ({why}): each start takes some seconds longer; "
        f"set {CACHE_VARIABLE} to a folder of your own"
    )


@cache
def _say(line: str) -> None:
    logger.warning("facewire: %s", line)
