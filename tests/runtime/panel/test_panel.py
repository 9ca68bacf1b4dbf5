"""The control panel in a real headless Chromium against the real server, tracking a real face."""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from support.browser import Tab
from support.program import FACEWIRE, addresses_of
from support.waiting import PATIENCE_S, wait_until
from websockets.sync.client import ClientConnection
from websockets.sync.client import connect as open_websocket
from websockets.typing import Subprotocol

from facewire.models.assets.store import asset_path

pytestmark = pytest.mark.models
LIVE = "parseFloat(document.getElementById('rate').textContent) > 0"
"""Frames come; how many a second is the machine's."""


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Film a person who keeps still, from a photograph: six seconds that are played again and again."""
    photo = cv2.imread(str(asset_path("demo_face")))
    path = tmp_path_factory.mktemp("clip") / "still.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 30, (512, 512))
    for _ in range(180):
        writer.write(cv2.resize(photo, (512, 512)))
    writer.release()
    return path


@pytest.fixture(scope="module")
def server(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """``facewire serve``, with a configuration folder and takes of its own."""
    takes, config = tmp_path_factory.mktemp("takes"), tmp_path_factory.mktemp("config")
    command = [*FACEWIRE, "serve", "--video", str(clip), "--loop", "--device", "cpu"]
    command += ["--listen", "127.0.0.1:0", "--record", str(takes)]
    environment = {**os.environ, "FACEWIRE_CONFIG": str(config)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        yield addresses_of(process) | {"takes": str(takes)}
        process.terminate()
        process.wait(PATIENCE_S)


class Script:
    """A script's connection, as Unity's or Python's: commands and the status, as JSON."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.socket.send(json.dumps({"type": "subscribe", "format": "json", "streams": [], "max_rate": 1}))
        self.last_id = 0

    def read(self, kind: str) -> dict[str, Any]:
        while True:
            data = self.socket.recv(timeout=PATIENCE_S)
            if isinstance(data, str) and (message := json.loads(data))["type"] == kind:
                return dict(message)

    def result(self, name: str, args: Any = None) -> dict[str, Any]:
        self.last_id += 1
        self.socket.send(json.dumps({"type": "command", "id": self.last_id, "name": name, "args": args or {}}))
        while (result := self.read("result"))["id"] != self.last_id:
            pass
        return result

    def state(self) -> dict[str, Any]:
        result = self.result("state")
        while "loaded" in result.get("error", ""):
            time.sleep(0.3)
            result = self.result("state")
        assert result["ok"], result
        return dict(result["value"])


@pytest.fixture
def script(server: dict[str, str]) -> Iterator[Script]:
    # What it does not read fills its queue, and the server's goodbye would wait behind that.
    options: dict[str, Any] = {"proxy": None, "open_timeout": PATIENCE_S, "close_timeout": 0.2}
    with open_websocket(server["stream"], subprotocols=[Subprotocol("facewire.v1")], **options) as socket:
        script = Script(socket)
        script.state()
        yield script


@pytest.fixture
def panel(server: dict[str, str], script: Script, tab: Tab) -> Tab:  # noqa: ARG001, it waits for the networks
    """Open the page and wait until it shows the server's settings."""
    tab.call("Emulation.setDeviceMetricsOverride", width=1280, height=900, deviceScaleFactor=1, mobile=False)
    tab.open(server["open"])
    tab.wait_for("document.querySelectorAll('#regions select').length === 7")
    tab.wait_for(LIVE)
    return tab


def choose(tab: Tab, element: str, value: str) -> None:
    """Choose an option as a person does: the page hears of it by its event."""
    tab.run(f"""(() => {{ const select = document.querySelector({json.dumps(element)});
        select.value = {json.dumps(value)}; select.dispatchEvent(new Event("change", {{ bubbles: true }})); }})()""")


def click(tab: Tab, element: str) -> None:
    tab.run(f"document.getElementById('{element}').click()")


