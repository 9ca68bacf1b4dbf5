"""The command line as people use it: real processes, real networks, real sockets."""

from __future__ import annotations

import csv
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from support.busy import assert_within
from support.program import FACEWIRE, serving, without_slow_notice
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect as open_websocket

from facewire.bridge.client.blocking import connect_blocking
from facewire.bridge.formats.livelink_csv import HEADER
from facewire.models.assets.store import asset_path
from facewire.runtime.capture.video.demo_face import DemoFace, demo_pose
from facewire.runtime.cli import main
from facewire.runtime.cli.commands.serve import filtering
from facewire.runtime.cli.commands.tail import Screen, live_url
from facewire.runtime.cli.options.listening import listen_address
from facewire.runtime.cli.options.usage import UsageError
from facewire.runtime.session.options import TrackingOptions
from facewire.runtime.tools.terminal import notify

COMMANDS = (
    "serve", "bake", "tail", "record", "replay", "info", "plot", "cut", "repair", "export", "import", "models",
    "doctor", "bench",
)  # fmt: skip


def run(*args, timeout_s=250, **options):
    done = subprocess.run([*FACEWIRE, *map(str, args)], capture_output=True, text=True, timeout=timeout_s, **options)
    done.stderr = without_slow_notice(done.stderr)
    return done


def said(process):
    """Return the lines of an ended process on stderr."""
    return without_slow_notice(process.stderr.read()).splitlines()


def receive_all(websocket):
    while True:
        websocket.recv(60)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def write_demo(path: Path, rate: float) -> None:
    """Write 30 pictures of the demo face, to be shown at ``rate``."""
    face = DemoFace(cv2.imread(str(asset_path("demo_face"))))
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), rate, (640, 480))
    for i in range(30):
        writer.write(face.render(demo_pose(i / 30)))
    writer.release()


@pytest.fixture(scope="module")
def demo_clip(tmp_path_factory) -> Path:
    """One second of the demo face at 30 frames a second."""
    path = tmp_path_factory.mktemp("clip") / "demo.mp4"
    write_demo(path, 30)
    return path


@pytest.fixture
def faceless_clip(tmp_path) -> Path:
    """Ten pictures: black, and noise."""
    path = tmp_path / "faceless.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 30, (320, 240))
    for i in range(10):
        noise = np.random.default_rng(i).integers(0, 255, (240, 320, 3), np.uint8)
        writer.write(noise if i % 2 else np.zeros_like(noise))
    writer.release()
    return path


# Help and usage


@pytest.mark.parametrize("command", [(), *((name,) for name in COMMANDS), ("models", "pull")], ids="-".join)
def test_every_help_has_an_example(command, capsys):
    with pytest.raises(SystemExit) as end:
        main([*command, "--help"])
    assert end.value.code == 0
    assert "example:\n  facewire" in capsys.readouterr().out


def test_help_imports_nothing_heavy():
    result = subprocess.run(
        [sys.executable, "-X", "importtime", *FACEWIRE[1:], "--help"], capture_output=True, text=True, timeout=60
    )
    assert result.returncode == 0
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in result.stderr.splitlines()}
    assert "facewire" in imported
    assert not imported & {"numpy", "cv2", "numba", "onnxruntime", "rich", "websockets", "asyncio", "torch"}


