"""The page at / on a bare server, and the documented browser example, in a real headless Chromium."""

from __future__ import annotations

import base64
import functools
import http.server
import json
import threading
from typing import Any

import numpy as np
import pytest
from support.browser import Tab
from support.paths import GOLDEN, ROOT
from support.servers import Serve

from facewire.bridge.shared.errors import BusyError, NotReadyError
from facewire.bridge.wire.messages import Greeting
from facewire.bridge.wire.streams import offered_streams


def test_the_page_shows_the_live_face(serve: Serve, tab: Tab) -> None:
    server = serve(status=lambda: {"devices": {"video": {"error": "The camera is busy: close the other program."}}})
    tab.open(server.page_url)
    tab.wait_for("document.getElementById('state')?.textContent === 'connected'")
    assert tab.wait_for("document.querySelectorAll('#shapes li').length") == 52
    tab.wait_for("parseFloat(document.getElementById('rate').textContent) > 0")
    tab.wait_for("document.getElementById('latency').textContent.endsWith(' ms')")
    tab.wait_for("document.getElementById('subscribers').textContent === '1'")
    assert tab.run("document.querySelector('#shapes li:last-child').innerText.split(/\\s+/)") == ["tongueOut", "1.00"]
    assert tab.run("getComputedStyle(document.querySelector('#shapes li:last-child .bar')).transform") != "none"
    assert tab.text("z") == "50.0 cm"
    tab.wait_for("document.getElementById('problems').innerText.includes('The camera is busy')")
    assert tab.run("document.body.classList.contains('no-panel')") is True  # this server has no settings
    assert tab.run("document.getElementById('record').offsetParent") is None
    assert tab.problems == []
    tab.picture("page-light")


def test_the_page_fits_a_phone_and_the_dark(serve: Serve, tab: Tab) -> None:
    tab.call("Emulation.setDeviceMetricsOverride", width=360, height=740, deviceScaleFactor=2, mobile=True)
    tab.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    tab.open(serve().page_url)
    tab.wait_for("document.querySelectorAll('#shapes li').length === 52")
    assert tab.run("document.documentElement.scrollWidth") <= 360
    assert tab.run("getComputedStyle(document.body).backgroundColor") == "rgb(20, 24, 27)"
    tab.wait_for("parseFloat(document.getElementById('rate').textContent) > 0")
    tab.picture("page-phone-dark")


def test_the_page_comes_back_with_its_server(serve: Serve, tab: Tab) -> None:
    first = serve()
    tab.open(first.page_url)
    tab.wait_for("document.getElementById('state')?.textContent === 'connected'")
    first.stop()
    tab.wait_for("document.getElementById('state').dataset.state !== 'live'")
    assert "Is it running" in tab.wait_for("document.getElementById('problems').textContent")
    serve(port=first.address[1])
    tab.wait_for("document.getElementById('state').textContent === 'connected'")
    assert tab.run("document.getElementById('problems').hidden") is True


def test_the_page_passes_its_token_on(serve: Serve, tab: Tab) -> None:
    server = serve(host="0.0.0.0")
    tab.open(server.page_url)
    tab.wait_for("document.getElementById('state')?.textContent === 'connected'")
    tab.open(server.page_url.partition("?")[0])
    tab.wait_for("document.getElementById('problems')?.textContent.includes('token')")
    assert server.subscribers <= 1


def test_the_pages_msgpack_reader_agrees_with_the_golden_vectors(serve: Serve, tab: Tab) -> None:
    tab.open(serve(rate=0).page_url)
    script = """(async (encoded) => {
        const { decode, floats } = await import("/msgpack.js");
        const bytes = Uint8Array.from(atob(encoded), (c) => c.charCodeAt(0));
        const entries = (map) => Object.fromEntries(Object.entries(map).map(([key, value]) => [key, plain(value)]));
        const plain = (value) => value instanceof DataView ? [...floats(value)]
            : Array.isArray(value) ? value.map(plain)
            : value && typeof value === "object" ? entries(value) : value;
        return plain(decode(bytes.buffer));
    })("%s")"""
    names = {file.stem for file in GOLDEN.glob("*.msgpack")} - {"frame_last"}  # Its integers are beyond JavaScript's.
    assert len(names) > 15
    for name in names:
        encoded = base64.b64encode((GOLDEN / f"{name}.msgpack").read_bytes()).decode()
        assert tab.run(script % encoded) == json.loads((GOLDEN / f"{name}.json").read_text()), name
    for broken in ("frame_cut", "frame_trailing_byte", "bad_utf8", "reserved_byte", "empty"):
        encoded = base64.b64encode((GOLDEN / "invalid" / f"{broken}.msgpack").read_bytes()).decode()
        assert tab.run((script % encoded) + ".then(() => 'read', () => 'refused')") == "refused", broken


def test_nil_in_a_status_is_absent_to_the_page(serve: Serve, tab: Tab) -> None:
    nil = json.loads((GOLDEN / "nil_status.json").read_text())
    server = serve(status=lambda: {key: None for key in nil if nil[key] is None})
    tab.open(server.page_url)
    tab.wait_for("document.getElementById('subscribers')?.textContent === '1'")
    asked = """import("/controls.js").then(({ Controls }) => {
        const own = { revision: 3, asked: 0, refresh() { this.asked++; } };
        const controls = Object.assign(Object.create(Controls.prototype), own);
        controls.status({ revision: null });
        controls.status({});
        return controls.asked;
    })"""
    assert tab.run(asked) == 0
    assert tab.run("document.getElementById('problems').hidden") is True
    assert tab.problems == []


