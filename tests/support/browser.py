"""A headless Chromium for tests, driven by the DevTools protocol: the fixtures ``browser`` and ``tab``."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from support.waiting import PATIENCE_S, wait_until
from websockets.sync.client import ClientConnection
from websockets.sync.client import connect as open_websocket

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)


class Tab:
    """One tab of a browser, driven by the DevTools protocol."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.last_id = 0
        self.problems: list[str] = []
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        self.last_id += 1
        self.socket.send(json.dumps({"id": self.last_id, "method": method, "params": params}))
        while True:
            message = json.loads(self.socket.recv(timeout=PATIENCE_S))
            if message.get("id") == self.last_id:
                assert "error" not in message, message["error"]
                return dict(message["result"])
            self.note(message)

    def note(self, message: dict[str, Any]) -> None:
        """Keep what went wrong on the page; warnings of the browser's own software renderer are none of it."""
        params = message.get("params", {})
        if message.get("method") == "Runtime.exceptionThrown" or params.get("entry", {}).get("level") == "error":
            self.problems.append(json.dumps(params))

    def run(self, script: str) -> Any:
        """Return the JSON value of a JavaScript expression, awaited."""
        result = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def open(self, url: str) -> None:
        """Go to a page and wait until it is there: whatever is asked next is asked of it, not of the one before."""
        self.leave("Page.navigate", url=url)

    def reload(self) -> None:
        """Load the page again and wait until it is there."""
        self.leave("Page.reload")

    def leave(self, method: str, **params: Any) -> None:
        self.run("window.isLeft = true")
        self.call(method, **params)
        wait_until(self._is_there, what=f"the end of {method}")

    def _is_there(self) -> bool:
        with contextlib.suppress(AssertionError):  # between two pages there is nobody to ask
            return bool(self.run("!window.isLeft && document.readyState === 'complete'"))
        return False

    def wait_for(self, script: str, timeout_s: float = PATIENCE_S) -> Any:
        """Return the value of an expression once it is truthy."""
        deadline = time.monotonic() + timeout_s
        while not (value := self.run(script)):
            assert time.monotonic() < deadline, f"never true: {script}; {self.run('document.body.innerText')}"
            time.sleep(0.05)
        return value

    def picture(self, name: str, *, whole: bool = True) -> bytes:
        """Return a screenshot, a PNG, of the page or of what is in view; keep it where FACEWIRE_SCREENSHOTS says, to be
        looked at."""
        picture = base64.b64decode(self.call("Page.captureScreenshot", captureBeyondViewport=whole)["data"])
        if folder := os.environ.get("FACEWIRE_SCREENSHOTS"):
            (Path(folder) / f"{name}.png").write_bytes(picture)
        return picture

    def text(self, element: str) -> str:
        return str(self.run(f"document.getElementById('{element}').textContent"))


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Start a headless browser; yield its debugging port."""
    if CHROMIUM is None:
        pytest.skip("needs Chromium: install it to test the page")
    profile = tmp_path_factory.mktemp("chromium")
    command = [
        str(CHROMIUM),
        "--headless=new",
        "--no-sandbox",
        "--enable-unsafe-swiftshader",
        "--no-first-run",
        "--disable-dev-shm-usage",
    ]
    command += [
        "--remote-debugging-port=0",
        "--remote-allow-origins=*",
        "--no-proxy-server",
        f"--user-data-dir={profile}",
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        file = profile / "DevToolsActivePort"
        wait_until(lambda: process.poll() is not None or (file.exists() and file.read_text().strip()), every_s=0.05)
        assert process.poll() is None
        yield int(file.read_text().split()[0])
        process.terminate()


@pytest.fixture
def tab(browser: int) -> Iterator[Tab]:
    """Open a new tab."""
    request = Request(f"http://127.0.0.1:{browser}/json/new?about:blank", method="PUT")
    with urlopen(request, timeout=PATIENCE_S) as answer:
        address = json.load(answer)["webSocketDebuggerUrl"]
    with open_websocket(address, max_size=None, proxy=None, open_timeout=PATIENCE_S, close_timeout=1) as socket:
        tab = Tab(socket)
        yield tab
        tab.call("Page.close")
