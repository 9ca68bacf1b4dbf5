"""The training loop: stage by stage, checkpoints that survive a kill, one CPU, one GPU or many."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from facewire.bridge.shared.whole_file import replacing, write_whole
from facewire.models.errors import ModelError
from facewire.models.speech.training.config import Stage, TrainConfig
from facewire.models.speech.training.dataset import CLEAN, LOOK_AHEADS_MS, Augmentation, Clip, Clips
from facewire.models.speech.training.network import SpeechNetwork
from facewire.models.speech.training.objective import Batch, Objective
from facewire.models.speech.training.voices.corpus import Corpus

Report = Callable[[str, int, int, dict[str, float]], None]
"""Told after each step: stage, step, steps of the stage, and the losses by name."""


class _Stream(IterableDataset[Clip]):
    """Clips for one of many workers and ranks, each with its own random numbers."""

    def __init__(self, corpus: Corpus, config: TrainConfig, stage: Stage, start: int) -> None:
        self.corpus, self.config, self.stage, self.start = corpus, config, stage, start

    def __iter__(self) -> Iterator[Clip]:
        worker = get_worker_info()
        number = worker.id if worker else 0
        seed = [self.config.seed, self.start, _rank(), number]
        clips = Clips(
            self.corpus,
            self.config.clip_s,
            self.stage.augmentation,
            int(np.random.SeedSequence(seed).generate_state(1)[0]),
        )
        yield from clips


def collate(clips: list[Clip]) -> Batch:
    """Clips as one batch of tensors."""
    parts = [torch.from_numpy(np.stack(part)) for part in list(zip(*clips, strict=True))[:4]]
    return Batch._make([*parts, torch.tensor([clip.style for clip in clips])])


def train(corpus: Corpus, folder: Path, config: TrainConfig, report: Report, start: SpeechNetwork | None = None) -> Run:
    """Train, or go on where a killed run in the same folder stopped; gives what came of it.

    From a trained network (``start``) the first stage is left out: it is tuned, and keeps its sizes. Run by torchrun,
    each process takes its own clips and gradients are averaged.

    Raises:
        ModelError: the corpus is too small for the held-out voices.
    """
    torch.manual_seed(config.seed)
    if not torch.cuda.is_available():
        torch.set_num_threads(config.threads)
    held_out = corpus.subset(config.held_out)
    learn_from = corpus.subset(config.held_out, without=True)
    if not learn_from.index:
        raise ModelError("The corpus holds only held-out voices: add speech, or change held_out in the configuration.")
    device = _device()
    with _process_group():
        run = Run(folder, config, device, start)
        validation = _validation(held_out if held_out.index else learn_from, config, device)
        for stage in run.stages:
            _stage(run, stage, learn_from, validation, report)
    return run


class Run:
    """What a checkpoint keeps: the network, its average, the optimiser, where we are, and the curve so far."""

    def __init__(
        self, folder: Path, config: TrainConfig, device: torch.device, start: SpeechNetwork | None = None
    ) -> None:
        config = replace(config, network=start.config) if start is not None else config
        self.config, self.device = config, device
        self.path = folder / "checkpoint.pt"
        self.network = SpeechNetwork(config.network).to(device)
        if start is not None:
            self.network.load_state_dict(start.state_dict())
        self.averaged = SpeechNetwork(config.network).to(device).requires_grad_(False)
        self.averaged.load_state_dict(self.network.state_dict())
        self.stages = config.stages_of(tuned=start is not None)
        self.stage, self.step = (self.stages[0].name if self.stages else ""), 0
        self.curve: list[dict[str, Any]] = []
        self.optimiser_state: dict[str, Any] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        if self.path.exists():
            self._load()
        (folder / "config.json").write_text(json.dumps(asdict(config), indent=1))

    def _load(self) -> None:
        state = torch.load(self.path, map_location=self.device, weights_only=True)
        if state["network_config"] != asdict(self.config.network):
            raise ModelError(f"{self.path} is of a network of other sizes: use another folder, or remove it.")
        self.network.load_state_dict(state["network"])
        self.averaged.load_state_dict(state["averaged"])
        if state["stage"] not in {stage.name for stage in self.stages}:
            raise ModelError(f"{self.path} is of a run with other stages: use another folder, or remove it.")
        self.stage, self.step, self.curve = state["stage"], state["step"], state["curve"]
        self.optimiser_state = state["optimiser"]

    def is_done(self, stage: Stage) -> bool:
        """Return whether a stage is over, or has no steps."""
        names = [each.name for each in self.stages]
        before = names.index(stage.name) - names.index(self.stage)
        return not stage.steps or before < 0 or (before == 0 and self.step >= stage.steps)

    def begin(self, stage: Stage) -> None:
        """Begin a stage on top of what will ship of the one before: its averaged weights."""
        self.stage, self.step, self.optimiser_state = stage.name, 0, None
        self.network.load_state_dict(self.averaged.state_dict())

    def save(self, optimiser: torch.optim.Optimizer) -> None:
        """Write the checkpoint beside itself first, so that a kill leaves the old one whole."""
        if _rank():
            return
        state = {
            "network": self.network.state_dict(), "averaged": self.averaged.state_dict(),
            "optimiser": optimiser.state_dict(),
            "stage": self.stage, "step": self.step, "curve": self.curve, "network_config": asdict(self.config.network),
        }  # fmt: skip
        with replacing(self.path) as file:
            torch.save(state, file)
        write_whole(self.path.with_name("curve.json"), json.dumps(self.curve).encode())

    def average(self) -> None:
        """Move the averaged weights towards the current ones; quickly at first."""
        keep = min(self.config.average, (1 + self.step) / (10 + self.step))
        for mean, now in zip(self.averaged.parameters(), self.network.parameters(), strict=True):
            mean.lerp_(now.detach(), 1 - keep)


def _stage(run: Run, stage: Stage, corpus: Corpus, validation: list[Batch], report: Report) -> None:
    if run.is_done(stage):
        return
    if run.stage != stage.name:
        run.begin(stage)
    config, steps = run.config, stage.steps
    trained = run.network.prepare(decoder=stage.decoder)
    optimiser = torch.optim.AdamW(trained, lr=stage.learning_rate, betas=(0.9, 0.98), weight_decay=config.weight_decay)
    if run.optimiser_state is not None:
        optimiser.load_state_dict(run.optimiser_state)
    objective = _parallel(Objective(run.network, config.loss).to(run.device), run.device)
    chosen = np.random.default_rng([config.seed, run.step])
    for batch in _batches(corpus, config, stage, run.step):
        began = time.perf_counter()
        for group in optimiser.param_groups:
            group["lr"] = stage.learning_rate * _schedule(run.step, steps, config.warm_up_steps)
        number = -1 if not stage.decoder else int(chosen.integers(len(LOOK_AHEADS_MS)))
        loss, parts = objective(_on(batch, run.device), number, bool(chosen.random() < config.warm))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, config.longest_gradient)
        optimiser.step()
        run.step += 1
        run.average()
        entry = {"loss": float(loss.detach()), "step_s": time.perf_counter() - began, **parts}
        if run.step % config.validate_every == 0 or run.step == steps:
            entry["held_out"] = _validate(run, stage, validation)
        run.curve.append({"stage": stage.name, "step": run.step, **entry})
        if run.step % config.checkpoint_every == 0 or run.step == steps:
            run.save(optimiser)
        report(stage.name, run.step, steps, entry)
        if run.step >= steps:
            return


def _batches(corpus: Corpus, config: TrainConfig, stage: Stage, step: int) -> Iterable[Batch]:
    """Endless batches; those that begin at another step are others, so a run that goes on repeats nothing."""
    start = step + config.stages.index(stage) * 1_000_000
    batches: Iterable[Batch] = DataLoader(
        _Stream(corpus, config, stage, start), config.batch, collate_fn=collate, num_workers=config.workers
    )
    return batches


def _on(batch: Batch, device: torch.device) -> Batch:
    return Batch._make(part.to(device, non_blocking=True) for part in batch)


def _schedule(step: int, steps: int, warm_up_steps: int) -> float:
    """Warm up, then fall as a cosine to a fiftieth."""
    return min(1.0, (step + 1) / warm_up_steps) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, step / steps))))


@torch.no_grad()
def _validate(run: Run, stage: Stage, validation: list[Batch]) -> float:
    """Return the loss on held-out voices, without that of naming phones; of the decoder, free-running at 40 ms."""
    objective = Objective(run.averaged, run.config.loss).to(run.device)
    number = -1 if not stage.decoder else LOOK_AHEADS_MS.index(40)
    parts = [objective(batch, number)[1] for batch in validation]
    return float(np.mean([sum(value for name, value in part.items() if name != "phones") for part in parts]))


def _validation(corpus: Corpus, config: TrainConfig, device: torch.device) -> list[Batch]:
    """Return the same clips each time: half clean, half with noise."""
    batches = []
    for number, augmentation in enumerate((CLEAN, Augmentation(styled=0.0))):
        clips = Clips(corpus, config.clip_s, augmentation, 1000 + number)
        batches.append(_on(collate([clips.draw() for _ in range(config.batch)]), device))
    return batches


def _rank() -> int:
    return int(os.environ.get("RANK", "0"))


def _device() -> torch.device:
    if not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))


@contextmanager
def _process_group() -> Iterator[None]:
    """torchrun's process group for the time of a run; nothing where one process trains alone."""
    if "WORLD_SIZE" not in os.environ:
        yield
        return
    torch.distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield
    finally:
        torch.distributed.destroy_process_group()


def _parallel(objective: Objective, device: torch.device) -> Any:
    if not torch.distributed.is_initialized():
        return objective
    # Each stage trains a part of the network.
    return torch.nn.parallel.DistributedDataParallel(
        objective, device_ids=[device.index] if device.type == "cuda" else None, find_unused_parameters=True
    )