@pytest.mark.parametrize(
    "args",
    [
        ["fly"],
        [],
        ["serve", "--mesh", "v3"],
        ["serve", "--listen", "here:there"],
        ["serve", "--rate", "fast"],
        ["serve", "--rate", "-1"],
        ["bake", "x.mp4"],
        ["tail", "ftp://x"],
        ["bench", "--seconds", "0"],
        ["models", "push"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_one_line_and_status_2(args, capsys):
    try:
        status = main(args)
    except SystemExit as end:
        status = end.code
    error = capsys.readouterr().err
    assert status == 2
    assert error.startswith("facewire: error: ")
    assert error.count("\n") == 1


def test_a_narrow_terminal_breaks_lines_between_words_and_a_pipe_does_not(monkeypatch, capsys):
    line = "no camera found: running the demo face (choose an input with --video), not /a/path/that/is/longer/than/all"
    notify(line)
    assert capsys.readouterr().err == f"facewire: {line}\n"
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "30")
    notify(line)
    shown = capsys.readouterr().err.splitlines()
    assert max(len(words) for words in shown if "/" not in words) <= 30
    assert " ".join(shown) == f"facewire: {line}"


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("0.0.0.0:9000", ("0.0.0.0", 9000)),
        (":9000", ("127.0.0.1", 9000)),
        ("0.0.0.0", ("0.0.0.0", 8787)),
        ("[::1]:0", ("::1", 0)),
        ("[::]", ("::", 8787)),
    ],
)
def test_listen_addresses(text, address):
    assert listen_address(text) == address


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("127.0.0.1:9000", "ws://127.0.0.1:9000/v1/live"),
        ("http://host:1/?token=a", "ws://host:1/v1/live?token=a"),
        ("https://host/", "wss://host/v1/live"),
        ("ws://host:1/v1/live", "ws://host:1/v1/live"),
        ("[::1]:9000", "ws://[::1]:9000/v1/live"),
    ],
)
def test_tail_takes_every_form_of_the_address(text, url):
    assert live_url(text) == url


@pytest.mark.parametrize("text", ["ftp://x", "ws://", "host:port", "http://[::1"])
def test_tail_refuses_what_is_no_address(text):
    with pytest.raises(UsageError):
        live_url(text)


# serve


@pytest.mark.models
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("mesh", ["v2", "attention"])
def test_serve_streams_the_demo_and_ends_within_a_second_with_1001(mesh, stop):
    assert_within(1.0, lambda: serve_the_demo(mesh, stop))


def serve_the_demo(mesh, stop):
    """Return how long it took to end, in s."""
    with serving("--video", "demo", "--mesh", mesh) as (process, addresses):
        with open_websocket(addresses["stream"], subprotocols=["facewire.v1"]) as websocket:
            with connect_blocking(addresses["stream"], timeout_s=60, reconnect=False) as client:
                frames = [client.next_frame(60) for _ in range(10)]
                assert client.client.hello["rate"] == 30.0
            start = time.monotonic()
            process.send_signal(stop)
            with pytest.raises(ConnectionClosed) as closed:
                receive_all(websocket)
            assert process.wait(60) == 0
            took_s = time.monotonic() - start
            assert closed.value.rcvd.code == 1001
        assert said(process) == []
    assert frames[-1].seq > frames[0].seq
    assert frames[-1].sources == "video"
    assert frames[-1].confidence > 0.8
    assert frames[-1].blendshapes.max() > 0.2
    assert -1 < frames[-1].head[6] < -0.1
    return took_s


@pytest.mark.models
def test_serve_without_torch_and_with_status():
    script = (
        "import sys\n"
        "from facewire.runtime.cli import main\n"
        "status = main(sys.argv[1:])\n"
        "print('heavy:', sorted({'torch', 'transformers', 'onnx', 'tensorflow'} & set(sys.modules)), status)\n"
    )
    with serving("--video", "demo", program=[sys.executable, "-c", script]) as (process, addresses):
        with connect_blocking(addresses["stream"], timeout_s=60) as client:
            while client.client.status is None:
                client.next_frame(60)
            assert client.client.status["devices"]["video"]["name"] == "demo"
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
        assert process.stdout.read().splitlines()[-1] == "heavy: [] 0"


@pytest.mark.models
def test_serve_ends_with_its_file(tmp_path):
    clip = tmp_path / "slow.mp4"
    write_demo(clip, rate=10)  # three seconds, for a client that is late on a busy machine
    with serving("--video", clip) as (process, addresses):
        with connect_blocking(addresses["stream"], timeout_s=60, reconnect=False) as client:
            frames = list(client)
        assert process.wait(60) == 0
        assert said(process) == ["facewire: the input has ended"]
    sources = [frame.sources for frame in frames]
    assert 5 <= sources.count("video") <= 30
    assert set(sources) <= {"video", "held"}  # held where a busy machine reads a picture a quarter of a second late


