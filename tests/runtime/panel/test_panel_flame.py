"""The FLAME head in the page: fetched when it is switched on, skinned as in Python, moved by the stream."""

from __future__ import annotations

import base64
import json
import struct
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import pytest
from support.browser import Tab
from support.paths import GOLDEN
from support.waiting import PATIENCE_S, wait_until

from facewire.bridge.server.commands import CommandHandler
from facewire.bridge.server.config import ServerConfig
from facewire.bridge.server.pages import Page
from facewire.bridge.server.server import LiveServer
from facewire.bridge.wire.codec import Message
from facewire.bridge.wire.frame import FaceFrame, FlameParameters
from facewire.bridge.wire.messages import Greeting
from facewire.models.flame import open_flame
from facewire.models.flame.skin.skinning import Skinner
from facewire.runtime.flame.page import FLAME_PAGE, flame_pages

EXPRESSIONS = 30
OPEN = FlameParameters(
    np.zeros(EXPRESSIONS, np.float32),
    np.array([0.5, 0, 0], np.float32),
    np.zeros(3, np.float32),
    np.array([0, 0.4, 0, 0, 0.4, 0], np.float32),
)


@dataclass(frozen=True, slots=True)
class FlameGreeting(Greeting):
    """Announces the open head."""

    def message(self, clock_ns: int) -> Message:
        flame = {"model": "open_flame", "expressions": EXPRESSIONS}
        return {**super(FlameGreeting, self).message(clock_ns), "flame": flame}


Serve = Callable[..., LiveServer]


@pytest.fixture(scope="module")
def open_pages() -> dict[str, Page]:
    return flame_pages(open_flame(), EXPRESSIONS)


@pytest.fixture
def serve(open_pages: dict[str, Page]) -> Iterator[Serve]:
    """Start a server whose frames have a shut mouth in the blendshapes and an open one in FLAME."""
    with ExitStack() as stack:

        def start(
            *,
            flame: bool = True,
            pages: dict[str, Page] | None = None,
            commands: dict[str, CommandHandler] | None = None,
            **config: Any,
        ) -> LiveServer:
            greeting = FlameGreeting() if flame else Greeting()
            if pages is None:
                pages = open_pages if flame else {}
            server = LiveServer(
                ServerConfig(**{"port": 0, **config}),
                clock_ns=time.monotonic_ns,
                greeting=greeting,
                pages=pages,
                commands=commands,
            )
            server.start()
            stack.callback(server.stop)
            stopped = threading.Event()
            thread = threading.Thread(target=publish, args=(server, stopped), daemon=True)
            thread.start()
            stack.callback(thread.join)
            stack.callback(stopped.set)
            return server

        yield start


def publish(server: LiveServer, stopped: threading.Event) -> None:
    shapes, gaze = np.zeros(52, np.float32), np.zeros(4, np.float32)
    head = np.array([0, 0, 0, 1, 0, 0, -0.5], np.float32)
    seq = 0
    while not stopped.wait(1 / 60):
        now_ns = time.monotonic_ns()
        server.publish(FaceFrame(seq, now_ns, now_ns, "video", 1.0, shapes, head, gaze, flame=OPEN))
        seq += 1


