"""Fits Attention Mesh's blendshapes: a direct linear path and one hidden layer from the codes to the shapes' logits.

What matters to a viewer, and what correlation measures, is how a face moves, while part of the error is an offset of
each person's own that no picture of a stranger tells. So batches are made of groups of one person's pictures, and the
error's motion within a group counts four times as much as its mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from facewire.models.face.training.samples import Array, Samples


@dataclass(frozen=True, slots=True)
class FitConfig:
    """Everything that decides a fit."""

    seed: int = 0
    hidden: int = 128
    dropout: float = 0.2
    passes: float = 14.0
    people: int = 16
    """Groups in a batch."""
    pictures: int = 16
    """Pictures in a group, all of one person."""
    most_pictures: int = 400
    """A person with more pictures is drawn no oftener than one with so many."""
    learning_rate: float = 1.5e-3
    weight_decay: float = 0.02
    mean_weight: float = 0.25


class CodesToShapes(nn.Module):
    """Codes (scaled) to the shapes' logits."""

    def __init__(self, inputs: int, target: Tensor, config: FitConfig) -> None:
        super().__init__()
        self.dropout = nn.Dropout(config.dropout)
        self.direct = nn.Linear(inputs, target.shape[1])
        self.first = nn.Linear(inputs, config.hidden)
        self.second = nn.Linear(config.hidden, target.shape[1])
        for layer in (self.direct, self.second):  # At first everybody has the mean face.
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        with torch.no_grad():
            self.direct.bias += torch.logit(target.mean(dim=0), eps=1e-4)

    def forward(self, inputs: Tensor) -> Tensor:
        """[n, inputs] to [n, shapes]."""
        dropped = self.dropout(inputs)
        hidden = nn.functional.gelu(self.first(dropped))
        result: Tensor = self.direct(dropped) + self.second(self.dropout(hidden))
        return result


def fit(samples: Samples, config: FitConfig) -> dict[str, Array]:
    """Train on these samples and return the matrices of ``attention_shapes``: the last row of each is the bias."""
    torch.manual_seed(config.seed)
    random = np.random.default_rng(config.seed)
    raw = samples.codes
    mean, scale = raw.mean(axis=0), raw.std(axis=0) + 0.05 * raw.std() + 1e-4
    inputs, target = torch.from_numpy((raw - mean) / scale), torch.from_numpy(samples.target)
    weight = 1 / (target.std(dim=0, correction=0) + 0.03)
    weight /= weight.mean()
    groups = [np.flatnonzero(samples.person == person) for person in np.unique(samples.person)]
    groups = [group for group in groups if len(group) >= config.pictures]
    chances = np.array([min(len(group), config.most_pictures) ** 0.7 for group in groups])
    chances /= chances.sum()
    net = CodesToShapes(inputs.shape[1], target, config)
    optimizer = torch.optim.AdamW(net.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    steps = int(config.passes * len(raw) / (config.people * config.pictures))
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, config.learning_rate, total_steps=steps + 1, pct_start=0.15
    )
    net.train()
    for _ in range(steps):
        chosen = random.choice(len(groups), config.people, p=chances)
        rows = np.concatenate([random.choice(groups[k], config.pictures, replace=False) for k in chosen])
        batch = torch.from_numpy(rows)
        error = (torch.sigmoid(net(inputs[batch])) - target[batch]) * weight
        error = error.view(config.people, config.pictures, -1)
        motion = error - error.mean(dim=1, keepdim=True)
        loss = (motion**2).mean() + config.mean_weight * (error**2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return matrices(net, mean, scale)


@torch.no_grad()
def matrices(net: CodesToShapes, mean: Array, scale: Array) -> dict[str, Array]:
    """The layers as [inputs + 1, outputs], with the inputs' scaling folded in."""
    result = {}
    for name, layer in (("direct", net.direct), ("first", net.first), ("second", net.second)):
        weights, bias = layer.weight.numpy().T, layer.bias.numpy()
        if name != "second":
            weights = weights / scale[:, None]
            bias = bias - mean @ weights
        result[name] = np.vstack([weights, bias]).astype(np.float32)
    return result


def apply(weights: dict[str, Array], samples: Samples) -> Array:
    """[n, 51]: the shapes, as ``attention_shapes`` computes them, many at once."""
    hidden = samples.codes @ weights["first"][:-1] + weights["first"][-1]
    hidden = nn.functional.gelu(torch.from_numpy(hidden)).numpy()
    logits = samples.codes @ weights["direct"][:-1] + weights["direct"][-1]
    logits += hidden @ weights["second"][:-1] + weights["second"][-1]
    result: Array = 1 / (1 + np.exp(-logits))
    return result


def save(weights: dict[str, Array], path: Path) -> None:
    """Write the file that ``attention_shapes`` loads."""
    direct, first, second = (weights[name].astype(np.float16) for name in ("direct", "first", "second"))
    np.savez_compressed(path, direct=direct, first=first, second=second)
