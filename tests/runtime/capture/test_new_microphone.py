"""A real run on a real PulseAudio: microphones that come and go while another one is listened to."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

import platformdirs
import pytest
from support.program import serving
from support.sound import pulse
from support.waiting import wait_until

from facewire.bridge.client.blocking import connect_blocking

SECONDS = 100


@pytest.fixture
def server(monkeypatch):
    """Start a sound server with one microphone, for all programs of this test."""
    if not pulse.is_here():
        pytest.skip("PulseAudio is not installed")
    pytest.importorskip("pyaudio")
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="facewire-") as folder:
        server = pulse.VirtualMicrophone(Path(folder), 48_000)
        cache = os.environ.get("FACEWIRE_CACHE") or platformdirs.user_cache_dir("facewire")
        own = {"FACEWIRE_CACHE": cache, "FACEWIRE_CONFIG": folder, "HOME": folder}
        for name, value in {**server.environment, **own}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("PULSE_SOURCE")
        try:
            server.start()
            yield server
        finally:
            server.kill()


@pytest.fixture
def client(server):
    assert server is not None
    with (
        serving("--video", "none", "--audio", "auto") as (_, addresses),
        connect_blocking(addresses["stream"], timeout_s=SECONDS, reconnect=False) as client,
    ):
        wait_until(lambda: heard(client)["state"] == "running", timeout_s=SECONDS, every_s=0.1)
        yield client


def heard(client):
    with contextlib.suppress(TimeoutError):
        client.next_frame(0.05)
    return ((client.client.status or {}).get("devices") or {}).get("audio") or {"state": "unknown"}


def listed(client):
    return {found["name"]: found["id"] for found in client.command("devices", timeout_s=SECONDS)["audio"]}


def plug_in(server, name):
    server.pactl("load-module", "module-null-sink", f"sink_name={name}", "rate=48000", "channels=2",
                 f"sink_properties=device.description={name}")  # fmt: skip


def test_a_source_that_comes_while_another_is_open_is_listed_taken_and_gone_again(server, client):
    before = listed(client)
    assert {"pulse", "default"} <= set(before)
    plug_in(server, "Yeti")
    after = listed(client)
    (new,) = set(after) - set(before)
    assert new == "Monitor of Yeti"
    assert after[new] == "pulse:Yeti.monitor"
    assert heard(client)["losses"] == 0  # the list has disturbed nothing
    client.command("choose", {"audio": after[new]}, timeout_s=SECONDS)
    wait_until(lambda: heard(client)["name"] == "microphone Monitor of Yeti", timeout_s=SECONDS, every_s=0.1)
    wait_until(lambda: heard(client)["state"] == "running", timeout_s=SECONDS, every_s=0.1)
    recorded = server.pactl("list", "short", "source-outputs").split("\t")
    assert recorded[1] == server.pactl("list", "short", "sources").split("Yeti.monitor")[0].split()[-1]
    server.pactl("unload-module", "module-null-sink")  # all of them: it is lost, and no more listed
    wait_until(lambda: heard(client)["state"] == "lost", timeout_s=SECONDS, every_s=0.1)
    assert new not in listed(client)
    plug_in(server, "Yeti")
    wait_until(lambda: heard(client)["state"] == "running", timeout_s=SECONDS, every_s=0.1)
    assert new in listed(client)


def test_a_device_of_alsa_that_comes_while_another_is_open_is_listed_and_taken_by_name(client):
    assert "secondmic" not in listed(client)
    (Path.home() / ".asoundrc").write_text(
        'pcm.secondmic { type rate slave { pcm { type null } rate 48000 } hint { show on description "Second" } }\n'
    )
    assert "secondmic" in listed(client)
    client.command("choose", {"audio": "secondmic"}, timeout_s=SECONDS)
    wait_until(lambda: "(secondmic)" in heard(client)["name"], timeout_s=SECONDS, every_s=0.1)
    wait_until(lambda: heard(client)["state"] == "running", timeout_s=SECONDS, every_s=0.1)
    assert "secondmic" in listed(client)


def test_a_run_that_is_killed_leaves_no_recorder_behind(server):
    with (
        serving("--video", "none", "--audio", "auto") as (process, addresses),
        connect_blocking(addresses["stream"], timeout_s=SECONDS, reconnect=False) as client,
    ):
        wait_until(lambda: heard(client)["state"] == "running", timeout_s=SECONDS, every_s=0.1)
        threads = Path(f"/proc/{process.pid}/task").iterdir()
        started = [child for thread in threads for child in (thread / "children").read_text().split()]
        recorders = [child for child in started if b"recorder.py" in Path(f"/proc/{child}/cmdline").read_bytes()]
        assert len(recorders) == 1
        assert server.pactl("list", "short", "source-outputs")
        process.kill()
        wait_until(lambda: not Path(f"/proc/{recorders[0]}").exists(), timeout_s=SECONDS)
