"""A run without a command line: made, entered, started and stopped."""

from __future__ import annotations

import contextlib
import socket
import threading

import pytest
from support.waiting import wait_until

from facewire.bridge.client.blocking import connect_blocking
from facewire.bridge.server.config import ServerConfig
from facewire.bridge.shared.errors import FacewireError
from facewire.runtime.session.options import InputOptions, LiveOptions, ServeOptions
from facewire.runtime.session.serving import ServeSession
from facewire.runtime.settings.profiles import ProfileStore

NOTHING = LiveOptions(inputs=InputOptions(video="none", audio="none"))


@pytest.fixture(autouse=True)
def own_profiles(tmp_path, monkeypatch):
    monkeypatch.setenv("FACEWIRE_CONFIG", str(tmp_path / "config"))


def make(said, **options):
    return ServeSession(ServeOptions(NOTHING, ServerConfig(port=0), **options), said.append)


def test_a_session_serves_what_is_published_and_answers_every_command(tmp_path, frames):
    said: list[str] = []
    with make(said, record=tmp_path / "takes") as session:
        session.start()
        with connect_blocking(session.server.url, timeout_s=60, reconnect=False) as client:
            got = None
            for frame in frames(1000):
                session.frames.publish(frame)
                with contextlib.suppress(TimeoutError):
                    got = client.next_frame(0.05)
                    break
            assert got is not None
            state = client.command("state", timeout_s=60)
            assert (state["video"], state["audio"], state["mode"]) == ("none", None, "auto")
        assert {"set", "choose", "record_stop", "takes", "seek", "output_start"} <= set(session.commands)
        assert {"revision", "problems", "recording", "replay", "outputs"} <= set(session.status())
        port = session.server.address[1]
    session.stop()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
    assert len(said) == 1
    assert said[0].startswith("recorded ")


def test_a_disk_that_hangs_under_a_profile_keeps_no_other_client(tmp_path, monkeypatch):
    begun, free = threading.Event(), threading.Event()
    save = ProfileStore.save

    def hang(store, profile):
        begun.set()
        assert free.wait(60)
        return save(store, profile)

    def hang_too(store, camera):
        assert not begun.is_set() or free.wait(60)
        return names(store, camera)

    names = ProfileStore.names
    monkeypatch.setattr(ProfileStore, "save", hang)
    monkeypatch.setattr(ProfileStore, "names", hang_too)
    with make([], record=tmp_path / "takes") as session, contextlib.ExitStack() as stack:
        session.start()
        one, other = (stack.enter_context(connect_blocking(session.server.url, reconnect=False)) for _ in range(2))
        stack.callback(free.set)
        for client in (one, other):  # they connect when a frame is asked for, and none comes
            with contextlib.suppress(TimeoutError):
                client.next_frame(0.0)
        wait_until(lambda: one.client.hello is not None and other.client.hello is not None)
        assert other.command("state", timeout_s=60)["profiles"] == []
        saved: list = []
        saving = threading.Thread(target=lambda: saved.append(one.command("profile_save", timeout_s=60)), daemon=True)
        saving.start()
        assert begun.wait(60)
        other.command("set", {"mirror": True}, timeout_s=60)
        started = other.command("output_start", {"output": "vmc:127.0.0.1:40009"}, timeout_s=60)
        assert [output["state"] for output in started["outputs"]] == ["on"]
        other.command("record_stop", timeout_s=60)  # --record has one running
        assert other.command("record_start", {"name": "take"}, timeout_s=60) == {"file": "take.mcap"}
        for _ in range(6):
            state = other.command("state", timeout_s=60)
        assert (state["mirror"], state["profiles"]) == (True, [])
        assert not saved
        free.set()
        saving.join(60)
        assert saved[0]["file"].endswith("default.toml")
        wait_until(lambda: other.command("state", timeout_s=60)["profiles"] == ["default"])


def test_what_cannot_start_leaves_nothing_running(tmp_path):
    session = make([], outputs=("csv:" + str(tmp_path / "no" / "such" / "folder.csv"),))
    with pytest.raises(FacewireError), session:
        pass
    port = session.server.address[1]
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
