"""A real PyAudio on a PulseAudio server of our own: what a microphone gives, and what happens when it is pulled out."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from support.paths import TESTS
from support.program import FACEWIRE
from support.sound import pulse
from support.sound.virtual_listener import PLACES, RATE, places_of

MOST = 0.6
"""Not all samples come through: on a busy machine the player may be late. Of altered ones nearly none would."""


@pytest.fixture
def server():
    """Start a server whose null sink is the only microphone."""
    if not pulse.is_here():
        pytest.skip("PulseAudio is not installed")
    pytest.importorskip("pyaudio")
    # Not in pytest's own folder: a socket's path may have 107 characters, and that may be long.
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="facewire-") as folder:
        server = pulse.VirtualMicrophone(Path(folder), RATE)
        try:
            server.start()
            yield server
        finally:
            server.kill()


class Listener:
    """Runs ``virtual_listener.py`` in a process of its own: PortAudio finds its server by the environment."""

    def __init__(self, server, folder, streams, seconds):
        self._heard, self._errors = folder / "heard.npz", folder / "errors.txt"
        script = TESTS / "support" / "sound" / "virtual_listener.py"
        command = [sys.executable, script, "auto", streams, seconds, self._heard]
        environment = {**server.environment, "PYTHONPATH": str(TESTS)}
        with self._errors.open("w") as errors:
            self.process = subprocess.Popen(
                list(map(str, command)), env=environment, stdout=subprocess.PIPE, stderr=errors, text=True
            )

    def wait_for(self, *says):
        """Read lines until all of these words have come, in any order; return the last line."""
        missing = list(says)
        for line in self.process.stdout:
            missing = [words for words in missing if words not in line]
            if not missing:
                return line
        raise AssertionError(f"it ended without {missing}: {self._errors.read_text()}")

    def result(self):
        """Return what it heard, once it ended. If a device dies, PortAudio prints lines; any others are wrong."""
        assert self.process.wait(100) == 0, self._errors.read_text()
        lines = self._errors.read_text().splitlines()
        assert [line for line in lines if not line.startswith("Expression '")] == []
        return np.load(self._heard)


@pytest.fixture
def listen(server, tmp_path):
    """Make a listener, whose process does not outlive the test."""
    listeners = []

    def listen(*, streams=1, seconds=0.5):
        listeners.append(Listener(server, tmp_path, streams, seconds))
        return listeners[-1]

    yield listen
    for listener in listeners:
        listener.process.kill()
        listener.process.wait()
        listener.process.stdout.close()


def heard_as_played(result):
    """How large a share of the samples follow the sample that was played before them."""
    return np.mean(np.diff(places_of(result["samples"])) % PLACES == 1)


def stamp_errors_ms(result):
    """How much later than it was played each block is stamped."""
    starts = np.concatenate([[0], np.cumsum(result["lengths"])[:-1]])
    places, stamps_ns = places_of(result["samples"][starts]), result["blocks"][:, 2]
    played_at, played_ns = result["played"].T
    expected = np.interp(stamps_ns, played_ns, played_at)
    return ((expected - places + PLACES / 2) % PLACES - PLACES / 2) / RATE * 1000


def test_what_is_played_is_heard_sample_by_sample_and_stamped_when_it_was(listen):
    result = listen(seconds=4.0).result()
    assert result["rate"] == RATE
    assert "(default)" in str(result["name"])
    assert heard_as_played(result) > MOST
    streams, firsts, stamps_ns, taken_ns = result["blocks"].T
    goes_on = np.diff(firsts) == result["lengths"][:-1]
    assert (goes_on | (np.diff(streams) > 0)).all() or result["overruns"]
    assert (stamps_ns + result["lengths"] * 1e9 / RATE <= taken_ns).all()  # nothing is heard before it was said
    # PulseAudio's word of how old the sound is is wrong by up to 0.2 s in the first second of a stream.
    assert abs(np.median(stamp_errors_ms(result)[len(firsts) // 2 :])) < 150


def test_a_server_that_dies_is_reported_and_heard_again_when_it_is_back(server, listen):
    """As if the microphone were pulled out and put in again."""
    listener = listen(streams=2)
    listener.wait_for("hears")
    server.kill()
    lost = listener.wait_for("it is tried again until it works")
    assert lost.startswith("microphone ")
    assert "is it unplugged" in lost
    server.start()
    listener.wait_for("is back", "hears")
    result = listener.result()
    assert result["losses"] >= 1
    assert len(set(result["blocks"][:, 0])) == 2
    assert heard_as_played(result) > MOST


def test_a_source_that_is_taken_away_and_comes_back(server, listen):
    """The server stays, the null sink under the stream goes."""
    listener = listen(streams=2)
    listener.wait_for("hears")
    server.pactl("unload-module", "module-null-sink")
    listener.wait_for("it is tried again until it works")
    server.pactl("load-module", "module-null-sink", "sink_name=virtual", f"rate={RATE}", "channels=1")
    listener.wait_for("is back", "hears")
    assert listener.result()["losses"] >= 1


def test_a_name_that_is_not_there_lists_what_is(server):
    done = subprocess.run(
        [*FACEWIRE, "serve", "--video", "none", "--audio", "elgato", "--listen",
         "127.0.0.1:0"],
        env=server.environment, capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert done.returncode == 1
    assert "no microphone is called 'elgato'; microphones here: 0: pulse; 1: default" in done.stderr.splitlines()[-1]
