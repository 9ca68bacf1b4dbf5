"""The plain formats, resampling and mirroring, and takes of Live Link Face in."""

from __future__ import annotations

import csv
import io
import json
import struct
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.takes import MakeTake

from facewire.bridge.export.clip import Clip, ClipOptions, at_rate, choose_shapes, make_clip, mirrored
from facewire.bridge.export.formats import FORMATS, ExportOptions, export, format_of, time_of_day_ns
from facewire.bridge.export.livelink_import import import_take
from facewire.bridge.export.resample import resample, resample_rotations, uniform_times
from facewire.bridge.export.wav import read_wav
from facewire.bridge.recording.cut import TimeRange
from facewire.bridge.recording.errors import SessionError
from facewire.bridge.recording.layout import AudioFormat, SessionMetadata
from facewire.bridge.recording.reader import open_session
from facewire.bridge.recording.sound import load_sound
from facewire.bridge.recording.track import load_track
from facewire.bridge.shared.arkit import BLENDSHAPE_INDEX, BLENDSHAPES
from facewire.bridge.wire.angles import head_angles, head_rotation
from facewire.bridge.wire.sides import other_side


def csv_rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="ascii", newline="") as file:
        return list(csv.DictReader(file))


def clip_of(path: Path, **options: object) -> Clip:
    with open_session(path) as session:
        return make_clip("take", load_track(session), ClipOptions(**options))  # type: ignore[arg-type]


def test_csv_and_back_is_the_same_to_a_millionth(make_take: MakeTake, tmp_path: Path) -> None:
    path = make_take(seconds=3, audio=AudioFormat())
    with open_session(path) as session:
        export(session, tmp_path / "take.csv")
        export(session, tmp_path / "take.wav")
        before = load_track(session)
        sound = load_sound(session, session.start_ns, session.end_ns)
    import_take(tmp_path / "take.csv", tmp_path / "back.mcap", sound=read_wav(tmp_path / "take.wav"))
    with open_session(tmp_path / "back.mcap") as session:
        after = load_track(session)
        assert session.metadata.origin == "import"
        sound_back = load_sound(session, session.start_ns, session.end_ns)
    assert len(after) == len(before) == 180
    np.testing.assert_allclose(after.blendshapes, before.blendshapes, atol=1e-6)
    np.testing.assert_allclose(after.gaze, before.gaze, atol=1e-6)
    np.testing.assert_allclose(after.head[:, :4], before.head[:, :4], atol=1e-6)
    np.testing.assert_allclose(after.times_s, before.times_s, atol=2e-5)  # a thousandth of a timecode's frame
    assert sound is not None
    assert sound_back is not None
    count = min(len(sound[1]), len(sound_back[1]))
    np.testing.assert_array_equal(sound_back[1][:count], sound[1][:count])


def test_csv_again_is_the_same_text(make_take: MakeTake, tmp_path: Path) -> None:
    with open_session(make_take(seconds=1)) as session:
        export(session, tmp_path / "a.csv")
    import_take(tmp_path / "a.csv", tmp_path / "b.mcap")
    with open_session(tmp_path / "b.mcap") as session:
        export(session, tmp_path / "b.csv")
    first, second = csv_rows(tmp_path / "a.csv"), csv_rows(tmp_path / "b.csv")
    for one, other in zip(first, second, strict=True):
        for column in set(one) - {"Timecode"}:
            assert float(one[column]) == pytest.approx(float(other[column]), abs=1e-6)


def test_csv_has_the_shapes_under_their_names(make_take: MakeTake, tmp_path: Path) -> None:
    with open_session(make_take(seconds=1)) as session:
        export(session, tmp_path / "a.csv", ExportOptions(clip=ClipOptions(shapes=["jawOpen", "eyeBlink*"])))
        expected = load_track(session)
    rows = csv_rows(tmp_path / "a.csv")
    jaw = [float(row["JawOpen"]) for row in rows]
    np.testing.assert_allclose(jaw, expected.blendshapes[:, BLENDSHAPE_INDEX["jawOpen"]], atol=1e-8)
    assert {row["MouthClose"] for row in rows} == {"0.000000000"}
    assert {row["BlendShapeCount"] for row in rows} == {"61"}