def type_profile(tab: Tab, name: str) -> None:
    """Type a name, then leave the field, as whoever goes on to a button does."""
    field = "document.getElementById('profile')"
    tab.run(f"{field}.value = '{name}', {field}.dispatchEvent(new Event('input'))")


def test_the_panel_shows_the_face_in_3d_and_the_camera_only_while_somebody_looks(panel: Tab) -> None:
    drawn = """(() => { const head = document.getElementById("head");
        const copy = new OffscreenCanvas(64, 48).getContext("2d");
        return new Promise((done) => requestAnimationFrame(() => { copy.drawImage(head, 0, 0, 64, 48);
            done(copy.getImageData(0, 0, 64, 48).data.filter((v, i) => i % 4 === 3 && v > 200).length); })); })()"""
    panel.wait_for("!document.getElementById('head').hidden")
    panel.wait_for(f"({drawn}).then((count) => count > 300)")
    seen = "document.getElementById('camera').getContext('2d').getImageData(200, 150, 1, 1).data[3]"
    assert panel.run(seen) == 0
    click(panel, "look")
    panel.wait_for(f"{seen} === 255")
    panel.wait_for("document.querySelectorAll('#plots figure').length >= 5")
    panel.picture("panel-light")
    click(panel, "look")
    panel.wait_for(f"{seen} === 0")
    assert panel.problems == []


def test_what_is_chosen_holds_and_a_reload_loses_nothing(panel: Tab, script: Script) -> None:
    choose(panel, "[data-region=mouth]", "high")
    choose(panel, "#mode", "camera")
    panel.run("document.getElementById('mirror').click()")
    panel.run("""(() => { const gain = document.querySelector("[aria-label='gain of jawOpen']");
        gain.value = 1.5; gain.dispatchEvent(new Event("change")); })()""")
    chosen = {"gains": {"jawOpen": 1.5}, "mirror": True, "mode": "camera"}
    wait_until(lambda: script.state().items() >= chosen.items(), what=f"{chosen}")
    assert script.state()["regions"]["mouth"] == "high"
    panel.reload()
    panel.wait_for("document.querySelector('[data-region=mouth]')?.value === 'high'")
    panel.wait_for("document.getElementById('mode').value === 'camera' && document.getElementById('mirror').checked")
    panel.wait_for("document.querySelector(\"[aria-label='gain of jawOpen']\").value === '1.5'")
    # What another client changes shows up here.
    assert script.result("set", {"mirror": False, "mode": "auto", "smoothing": "low", "gain": {"jawOpen": 1}})["ok"]
    panel.wait_for("!document.getElementById('mirror').checked && document.getElementById('mode').value === 'auto'")
    panel.wait_for("document.querySelector('[data-region=mouth]').value === 'low'")


def test_the_mesh_and_the_camera_change_while_it_runs(panel: Tab, script: Script, clip: Path) -> None:
    choose(panel, "#mesh", "attention")
    wait_until(lambda: script.state()["mesh"] == "attention")
    choose(panel, "#video", "demo")
    wait_until(lambda: script.state()["camera"] == "demo")
    wait_until(lambda: script.read("status")["devices"]["video"]["state"] == "running")
    panel.wait_for(LIVE)
    assert script.result("choose", {"video": str(clip)})["ok"]
    assert script.result("choose", {"mesh": "v2"})["ok"]


