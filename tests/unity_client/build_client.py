"""Compile the Unity client's C# with Roslyn alone: no project system, no package source, a second per assembly."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from toolchain import Toolchain, cache_folder

HERE = Path(__file__).resolve().parent
PACKAGE = HERE.parents[1] / "unity_client"

UNITY_2021_DEFINES = ("UNITY_2021_3_OR_NEWER",)


class CompileError(Exception):
    """The compiler's own lines."""


def output_folder() -> Path:
    """Return the folder for what is built: in the cache, because the source tree stays clean."""
    folder = cache_folder() / "build" / str(os.getpid())
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def compile_assembly(
    tools: Toolchain,
    name: str,
    sources: Sequence[Path],
    *,
    into: Path,
    references: Sequence[Path] = (),
    defines: Sequence[str] = (),
    executable: bool = False,
) -> Path:
    """Compile C# 8 against netstandard2.1 with warnings as errors, and return the assembly.

    Raises CompileError with the compiler's output.
    """
    target = into / f"{name}.{'exe' if executable else 'dll'}"
    arguments = [
        "-nologo",
        "-langversion:8.0",
        "-nostdlib",
        "-deterministic",
        "-optimize+",
        "-debug:portable",
        "-warn:4",
        "-warnaserror+",
        # 1701: NUnit was built against netstandard2.0, which 2.1 replaces. 649: Unity assigns serialized fields.
        "-nowarn:1701,649",
        f"-target:{'exe' if executable else 'library'}",
        f"-out:{target}",
        *(f"-r:{path}" for path in sorted(tools.reference.glob("*.dll"))),
        *(f"-r:{path}" for path in references),
        *(f"-define:{define}" for define in defines),
        *map(str, sources),
    ]
    response = into / f"{name}.rsp"
    response.write_text("\n".join(f'"{argument}"' for argument in arguments), "utf-8")
    command = [str(tools.dotnet), "exec", str(tools.compiler), f"@{response}"]
    done = subprocess.run(command, env=dict(tools.environment), capture_output=True, text=True, check=False)
    if done.returncode:
        raise CompileError(done.stdout + done.stderr)
    return target


def sources_below(*folders: Path) -> list[Path]:
    """Return every C# file below the folders, in a fixed order."""
    return sorted(path for folder in folders for path in folder.rglob("*.cs"))


def build_core(tools: Toolchain, into: Path) -> Path:
    """Compile the engine-free core."""
    return compile_assembly(tools, "Facewire.Core", sources_below(PACKAGE / "Runtime" / "Core"), into=into)


def build_harness(tools: Toolchain, core: Path, into: Path) -> Path:
    """Compile the tests and the programs that meet the real server into one executable that any .NET can run."""
    nunit = into / tools.nunit.name
    if not nunit.exists():
        nunit.write_bytes(tools.nunit.read_bytes())
    sources = sources_below(PACKAGE / "Tests" / "Runtime", HERE / "harness")
    harness = compile_assembly(
        tools,
        "Facewire.Harness",
        sources,
        into=into,
        references=[core, nunit],
        defines=["FACEWIRE_HARNESS"],
        executable=True,
    )
    config = {
        "runtimeOptions": {
            "framework": {"name": "Microsoft.NETCore.App", "version": "3.1.0"},
            "rollForward": "LatestMajor",
            "configProperties": {"System.GC.Concurrent": False},
        }
    }
    (into / "Facewire.Harness.runtimeconfig.json").write_text(json.dumps(config), "utf-8")
    return harness


def run_harness(
    tools: Toolchain, harness: Path, *arguments: str, timeout_s: float = 100
) -> subprocess.CompletedProcess[str]:
    """Run the executable on .NET."""
    command = [str(tools.dotnet), "exec", str(harness), *arguments]
    return subprocess.run(
        command, env=run_environment(tools), capture_output=True, text=True, check=False, timeout=timeout_s
    )


def run_environment(tools: Toolchain) -> dict[str, str]:
    """Return the environment in which the harness runs."""
    return {**tools.environment, "FACEWIRE_GOLDEN": str(HERE.parent / "golden")}
