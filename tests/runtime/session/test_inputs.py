"""What a run opens: a pure choice as a truth table, and that it is what is opened."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from facewire.runtime.capture.video.source import CaptureError
from facewire.runtime.session import inputs
from facewire.runtime.session.inputs import InputPlan, choose_inputs, open_inputs
from facewire.runtime.session.options import InputOptions

A, V, M = "auto", "video", "audio"
TABLE = [
    # video    audio   mouth mode          camera kind      | watch  listen needed demo
    (A,       A,      A,    "auto",        True,  "camera",  True,  True,  False, False),  # the user may speak
    (A,       A,      A,    "auto",        False, None,      False, True,  False, True),   # else the demo face
    (A,       A,      V,    "auto",        True,  "camera",  True,  False, False, False),
    (A,       A,      V,    "auto",        False, "demo",    True,  False, False, False),  # auto is the demo then
    (A,       A,      M,    "auto",        True,  "camera",  True,  True,  True,  False),
    (A,       A,      M,    "auto",        False, None,      False, True,  True,  True),
    (A,       A,      A,    "camera",      True,  "camera",  True,  False, False, False),
    (A,       A,      A,    "camera",      False, "demo",    True,  False, False, False),
    (A,       A,      A,    "microphone",  True,  "camera",  True,  True,  True,  False),
    (A,       A,      A,    "mouth",       True,  "camera",  True,  True,  True,  False),
    (A,       "none", A,    "auto",        False, None,      False, True,  False, True),   # which opens nothing
    (A,       "1",    V,    "auto",        True,  "camera",  True,  True,  False, False),  # it was named: to record it
    (A,       "1",    A,    "camera",      True,  "camera",  True,  True,  False, False),
    ("0",     A,      A,    "auto",        True,  "camera",  True,  True,  False, False),
    ("vmc",   A,      A,    "auto",        True,  "phone",   True,  True,  False, False),
    ("vmc",   A,      V,    "auto",        True,  "phone",   True,  False, False, False),
    ("x.mp4", A,      A,    "auto",        True,  "file",    True,  False, False, False),  # its mouth is not the user's
    ("x.mp4", A,      M,    "auto",        True,  "file",    True,  True,  True,  False),
    ("x.mp4", A,      A,    "mouth",       True,  "file",    True,  True,  True,  False),
    ("x.mp4", "x.wav", A,   "auto",        True,  "file",    True,  True,  False, False),
    ("demo",  A,      A,    "auto",        True,  "demo",    True,  False, False, False),
    ("demo",  "demo", A,    "auto",        True,  "demo",    True,  True,  False, False),
    ("none",  A,      A,    "auto",        True,  None,      False, True,  False, False),
    ("none",  A,      V,    "auto",        True,  None,      False, True,  False, False),  # nothing else is left
    ("none",  A,      M,    "auto",        True,  None,      False, True,  True,  False),
    ("none",  "none", A,    "auto",        True,  None,      False, True,  False, False),
]  # fmt: skip


@pytest.mark.parametrize(
    ("video", "audio", "mouth", "mode", "camera", "kind", "watch", "listen", "needed", "demo"), TABLE
)
def test_what_is_opened(video, audio, mouth, mode, camera, kind, watch, listen, needed, demo):
    options = InputOptions(video, audio, mouth, mode)
    assert choose_inputs(options, camera_found=camera, kind=kind) == InputPlan(watch, listen, needed, demo)


@pytest.fixture
def machine(monkeypatch):
    """Simulate a machine with or without a camera and a microphone; note what is opened."""
    found = SimpleNamespace(camera=0, sound=SimpleNamespace(name="microphone 0"), opened=[], said=[])

    def make_source(_options, what, _notify):
        found.opened.append(what)
        if what == "none":
            return None
        kind = {"auto": "demo" if found.camera is None else "camera", "x.mp4": "file", "demo": "demo"}.get(
            what, "camera"
        )
        return SimpleNamespace(kind=kind, name=what)

    def make_sound(options):
        found.opened.append(f"sound {options.audio}")
        return None if options.audio == "none" else found.sound

    monkeypatch.setattr(inputs, "make_source", make_source)
    monkeypatch.setattr(inputs, "make_sound", make_sound)
    monkeypatch.setattr("facewire.runtime.capture.video.camera.first_camera", lambda: found.camera)
    found.open = lambda **options: open_inputs(InputOptions(**options), found.said.append)
    return found


def test_a_camera_and_the_user_s_microphone(machine):
    source, sound = machine.open()
    assert (source.kind, sound) == ("camera", machine.sound)
    assert machine.said == []


def test_without_a_camera_the_microphone_moves_the_face(machine):
    machine.camera = None
    assert machine.open() == (None, machine.sound)
    assert machine.opened == ["sound auto"]
    assert "microphone 0 moves the face" in machine.said[0]


def test_without_either_it_is_the_demo_face(machine):
    machine.camera = machine.sound = None
    source, sound = machine.open()
    assert (source.kind, sound) == ("demo", None)
    assert machine.opened == ["sound auto", "auto"]


def test_a_named_absence_is_kept(machine):
    assert machine.open(video="none") == (None, machine.sound)
    assert machine.open(video="none", audio="none") == (None, None)
    assert "auto" not in machine.opened


def test_a_file_s_user_is_not_listened_to(machine):
    source, sound = machine.open(video="x.mp4")
    assert (source.kind, sound) == ("file", None)
    assert machine.opened == ["x.mp4"]


def test_speech_that_was_asked_for_needs_sound(machine):
    machine.sound = None
    for options in ({"mouth": "audio"}, {"mode": "microphone"}, {"mode": "mouth"}, {"mouth": "audio", "audio": "none"}):
        with pytest.raises(CaptureError, match="no microphone found"):
            machine.open(**options)
