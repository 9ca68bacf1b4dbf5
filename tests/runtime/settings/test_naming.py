"""Every camera has a folder of its own that can be read, and what earlier versions kept under other names is found."""

from __future__ import annotations

import os
import unicodedata

import pytest

from facewire.runtime.capture.video.cameras import CameraInfo
from facewire.runtime.settings.naming import former_slug, slug
from facewire.runtime.settings.profiles import Profile, ProfileError, ProfileStore

NAMES = [
    "camera 'Камера'", "camera 'カメラ'", "camera '摄像头'", "camera '内置摄像头'", "Камера", "камера", "Ёлка", "Елка",
    "HD Webcam", "hd webcam", "hd-webcam", "HD  Webcam", "HD_Webcam", "x" * 70 + "a", "x" * 70 + "b", "x" * 70,
    "con", "CON", "nul", "com1", "aux.", "", " ", "...", "../..", "/home/a/видео.mp4", "/home/a/音.mp4", "ß", "ss",
    "café", "cafe", "straße", "🎥", "📷", "a\ud800", "a\ud801", "a/b", "a\\b", "a:b", "ﬁne", "fine",
]  # fmt: skip


def test_no_two_names_share_a_folder_on_any_file_system():
    distinct = {*NAMES, *map(slug, NAMES)}
    by_folder: dict[str, set[str]] = {}
    for name in distinct:
        by_folder.setdefault(slug(name).casefold(), set()).add(name)
    assert [names for names in by_folder.values() if len(names) > 1] == []


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_s_name_is_allowed_everywhere(name, tmp_path):
    folder = slug(name)
    assert 0 < len(folder.encode()) <= 255
    assert folder == unicodedata.normalize("NFC", folder)
    assert folder.casefold() == folder.casefold().strip(". -")
    assert not set(folder) & set('<>:"/\\|?* \0')
    assert folder not in ("con", "nul", "com1", "aux")
    (tmp_path / folder).mkdir()
    assert os.listdir(tmp_path) == [folder]  # noqa: PTH208, as the system writes it


def test_a_folder_s_name_can_be_read_and_does_not_depend_on_how_accents_are_written():
    assert slug("demo") == "demo"
    assert slug("HD Webcam C920 046d:082d").startswith("hd-webcam-c920-046d-082d-")
    assert slug("Камера Логитек").startswith("камера-логитек-")
    assert slug(unicodedata.normalize("NFD", "Caméra")) == slug(unicodedata.normalize("NFC", "Caméra"))


C920 = CameraInfo(2, "HD Webcam C920", hardware="046d:082d 1A2B")


def former(store, camera, name="default", gain=1.0, age_s=0.0):
    """Write a profile where and as earlier versions did."""
    path = store.save(Profile(name, camera))
    text = path.read_text().replace("gain = 1.0", f"gain = {gain}", 1)
    folder = store.folder / former_slug(camera)
    folder.mkdir(exist_ok=True)
    path.unlink()
    path.parent.rmdir() if path.parent != folder else None
    kept = folder / path.name
    kept.write_text(text)
    os.utime(kept, (1_000_000 - age_s, 1_000_000 - age_s))
    return kept


def test_three_folders_of_one_camera_become_one_and_nothing_is_lost(tmp_path):
    store = ProfileStore(tmp_path)
    old = [
        former(store, "camera 0 (HD Webcam C920)", gain=2.0, age_s=20),
        former(store, "camera 2 (HD Webcam C920)", gain=3.0),
        former(store, "camera 'HD Webcam C920'", gain=3.5, age_s=10),
        former(store, "camera 'HD Webcam C920'", "ada", gain=4.0),
    ]
    texts = [path.read_text() for path in old]
    former(store, "camera 0 (HD Webcam C930)", gain=0.5)
    store.adopt(C920.identity, C920.formerly)
    assert store.names(C920.identity) == ["ada", "default", "default 2", "default 3"]
    gains = [float(store.load(C920.identity, name).calibration.gain[0]) for name in store.names(C920.identity)]
    assert gains == [4.0, 3.0, 3.5, 2.0]  # the newest keeps its name
    assert [path.read_text() for path in old] == texts
    store.delete(C920.identity, "default 3")
    store.adopt(C920.identity, C920.formerly)
    assert "default 3" not in store.names(C920.identity)  # what was deleted stays so


def test_a_folder_that_several_cameras_shared_gives_each_what_is_its_own(tmp_path):
    store = ProfileStore(tmp_path)
    former(store, "camera 'Камера'", "ivan", gain=2.0)
    former(store, "camera 'カメラ'", "yuki", gain=3.0)
    assert former_slug("camera 'Камера'") == former_slug("camera 'カメラ'")
    for name, profile in (("Камера", "ivan"), ("カメラ", "yuki")):
        camera = CameraInfo(1, name)
        store.adopt(camera.identity, camera.formerly)
        assert store.names(camera.identity) == [profile]


def test_a_pipe_or_a_broken_profile_in_a_former_folder_takes_nothing_from_the_others(tmp_path):
    store = ProfileStore(tmp_path)
    good = former(store, "camera 0 (HD Webcam C920)", "ada")
    (good.parent / "default.toml").write_text("version = [")
    if hasattr(os, "mkfifo"):
        os.mkfifo(good.parent / "pipe.toml")
    store.adopt(C920.identity, C920.formerly)
    assert store.names(C920.identity) == ["ada", "default"]
    with pytest.raises(ProfileError, match="broken"):
        store.load(C920.identity, "default")


def test_a_profile_s_name_is_another_one_s_file_on_no_system(tmp_path):
    store = ProfileStore(tmp_path)
    store.save(Profile("Anna", "cam"))
    with pytest.raises(ProfileError, match="there is a profile called 'Anna'"):
        store.save(Profile("anna", "cam"))
    for reserved in ("CON", "nul.2", "Com1"):
        with pytest.raises(ProfileError, match="Windows keeps that name"):
            store.save(Profile(reserved, "cam"))
    store.save(Profile("Anna", "cam"))
    assert store.names("cam") == ["Anna"]
