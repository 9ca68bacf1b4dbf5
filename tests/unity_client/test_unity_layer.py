"""The Unity components and inspectors: they compile under every platform's defines, and work on stand-ins."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import metas
import pytest
from build_client import PACKAGE, Known, build_layer, build_layer_tests
from probe import Harness
from toolchain import Toolchain
from unity_types import has_member, read_types

ROOT = PACKAGE.parent

UNITY_6 = ("UNITY_2021_3_OR_NEWER", "UNITY_2023_1_OR_NEWER", "UNITY_6000_0_OR_NEWER")
EDITOR_OF_UNITY_6 = ("UNITY_EDITOR", *UNITY_6)
PLATFORMS = {
    "editor of Unity 2021 that builds for WebGL": ("UNITY_EDITOR", "UNITY_WEBGL", "UNITY_2021_3_OR_NEWER"),
    "player": ("UNITY_STANDALONE", "ENABLE_MONO", "UNITY_2021_3_OR_NEWER"),
    "Android by IL2CPP": ("UNITY_ANDROID", "ENABLE_IL2CPP", *UNITY_6),
    "WebGL": ("UNITY_WEBGL", "ENABLE_IL2CPP", *UNITY_6),
}
"""The editor of Unity 6 is what the tests below run on."""

NOT_LISTED = {"Animator", "AnimationClip", "HumanBodyBones", "GUILayout", "GUILayoutOption"}
"""Types of modules that the list does not cover; the UnityEditor stand-ins are not covered either."""


@pytest.mark.parametrize("platform", PLATFORMS)
def test_compiles(tools: Toolchain, known: Known, tmp_path: Path, platform: str) -> None:
    build_layer(tools, known, tmp_path, PLATFORMS[platform])


def test_unit_tests_pass(tools: Toolchain, known: Known) -> None:
    into = known.core.parent
    references = build_layer(tools, known, into, EDITOR_OF_UNITY_6)
    done = Harness(tools, build_layer_tests(tools, references, into)).run()
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"[3-9]\d passed, 0 failed, 0 skipped", done.stdout), done.stdout


def test_stand_ins_have_only_what_unity_has(harness: Harness, known: Known, tools: Toolchain) -> None:
    types = read_types(tools.unity_types)
    assert not has_member(types, "UnityEngine.Mesh", False, "SetTriangle", 2), "the check must be able to fail"
    assert not has_member(types, "UnityEngine.Mesh", False, "SetTriangles", 9), "by the number of parameters too"
    assert not has_member(types, "UnityEngine.Mesh", True, "SetTriangles", 2), "and by static"
    listed = [line.split(" ") for line in harness.run("members", str(known.engine)).stdout.splitlines()]
    assert len(listed) > 100
    unknown, checked = [], 0
    for name, kind, member, parameters in listed:
        if name.rsplit(".", 1)[1] in NOT_LISTED:
            continue
        checked += 1
        if kind == "type":
            there = name in types
        else:
            there = has_member(types, name, kind == "static", member, int(parameters)) or member == "Item"
        if not there:
            unknown.append(f"{name}.{member}({parameters})")
    assert not unknown
    assert checked > 80


def test_core_knows_nothing_of_the_engine_and_uses_no_reflection() -> None:
    for path in sorted((PACKAGE / "Runtime").rglob("*.cs")):
        text = path.read_text("utf-8")
        assert "System.Reflection" not in text, path
        assert not re.search(r"\bActivator\b|\bdynamic\b|Reflection\.Emit|Expression\.Compile", text), path
        if "Core" in path.parts:
            assert "UnityEngine" not in text, path
    asmdef = json.loads((PACKAGE / "Runtime/Core/Facewire.Core.asmdef").read_text("utf-8"))
    assert asmdef["noEngineReferences"] is True


def test_assembly_definitions_refer_to_each_other() -> None:
    names = {path.stem: json.loads(path.read_text("utf-8")) for path in PACKAGE.rglob("*.asmdef")}
    assert all(stem == content["name"] for stem, content in names.items())
    for content in names.values():
        ours = {name for name in content["references"] if name.startswith("Facewire")}
        assert ours <= set(names)


def test_package_is_what_unity_expects() -> None:
    package = json.loads((PACKAGE / "package.json").read_text("utf-8"))
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    assert f'\nversion = "{package["version"]}"\n' in project
    assert package["unity"] == "2021.3"
    assert (PACKAGE / package["samples"][0]["path"]).is_dir()
    for name in ("README.md", "CHANGELOG.md", "LICENSE.md", "Third Party Notices.md", "Documentation~/facewire.md"):
        assert (PACKAGE / name).is_file(), name
    assert (PACKAGE / "LICENSE.md").read_bytes() == (ROOT / "LICENSE").read_bytes()


def test_meta_files_are_there_and_their_guids_never_change() -> None:
    assert metas.stale() == []
    guids = [metas.guid(path.relative_to(PACKAGE).as_posix()) for path in metas.assets()]
    assert len(set(guids)) == len(guids)
    # A scene of somebody's refers to this one; it may not change with a rewrite of the script.
    assert metas.guid("Runtime/Unity/FacewireReceiver.cs") == "ffa3a77e58ca5e932a7fcda3c53ad3d4"


def test_scene_refers_to_what_is_there() -> None:
    scene = (PACKAGE / "Samples~/LiveHead/LiveHead.unity").read_text("utf-8")
    known = {metas.guid(path.relative_to(PACKAGE).as_posix()) for path in metas.assets()}
    referred = set(re.findall(r"guid: (\w+)", scene))
    assert len(referred) == 5
    assert referred <= known
    objects = set(re.findall(r"--- !u!\d+ &(\d+)", scene))
    assert set(re.findall(r"fileID: (\d+)\}", scene)) - {"0"} <= objects


def test_webgl_socket_in_a_javascript_engine() -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed: the WebGL socket is not run")
    script = Path(__file__).with_name("webgl_socket.js")
    library = PACKAGE / "Runtime/Plugins/WebGL/FacewireSocket.jslib"
    done = subprocess.run([node, str(script), str(library)], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "7 passed" in done.stdout
