"""Training end to end on a corpus of tones: goes on after a kill, and what is exported speaks as what was trained."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from facewire.bridge.shared.arkit import BLENDSHAPES
from facewire.models.errors import ModelError
from facewire.models.speech import features
from facewire.models.speech.causal import SpeechDriver
from facewire.models.speech.coarticulation import PHONES as PHONE_CLASSES
from facewire.models.speech.training.voices.corpus import Corpus, from_folder, pack

torch = pytest.importorskip("torch", reason="the extra `train` is not installed")

from facewire.models.speech.training.config import LossConfig, TrainConfig  # noqa: E402
from facewire.models.speech.training.curve import draw  # noqa: E402 (they need torch)
from facewire.models.speech.training.dataset import Augmentation, Clips, stream_features  # noqa: E402
from facewire.models.speech.training.export import CLOSING, export, restore, restore_mean  # noqa: E402
from facewire.models.speech.training.loop import Run, collate, train  # noqa: E402
from facewire.models.speech.training.network import NetworkConfig, SpeechNetwork  # noqa: E402
from facewire.models.speech.training.objective import Objective  # noqa: E402
from facewire.models.speech.training.recipe import Recipe, follow  # noqa: E402

PHONES = [("SIL", 0.0, 0.5), ("AA", 0.5, 1.0), ("M", 1.0, 1.2), ("IY", 1.2, 1.6), ("SIL", 1.6, 2.0)]
SMALL = NetworkConfig(width=16, kernel=3, memory=12, head=16, decoder=8, attention_heads=2, history=10)
CONFIG = (
    TrainConfig(held_out=("two",), clip_s=1.0, batch=2, validate_every=2, checkpoint_every=1, network=SMALL)
    .with_stage("audio", steps=4)
    .with_stage("tune", steps=2)
    .with_stage("decoder", steps=3)
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


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Export a network whose parts all matter, with the closing on top."""
    torch.manual_seed(3)
    network = SpeechNetwork(SMALL)
    with torch.no_grad():
        network.decoder.gate.normal_()
        for head in network.heads:
            head.from_phones.weight.normal_()
            head.style.weight.normal_()
    export(network, tmp_path / "small.npz", {"seed": 5, "steps": [1, 2, 3], "closing": CLOSING})
    return tmp_path / "small.npz"


def test_what_was_exported_is_restored_to_train_on(small: Path, tmp_path: Path) -> None:
    network, about = restore(small)
    assert (network.config, about["seed"]) == (SMALL, 5)
    export(network, tmp_path / "again.npz", {"closing": CLOSING})
    with np.load(small) as first, np.load(tmp_path / "again.npz") as second:
        for name in set(first.files) - {"about"}:
            np.testing.assert_allclose(second[name].astype(float), first[name].astype(float), atol=3e-3, err_msg=name)


def test_lips_shut_further_for_a_named_closure_than_what_was_learnt(small: Path) -> None:
    network, _ = restore(small)
    with np.load(small) as stored:
        added = stored["from_phones"].astype(np.float32) - np.stack(
            [h.from_phones.weight.detach().T for h in network.heads]
        )
    closures, jaw = [PHONE_CLASSES.index(phone) for phone in "PBM"], BLENDSHAPES.index("jawOpen")
    np.testing.assert_allclose(added[:, closures, jaw], CLOSING["jawOpen"], atol=3e-3)
    assert np.abs(np.delete(added, closures, axis=1)).max() < 3e-3


def test_a_run_from_weights_tunes_them(small: Path, corpus: Corpus, tmp_path: Path) -> None:
    """It starts with the weights given, not from scratch, and leaves out what teaches them from the beginning."""
    start, _ = restore(small)
    heard: list[tuple[str, int]] = []
    still = replace(CONFIG, network=NetworkConfig())
    still = still.with_stage("tune", learning_rate=0.0).with_stage("decoder", learning_rate=0.0)
    run = train(corpus, tmp_path / "run", still, lambda stage, step, *_: heard.append((stage, step)), start)
    assert [stage for stage, step in heard if step == 1] == ["tune", "decoder"]
    for name, value in start.state_dict().items():
        torch.testing.assert_close(run.averaged.state_dict()[name], value)


