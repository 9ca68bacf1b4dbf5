"""Sound out of files: every sample at its own time, and of what cannot be read one line."""

import random
import sys

import av
import numpy as np
import pytest

from facewire.bridge.recording.errors import SessionError
from facewire.runtime.bake.take_sound import TakeSound
from facewire.runtime.capture.sound.sound_file import SoundFile, SoundReader
from facewire.runtime.capture.sound.sound_thread import SoundThread
from facewire.runtime.capture.video.file import FileSource
from facewire.runtime.sound.blocks import SoundRing
from facewire.runtime.sound.media_sound import MediaSound, NoSoundError, read_sound
from facewire.runtime.sound.placing import Placing
from tests.support.media import FLASH_S, click_s, damage_packets, make_media

CLOSE_S = 0.010


def flash_s(path):
    source = FileSource(path, paced=False)
    source.open()
    while (captured := source.read()) is not None:
        if captured.image.mean() > 128:
            source.close()
            return captured.capture_ns * 1e-9
    raise AssertionError("no flash")


def clicks_s(path):
    """Where the click is for speech, for a take, and for an import."""
    reader = SoundReader(path)
    heard = np.concatenate([run.copy() for run in reader.blocks()])
    reader.close()
    sound, (audio, samples) = TakeSound(path, 0), read_sound(path)
    blocks = list(sound.blocks())
    sound.close()
    assert [block.first_sample for block in blocks[:2]] == [0, sound.format.rate // 50]
    taken = np.frombuffer(b"".join(bytes(block.samples) for block in blocks), "<i2").reshape(-1, sound.format.channels)
    return click_s(heard, reader.rate), click_s(taken / 32768, audio.rate), click_s(samples / 32768, audio.rate)


CASES = {
    "plain.mp4": {"sound": "aac"},
    "late.mp4": {"sound": "aac", "sound_starts_s": 0.5},
    "late_pictures.mp4": {"sound": "aac", "pictures_start_s": 0.5},
    "late.mov": {"sound": "pcm_s16le", "sound_starts_s": 0.5},
    "late.mkv": {"sound": "aac", "sound_starts_s": 0.5},
    "both_late.mkv": {"sound": "aac", "sound_starts_s": 5.0, "pictures_start_s": 5.0},
    "gap.mkv": {"sound": "pcm_s16le", "without": ((0.5, 1.0),)},
    "gap.mp4": {"sound": "aac", "without": ((0.5, 1.2),)},
    "late.webm": {"video": "libvpx", "sound": "libopus", "sound_starts_s": 0.5},
    "plain.ts": {"video": "libx264", "sound": "aac", "form": "mpegts"},
    "late.ts": {"video": "libx264", "sound": "aac", "form": "mpegts", "sound_starts_s": 0.5},
    "late.flv": {"video": "libx264", "sound": "aac", "sound_starts_s": 0.5},
    "plain.avi": {"sound": "pcm_s16le"},
    "uneven.mkv": {"sound": "flac", "times_s": [0, 0.01, 0.2, 0.5, 0.52, 1.1, 1.5, 1.9, 2.0, 2.9]},
}


@pytest.mark.parametrize("name", CASES)
def test_a_click_sounds_when_its_picture_shows(tmp_path, name):
    path = make_media(tmp_path / name, **CASES[name])
    seen_s = flash_s(path)
    assert seen_s == pytest.approx(FLASH_S, abs=0.002)
    for heard_s in clicks_s(path):
        assert heard_s == pytest.approx(seen_s, abs=CLOSE_S)


@pytest.mark.parametrize(
    ("name", "codec", "starts_s", "options"),
    [
        ("a.wav", "pcm_s16le", 0.0, {}),
        ("a.mp3", "mp3", 0.0, {}),
        ("a.flac", "flac", 0.0, {}),
        ("a.ogg", "libopus", 0.0, {}),
        ("a.m4a", "aac", 0.0, {}),
        ("late.m4a", "aac", 0.5, {}),
        ("late.mka", "pcm_s16le", 0.5, {}),
        ("a.aac", "aac", 0.0, {"form": "adts"}),
        ("late.ts", "aac", 0.5, {"form": "mpegts"}),
    ],
)
def test_a_sound_file_begins_where_its_container_says(tmp_path, name, codec, starts_s, options):
    path = make_media(tmp_path / name, None, codec, sound_starts_s=starts_s, **options)
    own = starts_s if path.suffix in (".m4a", ".mka") else 0.0  # a transport stream's clock begins anywhere
    for heard_s in clicks_s(path):
        assert heard_s == pytest.approx(FLASH_S + own, abs=CLOSE_S)


@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "aac"), ("a.mkv", "libopus"), ("a.m4a", "aac")])
def test_damaged_packets_cost_only_themselves_and_are_said(tmp_path, name, codec):
    path = make_media(tmp_path / name, None if name == "a.m4a" else "mpeg4", codec)
    damage_packets(path, "audio", 15, 20)
    for heard_s in clicks_s(path):
        assert heard_s == pytest.approx(FLASH_S, abs=CLOSE_S)
    if codec == "aac":  # Opus makes some sound of any bytes
        sound = TakeSound(path, 0)
        list(sound.blocks())
        sound.close()
        assert "damaged" in sound.fault
        assert str(path) in sound.fault


def tone_in(path, channels):
    """Return a second of a tone as raw AAC, in opposite phase in every second of the channels."""
    rate, signs = 48_000, np.where(np.arange(channels) % 2, -1.0, 1.0)
    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate)
    with av.open(str(path), "w", format="adts") as container:
        track = container.add_stream("aac", rate=rate)
        track.layout = {1: "mono", 2: "stereo", 4: "4.0"}[channels]
        for first in range(0, rate - 1023, 1024):
            samples = (signs[:, None] * tone[None, first : first + 1024]).astype(np.float32)
            frame = av.AudioFrame.from_ndarray(samples, "fltp", track.layout.name)
            frame.sample_rate, frame.pts = rate, first
            container.mux(track.encode(frame))
        container.mux(track.encode(None))
    return path.read_bytes()


@pytest.mark.parametrize("order", [(1, 2), (2, 1, 2), (1, 2, 4)])
def test_channels_that_change_in_the_middle_of_a_file_are_heard(tmp_path, order):
    """As in a broadcast: two files of raw AAC, one behind the other. A mean of the channels would be silence."""
    path = tmp_path / "changing.aac"
    path.write_bytes(b"".join(tone_in(tmp_path / f"{channels}.aac", channels) for channels in order))
    reader = SoundReader(path)
    heard = np.concatenate([run.copy() for run in reader.blocks()])
    rate = reader.rate
    reader.close()
    assert len(heard) == pytest.approx(len(order) * rate, rel=0.1)
    for number in range(len(order)):
        part = heard[int((number + 0.4) * rate) : int((number + 0.8) * rate)]
        assert np.sqrt((part**2).mean()) == pytest.approx(0.3 / np.sqrt(2), rel=0.15), number


def test_damaged_sound_that_is_played_on_and_on_is_said_once(tmp_path):
    path = make_media(tmp_path / "a.m4a", None, "aac")
    damage_packets(path, "audio", 15, 20)
    said, now_ns, ring = [], [0], SoundRing()
    sound = SoundFile(path, loop=True, clock=lambda: now_ns[0])
    thread = SoundThread(sound, ring, said.append)
    thread.start()
    blocks = 0
    while blocks < 1000:  # three rounds of three seconds
        now_ns[0] += 10_000_000_000  # it is always late, and so plays as fast as it can
        assert thread.running, thread.error
        blocks += ring.take(0.01) is not None
    thread.stop(60)
    assert len(said) == 1
    assert said[0].startswith(f"the sound of {path} is damaged: ")
    assert said[0].endswith("; it is played on")


