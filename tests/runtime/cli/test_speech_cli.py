"""Speech from the command line as people use it: real processes, the shipped network, a synthetic voice."""

from __future__ import annotations

import csv
import itertools
import shutil
import signal
import subprocess
import sys
import wave

import numpy as np
import pytest
from support.program import FACEWIRE, serving, without_slow_notice
from support.sound.files import write_wav

from facewire.bridge.client.blocking import connect_blocking
from facewire.bridge.recording.reader import open_session
from facewire.runtime.cli import main

TEXT = "Peter Piper picked a peck of pickled peppers. Who moved my purple bowl?"

pytestmark = pytest.mark.models


@pytest.fixture(scope="module")
def speech(tmp_path_factory):
    """Speak a sentence by flite, with a second of silence before and after."""
    if shutil.which("flite") is None:
        pytest.skip("flite is not installed")
    folder = tmp_path_factory.mktemp("speech")
    subprocess.run(["flite", "-voice", "slt", "-t", TEXT, "-o", folder / "raw.wav"], check=True, timeout=60)
    with wave.open(str(folder / "raw.wav")) as file:
        rate, samples = file.getframerate(), np.frombuffer(file.readframes(file.getnframes()), "<i2")
    silence = np.zeros(rate, np.int16)
    return write_wav(folder / "speech.wav", np.concatenate([silence, samples, silence]), rate)


def run(*args, timeout_s=90):
    return subprocess.run([*FACEWIRE, *map(str, args)], capture_output=True, text=True, timeout=timeout_s)