@pytest.mark.usefixtures("corpus")
def test_a_recipe_from_weights_says_where_they_came_from(small: Path, tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text(
        json.dumps({"tune_steps": 1, "decoder_steps": 1, "batch": 2, "clip_s": 1.0, "held_out": ["two"], "seed": 9})
    )
    given = Recipe(tmp_path, [], tmp_path, 0.0, config=config, start=[small])
    weights = follow(given, lambda *_: None, lambda *_: None)
    about = restore(weights)[1]
    assert (about["seed"], about["steps"], about["from"]) == (9, [0, 1, 1], [{"seed": 5, "steps": [1, 2, 3]}])
    SpeechDriver(weights=weights)


@pytest.mark.usefixtures("corpus")
def test_the_mean_of_several_weights_is_exported_without_a_step(small: Path, tmp_path: Path) -> None:
    other, _ = restore(small)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(1.0)
    export(other, tmp_path / "other.npz", {"closing": CLOSING})
    config = tmp_path / "config.json"
    config.write_text('{"tune_steps": 0, "decoder_steps": 0, "held_out": ["two"]}')
    given = Recipe(tmp_path, [], tmp_path, 0.0, config=config, start=[small, tmp_path / "other.npz"])
    mean, first = restore(follow(given, lambda *_: None, lambda *_: None))[0], restore(small)[0]
    for name in ("audio.gru.weight_hh_l0", "heads.2.shapes.weight", "heads.3.from_phones.weight", "decoder.key.bias"):
        torch.testing.assert_close(mean.state_dict()[name], first.state_dict()[name] + 0.5, atol=5e-3, rtol=0)


def test_weights_of_other_sizes_have_no_mean(small: Path, tmp_path: Path) -> None:
    export(SpeechNetwork(replace(SMALL, width=8)), tmp_path / "narrow.npz", {})
    with pytest.raises(ModelError, match="differ in size"):
        restore_mean([small, tmp_path / "narrow.npz"])


def test_weights_that_are_none_are_one_line(small: Path, tmp_path: Path) -> None:
    path = tmp_path / "other.npz"
    np.savez(path, about=np.array("{}"))
    for content in (b"no", small.read_bytes()[:2000], path.read_bytes()):
        path.write_bytes(content)
        for read in (restore, lambda path: SpeechDriver(weights=path)):
            with pytest.raises(ModelError, match=r"other\.npz is not a speech model"):
                read(path)


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"^There is no file [^\n]*causal\.npz: check the name\.$"):
        SpeechDriver(weights=tmp_path / "causal.npz")


@pytest.mark.parametrize("name", ["input", "hidden_bias", "key", "shapes", "norm_scale", "slopes", "history", "out"])
def test_weights_whose_parts_do_not_fit_are_one_line(small: Path, tmp_path: Path, name: str) -> None:
    """The kernels check no index: a wrong size must not come so far."""
    with np.load(small) as stored:
        arrays = dict(stored)
    arrays[name] = {"history": np.zeros(1), "slopes": np.ones(3)}.get(name, arrays[name][..., :-1])
    np.savez(tmp_path / "other.npz", **arrays)
    with pytest.raises(ModelError, match=r"^[^\n]*other\.npz is not a speech model[^\n]* does not fit the rest\.$"):
        SpeechDriver(weights=tmp_path / "other.npz")


def test_the_decoder_begins_as_if_it_were_not_there() -> None:
    network = SpeechNetwork(SMALL)
    head, style = network.heads[0], torch.zeros(1, dtype=torch.long)
    feature = head.feature(network.audio(torch.randn(1, 30, 160)), style)
    torch.testing.assert_close(network.roll_out(head, feature, style)[0], head.motion(feature)[0])


@pytest.mark.parametrize(
    "text",
    [
        "no",
        "[]",
        '{"bach": 3}',
        '{"network": {"widht": 3}}',
        '{"loss": {"gab": 3}}',
        '{"stages": [{"steps": 1}]}',
        '{"stages": 3}',
        '{"stages": [{"name": "tune", "stebs": 1}]}',
        '{"stages": [], "tune_steps": 1}',
    ],
)
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


def test_stages_and_the_weights_of_the_loss_are_settings(tmp_path: Path) -> None:
    """What is not named of a known stage stays; the short forms of earlier configurations mean the same."""
    path = tmp_path / "config.json"
    tune = {"name": "tune", "steps": 7, "augmentation": {"noise": 1.0}}
    path.write_text(json.dumps({"stages": [tune, {"name": "last", "steps": 2}], "loss": {"gap": 2.0, "per_shape": {}}}))
    config, default = TrainConfig.read(path), TrainConfig()
    assert [(stage.name, stage.steps) for stage in config.stages] == [("tune", 7), ("last", 2)]
    assert config.stages[0] == replace(
        default.stages[1], steps=7, augmentation=replace(default.stages[1].augmentation, noise=1.0)
    )
    assert config.loss == replace(LossConfig(), gap=2.0)
    path.write_text('{"tune_steps": 7, "learning_rate": 0.1, "augmentation": {"noise": 1.0}}')
    short = TrainConfig.read(path)
    assert short == default.with_stage("tune", steps=7).with_stage(
        "audio", learning_rate=0.1, augmentation={"noise": 1.0}
    )
    path.write_text(json.dumps(asdict(short)))
    assert TrainConfig.read(path) == short, "a run's own config.json is a configuration"


def test_each_weight_scales_its_part_of_the_loss(corpus: Corpus) -> None:
    clips = Clips(corpus, 1.0, Augmentation(), 3)
    batch, network = collate([clips.draw() for _ in range(2)]), SpeechNetwork(SMALL)
    plain = Objective(network, LossConfig()).audio_loss(batch)[1]
    for name in plain:
        doubled = replace(LossConfig(), **{name: 2 * getattr(LossConfig(), name)})
        parts = Objective(network, doubled).audio_loss(batch)[1]
        assert parts == pytest.approx({**plain, name: 2 * plain[name]}, rel=1e-5)


def test_a_folder_without_speech_is_one_line(tmp_path: Path) -> None:
    pytest.importorskip("soundfile")
    with pytest.raises(ModelError, match="holds no"):
        list(from_folder(tmp_path))
    (tmp_path / "a.jsonl").write_text('{"audio": "none.wav", "voice": "x", "phones": []}\n')
    with pytest.raises(ModelError, match="line 1"):
        list(from_folder(tmp_path))
