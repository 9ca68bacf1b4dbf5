"""Training end to end on a corpus of tones: goes on after a kill, and what is exported speaks as what was trained."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from facewire.models.errors import ModelError
from facewire.models.speech import features
from facewire.models.speech.causal import SpeechDriver
from facewire.models.speech.training.corpus import Corpus, from_folder, pack

torch = pytest.importorskip("torch", reason="the extra `train` is not installed")

from facewire.models.speech.training.curve import draw  # noqa: E402 (they need torch)
from facewire.models.speech.training.dataset import stream_features  # noqa: E402
from facewire.models.speech.training.export import export  # noqa: E402
from facewire.models.speech.training.loop import Run, TrainConfig, train  # noqa: E402
from facewire.models.speech.training.network import NetworkConfig, SpeechNetwork  # noqa: E402

PHONES = [("SIL", 0.0, 0.5), ("AA", 0.5, 1.0), ("M", 1.0, 1.2), ("IY", 1.2, 1.6), ("SIL", 1.6, 2.0)]
SMALL = NetworkConfig(width=16, kernel=3, memory=12, head=16, decoder=8, attention_heads=2, history=10)
CONFIG = TrainConfig(
    held_out=("two",),
    clip_s=1.0,
    batch=2,
    audio_steps=4,
    tune_steps=2,
    decoder_steps=3,
    validate_every=2,
    checkpoint_every=1,
    network=SMALL,
)


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    rng = np.random.default_rng(0)
    spoken = [(voice, rng.integers(-3000, 3000, 32000, dtype=np.int16), PHONES) for voice in ("one", "two", "three")]
    pack(spoken, tmp_path / "corpus")
    return Corpus.open(tmp_path / "corpus")


def test_a_run_trains_all_stages_and_records_them(corpus: Corpus, tmp_path: Path) -> None:
    heard: list[tuple[str, int]] = []
    run = train(corpus, tmp_path / "run", CONFIG, lambda stage, step, *_: heard.append((stage, step)))
    assert heard == [
        ("audio", 1),
        ("audio", 2),
        ("audio", 3),
        ("audio", 4),
        ("tune", 1),
        ("tune", 2),
        ("decoder", 1),
        ("decoder", 2),
        ("decoder", 3),
    ]
    assert np.isfinite([entry["loss"] for entry in run.curve]).all()
    assert sum("held_out" in entry for entry in run.curve) == 5
    draw(run.curve, tmp_path / "curve.svg")
    assert (tmp_path / "curve.svg").read_text().count("<polyline") == 2
    assert json.loads((tmp_path / "run" / "config.json").read_text())["clip_s"] == 1.0


def test_a_killed_run_goes_on_where_it_was(corpus: Corpus, tmp_path: Path) -> None:
    def kill(stage: str, step: int, *_: object) -> None:
        if (stage, step) == ("audio", 3):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(corpus, tmp_path / "run", CONFIG, kill)
    heard: list[tuple[str, int]] = []
    run = train(corpus, tmp_path / "run", CONFIG, lambda stage, step, *_: heard.append((stage, step)))
    assert heard[0] == ("audio", 4)
    assert [(entry["stage"], entry["step"]) for entry in run.curve][:5] == [("audio", n) for n in (1, 2, 3, 4)] + [
        ("tune", 1)
    ]


def test_a_checkpoint_of_other_sizes_is_one_line(corpus: Corpus, tmp_path: Path) -> None:
    train(corpus, tmp_path / "run", CONFIG, lambda *_: None)
    with pytest.raises(ModelError, match="other sizes"):
        Run(tmp_path / "run", TrainConfig(), torch.device("cpu"))


def test_what_is_exported_speaks_as_what_was_trained(tmp_path: Path) -> None:
    torch.manual_seed(3)
    network = SpeechNetwork(SMALL).eval()
    with torch.no_grad():
        network.decoder.gate.normal_()
        for parameter in network.parameters():
            parameter.copy_(parameter.half().float())
    export(network, tmp_path / "small.npz", {})
    samples = (0.2 * np.random.default_rng(1).standard_normal(16000)).astype(np.float32)
    heard = torch.from_numpy(stream_features(samples, features.mel_filters()))[None]
    for number, look_ahead_ms in enumerate((0, 20, 40, 80)):
        head, style = network.heads[number], torch.tensor([2])
        with torch.no_grad():
            wanted, _ = network.roll_out(head, head.feature(network.audio(heard), style), style)
        driver = SpeechDriver(look_ahead_ms, 2, weights=tmp_path / "small.npz")
        driver.push(samples)
        shown = [driver.step().copy() for _ in range(60)]  # type: ignore[union-attr]
        np.testing.assert_allclose(np.array(shown), wanted[0].numpy(), atol=3e-3)


def test_the_decoder_begins_as_if_it_were_not_there() -> None:
    network = SpeechNetwork(SMALL)
    head, style = network.heads[0], torch.zeros(1, dtype=torch.long)
    feature = head.feature(network.audio(torch.randn(1, 30, 160)), style)
    torch.testing.assert_close(network.roll_out(head, feature, style)[0], head.motion(feature)[0])


@pytest.mark.parametrize("text", ["no", "[]", '{"bach": 3}', '{"network": {"widht": 3}}'])
def test_a_bad_configuration_is_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(ModelError, match=r"config\.json") as caught:
        TrainConfig.read(path)
    assert "\n" not in str(caught.value)


def test_a_configuration_changes_what_it_names(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text('{"batch": 3, "network": {"width": 64}, "held_out": ["x"]}')
    config = TrainConfig.read(path)
    assert (config.batch, config.network.width, config.held_out, config.seed) == (3, 64, ("x",), 1)


def test_a_folder_without_speech_is_one_line(tmp_path: Path) -> None:
    pytest.importorskip("soundfile")
    with pytest.raises(ModelError, match="holds no"):
        list(from_folder(tmp_path))
    (tmp_path / "a.jsonl").write_text('{"audio": "none.wav", "voice": "x", "phones": []}\n')
    with pytest.raises(ModelError, match="line 1"):
        list(from_folder(tmp_path))