def test_the_page_asks_again_while_the_server_is_busy_or_still_starts(serve: Serve, tab: Tab) -> None:
    refusals = {
        "takes": [BusyError("busy: too much"), NotReadyError("loading")],
        "outputs": [BusyError("busy: too much")],
    }
    asked: list[str] = []

    def handler(name: str, value: dict[str, Any]) -> Any:
        def answer(_: Any) -> dict[str, Any]:
            asked.append(name)
            if refusals[name]:
                raise refusals[name].pop()
            return value

        return answer

    def refuse(_: Any) -> None:
        asked.append("record_start")
        raise BusyError("busy: no answer; try again later")

    commands = {
        "takes": handler("takes", {"takes": [{"file": "one.mcap", "bytes": 1, "unix_s": 0.0}], "folder": "/takes"}),
        "outputs": handler("outputs", {"kinds": [{"name": "vmc", "about": "x", "target": "y"}], "outputs": []}),
        "record_start": refuse,
    }
    server = serve(commands=commands, greeting=Greeting(streams=offered_streams("panel")))
    tab.open(server.page_url)
    tab.wait_for("document.querySelectorAll('#takes li').length === 1")
    tab.wait_for("document.querySelectorAll('#output-kind option').length === 1")
    assert sorted(asked) == ["outputs"] * 2 + ["takes"] * 3
    tab.run("document.getElementById('record').click()")
    words = "document.getElementById('takes-result').textContent"
    assert tab.wait_for(words) == "not done: busy: no answer; try again later"
    assert asked.count("record_start") == 1  # What hung may have been done: a person must look.
    assert tab.problems == []


def test_a_calibration_waits_for_another_clients(serve: Serve, tab: Tab) -> None:
    tab.open(serve(rate=0).page_url)
    tried = """import("/connection.js").then(async ({ Connection }) => {
        const heard = [];
        const busy = Object.assign(new Error("busy: another client's is running"), { code: "busy" });
        const own = { tries: 0, async command() { if (this.tries++ < 1) throw busy; return { pose: "smile" }; } };
        const connection = Object.setPrototypeOf(own, Connection.prototype);
        const value = await connection.ask("calibrate", {}, { waits: (why) => heard.push(why) > 0 });
        own.tries = -1e9;
        const impatient = await connection.ask("calibrate", {}, { patienceMs: 0 }).catch((error) => error.code);
        const left = await connection.ask("calibrate", {}, { waits: () => false }).catch((error) => error.code);
        return [value.pose, heard, impatient, left];
    })"""
    assert tab.run(tried) == ["smile", ["busy: another client's is running"], "busy", "busy"]


def test_the_page_leaves_a_server_of_another_protocol(serve: Serve, tab: Tab) -> None:
    tab.open(serve(rate=0).page_url)
    left = """import("/connection.js").then(({ Connection }) => new Promise((done) => {
        const heard = [];
        window.WebSocket = class {
            constructor() {
                heard.push("open");
                setTimeout(() => this.onmessage({ data: '{"type":"hello","protocol":2}' }));
            }
            close(code) { heard.push(code); this.onclose?.(); setTimeout(() => done(heard), 500); }
        };
        const error = ({ message }) => heard.push(message);
        new Connection("ws://x", { state() {}, hello() { heard.push("hello"); }, error });
    }))"""
    words = "The server speaks protocol 2, this page 1: reload the page."
    assert tab.run(left) == ["open", 1000, words]


def test_the_pages_head_turns_the_right_way(serve: Serve, tab: Tab) -> None:
    tab.open(serve(rate=0).page_url)
    half = np.deg2rad(30) / 2
    for axis, name, degrees in ((0, "pitch", 30), (1, "yaw", 30), (2, "roll", 30)):
        turn = [0.0, 0.0, 0.0, float(np.cos(half))]
        turn[axis] = float(np.sin(half))
        found = tab.run(f"import('/head.js').then((head) => head.angles({turn}))")
        assert found[name] == pytest.approx(degrees)
        assert sum(abs(value) for value in found.values()) == pytest.approx(degrees)
    nose = tab.run(f"import('/head.js').then((head) => head.rotate([0, {np.sin(half)}, 0, {np.cos(half)}], [0, 0, 1]))")
    assert nose == pytest.approx([0.5, 0, np.sqrt(0.75)])  # Yaw turns towards +x, the subject's left.


def test_the_documented_browser_example_receives_frames(serve: Serve, tab: Tab) -> None:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    folder = functools.partial(Quiet, directory=str(ROOT / "docs" / "examples"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), folder) as files:
        threading.Thread(target=files.serve_forever, daemon=True).start()
        page = f"http://127.0.0.1:{files.server_port}/receive.html"
        tab.open(f"{page}?server={serve().url}")
        tab.wait_for("document.getElementById('out')?.textContent.includes('jawOpen 0.333333')")
        files.shutdown()


def test_a_foreign_page_cannot_connect(serve: Serve, tab: Tab) -> None:
    server = serve()
    tab.open("data:text/html,<title>a page whose origin is null</title>")
    script = f"""new Promise((resolve) => {{
        const socket = new WebSocket("{server.url}", "facewire.v1");
        socket.onopen = () => resolve("open");
        socket.onclose = () => resolve("refused");
    }})"""
    assert tab.run(script) == "refused"