def mouth(tab: Tab) -> np.ndarray:
    """Return the middle of the head as it is drawn, float [height, width, 3]."""
    tab.run("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    box = tab.run(
        """(() => { const box = document.getElementById("head").getBoundingClientRect();
        return [box.x, box.y, box.width, box.height]; })()"""
    )
    shot = base64.b64decode(tab.call("Page.captureScreenshot", format="png")["data"])
    image = cv2.imdecode(np.frombuffer(shot, np.uint8), cv2.IMREAD_COLOR).astype(np.float64)
    x, y, width, height = (round(value) for value in box)
    return image[y + height // 3 : y + height, x + width // 3 : x + 2 * width // 3]


def differs(a: np.ndarray, b: np.ndarray) -> float:
    """Return the share of pixels that look different."""
    return float((np.abs(a - b).max(axis=2) > 40).mean())


FETCHED = "performance.getEntriesByType('resource').map((entry) => entry.name).filter((name) => name.includes('flame'))"


def test_the_switch_shows_the_flame_head_and_back_and_fetches_it_only_then(serve: Serve, tab: Tab) -> None:
    server = serve()
    tab.call("Emulation.setDeviceMetricsOverride", width=1000, height=900, deviceScaleFactor=1, mobile=False)
    tab.open(server.page_url)
    tab.wait_for(
        "document.getElementById('flame')?.offsetParent && parseFloat(document.getElementById('rate').textContent) > 0"
    )
    assert tab.run(FETCHED) == []
    shut = mouth(tab)
    tab.run("document.getElementById('flame').click()")
    tab.wait_for("document.getElementById('flame').getAttribute('aria-pressed') === 'true'")
    tab.wait_for(f"({FETCHED}).length === 2")  # flame.js and flame.bin
    tab.wait_for("document.getElementById('flame').textContent === 'Show the open head'")
    wait_until(lambda: differs(mouth(tab), shut) > 0.03)  # the mouth opens once frames with FLAME come
    tab.picture("panel-flame", whole=False)
    tab.reload()
    tab.wait_for("document.getElementById('flame')?.getAttribute('aria-pressed') === 'true'")
    tab.run("document.getElementById('flame').click()")
    tab.wait_for("document.getElementById('flame').getAttribute('aria-pressed') === 'false'")
    wait_until(lambda: differs(mouth(tab), shut) < 0.005)
    assert tab.problems == []


def test_another_person_is_learned_anew_at_the_press_of_a_button(serve: Serve, tab: Tab) -> None:
    asked: list[Any] = []
    server = serve(commands={"flame_reset": lambda args: asked.append(args) or {}})
    tab.open(server.page_url)
    tab.wait_for("document.getElementById('flame-reset')?.hidden === false")
    tab.run("document.body.classList.remove('no-panel'), document.getElementById('flame-reset').click()")
    tab.wait_for("document.getElementById('flame-result').textContent === 'learning this face'")
    assert asked == [{}]
    tab.open(serve(flame=False).page_url)
    tab.wait_for("parseFloat(document.getElementById('rate')?.textContent) > 0")
    assert tab.run("document.getElementById('flame-reset').hidden")


SKIN = """(async (said) => {
    const { loadFlame } = await import("/flame.js");
    const head = await loadFlame(null, [{ name: "skin", colour: [1, 1, 1], shine: 0 }]);
    const positions = new Float32Array(head.positions.length);
    const view = (list) => new DataView(Float32Array.from(list).buffer);
    head.move(positions, Object.fromEntries(Object.entries(said).map(([name, list]) => [name, view(list)])));
    return [...positions];
})(%s)"""


def skinned(tab: Tab, values: dict[str, Any], eyes: np.ndarray) -> np.ndarray:
    """Return the vertices [v, 3] that the page has, moved back by the eyes from where it places a head."""
    said = {name: np.asarray(values[name]).tolist() for name in ("expression", "neck", "jaw", "eyes")}
    places = np.array(tab.run(SKIN % json.dumps(said)), np.float32).reshape(-1, 3)
    return places - (np.array([0, 0.0309, 0.1085]) - eyes)


def test_the_page_skins_as_python_does(serve: Serve, tab: Tab) -> None:
    model, rng = open_flame(), np.random.default_rng(2)
    skinner, zero = Skinner(model, EXPRESSIONS), np.zeros(3, np.float32)
    tab.open(serve().page_url)
    for share in (0.0, 1.0):
        expression = rng.normal(0, share, EXPRESSIONS).astype(np.float32)
        joints = rng.normal(0, 0.2 * share, 12).astype(np.float32)
        values = {"expression": expression, "neck": joints[:3], "jaw": joints[3:6], "eyes": joints[6:]}
        pose = np.concatenate([zero, joints])
        expected = skinner.skin(np.zeros(model.shapes, np.float32), expression, pose, zero)
        found = skinned(tab, values, skinner.rest_joints[3:].mean(axis=0))
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_page_skins_the_golden_poses_with_their_correctives(serve: Serve, tab: Tab) -> None:
    body = (GOLDEN / "flame" / "small.flame.bytes").read_bytes()
    pages = {FLAME_PAGE: Page("application/octet-stream", body)}
    tab.open(serve(pages=pages).page_url)
    v, _, m, *_ = struct.unpack_from("<5i", body, 8)
    said = json.loads((GOLDEN / "flame" / "poses.json").read_text())
    joints = 28 + 6 + 65 + sum(1 + len(name) + 8 for name in ("skin", "eyes")[:m]) + 12 * v + 6 * v // 3 + 10 * v
    eyes = np.frombuffer(body, "<f4", 15, joints).reshape(5, 3)[3:].mean(axis=0)
    for pose in said:
        expected = np.reshape(pose["vertices"], (-1, 3))
        np.testing.assert_allclose(skinned(tab, pose, eyes), expected, atol=1e-5, err_msg=pose["name"])


def test_obs_gets_the_flame_head_where_it_asks(serve: Serve, tab: Tab) -> None:
    tab.open(f"{serve().page_url}?view=avatar&background=transparent&head=flame")
    tab.wait_for(f"({FETCHED}).length === 2")
    tab.wait_for("document.getElementById('flame').getAttribute('aria-pressed') === 'true'")
    assert tab.run("document.getElementById('flame').offsetParent") is None
    tab.picture("obs-flame", whole=False)
    assert tab.problems == []


def test_without_flame_there_is_no_switch(serve: Serve, tab: Tab) -> None:
    tab.open(serve(flame=False).page_url)
    tab.wait_for("document.getElementById('state')?.textContent === 'connected'")
    tab.wait_for("parseFloat(document.getElementById('rate').textContent) > 0")
    assert tab.run("document.getElementById('flame').offsetParent") is None


def test_a_server_that_has_flame_no_more_gets_the_open_head_back(serve: Serve, tab: Tab) -> None:
    first = serve()
    tab.open(first.page_url)
    tab.wait_for("!!document.getElementById('flame')?.offsetParent")
    tab.run("document.getElementById('flame').click()")
    tab.wait_for("document.getElementById('flame').getAttribute('aria-pressed') === 'true'")
    first.stop()
    tab.wait_for("document.getElementById('state').dataset.state !== 'live'")
    second = serve(flame=False, port=first.address[1])
    tab.wait_for("document.getElementById('flame').getAttribute('aria-pressed') === 'false'")
    tab.wait_for("document.getElementById('flame').offsetParent === null")
    second.stop()
    serve(port=first.address[1])
    tab.wait_for("document.getElementById('flame').getAttribute('aria-pressed') === 'true'")
    tab.run("localStorage.clear()")


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [("", {}, 401), ("?token=wrong", {}, 401), ("?token=right", {}, 200), ("", {"Authorization": "Bearer right"}, 200),
     ("?token=right", {"Origin": "https://evil.example"}, 403)],
)  # fmt: skip
def test_the_head_is_for_those_only_who_may_have_the_stream(
    serve: Serve, path: str, headers: dict[str, str], status: int
) -> None:
    server = serve(token="right")
    url = f"http://127.0.0.1:{server.address[1]}{FLAME_PAGE}{path}"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(urllib.request.Request(url, headers=headers), timeout=PATIENCE_S) as answer:
            found, body = answer.status, answer.read()
    except urllib.error.HTTPError as error:
        found, body = error.code, error.read()
        error.close()
    assert found == status
    assert body.startswith(b"FWFLAME1") == (status == 200)
