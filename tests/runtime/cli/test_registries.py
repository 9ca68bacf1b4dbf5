"""A tracker, a speech driver, a mode and a level that a test registers appear everywhere, with no other change."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from facewire.bridge.shared.errors import CommandError
from facewire.models.assets import manifest
from facewire.models.errors import ModelError
from facewire.models.face.trackers import TRACKERS, TrackerKind, make_tracker
from facewire.models.speech import drivers
from facewire.models.speech.drivers import DRIVERS, DriverKind, parse_driver
from facewire.runtime.cli import main
from facewire.runtime.cli.commands import doctor
from facewire.runtime.cli.options.speech import speech_options
from facewire.runtime.cli.options.usage import UsageError
from facewire.runtime.panel.commands import Panel
from facewire.runtime.panel.services import PanelServices
from facewire.runtime.session.networks import speech_driver
from facewire.runtime.session.options import SpeechOptions
from facewire.runtime.settings.settings import Settings

PAGE = Path(manifest.__file__).parents[2] / "bridge" / "page"


class MyTracker:
    """Sees no face in any picture."""

    def __init__(self, name, device):
        self.name, self.device = name, device

    def step(self, _image, _now_ns):
        return None

    def reset(self):
        pass


class MyDriver:
    """Opens the jaw, whatever it hears."""

    delay_ms, speaking, flame = 12.0, 1.0, None

    def __init__(self, options):
        self.options, self._shapes = options, np.zeros(52, np.float32)

    def push(self, _samples):
        pass

    def step(self):
        return self._shapes


@pytest.fixture
def registered(monkeypatch):
    """Register a tracker and a driver of the test's own; the driver needs a file that is not fetched by default."""
    monkeypatch.setitem(TRACKERS, "mine", TrackerKind(f"{__name__}:MyTracker", "nobody's face", ("talking_face",)))
    monkeypatch.setitem(DRIVERS, "jaw", DriverKind(f"{__name__}:MyDriver", "a jaw", 12, assets=("demo_speech",)))


def help_of(command, capsys):
    with pytest.raises(SystemExit):
        main([command, "--help"])
    return " ".join(capsys.readouterr().out.split())


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize("command", ["serve", "record", "bake"])
def test_the_help_has_them(command, capsys):
    text = help_of(command, capsys)
    assert "mine (nobody's face)" in text
    assert re.search(r"--mesh \{v2,attention,mine\}", text)
    assert "jaw (a jaw)" in text
    assert "jaw: default 12" in text


def make_panel(**makers):
    live = SimpleNamespace(
        source=None,
        pipeline=SimpleNamespace(
            calibrator=SimpleNamespace(calibration=SimpleNamespace(gain=np.ones(52), neutral_known=False)),
            device="cpu",
            use_tracker=lambda _make, tracker: chosen.append(tracker),
        ),
    )
    live.request = lambda change: change(live.pipeline)
    chosen: list = []
    nothing = SimpleNamespace(names=lambda _camera: [])
    services = PanelServices(source=lambda _: None, cameras=list, address=dict, **makers)
    return Panel(live, Settings(video="demo", mesh="v2"), services, nothing), chosen


@pytest.mark.usefixtures("registered")
def test_the_panel_shows_and_chooses_them():
    spoken: list[str] = []
    panel, chosen = make_panel(
        tracker_factory=lambda name: lambda device: make_tracker(name, device),
        speech=lambda: spoken[-1] if spoken else "causal",
        choose_driver=spoken.append,
    )
    state = panel.commands["state"]({})
    assert state["meshes"] == ["v2", "attention", "mine"]
    assert state["drivers"] == ["causal", "jaw"]
    assert state["about"]["mesh"]["mine"] == "nobody's face"
    assert state["about"]["speech"]["jaw"] == "a jaw"
    panel.commands["choose"]({"mesh": "mine"})
    assert isinstance(chosen[0], MyTracker)
    assert (chosen[0].name, chosen[0].device) == ("mine", "cpu")
    panel.commands["choose"]({"speech": "jaw"})
    assert panel.commands["state"]({})["speech"] == "jaw"
    with pytest.raises(CommandError, match="causal, jaw"):
        panel.commands["choose"]({"speech": "faceformer"})  # a client names no files