@pytest.mark.models
def test_serve_of_a_video_without_a_face_streams_the_resting_face(faceless_clip):
    with (
        serving("--video", faceless_clip, "--loop") as (process, addresses),
        connect_blocking(addresses["stream"], timeout_s=60) as client,
    ):
        frame = client.next_frame(60)
        assert process.poll() is None
    assert frame.sources == "held"
    assert frame.confidence == 0
    assert not frame.blendshapes.any()


@pytest.mark.models
def test_serve_of_what_is_no_video_is_one_line(tmp_path):
    path = tmp_path / "song.mp4"
    path.write_text("la " * 1000)
    result = run("serve", "--video", path, "--listen", ":0")
    assert result.returncode == 1
    assert result.stderr == f"facewire: error: {path} is not a video that can be read\n"


@pytest.mark.models
def test_serve_waits_for_a_camera_that_is_not_there():
    with serving("--video", "97") as (process, addresses):
        while "getting ready" in (line := process.stderr.readline()):
            pass
        assert line.startswith("facewire: camera 97 ")
        assert line.endswith("it is tried again until it works\n")
        with connect_blocking(addresses["stream"], timeout_s=60) as client, pytest.raises(TimeoutError):
            client.next_frame(0.5)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        (None, {}),
        (SimpleNamespace(gives="faces"), {"filters": "smoothing low, mirrored"}),
        (SimpleNamespace(gives="pictures"), {"mesh": "v2, smoothing low, mirrored"}),
    ],
)
def test_the_start_names_only_what_is_done(source, lines):
    assert filtering(TrackingOptions(mesh="v2", smoothing="low", mirror=True), source) == lines


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--video", "elgato"], "no camera or file is called 'elgato'"),
        (["--video", "no/such.mp4"], "does not exist"),
        (["--video", "none", "--tls-cert", "no.pem"], "TLS needs both"),
        (["--video", "none", "--listen", "192.0.2.1:0"], "192.0.2.1"),
    ],
)
def test_serve_says_in_one_line_why_it_cannot(args, says):
    result = run("serve", "--listen", "127.0.0.1:0", *args)
    assert result.returncode == 1
    assert result.stderr.startswith("facewire: error: ")
    assert says in result.stderr
    assert result.stderr.count("\n") == 1


def test_serve_on_a_port_that_is_taken_is_one_line():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        result = run("serve", "--video", "none", "--listen", f"127.0.0.1:{taken.getsockname()[1]}")
    assert result.returncode == 1
    assert result.stderr.startswith("facewire: error: ")
    assert result.stderr.count("\n") == 1


def test_serve_beyond_loopback_makes_a_token_and_prints_it():
    with serving("--video", "none", "--listen", "0.0.0.0:0") as (process, addresses):
        assert "?token=" in addresses["stream"]
        assert addresses["network"].startswith("http://")
        assert addresses["network"].partition("?")[2] == addresses["open"].partition("?")[2]
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


# bake


@pytest.mark.models
def test_bake_writes_a_take_faster_than_real_time(demo_clip, tmp_path):
    take = tmp_path / "take.csv"
    result = run("bake", demo_clip, "-o", take)
    assert result.returncode == 0, result.stderr
    assert "30 frames" in result.stderr
    assert "a face in 100 %" in result.stderr
    with take.open() as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == HEADER
    assert [row["Timecode"] for row in rows[:3]] == ["00:00:00:00.000", "00:00:00:02.000", "00:00:00:04.000"]
    assert len(rows) == 30
    jaw = [float(row["JawOpen"]) for row in rows]
    assert max(jaw) - min(jaw) > 0.05
    assert names(tmp_path) == ["take.csv"]
    again = run("bake", demo_clip, "-o", take, "--force")
    assert again.returncode == 0
    with take.open() as file:
        assert list(csv.DictReader(file)) == rows  # the same picture gives the same values


