"""Model files, ready to use: fetched once, verified, converted once, and kept in the user's cache.

The cache is platformdirs' user cache folder for "facewire", or the folder in FACEWIRE_CACHE:
    originals/<file>                   as published; its hash is the manifest's
    ready/<asset>-<version><suffix>    what the program loads, with its own hash in a file beside it
After that nothing needs the network. Files appear by atomic rename and under a lock that the system frees when a
process dies, so any number of processes may start at once. A ready file that has been damaged is made again from its
original, and a damaged original is fetched again.
"""

from __future__ import annotations

import hashlib
import sys
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from facewire.bridge.shared.regular_file import read_regular
from facewire.bridge.shared.whole_file import open_own, write_whole
from facewire.models.assets.fetch import Progress, fetch_original, is_whole, sha256_of
from facewire.models.assets.manifest import ASSETS, Asset
from facewire.models.errors import ModelError
from facewire.models.folders import CACHE_VARIABLE, cache_folder

# Raise this whenever a conversion gives different files: every cached one is then made again from its original.
CONVERSION_VERSION = 5
HASH_BYTES = 64
"""Of a SHA-256 in hexadecimal."""


@dataclass(frozen=True, slots=True)
class AssetState:
    """What `facewire models` shows of one asset; `bytes` is the size of the file to fetch."""

    name: str
    cached: bool
    bytes: int
    licence: str
    sources: tuple[str, ...]
    pulled_by_default: bool
    path: Path


def asset_path(name: str, *, progress: Progress | None = None, offline: bool = False) -> Path:
    """Return the ready file of an asset, fetched and converted first if it is not in the cache.

    `progress(what, bytes_done, bytes_total)` is called while something is fetched; the total is 0 if it is not known.
    With `offline` nothing is fetched: an original in the cache is still converted.

    Raises:
        ModelError: the name is unknown, no source gives the file, or it cannot be converted or kept.
    """
    asset = find_asset(name)
    ready = _ready_path(asset)
    if _intact(ready):
        return ready
    try:
        with _lock(asset.original.filename):
            if not _intact(ready):  # Another process may have made it in the meantime.
                _make(asset, ready, progress or _silent, offline)
    except OSError as error:
        raise ModelError(
            f"cannot write {error.filename or cache_folder()} ({error.strerror}): check {CACHE_VARIABLE}"
        ) from error
    return ready


def pull(names: Iterable[str] = (), *, progress: Progress | None = None) -> list[Path]:
    """Fetch and convert the named assets, or all that a live run may need.

    Raises:
        ModelError: as `asset_path`.
    """
    chosen = list(names) or [name for name, asset in ASSETS.items() if asset.pulled_by_default]
    return [asset_path(name, progress=progress) for name in chosen]


def list_assets() -> list[AssetState]:
    """Every asset and whether it is ready, in the manifest's order; touches no network."""
    return [
        AssetState(
            name=asset.name,
            cached=_intact(_ready_path(asset)),
            bytes=asset.original.bytes,
            licence=asset.original.licence,
            sources=tuple(str(source) for source in asset.original.sources),
            pulled_by_default=asset.pulled_by_default,
            path=_ready_path(asset),
        )
        for asset in ASSETS.values()
    ]


def find_asset(name: str) -> Asset:
    """Return the model file of this name.

    Raises:
        ModelError: there is none.
    """
    if name not in ASSETS:
        raise ModelError(f"there is no model named {name!r}: choose one of {', '.join(ASSETS)}")
    return ASSETS[name]


def _ready_path(asset: Asset) -> Path:
    return cache_folder() / "ready" / f"{asset.name}-{CONVERSION_VERSION}{asset.suffix}"


def _hash_path(ready: Path) -> Path:
    return ready.with_name(ready.name + ".sha256")


def _intact(ready: Path) -> bool:
    try:
        return sha256_of(ready) == read_regular(_hash_path(ready), HASH_BYTES).decode("ascii")
    except (OSError, ValueError):
        return False


def _make(asset: Asset, ready: Path, progress: Progress, offline: bool) -> None:
    originals = cache_folder() / "originals"
    kept = originals / asset.original.filename
    if offline and not is_whole(kept, asset.original):
        raise ModelError(f"{asset.name} is not in the cache: run `facewire models pull` while online")
    source = fetch_original(asset.original, originals, progress)
    data = _converted(asset, _published_bytes(asset, source))
    ready.parent.mkdir(parents=True, exist_ok=True)
    write_whole(ready, data)
    write_whole(_hash_path(ready), hashlib.sha256(data).hexdigest().encode("ascii"))
    for old in ready.parent.glob(f"{asset.name}-*{asset.suffix}*"):  # of an earlier version's conversion
        if old not in (ready, _hash_path(ready)):
            with suppress(OSError):  # another process may still read it
                old.unlink()


def _published_bytes(asset: Asset, source: Path) -> bytes:
    if not asset.member:
        return source.read_bytes()
    with zipfile.ZipFile(source) as archive:
        return archive.read(asset.member)


def _converted(asset: Asset, data: bytes) -> bytes:
    """Convert the original; the imports are here because a run whose files are all ready must not pay for them."""
    if asset.conversion == "onnx":
        from facewire.models.sessions import channel_block
        from facewire.models.tflite import NETWORKS, convert

        return bytes(convert(data, NETWORKS[asset.name], block=channel_block()).SerializeToString())
    if asset.conversion == "geometry":
        import io

        import numpy as np

        from facewire.models.assets.face_geometry import read_face_geometry

        stream = io.BytesIO()
        np.savez(stream, **read_face_geometry(data))  # type: ignore[arg-type]
        return stream.getvalue()
    return data


def _silent(what: str, done: int, total: int) -> None:
    """No progress shown."""


@contextmanager
def _lock(name: str) -> Iterator[None]:
    """One process at a time; the system frees the lock when its holder ends, however it ends."""
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with open_own(folder / f"{name}.lock", append=True) as file:
        if sys.platform == "win32":
            import msvcrt

            while True:
                try:
                    msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
                    break
                except OSError:  # Windows gives up after ten seconds; a download may take longer.
                    continue
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield
