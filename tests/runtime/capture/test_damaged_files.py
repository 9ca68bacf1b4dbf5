"""Videos that are damaged, cut off, or odd: what is good is kept, and what is missing is said."""

import struct

import cv2
import numpy as np
import pytest

from facewire.runtime.capture.video.file import FileSource
from facewire.runtime.capture.video.thread import CaptureThread
from facewire.runtime.tools.slots import NewestSlot
from tests.support.media import PICTURES, damage_middle, damage_packets, make_media

KINDS = {
    "a.mp4": {},
    "b.mp4": {"video": "libx264", "options": {"g": "15"}},
    "a.mkv": {"video": "libx264", "options": {"g": "15"}},
    "a.ts": {"video": "libx264", "form": "mpegts", "options": {"g": "15"}},
    "a.avi": {},
}


def read_all(path):
    source = FileSource(path, paced=False)
    source.open()
    times_s, spare = [], None
    while (captured := source.read(spare)) is not None:
        times_s.append(captured.capture_ns * 1e-9)
        spare = captured.image
    source.close()
    return times_s, source


@pytest.mark.parametrize("name", KINDS)
def test_a_whole_file_is_not_blamed(tmp_path, name):
    times_s, source = read_all(make_media(tmp_path / name, noise=True, **KINDS[name]))
    assert len(times_s) == PICTURES
    assert source.damage is None


@pytest.mark.parametrize(
    "options",
    [
        {"sound": "aac", "count": 60},  # the sound is longer: Matroska states the longer of the two
        {"sound": "aac", "pictures_start_s": 5.0, "sound_starts_s": 5.0},
        {"times_s": [0, 0.01, 0.02, 0.5, 0.52, 1.1, 1.5, 1.9, 2.0, 2.9]},
    ],
)
def test_odd_times_are_no_damage(tmp_path, options):
    assert read_all(make_media(tmp_path / "a.mkv", **options))[1].damage is None


@pytest.mark.parametrize("name", KINDS)
def test_a_damaged_file_goes_on_after_the_damage_and_says_so(tmp_path, name):
    path = make_media(tmp_path / name, noise=True, **KINDS[name])
    damage_middle(path)
    times_s, source = read_all(path)
    assert PICTURES / 2 < len(times_s) < PICTURES
    if name != "a.avi":  # nothing after the damage can be found in it
        assert times_s[-1] > 2.7
    assert str(path) in source.damage
    assert "not all of its pictures could be read" in source.damage
    assert "\n" not in source.damage


def test_pictures_that_cannot_be_decoded_are_passed_over(tmp_path):
    path = make_media(tmp_path / "a.mp4", noise=True)
    damage_packets(path, "video", 30, 20)
    times_s, source = read_all(path)
    assert len(times_s) > 50
    assert times_s[-1] == pytest.approx((PICTURES - 1) / 30, abs=0.01)
    assert source.damage


@pytest.mark.parametrize("name", ["a.mkv", "a.ts", "a.avi", "b.mp4"])
def test_a_file_that_is_cut_off_says_where(tmp_path, name):
    path = make_media(tmp_path / name, noise=True, in_pieces=name == "b.mp4", **KINDS[name])
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 6 // 10 // 188 * 188 + 1])
    times_s, source = read_all(path)
    assert 10 < len(times_s) < PICTURES
    assert "is cut off: its pictures end at" in source.damage


def test_what_a_file_lacks_is_the_error_of_its_thread(tmp_path):
    path = make_media(tmp_path / "a.mp4", noise=True)
    damage_middle(path)
    slot = NewestSlot()
    thread = CaptureThread(FileSource(path, paced=True), slot, print)
    thread.start()
    while slot.take(60) is not None:
        pass
    assert slot.exhausted
    assert "could be read" in str(thread.error)


# Odd ones


@pytest.mark.parametrize("name", ["b.mp4", "a.ts"])
def test_a_damaged_file_that_is_played_on_and_on_says_so_once(tmp_path, name):
    path = make_media(tmp_path / name, noise=True, **KINDS[name])
    damage_middle(path)
    said, now_ns = [], [0]
    slot = NewestSlot()
    thread = CaptureThread(FileSource(path, paced=True, loop=True, clock=lambda: now_ns[0]), slot, said.append)
    thread.start()
    rounds = 0
    while rounds < 3:
        now_ns[0] += 10_000_000_000  # it is always late, and so plays as fast as it can
        captured = slot.take(60)
        assert captured is not None, thread.error
        rounds = thread.source._media_ns // 3_000_000_000
    thread.stop(60)
    assert len(said) == 1
    assert said[0].startswith(f"{path} is damaged")
    assert said[0].endswith("; it is played on")
    assert thread.error is None


def test_a_whole_file_that_is_played_on_and_on_is_not_blamed(tmp_path):
    source = FileSource(make_media(tmp_path / "a.mp4", noise=True), paced=False, loop=True)
    source.open()
    for _ in range(3 * PICTURES):
        source.read()
    source.close()
    assert source.damage is None


def test_a_clock_that_is_set_does_not_stop_the_pictures(tmp_path):
    later = [0, 0.033, 0.066, 9999.9, 9999.933, 9999.966, 10000.0]
    times_s, _ = read_all(make_media(tmp_path / "a.mkv", "ffv1", times_s=later))
    assert len(times_s) == 7
    assert times_s == sorted(times_s)
    assert times_s[-1] < 0.5


def test_a_rate_that_is_none_is_measured(tmp_path):
    path = make_media(tmp_path / "a.avi")
    source = FileSource(path, paced=False)
    source.open()
    assert source.rate == pytest.approx(30, abs=0.5)
    source.close()
    source = FileSource(path, paced=False, opener=Absurd)
    source.open()
    assert source.rate == pytest.approx(30, abs=0.5)
    source.close()


class Absurd:
    """A real file that says 90,000 pictures a second, as some phones' do."""

    def __init__(self, path):
        self.real = cv2.VideoCapture(path, cv2.CAP_FFMPEG)

    def get(self, what):
        return 90_000.0 if what == cv2.CAP_PROP_FPS else self.real.get(what)

    def __getattr__(self, name):
        return getattr(self.real, name)


@pytest.mark.parametrize("shape", [(48, 64), (48, 64, 3), (48, 64, 4)])
def test_a_still_picture_is_a_video_of_one(tmp_path, shape):
    cv2.imwrite(str(tmp_path / "a.png"), np.full(shape, 200, np.uint8))
    assert read_all(tmp_path / "a.png")[0] == [0.0]


def test_pictures_may_change_their_size(tmp_path):
    content = b"".join(
        cv2.imencode(".jpg", np.full((height, 64, 3), 200, np.uint8))[1].tobytes() for height in [48] * 5 + [96] * 5
    )
    (tmp_path / "a.mjpeg").write_bytes(content)
    assert len(read_all(tmp_path / "a.mjpeg")[0]) == 10


@pytest.mark.parametrize(("turn_deg", "matrix"), [(90, (0, 1, -1, 0)), (180, (-1, 0, 0, -1)), (270, (0, -1, 1, 0))])
def test_a_phone_s_rotation_is_followed(tmp_path, turn_deg, matrix):
    """The left half is white in the file; the display matrix says how its picture is to be turned, clockwise."""
    path = tmp_path / "a.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 30, (64, 48))
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:, :32] = 255
    for _ in range(5):
        writer.write(picture)
    writer.release()
    content = bytearray(path.read_bytes())
    a, b, c, d = (value << 16 for value in matrix)
    at = content.index(b"tkhd") + 44
    content[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
    source = FileSource(path, paced=False)
    source.open()
    image = source.read().image
    source.close()
    expected = np.rot90(picture, -turn_deg // 90)
    assert image.shape == expected.shape
    assert np.abs(image.astype(int) - expected).mean() < 20
