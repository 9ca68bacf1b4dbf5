"""The panel of ``facewire replay`` in a real headless Chromium: the bar that steers a take."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.browser import Tab
from support.program import FACEWIRE, addresses_of
from support.waiting import PATIENCE_S, wait_until

from facewire.bridge.client.blocking import BlockingClient, connect_blocking

FRAME_S = 1 / 60
PLACE = "Number(document.getElementById('replay-place').value)"
TIME = "document.getElementById('replay-time').textContent"
PLAYS = "document.getElementById('replay-play').textContent === 'Pause'"
STANDS = "document.getElementById('replay-play').textContent === 'Play'"


@pytest.fixture
def address(make_take: Callable[..., Path]) -> Iterator[str]:
    """``facewire replay`` of seconds 1 to 61 of a take, and its page's address."""
    command = [*FACEWIRE, "replay", str(make_take(seconds=70))]
    command += ["--listen", "127.0.0.1:0", "--start", "1", "--end", "61", "--wait-subscriber"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield addresses_of(process)["open"]
        process.terminate()
        process.wait(PATIENCE_S)


@pytest.fixture
def other(address: str, panel: Tab) -> Iterator[BlockingClient]:  # noqa: ARG001, the page comes first
    """Another client of the replay."""
    with connect_blocking(address.replace("http", "ws") + "v1/live", timeout_s=PATIENCE_S) as client:
        assert client.next_frame(timeout_s=PATIENCE_S) is not None
        yield client


@pytest.fixture
def panel(address: str, tab: Tab) -> Tab:
    """Open the page and wait until the bar is there."""
    tab.call("Emulation.setDeviceMetricsOverride", width=1280, height=900, deviceScaleFactor=1, mobile=False)
    tab.open(address)
    tab.wait_for("document.getElementById('replay').checkVisibility()")
    return tab


def press(tab: Tab, key: str, code: int, **more: str) -> None:
    for kind, what in (("keyDown", more), ("keyUp", {})):
        tab.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **what)


def mouse(tab: Tab, kind: str, share: float) -> None:
    """Has the mouse do something at a share of the slider's way."""
    x, y, width, height = tab.run("""(() => { const { x, y, width, height } =
        document.getElementById("replay-place").getBoundingClientRect(); return [x, y, width, height]; })()""")
    held = {"button": "left", "buttons": int(kind != "mouseReleased"), "clickCount": 1}
    tab.call("Input.dispatchMouseEvent", type=kind, x=x + 8 + share * (width - 16), y=y + height / 2, **held)


def choose(tab: Tab, value: str) -> None:
    tab.run(f"""(() => {{ const select = document.getElementById("replay-speed");
        select.value = "{value}"; select.dispatchEvent(new Event("change", {{ bubbles: true }})); }})()""")


def test_only_what_a_replay_can_do_is_shown(panel: Tab) -> None:
    seen = [
        name
        for name in ("record", "takes", "stop-take", "neutral", "mode")
        if panel.run(f"{by_id(name)}.checkVisibility()")
    ]
    assert seen == []
    assert panel.text("replay-file") == "take"
    panel.wait_for("document.getElementById('state').textContent === 'connected: a take plays'")
    panel.wait_for(f"/^0:0[2-9] [/] 1:01$/.test({TIME})")  # it moves, and ends where --end says
    unnamed = panel.run("""[...document.querySelectorAll("#replay button, #replay select, #replay input")].filter(
        (control) => !control.textContent.trim() && !control.ariaLabel).length""")
    assert unnamed == 0
    panel.call("Emulation.setDeviceMetricsOverride", width=360, height=740, deviceScaleFactor=2, mobile=True)
    assert panel.run("document.documentElement.scrollWidth") <= 360
    panel.picture("replay-phone")
    assert panel.problems == []


def by_id(name: str) -> str:
    return f"document.getElementById('{name}')"


def test_the_bar_by_keyboard(panel: Tab, other: BlockingClient) -> None:
    panel.run("document.getElementById('replay-play').focus()")
    press(panel, " ", 32, text=" ")
    panel.wait_for(STANDS)
    assert panel.run("document.activeElement.id") == "replay-play"  # the next press is there too
    place_s = other.command("step", {"frames": 0})["time_s"]
    panel.wait_for(f"Math.abs({PLACE} - {place_s}) < 0.001")  # what others do is followed
    panel.run("document.getElementById('replay-on').focus()")
    for count in (1, 2):
        press(panel, "Enter", 13, text="\r")
        panel.wait_for(f"Math.abs({PLACE} - {place_s + count * FRAME_S}) < 0.001")
    panel.run("document.getElementById('replay-back').click()")
    panel.wait_for(f"Math.abs({PLACE} - {place_s + FRAME_S}) < 0.001")
    panel.run("document.getElementById('replay-place').focus()")
    for key, code, words in (("End", 35, "1:01.00 of 1:01.00"), ("Home", 36, "0:01.00 of 1:01.00")):
        press(panel, key, code)
        panel.wait_for(f"document.getElementById('replay-place').getAttribute('aria-valuetext') === '{words}'")
    wait_until(lambda: other.command("pause")["time_s"] == 1.0)
    assert panel.problems == []


def test_the_slider_is_the_hand_s_while_it_is_held(panel: Tab, other: BlockingClient) -> None:
    panel.wait_for(PLAYS)
    mouse(panel, "mousePressed", 0.2)
    for share in (0.4, 0.6, 0.5):
        mouse(panel, "mouseMoved", share)
    panel.wait_for("document.getElementById('state').textContent.endsWith('paused')")  # a status has come meanwhile
    assert panel.run(PLACE) == pytest.approx(31, abs=0.5)
    assert panel.run(PLAYS)  # it will go on
    assert other.command("step", {"frames": 0})["time_s"] == pytest.approx(31, abs=0.5)
    mouse(panel, "mouseMoved", 0.3)
    mouse(panel, "mouseReleased", 0.3)
    panel.wait_for("document.getElementById('state').textContent.endsWith('plays')")
    assert 18 < panel.run(PLACE) < 31
    # Drawn to the end it stays there, rather than end at once.
    mouse(panel, "mousePressed", 0.5)
    mouse(panel, "mouseMoved", 1.5)
    mouse(panel, "mouseReleased", 1.5)
    panel.wait_for(STANDS)
    panel.wait_for(f"{TIME} === '1:01.00 / 1:01.00'")
    panel.run("document.getElementById('replay-play').click()")
    panel.wait_for(f"{PLAYS} && {PLACE} < 31")


def test_the_speed_is_chosen_and_followed_and_what_is_refused_goes_back(panel: Tab, other: BlockingClient) -> None:
    choose(panel, "0.25")
    panel.wait_for("!document.querySelector('[aria-disabled=true]')")
    wait_until(lambda: other.command("pause")["speed"] == 0.25)
    other.command("speed", {"speed": 3})
    panel.wait_for("document.getElementById('replay-speed').value === '3'")
    choose(panel, "")
    panel.wait_for("document.getElementById('takes-result').textContent.includes('speed must be')")
    panel.wait_for("document.getElementById('replay-speed').value === '3'")
    assert other.command("pause")["speed"] == 3
