"""Fits Attention Mesh's blendshapes: a direct linear path and one hidden layer from the codes to the shapes' logits.

What matters to a viewer, and what correlation measures, is how a face moves, while part of the error is an offset of
each person's own that no picture of a stranger tells. So batches are made of groups of one person's pictures, and the
error's motion within a group counts four times as much as its mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
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
    often: float = 0.7
    """Power of a person's pictures by which they are drawn: 0, all alike; 1, by their number."""
    learning_rate: float = 1.5e-3
    weight_decay: float = 0.02
    warm_up: float = 0.15
    """Share of the steps in which the learning rate rises."""
    motion_weight: float = 1.0
    """Of the error's motion within a group."""
    mean_weight: float = 0.25
    """Of the whole error."""
    still: float = 0.03
    """A shape counts by one over its standard deviation and this."""


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
    groups, raw = Groups(samples, config), samples.codes
    mean, scale = raw.mean(axis=0), raw.std(axis=0) + 0.05 * raw.std() + 1e-4
    inputs, target = torch.from_numpy((raw - mean) / scale), torch.from_numpy(samples.target)
    weight = 1 / (target.std(dim=0, correction=0) + config.still)
    weight /= weight.mean()
    net = CodesToShapes(inputs.shape[1], target, config)
    optimizer = torch.optim.AdamW(net.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    steps = int(config.passes * len(raw) / (config.people * config.pictures))
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, config.learning_rate, total_steps=steps + 1, pct_start=config.warm_up
    )
    net.train()
    for _ in range(steps):
        batch = torch.from_numpy(groups.draw())
        loss = loss_of((torch.sigmoid(net(inputs[batch])) - target[batch]) * weight, config)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return matrices(net, mean, scale)


class Groups:
    """Draws batches: some people, and some pictures of each."""

    def __init__(self, samples: Samples, config: FitConfig) -> None:
        self._config, self._random = config, np.random.default_rng(config.seed)
        groups = [np.flatnonzero(samples.person == person) for person in np.unique(samples.person)]
        self._groups = [group for group in groups if len(group) >= config.pictures]
        chances = np.array([min(len(group), config.most_pictures) ** config.often for group in self._groups])
        self._chances = chances / chances.sum()

    def draw(self) -> npt.NDArray[np.intp]:
        """Return rows, one person's after the other's."""
        chosen = self._random.choice(len(self._groups), self._config.people, p=self._chances)
        pictures = self._config.pictures
        return np.concatenate([self._random.choice(self._groups[k], pictures, replace=False) for k in chosen])


def loss_of(error: Tensor, config: FitConfig) -> Tensor:
    """Return the loss of a batch from its weighted errors [people x pictures, shapes]."""
    error = error.view(config.people, config.pictures, -1)
    motion = error - error.mean(dim=1, keepdim=True)
    return config.motion_weight * (motion**2).mean() + config.mean_weight * (error**2).mean()


@torch.no_grad()
def matrices(net: CodesToShapes, mean: Array, scale: Array) -> dict[str, Array]:
    """Return the layers as [inputs + 1, outputs], with the inputs' scaling folded in."""
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