@pytest.mark.models
def test_bake_without_a_face_writes_nothing(faceless_clip, tmp_path):
    result = run("bake", faceless_clip, "-o", tmp_path / "take.csv")
    assert result.returncode == 1
    assert "no face was seen" in result.stderr
    assert result.stderr.count("\n") == 1
    assert names(tmp_path) == ["faceless.avi"]


@pytest.mark.parametrize(
    ("output", "status", "says"),
    [
        ("take.xyz", 2, "name it .csv"),
        ("take", 2, "name it .csv"),
        ("old.csv", 2, "--force"),
        ("no/folder/take.csv", 2, "does not exist"),
        ("folder.csv", 2, "is a folder"),
        ("take.csv", 2, "is not a video"),
    ],
)
def test_bake_says_in_one_line_why_it_cannot(tmp_path, capsys, output, status, says):
    (tmp_path / "in.mp4").write_text("not a video")
    (tmp_path / "old.csv").write_text("keep me")
    (tmp_path / "folder.csv").mkdir()
    before = names(tmp_path)
    assert main(["bake", str(tmp_path / "in.mp4"), "-o", str(tmp_path / output)]) == status
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1
    assert names(tmp_path) == before
    assert (tmp_path / "old.csv").read_text() == "keep me"


# The others


@pytest.mark.models
def test_tail_in_a_pipe_prints_plain_lines(demo_clip):
    with serving("--video", demo_clip, "--loop") as (_, addresses):
        command = [*FACEWIRE, "tail", addresses["open"], "--rate", "20"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as tail:
            lines = [tail.stdout.readline() for _ in range(3)]
            tail.send_signal(signal.SIGINT)
            tail.stdout.read()  # a pipe that is full would hold it up
        assert tail.returncode == 0
    for line in lines:
        fields = dict(field.split("=") for field in line.split())
        assert fields["from"] == "video"
        assert float(fields["confidence"]) > 0.5


def test_tail_shows_what_fits_in_any_terminal(frames):
    screen = Screen()
    for i, frame in enumerate(frames(30)):
        screen.take(frame, i / 10)
    for width, height in ((200, 50), (80, 24), (60, 10), (20, 4), (5, 1)):
        lines = screen.lines(width, height, ["server 30.0 fps", ""])
        assert 1 <= len(lines) <= height
        assert max(map(len, lines)) <= width
    assert any("jawOpen" in line for line in screen.lines(80, 24, []))
    assert screen.rate() == pytest.approx(10, abs=0.1)


def test_models_lists_what_there_is(capsys):
    assert main(["models", "--sources"]) == 0
    out = capsys.readouterr().out
    for word in ("attention_mesh", "face_mesh_v2", "Apache-2.0", "demo_face", "demo_speech"):
        assert word in out


def test_models_pull_of_an_unknown_name_is_one_line(capsys):
    assert main(["models", "pull", "mona_lisa"]) == 2
    error = capsys.readouterr().err
    assert "mona_lisa" in error
    assert error.count("\n") == 1


def test_doctor_reports_and_advises():
    result = run("doctor")
    assert result.returncode == 0, result.stdout
    for topic in (
        "facewire",
        "system",
        "libraries",
        "networks",
        "processor",
        "GPU",
        "camera",
        "compiled kernels",
        "port",
    ):
        assert f" {topic}" in result.stdout


@pytest.mark.models
def test_bench_prints_a_row_for_each_mesh():
    result = run("bench", "--seconds", "0.2", "--device", "cpu")
    assert result.returncode == 0
    rows = {line.split()[0]: line.split() for line in result.stdout.splitlines() if line}
    for mesh in ("v2", "attention"):
        assert float(rows[mesh][4]) > 0
        assert rows[mesh][-1] == "fps"