def test_the_page_knows_no_choice_by_name():
    text = "".join(path.read_text() for path in PAGE.glob("*.js"))
    assert not re.search(r"\b(attention|causal|faceformer|microphone only)\b", text)


@pytest.mark.usefixtures("registered")
def test_the_doctor_lists_them():
    found = {finding.topic: finding.text for finding in doctor._choices()}
    assert "mine (nobody's face)" in found["trackers"]
    assert "jaw (a jaw)" in found["speech"]


@pytest.mark.models
@pytest.mark.usefixtures("registered")
def test_bench_measures_them(capsys, monkeypatch):
    for name in ("v2", "attention"):  # their own rows are tested elsewhere
        monkeypatch.delitem(TRACKERS, name)
    assert main(["bench", "--seconds", "0.05", "--device", "cpu"]) == 0
    rows = {line.split()[0]: line.split() for line in capsys.readouterr().out.splitlines() if line}
    assert rows["mine"][-1] == "fps"
    assert rows["jaw"][-1] == "12"


@pytest.mark.models
@pytest.mark.usefixtures("registered")
def test_models_pull_fetches_what_they_load(capsys):
    assert main(["models", "pull"]) == 0
    pulled = [line.partition(":")[0] for line in capsys.readouterr().out.splitlines()]
    assert {"talking_face", "demo_speech", "face_mesh_v2", "attention_mesh"} <= set(pulled)
    assert len(pulled) == len(set(pulled))


# Speech drivers


@pytest.mark.parametrize(
    ("text", "name", "file"),
    [
        ("causal", "causal", None),
        ("run/causal.npz", "causal", Path("run/causal.npz")),
        ("faceformer:some/vocaset.pth", "faceformer", Path("some/vocaset.pth")),
    ],
)
def test_a_driver_is_written_as_its_name_or_its_file(text, name, file):
    assert parse_driver(text) == (name, file)


@pytest.mark.parametrize("text", ["", "faceformer", "faceformer:", "causal:", "casual", "other.pth"])
def test_what_is_no_driver_is_told_what_there_is(text):
    with pytest.raises(ModelError, match=r"causal, FILE\.npz, faceformer:FILE\.pth"):
        parse_driver(text)


def parsed(speech, encoder=None):
    return speech_options(
        argparse.Namespace(speech=speech, speech_encoder=encoder, look_ahead=None, speech_style=0, expressiveness=1.0)
    )


def test_an_encoder_goes_with_a_driver_that_takes_one(tmp_path):
    (tmp_path / "x.pth").touch()
    driver = f"faceformer:{tmp_path / 'x.pth'}"
    assert parsed(driver, "x.onnx") == SpeechOptions(driver, "x.onnx")
    for speech in ("causal", "run/causal.npz"):
        with pytest.raises(UsageError, match=r"--speech-encoder goes with --speech faceformer:FILE\.pth"):
            parsed(speech, "x.onnx")


def test_weights_of_train_are_weights_for_serve(tmp_path):
    """``train`` prints ``facewire serve --speech run/causal.npz``: the motion is that file's."""
    shipped = Path(drivers.__file__).parent / "weights" / "causal.npz"
    with np.load(shipped) as stored:
        arrays = dict(stored)
    arrays["shapes_bias"] = arrays["shapes_bias"] + np.float32(0.5)
    trained = tmp_path / "causal.npz"
    np.savez(trained, **arrays)
    ours, theirs = (speech_driver(parsed(name), device="cpu") for name in ("causal", str(trained)))
    for driver in (ours, theirs):
        driver.push(np.zeros(16_000, np.float32))
    assert not np.array_equal(ours.step(), theirs.step())
    assert theirs.delay_ms == ours.delay_ms


def test_a_file_that_is_no_speech_model_is_said_so(tmp_path):
    path = tmp_path / "causal.npz"
    path.write_bytes(b"la la la")
    with pytest.raises(ModelError, match="is not a speech model"):
        speech_driver(parsed(str(path)), device="cpu")