def test_calibration_and_profiles_from_the_page(panel: Tab, script: Script) -> None:
    click(panel, "neutral")
    panel.wait_for("document.getElementById('calibration-result').textContent.startsWith('done')")
    panel.wait_for("document.getElementById('calibrated').textContent.includes('is known')")
    assert script.state()["calibrated"]
    # The astronaut smiles: at her own rest, nothing of it is left.
    smile = """[...document.querySelectorAll("#shapes li")].find((li) => li.innerText.startsWith("mouthSmileLeft"))"""
    panel.wait_for(f"parseFloat({smile}.querySelector('output').value) < 0.05")
    type_profile(panel, "ada")
    click(panel, "profile-save")
    panel.wait_for("document.getElementById('profile-result').textContent === 'saved'")
    click(panel, "reset")
    panel.wait_for("document.getElementById('calibration-result').textContent.startsWith('press again to forget')")
    assert script.state()["calibrated"]
    click(panel, "reset")
    panel.wait_for("document.getElementById('calibrated').textContent.includes('Not calibrated')")
    type_profile(panel, "ada")
    click(panel, "profile-load")
    panel.wait_for("document.getElementById('calibrated').textContent.includes('is known')")
    # The button waits for its answer, which may come after the state that tells of it.
    panel.wait_for("document.getElementById('profile-result').textContent === 'loaded'")
    type_profile(panel, "nobody")
    assert script.result("set", {"smoothing": "medium"})["ok"]  # and so the state is told anew
    panel.wait_for("document.getElementById('profile').value === 'nobody'")
    click(panel, "profile-load")
    panel.wait_for("document.getElementById('profile-result').textContent.includes('no profile')")
    for name in ("nobody", "ada"):  # the second name is asked about, too
        type_profile(panel, name)
        click(panel, "profile-delete")
        panel.wait_for(f"document.getElementById('profile-result').textContent === 'press again to delete {name}'")
    assert script.state()["profiles"] == ["ada"]
    click(panel, "profile-delete")
    panel.wait_for("document.getElementById('profile-result').textContent === 'deleted'")
    assert script.result("calibrate_reset")["ok"]


def test_the_guide_leads_through_poses_and_says_what_it_did_not_see(panel: Tab, script: Script) -> None:
    click(panel, "neutral")
    panel.wait_for("document.getElementById('calibrated').textContent.includes('is known')")
    panel.run("void document.getElementById('guide').click()")
    panel.wait_for("document.getElementById('guide-dialog').open")
    panel.wait_for("document.getElementById('guide-list').children.length >= 1")
    assert "not seen: mouthSmileLeft" in panel.text("guide-list")  # a photograph does not move
    panel.picture("panel-guide", whole=False)
    skip = "document.getElementById('guide-skip')"  # not while the server looks
    panel.wait_for(f"{skip}.ariaDisabled !== 'true' && ({skip}.click(), true)")
    panel.wait_for("document.getElementById('guide-list').innerText.includes('skipped')")
    panel.call("Input.dispatchKeyEvent", type="keyDown", key="Escape", code="Escape", windowsVirtualKeyCode=27)
    panel.wait_for("!document.getElementById('guide-dialog').open")
    panel.wait_for("document.getElementById('calibration-result').textContent.includes('stopped')")
    assert script.result("calibrate_reset")["ok"]


def test_a_take_is_recorded_listed_and_replayed_in_place(panel: Tab, script: Script, server: dict[str, str]) -> None:
    # serve --record began one; it has to play for longer than what is done here while it does.
    panel.wait_for("/^Stop .*\\(([1-9]|0:[2-5])/.test(document.getElementById('record').textContent)")
    click(panel, "record")
    panel.wait_for("document.querySelectorAll('#takes li').length === 1")
    panel.wait_for("document.getElementById('takes-result').textContent.startsWith('kept take-')")
    assert len(list(Path(server["takes"]).glob("*.mcap"))) == 1
    panel.wait_for("document.getElementById('record').textContent === 'Record'")
    panel.run("document.querySelector('#takes button').click()")
    panel.wait_for("document.querySelector('#takes .playing') !== null")
    while (replay := script.read("status")["replay"]) is None:  # what was sent before it began
        pass
    assert replay["file"].endswith(".mcap")
    panel.wait_for("!document.getElementById('stop-take').hidden")
    steer_the_take(panel, script)
    click(panel, "stop-take")
    panel.wait_for("document.getElementById('takes-result').textContent === 'live again'")
    panel.wait_for("document.getElementById('replay').hidden")
    panel.wait_for("document.getElementById('state').textContent === 'connected'")
    panel.wait_for(LIVE)
    panel.run("document.querySelector('#takes button').click()")
    panel.wait_for("document.getElementById('replay').checkVisibility()")
    assert script.result("seek", {"time_s": script.result("speed", {"speed": 1})["value"]["to_s"]})["ok"]
    panel.wait_for("document.getElementById('takes-result').textContent === 'live again'")  # it ended by itself
    for args in ({}, {"file": 3}, {"file": "../../etc/passwd"}, {"file": "no.mcap"}, {"file": "x", "speed": 2}):
        assert not script.result("replay_start", args)["ok"]


