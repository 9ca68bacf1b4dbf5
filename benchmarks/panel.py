"""What the control panel costs: the server with one panel open, the first paint, and frames a second in a browser.

The server publishes 60 frames a second with nothing to track, so that its processor time is the panel's: with nobody
connected, with a page in headless Chromium, and with the camera's picture shown. The browser draws in software at
1280 × 720.

Prints a table and one JSON line. Run: python benchmarks/panel.py [--seconds N]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from websockets.sync.client import connect

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.browser import CHROMIUM, Tab

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_s(pid: int) -> float:
    """Processor time of a process so far (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


PUMP = """
import threading, time
import numpy as np
from facewire.bridge.server.config import ServerConfig
from facewire.bridge.wire.frame import FaceFrame
from facewire.bridge.wire.messages import Greeting
from facewire.bridge.server.server import LiveServer
from facewire.runtime.panel.preview import Preview

rng = np.random.default_rng(1)
image = rng.integers(0, 255, (480, 640, 3), np.uint8)
image = np.repeat(np.repeat(image[::16, ::16], 16, 0), 16, 1).copy()
head, gaze = np.array([0, 0, 0, 1, 0, 0, -0.5], np.float32), np.zeros(4, np.float32)
landmarks = rng.uniform(100, 400, (478, 3)).astype(np.float32)
greeting = Greeting(rate=60.0, streams=("blendshapes", "head", "gaze", "landmarks", "raw", "preview"))
status = {"devices": {"video": {"kind": "camera", "name": "none", "state": "running"}}, "drops": {"capture": 0},
          "rates": {"capture": 60.0, "publish": 60.0}, "latencies": {"total": 9.0, "track": 5.0, "hand_over": 1.0}}
server = LiveServer(ServerConfig(port=0), clock_ns=time.perf_counter_ns, greeting=greeting, status=lambda: status)
server.start()
preview = Preview(lambda: server.wants("preview"), server.publish_preview)
preview.start()
print(server.page_url, flush=True)
due = time.perf_counter()
for seq in range(10**9):
    now = time.perf_counter_ns()
    shapes = rng.random(52, np.float32)
    preview.offer(image, now)
    server.publish(FaceFrame(seq, now, now, "video", 1.0, shapes, head, gaze, landmarks, raw=shapes))
    due = max(due + 1 / 60, time.perf_counter())
    time.sleep(max(due - time.perf_counter(), 0))
"""


@contextlib.contextmanager
def serving() -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start a server that publishes 60 frames a second; yield it with its page's address."""
    process = subprocess.Popen([sys.executable, "-c", PUMP], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process, process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait(20)


@contextlib.contextmanager
def browsing() -> Iterator[Tab]:
    """Open a tab of a headless Chromium at 720p."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [str(CHROMIUM), "--headless=new", "--no-sandbox", "--enable-unsafe-swiftshader", "--no-first-run"]
        command += ["--disable-dev-shm-usage", "--no-proxy-server", "--remote-debugging-port=0"]
        command += ["--remote-allow-origins=*", f"--user-data-dir={profile}"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        file = Path(profile) / "DevToolsActivePort"
        while not (file.exists() and file.read_text().strip()):
            time.sleep(0.05)
        port = file.read_text().split()[0]
        with urlopen(Request(f"http://127.0.0.1:{port}/json/new?about:blank", method="PUT"), timeout=10) as answer:
            address = json.load(answer)["webSocketDebuggerUrl"]
        with connect(address, max_size=None, proxy=None) as socket:
            tab = Tab(socket)
            tab.call("Emulation.setDeviceMetricsOverride", width=1280, height=720, deviceScaleFactor=1, mobile=False)
            yield tab
        process.terminate()
        process.wait(20)


def share(pid: int, seconds: float) -> float:
    """Percent of a core that a process takes."""
    before, start = cpu_s(pid), time.perf_counter()
    time.sleep(seconds)
    return 100 * (cpu_s(pid) - before) / (time.perf_counter() - start)


PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
COUNT = """new Promise((done) => { let frames = 0, start = performance.now();
    const count = (now) => now - start > %d ? done(1000 * frames / (now - start))
        : (frames++, requestAnimationFrame(count));
    requestAnimationFrame(count); })"""


def measure(seconds: float) -> dict[str, Any]:
    with serving() as (server, url), browsing() as tab:
        time.sleep(2)
        figures: dict[str, Any] = {"alone": share(server.pid, seconds)}
        tab.open(url)
        tab.wait_for("document.querySelectorAll('#shapes li').length === 52")
        paints = [tab.wait_for(PAINT)]
        for _ in range(5):  # the first time the browser itself is still starting
            tab.leave("Page.reload", ignoreCache=True)
            paints.append(tab.wait_for(PAINT))
        figures["first_paint_ms"] = {"cold": round(paints[0], 1), "median": round(statistics.median(paints[1:]), 1)}
        tab.wait_for("!document.getElementById('head').hidden && document.getElementById('rate').textContent > '1'")
        time.sleep(2)
        figures["panel"] = share(server.pid, seconds)
        figures["browser_frames_s"] = round(tab.run(COUNT % 3000), 1)
        tab.run("document.getElementById('look').click()")
        tab.wait_for("document.getElementById('camera').getContext('2d').getImageData(9, 9, 1, 1).data[3] === 255")
        figures["panel_and_picture"] = share(server.pid, seconds)
        # What else the machine does changes: the server alone is read again.
        tab.open("about:blank")
        time.sleep(1)
        figures["alone_again"] = share(server.pid, seconds)
        return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0, help="how long each share is read")
    figures = measure(parser.parse_args().seconds)
    alone = (figures["alone"] + figures["alone_again"]) / 2
    figures["panel_costs"] = round(figures["panel"] - alone, 1)
    figures["picture_costs"] = round(figures["panel_and_picture"] - figures["panel"], 1)
    print(f"server alone            {figures['alone']:6.1f} % of a core, again {figures['alone_again']:.1f}")
    print(f"with one panel          {figures['panel']:6.1f} %, more by {figures['panel_costs']}")
    print(f"with the picture        {figures['panel_and_picture']:6.1f} %, more by {figures['picture_costs']}")
    paint = figures["first_paint_ms"]
    print(
        f"first contentful paint  {paint['median']:6.0f} ms, {paint['cold']:.0f} ms in a browser that has just started"
    )
    print(f"the page draws          {figures['browser_frames_s']:6.1f} frames a second, in software at 1280 × 720")
    print(json.dumps({"benchmark": "panel", "load": os.getloadavg()[0], **figures}))


if __name__ == "__main__":
    main()
