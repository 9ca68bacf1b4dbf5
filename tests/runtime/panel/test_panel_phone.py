"""The control panel while a phone takes the camera's place, in a real headless Chromium."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from support.browser import Tab
from support.ports import free_udp_port
from support.program import FACEWIRE, addresses_of
from support.waiting import PATIENCE_S

from facewire.bridge.outputs.choose import make_output
from facewire.bridge.shared.arkit import BLENDSHAPE_INDEX
from facewire.bridge.shared.clock import now_ns
from facewire.bridge.wire.frame import FaceFrame


def send_a_face(port: int, stop: threading.Event) -> None:
    """Send a face that keeps still with its jaw half open, as a phone does."""
    shapes = np.zeros(52, np.float32)
    shapes[BLENDSHAPE_INDEX["jawOpen"]] = 0.5
    frame = FaceFrame(
        0, 0, 0, "video", 1.0, shapes, np.array([0, 0, 0, 1, 0, 0, 0], np.float32), np.zeros(4, np.float32)
    )
    output = make_output(f"livelink:127.0.0.1:{port}")
    output.open()
    while not stop.wait(1 / 60):
        with contextlib.suppress(OSError):
            output.send(frame, now_ns())
    output.close()


@pytest.fixture
def page(tmp_path: Path) -> Iterator[str]:
    """Yield the address of the page of ``facewire serve`` with a phone."""
    port = free_udp_port()
    command = [*FACEWIRE, "serve", "--video", f"livelink:{port}", "--mouth", "video"]
    environment, stop = {**os.environ, "FACEWIRE_CONFIG": str(tmp_path)}, threading.Event()
    phone = threading.Thread(target=send_a_face, args=(port, stop), daemon=True)
    with subprocess.Popen(
        [*command, "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        said = addresses_of(process)
        assert f"UDP 127.0.0.1:{port}, to this machine only" in "\n".join(said.values())
        phone.start()
        yield said["open"]
        stop.set()
        phone.join()
        process.terminate()
        process.wait(PATIENCE_S)


def test_a_phone_s_face_is_shown_and_calibrated_and_its_picture_is_not_promised(page: str, tab: Tab) -> None:
    tab.call("Emulation.setDeviceMetricsOverride", width=1280, height=900, deviceScaleFactor=1, mobile=False)
    tab.open(page)
    tab.wait_for("document.querySelectorAll('#regions select').length === 7")
    tab.wait_for("parseFloat(document.getElementById('rate').textContent) > 0")
    tab.wait_for("document.getElementById('look').disabled")
    assert "sends no picture" in tab.text("camera-hint")
    # Without --record there is nothing to press, but how to come by it.
    tab.wait_for("document.getElementById('no-folder').checkVisibility()")
    assert not tab.run("document.getElementById('record').checkVisibility()")
    assert tab.run("document.getElementById('video').selectedOptions[0].value").startswith("livelink:")
    newest = "[...document.querySelectorAll('#shapes *')].some((one) => one.textContent.trim() === '0.50')"
    tab.wait_for(newest)
    tab.run("document.getElementById('neutral').click()")
    tab.wait_for(f"!({newest})")
    tab.picture("panel-phone")
    assert tab.problems == []