def test_timecode_is_the_time_of_day(tmp_path: Path, make_take: MakeTake, monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    metadata = SessionMetadata(started_unix_ns=1_790_000_000_500_000_000, started_clock_ns=10**9)
    assert time_of_day_ns(metadata, 2 * 10**9) == ((14 * 60 + 13) * 60 + 21) * 10**9 + 500_000_000
    with open_session(make_take(seconds=1)) as session:
        export(session, tmp_path / "a.csv", ExportOptions(part=TimeRange(0.5)))
    assert (tmp_path / "a.csv").read_text().splitlines()[1].startswith("14:13:20:30.000,")


def test_npz_has_named_arrays(make_take: MakeTake, tmp_path: Path) -> None:
    with open_session(make_take(seconds=1, audio=AudioFormat())) as session:
        export(session, tmp_path / "a.npz", ExportOptions(clip=ClipOptions(shapes=["mouth*"])))
        expected = load_track(session)
    with np.load(tmp_path / "a.npz", allow_pickle=False) as arrays:
        names = arrays["names"].tolist()
        assert names == [name for name in BLENDSHAPES if name.startswith("mouth")]
        column = names.index("mouthSmileLeft")
        np.testing.assert_array_equal(
            arrays["blendshapes"][:, column], expected.blendshapes[:, BLENDSHAPE_INDEX["mouthSmileLeft"]]
        )
        np.testing.assert_array_equal(arrays["head_rotation_xyzw"], expected.head[:, :4])
        assert arrays["audio_rate"] == 16000
        assert arrays["audio"].shape == (59 * 16000 // 60, 1)
        assert arrays["source_names"][arrays["sources"][0]] == "video"


def test_json_lines_and_audio2face(make_take: MakeTake, tmp_path: Path) -> None:
    with open_session(make_take(seconds=1, rate=59.94)) as session:
        export(session, tmp_path / "a.jsonl")
        options = ExportOptions(clip=ClipOptions(shapes=["jawOpen", "mouthClose"]))
        report = export(session, tmp_path / "a.json", options)
        expected = load_track(session)
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert len(lines) == len(expected)
    assert lines[7]["blendshapes"]["jawOpen"] == pytest.approx(expected.blendshapes[7, 17], abs=1e-6)
    assert list(lines[0]["blendshapes"]) == list(BLENDSHAPES)
    a2f = json.loads((tmp_path / "a.json").read_text())
    assert a2f["exportFps"] == 60
    assert a2f["facsNames"] == ["jawOpen", "mouthClose"]
    assert (a2f["numPoses"], a2f["numFrames"]) == (2, len(a2f["weightMat"]))
    assert (report.rate, report.frames) == (60, a2f["numFrames"])
    assert all(len(row) == 2 for row in a2f["weightMat"])
    jaw = np.interp(np.arange(a2f["numFrames"]) / 60, expected.times_s, expected.blendshapes[:, 17])
    np.testing.assert_allclose([row[0] for row in a2f["weightMat"]], jaw, atol=2e-6)


def test_flame_is_exported_where_there_is_some(tmp_path: Path, frames: Callable) -> None:
    from dataclasses import replace

    from facewire.bridge.recording.writer import SessionWriter
    from facewire.bridge.wire.codec import Encoder
    from facewire.bridge.wire.frame import FlameParameters
    from facewire.bridge.wire.streams import STREAMS

    writer = SessionWriter(tmp_path / "a.mcap", SessionMetadata(0, 0))
    for frame in frames(60):
        flame = FlameParameters(*(np.full(n, frame.seq / 60, np.float32) for n in (50, 3, 3, 6)))
        writer.add_frame(Encoder().frame(replace(frame, flame=flame), STREAMS), frame.seq, frame.publish_ns)
    writer.finish()
    with open_session(tmp_path / "a.mcap") as session:
        export(session, tmp_path / "a.npz", ExportOptions(clip=ClipOptions(rate=120)))
        export(session, tmp_path / "a.jsonl")
    with np.load(tmp_path / "a.npz") as arrays:
        assert arrays["expression"].shape == (119, 50)
        np.testing.assert_allclose(arrays["jaw_pose"][:, 0], np.arange(119) / 120, atol=1e-6)
        assert arrays["neck_pose"].shape == (119, 3)
        assert arrays["eye_pose"].shape == (119, 6)
        assert "shape" not in arrays, "nobody said who it is"
    assert len(json.loads((tmp_path / "a.jsonl").read_text().splitlines()[0])["flame"]["eyes"]) == 6


def test_wav_is_what_was_recorded(make_take: MakeTake, tmp_path: Path) -> None:
    with open_session(make_take(seconds=2, audio=AudioFormat(44100, 2))) as session:
        export(session, tmp_path / "a.wav", ExportOptions(part=TimeRange(0.5, 1.25)))
        expected = load_sound(session, session.start_ns + 500_000_000, session.start_ns + 1_250_000_000)
    assert expected is not None
    with wave.open(str(tmp_path / "a.wav")) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (44100, 2, 2)
        samples = np.frombuffer(file.readframes(10**9), "<i2").reshape(-1, 2)
    np.testing.assert_array_equal(samples, expected[1])
    assert len(samples) == 33075


@pytest.mark.parametrize(("kind", "bits"), [(1, 8), (1, 16), (1, 24), (1, 32), (3, 32), (3, 64), (0xFFFE, 16)])
def test_wav_of_every_common_kind_is_read(tmp_path: Path, kind: int, bits: int) -> None:
    wanted = np.array([[-0.5, 0.25], [0.0, 0.75]])
    scale = {8: 2**7, 16: 2**15, 24: 2**23, 32: 2**31}.get(bits, 1)
    if kind == 3:
        content = wanted.astype(f"<f{bits // 8}").tobytes()
    elif bits == 8:
        content = (wanted * scale + 128).astype(np.uint8).tobytes()
    else:
        content = b"".join(int(value * scale).to_bytes(bits // 8, "little", signed=True) for value in wanted.ravel())
    fmt = struct.pack("<HHIIHH", kind, 2, 8000, 8000 * bits // 4, bits // 4, bits)
    fmt += struct.pack("<HHIH14x", 22, 16, 3, 1) if kind == 0xFFFE else b""
    chunks = b"LIST" + struct.pack("<I", 3) + b"abc\0"
    chunks += b"fmt " + struct.pack("<I", len(fmt)) + fmt + b"data" + struct.pack("<I", len(content)) + content
    path = tmp_path / "a.wav"
    path.write_bytes(b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks)
    audio, samples = read_wav(path)
    assert audio == AudioFormat(8000, 2)
    np.testing.assert_allclose(samples / 32768, wanted, atol=1 / 128 if bits == 8 else 1e-4)


def test_wav_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    adpcm = b"fmt \x10\0\0\0" + struct.pack("<HHIIHH", 2, 1, 8000, 4000, 256, 4) + b"data\4\0\0\0" + bytes(4)
    for data in (b"", b"RIFFxxxxAVI ", *(b"RIFF\0\0\0\0WAVE" + rest for rest in (b"", b"fmt \x10" + bytes(19), adpcm))):
        path.write_bytes(data)
        with pytest.raises(SessionError, match=r"not a WAV file|cannot be read: save it as 16-bit PCM"):
            read_wav(path)


# --- resampling -----------------------------------------------------------------------------------------------------


def test_a_higher_rate_runs_straight_between_the_frames() -> None:
    times_s = np.array([0.0, 0.1, 0.3])
    values = np.array([[0.0], [1.0], [0.0]], np.float32)
    new_s = uniform_times(times_s, 20)
    np.testing.assert_allclose(new_s, np.arange(7) / 20)
    np.testing.assert_allclose(resample(times_s, values, new_s, 20)[:, 0], [0, 0.5, 1, 0.75, 0.5, 0.25, 0], atol=1e-6)


def test_a_lower_rate_does_not_alias() -> None:
    times_s = np.arange(600) / 60
    fast = np.sin(2 * np.pi * 28 * times_s)[:, None].astype(np.float32)  # at 30 a second this would show as 2 Hz
    slow = np.sin(2 * np.pi * 1 * times_s)[:, None].astype(np.float32)
    new_s = uniform_times(times_s, 30)
    picked = np.interp(new_s, times_s, fast[:, 0])
    got_fast, got_slow = resample(times_s, fast, new_s, 30), resample(times_s, slow, new_s, 30)
    assert np.abs(picked).max() > 0.9
    assert np.abs(got_fast[3:-3]).max() < 0.25
    np.testing.assert_allclose(got_slow[3:-3, 0], np.sin(2 * np.pi * new_s[3:-3]), atol=0.01)


def test_uneven_frames_weigh_by_their_time() -> None:
    rng = np.random.default_rng(3)
    times_s = np.sort(rng.uniform(0, 10, 800))
    line = (3 * times_s + 1)[:, None].astype(np.float32)
    new_s = uniform_times(times_s, 10)
    np.testing.assert_allclose(resample(times_s, line, new_s, 10)[1:-1, 0], 3 * new_s[1:-1] + 1, atol=1e-4)


def test_frames_at_one_time_are_no_division_by_nothing() -> None:
    one_s, value = np.zeros(2), np.array([[0.25], [0.75]], np.float32)
    assert resample(one_s, value, uniform_times(one_s, 30), 30).tolist() == [[0.75]]
    times_s = np.array([0.0, 0.0, 0.0, 0.1])  # most at one time
    got = resample(times_s, np.ones((4, 1), np.float32), uniform_times(times_s, 30), 30)
    np.testing.assert_allclose(got, np.ones((4, 1)), atol=1e-6)


@given(st.integers(0, 10**6), st.sampled_from([24.0, 30.0, 59.94, 90.0]))
def test_resampling_stays_between_least_and_most(seed: int, rate: float) -> None:
    rng = np.random.default_rng(seed)
    times_s = np.cumsum(rng.uniform(0.001, 0.05, 200))
    values = rng.uniform(0, 1, (200, 3)).astype(np.float32)
    got = resample(times_s, values, uniform_times(times_s, rate), rate)
    assert got.min() >= values.min() - 1e-5
    assert got.max() <= values.max() + 1e-5


def test_rotations_stay_unit_whatever_their_signs() -> None:
    times_s = np.arange(120) / 60
    angle = np.sin(times_s)
    rotations = np.stack([np.zeros(120), np.sin(angle / 2), np.zeros(120), np.cos(angle / 2)], axis=1).astype(
        np.float32
    )
    rotations[::3] *= -1
    new_s = uniform_times(times_s, 47)
    got = resample_rotations(times_s, rotations, new_s, 60)
    np.testing.assert_allclose(np.linalg.norm(got, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(2 * np.arctan(got[:, 1] / got[:, 3]), np.sin(new_s), atol=1e-3)


def test_a_clip_at_another_rate(make_take: MakeTake) -> None:
    clip = at_rate(clip_of(make_take(seconds=2)), 30)
    assert len(clip) == 60
    assert clip.rate == 30
    np.testing.assert_allclose(np.diff(clip.times_s), 1 / 30)
    assert clip.head.shape == (60, 7)
    assert clip.sources == ["video"] * 60
    with pytest.raises(SessionError, match="from 1 to 1000 frames a second"):
        at_rate(clip, 0.5)


def test_mirrored_twice_is_the_same(make_take: MakeTake) -> None:
    clip = clip_of(make_take(seconds=1))
    clip.head[:, 1:3] = 0.1
    once = mirrored(clip)
    np.testing.assert_array_equal(
        once.blendshapes[:, BLENDSHAPE_INDEX["mouthSmileLeft"]],
        clip.blendshapes[:, BLENDSHAPE_INDEX["mouthSmileRight"]],
    )
    np.testing.assert_array_equal(once.gaze[:, 0], -clip.gaze[:, 2])
    np.testing.assert_array_equal(once.head[:, 4], -clip.head[:, 4])
    yaw, pitch, roll = head_angles(clip.head[0])
    np.testing.assert_allclose(head_angles(once.head[0]), (-yaw, pitch, -roll), atol=1e-6)
    twice = mirrored(once)
    for name in ("blendshapes", "head", "gaze"):
        np.testing.assert_array_equal(getattr(twice, name), getattr(clip, name))
    assert {other_side(name) for name in BLENDSHAPES} == set(BLENDSHAPES)


def test_shapes_are_chosen_by_name_and_pattern() -> None:
    assert choose_shapes(None) == BLENDSHAPES
    assert choose_shapes(["jaw*", "eyeBlinkLeft"]) == ("eyeBlinkLeft", "jawForward", "jawRight", "jawLeft", "jawOpen")
    with pytest.raises(SessionError, match="no shape is called 'JawOpen'"):
        choose_shapes(["JawOpen"])


def test_shapes_under_other_programs_names(make_take: MakeTake, tmp_path: Path) -> None:
    take = make_take(seconds=1)
    arkit, vroid = clip_of(take), clip_of(take, names="vroid")
    assert vroid.shapes[:2] == ("Fcl_MTH_A", "Fcl_MTH_I")
    assert "Fcl_EYE_Close" not in vroid.shapes  # the two eyes' own would add up with it
    row = dict(zip(vroid.shapes, vroid.chosen.T, strict=True))
    blink = arkit.blendshapes[:, BLENDSHAPES.index("eyeBlinkLeft")]
    np.testing.assert_allclose(row["Fcl_EYE_Close_L"], blink, atol=1e-6)
    assert row["Fcl_MTH_A"].max() > 0.9  # the jaw
    assert choose_shapes(["*_L", "Fcl_EYE_Close"], "vroid") == ("Fcl_EYE_Close_L", "Fcl_EYE_Close")
    with pytest.raises(SessionError, match=r"no shape is called 'jawOpen': vrm0 has Neutral, A, I, U, E"):
        choose_shapes(["jawOpen"], "vrm0")
    with pytest.raises(SessionError, match="no section 'vrm9'"):
        choose_shapes(None, "vrm9")
    options = ExportOptions(clip=ClipOptions(names="vrm"))
    with open_session(take) as session:
        export(session, tmp_path / "a.anim", options)
        export(session, tmp_path / "a.npz", options)
        with pytest.raises(SessionError, match=r"\.csv has names of its own"):
            export(session, tmp_path / "a.csv", options)
    text = (tmp_path / "a.anim").read_text()
    assert "attribute: blendShape.blinkLeft" in text
    assert "neutral" not in text
    assert "jawOpen" not in text
    assert not (tmp_path / "a.csv").exists()
    with np.load(tmp_path / "a.npz") as arrays:
        assert arrays["names"].tolist()[:2] == ["happy", "angry"]
        assert arrays["blendshapes"].shape == (60, len(arrays["names"]))


# --- bad input ------------------------------------------------------------------------------------------------------


def test_unknown_suffixes_and_existing_outputs(make_take: MakeTake, tmp_path: Path) -> None:
    with pytest.raises(SessionError, match=r"cannot export to \.fbx: it is one of \.csv"):
        format_of(Path("a.fbx"))
    (tmp_path / "a.csv").write_text("mine")
    with open_session(make_take(seconds=1)) as session:
        with pytest.raises(SessionError, match="already exists: use --force"):
            export(session, tmp_path / "a.csv")
        with pytest.raises(SessionError, match="has no sound to export"):
            export(session, tmp_path / "a.wav")
        with pytest.raises(SessionError, match="outside the session"):
            export(session, tmp_path / "b.csv", ExportOptions(part=TimeRange(5)))
        with pytest.raises(SessionError, match="no shape is called"):
            export(session, tmp_path / "b.csv", ExportOptions(clip=ClipOptions(shapes=["nose"])))
    with open_session(make_take("empty.mcap", seconds=0)) as session:
        for suffix in FORMATS:
            with pytest.raises(SessionError, match="empty"):
                export(session, tmp_path / f"e{suffix}")
    assert (tmp_path / "a.csv").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "empty.mcap", "take.mcap"]


# --- import ---------------------------------------------------------------------------------------------------------

APP_ROWS = (
    "Timecode,BlendShapeCount,JawOpen,EyeBlinkLeft,HeadYaw,HeadPitch,HeadRoll,LeftEyeYaw,LeftEyePitch,SomethingNew\n"
    "23:59:59:29.500,61,0.25,0.5,0.1,0.2,0.3,0.01,0.02,9\n"
    "00:00:00:00.500,61,0.75,1.5,0.1,0.2,0.3,0.01,0.02,9\n"
    "00:00:00:00.500,61,0.80,0.5,0.1,0.2,0.3,0.01,0.02,9\n"
    "\n"
    "00:00:02:00.000,61,-0.1,0.5,0.1,0.2,0.3,0.01,0.02,9\n"
)


def test_a_take_over_midnight_with_odd_columns(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbf" + APP_ROWS.replace("\n", "\r\n").encode())
    report = import_take(tmp_path / "a.csv", tmp_path / "a.mcap", timecode_rate=30)
    assert (report.frames, report.skipped) == (3, 1)
    assert report.duration_s == pytest.approx(2 + 0.5 / 30)
    assert "mouthclose" in report.missing
    assert "righteyeyaw" in report.missing
    with open_session(tmp_path / "a.mcap") as session:
        track = load_track(session)
    np.testing.assert_allclose(track.times_s, [0, 1 / 30, 2 + 0.5 / 30], atol=1e-6)
    np.testing.assert_allclose(track.blendshapes[:, BLENDSHAPE_INDEX["jawOpen"]], [0.25, 0.75, 0.0])
    np.testing.assert_allclose(track.blendshapes[1, BLENDSHAPE_INDEX["eyeBlinkLeft"]], 1.0)
    np.testing.assert_allclose(head_angles(track.head[0]), (0.1, 0.2, 0.3), atol=1e-6)
    np.testing.assert_allclose(track.gaze[0], [0.01, -0.02, 0, 0], atol=1e-7)


@pytest.mark.parametrize("offset_s", [0.25, -0.99, -1.51, -2.29])
def test_sound_that_begins_elsewhere_stays_in_step(tmp_path: Path, offset_s: float) -> None:
    """What lies before the session's clock, a second before the first row, has no place and is left out: put at the
    clock's start, a block at a time, it once moved all the rest by up to 40 ms."""
    (tmp_path / "a.csv").write_text(APP_ROWS)
    milliseconds = (np.arange(7 * 48000) // 48).astype(np.int16)[:, None]
    sound = AudioFormat(48000, 1), milliseconds
    import_take(tmp_path / "a.csv", tmp_path / "a.mcap", sound=sound, sound_offset_s=offset_s, timecode_rate=30)
    with open_session(tmp_path / "a.mcap") as session:
        loaded = load_sound(session, session.start_ns, session.end_ns)
    assert loaded is not None
    assert loaded[1][48 * 1500, 0] == pytest.approx(1500 - 1000 * offset_s, abs=1)


@given(*[st.floats(-1.4, 1.4)] * 3)
def test_head_angles_come_back(yaw: float, pitch: float, roll: float) -> None:
    np.testing.assert_allclose(head_angles(head_rotation(yaw, pitch, roll)), (yaw, pitch, roll), atol=3e-6)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not a Live Link Face take"),
        ("a,b,c\n1,2,3\n", "is not a Live Link Face take"),
        ("Timecode,BlendShapeCount,JawOpen\n", "this take is empty"),
        ("Timecode,BlendShapeCount,JawOpen\n1:2:3:4,61,x\n", "line 2: a value is missing or is not a number"),
        ("Timecode,BlendShapeCount,JawOpen\n1:2:3:4,61\n", "line 2: a value is missing or is not a number"),
        ("Timecode,BlendShapeCount,JawOpen\n1:2:3:4,61,nan\n", "line 2: a value is missing or is not a number"),
        ("Timecode,BlendShapeCount,JawOpen\nsoon,61,1\n", "row 2: the timecode 'soon' is not like"),
        ("Timecode,BlendShapeCount,JawOpen\n1:2:3:4,61,1\n99999999999:2:3:4,61,1\n", "row 3: the timecode '9"),
        ("Timecode,BlendShapeCount,JawOpen\n1:2:3:4,61,1\n1:2:2:4,61,1\n", "row 3: the timecode goes back"),
    ],
)
def test_what_is_no_take_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(SessionError, match=message):
        import_take(tmp_path / "a.csv", tmp_path / "a.mcap")
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


def test_binary_rubbish_is_refused(tmp_path: Path) -> None:
    for data in (bytes(range(256)) * 10, b"Timecode,\0\xff"):
        (tmp_path / "a.csv").write_bytes(data)
        with pytest.raises(SessionError):
            import_take(tmp_path / "a.csv", tmp_path / "a.mcap")
    with pytest.raises(SessionError, match="cannot read"):
        import_take(tmp_path / "none.csv", tmp_path / "a.mcap")


def test_an_import_says_how_far_it_is(make_take: MakeTake, tmp_path: Path) -> None:
    with open_session(make_take(seconds=20)) as session:
        export(session, tmp_path / "a.csv")
    shares: list[float] = []
    import_take(tmp_path / "a.csv", tmp_path / "a.mcap", progress=lambda done, total: shares.append(done / total))
    assert len(shares) >= 8
    assert shares == sorted(shares)
    assert 0 < shares[0] < 0.5 < shares[-1] < 1


@pytest.mark.parametrize("suffix", [".csv", ".anim", ".jsonl", ".json"])
def test_an_export_says_how_far_it_is(make_take: MakeTake, tmp_path: Path, suffix: str) -> None:
    told: list[tuple[int, int]] = []
    with open_session(make_take(seconds=5)) as session:
        export(session, tmp_path / f"a{suffix}", progress=lambda *one: told.append(one))
    begin = told.index((0, told[-1][1]), 1)  # reading, and from here on writing
    written = [done for done, _ in told[begin:]]
    assert written == sorted(written)
    assert len(written) > 20
    assert 0.9 * told[-1][1] < written[-1] < told[-1][1]


def test_an_hour_of_lines_looks_the_shapes_up_once(make_take: MakeTake, monkeypatch: pytest.MonkeyPatch) -> None:
    from facewire.bridge.export.tables import write_a2f, write_csv, write_jsonl, write_npz

    clip, asked = clip_of(make_take(seconds=0.5)), []
    chosen = clip.chosen
    monkeypatch.setattr(Clip, "chosen", property(lambda clip: (asked.append(len(clip)), chosen)[1]))
    for write in (write_jsonl, write_csv, write_a2f, write_npz):
        asked.clear()
        write(clip, io.BytesIO())
        assert len(asked) == 1, write


def test_clip_text_is_ascii_with_unix_lines(make_take: MakeTake) -> None:
    from facewire.bridge.export.tables import write_csv

    buffer = io.BytesIO()
    write_csv(clip_of(make_take(seconds=0.1)), buffer)
    assert buffer.getvalue().isascii()
    assert b"\r" not in buffer.getvalue()
