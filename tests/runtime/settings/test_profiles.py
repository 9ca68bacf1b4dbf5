"""Profiles: what is written can be read, by people too; what is broken is refused in one line."""

from __future__ import annotations

import os

import numpy as np
import pytest

from facewire.bridge.shared.arkit import BLENDSHAPE_INDEX
from facewire.runtime.face.silent import SilentLearner
from facewire.runtime.settings.profiles import Profile, ProfileError, ProfileStore, config_folder, slug

CAMERA = "camera 0 (HD Webcam: ünï)"


@pytest.fixture
def store(tmp_path):
    return ProfileStore(tmp_path)


def made(name="streaming"):
    profile = Profile(name, CAMERA, smoothing={"mouth": "low"})
    own, rng = profile.calibration, np.random.default_rng(2)
    own.neutral_known = True
    own.neutral[:], own.spread[:] = rng.uniform(0, 0.4, 52), rng.uniform(0.03, 0.1, 52)
    own.top[:], own.gain[:] = rng.uniform(0.5, 1.4, 52), rng.uniform(0.5, 2, 52)
    own.measures += np.float32(0.01)
    own.gaze[:] = (0.1, -0.2, 0.05, 0.0)
    own.lid_shut[:] = (0.3, 0.4)
    return profile


def test_what_was_saved_comes_back(store):
    profile = made()
    path = store.save(profile)
    assert path.parent.name.startswith("camera-0-hd-webcam-ünï-")
    found = store.load(CAMERA, "streaming")
    for name in ("neutral", "spread", "top", "gain", "measures", "gaze", "lid_shut"):
        np.testing.assert_allclose(getattr(found.calibration, name), getattr(profile.calibration, name), atol=5e-5)
    assert found.calibration.neutral_known
    assert found.smoothing == {"mouth": "low"}
    assert (store.names(CAMERA), store.names("another")) == (["streaming"], [])
    text = path.read_text()
    assert "[shapes.jawOpen]" in text
    assert list(path.parent.iterdir()) == [path]


def test_a_profile_is_replaced_and_deleted(store):
    profile = made()
    store.save(profile)
    profile.calibration.gain[:] = 3.0
    store.save(profile)
    assert store.load(CAMERA, "streaming").calibration.gain[0] == 3.0
    store.delete(CAMERA, "streaming")
    assert store.names(CAMERA) == []
    with pytest.raises(ProfileError, match="no profile 'streaming'"):
        store.delete(CAMERA, "streaming")


def test_a_profile_of_another_version_is_read_as_far_as_it_is_known(store):
    path = store.save(made())
    head, shapes = path.read_text().split("[shapes.jawOpen]")
    path.write_text(
        'taste = "sweet"\n' + head + "[shapes.tailWag]\nneutral = 0.5\n\n[shapes.jawOpen]\nwarmth = 1.0" + shapes
    )
    kept = store.load(CAMERA, "streaming")
    assert kept.calibration.gaze[1] == pytest.approx(-0.2)
    path.write_text("version = 1\n")  # one that is older than any key
    assert store.load(CAMERA, "streaming").calibration.top[BLENDSHAPE_INDEX["jawOpen"]] == 1.0
    path.write_text("version = 2\n")
    with pytest.raises(ProfileError, match="newer Facewire"):
        store.load(CAMERA, "streaming")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no version"),
        ("version = 1\n[shapes", "broken"),
        ("version = 1\nshapes = 3", "shapes is a table"),
        ("version = 1\n[shapes.jawOpen]\ntop = 'high'", "jawOpen.top is a number"),
        ("version = 1\n[shapes.jawOpen]\ngain = 99", "from 0 to 4"),
        ("version = 1\n[shapes.jawOpen]\ntop = nan", "jawOpen.top"),
        ("version = 1\ngaze_rad = [1, 2]", "four numbers"),
        ("version = 1\n[smoothing]\nmouth = 'silky'", "smoothing.mouth"),
        ("version = 1\n" + "# filler\n" * 20_000, "too large"),
        ("version = 1\nx = " + "[" * 5000, "broken"),
        ("version = true", "no version"),
    ],
)
def test_a_broken_profile_is_refused_and_named(store, text, words):
    path = store.save(made())
    path.write_text(text)
    with pytest.raises(ProfileError, match=words) as caught:
        store.load(CAMERA, "streaming")
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_bytes_that_are_no_text_are_refused(store):
    path = store.save(made())
    path.write_bytes(b"version = 1 \xff\xfe")
    with pytest.raises(ProfileError, match="cannot be read"):
        store.load(CAMERA, "streaming")


@pytest.mark.parametrize("name", ["", "../../x", "a/b", "..", ".hidden", "x" * 60, "a\nb"])
def test_a_name_cannot_leave_the_folder(store, name):
    with pytest.raises(ProfileError, match="name may have letters"):
        store.save(made(name))
    with pytest.raises(ProfileError):
        store.load(CAMERA, name)


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "profiles").write_text("a file in the way")
    with pytest.raises(ProfileError, match="cannot write the profile"):
        ProfileStore(tmp_path).save(made())


def test_the_folder_can_be_chosen(monkeypatch, tmp_path):
    monkeypatch.setenv("FACEWIRE_CONFIG", str(tmp_path))
    assert config_folder() == tmp_path
    monkeypatch.delenv("FACEWIRE_CONFIG")
    assert config_folder().name == "facewire"


def test_what_was_learned_of_a_face_that_smiles_at_rest_comes_back(store):
    profile = Profile("smiler", CAMERA)
    own, smile = profile.calibration, BLENDSHAPE_INDEX["mouthSmileLeft"]
    own.neutral_known = own.measures_known = True
    raw = np.zeros(52, np.float32)
    own.neutral[smile] = raw[smile] = 0.95
    learner = SilentLearner()
    for number in range(300):
        learner.step(raw, own.measures, own, number * 33_000_000)
    assert own.top[smile] > 1.0, "no smile fills it"
    store.save(profile)
    assert store.load(CAMERA, "smiler").calibration.top[smile] == pytest.approx(own.top[smile], abs=1e-4)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such links and files")
@pytest.mark.parametrize("target", ["/dev/zero", "/etc/passwd", "../../elsewhere.toml", "evil.toml", "pipe"])
def test_a_profile_that_leads_elsewhere_is_not_read(tmp_path, store, target):
    folder = store.save(made()).parent
    (tmp_path / "elsewhere.toml").write_text(store.save(made()).read_text())
    if target == "pipe":
        os.mkfifo(folder / "evil.toml")  # to open it would wait for somebody who writes
    else:
        (folder / "evil.toml").symlink_to(target)
    assert store.names(CAMERA) == ["streaming"]
    with pytest.raises(ProfileError, match=r"cannot be read: .*; delete it or repair it"):
        store.load(CAMERA, "evil")
    store.delete(CAMERA, "evil")
    assert (tmp_path / "elsewhere.toml").exists()


@pytest.mark.skipif(os.name == "nt", reason="needs a right to make links there")
def test_nothing_is_written_where_a_link_leads(tmp_path, store):
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / slug(CAMERA)).symlink_to(outside)
    with pytest.raises(ProfileError, match="its folder is a link"):
        store.save(made())
    assert list(outside.iterdir()) == []
    assert store.names(CAMERA) == []