def steer_the_take(panel: Tab, script: Script) -> None:
    """Check that the bar is there in the place of the live face too; ``test_panel_replay.py`` has what it does."""
    assert panel.run("document.getElementById('replay').checkVisibility()")
    click(panel, "replay-play")
    panel.wait_for("document.getElementById('replay-play').textContent === 'Play'")
    panel.wait_for("document.getElementById('state').textContent === 'connected: a take is paused'")
    while not script.read("status")["replay"]["paused"]:
        pass
    panel.picture("panel-replay")


def test_outputs_are_switched_on_and_off_from_the_page(panel: Tab, script: Script) -> None:
    panel.wait_for("document.getElementById('output-kind').value === 'vmc'")
    assert panel.run("document.getElementById('output-target').placeholder") == "127.0.0.1:39539"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(PATIENCE_S)
        where = f"127.0.0.1:{receiver.getsockname()[1]}"
        panel.run(f"document.getElementById('output-target').value = '{where}'")
        click(panel, "output-start")
        while b"/VMC/Ext/Bone/Pos" not in receiver.recv(2000):
            pass  # a keep-alive, or a face's second datagram
        panel.wait_for("document.querySelector('#outputs .badge')?.textContent === 'on'")
        panel.wait_for("parseInt(document.querySelector('#outputs .quiet').textContent) > 5")
        assert panel.text("outputs-result") == f"vmc:{where} started"
        panel.run("document.querySelector('#outputs button').focus()")
        panel.picture("panel-outputs")
        (output,) = script.result("outputs")["value"]["outputs"]
        assert (output["id"], output["state"]) == (f"vmc:{where}", "on")
    # The program is gone: the page says so, and the stream goes on.
    panel.wait_for("document.querySelector('#outputs .badge').textContent === 'failing'")
    panel.wait_for("document.querySelector('#outputs .quiet').textContent.includes('refused')")
    assert panel.run("document.activeElement.ariaLabel") == f"Stop vmc:{where}"
    panel.run("document.getElementById('output-target').value = '8.8.8.8'")
    click(panel, "output-start")
    panel.wait_for("document.getElementById('outputs-result').textContent.includes('its own network')")
    panel.run("document.querySelector('#outputs button').click()")
    panel.wait_for("document.querySelectorAll('#outputs li').length === 0")
    assert panel.problems == []


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("output_start", {}),
        ("output_start", {"output": 3}),
        ("output_start", {"output": "vcm"}),
        ("output_start", {"output": "csv:/tmp/facewire-was-here.csv"}),
        ("output_start", {"output": "jsonl:-"}),
        ("output_start", {"output": "vmc:8.8.8.8:39539"}),
        ("output_start", {"output": "vmc:0.0.0.0"}),
        ("output_start", {"output": "vmc", "path": "/etc"}),
        ("output_stop", {"output": "vmc"}),
        ("output_stop", {}),
        ("outputs", {"x": 1}),
        ("set", {}),
        ("set", {"volume": 3}),
        ("set", {"smoothing": "extreme"}),
        ("set", {"smoothing": {"ears": "low"}}),
        ("set", {"smoothing": {"mouth": 3}}),
        ("set", {"mirror": 1}),
        ("set", {"mirror": None}),
        ("set", {"mode": "telepathy"}),
        ("set", {"mode": ["auto"]}),
        ("set", {"sync": "yes"}),
        ("set", {"gain": {"jawOpen": 99}}),
        ("set", {"gain": {"jawOpen": "high"}}),
        ("set", {"gain": {"tail": 1}}),
        ("set", {"gain": 2}),
        ("set", {"gain": {"jawOpen": 1.5}, "mode": "telepathy"}),
        ("choose", {}),
        ("choose", {"video": 3}),
        ("choose", {"video": "/etc/passwd"}),
        ("choose", {"video": "rtsp://example.org/"}),
        ("choose", {"mesh": "v3"}),
        ("choose", {"mesh": "v2", "video": "demo"}),
        ("choose", {"audio": "0"}),
        ("calibrate", {"pose": "dance"}),
        ("calibrate", {"pose": ["smile"]}),
        ("calibrate", {"seconds": 3}),
        ("calibrate", {"pose": "smile"}),
        ("calibrate_reset", {"all": True}),
        ("profile_save", {"name": "../evil"}),
        ("profile_save", {"name": 7}),
        ("profile_load", {"name": "nobody"}),
        ("profile_delete", {"name": "nobody"}),
        ("state", {"x": 1}),
        ("dance", {}),
    ],
)
def test_a_bad_command_gets_an_error_and_changes_nothing(script: Script, name: str, args: dict[str, Any]) -> None:
    before = script.state()
    result = script.result(name, args)
    assert result["ok"] is False
    assert "\n" not in result["error"]
    assert "failed in the server" not in result["error"]
    assert script.state() == before


