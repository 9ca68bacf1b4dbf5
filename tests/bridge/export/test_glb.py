"""glTF heads: checked by Khronos' validator, and played by three.js in a browser."""

from __future__ import annotations

import functools
import html
import http.server
import io
import json
import os
import re
import shutil
import struct
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from support.paths import TESTS, load_module
from support.takes import MakeTake

from facewire.bridge.export.clip import Clip, ClipOptions, make_clip
from facewire.bridge.export.gltf import HeadMesh, vertex_normals, write_glb
from facewire.bridge.recording.reader import open_session
from facewire.bridge.recording.track import load_track
from facewire.bridge.shared.arkit import BLENDSHAPE_INDEX, BLENDSHAPES
from facewire.runtime.bake.head_mesh import load_head

HERE = Path(__file__).parent
VALIDATOR = (
    "gltf-validator@2.0.0-dev.3.10",
    "4e03dbdc3bc0d1342afd5d2d7ae341a7e3474502ccb872b02dbbaddaee0fdec6",
    "gltf-validator-2.0.0",
)
THREE = ("three@0.187.0", "ff540832ded0cfe919764d24a3d88f3e2a05f23303f876423e4f893841e90728", "three-0.187")
VALIDATE = """
const validator = require(process.argv[1]), bytes = require("fs").readFileSync(0);
validator.validateBytes(new Uint8Array(bytes)).then(report => console.log(JSON.stringify(report)));
"""
OPEN_S, SHUT_S = 1 / 6, 1 / 3
"""When the test take's jaw is widest and when it is shut."""


def toolchain() -> ModuleType:
    """Load the Unity client's tests' toolchain, which fetches npm packages into the cache already."""
    return load_module(TESTS / "unity_client" / "toolchain.py")


def fetched(package: tuple[str, str, str]) -> Path:
    tools = toolchain()
    try:
        return tools._fetch(tools.Package("npm", *package, "package/"))  # type: ignore[no-any-return]
    except tools.ToolchainError as error:
        if os.environ.get("CI"):
            pytest.fail(str(error), pytrace=False)
        pytest.skip(str(error))


def program(*names: str) -> str:
    for name in names:
        if (found := shutil.which(name)) is not None:
            return found
    line = f"{names[0]} is not installed"
    if os.environ.get("CI"):
        pytest.fail(line, pytrace=False)
    pytest.skip(line)


@pytest.fixture
def clip(make_take: MakeTake) -> Clip:
    with open_session(make_take(seconds=1)) as session:
        return make_clip("take", load_track(session), ClipOptions())


@pytest.fixture(scope="module")
def head() -> HeadMesh:
    """Return the head that ships."""
    return load_head()


def glb(clip: Clip, head: HeadMesh) -> bytes:
    buffer = io.BytesIO()
    write_glb(clip, head, buffer)
    return buffer.getvalue()


def document(data: bytes) -> dict[str, Any]:
    magic, version, length, size, kind = struct.unpack_from("<4sIII4s", data)
    assert (magic, version, length, kind) == (b"glTF", 2, len(data), b"JSON")
    return json.loads(data[20 : 20 + size])  # type: ignore[no-any-return]


def validate(data: bytes) -> dict[str, Any]:
    command = [program("node", "nodejs"), "-e", VALIDATE, str(fetched(VALIDATOR))]
    return json.loads(subprocess.run(command, input=data, capture_output=True, check=True).stdout)  # type: ignore[no-any-return]


def test_names_and_animation_are_where_viewers_look(clip: Clip, head: HeadMesh) -> None:
    content = document(glb(clip, head))
    (mesh,) = content["meshes"]
    assert mesh["extras"]["targetNames"] == list(BLENDSHAPES)
    assert {len(primitive["targets"]) for primitive in mesh["primitives"]} == {52}
    (animation,) = content["animations"]
    targets = [(content["nodes"][c["target"]["node"]]["name"], c["target"]["path"]) for c in animation["channels"]]
    assert targets == [
        ("Head", "rotation"),
        ("Head", "translation"),
        ("Face", "weights"),
        ("LeftEye", "rotation"),
        ("RightEye", "rotation"),
    ]
    assert content["asset"]["copyright"].startswith("Head: CC0")
    assert len({primitive["material"] for primitive in mesh["primitives"]}) == len(head.materials)


