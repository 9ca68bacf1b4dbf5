"""Compile the Unity client's C# with Roslyn alone: no project system, no package source, a second per assembly."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from toolchain import Toolchain

HERE = Path(__file__).resolve().parent
PACKAGE = HERE.parents[1] / "unity_client"


class CompileError(Exception):
    """The compiler's own lines."""


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


@dataclass(frozen=True)
class Known:
    """What the Unity side is compiled against: the core, and the stand-ins for Unity's own assemblies."""

    core: Path
    engine: Path
    editor: Path


def build_known(tools: Toolchain, into: Path) -> Known:
    """Compile the core and the stand-ins."""
    engine = compile_assembly(tools, "UnityEngine", sources_below(HERE / "stubs" / "UnityEngine"), into=into)
    stubs = sources_below(HERE / "stubs" / "UnityEditor")
    editor = compile_assembly(tools, "UnityEditor", stubs, into=into, references=[engine])
    return Known(build_core(tools, into), engine, editor)


def build_layer(tools: Toolchain, known: Known, into: Path, defines: Sequence[str]) -> list[Path]:
    """Compile the MonoBehaviours, the sample and (under UNITY_EDITOR) the inspectors; return what tests refer to.

    Raises CompileError with the compiler's output.
    """
    references = [known.core, known.engine]
    for name, folder in (("Facewire.Unity", PACKAGE / "Runtime" / "Unity"), ("Facewire.Sample", PACKAGE / "Samples~")):
        sources = sources_below(folder)
        references.append(compile_assembly(tools, name, sources, into=into, references=references, defines=defines))
    if "UNITY_EDITOR" in defines:
        sources, seen = sources_below(PACKAGE / "Editor"), [*references, known.editor]
        editor = compile_assembly(tools, "Facewire.Editor", sources, into=into, references=seen, defines=defines)
        references += [known.editor, editor]
    return references


def build_layer_tests(tools: Toolchain, references: Sequence[Path], into: Path) -> Path:
    """Compile the tests of the Unity layer, which run on the stand-ins."""
    sources = [*sources_below(HERE / "layer_tests"), HERE / "harness" / "TestRunner.cs"]
    return _build_program(tools, "Facewire.LayerTests", sources, references, into)


def build_harness(tools: Toolchain, core: Path, into: Path) -> Path:
    """Compile the tests and the programs that meet the real server into one executable that any .NET can run."""
    sources = sources_below(PACKAGE / "Tests" / "Runtime", HERE / "harness")
    return _build_program(tools, "Facewire.Harness", sources, [core], into)


def _build_program(
    tools: Toolchain, name: str, sources: Sequence[Path], references: Sequence[Path], into: Path
) -> Path:
    nunit = into / tools.nunit.name
    if not nunit.exists():
        nunit.write_bytes(tools.nunit.read_bytes())
    program = compile_assembly(tools, name, sources, into=into, references=[*references, nunit], executable=True)
    config = {
        "runtimeOptions": {
            "framework": {"name": "Microsoft.NETCore.App", "version": "3.1.0"},
            "rollForward": "LatestMajor",
            "configProperties": {"System.GC.Concurrent": False},
        }
    }
    (into / f"{name}.runtimeconfig.json").write_text(json.dumps(config), "utf-8")
    return program


def run_environment(tools: Toolchain) -> dict[str, str]:
    """Return the environment in which the harness runs."""
    head = PACKAGE / "Samples~" / "LiveHead" / "OpenHead.bytes"
    return {**tools.environment, "FACEWIRE_GOLDEN": str(HERE.parent / "golden"), "FACEWIRE_HEAD": str(head)}