def rows(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_bake_moves_the_mouth_while_somebody_speaks(speech, tmp_path):
    take = tmp_path / "take.csv"
    assert main(["bake", str(speech), "-o", str(take)]) == 0
    jaw = np.array([float(row["JawOpen"]) for row in rows(take)])
    with wave.open(str(speech)) as file:
        length_s = file.getnframes() / file.getframerate()
    assert len(jaw) == pytest.approx(60 * length_s, abs=3)
    talking = jaw[75:-75]
    assert talking.max() > 0.15
    assert talking.std() > 0.03
    assert jaw[:50].max() < 0.05
    assert jaw[-20:].max() < 0.05
    assert main(["bake", str(speech), "-o", str(take), "--force"]) == 0
    assert [float(row["JawOpen"]) for row in rows(take)] == jaw.tolist()


def test_bake_as_live_is_later_by_the_look_ahead(speech, tmp_path):
    results = {}
    for name, options in (("sound", []), ("live", ["--as-live"])):
        assert main(["bake", str(speech), "-o", str(tmp_path / f"{name}.mcap"), *options]) == 0
        with open_session(tmp_path / f"{name}.mcap") as session:
            frames = list(session.frames(session.start_ns, session.end_ns))
            times = np.array([place for place, _ in frames]) * 1e-9
            results[name] = times, np.array([frame.blendshapes[17] for _, frame in frames])
            assert session.audio is not None
    grid = np.arange(1.5, 4.0, 0.002)
    on_sound = np.interp(grid, *results["sound"])
    lags = np.arange(0, 0.1, 0.002)
    errors = [np.abs(np.interp(grid + lag, *results["live"]) - on_sound).mean() for lag in lags]
    assert 0.04 <= lags[int(np.argmin(errors))] <= 0.06  # the look-ahead, and on average half a block of 10 ms


@pytest.mark.parametrize(("rate", "channels"), [(8_000, 1), (192_000, 6)])
def test_bake_takes_any_rate_and_layout(speech, tmp_path, rate, channels):
    with wave.open(str(speech)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        own = file.getframerate()
    at = np.arange(int(len(samples) / own * rate)) * own / rate
    path = write_wav(
        tmp_path / "other.wav", np.interp(at, np.arange(len(samples)), samples).astype("<i2"), rate, channels
    )
    assert main(["bake", str(path), "-o", str(tmp_path / "take.csv")]) == 0
    jaw = np.array([float(row["JawOpen"]) for row in rows(tmp_path / "take.csv")])
    assert jaw[75:-75].std() > 0.03
    assert jaw[:50].max() < 0.05


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"la la la" * 100, "not a sound or video file that can be read"),
        (b"", "not a sound or video file that can be read"),
    ],
)
def test_bake_of_what_is_no_sound_is_one_line(tmp_path, capsys, content, says):
    (tmp_path / "song.wav").write_bytes(content)
    assert main(["bake", str(tmp_path / "song.wav"), "-o", str(tmp_path / "take.csv")]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["song.wav"]


def test_bake_of_a_few_samples_is_one_line(tmp_path, capsys):
    write_wav(tmp_path / "tick.wav", np.ones(5), 16_000)
    assert main(["bake", str(tmp_path / "tick.wav"), "-o", str(tmp_path / "take.csv")]) == 1
    (line,) = without_slow_notice(capsys.readouterr().err).splitlines()
    assert line.endswith("tick.wav is too short for a single frame, so no take of it was written")
    assert [path.name for path in tmp_path.iterdir()] == ["tick.wav"]


def test_serve_streams_a_file_as_live_and_ends_with_it(speech):
    with serving("--video", "none", "--audio", speech) as (process, addresses):
        with connect_blocking(addresses["stream"], timeout_s=90, reconnect=False) as client:
            frames = list(client)
        assert process.wait(60) == 0
        assert without_slow_notice(process.stderr.read()).splitlines() == ["facewire: the input has ended"]
    assert len(frames) > 60
    assert max(frame.blendshapes[17] for frame in frames) > 0.15
    assert {frame.sources for frame in frames} <= {"audio", "held"}
    assert np.median([frame.publish_ns - frame.capture_ns for frame in frames]) < 300e6


def test_the_demo_s_speech_moves_the_demo_face_s_mouth():
    with serving("--video", "demo", "--audio", "demo", "--mesh", "attention") as (_, addresses):
        assert addresses["sound"] == "demo speech"
        with connect_blocking(addresses["stream"], timeout_s=60) as client:
            spoken, status = [], {}
            for frame in itertools.islice(client, 2000):
                status = client.client.status or {}
                if frame.sources == "both" and frame.blendshapes[17] > 0.15:
                    spoken.append(frame.confidence)
                if len(spoken) >= 60 and status.get("face", {}).get("camera_share") == 0.0:
                    break
    assert len(spoken) >= 60
    assert min(spoken) > 0.5
    assert {part: device["kind"] for part, device in status["devices"].items()} == {"video": "demo", "audio": "demo"}
    assert status["face"]["camera_share"] == 0.0


def test_serve_without_torch(speech):
    script = (
        "import sys\n"
        "from facewire.runtime.cli import main\n"
        "status = main(['serve', '--video', 'none', '--audio', sys.argv[1], '--listen', '127.0.0.1:0'])\n"
        "print('heavy:', sorted({'torch', 'transformers', 'onnx'} & set(sys.modules)), status)\n"
    )
    result = subprocess.run([sys.executable, "-c", script, str(speech)], capture_output=True, text=True, timeout=90)
    assert "heavy: [] 0" in result.stdout, result.stderr


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--audio", "no/such.wav"], "does not exist"),
        (["--audio", "elgato wave"], "microphone"),
        (["--look-ahead", "33", "--audio", "{}"], "look-ahead must be one of"),
        (["--speech-style", "99", "--audio", "{}"], "style must be"),
    ],
)
def test_serve_says_in_one_line_why_it_cannot(speech, args, says):
    arguments = [part.format(speech) for part in args]
    result = run("serve", "--video", "none", "--listen", "127.0.0.1:0", *arguments)
    assert result.returncode == 1
    lines = result.stderr.splitlines()
    assert lines[-1].startswith("facewire: error: ")
    assert says in lines[-1]
    assert sum("error" in line for line in lines) == 1


def test_serve_with_nothing_to_watch_or_hear_waits():
    with serving("--video", "none", "--audio", "none") as (process, _):
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
