"""The whole way from texts to weights: corpus, training, validation, export, curve."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facewire.models.errors import ModelError
from facewire.models.speech.training.config import TrainConfig
from facewire.models.speech.training.curve import draw
from facewire.models.speech.training.export import CLOSING, export, restore_mean
from facewire.models.speech.training.loop import Report, train
from facewire.models.speech.training.voices.corpus import Corpus, Speech, from_flite, from_folder, pack
from facewire.models.speech.training.voices.kokoro import speak_corpus
from facewire.models.speech.training.voices.synthesis import sentences

Notify = Callable[[str, int, int], None]
"""Told while the corpus is built: what is being done, how much is done, of how much."""

ABOUT = ("seed", "steps", "from")
"""What weights keep of those that they were tuned from."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """Where everything comes from and goes to."""

    out: Path
    speech: list[Path]
    texts: Path
    flite_hours: float
    kokoro: Path | None = None
    kokoro_hours: float = 1.8
    config: Path | None = None
    start: Sequence[Path] = ()
    """Weights to tune, not to start from scratch: of an earlier run or the shipped ones; of several, their mean."""


def follow(recipe: Recipe, notify: Notify, trained: Report) -> Path:
    """Do all that is not done yet in the recipe's folder; gives the path of the weights.

    Raises:
        ModelError: texts, speech or a setting are missing or damaged.
    """
    config = TrainConfig.read(recipe.config) if recipe.config else TrainConfig()
    start, origins = restore_mean(list(recipe.start)) if recipe.start else (None, [])
    folder = recipe.out / "corpus"
    if not (folder / "index.json").exists():
        if int(os.environ.get("RANK", "0")):
            raise ModelError(
                "Build the corpus with one process before training with several: run once without torchrun."
            )
        pack(_speech(recipe, config.seed, notify), folder)
    run = train(Corpus.open(folder), recipe.out, config, trained, start)
    weights = recipe.out / "causal.npz"
    if not int(os.environ.get("RANK", "0")):
        done = config.stages_of(tuned=start is not None)
        steps = [stage.steps if stage in done else 0 for stage in config.stages]
        about: dict[str, Any] = {"seed": config.seed, "steps": steps, "closing": CLOSING}
        if origins:
            about["from"] = [{name: origin[name] for name in ABOUT if name in origin} for origin in origins]
        export(run.averaged, weights, about)
        draw(run.curve, recipe.out / "curve.svg")
    return weights


def _speech(recipe: Recipe, seed: int, notify: Notify) -> Iterator[Speech]:
    """Speech of all sources, and word of how far it is."""
    texts = _texts(recipe.texts) if recipe.flite_hours > 0 or recipe.kokoro else []
    of = int(3600 * recipe.flite_hours)
    folders = list(recipe.speech)
    if recipe.kokoro:
        folders.append(recipe.out / "kokoro")
        speak_corpus(recipe.kokoro, folders[-1], texts, recipe.kokoro_hours, seed, notify)
    for folder in folders:
        for number, spoken in enumerate(from_folder(folder), 1):
            notify(f"reading {folder.name}", number, max(number, 2000))
            yield spoken
    seconds = 0.0
    for spoken in from_flite(texts, recipe.flite_hours, seed):
        seconds += len(spoken[1]) / 16000
        notify("speaking (s)", min(int(seconds), of), of)
        yield spoken


def _texts(folder: Path) -> list[str]:
    if not folder.is_dir():
        raise ModelError(
            f"{folder} is not a folder of texts: install your system's package fortunes, or name one (--texts)."
        )
    texts = sentences(folder)
    if not texts:
        raise ModelError(f"{folder} holds no English sentences: name another folder (--texts).")
    return texts
