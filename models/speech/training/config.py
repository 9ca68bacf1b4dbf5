"""Everything that decides a training run: its stages, the weights of its loss, the sizes of its network."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from facewire.models.errors import ModelError
from facewire.models.speech.training.dataset import HARDER, Augmentation
from facewire.models.speech.training.network import NetworkConfig


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of the run, with rates and sound of its own. Each begins with the averaged weights of the one before."""

    name: str
    steps: int = 0
    learning_rate: float = 1e-3
    """The highest."""
    augmentation: Augmentation = HARDER
    decoder: bool = False
    """Whether the decoder learns, on top of all else; if not, the audio path and all heads do."""
    from_scratch: bool = False
    """Whether it is left out of a run that begins with trained weights."""


STAGES = (
    Stage("audio", 4800, 2e-3, Augmentation(), from_scratch=True),
    Stage("tune", 5400, 1e-3),
    Stage("decoder", 200, 3e-3, decoder=True),
)
"""The audio path; the same again at lower rates on harder sound; the decoder on top of what came of it."""


@dataclass(frozen=True, slots=True)
class LossConfig:
    """The weights of all parts of the loss."""

    shapes: float = 1.0
    """Of the distance to the targets."""
    per_shape: dict[str, float] = field(
        default_factory=lambda: {
            "jawOpen": 3.0, "mouthClose": 10.0, "mouthPucker": 6.0, "mouthFunnel": 5.0, "mouthRollLower": 8.0,
        }
    )  # fmt: skip
    """What each shape counts in it, 1 if not named."""
    closed: float = 20.0
    tucked: float = 8.0
    """How much more ticks count in which lips are shut (the targets' mouthRollUpper is then 0.22) or tucked: they are
    few and short."""
    gap: float = 10.0
    """Of the jaw's opening less what the lips close of it."""
    speed: float = 4.0
    """Of the change from tick to tick."""
    tremble: float = 16.0
    """Of the change of that."""
    pauses: float = 14.0
    """Of motion in which nobody speaks."""
    speaking: float = 1.0
    phones: float = 1.0
    """Of naming the phones; the decoder does not."""
    knee: float = 0.08
    """Distances are squared below, straight beyond: a doubtful closure is decided rather than halved."""
    first_tick: int = 12
    """Ticks (0.2 s) at a clip's start that do not count: the network has heard nothing yet, as it rarely has live."""


SHORT_FORMS = {
    "audio_steps": ("audio", "steps"),
    "tune_steps": ("tune", "steps"),
    "decoder_steps": ("decoder", "steps"),
    "learning_rate": ("audio", "learning_rate"),
    "tune_learning_rate": ("tune", "learning_rate"),
    "decoder_learning_rate": ("decoder", "learning_rate"),
    "augmentation": ("audio", "augmentation"),
}
"""Settings that a file may name instead of a stage's."""


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """All settings; written beside a run's results."""

    seed: int = 1
    held_out: tuple[str, ...] = ("af_nova", "am_michael", "bf_lily", "bm_george")
    clip_s: float = 3.4
    batch: int = 24
    stages: tuple[Stage, ...] = STAGES
    loss: LossConfig = field(default_factory=LossConfig)
    warm: float = 0.6
    """How many of the decoder's roll-outs begin with the clip; the others begin in its middle, without history."""
    warm_up_steps: int = 60
    """Of each stage, in which its learning rate rises."""
    weight_decay: float = 0.01
    longest_gradient: float = 1.0
    average: float = 0.998
    validate_every: int = 400
    checkpoint_every: int = 25
    workers: int = 0
    threads: int = 1
    network: NetworkConfig = field(default_factory=NetworkConfig)

    def stages_of(self, *, tuned: bool) -> list[Stage]:
        """Return the stages of a run from scratch or, if ``tuned``, of one that begins with trained weights."""
        return [stage for stage in self.stages if not (tuned and stage.from_scratch)]

    def with_stage(self, name: str, **changes: Any) -> TrainConfig:
        """Return the same with one stage changed; ``changes`` as in JSON."""
        if name not in {stage.name for stage in self.stages}:
            raise ValueError(f"there is no stage {name}")
        return replace(self, stages=tuple(_changed(s, changes) if s.name == name else s for s in self.stages))

    @classmethod
    def of(cls, given: dict[str, Any]) -> TrainConfig:
        """Return the settings that a JSON object names, all others at their defaults."""
        config = cls()
        changes = {name: value for name, value in given.items() if name not in SHORT_FORMS}
        if "network" in given:
            changes["network"] = NetworkConfig(**given["network"])
        if "loss" in given:
            changes["loss"] = _loss(given["loss"])
        if "held_out" in given:
            changes["held_out"] = tuple(given["held_out"])
        if "stages" in given:
            known = {stage.name: stage for stage in STAGES}
            stages = [_changed(known.get(entry["name"], Stage(entry["name"])), entry) for entry in given["stages"]]
            changes["stages"] = tuple(stages)
        config = replace(config, **changes)
        for short, (name, setting) in SHORT_FORMS.items():
            if short in given:
                config = config.with_stage(name, **{setting: given[short]})
        return config

    @classmethod
    def read(cls, path: Path) -> TrainConfig:
        """Read a JSON file with any of the settings.

        Raises:
            ModelError: the file is not one, or names unknown settings.
        """
        try:
            given = json.loads(path.read_text("utf-8"))
            unknown = set(given) - {entry.name for entry in fields(cls)} - set(SHORT_FORMS)
            if unknown:
                raise ModelError(f"{path} has unknown settings: {', '.join(sorted(unknown))}.")
            return cls.of(given)
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise ModelError(f"{path} is not a training configuration: {error}.") from error


def _changed(stage: Stage, changes: dict[str, Any]) -> Stage:
    given = dict(changes)
    if isinstance(given.get("augmentation"), dict):
        given["augmentation"] = replace(stage.augmentation, **given["augmentation"])
    return replace(stage, **given)


def _loss(given: dict[str, Any]) -> LossConfig:
    default = LossConfig()
    return replace(default, **{**given, "per_shape": default.per_shape | given.get("per_shape", {})})