@pytest.mark.usefixtures("script")
def test_the_panel_on_a_phone_in_the_dark(server: dict[str, str], tab: Tab) -> None:
    tab.call("Emulation.setDeviceMetricsOverride", width=360, height=740, deviceScaleFactor=2, mobile=True)
    tab.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    tab.open(server["open"])
    tab.wait_for("document.querySelectorAll('#regions select').length === 7")
    tab.wait_for(LIVE)
    assert tab.run("document.documentElement.scrollWidth") <= 360
    tab.picture("panel-phone-dark")


def test_every_control_is_reached_by_the_keyboard_and_named(panel: Tab) -> None:
    unnamed = panel.run("""[...document.querySelectorAll("main button, main select, main input")].filter((control) =>
        control.offsetParent && !(control.labels?.length || control.textContent.trim() || control.ariaLabel)).length""")
    assert unnamed == 0
    wanted = panel.run("""[...document.querySelectorAll("main button, main select, main input")].filter((control) =>
        control.offsetParent && !control.disabled).length""")
    reached = set()
    for _ in range(wanted + 5):
        for kind in ("rawKeyDown", "keyUp"):
            panel.call("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)
        reached.add(
            panel.run("""(() => { const at = document.activeElement;
            return at.id || at.dataset.region || at.ariaLabel; })()""")
        )
    assert len(reached - {None, ""}) >= wanted


@pytest.mark.usefixtures("script")
def test_obs_gets_the_head_alone_on_nothing(server: dict[str, str], tab: Tab) -> None:
    tab.call("Emulation.setDeviceMetricsOverride", width=640, height=640, deviceScaleFactor=1, mobile=False)
    tab.open(f"{server['open']}?view=avatar&background=transparent")
    tab.call("Emulation.setDefaultBackgroundColorOverride", color={"r": 0, "g": 0, "b": 0, "a": 0})
    tab.wait_for("document.getElementById('head')?.width === 640")

    def shot() -> np.ndarray:
        png = base64.b64decode(tab.call("Page.captureScreenshot", format="png")["data"])
        return cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)

    def is_drawn(image: np.ndarray) -> bool:
        return image.shape[2] == 4 and bool(image[300:340, 300:340, 3].min() == 255)

    wait_until(lambda: is_drawn(shot()), what="a head before nothing")
    image = shot()
    assert image[:10, :10, 3].max() == 0
    assert image[-10:, -10:, 3].max() == 0
    assert 0.1 < (image[..., 3] > 128).mean() < 0.8
    tab.picture("obs", whole=False)
    assert tab.problems == []