@pytest.mark.parametrize(
    "options", [ClipOptions(), ClipOptions(rate=30, mirror=True), ClipOptions(shapes=["jaw*"])], ids=str
)
def test_khronos_validator_finds_nothing(make_take: MakeTake, head: HeadMesh, options: ClipOptions) -> None:
    with open_session(make_take(seconds=1)) as session:
        report = validate(glb(make_clip("take", load_track(session), options), head))
    issues = report["issues"]
    assert (issues["numErrors"], issues["numWarnings"]) == (0, 0), issues["messages"]
    assert {message["code"] for message in issues["messages"]} <= {"NODE_EMPTY"}
    assert report["info"]["totalTriangleCount"] == len(head.triangles)
    assert report["info"]["hasMorphTargets"]


def test_frames_close_together_late_in_a_take_are_valid(clip: Clip, head: HeadMesh) -> None:
    """glTF's times are float32 and must rise; camera and speech may publish within a tenth of a millisecond."""
    clip.times_s[1:] = 3600 + np.arange(1, len(clip)) * 1e-4
    issues = validate(glb(clip, head))["issues"]
    assert issues["numErrors"] == 0, issues["messages"]


def test_one_frame_and_a_head_without_shapes_are_valid_too(make_take: MakeTake, head: HeadMesh) -> None:
    with open_session(make_take(seconds=1 / 60)) as session:
        pose = make_clip("pose", load_track(session), ClipOptions())
    bare = HeadMesh(head.positions, head.triangles, head.materials, {}, head.eyes)
    for mesh in (head, bare):
        assert validate(glb(pose, mesh))["issues"]["numErrors"] == 0


def test_normals_are_unit_and_outward() -> None:
    square = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [9, 9, 9]], np.float32)
    normals = vertex_normals(square, np.array([[0, 1, 2], [0, 2, 3]], np.int32))
    np.testing.assert_array_equal(normals, [[0, 0, 1]] * 5)


@pytest.fixture
def served(clip: Clip, head: HeadMesh, tmp_path: Path) -> Iterator[str]:
    """Serve the viewer, three.js and the take on loopback."""
    (tmp_path / "take.glb").write_bytes(glb(clip, head))
    shutil.copy(HERE / "glb_viewer.html", tmp_path / "index.html")
    (tmp_path / "three").symlink_to(fetched(THREE))

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(tmp_path))) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def test_a_browser_plays_it(served: str, clip: Clip, tmp_path: Path) -> None:
    command = [
        program("chromium", "chromium-browser", "google-chrome"),
        "--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--use-angle=swiftshader",
        "--enable-unsafe-swiftshader",
        f"--user-data-dir={tmp_path}/profile", "--window-size=480,480", "--virtual-time-budget=60000", "--dump-dom",
        f"--screenshot={tmp_path}/view.png", f"{served}?times={SHUT_S},{OPEN_S}",
    ]  # fmt: skip
    page = subprocess.run(command, capture_output=True, text=True, check=True, timeout=280).stdout
    found = re.search(r'<pre id="result"[^>]*>(.*?)</pre>', page, re.S)
    assert found, page[-2000:]
    result = json.loads(html.unescape(found[1]))
    assert "error" not in result, result
    assert result["names"] == list(BLENDSHAPES)
    assert result["duration"] == pytest.approx(59 / 60, abs=1e-4)
    shut, wide = result["seen"][str(SHUT_S)], result["seen"][str(OPEN_S)]
    for seen, time_s in ((shut, SHUT_S), (wide, OPEN_S)):
        frame = round(time_s * 60)
        for name, column in BLENDSHAPE_INDEX.items():
            assert seen["weights"][name] == pytest.approx(float(clip.blendshapes[frame, column]), abs=1e-3)
        np.testing.assert_allclose(seen["head"], clip.head[frame, :4], atol=1e-3)
        assert seen["lit"] > 30_000  # a head fills the picture
    assert wide["changed"] > 1500  # the mouth opens
    if keep := os.environ.get("FACEWIRE_KEEP_SCREENSHOT"):
        shutil.copy(tmp_path / "view.png", keep)