@pytest.mark.parametrize("name", ["plain.mp4", "late.webm", "plain.ts", "plain.avi", "a.mp3", "a.flac"])
def test_any_damage_is_sound_or_one_line(tmp_path, name):
    sounds = {"a.mp3": {"video": None, "sound": "mp3"}, "a.flac": {"video": None, "sound": "flac"}}
    path, dice = make_media(tmp_path / name, **(CASES | sounds)[name]), random.Random(name)
    whole = path.read_bytes()
    for round_ in range(12):
        content = bytearray(whole)
        start, count = dice.randrange(len(content)), dice.randint(1, len(content) // 4)
        content[start : start + count] = dice.randbytes(len(content[start : start + count])) if round_ % 3 else b""
        path.write_bytes(content)
        sound = TakeSound(path, 0)
        assert sum(len(block.samples) for block in sound.blocks()) < 2 * 48_000 * 60
        sound.close()
        assert "\n" not in (sound.fault or "")


def test_a_silent_video_is_no_fault_and_an_unreadable_one_is(tmp_path):
    path = make_media(tmp_path / "a.mp4")
    with pytest.raises(NoSoundError, match="has no sound"):
        MediaSound(path)
    assert TakeSound(path, 0).fault is None
    (tmp_path / "b.mp4").write_bytes(b"nonsense" * 100)
    assert "the take has no sound" in TakeSound(tmp_path / "b.mp4", 0).fault


def test_a_video_without_its_reader_is_remarked(tmp_path, monkeypatch):
    path = make_media(tmp_path / "a.mp4", sound="aac")
    monkeypatch.setitem(sys.modules, "av", None)
    sound = TakeSound(path, 0)
    assert "PyAV" in sound.fault
    assert sound.missing_reader


@pytest.mark.parametrize("codec", ["pcm_s16le", "pcm_u8", "pcm_s24le", "pcm_s32le", "pcm_f32le", "pcm_f64le"])
@pytest.mark.parametrize("form", ["wav", "rf64"])
def test_a_wav_needs_no_other_reader(tmp_path, monkeypatch, codec, form):
    path = make_media(tmp_path / "a.wav", None, codec)
    if form == "rf64":
        content = path.read_bytes()
        wide = b"ds64" + (28).to_bytes(4, "little") + len(content).to_bytes(8, "little")
        at = content.index(b"data")
        wide += content[at + 4 : at + 8] + bytes(4 + 8 + 4)
        path.write_bytes(
            b"RF64" + b"\xff" * 4 + b"WAVE" + wide + content[12 : at + 4] + b"\xff" * 4 + content[at + 8 :]
        )
    monkeypatch.setitem(sys.modules, "av", None)
    for heard_s in clicks_s(path):
        assert heard_s == pytest.approx(FLASH_S, abs=CLOSE_S)


@pytest.mark.parametrize("codec", ["adpcm_ms", "adpcm_ima_wav", "pcm_alaw", "pcm_mulaw"])
def test_a_wav_of_another_kind_is_read_or_refused_in_a_line(tmp_path, monkeypatch, codec):
    path = make_media(tmp_path / "a.wav", None, codec)
    for heard_s in clicks_s(path):
        assert heard_s == pytest.approx(FLASH_S, abs=CLOSE_S)
    monkeypatch.setitem(sys.modules, "av", None)
    if "law" in codec:
        assert click_s(read_sound(path)[1] / 32768, 48_000) == pytest.approx(FLASH_S, abs=CLOSE_S)
    else:
        with pytest.raises(SessionError, match="cannot be read: save it as 16-bit PCM"):
            read_sound(path)


# Placing


def lay(rate, *runs, end_s=None):
    placing = Placing(rate, end_s)
    pieces = [piece for at, run in runs for piece in placing.put(at, np.asarray(run, np.float32).reshape(-1, 1))]
    return np.concatenate(pieces)[:, 0] if pieces else np.zeros(0)


def ones(count):
    return np.ones(count)


def test_gaps_are_filled_overlaps_cut_and_what_is_before_zero_goes():
    assert lay(1000, (100, ones(50)), (250, ones(50))).nonzero()[0].tolist() == [*range(100, 150), *range(250, 300)]
    assert len(lay(1000, (0, ones(100)), (50, ones(100)))) == 150
    assert lay(1000, (-70, np.arange(50)), (-20, np.arange(50))).tolist() == list(range(20, 50))
    assert len(lay(1000, (-5000, ones(100)), (None, ones(100)))) == 0
    assert len(lay(1000, (-150, ones(100)), (100, ones(10)))) == 110, "silence from zero on"


def test_times_that_jitter_make_no_seam_and_none_are_far_off_for_long():
    steps = np.random.default_rng(0).integers(-8, 9, 200)
    steps[0] = 0
    runs = [(20 * i + int(step), np.arange(20 * i, 20 * i + 20) + 1) for i, step in enumerate(steps)]
    assert lay(1000, *runs).tolist() == list(range(1, 4001))
    late = [(20 * i + (9 if i >= 50 else 0), ones(20)) for i in range(200)]
    assert len(lay(1000, *late)) == pytest.approx(4009, abs=4)


def test_a_clock_that_is_set_does_not_move_the_sound():
    assert len(lay(1000, (0, ones(100)), (10**9, ones(100)), (10**9 + 100, ones(100)))) == 300
    assert len(lay(1000, (9000, ones(100)), (0, ones(100)), (100, ones(100)))) == 9300
    assert len(lay(1000, (0, ones(100)), (50_000, ones(100)), end_s=1.0)) == 200
    assert len(lay(1000, (10**12, ones(100)))) == 100
