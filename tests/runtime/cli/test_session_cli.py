"""The commands on sessions, as a person uses them: what they print, what they refuse, and what they leave behind."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import wave
from pathlib import Path

import av
import numpy as np
import pytest
from support.paths import GOLDEN
from support.program import FACEWIRE, started
from support.takes import MakeTake
from support.waiting import wait_until

from facewire.bridge.client.blocking import BlockingClient, connect_blocking
from facewire.bridge.recording.layout import AudioFormat
from facewire.bridge.recording.reader import open_session
from facewire.bridge.shared.errors import CommandError
from facewire.bridge.wire.codec import Encoder
from facewire.runtime.cli import main
from facewire.runtime.cli.commands.bake import Job, plan
from facewire.runtime.cli.options.files import duration_text, seconds
from facewire.runtime.cli.options.usage import UsageError
from facewire.runtime.sound.media_sound import read_sound
from tests.support.media import damage_packets

WAIT_S = 100.0
"""How long to wait for what must come: a machine may be busy."""


def take_a_frame(client: BlockingClient) -> None:
    assert client.next_frame(timeout_s=WAIT_S) is not None


def errors_of(*args: object, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    try:
        status = main([str(arg) for arg in args])
    except SystemExit as end:
        status = int(str(end.code))
    return status, capsys.readouterr().err


# --- replay ---------------------------------------------------------------------------------------------------------


def test_ci_gets_every_frame_of_a_recorded_session(make_take: MakeTake) -> None:
    path = make_take(seconds=1)
    with open_session(path) as session:
        recorded = [stored.data for stored in session.messages("frame")]
    process, addresses = started("replay", path, "--once", "--wait-subscriber")
    with connect_blocking(addresses["stream"], buffer=100, reconnect=False) as client:
        frames = [client.next_frame(timeout_s=WAIT_S) for _ in recorded]
    output = process.communicate(timeout=WAIT_S)
    assert process.returncode == 0, output
    assert "60 frames replayed" in output[1]
    assert [Encoder().frame(frame) for frame in frames if frame is not None] == recorded


def test_a_client_steers_a_replay(make_take: MakeTake) -> None:
    process, addresses = started("replay", make_take(seconds=5), "--start", "1", "--end", "4.5", "--loop")
    try:
        with connect_blocking(addresses["stream"]) as client:
            assert client.next_frame(timeout_s=WAIT_S) is not None
            assert client.command("pause")["paused"] is True
            assert client.command("seek", {"time_s": 3.0})["time_s"] == 3.0
            with pytest.raises(CommandError, match=r"time_s must be a number from 1 to 4\.5"):
                client.command("seek", {"time_s": 0.5})
            assert client.command("resume")["paused"] is False
            assert client.next_frame(timeout_s=WAIT_S) is not None
            wait_until(
                lambda: (client.client.status or {}).get("replay"),
                timeout_s=WAIT_S,
                meanwhile=lambda: take_a_frame(client),
            )
            assert (client.client.status or {})["replay"]["loop"] is True
            assert (client.client.status or {})["devices"] == {}
    finally:
        process.send_signal(signal.SIGINT)
        output = process.communicate(timeout=WAIT_S)
    assert process.returncode == 0, output


# --- serve and record -----------------------------------------------------------------------------------------------


@pytest.mark.models
def test_serve_records_and_clients_start_and_stop_it(tmp_path: Path) -> None:
    process, addresses = started("serve", "--video", "demo", "--mesh", "attention", "--record", tmp_path / "takes")
    try:
        with connect_blocking(addresses["stream"], buffer=500) as client:
            for _ in range(5):
                assert client.next_frame(timeout_s=WAIT_S) is not None
            first = client.command("record_stop")
            assert first["frames"] > 0
            with pytest.raises(CommandError, match="no take is running"):
                client.command("record_stop")
            assert client.command("record_start", {"name": "second"}) == {"file": "second.mcap"}

            def second_frames() -> int:
                recording = (client.client.status or {}).get("recording") or {}
                return recording.get("frames", 0) if recording.get("file") == "second.mcap" else 0

            wait_until(lambda: second_frames() >= 15, timeout_s=WAIT_S, meanwhile=lambda: take_a_frame(client))
    finally:
        process.send_signal(signal.SIGINT)
        output = process.communicate(timeout=WAIT_S)
    assert process.returncode == 0, output
    assert f"recorded {tmp_path}/takes/second.mcap" in output[1]
    with open_session(tmp_path / "takes" / str(first["file"])) as session:
        assert session.frame_count == first["frames"]
    with open_session(tmp_path / "takes" / "second.mcap") as session:
        assert session.frame_count >= 15
        seqs = [frame.seq for _, frame in session.frames()]
        assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))  # nothing is lost
        assert session.metadata.devices is None


@pytest.mark.models
def test_without_a_folder_nobody_records() -> None:
    process, addresses = started("serve", "--video", "demo", "--mesh", "attention")
    try:
        with connect_blocking(addresses["stream"]) as client:
            assert client.next_frame(timeout_s=WAIT_S) is not None
            with pytest.raises(CommandError, match="start it with --record and a folder"):
                client.command("record_start")
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=WAIT_S)


@pytest.mark.models
def test_record_without_a_server(tmp_path: Path) -> None:
    path = tmp_path / "take.mcap"
    command = [*FACEWIRE, "record", str(path), "--video", "demo", "--mesh", "attention", "--duration", "3"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=2 * WAIT_S, check=False)
    assert result.returncode == 0, result.stderr
    with open_session(path) as session:
        assert session.frame_count > 10
        assert f"{session.frame_count} frames" in result.stderr
        assert len(list(session.statuses())) >= 1
        assert session.metadata.versions is not None
        assert session.metadata.versions["python"]
        profile = json.loads(session.end["profile"])
        assert "neutral" in profile["shapes"]["jawOpen"]
        assert profile["camera"] == ""
    assert [one.name for one in tmp_path.iterdir()] == ["take.mcap"]


def test_record_of_nothing_leaves_nothing(tmp_path: Path) -> None:
    command = [
        *FACEWIRE,
        "record",
        str(tmp_path / "a.mcap"),
        "--video",
        "97",
        "--mesh",
        "attention",
        "--duration",
        "0.2",
    ]
    result = subprocess.run(command, capture_output=True, text=True, timeout=2 * WAIT_S, check=False)
    assert result.returncode == 1
    assert "no picture and no speech came" in result.stderr.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []


# --- bake -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def spoken_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a second of the demo face with a tone as its sound, as a camera does: H.264 or MPEG-4 and AAC in .mov."""
    import cv2

    from facewire.models.assets.store import asset_path
    from facewire.runtime.capture.video.demo_face import DemoFace, demo_pose

    path = tmp_path_factory.mktemp("video") / "spoken.mov"
    face = DemoFace(cv2.imread(str(asset_path("demo_face")), cv2.IMREAD_COLOR))
    with av.open(str(path), "w") as container:
        video, audio = container.add_stream("mpeg4", rate=30), container.add_stream("aac", rate=44_100, layout="mono")
        video.bit_rate = 4_000_000
        for index in range(30):
            image = face.render(demo_pose(index / 30), None)
            if index == 0:
                video.height, video.width = image.shape[:2]
                video.pix_fmt = "yuv420p"
            container.mux(video.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(video.encode())
        tone = (8000 * np.sin(2 * np.pi * 440 * np.arange(44_100) / 44_100)).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(tone[None], format="s16", layout="mono")
        frame.rate = 44_100
        container.mux(audio.encode(frame))
        container.mux(audio.encode())
    return path


@pytest.mark.models
def test_bake_a_batch_into_sessions(spoken_video: Path, tmp_path: Path) -> None:
    day = tmp_path / "day"
    day.mkdir()
    (day / "a.mov").write_bytes(spoken_video.read_bytes())
    (day / "broken.mp4").write_text("no video")
    (day / "notes.txt").write_text("not taken")
    command = [*FACEWIRE, "bake", str(day), "-o", str(tmp_path / "takes"), "--mesh", "attention"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=2 * WAIT_S, check=False)
    assert result.returncode == 1
    lines = [line for line in result.stderr.splitlines() if "getting ready" not in line]  # said on a slow machine
    assert len(lines) == 3, lines
    assert "a.mcap: 30 frames, 1.0 s, with its sound, a face in 100 %" in lines[0]
    assert "broken.mp4 is not a video" in lines[1]
    assert lines[2].endswith(f"1 of 2 takes are in {tmp_path}/takes")
    assert [one.name for one in (tmp_path / "takes").iterdir()] == ["a.mcap"]
    with open_session(tmp_path / "takes" / "a.mcap") as session:
        assert session.metadata.origin == "bake"
        assert session.audio is not None
        assert session.audio.rate == 44_100


@pytest.mark.models
def test_bake_straight_to_another_format(spoken_video: Path, tmp_path: Path) -> None:
    assert main(["bake", str(spoken_video), "-o", str(tmp_path / "a.json"), "--mesh", "attention"]) == 0
    assert json.loads((tmp_path / "a.json").read_text())["numFrames"] == 30
    assert [one.name for one in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.models
def test_a_damaged_video_becomes_a_take_of_what_is_good(
    spoken_video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.mov"
    path.write_bytes(spoken_video.read_bytes())
    damage_packets(path, "video", 12, 8)
    damage_packets(path, "audio", 10, 12)
    assert main(["bake", str(path), "-o", str(tmp_path / "a.mcap"), "--mesh", "attention"]) == 1
    said = capsys.readouterr().err
    assert f"{path} is damaged: not all of its pictures could be read" in said
    assert f"the sound of {path} is damaged" in said
    assert "Traceback" not in said
    with open_session(tmp_path / "a.mcap") as session:
        assert session.audio is not None
        assert (session.end_ns - session.start_ns) * 1e-9 > 0.9


@pytest.mark.models
def test_speech_in_a_plain_wav_is_baked_without_another_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from facewire.models.assets.store import asset_path

    monkeypatch.setitem(sys.modules, "av", None)
    assert main(["bake", str(asset_path("demo_speech")), "-o", str(tmp_path / "a.mcap")]) == 0
    with open_session(tmp_path / "a.mcap") as session:
        assert session.audio is not None


def test_bake_plans_before_it_works(tmp_path: Path) -> None:
    for name in ("a.mp4", "a.wav", "b.MOV", "c.txt"):  # the sound is the video's
        (tmp_path / name).write_text("")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.mp4").write_text("")
    (tmp_path / "none").mkdir()
    out = tmp_path / "out"
    jobs = plan([tmp_path], out, "csv", force=False)
    assert jobs == [Job(tmp_path / "a.mp4", out / "a.csv"), Job(tmp_path / "b.MOV", out / "b.csv")]
    assert plan([tmp_path / "a.mp4"], tmp_path / "x.csv", None, force=False) == [
        Job(tmp_path / "a.mp4", tmp_path / "x.csv")
    ]
    assert plan([tmp_path / "a.mp4"], tmp_path / "none", None, force=False) == [
        Job(tmp_path / "a.mp4", tmp_path / "none" / "a.mcap")
    ]
    (tmp_path / "capital").mkdir()
    (tmp_path / "capital" / "A.mov").write_text("")
    (tmp_path / "sounds").mkdir()
    (tmp_path / "sounds" / "x.flac").write_text("")
    assert plan([tmp_path / "sounds"], out, None, force=False) == [Job(tmp_path / "sounds" / "x.flac", out / "x.mcap")]
    for inputs, output, message in (
        ([tmp_path / "none"], out, "there is no video and no recording in"),
        ([tmp_path, tmp_path / "sub"], out, "two inputs are called a"),
        ([tmp_path / "a.mp4", tmp_path / "capital" / "A.mov"], out, "two inputs are called A"),  # one on some disks
        ([tmp_path], tmp_path / "x.csv", "several takes do not fit into"),
        ([tmp_path], tmp_path / "far" / "out", "does not exist"),
    ):
        with pytest.raises(UsageError, match=message):
            plan(inputs, output, None, force=False)


# --- import ---------------------------------------------------------------------------------------------------------


@pytest.mark.models
def test_a_mov_s_sound_is_read(spoken_video: Path) -> None:
    audio, samples = read_sound(spoken_video)
    assert audio == AudioFormat(44_100, 1)
    spectrum = np.abs(np.fft.rfft(samples[4096:36864, 0] * np.hanning(32768)))
    assert spectrum.argmax() * 44_100 / 32768 == pytest.approx(440, abs=2)
    assert np.abs(samples).max() == pytest.approx(8000, rel=0.15)


def test_sound_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from facewire.bridge.recording.errors import SessionError

    (tmp_path / "a.mov").write_bytes(b"nonsense" * 100)
    with pytest.raises(SessionError, match="not a sound or video file that can be read"):
        read_sound(tmp_path / "a.mov")
    with pytest.raises(SessionError, match="does not exist"):
        read_sound(tmp_path / "b.wav")
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(SessionError, match=r"needs PyAV: .*pip install \"av>=14\", or give a \.wav"):
        read_sound(tmp_path / "a.mov")


def test_an_iphone_take_becomes_a_session_with_sound(make_take: MakeTake, tmp_path: Path) -> None:
    take = make_take(seconds=2, audio=AudioFormat())
    for suffix in ("csv", "wav"):
        assert main(["export", str(take), "-o", str(tmp_path / f"iphone.{suffix}")]) == 0
    command = ["import", tmp_path / "iphone.csv", "--sound", tmp_path / "iphone.wav", "-o", tmp_path / "in.mcap"]
    assert main([str(part) for part in command]) == 0
    with open_session(tmp_path / "in.mcap") as session:
        assert session.frame_count == 120
        assert session.audio == AudioFormat()


# --- info, plot, cut, repair, export --------------------------------------------------------------------------------


def test_info_tells_and_counts(make_take: MakeTake, capsys: pytest.CaptureFixture[str]) -> None:
    path = make_take(seconds=3, audio=AudioFormat())
    assert main(["info", str(path)]) == 0
    text = capsys.readouterr().out
    assert "180 frames at 60.0 a second" in text.replace("frames      180", "180 frames")
    assert "missing     nothing" in text
    assert "16000 Hz, 1 channel" in text
    assert text.count("█") > 10
    assert main(["info", str(path), str(path), "--json"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert json.loads(lines[0])["frames"] == 180


def test_an_empty_session_is_described_and_else_refused(
    make_take: MakeTake, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = make_take(seconds=0)
    assert main(["info", str(path)]) == 0
    capsys.readouterr()
    for args in (
        ("replay", path),
        ("plot", path, "-o", tmp_path / "a.png"),
        ("cut", path, "-o", tmp_path / "b.mcap"),
        ("export", path, "-o", tmp_path / "a.csv"),
    ):
        status, text = errors_of(*args, capsys=capsys)
        assert (status, text.count("\n")) == (2, 1), text
        assert "empty" in text
    assert [one.name for one in tmp_path.iterdir()] == ["take.mcap"]


BAD_INPUTS = {
    "no session": (b"hello", "not an MCAP file"),
    "cut": (None, "repair it: facewire repair"),
    "newer": ("newer", "update it"),
}


@pytest.mark.parametrize("kind", BAD_INPUTS)
@pytest.mark.parametrize("command", ["info", "replay", "plot", "cut", "export"])
def test_bad_files_are_one_line_and_status_2(
    make_take: MakeTake, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str, command: str
) -> None:
    content, says = BAD_INPUTS[kind]
    path = tmp_path / "bad.mcap"
    if content == "newer":
        path = GOLDEN / "recording" / "invalid" / "newer.mcap"
    else:
        data = make_take(seconds=1).read_bytes()
        path.write_bytes(content if isinstance(content, bytes) else data[: len(data) // 2])
    output = {"info": (), "replay": (), "plot": ("-o", tmp_path / "o.png"), "cut": ("-o", tmp_path / "o.mcap")}
    before = sorted(tmp_path.iterdir())
    status, text = errors_of(command, path, *output.get(command, ("-o", tmp_path / "o.csv")), capsys=capsys)
    assert (status, text.count("\n")) == (2, 1), text
    assert says in text
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("export", "@", "-o", "o.fbx"), "cannot export to .fbx"),
        (("export", "@", "-o", "old.csv"), "already exists: use --force"),
        (("export", "@", "-o", "o.csv", "--start", "9"), "outside the session"),
        (("export", "@", "-o", "o.csv", "--rate", "0.1"), "frames a second"),
        (("export", "@", "-o", "o.csv", "--shapes", "nose"), "no shape is called 'nose'"),
        (("export", "@", "-o", "no/o.csv"), "does not exist"),
        (("export", "@", "-o", "o.wav"), "no sound"),
        (("export", "@", "-o", "o.anim", "--face-path", "a'b"), "Unity's paths"),
        (("plot", "@", "-o", "o.svg"), "*.png, *.html"),
        (("plot", "@", "-o", "old.png"), "use --force"),
        (("cut", "@", "-o", "o.csv"), "*.mcap"),
        (("cut", "@", "-o", "old.mcap"), "use --force"),
        (("cut", "@", "--start", "0.8", "--end", "0.2", "-o", "o.mcap"), "before the start"),
        (("cut", "@", "--start", "soon", "-o", "o.mcap"), "is not a time, such as"),
        (("replay", "@", "--speed", "100"), "--speed 100 is not"),
        (("replay", "@", "--start", "7"), "outside the session"),
        (("replay", "@", "--once", "--loop"), "not allowed with"),
        (("repair", "nothing.mcap"), "does not exist"),
        (("record", "o.csv"), "*.mcap"),
        (("record", "old.mcap"), "use --force"),
        (("import", "old.csv", "-o", "o.mcap"), "is not a Live Link Face take"),
        (("import", "nothing.csv", "-o", "o.mcap"), "cannot read"),
        (("import", "old.csv", "-o", "o.mcap", "--sound-offset", "nan"), "is not a number of seconds"),
        (("import", "old.csv", "-o", "o.mcap", "--timecode-rate", "0"), "is not a rate such as 60"),
        (("import", "old.csv", "-o", "o.mcap", "--sound-offset", "1"), "--sound FILE"),
        (("export", "@", "-o", "o.wav", "--mirror"), "leave --rate, --mirror"),
        (("export", "@", "-o", "o.csv", "--head-path", "Head"), "are for .anim"),
        (("export", "@", "-o", "o.json", "--names", "vrm"), "leave --names out"),
        (("export", "@", "-o", "o.json", "--rate", "29.97"), "whole rates only"),
        (("bake", "nothing.mp4", "-o", "o.mcap"), "nothing.mp4 does not exist"),
        (("bake", "old.csv", "nothing.wav", "-o", "takes"), "nothing.wav does not exist"),
        (("bake", "old.csv", "-o", "old.mcap"), "--force"),
        (("bake", "old.csv", "old.mcap", "-o", "old.txt"), "is a file: name a folder"),
        (("bake", "old.csv", "-o", "o.mcap", "--format", "npz"), "--format is for a folder"),
        (("bake", "old.csv", "-o", "o.npz", "--flame", "no.pkl"), "no.pkl does not exist"),
        (("flame", "maps", "no.pkl"), "no.pkl does not exist"),
        (("flame", "register", "no.pkl"), "no.pkl does not exist"),
        (("flame", "unity", "no.pkl", "-o", "o.bytes"), "no.pkl does not exist"),
        (("models", "pull", "nothing"), "no model named 'nothing'"),
    ],
    ids=str,
)
def test_wrong_requests_change_nothing(
    make_take: MakeTake,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    args: tuple[str, ...],
    says: str,
) -> None:
    take = make_take(seconds=1)
    monkeypatch.chdir(tmp_path)
    for name in ("old.csv", "old.png", "old.mcap", "old.txt"):
        Path(name).write_text("keep me", encoding="utf-8")
    before = sorted(Path().iterdir())
    status, text = errors_of(*[str(take) if arg == "@" else arg for arg in args], capsys=capsys)
    assert (status, text.count("\n")) == (2, 1), text
    assert says in text
    assert sorted(Path().iterdir()) == before
    assert Path("old.csv").read_text(encoding="utf-8") == "keep me"


def test_repair_tells_what_it_saved(make_take: MakeTake, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    part = make_take(seconds=2, audio=AudioFormat(), finish=False)
    part.write_bytes(part.read_bytes()[:-3000])
    assert main(["repair", str(part)]) == 0
    text = capsys.readouterr().err
    assert "90 frames" in text
    assert "bytes at the end belong to nothing whole" in text
    assert sorted(one.name for one in tmp_path.iterdir()) == ["take.mcap", "take.mcap.part"]
    assert main(["repair", str(tmp_path / "take.mcap")]) == 0
    assert "is whole: there is nothing to repair" in capsys.readouterr().err
    status, text = errors_of("repair", part, capsys=capsys)
    assert status == 2
    assert "already exists" in text


def test_repair_of_nothing_saved_leaves_nothing(
    make_take: MakeTake, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    part = make_take(seconds=1, finish=False)
    part.write_bytes(part.read_bytes()[:700])
    (tmp_path / "older.mcap").write_text("keep me")
    for options in ((), ("-o", tmp_path / "older.mcap", "--force")):
        status, text = errors_of("repair", part, *options, capsys=capsys)
        assert (status, text.count("\n")) == (2, 1)
        assert "no frame is in it" in text
    assert sorted(one.name for one in tmp_path.iterdir()) == ["older.mcap", "take.mcap.part"]
    assert (tmp_path / "older.mcap").read_text() == "keep me"


def test_force_replaces_and_wav_is_playable(make_take: MakeTake, tmp_path: Path) -> None:
    take, output = make_take(seconds=1, audio=AudioFormat()), tmp_path / "o.wav"
    output.write_text("old")
    assert main(["export", str(take), "-o", str(output), "--force", "--end", "0.5"]) == 0
    with wave.open(str(output)) as file:
        assert file.getnframes() == 8000


def test_times_are_read_and_written() -> None:
    assert [seconds(text) for text in ("12.5", "1:02.5", "1:00:00", "0")] == [12.5, 62.5, 3600, 0]
    assert [duration_text(value) for value in (0.04, 59.94, 65, 3725)] == ["0.0 s", "59.9 s", "1:05 min", "1:02:05 h"]
